"""Terminals, pipes and Ctrl-C: lines of 80 columns, no traceback, and a run ends with an epoch."""

import io
import os
import signal
import subprocess
import sys

import pytest

from functional_nn import cli
from tests.cli.runs import PLAIN, START, TREES, call, done

LONG = (*TREES, "--epochs", "80")
pytestmark = pytest.mark.usefixtures("compiled_once", "drawn_once")


@pytest.mark.parametrize(
    "command", ["verify", "train", "resume", "evaluate", "predict", "describe", "explain", "replay"])
def test_help_fits_a_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = call(capsys, command, "--help")
    assert said.code == 0 and said.err == "" and f"usage: functional-nn {command}" in said.out
    assert max(map(len, map(str.rstrip, said.out.splitlines()))) <= 80


def ended(how, folder):
    """The exit code, standard output and standard error of a run that gets a signal.

    The signal `how` comes after the first epoch.
    """
    process = subprocess.Popen(
        [*START, *LONG, "--out", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=PLAIN)
    assert process.stderr.readline().startswith("training 1/80")
    process.send_signal(how)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.slow
def test_a_run_that_is_interrupted_or_killed_goes_on_to_the_same_end(work, capsys):
    assert ended(signal.SIGKILL, "killed")[0] == -signal.SIGKILL
    unfinished = "unfinished; go on with: functional-nn resume killed"
    assert unfinished in done(capsys, "describe", "killed").out
    code, out, err = ended(signal.SIGINT, "run")
    assert code == 130 and "Traceback" not in err
    assert "stopping at the end of this epoch; press Ctrl-C again to stop at once" in err
    last = err.splitlines()[-1]
    assert last.startswith("interrupted after epoch ")
    assert last.endswith("; go on with: functional-nn resume run")
    assert f"ended    {last.split(';')[0]}; the best epoch was" in out
    assert last in done(capsys, "describe", "run").out
    done(capsys, "evaluate", "run")
    done(capsys, *LONG, "--out", "whole")
    for folder in ("killed", "run"):
        done(capsys, "resume", folder)
        for name in ("config.json", "metrics.jsonl", "model/model.safetensors"):
            assert (work / folder / name).read_bytes() == (work / "whole" / name).read_bytes()
    assert "go on with" not in done(capsys, "describe", "run").out


def gone_reader(*arguments):
    """The command as it ended, writing to a pipe whose other end is closed."""
    read, write = os.pipe()
    os.close(read)
    try:
        return subprocess.run(
            [*START, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, timeout=120,
            env=PLAIN)
    finally:
        os.close(write)


def test_a_reader_that_has_gone_is_no_traceback(work):
    for arguments in (["train", "--help"], ["predict", "trees", "trees.csv"]):
        ended = gone_reader(*arguments)
        assert (ended.returncode, ended.stderr) == (141, ""), arguments


@pytest.mark.slow
def test_a_terminal_without_greek_letters_is_no_error(work, capsys, monkeypatch):
    text = (work / "trees.csv").read_text().replace("low", "größer").replace("kind", "größe")
    (work / "trees.csv").write_text(text, encoding="utf-8")
    printed = {}
    train = (*TREES, "--epochs", "1", "--out", "run")
    for arguments in (
            train, ("evaluate", "run"), ("describe", "run"), ("predict", "run", "trees.csv")):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        assert cli.main(list(arguments)) == 0
        sys.stdout.flush()
        printed[arguments[0]] = sys.stdout.buffer.getvalue()
    assert b"gr??er" in printed["evaluate"]
    predicted = printed["predict"].decode("utf-8")  # data stay as they are
    assert set(predicted.split()) <= {"prediction", "größer", "tall"}
