"""`functional-nn report`: one page about a run, or about several side by side."""

import dataclasses
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from functional_nn import handover
from functional_nn import report as pages
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli import records
from functional_nn.cli.job import Job, assemble
from functional_nn.cli.page import REPORT, told
from functional_nn.cli.train import check_same_rows
from functional_nn.cli.usage import RIGHT, Unusable, notices, sentence
from functional_nn.console import print
from functional_nn.webpage import is_one
from functional_nn.writing import shown


def report(
    runs: tuple[Path, ...], out: Path | None = None, replace: bool = False, check: bool = True
) -> int:
    """Write the page of some runs, and return the exit code; the options are those of `Report`."""
    chosen = _once(runs)
    path = out or (chosen[0] / REPORT if len(chosen) == 1 else Path(REPORT))
    _check_free(path, replace)
    with notices():
        found = [run for folder, name in zip(chosen, _names(chosen), strict=True)
                 for run in _read(folder, name, check)]
        pages.write(path, pages.runs_page(found))
    print(f"wrote    {shown(path)}, {path.stat().st_size / 2**20:.1f} MiB")
    sys.stdout.flush()  # a closed pipe raises here
    return RIGHT


def _once(runs: Sequence[Path]) -> list[Path]:
    """The folders, each once; what was given twice is said.

    Raises an `Unusable` for a path that is not the folder of a run.
    """
    found: dict[Path, Path] = {}
    for folder in runs:
        if not folder.is_dir():
            raise Unusable(f"{folder} is no folder{_hint(folder)}")
        if not records.is_run(folder):
            raise Unusable(f"{folder} holds no run; name folders that functional-nn train or an "
                           "experiment wrote")
        if folder.resolve() in found:
            print(f"note: {folder} is given twice, and is shown once", file=sys.stderr)
        found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _names(chosen: Sequence[Path]) -> list[str]:
    """How the page calls the folders: by their own names, or by their paths if those are equal."""
    names = [folder.resolve().name for folder in chosen]
    return names if len(set(names)) == len(names) else [shown(folder) for folder in chosen]


def _hint(folder: Path) -> str:
    beside = folder.parent
    names = [entry.name for entry in (beside.iterdir() if beside.is_dir() else ())
             if records.is_run(entry)]
    near = difflib.get_close_matches(folder.name, names)
    return (f"; did you mean {beside / near[0]}?" if near else
            "; name one that functional-nn train or an experiment wrote")


def _check_free(path: Path, replace: bool) -> None:
    """Raise an `Unusable` if a page cannot be written there, or would replace something else."""
    if path.exists() and not path.is_file():
        raise Unusable(f"{path} is {'a folder' if path.is_dir() else 'no file'}; choose another "
                       "--out")
    if not path.parent.is_dir():
        raise Unusable(f"{path} cannot be written: there is no folder {path.parent}; choose "
                       "another --out")
    if path.exists() and not replace and not is_one(
            path.read_bytes()[:4000].decode("utf-8", "replace"), "report"):
        raise Unusable(f"{path} exists and is no report; choose another --out, or give --replace")


def _read(folder: Path, name: str, check: bool) -> list[pages.Run]:
    """The runs in a folder, with what their data tell and the verdict on their gradients."""
    if not records.is_trained(folder):
        return records.experiments(folder, name)
    run = records.trained(folder, name)
    try:
        job = assemble(configuration.of_run(folder / folders.CONFIG), folder)
        check_same_rows(folder, job)
    except Exception as error:
        if (why := sentence(error)) is None:
            raise
        unread = pages.Verdict(None, f"its data cannot be read: {why}")
        return [dataclasses.replace(run, gradient=unread)]
    record = folders.record(folder)
    run = told(run, job, record["reason"] if record else "")
    return [dataclasses.replace(run, gradient=_verdict(folder, job, check))]


def _verdict(folder: Path, job: Job, check: bool) -> pages.Verdict:
    if not check:
        return pages.Verdict(None, "--no-check was given")
    if not (folder / folders.MODEL).is_dir():
        return pages.Verdict(None, "the run has not ended, and has no model yet")
    return records.verdict(job, handover.load(folder / folders.MODEL).params)
