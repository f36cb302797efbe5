"""`train` is a call of `fit` with its options, and keeps the best epoch."""

import json
import math
import shutil

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import handover
from functional_nn.cli.config import Config
from functional_nn.cli.job import assemble
from functional_nn.data import load, standardize
from tests.cli.runs import done, lines

pytestmark = pytest.mark.usefixtures("compiled_once")


def model(run):
    return (run / "model" / "model.safetensors").read_bytes()



def test_config_gives_the_same_run_again(trees, capsys):
    done(capsys, "train", "--config", trees / "config.json", "--out", "again")
    for name in ("config.json", "metrics.jsonl", "layers.json", "model/model.safetensors"):
        assert (trees.parent / "again" / name).read_bytes() == (trees / name).read_bytes()
    (trees.parent / "a=b").mkdir()
    shutil.copy(trees / "config.json", "a=b/config.json")
    done(capsys, "train", "--config=a=b/config.json", "--seed", "1", "--epochs", "1",
         "--out", "other")
    assert json.loads((trees.parent / "other" / "config.json").read_text()) == json.loads(
        (trees / "config.json").read_text()) | {"seed": 1, "epochs": 1}
    assert model(trees.parent / "other") != model(trees)


def test_the_run_is_the_call_of_fit(trees):
    data = standardize(load("trees.csv"))
    net = fnn.sequential(
        3, fnn.layers.dense(6, "relu", "he_normal"), fnn.layers.dropout(0.2),
        fnn.layers.dense(2, "softmax"))
    steps = 6 * math.ceil((len(data.x_train) - 5) / 16)  # 48 rows, 5 of them to validate on
    result = fnn.fit(
        net, "cross_entropy", fnn.optimizers.adam(fnn.schedules.cosine_decay(5e-3, steps)),
        (data.x_train, data.y_train), key=jax.random.key(0), epochs=6, batch_size=16,
        validation=0.1, restore_best=True, monitor=True, progress=False,
        penalty=fnn.penalties.l2(5 / 43),
        stop=fnn.until_converged(0.0, 3))
    columns = [values.tolist() for values in result.history.values()]
    assert lines(trees / "metrics.jsonl") == [
        dict(zip(result.history, row, strict=True)) for row in zip(*columns, strict=True)]
    loaded = handover.load(trees / "model")
    jax.tree.map(
        np.testing.assert_array_equal, loaded.params, jax.tree.map(np.asarray, result.params))
    record = json.loads((trees / "summary.json").read_text())
    assert (record["stopped"], record["best_epoch"], record["epochs"]) == (
        result.stopped, result.best_epoch, len(result.history["epoch"]))
    layers = json.loads((trees / "layers.json").read_text())
    assert layers["epoch"] == result.layers["epoch"].tolist()


def test_a_target_of_deviation_1_keeps_its_mean(work, capsys):
    y = np.where(np.arange(60) % 2, 501.0, 499.0)
    (work / "even.csv").write_text("a,y\n" + "".join(f"{v - 500},{v}\n" for v in y))
    options = ("even.csv", "--task", "regression", "--validation", "0", "--epochs", "1")
    for seed in range(20):  # the training rows must hold as many of one value as of the other
        job = assemble(Config(data="even.csv", task="regression", validation=0.0, seed=seed))
        if job.dataset.scale[1] == 1:
            break
    assert job.dataset.scale == (500, 1)
    done(capsys, "train", *options, "--seed", seed, "--out", "even")
    assert np.all(np.abs(handover.load("even/model").predict("even.csv") - 500) < 50)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_once")
def test_the_model_of_a_run_with_validation_is_that_of_its_best_epoch(work, capsys):
    """With a constant rate, the run that ends at the best epoch is the start of the longer one."""
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{c}" for a, b, c in zip(
        *rng.normal(size=(2, 80)), rng.integers(0, 2, 80), strict=True)]
    (work / "noise.csv").write_text("\n".join(["a,b,label", *rows]) + "\n")
    options = ("train", "noise.csv", "--schedule", "constant", "--learning-rate", "0.1", "--l2", "0")
    said = done(capsys, *options, "--epochs", 24, "--out", "long")
    summary = json.loads((work / "long" / "summary.json").read_text())
    best = summary["best_epoch"]
    assert 1 <= best == summary["kept_epoch"] < 24
    assert f"the best epoch was {best}, and is kept" in said.out
    done(capsys, *options, "--epochs", best, "--out", "short")
    models = [handover.load(run + "/model").params for run in ("long", "short")]
    jax.tree.map(np.testing.assert_array_equal, *models)
    done(capsys, *options, "--epochs", 3, "--validation", 0, "--out", "none")
    summary = json.loads((work / "none" / "summary.json").read_text())
    assert summary["kept_epoch"] == 3


def test_the_progress_of_a_regression_is_in_the_unit_of_its_target(line):
    """The validation cost is the mse of the target divided by its deviation."""
    deviation = handover.load(line / "model").data.scale[1]
    for row in lines(line / "metrics.jsonl"):
        assert row["validation_rmse"] == pytest.approx(
            deviation * math.sqrt(row["validation_cost"]), rel=1e-5)
        assert 0 < row["validation_mae"] <= row["validation_rmse"]
