"""The folder of one run: which checkpoints it holds, which of them stay, and who may write to it."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from functional_nn.checkpoint import container, plain
from functional_nn.checkpoint.container import Damaged, Header

try:
    import fcntl
except ModuleNotFoundError:  # a system without such locks: nothing keeps two writers apart there
    fcntl = None

NAME = re.compile(r"step-(\d{9,})\.safetensors", re.ASCII)
PARTIAL = re.compile(r"\.step-\d{9,}\.safetensors\.\d+\.partial", re.ASCII)


class Entry(NamedTuple):
    """One checkpoint of a folder."""

    step: int
    path: Path
    score: float | None
    run: Mapping[str, Any]


def path_of(folder: Path, step: int) -> Path:
    """The file of the checkpoint of `step`."""
    return folder / f"step-{step:09d}.safetensors"


def entries(folder: Path) -> list[Entry]:
    """The checkpoints of `folder`, oldest first, by their headers; a ValueError for one that is damaged, misnamed or newer."""
    found = []
    for path in _paths(folder):
        with contextlib.suppress(FileNotFoundError), explained(path):  # gone: its writer has just thinned it out
            header = container.read_header(path)
            _named(path, header)
            found.append(Entry(header.step, path, header.score, header.run))
    return found


def content(path: Path) -> tuple[Header, dict[str, tuple[str, tuple[int, ...], bytes]]]:
    """What `container.read` gives; a ValueError that says how to go on where the checkpoint is damaged."""
    with explained(path):
        header, leaves = container.read(path)
        _named(path, header)
    return header, leaves


def _paths(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()]
    return sorted(paths, key=lambda path: int(NAME.fullmatch(path.name)[1]))


def _named(path: Path, header: Header) -> None:
    if path.name != path_of(path.parent, header.step).name:
        raise Damaged(f"it holds step {header.step}, whose name is {path_of(path.parent, header.step).name}")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Damaged becomes a ValueError that names the file and the newest checkpoint beside it that is whole."""
    try:
        yield
    except Damaged as damaged:
        others = (other for other in reversed(_paths(path.parent)) if other != path)
        whole = next((other for other in others if _is_whole(other)), None)
        fix = ("no other checkpoint there is whole, so start again in a new folder" if whole is None else
               f"delete that one file to go on from step {int(NAME.fullmatch(whole.name)[1])}, the newest that is whole")
        raise ValueError(f"checkpoint {str(path)!r} is damaged: {damaged}; {fix}") from None


def _is_whole(path: Path) -> bool:
    try:
        _named(path, container.read(path)[0])
    except (Damaged, ValueError, OSError):
        return False
    return True


def best(found: list[Entry]) -> Entry | None:
    """The one with the smallest score, the earliest of them; None where none has a score. NaN is none.

    >>> best([Entry(step, Path(), score, {}) for step, score in enumerate([None, 0.5, float("nan"), 0.25, 0.25])]).step
    3
    """
    scored = [entry for entry in found if entry.score is not None and entry.score == entry.score]
    return min(scored, key=lambda entry: entry.score, default=None)


def surplus(found: list[Entry], keep_last: int, keep_best: bool) -> list[Entry]:
    """Those of `found`, oldest first, that are neither of the last `keep_last` nor the best, where that is kept."""
    kept = best(found) if keep_best else None
    return [entry for entry in found[:-keep_last] if entry is not kept]


def refuse_others(folder: Path) -> None:
    """A ValueError where `folder` holds anything that is no checkpoint, whole or partial."""
    for path in sorted(folder.iterdir()):
        if not (path.is_file() and (NAME.fullmatch(path.name) or PARTIAL.fullmatch(path.name))):
            raise ValueError(f"the folder must hold checkpoints of functional_nn and nothing else, got {path.name!r} in "
                             f"{str(folder)!r}; name a new folder")


def refuse_another_run(folder: Path, entry: Entry, run: Mapping[str, Any]) -> None:
    """A ValueError where `entry` belongs to a run that differs from `run`."""
    if found := plain.difference("run", entry.run, run):
        where, there, here = found
        raise ValueError(f"{str(folder)!r} belongs to another run: {where} is {there} there, got {here}; name a new folder, or "
                         f"give {where} as it is there")


def clean(folder: Path) -> None:
    """Remove what a killed save left half written; only for who holds `alone`."""
    for path in folder.iterdir():
        if PARTIAL.fullmatch(path.name):
            path.unlink()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other writers out of `folder` by a lock that ends with the process and is no file; a ValueError where one is in."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{str(folder)!r} must have one writer at a time, got a second one; close the first, or name "
                             "another folder") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # for forked children have it too
        os.close(descriptor)
