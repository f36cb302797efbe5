"""The accuracies, small: networks learn, what is written is what was found, and none is judged by what it learnt from."""

import dataclasses
import json
import re

import numpy as np
import pytest

import functional_nn as fnn
from experiments import accuracies

WRITTEN = {"report.html", "accuracies.png", "metrics.jsonl", "config.json", "summary.json"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("accuracies") / "run"
    return accuracies.main(accuracies.Config(only=("iris", "mnist_100"), quick=True, out=str(out))), out


def test_the_network_learns(run):
    row = run[0]["rows"]["iris"]
    assert row["mean"] >= 0.9 and row["network"] == "4-16-3" and row["metric"] == "accuracy"


def test_a_regression_is_judged_by_r2():
    recipe, data = dataclasses.replace(accuracies.RECIPES["diabetes"], epochs=12), fnn.data.load("diabetes")
    trained = accuracies.train("diabetes", recipe, next(accuracies.parts(data, seeds=1)))
    row = accuracies.row(recipe, data, [trained])
    assert trained.score >= 0.3 and row["metric"] == "r2" and row["network"] == "10-16-1"
    printed = accuracies.text({"diabetes": row})
    assert "diabetes (R²)" in printed and f"{trained.score:.3f}" in printed


def test_everything_is_written(run):
    summary, out = run
    assert {path.name for path in out.iterdir()} == WRITTEN
    assert json.loads((out / "summary.json").read_text()) == summary
    config = json.loads((out / "config.json").read_text())
    assert config["recipes"]["iris"]["hidden"] == [16] and "jax" in config["versions"]
    trained = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(one["row"], one["fold"]) for one in trained] == [("iris", fold) for fold in range(5)]
    page = (out / "report.html").read_text()
    assert "5 trainings" in page and "mnist_100" in page and not re.search(r'(src|href)="https?:', page)


def test_the_table_says_what_the_summary_holds(run):
    rows, out = run[0]["rows"], run[1]
    trained = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    printed = accuracies.text(rows)
    assert max(map(len, printed.splitlines())) <= 80
    for name, row in rows.items():
        scores = [one["score"] for one in trained if one["row"] == name]
        assert row["mean"] == pytest.approx(np.mean(scores)) and row["lowest"] == min(scores)
        assert row["met"] == (row["mean"] >= row["target"]) and row["trainings"] == 5
        line = next(line for line in printed.splitlines() if line.startswith(name))
        assert f"{row['mean']:.2%}" in line
        assert ("yes" if row["met"] else "no") in line.split()


def test_the_full_table_fits_a_terminal():
    row = {"network": "784-800-800-10", "mean": 0.98, "lowest": 0.97, "highest": 1.0, "target": 0.98, "met": True,
           "seconds": 12345.0, "trainings": 15, "seconds_an_epoch": 12.3}
    printed = accuracies.text({name: {**row, "recipe": str(recipe), "metric": "r2" if name == "diabetes" else "accuracy"}
                               for name, recipe in accuracies.RECIPES.items()})
    assert max(map(len, printed.splitlines())) <= 80


def test_rows_without_their_data_are_skipped(run):
    assert run[0]["skipped"] == ["mnist_100"]


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_every_row_is_judged_once_a_seed_and_never_where_it_was_learnt_from(name):
    data = fnn.data.load(name)
    parts = list(accuracies.parts(data, seeds=2))
    assert [(part.seed, part.fold) for part in parts] == [(seed, fold) for seed in (0, 1) for fold in range(5)]
    n = len(data.x_train) + len(data.x_test)
    assert sum(len(part.judge[0]) for part in parts) == 2 * n
    for part in parts:
        assert len(part.train[0]) + len(part.judge[0]) == n
        np.testing.assert_allclose(part.train[0].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(part.train[0].std(axis=0), 1, atol=1e-5)
        assert abs(part.judge[0].mean(axis=0)).max() > 1e-3


def test_while_choosing_no_test_image_is_seen(monkeypatch):
    monkeypatch.setattr(accuracies, "HELD_OUT", 20)
    x, y = np.arange(120, dtype=np.float32)[:, None], np.arange(120, dtype=np.int32) % 10
    data = fnn.data.Dataset("mnist", x[:100], y[:100], x[100:], y[100:], ("pixel",), tuple("0123456789"))
    chosen, = accuracies.parts(data, seeds=1, choosing=True)
    assert chosen.seed == accuracies.CHOSEN_ON
    assert sorted([*chosen.train[0][:, 0], *chosen.judge[0][:, 0]]) == list(range(100)) and len(chosen.judge[0]) == 20
    final, = accuracies.parts(data, seeds=1)
    assert final.train[0] is data.x_train and final.judge[0] is data.x_test


@pytest.mark.parametrize(("arguments", "words"), [
    (["--only", "irs"], "unknown row 'irs'; did you mean 'iris'?"),
    (["--only", "mnist_100"], "a folder with the four files of MNIST for mnist_100, got none"),
    (["--data-dir", "nowhere", "--only", "mnist_100"], "data_dir must be an existing directory"),
    (["--seeds", "0"], "seeds must be an integer of at least 1"),
    (["--seed", "3"], "--seeds"),
])
def test_a_mistake_on_the_command_line_is_a_sentence(arguments, words, tmp_path, capsys):
    code = accuracies.command_line(accuracies.main, accuracies.Config, [*arguments, "--out", str(tmp_path / "run")])
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2 and words in said and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
