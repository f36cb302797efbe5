"""`evaluate`, `predict` and `describe` tell of a run what its files and the library have."""

import csv
import json
import shlex

import numpy as np
import pytest

from functional_nn import handover
from functional_nn.cli.commands import Train, train_options
from functional_nn.cli.config import Config, read
from functional_nn.cli.job import assemble
from functional_nn.cli.options import given as options_given
from functional_nn.data import load
from functional_nn.metrics import METRICS
from tests.cli.runs import TREES, call, done, edit_json

pytestmark = pytest.mark.usefixtures("compiled_once", "drawn_once")


def test_evaluate_prints_what_the_summary_has(trees, capsys):
    summary = json.loads((trees / "summary.json").read_text())["test"]
    said = done(capsys, "evaluate", trees).out
    assert said.startswith("12 test rows of trees.csv\n")
    assert all(f"{name:<18} {summary[name]:.4f}" in said for name in summary)
    counts = json.loads(done(capsys, "evaluate", trees, "--json").out)["confusion"]
    assert sum(map(sum, counts)) == 12
    assert counts[0][0] + counts[1][1] == round(12 * summary["accuracy"])


def table(text):
    return list(csv.DictReader(text.splitlines()))


def test_predictions_are_those_of_the_model(trees, capsys):
    model = handover.load(trees / "model")
    wanted = model.predict("trees.csv").tolist()
    said = done(capsys, "predict", trees, "trees.csv")
    assert [row["prediction"] for row in table(said.out)] == wanted
    said = done(
        capsys, "predict", trees / "model", "trees.csv", "--probabilities", "--out", "p.csv")
    assert (said.out, said.err) == ("", "wrote p.csv\n")
    rows = table((trees.parent / "p.csv").read_text())
    assert [row["prediction"] for row in rows] == wanted
    probabilities = np.array([[float(row["p(low)"]), float(row["p(tall)"])] for row in rows])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.astype(np.float32), model.outputs("trees.csv"))


@pytest.mark.slow
def test_one_output_is_the_probability_of_the_second_class(work, capsys):
    done(capsys, *TREES, "--epochs", "4", "--loss", "binary_cross_entropy", "--out", "one")
    said = done(capsys, "predict", "one", "trees.csv", "--probabilities", "--json")
    for row in json.loads(said.out):
        assert row["p(low)"] + row["p(tall)"] == pytest.approx(1, abs=1e-6)
        assert row["prediction"] == ("tall" if row["p(tall)"] > 0.5 else "low")


def test_predictions_of_numbers_are_in_the_units_of_the_target(line, capsys):
    data = load("line.csv")
    np.save("rows.npy", data.x_test)
    rows = table(done(capsys, "predict", line, "rows.npy").out)
    predicted = [float(row["prediction"]) for row in rows]
    scores = json.loads((line / "summary.json").read_text())["test"]
    assert abs(np.mean(predicted) - 500) < 60 and scores["r2"] > 0.5
    for name, value in scores.items():
        score = METRICS[name](data.y_test, np.array(predicted, np.float32))
        assert score == pytest.approx(value, rel=1e-5)


def test_describe_says_what_is_not_as_it_stands(trees, capsys):
    said = done(capsys, "describe", trees).out
    assert said.startswith(
        "options  --hidden 6 --dropout 0.2 --batch-size 16 --epochs 6 --patience 3 --every 2 "
        "--monitor\n")
    assert "dense(6, relu)" in said and "model" in said.splitlines()[-1]


def test_the_options_that_describe_names_give_the_configuration(trees, capsys):
    edit_json(trees / "config.json", hidden=[], standardize=False, categories=["a b", "it's", "c,d"],
              clip=1.5, target="kind")
    (trees / "model").rename(trees.parent / "model")
    described = done(capsys, "describe", trees).out.splitlines()
    options, data = (line.partition("  ")[2] for line in described[:2])
    given = train_options(options_given("train", Train, [data.strip(), *shlex.split(options)]))
    assert {name: getattr(given, name) for name in vars(Config())} == vars(
        read(trees / "config.json"))


def test_describe_trusts_no_summary_of_an_earlier_end(trees, capsys):
    """A run that was resumed, and killed after one more epoch, has a summary of fewer epochs."""
    assert "go on with" not in done(capsys, "describe", trees).out
    with open(trees / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 7, "cost": 0.5}\n')
    said = done(capsys, "describe", trees).out
    assert "unfinished; go on with: functional-nn resume trees" in said and "test  " not in said
    assert json.loads(done(capsys, "describe", trees, "--json").out)["summary"] is None


def test_the_best_epoch_is_in_the_history_and_units_are_said(line, capsys):
    best = json.loads((line / "summary.json").read_text())["best_epoch"]
    said = done(capsys, "describe", line).out
    table = said.partition("\nepoch ")[2].partition("\n\n")[0].splitlines()[1:]
    assert str(best) in [row.split()[0] for row in table] and len(table) <= 9
    units = "units    mae and rmse are in the unit of y; the cost is the mse of y scaled to devi"
    assert units in said and units in done(capsys, "evaluate", line).out
    (line / "rows.npz").unlink()
    assert "in the unit of the target;" in done(capsys, "describe", line).out


GAPS = "who,height,kind,size\n" + "".join(
    f"p{i // 5},{'' if i % 7 == 3 else i % 11 / 2},{'' if i % 9 == 4 else 'elm' if i % 2 else 'oak'},{'tall' if i % 11 > 5 else 'low'}\n"
    for i in range(60))


def test_a_file_with_gaps_is_learnt_evaluated_and_predicted(work, capsys):
    """What is filled in is remembered, and rows are known again although the file has grown."""
    (work / "gaps.csv").write_text(GAPS)
    said = call(capsys, "train", "gaps.csv", "--epochs", "2")
    assert said.code == 2 and "--missing drop" in said.err and "missing=" not in said.err
    said = done(capsys, "train", "gaps.csv", "--epochs", "2", "--hidden", "6", "--missing", "mean", "--groups", "who", "--out", "g")
    assert "note     gaps.csv: 15 of 60 rows miss a value" in said.out
    before = done(capsys, "evaluate", "g").out
    model = handover.load("g/model")
    assert model.data.encoder.fill is not None and "who" not in model.feature_names
    (work / "gaps.csv").write_text(GAPS + "p0,,elm,low\np99,2,,tall\n")
    after = done(capsys, "evaluate", "g").out
    assert after.startswith(before) and "2 rows of " in after
    (work / "new.csv").write_text("height,kind\n,elm\n1,\n")
    filled = done(capsys, "predict", "g", "new.csv", "--probabilities").out
    x = [{"height": model.data.encoder.fill[0], "kind": "elm"}, {"height": 1, "kind": "oak"}]
    kinds = dict(zip(model.data.encoder.categories["kind"], model.data.encoder.fill[1:], strict=True))
    x[1]["kind"] = max(kinds, key=kinds.get)
    np.testing.assert_allclose([[float(row["p(low)"]), float(row["p(tall)"])] for row in table(filled)], model.outputs(x), rtol=1e-6)


def test_rows_of_a_group_are_on_one_side_and_validate_together(work):
    (work / "gaps.csv").write_text(GAPS)
    job = assemble(Config(data="gaps.csv", missing="drop", groups="who", validation=0.25))
    assert len(job.held[1]) and job.learnt == len(job.dataset.y_train) and not set(job.dataset.groups) - set(map("p{}".format, range(12)))
    every = [*job.dataset.y_train, *job.held[1], *job.dataset.y_test]
    assert len(every) == 60 - 15


def test_a_row_that_cannot_be_answered_is_skipped_if_asked(trees, capsys):
    (trees.parent / "new.csv").write_text("height,kind\n1,oak\n2,yew\n,elm\n")
    said = call(capsys, "predict", trees, "new.csv")
    assert said.code == 2 and "--unknown skip" in said.err and said.out == ""
    said = call(capsys, "predict", trees, "new.csv", "--unknown", "skip", "--probabilities")
    assert said.code == 1 and said.err == (
        "2 of 3 rows have no prediction, as they hold unknown categories or miss values; the first is row 2\n")
    first, *others = table(said.out)
    assert first["prediction"] in ("low", "tall") and all(set(row.values()) == {""} for row in others)
    skipped = json.loads(call(capsys, "predict", trees, "new.csv", "--unknown", "skip", "--json").out)
    assert [row["prediction"] for row in skipped] == [first["prediction"], None, None]
    said = call(capsys, "predict", trees, "new.csv", "--unknown", "ignore")
    assert said.code == 2 and "miss a value" in said.err
