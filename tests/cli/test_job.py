"""A job has the rows to learn from and the units of the target, and starts from another run."""

import json
import shutil

import jax
import numpy as np
import pytest

from functional_nn import handover
from functional_nn.cli.config import Config
from functional_nn.cli.job import START, assemble
from functional_nn.data import load
from tests.cli.runs import TREES, call, done, lines, snapshot
from tests.slow import few

pytestmark = pytest.mark.usefixtures("compiled_once", "drawn_once")


def test_a_job_has_the_rows_left_to_learn_from_and_the_units_of_the_target(work):
    """A regression has the mean and deviation of its training targets; classes have none."""
    classes, numbers = (assemble(Config(data=name)) for name in ("trees.csv", "line.csv"))
    assert (classes.learnt, classes.dataset.scale) == (43, None)
    assert classes.loss.name == "cross_entropy" and numbers.loss.name == "mse"
    y = load("line.csv").y_train.astype(np.float64)
    assert (numbers.learnt, numbers.dataset.scale) == (43, (y.mean(), y.std()))
    assert assemble(Config(data="line.csv", validation=0.0)).learnt == 48


@pytest.mark.parametrize("name", few(["trees", "line"], "line"))
def test_a_run_from_another_starts_with_its_network_and_its_scaling(name, work, capsys):
    """A rate of 0 leaves the network as it was, so that all its scores are those of the other."""
    done(capsys, "train", "--from", name, "--learning-rate", "0", "--epochs", "1", "--l2", "0",
         "--out", "next")
    first, second = (handover.load(f"{run}/model") for run in (name, "next"))
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert first.data.scale == second.data.scale
    np.testing.assert_array_equal(first.data.standardizer.mean, second.data.standardizer.mean)
    scores = [json.loads((work / run / "summary.json").read_text())["test"]
              for run in (name, "next")]
    assert scores[0] == scores[1]
    told = done(capsys, "describe", "next").out
    assert f"--from {work.resolve() / name}" in told


@pytest.mark.slow
def test_other_rows_are_scaled_as_the_rows_of_the_first_run_were(work, capsys):
    rng = np.random.default_rng(1)
    (work / "far.csv").write_text("a,b,y\n" + "".join(
        f"{a:.3f},{b:.3f},{v:.3f}\n" for a, b, v in rng.normal(9, 3, (40, 3))))
    done(capsys, "train", "far.csv", "--from", "line", "--epochs", "1", "--out", "next")
    first, second = (handover.load(f"{run}/model").data for run in ("line", "next"))
    np.testing.assert_array_equal(first.standardizer.deviation, second.standardizer.deviation)
    assert first.scale == second.scale


def test_a_run_from_another_goes_on_where_the_other_is_gone(work, capsys):
    options = ("train", "--from", "trees", "--epochs", "4", "--schedule", "constant")
    done(capsys, *options, "--out", "whole")
    done(capsys, *options[:3], "--epochs", "2", "--schedule", "constant", "--out", "parts")
    shutil.rmtree(work / "trees")
    done(capsys, "resume", "parts", "--epochs", "4")
    whole, parts = snapshot(work / "whole"), snapshot(work / "parts")
    for name in ("metrics.jsonl", "model/model.safetensors", f"{START}/model.safetensors"):
        assert whole[name] == parts[name], name


@pytest.mark.slow
def test_a_run_killed_before_its_first_step_starts_from_its_own_copy(work, capsys):
    done(capsys, "train", "--from", "trees", "--epochs", "2", "--out", "whole")
    shutil.copytree(work / "whole", work / "killed")
    for name in ("checkpoints", "model"):
        shutil.rmtree(work / "killed" / name)
    for name in ("summary.json", "metrics.jsonl"):
        (work / "killed" / name).unlink()
    done(capsys, *TREES, "--epochs", "2", "--out", "other")  # `trees` becomes another run
    shutil.rmtree(work / "trees")
    (work / "other").rename(work / "trees")
    done(capsys, "resume", "killed")
    assert lines(work / "killed" / "metrics.jsonl") == lines(work / "whole" / "metrics.jsonl")


def test_rows_that_the_first_run_was_trained_on_are_no_test(work, capsys):
    before = snapshot(work)
    said = call(capsys, "train", "--from", "trees", "--test-share", "0.5", "--out", "next")
    assert said.code == 2 and "kept for the test were trained on by " in said.err
    assert snapshot(work) == before
