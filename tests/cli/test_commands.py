"""The commands: help and mistakes come without JAX, and options are those of file and line."""

import dataclasses
import importlib
import inspect
import itertools
import json
import os
import subprocess
import sys

import pytest

from functional_nn.cli.commands import COMMANDS, Train, train_options
from functional_nn.cli.config import Config
from functional_nn.cli.options import flag
from tests.cli.runs import PLAIN

WITHOUT = """
import sys
from functional_nn.cli import main
for arguments in {calls!r}:
    try:
        code = main(arguments)
    except SystemExit as leave:
        code = leave.code
    heavy = {{"jax", "jaxlib", "numpy", "optax", "sklearn", "rich", "matplotlib"}} & set(sys.modules)
    assert code == {code} and not heavy, (arguments, code, heavy)
"""


def run_without(calls, code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT.format(calls=calls, code=code)],
        capture_output=True, text=True, env=PLAIN, timeout=60)


def test_help_and_the_version_import_no_jax():
    calls = [[], ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
    done = run_without(calls, 0)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "\x1b" not in done.stdout


def test_a_mistake_in_the_arguments_imports_no_jax():
    calls = [["trian"], ["train", "iris", "--lr", "1"], ["train", "iris", "--epochs", "x"],
             ["train", "iris", "--loss", "x"], ["train", "iris", "--optimizer", "x"],
             ["train", "iris", "--l2", "-1"], ["train", "--config", "none.json"], ["resume"]]
    done = run_without(calls, 2)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == done.stderr.count("error: ") == len(calls)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_an_argument_of_the_command(name):
    options, module = COMMANDS[name]
    function = getattr(importlib.import_module(f"functional_nn.cli.{module}"), name)
    fields = [field.name for field in dataclasses.fields(options)]
    wanted = ["options"] if options is Train else fields
    assert list(inspect.signature(function).parameters) == wanted


@pytest.mark.parametrize("name", COMMANDS)
def test_no_two_options_share_a_name(name):
    named = [[flag(field)[2:], *field.metadata["also"]]
             for field in dataclasses.fields(COMMANDS[name][0])]
    names = list(itertools.chain(*named))
    assert len(names) == len(set(names))


def test_what_is_given_counts_before_the_file_and_the_file_before_the_defaults(tmp_path):
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"data": "iris", "epochs": 3, "l2": 0.5}))
    found = train_options({"config": os.fspath(file), "epochs": 4})
    assert (found.data, found.epochs, found.l2, found.seed) == ("iris", 4, 0.5, Config().seed)
    with pytest.raises(ValueError, match="--epochs must be an integer of at least 1, got 0"):
        train_options({"epochs": 0})
