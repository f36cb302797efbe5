"""The folder of one run: its checkpoints, and which of them are kept."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from functional_nn.checkpoint import container, history
from functional_nn.checkpoint.container import Damaged, Header, Mark
from functional_nn.writing import PARTIAL

NAME = re.compile(r"step-(\d{9,})\.safetensors", re.ASCII)


class Entry(NamedTuple):
    """One checkpoint in a folder: its step, file, score, the run it belongs to, and its history."""

    step: int
    path: Path
    score: float | None
    run: Mapping[str, Any]
    history: Mark = Mark()


def path_of(folder: Path, step: int) -> Path:
    """The file of the checkpoint of `step` in `folder`.

    >>> path_of(Path("runs"), 1200).name
    'step-000001200.safetensors'
    """
    return folder / f"step-{step:09d}.safetensors"


def entries(folder: Path) -> list[Entry]:
    """The checkpoints in `folder`, in the order of their steps; only their headers are read.

    Raises a ValueError if a header is damaged, has a step that does not match the name of the
    file, or was written by a newer functional_nn.
    """
    found = []
    for path in _paths(folder):
        # A file that its writer has just deleted is left out
        with contextlib.suppress(FileNotFoundError), explained(path):
            header = container.read_header(path)
            _named(path, header)
            found.append(Entry(header.step, path, header.score, header.run, header.history))
    return found


def content(
    path: Path
) -> tuple[Header, dict[str, tuple[str, tuple[int, ...], bytes]], list[dict[str, Any]]]:
    """The header and the values of a checkpoint, as `container.read` has them, and its history.

    Raises a ValueError if the checkpoint is damaged; the message says how to go on.
    """
    with explained(path):
        return _whole(path)


def _paths(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()]
    return sorted(paths, key=lambda path: int(NAME.fullmatch(path.name)[1]))


def _named(path: Path, header: Header) -> None:
    """Raise Damaged if the name of the file does not match the step in its header."""
    if path.name != path_of(path.parent, header.step).name:
        raise Damaged(f"it holds step {header.step}, whose name is "
                      f"{path_of(path.parent, header.step).name}")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """A context manager that turns Damaged into a ValueError with advice.

    The message names the file and the newest intact checkpoint in the same folder.
    """
    try:
        yield
    except Damaged as damaged:
        others = (other for other in reversed(_paths(path.parent)) if other != path)
        whole = next((other for other in others if _is_whole(other)), None)
        fix = ("no other checkpoint there is whole, so start again in a new folder"
               if whole is None else
               f"delete that one file to go on from step {int(NAME.fullmatch(whole.name)[1])}, "
               "the newest that is whole")
        raise ValueError(f"checkpoint {str(path)!r} is damaged: {damaged}; {fix}") from None


def _is_whole(path: Path) -> bool:
    try:
        _whole(path)
    except (Damaged, ValueError, OSError):
        return False
    return True


def _whole(path: Path) -> tuple[Header, dict, list[dict[str, Any]]]:
    """The header, the values and the history of a checkpoint; raises Damaged if one is bad."""
    header, leaves = container.read(path)
    _named(path, header)
    return header, leaves, history.read(path.with_name(history.NAME), header.history)


def best(found: list[Entry]) -> Entry | None:
    """The checkpoint with the smallest score, and the earliest of several such.

    A score of None or NaN does not count. Returns None if no checkpoint has a score.

    >>> scores = [None, 0.5, float("nan"), 0.25, 0.25]
    >>> best([Entry(step, Path(), score, {}) for step, score in enumerate(scores)]).step
    3
    """
    scored = [entry for entry in found if entry.score is not None and entry.score == entry.score]
    return min(scored, key=lambda entry: entry.score, default=None)


def surplus(found: list[Entry], keep_last: int, keep_best: bool) -> list[Entry]:
    """The checkpoints that are to be deleted.

    Args:
      found: all checkpoints, the oldest first.
      keep_last: how many of the latest are kept, at least 1.
      keep_best: whether the best one is kept as well.

    >>> found = [Entry(step, Path(), score, {}) for step, score in enumerate([0.5, 0.2, 0.4, 0.3])]
    >>> [entry.step for entry in surplus(found, keep_last=2, keep_best=True)]
    [0]
    """
    kept = best(found) if keep_best else None
    return [entry for entry in found[:-keep_last] if entry is not kept]


def strangers(folder: Path) -> list[str]:
    """The names in `folder` of all but checkpoints, their history and their partial files."""
    return sorted(path.name for path in folder.iterdir() if not (
        PARTIAL.fullmatch(path.name) or (path.is_file()
        and (path.name == history.NAME or NAME.fullmatch(path.name)))))


def refuse_another_run(folder: Path, entry: Entry, run: Mapping[str, Any]) -> None:
    """Raise a ValueError if the checkpoint `entry` belongs to another run than `run`."""
    if found := difference("run", entry.run, run):
        where, there, here = found
        raise ValueError(f"{str(folder)!r} belongs to another run: {where} is {there} there, "
                         f"got {here}; name a new folder, or give {where} as it is there")


def difference(where: str, one: Any, other: Any) -> tuple[str, str, str] | None:
    """The first place where two plain values differ, and both values there as text.

    Returns None if the values are the same. Values of different types differ, such as 1 and 1.0.

    Args:
      where: the name of the values, with which the place begins.
      one, other: plain values, as in `records.exact`.

    >>> difference("run", {"rates": {"adam": 0.1}}, {"rates": {"adam": 0.2}})
    ("run['rates']['adam']", '0.1', '0.2')
    >>> difference("run", {"seed": 1}, {})
    ("run['seed']", '1', 'nothing')
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inner = f"{where}[{key!r}]"
            if key not in one or key not in other:
                return inner, *(_shown(each[key]) if key in each else "nothing"
                                for each in (one, other))
            if found := difference(inner, one[key], other[key]):
                return found
        return None
    same = json.dumps(one) == json.dumps(other)  # as text, NaN equals NaN, but 1 is not 1.0 or True
    return None if same else (where, _shown(one), _shown(other))


def _shown(value: Any, most: int = 200) -> str:
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}…"
