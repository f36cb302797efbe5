"""What each experiment on the notes finds, small: its law holds, whatever its files look like."""

import functools
import importlib

import numpy as np
import pytest

from experiments import all as laboratory
from tests.slow import few

SMALL = {
    "neuron": {}, "forward": {}, "activations": {"points": 121}, "xor": {"seeds": 20, "quick": True},
    "linear_collapse": {"seeds": 4, "epochs": 500}, "losses": {"seeds": 3, "steps": 300},
    "backprop": {"seeds": 3}, "gradient_descent": {"seeds": 3, "rates": 7},
    "batching": {"seeds": 2, "rows": 200, "epochs": 4}, "standardising": {"seeds": 3, "epochs": 20, "rates": 5},
    "regression": {"seeds": 3, "epochs": 20, "steps": 1000}, "initialisation": {"seeds": 2, "epochs": 2},
    "vanishing": {"seeds": 3, "depth": 6, "rows": 100, "epochs": 4, "rates": 3, "quick": True},
    "overfitting": {"seeds": 3, "rows": 80, "epochs": 60},
    "attention": {"seeds": 2, "length": 4, "tokens": 4, "width": 16, "rows": 400, "learning_rate": 0.01, "epochs": 30},
}


@functools.cache
def found(name):
    """What the experiment measures, run small."""
    module = importlib.import_module(f"experiments.{name}")
    return module.measure(module.Config(**SMALL[name]))


def test_a_small_change_flips_a_step_and_moves_a_sigmoid_by_a_quarter_of_it():
    neuron = found("neuron")
    assert neuron["z"][5] == 1 and neuron["went"][5] == 1  # rain, no Monday, late: −2 + 4 − 1
    assert (neuron["moved"]["step"] == 1).all()
    np.testing.assert_allclose(neuron["moved"]["sigmoid"][:10], neuron["changes"][:10] / 4, rtol=1e-3)
    x, curves = neuron["x"], neuron["curves"]
    np.testing.assert_allclose(np.interp(2.0, x, curves["0"]), np.interp(0.0, x, curves["2"]))


@pytest.mark.slow
def test_no_perceptron_learns_xor_and_a_hidden_layer_does():
    xor = found("xor")
    assert xor["perceptrons"] == {"AND": 1, "OR": 1, "XOR": 0}
    assert xor["solved"]["8"].mean >= 0.95 > xor["solved"]["2"].mean


@pytest.mark.slow
def test_the_default_recipe_solves_xor_for_95_of_100_seeds():
    from experiments import xor

    config = xor.Config(quick=True)
    assert config.seeds == 100 and xor.measure(config)["solved"]["8"].mean >= 0.95


@pytest.mark.slow
def test_linear_layers_are_one_matrix_and_end_at_least_squares():
    collapse = found("linear_collapse")
    assert collapse["collapse"] < 1e-14 and collapse["node_by_node"] < 1e-15
    last, least = collapse["last_cost"], collapse["least_squares"]
    for layers in ("2 layers", "4 layers"):
        assert last[f"linear, {layers}"].mean == pytest.approx(least, rel=1e-3)
    assert last["tanh, 2 layers"].mean < least / 5


def test_the_worked_examples_are_12_and_163_and_every_way_computes_the_same():
    forward = found("forward")
    assert forward["n9a"] == 12 and forward["n9b"] == 163
    assert forward["ways_differ"] < 1e-15 and forward["sum_over_mean"] == 20
    np.testing.assert_allclose(forward["gradient_ratios"], 20)


@pytest.mark.slow
def test_derivatives_by_hand_are_the_automatic_ones():
    activations = found("activations")
    assert max(row["automatic"] for row in activations["activations"].values()) < 1e-14
    assert max(row["differences"] for row in activations["activations"].values()) < 1e-8
    assert activations["activations"]["sigmoid"]["steepest"] == 0.25
    np.testing.assert_allclose(activations["jacobian"]["by_hand"].sum(axis=0), 0, atol=1e-15)


@pytest.mark.slow
def test_only_the_squared_error_follows_an_outlier():
    losses = found("losses")
    assert max(losses["gradients"].values()) < 1e-12
    errors = losses["slope_errors"]
    assert errors["mse"].mean[-1] > 5
    for name in ("mae", "huber", "log_cosh", "epsilon_insensitive"):
        assert errors[name].mean[-1] < errors["mse"].mean[-1] / 10


def test_the_four_equations_are_exact_and_differences_are_best_in_between():
    backprop = found("backprop")
    assert max(backprop["written_out"].max(), backprop["automatic"].max()) < 2e-15
    mean = backprop["differences"].mean
    assert 2 <= np.argmin(mean) <= len(mean) - 3 and mean.min() < 1e-9 < mean[[0, -1]].min()
    assert backprop["neuron"]["formula"] == backprop["neuron"]["library"] == [2, 4, 2]
    np.testing.assert_allclose(backprop["line"]["formula"], backprop["line"]["library"], rtol=1e-6)


def test_descent_converges_below_the_bound_and_diverges_above():
    descent = found("gradient_descent")
    cost = {name: path["cost"] for name, path in descent["paths"].items()}
    small, right, large, uphill = cost.values()
    assert descent["paths"]["right: 0.5 · 2/λ"]["converged"] and right[-1] < small[-1] < small[0]
    assert large[-1] > large[-10] and uphill[-1] > 1e3 * uphill[0]
    assert descent["network"]["below"] > 2 and 1e-3 < descent["network"]["best"] < 20


@pytest.mark.slow
def test_smaller_batches_descend_faster_by_epoch():
    batches = found("batching")["batches"]
    last = [row["cost"].mean[-1] for row in batches.values()]
    assert last == sorted(last)
    assert batches["1"]["seconds_an_epoch"] > batches["all"]["seconds_an_epoch"]


@pytest.mark.slow
def test_standardised_inputs_are_learnt_and_raw_ones_are_not():
    ways = found("standardising")
    assert ways["standardised"]["accuracy"].mean[-1] >= 0.95 > 0.8 > ways["raw"]["accuracy"].mean[-1]
    assert ways["raw"]["condition"] > 1e5 and ways["standardised"]["condition"] < 2
    assert ways["constant"]["standardised"].tolist() == [0]


@pytest.mark.slow
def test_descent_ends_at_least_squares():
    regression = found("regression")
    assert max(regression["difference"], regression["line"]["difference"]) < 1e-10
    assert regression["line"]["w"] == pytest.approx(2, abs=0.1)
    assert regression["r2"]["linear neuron"].mean > 0.3


@pytest.mark.slow
def test_zeros_learn_nothing_and_large_weights_saturate():
    ways = found("initialisation")["ways"]
    assert ways["zeros"]["cost"].mean[-1] == pytest.approx(np.log(10), abs=0.01)
    assert ways["nielsen_large"]["saturated"].mean[-1] > 0.3 > 0.1 > ways["glorot_uniform"]["saturated"].mean[-1]
    assert ways["glorot_uniform"]["cost"].mean[-1] < ways["nielsen_large"]["cost"].mean[-1]


@pytest.mark.slow
def test_errors_vanish_through_sigmoids_and_not_through_relus():
    errors, dead = found("vanishing")["errors"], found("vanishing")["dead"]["share"].mean
    assert errors["sigmoid"]["first_over_last"][-1].high < 1e-3
    assert errors["relu"]["first_over_last"][-1].low > 0.1
    assert dead[0] < 0.01 and dead[-1] > dead[0]


@pytest.mark.slow
def test_what_is_learnt_by_heart_costs_more_on_unseen_images_and_each_remedy_helps():
    ways = found("overfitting")
    cost = {name: row["last_cost"].mean for name, row in ways.items()}
    assert ways["plain"]["training"].mean[-1] < 0.1 < ways["plain"]["unseen"].mean.min() < cost["plain"]
    assert max(value for name, value in cost.items() if name != "plain") < cost["plain"]


@pytest.mark.parametrize("name", few(SMALL, "neuron"))
def test_every_word_of_the_pictures_can_be_read(name, tmp_path, monkeypatch):
    from tests.plots.readable import unreadable

    module = importlib.import_module(f"experiments.{name}")
    pictures, measured = [], found(name)
    monkeypatch.setattr(module, "measure", lambda config: dict(measured))
    monkeypatch.setattr(module, "publish", lambda config, finding, numbers, drawn, *_: pictures.extend(drawn))
    module.main(module.Config(**SMALL[name], out=str(tmp_path / "run")))
    assert pictures
    for picture in pictures:
        assert unreadable(picture.figure) == [], picture.name


@pytest.mark.slow
def test_attention_finds_the_mirror_image_and_a_mask_hides_half_of_it():
    attention = found("attention")
    networks, chance = attention["networks"], 1 / 4
    assert attention["gradient_error"] < 1e-12
    assert networks["attention"]["right"].mean > 0.99 and networks["attention"]["mirrored"].mean > 0.9
    assert networks["causal attention"]["right"].mean == pytest.approx((1 + chance) / 2, abs=0.05)
    assert networks["causal attention"]["by_place"].mean[2:].min() > 0.99
    assert networks["no attention"]["right"].mean == pytest.approx(chance, abs=0.1)
    np.testing.assert_allclose(networks["causal attention"]["pattern"].sum(axis=1), 1, rtol=1e-5)
    assert not np.triu(networks["causal attention"]["pattern"], 1).any()


def test_every_experiment_of_the_laboratory_is_tried_here():
    apart = {"digits", "optimizers", "mnist", "micrograd", "nielsen"}  # they have files of tests of their own
    assert set(laboratory.EXPERIMENTS) == set(SMALL) | apart
