"""`main` chooses the command, and turns each way in which it ends into an exit code."""

import importlib.metadata
import re
import sys

import pytest

from functional_nn import cli
from functional_nn.cli import train
from functional_nn.cli.commands import Train
from functional_nn.cli.main import OVERVIEW
from functional_nn.cli.usage import Unusable
from tests.cli.runs import call, done


def ends_with(monkeypatch, error):
    """Let `functional-nn train` raise the error."""
    def raising(options):
        raise error
    monkeypatch.setattr(train, "train", raising)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_overview_fits_a_terminal_and_names_every_command(arguments, capsys):
    said = done(capsys, *arguments)
    assert said.out == OVERVIEW + "\n" and max(map(len, said.out.splitlines())) <= 80
    assert all(f"functional-nn {name} " in said.out for name in (
        "verify", "train", "resume", "evaluate", "predict", "describe"))


def test_the_commands_are_those_of_the_overview(capsys):
    named = sorted(set(re.findall(r"functional-nn (\w+) ", OVERVIEW)))
    said = call(capsys, "xyz")
    assert said.code == 2 and said.out == ""
    assert said.err == f"error: there is no command 'xyz'; there are {', '.join(named)}\n"


def test_a_missing_file_and_a_wrong_flag(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path / "none.py")]) == 2
    assert "is no file; functional-nn verify --init" in capsys.readouterr().err
    for arguments in (["verify", "x.py", "--referense", "fd"], ["verfy"]):
        assert cli.main(arguments) == 2
    assert capsys.readouterr().err == (
        "error: functional-nn verify has no option --referense; did you mean --reference?\n"
        "error: there is no command 'verfy'; did you mean verify?\n")
    assert cli.main([]) == 0 and "functional-nn verify FILE" in capsys.readouterr().out


def test_the_arguments_are_those_of_the_process_if_none_are_given(capsys, monkeypatch):
    given = []
    monkeypatch.setattr(train, "train", lambda options: given.append(options) or 7)
    monkeypatch.setattr(sys, "argv", ["functional-nn", "train", "iris", "--epochs", "3"])
    assert cli.main() == 7
    monkeypatch.setattr(sys, "argv", ["functional-nn"])
    assert cli.main() == 0 and capsys.readouterr().out == OVERVIEW + "\n"
    assert given == [Train(data="iris", epochs=3)]


@pytest.mark.parametrize(("error", "code", "text"), [
    (KeyboardInterrupt(), 130, "interrupted\n"),
    (Unusable("name the data"), 2, "error: name the data\n"),
    (FileNotFoundError(2, "No such file or directory", "a.csv"), 2,
     "error: a.csv: No such file or directory\n"),
], ids=["interrupt", "mistake", "file"])
def test_an_interrupt_or_a_mistake_of_the_user_is_one_line(error, code, text, capsys, monkeypatch):
    ends_with(monkeypatch, error)
    assert call(capsys, "train") == (code, "", text)


@pytest.mark.parametrize("error", [ValueError("shapes"), KeyError("w"), ZeroDivisionError()])
def test_an_error_of_the_program_is_raised(error, capsys, monkeypatch):
    ends_with(monkeypatch, error)
    with pytest.raises(type(error)) as caught:
        cli.main(["train"])
    assert caught.value is error and capsys.readouterr() == ("", "")


def test_the_version_is_that_of_the_package(capsys):
    version = importlib.metadata.version("functional_nn")
    assert done(capsys, "--version").out == f"functional-nn {version}\n"
