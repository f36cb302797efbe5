"""Predictions of a regression against the true values, with the errors as a histogram (N21)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from functional_nn.plots.canvas import COLOURS, INK, blank, finite, number, restrain, short

DRAWN = 5000  # at most this many points are drawn; more would hide one another


def predictions(true: Any, predicted: Any, target: str = "the target") -> Figure:
    """Figure of the predicted values over the true ones, beside a histogram of the errors.

    In the left panel a right prediction lies on the diagonal. An error is predicted − true, in the
    unit of the target.

    Args:
        true: (n,), the true values.
        predicted: (n,), the predictions; those that are not finite are left out.
        target: the name of the target, for the labels of the axes.

    Raises:
        ValueError: the two differ in shape, have more than one axis, or hold no finite pair.

    >>> figure = predictions([1.0, 2.0, 3.0], [1.5, 2.0, 2.5], "height")
    >>> [axes.get_title() for axes in figure.axes]
    ['3 rows: rmse 0.408', 'Errors: from −0.5 to 0.5, median 0']
    """
    y, a = np.asarray(true, dtype=float), np.asarray(predicted, dtype=float)
    if y.shape != a.shape or y.ndim != 1:
        raise ValueError(f"true and predicted must be of one shape (n,), got {y.shape} and "
                         f"{a.shape}")
    both = np.isfinite(y) & np.isfinite(a)
    y, a = y[both], a[both]
    if not y.size:
        raise ValueError("true and predicted must hold a pair of finite values, got none")
    figure = blank(10, 4.8)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _scatter(left, y, a, short(target))
    _histogram(right, a - y, short(target))
    return figure


def _scatter(axes: Axes, y: np.ndarray, a: np.ndarray, target: str) -> None:
    step = -(-y.size // DRAWN)
    axes.scatter(y[::step], a[::step], s=14, color=COLOURS[0], alpha=0.6, linewidths=0)
    ends = [min(y.min(), a.min()), max(y.max(), a.max())]
    axes.plot(ends, ends, color=INK, linewidth=1, linestyle="--", zorder=0)
    axes.set_xlabel(f"true {target}")
    axes.set_ylabel(f"predicted {target}")
    rmse = float(np.sqrt(np.mean(np.square(a - y))))
    axes.set_title(f"{y.size:,} rows: rmse {number(rmse)}", fontsize=10)
    _few_ticks(axes)


def _histogram(axes: Axes, errors: np.ndarray, target: str) -> None:
    axes.hist(errors, bins=min(30, max(5, int(np.sqrt(errors.size)))), color=COLOURS[1])
    axes.axvline(0.0, color=INK, linewidth=1, linestyle="--")
    axes.set_xlabel(f"error: predicted − true {target}")
    axes.set_ylabel("rows")
    axes.set_title(f"Errors: from {number(errors.min())} to {number(errors.max())}, median "
                   f"{number(np.median(finite(errors)))}", fontsize=10)
    _few_ticks(axes)


def _few_ticks(axes: Axes) -> None:
    axes.locator_params(nbins=5)
    restrain(axes)
