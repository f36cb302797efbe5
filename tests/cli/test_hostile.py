"""Hostile surroundings: data that moved, links, strangers, second writers, full disks and signals."""

import errno
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from functional_nn import handover, plots
from functional_nn.cli import folder as folders
from functional_nn.cli.usage import INTERRUPTED
from functional_nn.training import loop
from tests.cli.runs import LINE, PLAIN, START, TREES, call, done, edit_json, snapshot
from tests.slow import few

pytestmark = pytest.mark.usefixtures("compiled_once", "drawn_once")


def unfinished(run):
    """The run, as a kill at its very end leaves it: the end is to be written again."""
    (run / "summary.json").unlink()
    return run


def model(run):
    return (Path(run) / "model" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_run_whose_data_moved_goes_on(work, capsys):
    """Its rows are the same: named with --data, written into config.json, or found in the place like the old one."""
    done(capsys, *LINE, "--schedule", "constant", "--epochs", "2", "--out", "whole")
    for name in ("named", "edited", "found"):
        shutil.copytree("whole", name)
    done(capsys, "resume", "whole", "--epochs", "4")
    Path("away").mkdir()
    Path("line.csv").rename("away/other.csv")
    said = call(capsys, "resume", "named", "--epochs", "4")
    assert said.code == 2 and "say where it is now with functional-nn resume named --data FILE" in said.err
    done(capsys, "resume", "named", "--epochs", "4", "--data", "away/other.csv")
    edit_json(Path("edited/config.json"), data=str(Path("away/other.csv").resolve()))
    done(capsys, "resume", "edited", "--epochs", "4")
    assert model("whole") == model("named") == model("edited")
    config = json.loads(Path("named/config.json").read_text())
    assert config["data"] == str(Path("away/other.csv").resolve()) and config["epochs"] == 4
    shutil.copytree("found", "home/user/runs/found")  # the folder of the project was copied to another machine
    shutil.copy("away/other.csv", "home/user/line.csv")
    done(capsys, "resume", "home/user/runs/found", "--epochs", "4")
    assert model("home/user/runs/found") == model("whole")
    done(capsys, "evaluate", "home/user/runs/found")


def test_a_file_of_test_rows_moves_too(work, capsys):
    head, *rows = Path("line.csv").read_text().splitlines()
    Path("line.csv").unlink()
    Path("in").mkdir()
    for name, part in {"line.csv": rows[:50], "test.csv": rows[50:]}.items():
        (Path("in") / name).write_text("\n".join([head, *part]) + "\n")
    done(capsys, "train", "in/line.csv", "--test", "in/test.csv", *LINE[2:], "--schedule", "constant", "--epochs", "1", "--out", "run")
    Path("in").rename("away")
    said = call(capsys, "resume", "run", "--epochs", "2")
    assert said.code == 2 and "functional-nn resume run --data FILE" in said.err
    done(capsys, "resume", "run", "--epochs", "2", "--data", "away/line.csv")  # the other file is beside it
    Path("away/test.csv").rename("rows.csv")
    assert "functional-nn resume run --test FILE" in call(capsys, "evaluate", "run").err
    done(capsys, "resume", "run", "--epochs", "3", "--test", "rows.csv")
    assert json.loads(Path("run/config.json").read_text())["test"] == str(Path("rows.csv").resolve())
    said = call(capsys, "resume", "run", "--epochs", "4", "--test", "away/line.csv")
    assert said.code == 2 and "have changed" in said.err


def test_a_file_of_the_same_name_with_other_rows_is_not_taken_for_it(trees, capsys, monkeypatch):
    edit_json(trees / "config.json", data="/elsewhere/trees.csv")
    shutil.copy("line.csv", "trees.csv")
    before = snapshot(trees)
    said = call(capsys, "resume", trees)
    assert said.code == 2 and "the rows of " in said.err and "have changed" in said.err and snapshot(trees) == before


def test_no_link_in_the_folder_is_followed(trees, capsys):
    """A run from somebody else, in which every file is a link to one of mine."""
    names = [path.relative_to(trees) for path in trees.rglob("*") if path.is_file()
             and path.parent == trees and path.name not in ("config.json", "rows.npz", "metrics.jsonl")]
    assert {str(name) for name in names} >= {"layers.json", "summary.json", "report.html", "learning_curves.png", "confusion.png"}
    names += [Path("checkpoints/history.jsonl"), Path("config.json"), Path("rows.npz"), Path("metrics.jsonl")]
    mine = {}
    for number, name in enumerate(names):
        target = trees.parent / f"mine{number}"
        shutil.move(trees / name, target)
        mine[target] = target.read_bytes()
        (trees / name).symlink_to(target)
    (trees.parent / "theirs").mkdir()
    (trees.parent / "theirs" / "kept").touch()
    shutil.rmtree(trees / "model")
    for name in ("model", ".model.new", ".model.old"):
        (trees / name).symlink_to(trees.parent / "theirs")
    for path in list((trees / "checkpoints").glob("step-*"))[1:]:
        path.unlink()  # so that there is something to train
    done(capsys, "resume", trees)
    assert {target: target.read_bytes() for target in mine} == mine and (trees.parent / "theirs" / "kept").exists()
    left = [str(path.relative_to(trees)) for path in trees.rglob("*") if path.is_symlink()]
    assert left == [] and handover.load(trees / "model")


def test_files_of_strangers_among_the_checkpoints_are_said(trees, capsys):
    (unfinished(trees) / "checkpoints" / ".DS_Store").write_text("finder")
    said = done(capsys, "resume", trees)
    assert said.err.startswith(f"note: '{trees}/checkpoints' holds '.DS_Store', which is no checkpoint and is left alone\n")
    assert (trees / "checkpoints" / ".DS_Store").read_text() == "finder"


@pytest.mark.slow
def test_other_threads_are_said(work, capsys, monkeypatch):
    done(capsys, *TREES, "--epochs", "1", "--schedule", "constant", "--out", "run")
    monkeypatch.setenv("NPROC", "77")
    said = done(capsys, "resume", "run", "--epochs", "2")
    assert "note: the run goes on with threads 77 (it was " in said.err and "not to the bit" in said.err
    assert json.loads(Path("run/summary.json").read_text())["versions"]["threads"] == "77"
    assert "note" not in done(capsys, "resume", "run", "--epochs", "3").err


@pytest.mark.slow
def test_a_second_one_at_the_end_of_the_first_is_refused(trees, capsys, monkeypatch):
    """While the first one draws its pictures, its training is over and its model is written."""
    before, real, said = model(unfinished(trees)), plots.png, []

    def slow(figure):
        if said:
            return real(figure)
        process = subprocess.run([*START, "resume", str(trees)], capture_output=True, text=True, timeout=120, env=PLAIN)
        said.append((process.returncode, process.stderr))
        return real(figure)

    monkeypatch.setattr(plots, "png", slow)
    done(capsys, "resume", trees)
    assert [code for code, _ in said] == [2] * len(said) and said
    assert all("must have one writer at a time, got a second one; another train or resume is at work there" in text
               for _, text in said)
    assert model(trees) == before


@pytest.mark.parametrize("name", few(["learning_curves.png", "report.html", "layers.json", "summary.json", "manifest.json",
                                      "metrics.jsonl"], "manifest.json"))
def test_a_full_disk_is_a_sentence_and_the_model_is_kept(name, trees, capsys, monkeypatch):
    """The disk is full from the first byte of this file on."""
    before, full = model(unfinished(trees)), []

    def filling(write):
        def written(path, *args, **more):
            if name in path.name or full:
                full.append(path)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write() raises it, without a name
            return write(path, *args, **more)
        return written

    with monkeypatch.context() as patch:
        for method in ("write_bytes", "write_text"):
            patch.setattr(Path, method, filling(getattr(Path, method)))
        said = call(capsys, "resume", trees)
    assert full and said.code == 2 and "No space left on device" in said.err and "Traceback" not in said.err
    assert (name if name != "manifest.json" else "model") in said.err.splitlines()[-1] and ".partial" not in said.err
    assert model(trees) == before and handover.load(trees / "model")
    done(capsys, "resume", trees)


@pytest.mark.slow
def test_a_full_disk_behind_standard_output_is_a_sentence(work):
    with open("/dev/full", "w") as full:
        for arguments in (["describe", "trees"], [*TREES, "--epochs", "1", "--out", "run"]):
            ended = subprocess.run([*START, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, env=PLAIN)
            assert ended.returncode == 2
            assert ended.stderr.splitlines()[-1].startswith("error: ") and "No space left on device" in ended.stderr
    assert handover.load(work / "run" / "model")


def taken_away(number, folder, *options):
    """A run that gets the signal after its first epoch, as it ended."""
    process = subprocess.Popen([*START, *TREES, *options, "--out", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=PLAIN)
    assert process.stderr.readline().startswith("training 1/")
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_machine_that_is_taken_away_leaves_a_run_that_goes_on(number, code, work, capsys):
    options = ("--epochs", "400", "--every", "1")
    left, err = taken_away(number, "run", *options)
    assert left == code and "Traceback" not in err and "saving at this step" in err
    assert err.splitlines()[-1] == "terminated; go on with: functional-nn resume run"
    done(capsys, "resume", "run")
    done(capsys, *TREES, *options, "--out", "whole")
    for name in ("config.json", "metrics.jsonl", "model/model.safetensors", "learning_curves.png"):
        assert (work / "run" / name).read_bytes() == (work / "whole" / name).read_bytes()


@pytest.mark.parametrize(("number", "code"), few([(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, INTERRUPTED)], 0))
def test_a_signal_while_the_end_is_written_says_how_to_go_on(number, code, trees, capsys, monkeypatch):
    real = folders.handover.save

    def told(*args, **more):
        signal.raise_signal(number)
        return real(*args, **more)

    before = model(unfinished(trees))
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr(folders.handover, "save", told)
        said = call(capsys, "resume", trees)
    signal.signal(signal.SIGINT, usual)
    assert said.code == code and said.err.splitlines()[-1].endswith("go on with: functional-nn resume trees")
    assert model(trees) == before
    done(capsys, "resume", trees)


def test_ctrl_c_before_the_first_step_is_obeyed_at_once(work, capsys, monkeypatch):
    real = loop._epoch

    def pressed(*args):
        signal.raise_signal(signal.SIGINT)
        return real(*args)

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_epoch", pressed)
        said = call(capsys, *TREES, "--epochs", "2", "--out", "run")
    signal.signal(signal.SIGINT, usual)
    assert said.code == INTERRUPTED and said.err.splitlines()[-1] == "interrupted; go on with: functional-nn resume run"
    done(capsys, "resume", "run")
