"""`resume` ends as the run would have without the stop, and leaves a run that is over as it is."""

import json
import shutil

import pytest

from functional_nn import checkpoint
from tests.cli.runs import TREES, call, done, lines, snapshot
from tests.slow import few

pytestmark = pytest.mark.usefixtures("compiled_once")


def epochs(run):
    return [row["epoch"] for row in lines(run / "metrics.jsonl")]


def test_a_run_that_is_over_stays_as_it_is_from_whatever_folder(trees, capsys, monkeypatch):
    before = snapshot(trees)
    monkeypatch.chdir(trees / "checkpoints")
    said = done(capsys, "resume", "..")
    assert said.out.startswith("the run had ended (epochs are over); functional-nn train --from ")
    summary = json.loads((trees / "summary.json").read_text())
    assert json.loads(done(capsys, "resume", "..", "--json").out) == summary
    assert snapshot(trees) == before


def test_a_run_that_is_over_says_how_to_train_on(line, capsys):
    said = done(capsys, "resume", line).out
    assert said == ("the run had ended (epochs are over); functional-nn resume line --epochs N "
                    "trains for more epochs\n")


@pytest.mark.parametrize("name", few(["report.html", "layers.json", "learning_curves.png"], "layers.json"))
def test_what_is_lost_of_a_run_that_is_over_is_written_again(name, trees, capsys):
    before = snapshot(trees)
    (trees / name).unlink()
    done(capsys, "resume", trees)
    after = snapshot(trees)
    assert after[name] == before[name] and after["summary.json"] == before["summary.json"]


def test_more_epochs_are_the_run_that_had_them_from_the_start(work, capsys):
    options = (*TREES, "--schedule", "constant", "--optimizer", "nadam", "--l2", "0.01")
    done(capsys, *options, "--epochs", "4", "--out", "whole")
    done(capsys, *options, "--epochs", "2", "--out", "parts")
    assert epochs(work / "parts") == [1, 2]
    done(capsys, "resume", "parts", "--epochs", "4")
    whole, parts = snapshot(work / "whole"), snapshot(work / "parts")
    assert set(whole) == set(parts)
    changed = {name for name in whole if whole[name] != parts[name]}
    assert changed <= {"summary.json", "model/manifest.json"} | {
        name for name in whole if name.startswith("checkpoints/")}
    one, other = (checkpoint.folder.content(max((work / name / "checkpoints").iterdir()))[1]
                  for name in ("whole", "parts"))
    assert one == other


def test_a_run_goes_on_from_its_checkpoints_whatever_else_is_lost(trees, capsys):
    before = snapshot(trees)
    for name in (
            "metrics.jsonl", "summary.json", "layers.json", "learning_curves.png",
            "confusion.png", "report.html"):
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
    for name in ("metrics.jsonl", "layers.json", "model/model.safetensors",
                 "learning_curves.png", "confusion.png", "report.html"):
        assert after[name] == before[name], name


def test_a_run_of_rows_that_have_changed_does_not_go_on(work, capsys):
    done(capsys, *TREES, "--epochs", "1", "--out", "run")
    head, first, *rest = (work / "trees.csv").read_text().splitlines()
    rows = [first.replace(first.split(",")[0], "9.9"), *(row.replace("0.", "1.") for row in rest)]
    (work / "trees.csv").write_text("\n".join([head, *rows]))
    before = snapshot(work)
    said = call(capsys, "resume", "run")
    assert said.code == 2 and f"the rows of {work / 'trees.csv'} have changed: " in said.err
    assert "give the file back as it was, say where it is with resume --data, or train anew with --config run/config.json" in said.err
    assert said.out == "" and snapshot(work) == before
    (work / "trees.csv").write_text("\n".join([head, *rest, first]) + "\n")
    assert "are in another order since the run of run began" in call(capsys, "resume", "run").err
