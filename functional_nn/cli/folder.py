"""The folder of a run.

It holds config.json, rows.npz (the fingerprints of the rows trained on and of those kept for the
test), metrics.jsonl and checkpoints/, and start/ if it started from the network of another run. At
the end of the run it also holds model/, summary.json, layers.json with --monitor, and report.html
with its pictures if matplotlib is installed.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn import handover
from functional_nn.cli.config import FILE
from functional_nn.cli.usage import Unusable, command
from functional_nn.data.archives import read_npz
from functional_nn.records import line, plain, write_json, write_jsonl
from functional_nn.stopping import REASONS
from functional_nn.training import Moment, Result
from functional_nn.writing import alone as locked
from functional_nn.writing import (
    clean,
    file_beside,
    folder_beside,
    named,
    occupied,
    remove,
    run_folder,
    sync,
)

CONFIG, METRICS, CHECKPOINTS, MODEL, SUMMARY, ROWS, LAYERS = (
    FILE, "metrics.jsonl", "checkpoints", "model", "summary.json", "rows.npz", "layers.json")
UNFINISHED = f".{MODEL}.new", f".{MODEL}.old"  # a model being written, and the one it replaces


@contextlib.contextmanager
def begun(out: str | None, name: str, config: dict[str, Any]) -> Iterator[Path]:
    """A context that gives the folder of a new run, which holds config.json, under its lock.

    A new folder appears with its config.json in it, so that a run which is killed at any moment
    can go on. An empty folder of the user is taken as it is.

    Args:
      out: the folder; None for runs/<name>/<time>.
      name: the name of the data.
      config: the content of config.json.

    Raises an `Unusable` if `out` is the folder of a run, and a ValueError if it is a file or holds
    anything else, or if another process writes to it.
    """
    folder = run_folder(name, None) if out is None else Path(out).expanduser()
    _check_new(folder)
    if not folder.exists():
        try:
            with folder_beside(folder, durable=True) as partial:
                write_json(partial / CONFIG, config, durable=True)
        except OSError:
            _check_new(folder)  # another process may have made it meanwhile
            raise
        with alone(folder):
            yield folder
        return
    with alone(folder):
        _check_new(folder)
        clean(folder)
        write_json(folder / CONFIG, config, durable=True)
        yield folder


def _check_new(folder: Path) -> None:
    if (folder / CONFIG).exists():
        raise Unusable(
            f"{folder} holds a run already; {command('resume', folder)} goes on with it, or "
            "choose another --out")
    run_folder("", folder)


def alone(folder: Path) -> contextlib.AbstractContextManager:
    """The lock of a run, from the first byte that is written to the last.

    Raises a ValueError if another process holds it.
    """
    return locked(folder, "another train or resume is at work there, so wait until it has ended")


def part(folder: Path, name: str) -> Path:
    """The path of the file or folder `name` of a run.

    Raises an `Unusable` if `folder` is not the folder of a run, or lacks `name`.
    """
    if not folder.is_dir():
        raise Unusable(f"{folder} is no folder; name one that functional-nn train wrote")
    if (folder / name).exists():
        return folder / name
    if name == CONFIG and occupied(folder) is None:
        raise Unusable(f"{folder} holds no run: it is empty, or train was killed before it wrote "
                       f"anything; {command('train --out', folder)} begins anew")
    if name == MODEL and (folder / CONFIG).exists():
        raise Unusable(
            f"{folder} has no model yet; {command('resume', folder)} goes on with it")
    raise Unusable(
        f"{folder} must be the folder of a run, got one without {name}; name one that "
        "functional-nn train wrote")


def write_rows(folder: Path, rows: dict[str, np.ndarray]) -> None:
    """Write rows.npz: the fingerprints of the rows, as `config.fingerprints_of` makes them."""
    with file_beside(folder / ROWS) as partial, open(partial, "wb") as file:
        np.savez(file, **rows)


def read_rows(folder: Path) -> dict[str, np.ndarray]:
    """The content of rows.npz, as `write_rows` was given it.

    Raises an `Unusable` if there is none, or if it is damaged.
    """
    path = part(folder, ROWS)
    try:
        rows = read_npz(path)
        if (rows["train"].dtype == rows["test"].dtype == np.uint64
                and str(rows["dtype"]) in ("float32", "float64") and rows["target"].shape == ()):
            return rows
    except (OSError, ValueError, KeyError):
        pass
    raise Unusable(f"{path} must be as the run wrote it, got something else; "
                   f"{command('resume', folder)} writes it again")


class Recorder:
    """A callback of `fit` that appends the record of each epoch to metrics.jsonl.

    It is a context manager.

    Args:
      folder: the folder of the run.
      tensorboard: whether to write TensorBoard events as well.
    """

    def __init__(self, folder: Path, tensorboard: bool):
        self._path, self._first = folder / METRICS, True
        self._events = _events(folder) if tensorboard else None

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *error) -> None:
        if self._events is not None:
            self._events.close()

    def __call__(self, moment: Moment) -> None:
        if moment.record is None:
            return
        if self._first:  # a resumed run repeats the epochs after its checkpoint
            write_jsonl(self._path, [
                row for row in _read(self._path)[0] if row["epoch"] < moment.epoch])
            self._first = False
        with named(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(line(moment.record))
        for name, value in moment.record.items() if self._events is not None else ():
            self._events.add_scalar(name, value, moment.epoch)


def _events(folder: Path):
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder))


def rows(path: Path) -> list[dict[str, Any]]:
    """The records in the metrics.jsonl of a run, one per epoch; none if there is no such file.

    A last line without an end, as a killed run leaves it, is skipped. Raises an `Unusable` for
    another line that is not a record.
    """
    found, bad = _read(path)
    if bad is not None:
        raise Unusable(
            f"{path}, line {bad} must be the record of an epoch, got something else; "
            f"{command('resume', path.parent)} writes the file again")
    return found


def _read(path: Path) -> tuple[list[dict[str, Any]], int | None]:
    """The records in a metrics.jsonl, and the number of the first line that is not a record.

    The number is None if every line is a record. A last line without an end is skipped.
    """
    found, bad = [], None
    text = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    for number, part in enumerate(text.split("\n")[:-1], start=1):
        row = None
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(part)
        if _is_record(row):
            found.append(row)
        else:
            bad = bad or number
    return found, bad


def _is_record(row: Any) -> bool:
    return (isinstance(row, dict) and type(row.get("epoch")) is int
            and all(map(_is_number, row.values())))


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def record(folder: Path) -> dict[str, Any] | None:
    """The summary.json of a run; None if the run has not ended.

    Raises an `Unusable` for a summary.json that is not as the run wrote it.
    """
    path = folder / SUMMARY
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        numbers = [found["epochs"] + 0, found["best_epoch"] + 0, found["kept_epoch"] + 0,
                   *found["test"].values()]
        if (isinstance(found["stopped"], str) and found["reason"] in REASONS
                and all(map(_is_number, numbers))):
            return found
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise Unusable(
        f"{path} must be as the run wrote it, got something else; {command('resume', folder)} "
        "writes it again")


def kept(record: dict[str, Any]) -> str:
    """Which epoch was the best and which one the model is of; `record` is a summary.json.

    >>> kept({"kept_epoch": 27, "best_epoch": 27}), kept({"kept_epoch": 30, "best_epoch": 27})
    ('the best epoch was 27, and is kept', 'the best epoch was 27, and epoch 30, the last, is kept')
    """
    best, own = record["best_epoch"], record["kept_epoch"]
    if not best:
        return "no epoch is finished, and the start is kept"
    return f"the best epoch was {best}, and " + (
        "is kept" if own == best else f"epoch {own}, the last, is kept")


def write_model(folder: Path, job, result: Result, record: dict[str, Any]) -> None:
    """Write metrics.jsonl and model/ of a run that has ended, in place of those of an earlier end.

    Args:
      folder: the folder of the run.
      job: the job, with its network, loss and data set.
      result: the result of `fit`.
      record: the content of summary.json.
    """
    names = list(result.history)
    write_jsonl(folder / METRICS, [dict(zip(names, values, strict=True)) for values in zip(
        *(column.tolist() for column in result.history.values()), strict=True)])
    new, old = (folder / name for name in UNFINISHED)
    for leftover in (new, old):
        remove(leftover)
    about = plain({"epochs": record["epochs"], "test": record["test"]})
    handover.save(new, job.net, result.params, job.loss, job.dataset, about=about)
    if os.path.lexists(folder / MODEL):
        os.rename(folder / MODEL, old)
    os.rename(new, folder / MODEL)
    sync(folder)
    remove(old)


def write_summary(folder: Path, result: Result, record: dict[str, Any]) -> None:
    """Write layers.json, with --monitor, and last of all summary.json."""
    if result.layers:
        write_json(folder / LAYERS, dict(result.layers))
    write_json(folder / SUMMARY, record, durable=True)
