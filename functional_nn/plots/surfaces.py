"""The cost over two parameters as a map, and the paths that descend it (N16, N22)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from functional_nn.plots.canvas import COLOURS, MARKERS

PATHS = (COLOURS[5], COLOURS[0], COLOURS[2], COLOURS[6], COLOURS[3])  # readable on grey


def draw_surface(axes: Axes, x: Any, y: Any, cost: Any, paths: Mapping[str, Any],
                 *, levels: int = 12) -> None:
    """Draw contour lines of the cost and the paths of descent across it (N16, N22).

    The lines are spaced evenly in the logarithm of the cost above its minimum, so that narrow
    valleys can be seen. The darker, the higher. Each path is a line with a mark after every step;
    what leaves the map is cut off.

    Args:
        axes: the axes to draw into.
        x, y: the grid of the two parameters, (columns,) and (rows,).
        cost: the cost at every point of the grid, (rows, columns).
        paths: label -> the parameters after every step, (steps, 2).
        levels: the number of contour lines.

    Raises:
        ValueError: `cost` is not of shape (rows, columns), or a path not of shape (steps, 2).

    >>> from functional_nn.plots.canvas import panels
    >>> grid, (_, [axes]) = np.linspace(-1, 1, 9), panels(1)
    >>> draw_surface(axes, grid, grid, grid**2 + 4 * grid[:, None]**2, {"down": [[1, 1], [0, 0]]})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['down']
    """
    x, y, cost = (np.asarray(part, dtype=float) for part in (x, y, cost))
    if cost.shape != (*y.shape, *x.shape):
        raise ValueError(f"cost must have shape {(*y.shape, *x.shape)}, as the grid has, got "
                         f"{cost.shape}")
    above = np.log10(np.maximum(cost - cost.min(), 1e-4 * np.ptp(cost)))
    axes.grid(visible=False)
    axes.contourf(x, y, above, levels=levels, cmap="Greys", alpha=0.28, antialiased=True)
    axes.contour(x, y, above, levels=levels, colors="#888888", linewidths=0.6, linestyles="solid")
    for index, (label, path) in enumerate(paths.items()):
        path = np.asarray(path, dtype=float)
        if path.ndim != 2 or path.shape[1] != 2:
            raise ValueError(f"paths[{label!r}] must have shape (steps, 2), got {path.shape}")
        inside = path[np.isfinite(path).all(axis=1)]
        axes.plot(inside[:, 0], inside[:, 1], color=PATHS[index % len(PATHS)], linewidth=1.6,
                  marker=MARKERS[index % len(MARKERS)], markersize=4, markeredgecolor="white",
                  markeredgewidth=0.4, label=label)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    if paths:
        axes.legend(fontsize=8, framealpha=0.9, edgecolor="none")
