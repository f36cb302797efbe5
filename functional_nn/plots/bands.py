"""Several curves, and means over seeds: curves with bands, and dots in rows with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from functional_nn.plots.canvas import COLOURS, INK, MARKERS, short

DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1)))


def draw_curves(axes: Axes, x: Any, curves: Mapping[str, Any], *, marked: bool = False,
                legend: bool = True) -> None:
    """Draw a curve for each label; they differ in colour and in dashes.

    Args:
        axes: the axes to draw into.
        x: the places of the points, (points,).
        curves: label -> the values, (points,).
        marked: whether to mark the points themselves.
        legend: whether to write the labels into a legend.

    Raises:
        ValueError: the values of a curve are not of x's shape.

    >>> from functional_nn.plots.canvas import panels
    >>> _, [axes] = panels(1)
    >>> draw_curves(axes, [1, 2], {"relu": [0.0, 2.0], "step": [0.0, 1.0]})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['relu', 'step']
    """
    x = np.asarray(x, dtype=float)
    for index, (label, y) in enumerate(curves.items()):
        y = np.asarray(y, dtype=float)
        if x.ndim != 1 or y.shape != x.shape:
            raise ValueError(f"curves[{label!r}] must have x's shape {x.shape}, got {y.shape}")
        axes.plot(x, y, color=COLOURS[index % len(COLOURS)], linewidth=1.8,
                  linestyle=DASHES[index % len(DASHES)], markersize=4, label=short(label, 40),
                  marker=MARKERS[index % len(MARKERS)] if marked else None)
    if legend:
        axes.legend(frameon=False, fontsize=8, handlelength=2.6)


def draw_bands(axes: Axes, x: Any, curves: Mapping[str, tuple[Any, Any, Any]],
               *, marked: bool = False, legend: bool = True) -> None:
    """Draw a curve of means and the band of its interval for each group of runs.

    Args:
        axes: the axes to draw into.
        x: the places of the points, (points,).
        curves: label -> (mean, low, high), three arrays (points,).
        marked: whether to mark the points themselves.
        legend: whether to write the labels into a legend.

    Raises:
        ValueError: the arrays of a curve are not of x's shape.

    >>> from functional_nn.plots.canvas import panels
    >>> _, [axes] = panels(1)
    >>> draw_bands(axes, [1, 2], {"sgd": ([3.0, 2.0], [2.5, 1.5], [3.5, 2.5])})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['sgd']
    """
    bands = {label: [np.asarray(part, dtype=float) for part in band]
             for label, band in curves.items()}
    for index, (label, parts) in enumerate(bands.items()):
        if any(part.shape != np.shape(x) for part in parts):
            raise ValueError(f"curves[{label!r}] must be three arrays of x's shape {np.shape(x)}, "
                             f"got {[part.shape for part in parts]}")
        axes.fill_between(x, *parts[1:], color=COLOURS[index % len(COLOURS)], alpha=0.22,
                          linewidth=0)
    draw_curves(axes, x, {label: parts[0] for label, parts in bands.items()}, marked=marked,
                legend=legend)


def draw_groups(axes: Axes, groups: Mapping[str, tuple[Any, tuple[float, float, float]]]) -> None:
    """Draw a row of dots for each group of runs, one dot a run, with the mean and its interval.

    Args:
        axes: the axes to draw into; the first group is the top row.
        groups: label -> (values (runs,), (mean, low, high)).

    >>> from functional_nn.plots.canvas import panels
    >>> _, [axes] = panels(1)
    >>> draw_groups(axes, {"plain": ([0.1, 0.3], (0.2, 0.1, 0.3))})
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['plain']
    """
    for row, (values, (mean, low, high)) in enumerate(groups.values()):
        colour = COLOURS[row % len(COLOURS)]
        spread = np.linspace(-0.16, 0.16, np.size(values)) if np.size(values) > 1 else 0.0
        axes.plot(np.ravel(values), row + spread, "o", color=colour, markersize=3.5, alpha=0.45,
                  markeredgewidth=0)
        axes.plot([low, high], [row, row], color=INK, linewidth=2.2, solid_capstyle="butt")
        axes.plot(mean, row, "D", color=colour, markersize=6.5, markeredgecolor=INK,
                  markeredgewidth=0.8)
    axes.set_yticks(range(len(groups)), [short(label, 40) for label in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
