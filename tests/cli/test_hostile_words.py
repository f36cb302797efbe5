"""The words of a file reach a terminal, a picture or a page as words: nothing in them is obeyed, and no name is lost."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from functional_nn import cli
from tests.cli.runs import call, done
from tests.slow import few

pytestmark = pytest.mark.usefixtures("compiled_once")
OBEYED = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e[red]$x_"  # titles, clears, turns; markup of rich, a formula of matplotlib
COLUMN, KINDS = f"size {OBEYED}\nerror: no", (f"elm{OBEYED}", f"oak\r{OBEYED}\nerror: no")
FILE = os.fsdecode(b"\xff caf\xe9 ") + f"it's{OBEYED}\n$(date).csv"


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A table in the current folder, whose name, columns and classes hold all that a terminal obeys."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [(f"{x:.3f}", KINDS[i % 2], KINDS[int(x > 0)]) for i, x in enumerate(rng.normal(size=60))]
    text = io.StringIO()
    csv.writer(text).writerows([(COLUMN, f"kind{OBEYED}", f"target{OBEYED}"), *rows])
    with open(FILE, "w", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())
    return tmp_path


def is_harmless(text):
    return all(c.isprintable() or c == "\n" for c in text) and "\nerror: no" not in text


def test_every_command_says_them_as_words(hostile, capsys, monkeypatch):
    run = f"run {OBEYED}\nerror: no"
    train = ["train", FILE, "--hidden", "4", "--epochs", "2", "--out", run]
    for arguments in (train, ["describe", run], ["evaluate", run], ["resume", run], train, ["train", run, FILE],
                      ["evaluate", run, FILE], ["predict", run, FILE + "x"], ["describe", FILE], ["evaluate", FILE],
                      ["train", FILE, "--target", COLUMN + "x"], ["train", FILE, "--ignore", KINDS[0]], ["verify", FILE],
                      ["verify", "--init", FILE + ".py"], ["resume", run, "--epochs", "7"], ["predict", run, FILE, "--out", FILE]):
        said = call(capsys, *arguments)
        assert is_harmless(said.out + said.err), (arguments, said)
        assert said.code in (0, 2), said
    monkeypatch.setattr(sys.stdout.__class__, "isatty", lambda self: True, raising=False)
    assert is_harmless(done(capsys, "predict", run, FILE).out)


def test_no_name_is_lost_to_programs(hostile, capsys):
    train = ["train", FILE, "--hidden", "4", "--epochs", "2", "--out", "run"]
    done(capsys, *train)
    data = json.loads(done(capsys, "describe", "run", "--json").out)["config"]["data"]
    assert data == str(hostile / FILE)
    predicted = [row["prediction"] for row in csv.DictReader(io.StringIO(done(capsys, "predict", "run", FILE).out, newline=""))]
    assert set(predicted) <= set(KINDS) and len(predicted) == 60
    said = done(capsys, "predict", "run", FILE, "--json").out
    assert is_harmless(said) and [row["prediction"] for row in json.loads(said)] == predicted
    assert (hostile / "run" / "confusion.png").is_file() and (hostile / "run" / "learning_curves.png").is_file()


@pytest.mark.parametrize("name", few([
    "$(date) it's -x", os.fsdecode(b"a\n caf\xe9"), "my run", "it's", "$(date)", "-x", "a\nb"], 0, 1))
def test_a_command_that_is_printed_can_be_typed(name, work, capsys):
    out = f"./{name}"
    said = done(capsys, "train", "trees.csv", "--hidden", "4", "--epochs", "1", "--out", out).out
    command = re.search(r"functional-nn describe (.*)", said)[1]
    read = subprocess.run(["bash", "-c", f"printf %s {command}"], capture_output=True, check=True, timeout=30).stdout
    assert (work / os.fsdecode(read)) == work / name and "go on with" not in said
    assert cli.main(["describe", os.fsdecode(read)]) == 0
    if command.isascii() and "$'" not in command:
        assert shlex.split(command) == [os.fsdecode(read)]


@pytest.mark.parametrize("name", ['"""', "a\\b", 'a"b', "a\nimport os"])
def test_a_template_names_any_file(name, work, capsys):
    done(capsys, "verify", "--init", f"{name}.py")
    said = call(capsys, "verify", f"{name}.py")
    assert said.code == 1 and said.out.startswith("WRONG"), said
