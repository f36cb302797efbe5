"""A configuration is read as it was written, and makes what its options say."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

from functional_nn import activations, losses
from functional_nn.cli.config import (
    HIDDEN,
    OPTIMIZERS,
    Config,
    checked,
    load_data,
    network,
    optimizer,
    penalty,
    read,
)
from functional_nn.cli.usage import Unusable
from functional_nn.data import load
from functional_nn.layers import dense
from functional_nn.records import write_json
from tests.cli.runs import done, edit_json, write_data

OTHERS = Config(
    data="trees.csv", data_dir="pictures", target="size", task="classification",
    categories=("kind",), ignore=("a b", "größe"), header=False, keep=("id",), missing="drop", missing_values=("-", ""),
    encoding="latin-1", separator=";", decimal=",", thousands=".", test="test.csv", groups="who", split="time", test_share=0.25, standardize=False, hidden=(),
    activation="tanh", dropout=0.5, input_dropout=0.125, loss="mse", optimizer="sgd",
    learning_rate=1e-38, schedule="linear", momentum=0.5, batch_size=7, epochs=3, l1=0.1,
    l2=1 / 3, clip=1.5, class_weights="balanced", validation=0.0625, patience=2, monitor=True,
    seed=2**32 - 1, every=9, tensorboard=True)
PARAMS = {"w": np.array([[3.0, -4.0]], np.float32), "b": np.array([2.0], np.float32)}


@pytest.fixture
def csv(tmp_path, monkeypatch):
    """The current folder is a new one, which holds trees.csv and line.csv."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("compiled_once")
def test_a_configuration_may_be_written_by_hand(work, capsys):
    (work / "mine.json").write_text(
        '{"data": "line.csv", "epochs": 2, "l2": 1, "hidden": [3, 2], "categories": ["b"]}')
    edit_json(work / "mine.json", categories=[])
    done(capsys, "train", "--config", "mine.json", "--out", "mine")
    config = json.loads((work / "mine" / "config.json").read_text())
    assert config["l2"] == 1.0 and config["hidden"] == [3, 2]
    assert config["data"] == str((work / "line.csv").resolve())


def test_a_configuration_is_read_as_it_was_written(tmp_path):
    assert all(value != getattr(Config(), name) for name, value in vars(OTHERS).items())
    for config in (Config(), OTHERS):
        write_json(tmp_path / "config.json", vars(config))
        assert read(tmp_path / "config.json") == config


def test_an_entry_that_the_file_lacks_has_its_default(tmp_path):
    (tmp_path / "c.json").write_text('{"hidden": [3, 2], "l2": 1, "patience": null}')
    config = read(tmp_path / "c.json")
    assert config == Config(hidden=(3, 2), l2=1.0) and type(config.l2) is float


@pytest.mark.parametrize("content", [
    b"[]", b"{", b"\xff", b"[" * 99999, b'{"epoch": 1}', b'{"epochs": 1.0}', b'{"epochs": true}',
    b'{"hidden": 3}', b'{"hidden": [3.0]}', b'{"schedule": "cos"}', b'{"schedule": null}',
    b'{"monitor": 1}', b'{"clip": "1"}', b'{"seed": -1}', b'{"categories": [3]}',
    b'{"l2": 1' + b"0" * 400 + b"}"])
def test_a_file_without_a_valid_configuration_is_unusable(content, tmp_path):
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(Unusable, match=r"c\.json"):
        read(tmp_path / "c.json")


def test_a_file_that_cannot_be_read_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.json")
    with pytest.raises(Unusable, match=r"must be a file, got a folder; name the config\.json"):
        read(tmp_path)


def test_valid_options_are_returned_unchanged():
    for config in (Config(), OTHERS):
        assert checked(config) is config


@pytest.mark.parametrize(("error", "name", "values"), [
    (ValueError, "dropout", (-0.1, 1.0, math.nan)), (ValueError, "input_dropout", (-0.1, 1.0)),
    (ValueError, "validation", (-0.1, 1.0)), (ValueError, "batch_size", (0, -1)),
    (ValueError, "epochs", (0,)), (TypeError, "epochs", (2.0, True, "2")),
    (ValueError, "patience", (0,)), (ValueError, "every", (0,)), (ValueError, "hidden", ((8, 0),)),
    (ValueError, "learning_rate", (-1.0, math.inf, math.nan)), (ValueError, "l1", (-1.0, math.inf)),
    (ValueError, "l2", (-1.0, math.inf)), (TypeError, "l2", ("1",)),
    (ValueError, "clip", (0.0, -1.0, math.inf)), (ValueError, "seed", (-1, 2**32))])
def test_an_option_out_of_range_is_named(error, name, values):
    for value in values:
        with pytest.raises(error, match=f"^--{name.replace('_', '-')}[ ,]"):
            checked(Config(**{name: value}))


def test_patience_needs_rows_to_validate_on():
    with pytest.raises(ValueError, match="--patience looks at the validation cost"):
        checked(Config(patience=3, validation=0.0))
    assert checked(Config(validation=0.0)).patience is None


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


@pytest.mark.parametrize("activation", HIDDEN)
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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimiser_can_be_chosen(name):
    first, *_ = moves(Config(optimizer=name), 1)
    assert np.isfinite(first).all() and (first * GRADIENT < 0).all()


def test_a_penalty_is_the_sum_of_those_asked_for():
    assert penalty(Config()) is None
    for l1, l2 in ((0.5, 0.0), (0.0, 0.1), (0.5, 0.1)):
        asked = penalty(Config(l1=l1, l2=l2))
        assert float(asked.value(PARAMS)) == pytest.approx(l1 * 7 + l2 * 25 / 2)
