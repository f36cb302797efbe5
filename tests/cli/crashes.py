"""Every moment at which a run can be killed: what test_crashes.py starts.

Before each open for writing, rename, removal and making of a folder, the folder of the run is copied as a kill at that
moment would leave it. Every copy then goes on to its end, and must hold the files of a run that was never killed, to the byte.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

from functional_nn import cli

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Copies:
    """Copies of a folder, each made before a change inside of it."""

    def __init__(self, folder: Path, into: Path):
        self.folder, self.into, self.events = folder, into, []
        self._lock, self._here = threading.Lock(), threading.local()
        sys.addaudithook(self._heard)
        self.on = False

    def _heard(self, event, arguments):
        if not self.on or getattr(self._here, "copying", False) or not self._changes(event, arguments):
            return
        with self._lock:
            self._here.copying = True
            shutil.copytree(self.folder, self.into / str(len(self.events)), symlinks=True)
            self.events.append(f"{event} {Path(os.fsdecode(arguments[0])).name}")
            self._here.copying = False

    def _changes(self, event, arguments):
        if event == "open":
            _, mode, flags = arguments
            if not (set(mode or "") & set("wax+") or flags & WRITING):
                return False
        elif event not in CHANGES:
            return False
        return isinstance(arguments[0], str | bytes) and Path(os.fsdecode(arguments[0])).absolute().is_relative_to(self.folder)


def quietly(*arguments):
    """What the command says where it fails; nothing where it succeeds."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = cli.main(list(map(str, arguments)))
    return "" if code == 0 else said.getvalue().splitlines()[-1]


def image(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def main() -> None:
    """Arguments: a new folder, the first of the moments to try, how far one is from the next, and the options of train."""
    work, first, stride, options = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    time.perf_counter = lambda: 0.0  # so that the seconds in summary.json are the same
    for name in ("whole", "live", "copies"):
        (work / name).mkdir()
    train = ("train", *options, "--out")
    assert quietly(*train, work / "whole" / "run") == ""
    wanted = image(work / "whole")
    copies, failed = Copies(work / "live", work / "copies"), {}
    copies.on = True
    assert quietly(*train, work / "live" / "run") == ""
    whole = len(copies.events)
    (work / "live" / "run" / "summary.json").unlink()
    assert quietly("resume", work / "live" / "run") == ""  # it writes the end again, in place of the earlier one
    copies.on = False
    for number in range(first, len(copies.events), stride):
        copy = work / "copies" / str(number)
        began = (copy / "run").exists()
        said = quietly("resume", copy / "run") if began else quietly(*train, copy / "run")
        found = image(copy)
        differs = sorted(name for name in wanted | found if wanted.get(name, 0) != found.get(name, 0))
        if said or differs:
            failed[f"{number}: {copies.events[number]}"] = said or differs
        shutil.rmtree(copy)
    print(json.dumps({"events": copies.events, "whole": whole, "failed": failed, "files": sorted(wanted)}))


if __name__ == "__main__":
    main()
