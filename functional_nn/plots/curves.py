"""Learning curves: cost and validation score over the epochs, for one or several runs (N22)."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from functional_nn.plots.canvas import (
    COLOURS,
    INK,
    MARKERS,
    blank,
    finite,
    number,
    restrain,
    short,
)

LISTED = 14  # the legend names at most this many runs


class Measure(NamedTuple):
    """A score on validation data: its axis, how its best value is told, and which one is best."""

    factor: float
    label: str
    told: str
    best: Callable[[np.ndarray], float]


MEASURES = {
    "validation_accuracy": Measure(
        100.0, "validation accuracy (%)", "Validation accuracy: best {:.4g}%", np.max),
    "validation_rmse": Measure(
        1.0, "validation rmse, in the unit of the target", "Validation rmse: best {:.4g}", np.min),
}
"""The scores with a panel of their own; of several, that of the first is drawn."""


def learning_curves(histories: Mapping[str, Mapping[str, Any]], *, title: str = "") -> Figure:
    """Figure of cost and validation score over the epochs, with one colour per run (N22).

    The left panel shows the training cost (solid) and the validation cost (dashed). Its axis is
    logarithmic if the costs are positive and span more than a factor of 10. The right panel shows
    the validation accuracy, or for a regression the validation rmse; it is left out if no run has
    either. A circle marks the best epoch of a run, the one with the lowest validation cost, or
    without validation data with the lowest training cost.

    Curves that coincide would hide one another: runs whose training costs differ by at most 1% are
    drawn with decreasing line width, and the legend states their largest difference.

    Args:
        histories: label of a run -> its history, arrays of one shape (epochs,):
            "epoch" and "cost"; optional "validation_cost", in the units of the loss,
            "validation_accuracy", a share from 0 to 1, and "validation_rmse".
        title: text above both panels.

    Raises:
        ValueError: there is no run, a key is missing, or the arrays of a run differ in shape.

    >>> figure = learning_curves({"sgd": {"epoch": [1, 2], "cost": [0.5, 0.25]}})
    >>> [axes.get_title() for axes in figure.axes]
    ['Training cost: from 0.5 to 0.25']
    """
    runs = {str(label): _history(label, history) for label, history in histories.items()}
    if not runs:
        raise ValueError("histories must hold at least one run, got none")
    measured = next((name for name in MEASURES if any(name in run for run in runs.values())), None)
    figure = blank(10 if measured else 6.4, 4.8)
    panels = figure.subplots(1, 2 if measured else 1, squeeze=False)[0]
    sets = _coinciding(runs)
    styles = _run_styles(runs, sets)
    for label, run in runs.items():
        panels[0].plot(run["epoch"], run["cost"], **styles[label])
        if "validation_cost" in run:
            panels[0].plot(run["epoch"], run["validation_cost"], **_dashed(styles[label]))
        if measured in run:
            panels[1].plot(run["epoch"], MEASURES[measured].factor * run[measured],
                           **styles[label])
        if len(runs) <= LISTED:
            _mark_best(panels, run, measured, styles[label]["color"])
    _cost_panel(panels[0], runs, sets)
    if measured:
        _measure_panel(panels[1], runs, sets, measured)
    _runs_legend(figure, runs, styles, sets)
    if title:
        figure.suptitle(title, fontweight="bold")
    return figure


def _history(label: str, history: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if missing := [key for key in ("epoch", "cost") if key not in history]:
        raise ValueError(f"the history of {label!r} must hold {missing[0]!r}, "
                         f"got {', '.join(history) or 'nothing'}")
    run = {key: np.asarray(history[key], dtype=float)
           for key in ("epoch", "cost", "validation_cost", *MEASURES)
           if history.get(key) is not None}
    shapes = {key: values.shape for key, values in run.items()}
    if run["epoch"].ndim != 1 or run["epoch"].size == 0 or len(set(shapes.values())) > 1:
        raise ValueError(f"the history of {label!r} must hold arrays of one shape (epochs,), "
                         f"got {shapes}")
    return run


def _coinciding(runs: Mapping[str, Mapping[str, np.ndarray]]) -> list[list[str]]:
    """Groups of runs whose training curves look like one line.

    A run joins the first group whose first member differs from it by at most 1% at every epoch.
    """
    sets: list[list[str]] = []
    for label, run in runs.items():
        found = next((others for others in sets if _apart(runs[others[0]], run) <= 0.01), None)
        if found is None:
            sets.append([label])
        else:
            found.append(label)
    return sets


def _apart(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """Largest relative difference of two training costs, over the epochs where both are finite.

    It is infinite if the runs have different epochs or no epoch with two finite costs.
    """
    if not np.array_equal(a["epoch"], b["epoch"]):
        return math.inf
    both = np.isfinite(a["cost"]) & np.isfinite(b["cost"])
    larger = np.maximum(np.abs(a["cost"][both]), np.abs(b["cost"][both]))
    difference = np.abs(a["cost"][both] - b["cost"][both])
    return float(np.max(difference / np.where(larger > 0, larger, 1.0),
                        initial=0.0 if both.any() else math.inf))


def _run_styles(runs: Mapping[str, Mapping[str, np.ndarray]],
                sets: Sequence[Sequence[str]]) -> dict[str, dict]:
    """Line style of each run: widths decrease within a set, markers tell repeated colours apart."""
    widths = {}
    for labels in sets:
        thick = min(1.8 + 2.8 * (len(labels) - 1), 11.0)
        widths |= dict(zip(labels, np.linspace(thick, 1.8, len(labels)), strict=True))
    styles = {}
    for index, (label, run) in enumerate(runs.items()):
        marked = run["epoch"].size <= 12 or index >= len(COLOURS)
        styles[label] = {
            "color": COLOURS[index % len(COLOURS)],
            "linewidth": widths[label],
            "marker": MARKERS[index // len(COLOURS) % len(MARKERS)] if marked else None,
            "markersize": 3.5 + widths[label],
            "markevery": max(1, run["epoch"].size // 8)}
    return styles


def _dashed(style: Mapping[str, Any]) -> dict[str, Any]:
    width = style["linewidth"]  # matplotlib scales dashes by the width; dividing undoes this
    return {**style, "linestyle": (0, (9 / width, 5 / width)), "dash_capstyle": "butt",
            "markerfacecolor": "white"}


def _judged(run: Mapping[str, np.ndarray]) -> str:
    """The cost that decides which epoch is the best."""
    return "validation_cost" if "validation_cost" in run else "cost"


def _mark_best(axes: Sequence[Axes], run: Mapping[str, np.ndarray], measured: str | None,
               colour: str) -> None:
    """A circle at the best epoch of a run, in each panel that shows the run."""
    cost = run[_judged(run)]
    if not np.isfinite(cost).any():
        return
    best = int(np.nanargmin(np.where(np.isfinite(cost), cost, np.nan)))
    heights = [cost[best]]
    if measured in run:
        heights.append(MEASURES[measured].factor * run[measured][best])
    for panel, height in zip(axes, heights, strict=False):
        panel.scatter(run["epoch"][best], height, s=55, facecolors="white", edgecolors=colour,
                      linewidths=1.8, zorder=3)


def _cost_panel(axes: Axes, runs: Mapping[str, Mapping[str, np.ndarray]],
                sets: Sequence[Sequence[str]]) -> None:
    shown = np.concatenate([finite(run[key]) for run in runs.values()
                            for key in ("cost", "validation_cost") if key in run])
    log = shown.min() > 0 and shown.max() > 10 * shown.min()
    axes.set_yscale("log" if log else "linear")
    axes.set_ylabel("cost (log scale)" if log else "cost")
    _epoch_axis(axes, runs)
    if any("validation_cost" in run for run in runs.values()):
        axes.set_title(_lowest(runs, sets), fontsize=10)
        return
    ends = {label: run["cost"][-1] for label, run in runs.items() if np.isfinite(run["cost"][-1])}
    best = min(ends, key=ends.__getitem__, default="")
    if not ends:
        finding = "not finite at the end"
    elif len(sets) > 1:
        finding = f"lowest {number(ends[best])} ({short(best)})"
    else:
        costs = runs[best]["cost"]
        finding = (f"from {number(costs[0])} to {number(costs[-1])}" if costs.size > 1
                   else number(costs[0]))
    axes.set_title(f"Training cost: {finding}", fontsize=10)


def _lowest(runs: Mapping[str, Mapping[str, np.ndarray]], sets: Sequence[Sequence[str]]) -> str:
    """The title that says which validation cost is the lowest."""
    found = {label: finite(run["validation_cost"]).min() for label, run in runs.items()
             if np.isfinite(run.get("validation_cost", np.nan)).any()}
    if not found:
        return "Validation cost: never finite"
    whose = min(found, key=found.__getitem__)
    run = runs[whose]
    epoch = run["epoch"][np.flatnonzero(run["validation_cost"] == found[whose])[0]]
    return (f"Validation cost: lowest {number(found[whose])} at epoch {epoch:g}"
            + (f" ({short(whose)})" if len(sets) > 1 else ""))


def _measure_panel(axes: Axes, runs: Mapping[str, Mapping[str, np.ndarray]],
                   sets: Sequence[Sequence[str]], name: str) -> None:
    measure = MEASURES[name]
    axes.set_ylabel(measure.label)
    _epoch_axis(axes, runs)
    ends = {label: measure.factor * float(measure.best(finite(run[name])))
            for label, run in runs.items() if name in run}
    best = measure.best(np.array(list(ends.values())))
    whose = next(label for label, value in ends.items() if value == best)
    axes.set_title(measure.told.format(best) + (f" ({short(whose)})" if len(sets) > 1 else ""),
                   fontsize=10)


def _epoch_axis(axes: Axes, runs: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    epochs = np.concatenate([run["epoch"] for run in runs.values()])
    margin = 0.04 * np.ptp(epochs) or 0.5
    axes.set_xlim(epochs.min() - margin, epochs.max() + margin)
    restrain(axes)


def _runs_legend(figure: Figure, runs: Mapping[str, Mapping[str, np.ndarray]],
                 styles: Mapping[str, Mapping], sets: Sequence[Sequence[str]]) -> None:
    handles = []
    for label in list(runs)[:LISTED]:
        broken = runs[label]["epoch"][~np.isfinite(runs[label]["cost"])]
        name = short(label, 40) + (
            f" (not finite from epoch {broken[0]:g})" if broken.size else "")
        handles.append(Line2D([], [], **{**styles[label], "markersize": 5}, label=name))
    if len(runs) > LISTED:
        handles.append(Line2D([], [], linestyle="", label=f"and {len(runs) - LISTED} more"))
    if len(runs) <= LISTED:
        handles.append(Line2D([], [], linestyle="", marker="o", markersize=7, color=INK,
                              markerfacecolor="white", label="best epoch"))
    if any("validation_cost" in run for run in runs.values()):
        handles += [Line2D([], [], color=INK, label="training"),
                    Line2D([], [], color=INK, linestyle=(0, (6, 3)), label="validation (dashed)")]
    apart = [_apart(runs[labels[0]], runs[label]) for labels in sets for label in labels[1:]]
    note = None if not apart else "Thick to thin: runs that lie on one another (" + (
        f"training costs differ by at most {number(100 * max(apart), 1)}%)" if max(apart)
        else "training costs are equal)")
    width = max(len(handle.get_label()) for handle in handles) + 8
    figure.legend(handles=handles, loc="outside lower center", frameon=False, fontsize=9,
                  title=note, title_fontsize=9,
                  ncols=max(1, min(len(handles), int(16 * figure.get_figwidth()) // width)))
