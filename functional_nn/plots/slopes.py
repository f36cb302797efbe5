"""Activations and losses drawn with their derivatives, one panel per function (N22).

Circles show difference quotients of the drawn values: a wrong derivative does not pass through
them.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from functional_nn.plots.canvas import COLOURS, INK, blank, number, restrain, short

VALUE, SLOPE = COLOURS[0], COLOURS[5]


def functions(pairs: Mapping[str, tuple[Any, Any, Any]]) -> Figure:
    """Figure with one panel per activation: g(z), g′(z), and difference quotients of g (N22).

    Args:
        pairs: name -> (z, g(z), g′(z)), each of shape (points,) with z increasing.

    Raises:
        ValueError: `pairs` is empty, or the three shapes of an activation differ.

    >>> z = np.linspace(-2.0, 2.0, 9)
    >>> functions({"square": (z, z**2, 2 * z)}).axes[0].get_title()
    'square: |slope| up to 4'
    """
    return _multiples(pairs, "z", "value g(z)", "derivative g′(z)",
                      "Activations and their derivatives")


def losses(pairs: Mapping[str, tuple[Any, Any, Any]]) -> Figure:
    """Figure with one panel per loss: L(r), dL/dr, and difference quotients of L (N22).

    The residual r is prediction − target, so dL/dr is the gradient in the prediction.

    Args:
        pairs: name -> (r, L(r), dL/dr), each of shape (points,) with r increasing.

    Raises:
        ValueError: `pairs` is empty, or the three shapes of a loss differ.

    >>> r = np.linspace(-1.0, 1.0, 5)
    >>> losses({"quadratic": (r, r**2 / 2, r)}).axes[0].get_title()
    'quadratic: |slope| up to 1'
    """
    return _multiples(pairs, "residual (prediction − target)", "loss", "gradient",
                      "Losses and their gradients")


def _multiples(pairs: Mapping[str, tuple[Any, Any, Any]], x: str, value: str, slope: str,
               title: str) -> Figure:
    if not pairs:
        raise ValueError("pairs must hold at least one function, got none")
    curves = {name: tuple(np.asarray(part, dtype=float) for part in parts)
              for name, parts in pairs.items()}
    for name, parts in curves.items():
        if [part.shape for part in parts] != 3 * [(parts[0].size,)]:
            raise ValueError(f"pairs[{name!r}] must be three arrays of one shape (points,), "
                             f"got {[part.shape for part in parts]}")
    columns = min(4, len(curves)) if len(curves) != 6 else 3
    rows = math.ceil(len(curves) / columns)
    figure = blank(max(2.7 * columns, 4.0), 2.2 * rows + 1.0)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, axes in enumerate(grid):
        axes.set_visible(index < len(curves))
    for index, (axes, (name, parts)) in enumerate(zip(grid, curves.items(), strict=False)):
        _curve(axes, *parts)
        steepest = number(np.max(np.abs(parts[2])))  # of what is drawn
        axes.set_title(f"{short(name)}: |slope| up to {steepest}", fontsize=9)
        if index + columns >= len(curves):
            axes.set_xlabel(x, fontsize=8)
    figure.suptitle(title, fontsize=11)
    handles = [Line2D([], [], color=VALUE, label=value),
               Line2D([], [], color=SLOPE, linestyle=(0, (4, 1.5)), label=slope),
               Line2D([], [], color=INK, marker="o", markersize=4, markerfacecolor="none",
                      linestyle="", label="differences of the values drawn")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if columns > 1 else 1,
                  frameon=False, fontsize=9)
    return figure


def _curve(axes: Axes, z: np.ndarray, value: np.ndarray, slope: np.ndarray) -> None:
    axes.plot(z, value, color=VALUE, linewidth=1.8)
    axes.plot(z, slope, color=SLOPE, linewidth=1.6, linestyle=(0, (4, 1.5)))
    bottom, top = axes.get_ylim()
    every = slice(max(0, z.size // 32), None, max(1, z.size // 16))
    axes.plot(((z[1:] + z[:-1]) / 2)[every], (np.diff(value) / np.diff(z))[every], "o", color=INK,
              markersize=4, markerfacecolor="none", markeredgewidth=0.8, clip_on=True)
    axes.set_ylim(bottom, top)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    restrain(axes)
