"""A run leaves a whole directory or none; a user's mistake is one sentence, a program's keeps its traceback."""

import dataclasses
import json
import os
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments import common
from functional_nn import checks


@dataclasses.dataclass(frozen=True)
class Config:
    epochs: int = 3
    """Passes over the data."""
    out: str | None = None


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_a_run_appears_under_its_name_only_when_it_is_finished(here, capsys):
    with common.run_directory("digits", "deep/er/result") as directory:
        (directory / "record.txt").write_text("x")
        assert not (here / "deep/er/result").exists()
    assert everything(here) == ["deep", "deep/er", "deep/er/result", "deep/er/result/record.txt"]
    assert capsys.readouterr().out == "wrote deep/er/result\n"


def test_without_out_a_run_is_named_by_its_time_and_never_overwrites(here):
    for _ in range(3):
        with common.run_directory("digits"):
            pass
    names = [path.name for path in (here / "runs/digits").iterdir()]
    assert len(names) == 3 and all(re.fullmatch(r"\d{8}-\d{6}(-\d)?", name) for name in names)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_run_that_fails_leaves_nothing(here, error):
    with pytest.raises(error), common.run_directory("digits", "a/b") as directory:
        (directory / "half").mkdir()
        (directory / "half" / "written").write_text("x")
        raise error
    assert everything(here) == []


def test_a_run_that_fails_leaves_what_others_wrote(here):
    with pytest.raises(ValueError), common.run_directory("digits", "a/b"):
        (here / "a" / "theirs").write_text("x")
        raise ValueError
    assert everything(here) == ["a", "a/theirs"]


def test_an_empty_directory_may_be_written_to_and_a_full_one_may_not(here):
    (here / "empty").mkdir()
    with common.run_directory("digits", "empty") as directory:
        (directory / "record").write_text("x")
    with pytest.raises(ValueError, match=r"^empty must be a new or an empty folder; choose .* \(it holds 'record'\)$"), \
            common.run_directory("digits", "empty"):
        pytest.fail("the body must not run")
    assert everything(here) == ["empty", "empty/record"]


@pytest.mark.parametrize("out", ["file", "file/inside", "file/deep/inside"])
def test_a_file_is_no_directory(here, out):
    (here / "file").write_text("x")
    with pytest.raises(ValueError, match=r"choose another --out \(it (is a file|lies in the file 'file')\)$"), \
            common.run_directory("digits", out):
        pytest.fail("the body must not run")


def test_a_finished_run_is_kept_when_its_place_was_taken(here):
    with pytest.raises(OSError, match="was taken by others meanwhile; the finished run is in ") as caught, \
            common.run_directory("digits", "result") as directory:
        (directory / "record").write_text("hours of work")
        (here / "result").mkdir()
        (here / "result" / "theirs").write_text("x")
    kept = Path(str(caught.value).rpartition(" is in ")[2])
    assert (kept / "record").read_text() == "hours of work" and (here / "result/theirs").exists()


def test_a_directory_has_the_rights_that_others_have(here):
    os.mkdir("usual")
    with common.run_directory("digits", "result"):
        pass
    assert (here / "result").stat().st_mode == (here / "usual").stat().st_mode


def finishes(config):
    print(config)


def refuses(config):
    checks.integer("epochs", 0)


def refuses_while_tracing(config):
    jax.jit(lambda x: checks.integer("epochs", 1.5))(1.0)


def misses_a_file(config):
    Path("missing.json").read_text()


def interrupted(config):
    raise KeyboardInterrupt


def python_is_misused(config):
    int("x")


def jax_is_misused(config):
    jnp.ones(3) @ jnp.ones(4)


def broken(config):
    raise KeyError("epochs")


@pytest.mark.parametrize(("main", "code", "says"), [
    (finishes, 0, ""),
    (refuses, 2, "error: epochs must be an integer of at least 1, got 0\n"),
    (refuses_while_tracing, 2, "error: epochs must be an integer of at least 1, got 1.5\n"),
    (misses_a_file, 2, "error: missing.json: No such file or directory\n"),
    (interrupted, 130, "interrupted; nothing was written\n"),
])
def test_exit_codes(main, code, says, capsys):
    assert common.command_line(main, Config, []) == code
    assert capsys.readouterr().err == says


@pytest.mark.parametrize(("main", "error"), [
    (python_is_misused, ValueError), (jax_is_misused, TypeError), (broken, KeyError)])
def test_mistakes_in_the_program_keep_their_traceback(main, error):
    with pytest.raises(error):
        common.command_line(main, Config, [])


def test_arguments_become_the_configuration(capsys):
    assert common.parse(Config, ["--epochs", "7"]) == Config(epochs=7)
    assert common.command_line(finishes, Config, ["--epochs", "7"]) == 0
    assert "epochs=7" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["--epochs", "many"], ["--epoch"], ["stray"]])
def test_arguments_that_do_not_fit_are_answered(argv, capsys):
    assert common.command_line(finishes, Config, argv) == 2
    assert "--help" in capsys.readouterr().err


def test_help_says_what_the_experiment_and_each_option_is(capsys):
    assert common.command_line(finishes, Config, ["--help"]) == 0
    out = capsys.readouterr().out
    assert "A run leaves a whole directory or none" in out and "Passes over the data." in out


def test_without_tyro_the_fix_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert common.command_line(finishes, Config, []) == 2
    assert capsys.readouterr().err == "error: the command line needs tyro; install it with: pip install -e '.[cli]'\n"


@dataclasses.dataclass(frozen=True)
class Experiment:
    seeds: int = 20
    steps: int = 500
    rate: float = 0.5
    seed: int = 0
    quick: bool = False
    out: str | None = None


def test_quick_is_never_larger_than_asked_for():
    assert common.settled(Experiment(), seeds=10) == Experiment()
    assert common.settled(Experiment(steps=7, quick=True), seeds=10, steps=100) == Experiment(
        seeds=10, steps=7, quick=True)


@pytest.mark.parametrize(("wrong", "words"), [
    ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
    ({"seeds": 1}, "seeds must be an integer of at least 2, got 1"),
    ({"seed": -1}, "seed must be an integer of at least 0, got -1"), ({"out": "full"}, "new or an empty folder")])
def test_a_wrong_configuration_is_refused_before_anything_is_computed(wrong, words, here):
    (here / "full").mkdir()
    (here / "full" / "theirs").write_text("x")
    with pytest.raises(ValueError, match=words):
        common.settled(Experiment(**wrong))


def test_an_experiment_is_published_whole(here, monkeypatch, capsys):
    from functional_nn import plots, report

    monkeypatch.setattr(sys.modules[Experiment.__module__], "__doc__",
                        "Is\nit so?\n\nIt is tried.\n\nExpect: yes.\n")
    picture = common.Picture("curve", "The curve", plots.panels(1)[0], "An empty picture.")
    table = report.Table(("a", "b"), [(1, 2)], caption="Numbers")
    found = common.publish(Experiment(out="run"), "It is so.", {"cost": 0.5}, [picture], [table])
    assert found == {"finding": "It is so.", "pictures": ["curve.png"], "cost": 0.5}
    assert everything(here / "run") == ["curve.png", "curve.svg", "report.html", "results.json"]
    results = json.loads((here / "run/results.json").read_text())
    assert results["question"] == "Is it so?" and results["config"]["steps"] == 500 and results["cost"] == 0.5
    page = (here / "run/report.html").read_text()
    for words in ("<h1>Is it so?</h1>", "It is so.", "It is tried.", "Expect: yes.", "python -m experiments.test_common"):
        assert words in page
    assert "It is so." in capsys.readouterr().out


def test_the_code_of_a_run_is_a_commit_or_unknown(monkeypatch):
    assert re.fullmatch(r"unknown|[0-9a-f]{7,40}(-dirty)?", common.commit())
    monkeypatch.setenv("PATH", "")
    assert common.commit() == "unknown"
