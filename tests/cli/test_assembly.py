"""The parts of a run are those that its options say."""

import dataclasses

import jax
import numpy as np
import pytest

from functional_nn import activations, losses
from functional_nn.cli import names
from functional_nn.cli.assembly import load_data, network, optimizer, penalty
from functional_nn.cli.config import Config
from functional_nn.cli.usage import Unusable
from functional_nn.data import load
from functional_nn.layers import dense
from tests.cli.runs import write_data

PARAMS = {"w": np.array([[3.0, -4.0]], np.float32), "b": np.array([2.0], np.float32)}


@pytest.fixture
def csv(tmp_path, monkeypatch):
    """The current folder is a new one, which holds trees.csv and line.csv."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_data_are_those_of_load(csv):
    options = {"target": "height", "ignore": ("kind",)}
    raw = load("trees.csv", test_share=0.25, seed=3, **options)
    got = load_data(Config(data="trees.csv", test_share=0.25, seed=3, **options))
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(got, name), getattr(raw, name))


def test_a_target_that_is_an_integer_is_an_index(csv):
    for place, name in (("0", "a"), ("-2", "b"), ("y", "y")):
        features = load_data(Config(data="line.csv", target=place)).feature_names
        assert set(features) == {"a", "b", "y"} - {name}


def test_data_must_be_named():
    with pytest.raises(Unusable, match="name the data to train on"):
        load_data(Config())
    with pytest.raises(ValueError, match="unknown data set 'irsi'"):
        load_data(Config(data="irsi"))


@pytest.mark.parametrize(("data", "loss", "wanted", "output", "n_out"), [
    ("trees.csv", None, "cross_entropy", "softmax", 2),
    ("trees.csv", "binary_cross_entropy", "binary_cross_entropy", "sigmoid", 1),
    ("line.csv", None, "mse", "linear", 1), ("line.csv", "mae", "mae", "linear", 1)])
def test_the_output_is_that_of_the_loss(csv, data, loss, wanted, output, n_out):
    config = Config(data=data, loss=loss, hidden=(5, 4), dropout=0.5, input_dropout=0.25)
    dataset = load_data(config)
    net, used = network(config, dataset)
    assert used == losses.get(wanted)
    assert (net.output.name, net.n_in, net.n_out) == (output, dataset.x_train.shape[1], n_out)
    assert [str(layer) for layer in net.layers] == [
        "dropout(0.25)", "dense(5, relu)", "dropout(0.5)", "dense(4, relu)", "dropout(0.5)",
        str(dense(n_out, output))]


def test_a_network_may_have_no_hidden_layer(csv):
    config = Config(data="line.csv", hidden=(), dropout=0.5)
    net, _ = network(config, load_data(config))
    assert len(net.layers) == 1


@pytest.mark.parametrize("activation", names.activations())
def test_each_activation_of_a_hidden_layer_can_be_chosen(csv, activation):
    record = activations.get(activation)
    assert record.elementwise and record.trains
    config = Config(data="line.csv", hidden=(4,), activation=activation)
    net, _ = network(config, load_data(config))
    params = net.init(jax.random.key(0))
    assert np.isfinite(net.apply(params, np.ones(2, np.float32))).all()


@pytest.mark.parametrize(("data", "loss", "error", "words"), [
    ("trees.csv", "mse", Unusable, "must be one of binary_cross_entropy, cross_entropy for clas"),
    ("line.csv", "cross_entropy", Unusable, "for a regression, got cross_entropy"),
    ("iris", "binary_cross_entropy", Unusable, "is for two classes, got 3; use cross_entropy"),
    ("iris", "cross", ValueError, "unknown loss 'cross'")])
def test_a_loss_that_does_not_suit_the_task_is_unusable(csv, data, loss, error, words):
    config = Config(data=data, loss=loss)
    with pytest.raises(error, match=words):
        network(config, load_data(config))


def moves(config, steps):
    """The change of the parameters in each of the steps 0 to `steps`, of a constant gradient."""
    made = optimizer(config, steps)
    state, found = made.init(PARAMS), []
    for _ in range(steps + 1):
        change, state = made.update(PARAMS, state, PARAMS)
        found.append(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(change)]))
    return np.array(found)


PLAIN_SGD = Config(optimizer="sgd", momentum=0.0, learning_rate=0.5)
GRADIENT = np.array([2.0, 3.0, -4.0])  # b before w


@pytest.mark.parametrize(("schedule", "rates"), [
    ("constant", [0.5, 0.5, 0.5, 0.5, 0.5]), ("linear", [0.5, 0.375, 0.25, 0.125, 0]),
    ("cosine", 0.25 * (1 + np.cos(np.pi * np.arange(5) / 4)))])
def test_a_schedule_falls_to_0_at_the_end_of_the_last_epoch(schedule, rates):
    got = moves(dataclasses.replace(PLAIN_SGD, schedule=schedule), 4)
    np.testing.assert_allclose(got, -np.outer(rates, GRADIENT), atol=1e-6)


def test_momentum_is_for_sgd_only():
    heavy = dataclasses.replace(PLAIN_SGD, momentum=0.5, schedule="constant")
    np.testing.assert_allclose(
        moves(heavy, 2), -0.5 * np.outer([1, 1.5, 1.75], GRADIENT), rtol=1e-6)
    adam, other = (Config(momentum=momentum) for momentum in (0.9, 0.1))
    np.testing.assert_array_equal(moves(adam, 2), moves(other, 2))


def test_the_gradient_is_clipped_before_the_optimiser_sees_it():
    clipped = dataclasses.replace(PLAIN_SGD, schedule="constant", clip=0.25)
    wanted = -0.5 * 0.25 * GRADIENT / np.linalg.norm(GRADIENT)
    np.testing.assert_allclose(moves(clipped, 1), [wanted, wanted], rtol=1e-6)
    np.testing.assert_array_equal(
        moves(dataclasses.replace(clipped, clip=6.0), 1),
        moves(dataclasses.replace(clipped, clip=None), 1))


@pytest.mark.parametrize("name", names.optimizers())
def test_each_optimiser_can_be_chosen(name):
    first, *_ = moves(Config(optimizer=name), 1)
    assert np.isfinite(first).all() and (first * GRADIENT < 0).all()


def test_a_penalty_is_the_sum_of_those_asked_for():
    assert penalty(Config(l2=0.0), 10) is None
    for l1, l2 in ((0.5, 0.0), (0.0, 0.1), (0.5, 0.1)):
        asked = penalty(Config(l1=l1, l2=l2), 10)
        assert float(asked.value(PARAMS)) == pytest.approx(l1 * 7 + l2 * 25 / 2)


def test_without_l2_the_penalty_fades_with_the_number_of_rows():
    """Rows times strength, the weight of the penalty beside the sum of the losses, is constant."""
    for rows in (10, 1000):
        assert float(penalty(Config(), rows).value(PARAMS)) == pytest.approx(5 / rows * 25 / 2)
