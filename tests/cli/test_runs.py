"""Laws of the commands together: what one writes about a run is what the others print."""

import json

import jax
import numpy as np
import pytest

from functional_nn import handover
from tests.cli.runs import call, done, lines

pytestmark = pytest.mark.usefixtures("compiled_once", "drawn_once")


@pytest.mark.parametrize("run", ["trees", pytest.param("line", marks=pytest.mark.slow)])
def test_json_is_all_that_is_printed(run, request, capsys):
    folder, rows = request.getfixturevalue(run), f"{run}.csv"
    summary = json.loads((folder / "summary.json").read_text())
    again = (("train", "--config", folder / "config.json", "--out", "new") if run == "line"
             else ("resume", folder))
    told = json.loads(done(capsys, *again, "--json").out)
    assert set(told) == set(summary) and told["test"] == summary["test"]
    summary["seconds"] = json.loads((folder / "summary.json").read_text())["seconds"]
    judged = done(capsys, "evaluate", folder, "--json")
    assert json.loads(judged.out)["scores"] == summary["test"] and judged.err == ""
    described = json.loads(done(capsys, "describe", folder, "--json").out)
    assert described == {"config": json.loads((folder / "config.json").read_text()),
                         "summary": summary, "history": lines(folder / "metrics.jsonl")}
    predicted = json.loads(done(capsys, "predict", folder, rows, "--json").out)
    assert [set(row) for row in predicted] == [{"prediction"}] * 60


@pytest.mark.parametrize("options", [
    pytest.param(("line.csv", "--learning-rate", "30"), marks=pytest.mark.slow),
    ("line.csv", "--learning-rate", "1e20"),
    pytest.param(("trees.csv", "--learning-rate", "1e38"), marks=pytest.mark.slow)])
def test_a_run_that_diverges_says_so_and_keeps_the_last_good_model(work, capsys, options):
    said = call(capsys, "train", *options, "--optimizer", "sgd", "--epochs", "9", "--hidden", "6",
                "--out", "bad")
    assert said.code == 1 and "Warning" not in said.err
    assert said.err.splitlines()[-1].startswith("error: diverged") and said.err.endswith(
        "the model holds the last good parameters\n")
    params = handover.load("bad/model").params
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    summary = json.loads((work / "bad" / "summary.json").read_text())
    assert summary["stopped"].startswith("diverged")
    assert "diverged" in done(capsys, "describe", "bad").out
    json.loads(done(capsys, "evaluate", "bad", "--json").out)
    again = call(capsys, "resume", "bad")
    assert again.code == 1 and again.err.splitlines()[-1] == said.err.splitlines()[-1]


def test_the_fewest_rows_that_can_be(work, capsys):
    """One test row has no R², and none is printed, without a warning."""
    rows = "".join(f"{i},{1.5 * i + 0.25}\n" for i in range(5))
    (work / "few.csv").write_text("a,y\n" + rows)
    said = done(capsys, "train", "few.csv", "--epochs", "2", "--validation", "0", "--out", "few")
    assert "Warning" not in said.err
    assert json.loads((work / "few" / "summary.json").read_text())["test"]["r2"] is None
    assert "r2 –" in done(capsys, "describe", "few").out
    assert "nan" in done(capsys, "evaluate", "few").out
