"""The main job, small: its finding holds, and what it writes is all there."""

import json
import re

import pytest

from experiments import digits

WRITTEN = {"report.html", "learning_curves.png", "confusion.png", "metrics.jsonl", "config.json", "summary.json"}
SMALL = {"hidden": (16,), "epochs": 6, "keys": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits") / "run"
    return digits.main(digits.Config(**SMALL, out=str(out))), out


def test_the_gradient_is_right():
    net, data = digits.assemble(digits.Config(hidden=(4,)))
    assert digits.verify(net, data, seed=0).max_relative_error <= 1e-12


@pytest.mark.slow
def test_the_gradient_is_right_and_the_four_ways_agree(run):
    summary, _ = run
    assert summary["gradient_max_relative_error"] <= 1e-12
    assert summary["ways_max_relative_difference"] <= 1e-9
    assert 0 < summary["ways_max_relative_difference_float32"] < 0.1
    assert summary["test_accuracy"] > 0.9


@pytest.mark.slow
def test_everything_is_written(run):
    summary, out = run
    assert {path.name for path in out.iterdir()} == WRITTEN
    assert json.loads((out / "summary.json").read_text()) == summary
    config = json.loads((out / "config.json").read_text())
    assert config["hidden"] == [16] and config["epochs"] == 6 and "jax" in config["versions"]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 8 * 6 and {row["dtype"] for row in rows} == {"float32", "float64"}
    page = (out / "report.html").read_text()
    assert "differs by" in page and not re.search(r'(src|href)="https?:', page)


@pytest.mark.slow
def test_the_ways_are_four_in_two_precisions(run):
    _, out = run
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len({(row["gradient"], row["optimizer"], row["dtype"]) for row in rows}) == 8


@pytest.mark.parametrize(("arguments", "words"), [
    (["--hidden", "0"], "hidden[0] must be an integer of at least 1, got 0"),
    (["--activation", "rellu"], "did you mean 'relu'?"),
    (["--learning-rate", "-1"], "learning_rate must be"),
    (["--momentum", "1"], "momentum must be"),
    (["--batch-size", "5000"], "batch_size must be an integer from 1 to 1437, got 5000"),
    (["--epochs", "0"], "epochs must be an integer of at least 1, got 0"),
    (["--keys", "0"], "keys must be"),
    (["--input-dropout", "1"], "rate must be"),
    (["--epoch", "3"], "--epochs"),
    (["--epochs", "three"], "--epochs"),
])
def test_a_mistake_on_the_command_line_is_a_sentence(arguments, words, tmp_path, capsys):
    code = digits.command_line(digits.main, digits.Config, [*arguments, "--out", str(tmp_path / "run")])
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2 and words in said and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    code = digits.command_line(digits.main, digits.Config, ["--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert code == 2 and "must be a new or an empty folder" in said and "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"] and (tmp_path / "mine.txt").read_text() == "keep"
