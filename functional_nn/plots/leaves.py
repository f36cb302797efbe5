"""Dot plot of the relative errors of a gradient, with one row per leaf."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from functional_nn.plots.canvas import COLOURS, FAINT, INK, blank, number, restrain, short

EPSILON = float(np.finfo(np.float64).eps)
DRAWN = 60  # at most this many leaves are drawn, those with the largest errors


def error_bars_by_leaf(errors: Mapping[str, Mapping[str, float]], bound: float, *,
                       epsilon: float = EPSILON) -> Figure:
    """Figure of the relative error of a gradient, with one row per leaf and one dot per reference.

    The error axis is logarithmic. Errors of exactly 0 stand at its left edge ("exact"), NaN and
    infinite errors at its right edge ("not finite"). Vertical lines mark `epsilon` and `bound`.
    The names of leaves above the bound are bold. At most 60 leaves are drawn: those with the
    largest errors.

    Args:
        errors: path of a leaf -> {reference: relative error}, where a reference is a name such as
            "jax.grad". Leaves may have different references.
        bound: the largest relative error that is accepted.
        epsilon: machine epsilon of the compared numbers; that of float64 by default.

    Raises:
        ValueError: there are no errors, an error is negative, or `bound` or `epsilon` is not
            positive.

    >>> errors = {"0.w": {"jax.grad": 3e-16}, "0.b": {"jax.grad": 0.0}}
    >>> print(error_bars_by_leaf(errors, 1e-12).axes[0].get_title())
    All 2 leaves within the bound
    largest error 3e−16 (0.w, jax.grad)
    """
    flat = [(float(error), leaf, reference)
            for leaf, row in errors.items() for reference, error in row.items()]
    negative = any(error < 0 for error, _, _ in flat)
    if not flat or negative or not bound > 0 or not epsilon > 0:
        raise ValueError(f"errors must hold relative errors of at least 0, and bound and epsilon "
                         f"be above 0, got {len(flat)} errors, bound {bound} and epsilon {epsilon}")
    worst = {leaf: max(math.inf if math.isnan(error) else float(error) for error in row.values())
             for leaf, row in errors.items() if row}
    drawn = (list(worst) if len(worst) <= DRAWN
             else sorted(worst, key=worst.__getitem__, reverse=True)[:DRAWN])
    figure = blank(8.5, 1.9 + 0.3 * max(len(drawn), 3))
    axes = figure.subplots()
    references = list(dict.fromkeys(reference for _, _, reference in flat))
    place = _error_axis(axes, [error for error, _, _ in flat], bound, epsilon)
    for index, reference in enumerate(references):
        shift = 0.0 if len(references) == 1 else 0.5 * (index / (len(references) - 1) - 0.5)
        dots = [(place(errors[leaf][reference]), row + shift) for row, leaf in enumerate(drawn)
                if reference in errors[leaf]]
        axes.plot(*zip(*dots, strict=True), linestyle="", marker="osD^v"[index % 5], markersize=5.5,
                  zorder=3, color=(COLOURS[:3] + COLOURS[4:5])[index % 4],
                  label=f"against {reference}")
    axes.axvline(epsilon, color=INK, linewidth=1, linestyle=":",
                 label=f"machine epsilon {number(epsilon, 2)}")
    axes.axvline(bound, color=COLOURS[5], linewidth=1.2, linestyle="--",
                 label=f"bound {number(bound, 2)}")
    axes.set_yticks(range(len(drawn)), [short(leaf, 44) for leaf in drawn])
    for label, leaf in zip(axes.get_yticklabels(), drawn, strict=True):
        if worst[leaf] > bound:
            label.set(color=COLOURS[5], fontweight="bold")
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.set_title(_finding(flat, worst, bound, len(drawn)), fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _error_axis(axes, values: list[float], bound: float, epsilon: float):
    """Set up the logarithmic error axis; returns a function from an error to its x coordinate.

    The axis covers all positive finite `values`, `bound` and `epsilon`. Errors of 0 get a tick of
    their own at the left end, NaN and infinite errors one at the right end.
    """
    positive = [value for value in values if 0 < value < math.inf] + [bound, epsilon]
    low, high = (math.floor(math.log10(min(positive)) - 0.2),
                 math.ceil(math.log10(max(positive)) + 0.2))
    step = max(1, math.ceil((high - low) / 8))
    ticks = {10.0**power: f"$10^{{{power}}}$" for power in range(low, high + 1, step)}
    exact, broken = 10.0 ** (low - step), 10.0 ** (high + step)
    left, right = low - 0.6, high + 0.4
    if 0.0 in values:
        ticks[exact], left = "exact", low - 1.4 * step
        axes.axvline(10.0 ** (low - 0.5 * step), color=FAINT, linewidth=3)
    if not np.isfinite(values).all():
        ticks[broken], right = "not finite", high + 1.6 * step
    axes.set_xscale("log")
    axes.set_xlim(10.0**left, 10.0**right)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_xlabel("relative error of the gradient (log scale)", fontsize=9)
    restrain(axes)
    return lambda error: exact if error == 0 else error if math.isfinite(error) else broken


def _finding(flat: list[tuple[float, str, str]], worst: Mapping[str, float], bound: float,
             drawn: int) -> str:
    above = sum(error > bound for error in worst.values())
    verdict = (f"{above} of {len(worst)} leaves above" if above
               else f"All {len(worst)} leaves within")
    error, leaf, reference = max(flat, key=lambda row: math.inf if math.isnan(row[0]) else row[0])
    size = number(error, 2) if math.isfinite(error) else "not finite"
    largest = ("every error exactly 0" if error == 0
               else f"largest error {size} ({short(leaf)}, {short(reference)})")
    return (f"{verdict} the bound"
            + (f" (the {drawn} worst are drawn)" if drawn < len(worst) else "") + f"\n{largest}")
