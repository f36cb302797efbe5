"""A folder of a run is read as its files say, whoever wrote it and whatever it lacks."""

import json

import jax
import pytest

from functional_nn import handover
from functional_nn.cli import config, records
from functional_nn.cli.job import assemble
from functional_nn.cli.usage import Unusable
from tests.cli.runs import edit_json, lines

pytestmark = pytest.mark.usefixtures("compiled_once")


def test_a_trained_run_is_that_of_its_files(trees):
    run, record = records.trained(trees, "t"), json.loads((trees / "summary.json").read_text())
    rows = lines(trees / "metrics.jsonl")
    assert run.history == {name: [row[name] for row in rows] for name in rows[0]}
    assert (run.scores, run.versions, run.best_epoch) == (record["test"], record["versions"], record["best_epoch"])
    assert run.options["--hidden"] == (6,) and run.defaults["--hidden"] == (64,) and run.options["DATA"].endswith("trees.csv")
    assert [picture.heading for picture in run.pictures] == ["What it takes for what"]


def test_a_run_that_goes_on_has_its_curves_so_far(trees):
    for name in ("summary.json", "confusion.png"):
        (trees / name).unlink()
    (trees / "metrics.jsonl").write_text((trees / "metrics.jsonl").read_text() + '{"epoch": 7, "co')
    run = records.trained(trees, "t")
    assert run.ended.startswith("unfinished, ") and run.history["epoch"][0] == 1 and run.scores == {} == run.versions
    (trees / "metrics.jsonl").unlink()
    assert records.trained(trees, "t").unit == ""


def test_curves_of_an_experiment_are_told_apart_by_their_texts(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"keys": 3, "out": "x", "versions": {"jax": "1"}}))
    (tmp_path / "metrics.jsonl").write_text("".join(
        json.dumps({"way": way, "epoch": i, "cost": i / 2}) + "\n" for way in ("a", "<b>") for i in (1, 2)))
    (tmp_path / "summary.json").write_text('{"finding": "both", "pictures": ["../x.png", 3]}')
    runs = records.experiments(tmp_path, "e")
    assert [(run.name, run.history) for run in runs] == [
        (f"e: {way}", {"epoch": [1, 2], "cost": [0.5, 1.0]}) for way in ("a", "<b>")]
    assert runs[0].options == {"keys": 3} and runs[0].versions == {"jax": "1"} and runs[0].said == "both"


def test_where_the_epochs_begin_anew_a_further_curve_begins(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("".join(
        json.dumps({"seed": seed, "step": step, "cost": seed + step}) + "\n" for seed in (7, 8, 9) for step in (10, 20)))
    runs = records.experiments(tmp_path, "e")
    assert [(run.name, run.history["cost"], run.unit) for run in runs] == [
        ("e", [17, 27], "step"), ("e: (2)", [18, 28], "step"), ("e: (3)", [19, 29], "step")]


def test_entries_of_other_types_than_a_run_writes_do_no_harm(trees):
    edit_json(trees / "summary.json", versions=["<x>"], seconds="soon")
    run = records.trained(trees, "t")
    assert run.versions == {} and run.seconds is None
    (trees / "metrics.jsonl").write_text('{"epoch": 1, "cost": 1' + "0" * 400 + "}\n")
    (trees / "summary.json").unlink()
    with pytest.raises(Unusable, match="too large"):
        records.trained(trees, "t")


def test_an_experiment_without_curves_has_its_numbers(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(
        {"finding": "f", "error": 0.5, "seconds": 2, "many": [1, 2], "config": {"seeds": 5}, "versions": {"jax": "1"}}))
    (tmp_path / "metrics.jsonl").write_text('{"way": "a", "score": 1}\n')
    [run] = records.experiments(tmp_path, "e")
    assert (run.scores, run.seconds, run.options, run.history) == ({"error": 0.5}, 2, {"seeds": 5}, {})


@pytest.mark.parametrize("content", ["[]", "{", "3", "[" * 100_000, '"\\ud800"'])
@pytest.mark.parametrize("name", ["results.json", "config.json", "summary.json"])
def test_a_damaged_file_is_named(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(Unusable, match=name):
        records.experiments(tmp_path, "e")


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "cost": 1}\n[]\n')
    with pytest.raises(Unusable, match="line 2"):
        records.experiments(tmp_path, "e")


def test_who_wrote_a_folder_is_told_from_its_files(trees, tmp_path):
    assert records.is_run(trees) and records.is_trained(trees) and not records.is_run(tmp_path / "none")
    edit_json(trees / "config.json", keys=3)
    assert not records.is_trained(trees)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trees", "line"])
def test_the_gradient_of_a_run_is_right_and_a_fault_in_it_is_seen(name, work, monkeypatch):
    job = assemble(config.of_run(work / name / "config.json"), work / name)
    params = handover.load(work / name / "model").params
    assert records.verdict(job, params).right and records.verdict(job, params).text.startswith("RIGHT")
    monkeypatch.setattr(records.backprop, "value_and_grad", lambda net, loss: lambda params, X, Y: (
        0.0, jax.tree.map(lambda leaf: leaf + 1, params)))
    assert records.verdict(job, params).right is False
