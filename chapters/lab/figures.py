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
    "plt",
    "use_course_style",
]
