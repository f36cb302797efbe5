"""The diagram of a network: a circle for each neuron, a line for each weight (N5, N22)."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from functional_nn.plots.canvas import COLOURS, INK, number

POSITIVE, NEGATIVE = COLOURS[0], COLOURS[5]
DRAWN = 12  # at most this many neurons of a layer are drawn


def draw_network(axes: Axes, sizes: Sequence[int], *, weights: Sequence[Any] | None = None,
                 values: Sequence[Any] | None = None, names: Sequence[str] = ()) -> None:
    """Draw the diagram of a fully connected network (N5, N22).

    Neurons are circles, layers are columns, and information flows from left to right. A weight is
    the wider the larger it is; it is blue and solid if positive, orange and dashed if negative. Of
    a layer with more than 12 neurons, the first 12 are drawn, and the number below says so.

    Args:
        axes: the axes to draw into.
        sizes: (n_in, n_1, …, n_L).
        weights: the weights of each layer, (n_out, n_in); None draws thin grey lines.
        values: numbers to write into the circles, one array for each entry of `sizes`.
        names: a name for each column, which is written above it.

    Raises:
        ValueError: `weights` or `values` do not fit `sizes`.

    >>> from functional_nn.plots.canvas import panels
    >>> _, [axes] = panels(1)
    >>> draw_network(axes, (2, 1), values=[[1, 2], [12]], weights=[[[3, 4]]])
    >>> [text.get_text() for text in axes.texts]
    ['1', '2', '12']
    """
    weights = None if weights is None else [np.asarray(w, dtype=float) for w in weights]
    if weights is not None and [w.shape for w in weights] != [
            (n, m) for m, n in itertools.pairwise(sizes)]:
        raise ValueError(f"weights must have the shapes (n_out, n_in) of {tuple(sizes)}, got "
                         f"{[w.shape for w in weights]}")
    if values is not None and [np.size(column) for column in values] != list(sizes):
        raise ValueError(f"values must hold {tuple(sizes)} numbers, got "
                         f"{tuple(np.size(column) for column in values)}")
    heights = [np.arange(min(n, DRAWN)) - (min(n, DRAWN) - 1) / 2 for n in sizes]
    largest = 1.0 if weights is None else max(float(np.abs(w).max()) for w in weights) or 1.0
    step = 1.2 + 0.25 * max(map(len, heights))
    for l, (before, after) in enumerate(itertools.pairwise(heights)):
        for j, top in enumerate(after):
            for k, low in enumerate(before):
                style = {"color": "#999999", "linewidth": 0.8} if weights is None else _line(
                    weights[l][j, k] / largest)
                axes.plot([step * l, step * (l + 1)], [-low, -top], zorder=1, **style)
    for l, column in enumerate(heights):
        _column(axes, step * l, column, sizes[l], None if values is None else values[l])
    top = max(column[-1] for column in heights)
    for l, name in enumerate(names):
        axes.annotate(name, (step * l, top + 0.7), ha="center", va="bottom", fontsize=8)
    axes.set_aspect("equal")
    axes.set_xlim(-0.7, step * (len(sizes) - 1) + 0.7)
    axes.set_ylim(-top - 0.9, top + 1.1)
    axes.axis("off")


def _line(share: float) -> dict[str, Any]:
    return {"color": NEGATIVE if share < 0 else POSITIVE, "linewidth": 0.3 + 3.2 * abs(share),
            "linestyle": (0, (3, 1)) if share < 0 else "solid", "alpha": 0.85}


def _column(axes: Axes, x: float, heights: np.ndarray, size: int, values) -> None:
    axes.scatter(np.full(heights.shape, x), -heights, s=620, facecolor="white", edgecolor=INK,
                 linewidth=1.2, zorder=2)
    for index, height in enumerate(heights if values is not None else ()):
        axes.annotate(number(np.ravel(values)[index]), (x, -height), ha="center", va="center",
                      fontsize=8, zorder=3)
    if size > len(heights):
        axes.annotate(f"… of {size}", (x, -heights[-1] - 0.6), ha="center", va="top", fontsize=8)
