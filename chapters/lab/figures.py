"""The look of every figure: vector, colour-blind-safe, legible at 390 px, invertible for dark mode.

The site shows figures in dark mode through ``filter: invert() hue-rotate()`` (see
``chapters/_static/course.css``), so a figure is drawn once, dark on transparent.
"""

import matplotlib
import matplotlib.pyplot as plt
from matplotlib_inline.backend_inline import set_matplotlib_formats

# Okabe and Ito's palette, the yellow left out: it cannot be read on white.
BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#222222",
)
COLORS = (BLUE, RED, GREEN, ORANGE, PINK, SKY, BLACK)

WIDTH = 6.4  # inches; the column is 390 px wide on a telephone, so text stays above 9 px


def use_course_style():
    """Set matplotlib's defaults and make inline figures reproducible SVG."""
    set_matplotlib_formats("svg", metadata={"Date": None})
    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "course",
            "figure.figsize": (WIDTH, 3.6),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.facecolor": "none",
            "axes.prop_cycle": matplotlib.cycler(color=COLORS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 13,
            "axes.titlelocation": "left",
            "axes.labelsize": 12,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "legend.fontsize": 11,
            "legend.frameon": False,
            "font.size": 12,
            "lines.linewidth": 2,
        }
    )


def label_line(line, text, at=-1, dx=4, dy=0, **kwargs):
    """Write `text` beside a drawn line, in the line's colour, at its data index `at`.

    dx and dy are offsets in points.
    """
    x, y = line.get_xdata()[at], line.get_ydata()[at]
    return line.axes.annotate(
        text,
        (x, y),
        xytext=(dx, dy),
        textcoords="offset points",
        color=line.get_color(),
        va="center",
        annotation_clip=False,
        **kwargs,
    )


def strips(rows, first=1, height=0.8):
    """One narrow strip a row, over the same steps: how a gate or a state moves through time.

    rows: list of (label, values, color, limits), values (T,), limits (low, high). The value at a step
    is a bar from zero, as wide as the step, so that strips can be compared step by step.
    first: the number of the first step. Returns (figure, list of axes), one axes a row.
    """
    figure, axes = plt.subplots(
        len(rows), 1, sharex=True, squeeze=False, figsize=(WIDTH, height * len(rows) + 0.6)
    )
    for ax, (label, values, color, limits) in zip(axes[:, 0], rows, strict=True):
        steps = range(first, first + len(values))
        ax.bar(steps, values, width=1.0, color=color, alpha=0.75, lw=0)
        ax.axhline(0, color=BLACK, lw=0.6)
        ax.set(ylim=limits, yticks=[tick for tick in limits if tick != 0] + [0])
        ax.set_ylabel(label, rotation=0, ha="right", va="center", color=color)
        ax.tick_params(axis="x", length=0)
        ax.margins(x=0.01)
    axes[-1, 0].set_xlabel("step $t$")
    return figure, list(axes[:, 0])


def lag_axes(threshold=None, **kwargs):
    """Axes for norms against the lag: logarithmic upwards, lag 0 at the left.

    threshold: a level to mark with a dotted line. kwargs go to `plt.subplots`.
    Returns (figure, axes).
    """
    figure, ax = plt.subplots(**kwargs)
    ax.set_yscale("log")
    ax.set_xlabel("lag $k$ (steps back)")
    if threshold is not None:
        ax.axhline(threshold, color=BLACK, lw=0.8, ls=":")
    return figure, ax


use_course_style()

__all__ = [
    "BLACK",
    "BLUE",
    "COLORS",
    "GREEN",
    "ORANGE",
    "PINK",
    "RED",
    "SKY",
    "WIDTH",
    "label_line",
    "lag_axes",
    "plt",
    "strips",
    "use_course_style",
]
