"""Pictures of the quantities of the backward pass: one panel a quantity."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from functional_nn.plots.canvas import COLOURS, INK, blank, finite, number, restrain, short

DRAWN = 40  # at most this many leaves are drawn, the first and the last ones
LINEAR = 1e-4  # sizes below this share of the largest are drawn on a linear scale, which has a 0


def quantities(values: Mapping[str, Any]) -> Figure:
    """Figure with a panel for each quantity that `fnn.backprop.quantities` returned.

    An array with an entry for each example is drawn as a histogram. A tree shaped like params has a
    row for each leaf: the sizes of its entries, from the 5% to the 95% quantile with the middle
    half in bold and the median as a dot, on a logarithmic axis; the share of zeros is written
    beside a row. A dict of arrays (layers,) is drawn as curves over the layers. Numbers stand in
    the title. Matrices, as `kronecker` has them, are drawn as the leaves of a tree.

    Args:
        values: name -> value.

    Raises:
        ValueError: there is no value, or one of them holds no numbers.

    >>> figure = quantities({"norms": np.array([1.0, 2.0, 4.0]), "noise_scale": np.array(7.0)})
    >>> figure.get_suptitle(), figure.axes[0].get_title()
    ('noise_scale = 7', 'norms: median 2, from 1 to 4')
    """
    panels = {name: _leaves(name, value) for name, value in values.items()}
    if not panels:
        raise ValueError("values must hold at least one quantity, got none")
    numbers = {name: value for name, value in panels.items() if list(value) == [""] and
               value[""].ndim == 0}
    drawn = {name: value for name, value in panels.items() if name not in numbers}
    heights = [_height(leaves) for leaves in drawn.values()] or [0.6]
    figure = blank(7.2, sum(heights) + 0.4 * bool(numbers))
    grid = figure.subplots(max(len(drawn), 1), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, leaves) in zip(grid, drawn.items(), strict=False):
        _panel(axes, name, leaves)
    if not drawn:
        grid[0].set_axis_off()
    if numbers:
        figure.suptitle(", ".join(f"{name} = {number(float(value['']), 4)}"
                                  for name, value in numbers.items()), fontsize=11)
    return figure


def _leaves(name: str, value: Any, path: str = "") -> dict[str, np.ndarray]:
    """Path -> array for every leaf of nested dicts, lists and tuples; the path of a root is ""."""
    if isinstance(value, Mapping):
        pairs = [(f"{path}.{key}" if path else str(key), part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(f"{path}.{i}" if path else str(i), part) for i, part in enumerate(value)]
    else:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" or not array.size:
            raise ValueError(f"values[{name!r}] must hold numbers, got {array.dtype} of shape "
                             f"{array.shape}")
        return {path: array.astype(float)}
    found = {}
    for inner, part in pairs:
        found |= _leaves(name, part, inner)
    if not found and not path:
        raise ValueError(f"values[{name!r}] must hold numbers, got nothing")
    return found


def _over_layers(leaves: Mapping[str, np.ndarray]) -> bool:
    """Whether the leaves are arrays (layers,) under plain names, as `delta_statistics` has them."""
    return "" not in leaves and all(leaf.ndim == 1 for leaf in leaves.values()) and not any(
        "." in path for path in leaves)


def _height(leaves: Mapping[str, np.ndarray]) -> float:
    rows = min(len(leaves), DRAWN)
    return 2.4 if "" in leaves else 3.0 if _over_layers(leaves) else 1.1 + 0.27 * max(rows, 2)


def _panel(axes: Axes, name: str, leaves: Mapping[str, np.ndarray]) -> None:
    if "" in leaves:
        _histogram(axes, name, leaves[""].ravel())
    elif _over_layers(leaves):
        _curves(axes, name, leaves)
    else:
        _rows(axes, name, leaves)
    restrain(axes)


def _histogram(axes: Axes, name: str, values: np.ndarray) -> None:
    kept = finite(values)
    axes.hist(kept, bins=min(40, max(5, kept.size // 5)), color=COLOURS[0])
    axes.axvline(np.median(kept), color=COLOURS[1], linewidth=1.6)
    axes.set_xlabel(f"{name}, one value an example (line: median)", fontsize=9)
    axes.set_ylabel("examples", fontsize=9)
    lost = values.size - np.isfinite(values).sum()
    axes.set_title(f"{name}: median {number(np.median(kept))}, from {number(kept.min())} to "
                   f"{number(kept.max())}" + (f"; {lost} not finite" if lost else ""), fontsize=10)


def _curves(axes: Axes, name: str, leaves: Mapping[str, np.ndarray]) -> None:
    for index, (part, values) in enumerate(leaves.items()):
        axes.plot(np.arange(values.size), np.abs(values), marker="osD^v"[index % 5], markersize=4.5,
                  color=COLOURS[index % len(COLOURS)], label=part.replace("_", " "))
    largest = max(np.abs(finite(values)).max() for values in leaves.values())
    axes.set_yscale("symlog", linthresh=largest * LINEAR or 1.0)
    axes.set_xticks(range(max(values.size for values in leaves.values())))
    axes.set_xlabel("layer", fontsize=9)
    axes.set_ylabel("size (log scale, linear near 0)", fontsize=9)
    axes.set_title(f"{name}, layer by layer", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _rows(axes: Axes, name: str, leaves: Mapping[str, np.ndarray]) -> None:
    shown = list(leaves)
    if len(shown) > DRAWN:
        shown = shown[:DRAWN // 2] + shown[-DRAWN // 2:]
    for row, path in enumerate(shown):
        sizes = np.abs(finite(leaves[path].ravel()))
        positive = sizes[sizes > 0]
        if positive.size:
            low, first, middle, third, high = np.quantile(positive, [0.05, 0.25, 0.5, 0.75, 0.95])
            axes.plot([low, high], [row, row], color=COLOURS[4], linewidth=1.5)
            axes.plot([first, third], [row, row], color=COLOURS[0], linewidth=4.5,
                      solid_capstyle="butt")
            axes.plot([middle], [row], "o", color=INK, markersize=4)
    axes.set_xscale("log")
    zeros = [float((leaves[path] == 0).mean()) for path in shown]
    axes.set_yticks(range(len(shown)), [
        short(path, 30) + (f"  ({share:.0%} are 0)" if share else "")
        for path, share in zip(shown, zeros, strict=True)])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(f"size of an entry of {name} that is not 0 (log scale)", fontsize=9)
    total = sum(float(np.sum(finite(leaf.ravel()))) for leaf in leaves.values())
    axes.set_title(f"{name}: the entries add up to {number(total)}", fontsize=10)
