"""Laws of `train`, `resume`, `evaluate`, `predict` and `describe`: what one writes the others read, and the library has."""

import csv
import json
import math
import shlex
import shutil

import jax
import numpy as np
import pytest
import tyro

import functional_nn as fnn
from functional_nn import checkpoint, handover
from functional_nn.cli import folder as folders
from functional_nn.cli.config import Config, read
from functional_nn.cli.train import Train
from functional_nn.data import load, standardize
from functional_nn.metrics import METRICS
from tests.cli.runs import LINE, TREES, call, done, edit_json, snapshot

pytestmark = pytest.mark.usefixtures("compiled_once")



@pytest.fixture
def trees(work):
    """The run of classes."""
    return work / "trees"


@pytest.fixture
def line(work):
    """The run of a regression."""
    return work / "line"


def model(run):
    return (run / "model" / "model.safetensors").read_bytes()


def lines(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


def epochs(run):
    return [row["epoch"] for row in lines(run / "metrics.jsonl")]


def test_config_gives_the_same_run_again(trees, capsys):
    done(capsys, "train", "--config", trees / "config.json", "--out", "again")
    for name in ("config.json", "metrics.jsonl", "layers.json", "model/model.safetensors"):
        assert (trees.parent / "again" / name).read_bytes() == (trees / name).read_bytes()
    (trees.parent / "a=b").mkdir()
    shutil.copy(trees / "config.json", "a=b/config.json")
    done(capsys, "train", "--config=a=b/config.json", "--seed", "1", "--epochs", "1", "--out", "other")
    assert json.loads((trees.parent / "other" / "config.json").read_text()) == json.loads(
        (trees / "config.json").read_text()) | {"seed": 1, "epochs": 1}
    assert model(trees.parent / "other") != model(trees)


def test_the_run_is_the_call_of_fit(trees):
    data = standardize(load("trees.csv"))
    net = fnn.sequential(3, fnn.layers.dense(6, "relu", "he_normal"), fnn.layers.dropout(0.2), fnn.layers.dense(2, "softmax"))
    steps = 6 * math.ceil((len(data.x_train) - 5) / 16)  # 48 rows, 5 of them to validate on
    result = fnn.fit(
        net, "cross_entropy", fnn.optimizers.adam(fnn.schedules.cosine_decay(5e-3, steps)), (data.x_train, data.y_train),
        key=jax.random.key(0), epochs=6, batch_size=16, validation=0.1, restore_best=True, monitor=True, progress=False,
        stop=fnn.until_converged(0.0, 3))
    columns = [values.tolist() for values in result.history.values()]
    assert lines(trees / "metrics.jsonl") == [dict(zip(result.history, row, strict=True)) for row in zip(*columns, strict=True)]
    loaded = handover.load(trees / "model")
    jax.tree.map(np.testing.assert_array_equal, loaded.params, jax.tree.map(np.asarray, result.params))
    record = json.loads((trees / "summary.json").read_text())
    assert (record["stopped"], record["best_epoch"], record["epochs"]) == (
        result.stopped, result.best_epoch, len(result.history["epoch"]))
    assert json.loads((trees / "layers.json").read_text())["epoch"] == result.layers["epoch"].tolist()


@pytest.mark.parametrize("run", ["trees", "line"])
def test_json_is_all_that_is_printed(run, request, capsys):
    folder, rows = request.getfixturevalue(run), f"{run}.csv"
    summary = json.loads((folder / "summary.json").read_text())
    again = ("train", "--config", folder / "config.json", "--out", "new") if run == "line" else ("resume", folder)
    told = json.loads(done(capsys, *again, "--json").out)
    assert set(told) == set(summary) and told["test"] == summary["test"]
    summary["seconds"] = json.loads((folder / "summary.json").read_text())["seconds"]
    judged = done(capsys, "evaluate", folder, "--json")
    assert json.loads(judged.out)["scores"] == summary["test"] and judged.err == ""
    described = json.loads(done(capsys, "describe", folder, "--json").out)
    assert described == {"config": json.loads((folder / "config.json").read_text()), "summary": summary,
                         "history": lines(folder / "metrics.jsonl")}
    assert [set(row) for row in json.loads(done(capsys, "predict", folder, rows, "--json").out)] == [{"prediction"}] * 60


def test_evaluate_prints_what_the_summary_has(trees, capsys):
    summary = json.loads((trees / "summary.json").read_text())["test"]
    said = done(capsys, "evaluate", trees).out
    assert said.startswith("12 test rows of trees.csv\n") and all(f"{name:<18} {summary[name]:.4f}" in said for name in summary)
    counts = json.loads(done(capsys, "evaluate", trees, "--json").out)["confusion"]
    assert sum(map(sum, counts)) == 12 and counts[0][0] + counts[1][1] == round(12 * summary["accuracy"])


def table(text):
    return list(csv.DictReader(text.splitlines()))


def test_predictions_are_those_of_the_model(trees, capsys):
    model = handover.load(trees / "model")
    wanted = model.predict("trees.csv").tolist()
    assert [row["prediction"] for row in table(done(capsys, "predict", trees, "trees.csv").out)] == wanted
    said = done(capsys, "predict", trees / "model", "trees.csv", "--probabilities", "--out", "p.csv")
    assert (said.out, said.err) == ("", "wrote p.csv\n")
    rows = table((trees.parent / "p.csv").read_text())
    assert [row["prediction"] for row in rows] == wanted
    probabilities = np.array([[float(row["p(low)"]), float(row["p(tall)"])] for row in rows])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.astype(np.float32), model.outputs("trees.csv"))


def test_one_output_is_the_probability_of_the_second_class(work, capsys):
    done(capsys, *TREES, "--epochs", "4", "--loss", "binary_cross_entropy", "--out", "one")
    rows = json.loads(done(capsys, "predict", "one", "trees.csv", "--probabilities", "--json").out)
    for row in rows:
        assert row["p(low)"] + row["p(tall)"] == pytest.approx(1, abs=1e-6)
        assert row["prediction"] == ("tall" if row["p(tall)"] > 0.5 else "low")


def test_predictions_of_numbers_are_in_the_units_of_the_target(line, capsys):
    data = load("line.csv")
    np.save("rows.npy", data.x_test)
    predicted = [float(row["prediction"]) for row in table(done(capsys, "predict", line, "rows.npy").out)]
    scores = json.loads((line / "summary.json").read_text())["test"]
    assert abs(np.mean(predicted) - 500) < 60 and scores["r2"] > 0.5
    for name, value in scores.items():
        assert METRICS[name](data.y_test, np.array(predicted, np.float32)) == pytest.approx(value, rel=1e-5)


def test_a_run_that_is_over_stays_as_it_is_from_whatever_folder(trees, capsys, monkeypatch):
    before = snapshot(trees)
    monkeypatch.chdir(trees / "checkpoints")
    said = done(capsys, "resume", "..")
    after = snapshot(trees)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed <= {"summary.json"} and f"ended    {json.loads(after['summary.json'])['stopped']}" in said.out


def test_more_epochs_are_the_run_that_had_them_from_the_start(work, capsys):
    options = (*TREES, "--schedule", "constant", "--optimizer", "nadam", "--l2", "0.01")
    done(capsys, *options, "--epochs", "6", "--out", "whole")
    done(capsys, *options, "--epochs", "3", "--out", "parts")
    assert epochs(work / "parts") == [1, 2, 3]
    done(capsys, "resume", "parts", "--epochs", "6")
    whole, parts = snapshot(work / "whole"), snapshot(work / "parts")
    assert set(whole) == set(parts)
    assert {name for name in whole if whole[name] != parts[name]} <= {"summary.json", "model/manifest.json"} | {
        name for name in whole if name.startswith("checkpoints/")}
    one, other = (checkpoint.folder.content(max((work / name / "checkpoints").iterdir()))[1] for name in ("whole", "parts"))
    assert one == other


def test_a_run_goes_on_from_its_checkpoints_whatever_else_is_lost(trees, capsys):
    before = snapshot(trees)
    for name in ("metrics.jsonl", "summary.json", "layers.json", "learning_curves.png", "confusion.png"):
        (trees / name).unlink()
    shutil.rmtree(trees / "model")
    for path in sorted((trees / "checkpoints").iterdir())[1:]:
        path.unlink()
    (trees / "metrics.jsonl").write_bytes(b'{"epoch": 1, "co\xff')
    (trees / ".model.new").mkdir()
    said = call(capsys, "describe", trees)
    assert said.code == 0 and "unfinished; go on with: functional-nn resume trees" in said.out
    done(capsys, "resume", trees)
    after = snapshot(trees)
    for name in ("metrics.jsonl", "layers.json", "model/model.safetensors", "learning_curves.png", "confusion.png"):
        assert after[name] == before[name], name


def test_a_run_of_rows_that_have_changed_does_not_go_on(work, capsys):
    done(capsys, *TREES, "--epochs", "1", "--out", "run")
    head, first, *rest = (work / "trees.csv").read_text().splitlines()
    rows = [first.replace(first.split(",")[0], "9.9"), *(row.replace("0.", "1.") for row in rest)]
    (work / "trees.csv").write_text("\n".join([head, *rows]))
    before = snapshot(work)
    said = call(capsys, "resume", "run")
    assert said.code == 2 and "run['checksum of the training rows'] is" in said.err and said.out == ""
    assert snapshot(work) == before


def test_describe_says_what_is_not_as_it_stands(trees, capsys):
    said = done(capsys, "describe", trees).out
    assert said.startswith("options  --hidden 6 --dropout 0.2 --batch-size 16 --epochs 6 --patience 3 --monitor --every 2\n")
    assert "dense(6, relu)" in said and "model" in said.splitlines()[-1]


def test_the_options_that_describe_names_give_the_configuration(trees, capsys):
    changes = {"hidden": [], "standardize": False, "categories": ["a b", "it's"], "clip": 1.5, "target": "kind"}
    edit_json(trees / "config.json", **changes)
    (trees / "model").rename(trees.parent / "model")
    options, data = (line.partition("  ")[2] for line in done(capsys, "describe", trees).out.splitlines()[:2])
    given = tyro.cli(Train, args=[data.strip(), *shlex.split(options)])
    assert {name: getattr(given, name) for name in vars(Config())} == vars(read(trees / "config.json"))


@pytest.mark.parametrize(("options", "finite"), [
    (("line.csv", "--learning-rate", "30"), None), (("line.csv", "--learning-rate", "1e20"), False),
    (("trees.csv", "--learning-rate", "1e38"), None)])
def test_a_run_that_diverges_says_so_and_keeps_the_last_good_model(work, capsys, options, finite):
    said = call(capsys, "train", *options, "--optimizer", "sgd", "--epochs", "9", "--hidden", "6", "--out", "bad")
    assert said.code == 1 and "Warning" not in said.err
    assert said.err.splitlines()[-1].startswith("error: diverged") and said.err.endswith(
        "the model holds the last good parameters\n")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(handover.load("bad/model").params))
    summary = json.loads((work / "bad" / "summary.json").read_text())
    assert summary["stopped"].startswith("diverged")
    if finite is False:
        assert set(summary["test"].values()) == {None}
    assert "diverged" in done(capsys, "describe", "bad").out
    json.loads(done(capsys, "evaluate", "bad", "--json").out)
    if finite is False:
        again = call(capsys, "resume", "bad")
        assert again.code == 1 and again.err.splitlines()[-1] == said.err.splitlines()[-1]


def test_the_fewest_rows_that_can_be(work, capsys):
    """One test row has no R²: it is said to be none, without a warning."""
    (work / "few.csv").write_text("a,y\n" + "".join(f"{i},{1.5 * i + 0.25}\n" for i in range(5)))
    said = done(capsys, "train", "few.csv", "--epochs", "2", "--validation", "0", "--out", "few")
    assert "Warning" not in said.err
    assert json.loads((work / "few" / "summary.json").read_text())["test"]["r2"] is None
    assert "r2 –" in done(capsys, "describe", "few").out
    assert "nan" in done(capsys, "evaluate", "few").out


def test_a_folder_that_is_not_named_is_new_each_time(work):
    made = {folders.create(None, "line") for _ in range(3)}
    assert len(made) == 3 and all(path.is_dir() and str(path).startswith("runs/line/2") for path in made)


def test_tensorboard_has_every_number(work, capsys):
    """Read back as the format has it: the length and its checksum, the event and its checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    done(capsys, *LINE, "--epochs", "3", "--tensorboard", "--out", "new")
    (path,) = (work / "new").glob("events.out.tfevents.*")
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):
        length = int.from_bytes(data[at:at + 8], "little")
        event = event_pb2.Event.FromString(data[at + 12:at + 12 + length])
        found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        at += length + 16
    wanted = {(row["epoch"], name): np.float32(value) for row in lines(work / "new" / "metrics.jsonl") for name, value in
              row.items()}
    assert found == wanted


def test_a_configuration_may_be_written_by_hand(work, capsys):
    (work / "mine.json").write_text('{"data": "line.csv", "epochs": 2, "l2": 1, "hidden": [3, 2], "categories": ["b"]}')
    edit_json(work / "mine.json", categories=[])
    done(capsys, "train", "--config", "mine.json", "--out", "mine")
    config = json.loads((work / "mine" / "config.json").read_text())
    assert config["l2"] == 1.0 and config["hidden"] == [3, 2] and config["data"] == str((work / "line.csv").resolve())
