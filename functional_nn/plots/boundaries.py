"""The decision boundary of a network with two inputs (N22)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from functional_nn.plots.canvas import COLOURS, INK

CLASSES = (COLOURS[0], COLOURS[1])
SHADES = LinearSegmentedColormap.from_list("classes", ["#8FC1E3", "#FFFFFF", "#F7CF80"])


def draw_boundary(axes: Axes, x: Any, y: Any, shares: Any, points: Any, classes: Any,
                  *, level: float = 0.5) -> None:
    """Shade the plane by the predicted share of class 1, with the boundary and the examples (N22).

    Class 0 is blue with round dots, class 1 orange with squares; the boundary is the dark line.

    Args:
        axes: the axes to draw into.
        x, y: the grid, (columns,) and (rows,).
        shares: the predicted share of class 1 at every point of the grid, (rows, columns).
        points: the examples, (n, 2).
        classes: their classes, (n,), 0 or 1.
        level: the share at which the decision changes.

    Raises:
        ValueError: `shares` is not of shape (rows, columns), or `points` not of shape (n, 2).

    >>> from functional_nn.plots.canvas import panels
    >>> grid, (_, [axes]) = np.linspace(0, 1, 5), panels(1)
    >>> draw_boundary(axes, grid, grid, np.tile(grid, (5, 1)), [[0.0, 0.0], [1.0, 1.0]], [0, 1])
    >>> [text.get_text() for text in axes.legend().get_texts()]
    ['class 0', 'class 1']
    """
    x, y, shares, points = (np.asarray(part, dtype=float) for part in (x, y, shares, points))
    classes = np.asarray(classes)
    if shares.shape != (*y.shape, *x.shape) or points.shape != (*classes.shape, 2):
        raise ValueError(
            f"shares must have shape {(*y.shape, *x.shape)}, as the grid has, and points "
            f"{(*classes.shape, 2)}, as the classes have; got {shares.shape} and {points.shape}")
    axes.grid(visible=False)
    half = np.ptp(x) / (x.size - 1) / 2, np.ptp(y) / (y.size - 1) / 2  # of a cell of the grid
    axes.imshow(shares, origin="lower", cmap=SHADES, vmin=0, vmax=1, interpolation="bilinear",
                aspect="auto", extent=(x[0] - half[0], x[-1] + half[0],
                                       y[0] - half[1], y[-1] + half[1]))
    if shares.min() < level < shares.max():
        axes.contour(x, y, shares, levels=[level], colors=INK, linewidths=1.8)
    for kind, marker in enumerate("os"):
        own = points[classes == kind]
        axes.plot(own[:, 0], own[:, 1], marker, color=CLASSES[kind], markersize=8,
                  markeredgecolor="black", markeredgewidth=0.9, linestyle="",
                  label=f"class {kind}", clip_on=False, zorder=3)
    axes.locator_params(nbins=5)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
