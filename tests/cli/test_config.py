"""A configuration is read as it was written, and its wrong options are named."""

import json
import math

import pytest

from functional_nn.cli.config import Config, checked, read
from functional_nn.cli.usage import Unusable
from functional_nn.records import write_json
from tests.cli.runs import done, edit_json

OTHERS = Config(
    data="trees.csv", start="runs/first", data_dir="pictures", target="size", task="classification",
    categories=("kind",), ignore=("a b", "größe"), header=False, keep=("id",), missing="drop", missing_values=("-", ""),
    encoding="latin-1", separator=";", decimal=",", thousands=".", test="test.csv", groups="who", split="time", test_share=0.25, standardize=False, hidden=(),
    activation="tanh", dropout=0.5, input_dropout=0.125, loss="mse", optimizer="sgd",
    learning_rate=1e-38, schedule="linear", momentum=0.5, batch_size=7, epochs=3, l1=0.1,
    l2=1 / 3, clip=1.5, class_weights="balanced", validation=0.0625, patience=2, monitor=True,
    seed=2**32 - 1, every=9, tensorboard=True)


@pytest.mark.usefixtures("compiled_once", "drawn_once")
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
