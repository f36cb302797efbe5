"""Learning curves: every run can be told apart, also runs that coincide, diverge or are many."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable, legend


def history(epochs, rate=0.3, **changes):
    epoch = np.arange(1, epochs + 1)
    cost = 2.3 * np.exp(-rate * epoch) + 0.02
    return {"epoch": epoch, "cost": cost, "validation_cost": cost + 0.1,
            "validation_accuracy": 0.97 - 0.6 * np.exp(-rate * epoch)} | changes


FOUR = {f"{gradients}, {steps}": history(30)
        for gradients in ("hand-written gradients", "jax.grad")
        for steps in ("our adam", "optax.adam")}
REGRESSION = {"epoch": [1, 2, 3], "cost": [3.0, 2.0, 1.5], "validation_cost": [3.5, 2.5, 2.6],
              "validation_rmse": [87.0, 61.5, 63.0]}
PICTURES = {
    "one run": lambda: plots.learning_curves({"sgd": history(30)}),
    "one epoch": lambda: plots.learning_curves({"sgd": history(1)}),
    "four coincide": lambda: plots.learning_curves(FOUR),
    "four coincide, one epoch": lambda: plots.learning_curves(
        {label: history(1) for label in FOUR}),
    "cost alone": lambda: plots.learning_curves(
        {"sgd": {"epoch": [0, 1, 2], "cost": [3.0, 2.0, 1.5]}}, title="A run"),
    "a regression": lambda: plots.learning_curves({"heights": REGRESSION}),
    "thirty runs": lambda: plots.learning_curves(
        {f"seed {seed}": history(9, 0.1 + 0.02 * seed) for seed in range(30)}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_can_be_read_and_no_global_state_is_touched(name):
    assert_readable(PICTURES[name])


def test_runs_that_coincide_are_drawn_thick_to_thin_and_the_legend_says_so():
    figure = plots.learning_curves(FOUR)
    widths = [line.get_linewidth() for line in figure.axes[0].lines[::2]]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 4
    assert legend(figure)[:4] == list(FOUR)
    assert figure.legends[0].get_title().get_text() == (
        "Thick to thin: runs that lie on one another (training costs are equal)")
    near = plots.learning_curves(
        {"a": history(5), "b": history(5, cost=history(5)["cost"] * (1 + 3e-5))})
    assert "differ by at most 0.003%" in near.legends[0].get_title().get_text()


def test_runs_that_differ_are_drawn_alike():
    figure = plots.learning_curves({"a": history(30, 0.1), "b": history(30, 0.3)})
    assert len({line.get_linewidth() for line in figure.axes[0].lines}) == 1
    assert figure.legends[0].get_title().get_text() == ""
    assert figure.axes[0].get_title() == "Validation cost: lowest 0.12 at epoch 30 (b)"


@pytest.mark.parametrize(("apart", "coincide"), [(0.009, True), (0.011, False)])
def test_runs_whose_costs_are_at_most_one_percent_apart_coincide(apart, coincide):
    near = history(30, cost=history(30)["cost"] * (1 - apart))
    figure = plots.learning_curves({"a": history(30), "b": near})
    widths = {line.get_linewidth() for line in figure.axes[0].lines}
    assert (len(widths) == 2) is coincide
    assert bool(figure.legends[0].get_title().get_text()) is coincide


def test_every_run_has_its_own_colour_or_marker():
    lines = plots.learning_curves(
        {f"run {index}": history(30, 0.1 * index) for index in range(35)}).axes[1].lines
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 35


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 30, 1000])
def test_epochs_are_ticked_at_whole_numbers(epochs):
    figure = plots.learning_curves({"sgd": history(epochs)})
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


def test_the_cost_axis_is_logarithmic_only_where_it_helps():
    to_zero = {"epoch": [1, 2], "cost": [1.0, 0.0]}
    assert plots.learning_curves({"a": history(30)}).axes[0].get_yscale() == "log"
    assert plots.learning_curves({"a": history(2)}).axes[0].get_yscale() == "linear"
    assert plots.learning_curves({"a": to_zero}).axes[0].get_yscale() == "linear"


def test_the_best_epoch_is_marked_on_every_panel_and_in_the_title():
    figure = plots.learning_curves({"a": REGRESSION})
    assert figure.axes[0].get_title() == "Validation cost: lowest 2.5 at epoch 2"
    marks = [axes.collections[0].get_offsets().tolist() for axes in figure.axes]
    assert marks == [[[2.0, 2.5]], [[2.0, 61.5]]] and "best epoch" in legend(figure)
    alone = plots.learning_curves({"a": {"epoch": [1, 2, 3], "cost": [3.0, 1.0, 2.0]}})
    assert alone.axes[0].collections[0].get_offsets().tolist() == [[2.0, 1.0]]
    many = plots.learning_curves({str(seed): history(9, 0.1 + seed) for seed in range(15)})
    assert not many.axes[0].collections and "best epoch" not in legend(many)


def test_a_run_that_diverges_says_when():
    figure = plots.learning_curves(
        {"fast": history(3, cost=np.array([1.0, np.nan, np.inf])), "slow": history(3)})
    assert legend(figure)[0] == "fast (not finite from epoch 2)"
    assert "nan" not in figure.axes[0].get_title()
    alone = plots.learning_curves({"fast": {"epoch": [1], "cost": [np.inf]}})
    assert alone.axes[0].get_title() == "Training cost: not finite at the end"
    plots.png(alone)


@pytest.mark.parametrize(("histories", "says"), [
    ({}, "at least one run"),
    ({"sgd": {"epoch": [1]}}, "history of 'sgd' must hold 'cost', got epoch"),
    ({"sgd": {"epoch": [1, 2], "cost": [1.0]}}, "arrays of one shape"),
    ({"sgd": {"epoch": [], "cost": []}}, "arrays of one shape"),
])
def test_histories_that_cannot_be_drawn_are_named(histories, says):
    with pytest.raises(ValueError, match=says):
        plots.learning_curves(histories)


def test_the_score_of_a_regression_is_its_rmse_and_the_lowest_is_best():
    figure = plots.learning_curves({"a": REGRESSION, "b": REGRESSION | {
        "cost": [9.0, 8.0, 7.0], "validation_rmse": [90.0, 80.0, 70.0]}})
    assert figure.axes[1].get_title() == "Validation rmse: best 61.5 (a)"
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), [87.0, 61.5, 63.0])
