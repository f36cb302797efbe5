"""`functional-nn report`: runs side by side, and each mistake is a sentence."""

import html
import json
import os
import re
import shutil

import pytest

from functional_nn.cli import records
from functional_nn.webpage import is_one
from tests.cli.runs import call, done, edit_json, lines, snapshot

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    monkeypatch.setattr(records, "verdict", lambda job, params: records.Verdict(True, "RIGHT: stands in"))


def test_runs_of_other_tasks_stand_on_one_page(work, capsys):
    said = done(capsys, "report", "trees", "line")
    page = html.unescape((work / "report.html").read_text(encoding="utf-8"))
    assert said.out.startswith("wrote    report.html, ") and said.err == "" and is_one(page, "report")
    for name in ("trees", "line"):
        record = json.loads((work / name / "summary.json").read_text())
        for value in record["test"].values():
            assert f">{value:.4g}</td>" in page
        last = lines(work / name / "metrics.jsonl")[-1]
        assert f">{last['cost']:.4g}</td>" in page and f">{last['validation_cost']:.4g}</td>" in page
    assert page.count("RIGHT: stands in") == 2 and "Results on trees.csv" in page


def test_a_run_alone_has_the_page_that_train_wrote_and_its_verdict(trees, capsys):
    before = (trees / "report.html").read_text(encoding="utf-8")
    assert "wrote    trees/report.html" in done(capsys, "report", "trees").out
    after = (trees / "report.html").read_text(encoding="utf-8")

    def rest(page):
        return re.sub(r"<td>(not checked|✓ right)</td>\s*<td>.*?</td>", "", page)

    assert "not checked" in before and "✓ right" in after and rest(before) == rest(after)


def test_a_run_whose_data_are_gone_is_shown_and_says_so(trees, work, capsys):
    edit_json(trees / "config.json", data="/gone/oaks.csv")
    done(capsys, "report", "trees", "--out", "a.html")
    page = html.unescape((work / "a.html").read_text(encoding="utf-8"))
    assert "its data cannot be read: there is no file" in page and "Learning curves" in page


def test_a_run_that_was_killed_is_shown(trees, work, capsys):
    for name in ("model", "summary.json", "report.html"):
        shutil.rmtree(trees / name) if name == "model" else (trees / name).unlink()
    done(capsys, "report", "trees", "line", "--no-check")
    page = html.unescape((work / "report.html").read_text(encoding="utf-8"))
    assert "unfinished, " in page and "--no-check was given" in page


def test_the_same_run_twice_is_said_and_shown_once(work, capsys):
    os.symlink("trees", work / "link")
    said = done(capsys, "report", "trees", "line", "./trees/", "link")
    assert said.err.count("is given twice, and is shown once") == 2
    assert "<h1>2 runs</h1>" in (work / "report.html").read_text(encoding="utf-8")


def test_names_of_folders_are_escaped(trees, work, capsys):
    shutil.copytree(trees, work / "a<b>&\x1b[2J")
    said = done(capsys, "report", "trees", "a<b>&\x1b[2J")
    page = (work / "report.html").read_text(encoding="utf-8")
    assert "a&lt;b&gt;&amp;\\x1b[2J" in page and "<b>" not in page and "\x1b" not in page + said.out


@pytest.mark.parametrize(("arguments", "error"), [
    ([], "functional-nn report needs RUN"), (["tree"], "tree is no folder; did you mean trees?"),
    (["none/trees"], "none/trees is no folder; name one"), (["trees.csv"], "trees.csv is no folder; did you mean trees?"),
    ([".", "trees"], ". holds no run"), (["trees", "--out", "trees.csv"], "trees.csv exists and is no report; choose another"),
    (["trees", "--out", "none/a.html"], "no folder none"), (["trees", "--out", "line"], "line is a folder"),
    (["trees", "--out", "/dev/null"], "/dev/null is no file"), (["trees", "--outt", "a"], "did you mean --out?"), (["trees", "--no-check=1"], "takes no value")])
def test_a_mistake_is_a_sentence_and_nothing_is_written(arguments, error, work, capsys):
    before = snapshot(work)
    said = call(capsys, "report", *arguments)
    assert (said.code, said.out) == (2, "") and error in said.err and said.err.count("\n") == 1
    assert snapshot(work) == before


def test_a_file_that_is_no_report_is_replaced_if_that_is_asked_for(work, capsys):
    (work / "report.html").write_text("mine")
    assert "exists and is no report" in call(capsys, "report", "trees", "line").err
    done(capsys, "report", "trees", "line", "--replace", "--no-check")
    done(capsys, "report", "trees", "line", "--no-check")
    assert is_one((work / "report.html").read_text(encoding="utf-8"), "report")


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "summary.json"])
def test_a_damaged_file_is_named(name, trees, work, capsys):
    (trees / name).write_text("[1]\n")
    said = call(capsys, "report", "line", "trees")
    assert said.code == 2 and f"trees/{name}" in said.err and not (work / "report.html").exists()


def test_help_has_examples(capsys):
    assert "examples:\n  functional-nn report runs/" in call(capsys, "report", "--help").out
