"""A run that is killed at any of its writes goes on to the same files, to the byte."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.runs import PLAIN, write_data

PROGRAM = Path(__file__).with_name("crashes.py")


def tried(folder, first, stride):
    write_data(folder)
    options = (folder / "trees.csv", "--hidden", "6", "--batch-size", "16", "--epochs", "3", "--every", "2", "--monitor")
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, (folder, first, stride, *options))], capture_output=True, text=True,
        timeout=500, env=PLAIN | {"MPLBACKEND": "agg"})
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_kill_at_any_write_changes_nothing(tmp_path):
    found = tried(tmp_path, 0, 1)
    print(f"{len(found['events'])} moments")
    assert found["failed"] == {}
    assert len(found["events"]) > found["whole"] + 10 > 50
    ends = {event.split()[-1] for event in found["events"]}
    written = {Path(name).name for name in found["files"] if "." in Path(name).name}
    assert all(any(name in end for end in ends) for name in written)  # no file is written unseen


@pytest.mark.slow
def test_a_kill_at_some_writes_changes_nothing(tmp_path):
    assert tried(tmp_path, 7, 30)["failed"] == {}
