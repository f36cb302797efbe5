"""Heat maps of |manual − reference|, the error of a gradient, with one panel per leaf."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from functional_nn.plots.canvas import COLOURS, FAINT, blank, short

DRAWN = 24  # at most this many leaves are drawn, the wrong ones first
NAME = 40  # at most this many characters of a leaf's path are shown
DECADES = 10  # the colour scale spans at most this many powers of ten
BROKEN = COLOURS[5]  # the colour of NaN and infinite errors
# One hue, so that lightness alone shows the size of an error
_PALE_TO_DARK = ListedColormap(colormaps["Blues"](np.linspace(0.12, 1.0, 256)), name="error")


def error_maps(leaves: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Figure with a heat map of |manual − reference| for each leaf of a gradient.

    The columns of a panel run along the last axis of the leaf, its rows along all other axes.
    All panels share one logarithmic scale from pale (small error) to dark (large error). White
    marks entries that are exactly equal, orange marks NaN and infinite errors.

    Wrong leaves come before right ones, each sorted by decreasing relative error. At most 24
    leaves are drawn; the title counts the rest.

    Args:
        leaves: path of a leaf -> a mapping with the keys
            "blocks": (rows, columns), the largest |manual − reference| in each block of the leaf;
            "shape": the shape of the leaf, a tuple of integers;
            "error": the relative error of the leaf, for its title;
            "right": whether that error is within the tolerance.
            A leaf whose blocks have no entries is not drawn.

    Raises:
        ValueError: no leaf has entries, or blocks are not a matrix of non-negative numbers.

    >>> blocks = np.array([[0.0, 1e-17], [0.25, 1e-16]])
    >>> leaf = {"blocks": blocks, "shape": (2, 2), "error": 0.1, "right": False}
    >>> figure = error_maps({"['w']": leaf})
    >>> print(figure.get_suptitle()); print(figure.axes[0].get_title())
    1 of 1 leaf wrong
    ['w']
    (2, 2) WRONG
    relative error 1e-01, largest 2e-01
    """
    maps = {path: _blocks(path, leaf) for path, leaf in leaves.items()}
    maps = {path: blocks for path, blocks in maps.items() if blocks.size}
    if not maps:
        raise ValueError("leaves must hold at least one entry to draw, got none")
    ranked = sorted(maps, key=lambda path: (bool(leaves[path]["right"]),
                                            -_size(leaves[path]["error"])))[:DRAWN]
    columns = min(3 if len(ranked) in (5, 6, 9) else 4, len(ranked))
    rows = math.ceil(len(ranked) / columns)
    figure = blank(max(5.2, 2.9 * columns) + 0.9, 2.45 * rows + 1.1)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    norm = _scale(np.concatenate([maps[path].ravel() for path in ranked]))
    for index, axes in enumerate(grid):
        axes.set_visible(index < len(ranked))
    for axes, path, name in zip(grid, ranked, _names(ranked), strict=False):
        _panel(axes, maps[path], norm, tuple(leaves[path]["shape"]))
        axes.set_title(_heading(name, leaves[path], maps[path]), fontsize=8,
                       color="black" if leaves[path]["right"] else BROKEN)
    wrong, count = (sum(not leaves[path]["right"] for path in maps),
                    f"{len(maps)} lea{'f' if len(maps) == 1 else 'ves'}")
    finding = (f"{wrong} of {count} wrong" if wrong
               else f"{count}, none wrong: what differs is rounding")
    rest = len(maps) - len(ranked)
    figure.suptitle(
        finding + (f"\n(the {len(ranked)} worst are drawn, {rest} are not)" if rest else ""),
        fontsize=11)
    _key(figure, list(grid), norm, np.concatenate([maps[path].ravel() for path in ranked]))
    return figure


def _blocks(path: str, leaf: Mapping[str, Any]) -> np.ndarray:
    """The checked blocks of a leaf, (rows, columns), with NaN replaced by infinity."""
    blocks = np.asarray(leaf["blocks"], dtype=float)
    if blocks.ndim != 2 or (blocks < 0).any():
        got = f"shape {blocks.shape}" if blocks.ndim != 2 else f"{blocks.min()} in it"
        raise ValueError(f"leaves[{path!r}]['blocks'] must be a matrix of numbers of at least 0, "
                         f"got {got}")
    return np.where(np.isnan(blocks), np.inf, blocks)


def _size(error: float) -> float:
    return math.inf if math.isnan(error) else float(error)


def _scale(values: np.ndarray) -> LogNorm:
    """The logarithmic colour scale: from the largest finite error down, over at most DECADES."""
    positive = values[(values > 0) & np.isfinite(values)]
    high = min(float(positive.max()), 1e300) if positive.size else 1.0
    low = max(float(positive.min()) if positive.size else 0.1, high * 10.0**-DECADES)
    # matplotlib takes limits much smaller than these for 0
    return LogNorm(max(min(low, high / 100), 1e-282), max(high, 1e-280), clip=True)


def _panel(axes: Axes, blocks: np.ndarray, norm: LogNorm, shape: tuple[int, ...]) -> None:
    """Draw the blocks of one leaf against the leaf's own indices.

    Zeros are white, NaN and infinite errors orange. Small maps mark the latter with crosses too.
    """
    across = shape[-1] if shape else 1
    down = math.prod(shape[:-1])
    colours = _PALE_TO_DARK(norm(np.where(np.isfinite(blocks) & (blocks > 0), blocks, norm.vmin)))
    colours[blocks == 0] = 1.0
    colours[~np.isfinite(blocks)] = (*(int(BROKEN[i:i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)
    axes.imshow(colours, aspect="auto", interpolation="nearest",
                extent=(-0.5, across - 0.5, down - 0.5, -0.5))
    broken = np.argwhere(~np.isfinite(blocks))
    if max(blocks.shape) <= 32:
        y, x = ((broken[:, axis] + 0.5) * full / blocks.shape[axis] - 0.5
                for axis, full in ((0, down), (1, across)))
        axes.plot(x, y, linestyle="", marker="x", color="black",
                  markersize=float(np.clip(90 / max(blocks.shape), 2, 7)))
    for axis, entries in ((axes.xaxis, across), (axes.yaxis, down)):
        axis.set_major_locator(MaxNLocator(4, integer=True) if entries > 1 else NullLocator())
    axes.tick_params(labelsize=7, length=2)
    axes.spines[:].set_color(FAINT)


def _names(paths: list[str]) -> list[str]:
    """Short names for the leaves of these paths.

    If a path is too long, an ellipsis replaces the prefix that all paths share.
    """
    shared = 0
    if len(paths) > 1 and max(map(len, paths)) > NAME:
        first, last = min(paths), max(paths)
        differ = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
                      len(first))
        shared = first[:differ].rfind("[") if "[" in paths[0] else 0
    names = [f"…{path[shared:]}" if shared > 1 else path or "params" for path in paths]
    return [short(name, NAME) for name in names]


def _heading(name: str, leaf: Mapping[str, Any], blocks: np.ndarray) -> str:
    verdict = "right" if leaf["right"] else "WRONG"
    if np.isfinite(blocks).all():
        errors = (f"relative error {leaf['error']:.0e}, largest {blocks.max():.0e}" if blocks.any()
                  else "exactly equal")
    else:
        errors = f"{np.mean(~np.isfinite(blocks)):.0%} of the blocks not finite"
    return f"{name}\n{short(str(tuple(leaf['shape'])), 28)} {verdict}\n{errors}"


def _key(figure: Figure, axes: list[Axes], norm: LogNorm, values: np.ndarray) -> None:
    """Add the colour bar, and a legend for white (equal) and orange (NaN or infinite)."""
    finite_ones = values[np.isfinite(values) & (values > 0)]
    handles = []
    if finite_ones.size:
        smaller = finite_ones.min() < norm.vmin
        bar = figure.colorbar(ScalarMappable(norm, _PALE_TO_DARK), ax=axes,
                              extend="min" if smaller else "neither", fraction=0.05,
                              aspect=16 * figure.get_figheight() / 3.5, pad=0.02)
        bar.set_label("|manual − reference|, largest in each block", fontsize=8)
        bar.ax.yaxis.set_major_locator(LogLocator(numticks=7))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_edgecolor(FAINT)
    if (values == 0).any():
        handles.append(Patch(facecolor="white", edgecolor="black", linewidth=0.5,
                             label="exactly equal"))
    if not np.isfinite(values).all():
        handles.append(Patch(facecolor=BROKEN, edgecolor="black", linewidth=0.5,
                             label="NaN or infinite"))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False,
                      fontsize=8)
