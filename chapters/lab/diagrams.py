"""Drawings of cells: boxes for layers, circles for entrywise operations, wires between them."""

from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from lab.figures import BLACK, WIDTH, plt


class Diagram:
    """A drawing in units of its own, `width` by `height`, as wide as the column.

        d = Diagram(8, 5)
        d.box(2, 1, r"$\\sigma$", BLUE)
        d.op(2, 3, r"$\\times$", BLUE)
        d.wire((2, 1.3), (2, 2.75), color=BLUE)

    Nothing is filled, so that the drawing also stands on a dark page: let wires end at the edges
    of boxes (`BOX` high to each side of the centre) and circles (`RADIUS`).
    """

    BOX = 0.3
    RADIUS = 0.25

    def __init__(self, width, height):
        self.figure, self.axes = plt.subplots(figsize=(WIDTH, WIDTH * height / width))
        self.axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
        self.axes.axis("off")

    def box(self, x, y, text, color=BLACK, width=0.8):
        """A layer with weights."""
        corner = (x - width / 2, y - self.BOX)
        style = "round,pad=0,rounding_size=0.1"
        self.axes.add_patch(
            FancyBboxPatch(corner, width, 2 * self.BOX, boxstyle=style, fc="none", ec=color, lw=1.8)
        )
        self.text(x, y, text, color)

    def op(self, x, y, text, color=BLACK):
        """An entrywise operation without weights."""
        self.axes.add_patch(Circle((x, y), self.RADIUS, fc="none", ec=color, lw=1.8))
        self.text(x, y, text, color)

    def dot(self, x, y, color=BLACK):
        """A place where a wire divides."""
        self.axes.add_patch(Circle((x, y), 0.06, fc=color, ec="none"))

    def wire(self, *points, color=BLACK, arrow=True, lw=1.8, ls="-"):
        """A line through these points, with an arrow at the last one."""
        xs, ys = zip(*points, strict=True)
        self.axes.plot(xs, ys, color=color, lw=lw, ls=ls, solid_joinstyle="round")
        if arrow:
            # The head alone: a patch through all the points would round its corners.
            (x0, y0), (x1, y1) = points[-2:]
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            near = (x1 - 0.1 * (x1 - x0) / length, y1 - 0.1 * (y1 - y0) / length)
            self.axes.add_patch(
                FancyArrowPatch(
                    near,
                    points[-1],
                    arrowstyle="-|>",
                    mutation_scale=13,
                    lw=lw,
                    color=color,
                    shrinkA=0,
                    shrinkB=0,
                )
            )

    def text(self, x, y, text, color=BLACK, ha="center", va="center", size=13):
        """Words or a formula."""
        self.axes.text(x, y, text, color=color, ha=ha, va=va, fontsize=size)


__all__ = ["Diagram"]
