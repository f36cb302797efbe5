"""`functional-nn replay`: the page of a run."""

import pytest

import functional_nn as fnn
from functional_nn.timemachine import recording
from tests.cli.runs import call, done


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    monkeypatch.setattr(recording, "_verdict", lambda course, way, step, *more: recording.Verdict(step, True, ""))


def test_a_run_is_taken_again_to_the_bit(trees, capsys):
    said = done(capsys, "replay", "trees", "--steps", "5", "--mistakes", "sign")
    assert "to the bit" in said.out and "wrote    trees/replay.html" in said.out
    assert "5 of the " in said.out and "mistake" in (trees / "replay.html").read_text()
    assert said.err == ""


@pytest.mark.slow
def test_so_is_one_of_a_regression(line, capsys):
    said = done(capsys, "replay", "line", "--epochs", "2", "--out", "page.html")
    assert "the costs of 2 of 2 epochs are those of the run, to the bit" in said.out
    assert "exists already" in call(capsys, "replay", "line", "--out", "page.html").err


@pytest.mark.parametrize(("arguments", "error"), [
    (["none"], "none is no folder"), (["trees", "--steps", "0"], "--steps must be"),
    (["trees", "--mistakes", "signs"], "unknown mistake 'signs'; did you mean 'sign'?"),
    (["trees", "--epochs", "99"], "--epochs must be"), (["trees", "--out", "none/a.html"], "no folder none"),
    ([], "needs RUN")])
def test_a_mistake_is_a_sentence(arguments, error, work, capsys):
    said = call(capsys, "replay", *arguments)
    assert (said.code, said.out) == (2, "") and error in said.err and said.err.count("\n") == 1


def test_a_run_without_an_epoch_says_how_to_go_on(trees, capsys):
    (trees / "metrics.jsonl").unlink()
    assert "has finished no epoch yet; functional-nn resume trees goes on" in call(capsys, "replay", "trees").err


def test_rows_that_have_changed_are_refused(trees, work, capsys):
    text = (work / "trees.csv").read_text().splitlines()
    (work / "trees.csv").write_text("\n".join(text[:-3]) + "\n")
    assert "have changed" in call(capsys, "replay", "trees", "--data", "trees.csv").err
    assert not (trees / "replay.html").exists() and fnn.timemachine.MISTAKES
