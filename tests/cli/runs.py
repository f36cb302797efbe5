"""Small data for runs, and helpers that call the command line in this process or in another."""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from functional_nn import cli

SOURCE = Path(__file__).parents[2]
TREES = (
    "train", "trees.csv", "--hidden", "6", "--batch-size", "16", "--dropout", "0.2", "--monitor")
LINE = ("train", "line.csv", "--hidden", "6", "--batch-size", "16")

# the command in a process of its own, which hears Ctrl-C even where background jobs ignore it
HEARD = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
START = [sys.executable, "-c",
         HEARD + "import sys; from functional_nn.cli import main; sys.exit(main())"]
PLAIN = {key: value for key, value in os.environ.items()
         if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE")} | {
             "PYTHONPATH": str(SOURCE), "JAX_PLATFORMS": "cpu"}


class Said(NamedTuple):
    """The exit code of a command, and the text on standard output and standard error."""

    code: int
    out: str
    err: str


def write_data(folder):
    """Write trees.csv and line.csv, both of 60 rows.

    trees.csv has a number, a category and two classes; line.csv is a regression far from 0.
    """
    rng = np.random.default_rng(0)
    height, kind = rng.normal(size=60), np.array(["elm", "oak"])[np.arange(60) % 2]
    size = np.where(height + (kind == "oak") > 0.5, "tall", "low")
    (folder / "trees.csv").write_text("height,kind,size\n" + "".join(
        f"{h:.3f},{k},{s}\n" for h, k, s in zip(height, kind, size, strict=True)))
    y = 500 + 40 * height + rng.normal(size=60)
    (folder / "line.csv").write_text("a,b,y\n" + "".join(
        f"{a:.3f},{b:.3f},{v:.2f}\n"
        for a, b, v in zip(height, rng.normal(size=60), y, strict=True)))


def call(capsys, *arguments):
    """What the command says, and its exit code."""
    capsys.readouterr()
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as leave:
        code = leave.code
    said = capsys.readouterr()
    return Said(code, said.out, said.err)


def done(capsys, *arguments):
    """What a command says that must succeed."""
    said = call(capsys, *arguments)
    assert said.code == 0, said.err
    return said


def snapshot(folder):
    """Every path in the folder with its bytes; folders have none."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")}


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def lines(path):
    """The records in a file with one JSON object a line."""
    return [json.loads(text) for text in path.read_text().splitlines()]
