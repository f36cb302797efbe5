"""`Checkpoints` writes the checkpoints of a run in the background; `restore` only reads one."""

import contextlib
import json
import numbers
import os
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from functional_nn import checks
from functional_nn.checkpoint import container, folder, leaves
from functional_nn.checkpoint.folder import Entry
from functional_nn.checkpoint.history import NAME, History
from functional_nn.records import Notice, exact
from functional_nn.writing import alone, clean


class Saved(NamedTuple):
    """A restored checkpoint: the arguments of its `save`, and the description of its run.

    Attributes:
      step: the step after which it was saved.
      state: the pytree of arrays, keys and numbers.
      record: the further values of the run, such as its history.
      score: the value that `best` compares, or None.
      run: the description that `Checkpoints` was made with.
      history: every line that was saved until then, the oldest first.
    """

    step: int
    state: Any
    record: dict[str, Any]
    score: float | None
    run: dict[str, Any]
    history: list[dict[str, Any]]


def restore(path: str | os.PathLike, like: Any, *, best: bool = False) -> Saved:
    """The latest or the best checkpoint in a folder, equal to the saved one bit for bit.

    Nothing is written, so a run may save to the same folder at the same time.

    Args:
      path: a folder that `Checkpoints` wrote to; it may hold other files.
      like: a state with the same structure, shapes and dtypes, such as a new initial state. Each
        restored leaf has the type of its leaf in `like`: a JAX array on the same devices, a NumPy
        array, a key, or a Python number.
      best: whether to return the checkpoint with the smallest score instead of the latest.

    Raises:
      FileNotFoundError: there is no such folder, or no checkpoint (with a score) in it.
      ValueError: `like` has another structure, which the message shows at the first leaf that
        differs; or the folder holds checkpoints of several runs; or the checkpoint is damaged, or
        was written by another version of functional_nn.
      TypeError: a leaf of `like` is neither an array of numbers, nor a key, nor a number.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with Checkpoints(place, run={}) as checkpoints:
    ...         for step, cost in enumerate([0.9, 0.2, 0.4]):
    ...             checkpoints.save(step, {"w": np.full(2, step / 2)}, {}, score=cost)
    ...     latest, best = (restore(place, {"w": np.zeros(2)}, best=best) for best in (False, True))
    >>> latest.state, best.step
    ({'w': array([1., 1.])}, 1)
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path)!r} to restore from")
    while True:
        found = folder.entries(path)
        for other in found[:-1]:
            folder.refuse_another_run(path, other, found[-1].run)
        entry = _chosen(found, best)
        if entry is None:
            kind = "a checkpoint with a score" if best else "a checkpoint"
            raise FileNotFoundError(f"the folder must hold {kind}, got none in {str(path)!r}")
        with contextlib.suppress(FileNotFoundError):  # its writer has just deleted it: look again
            return _saved(entry, like)


def _chosen(found: list[Entry], best: bool) -> Entry | None:
    return folder.best(found) if best else found[-1] if found else None


def _saved(entry: Entry, like: Any) -> Saved:
    header, found, history = folder.content(entry.path)
    state = leaves.rebuilt(str(entry.path), found, like)
    return Saved(header.step, state, header.record, header.score, header.run, history)


class Checkpoints:
    """Writes the checkpoints of one run to a folder of their own, in the background.

    It is a context manager: leaving `with` waits for the last save. If the process is killed
    during a save, or a save fails, the earlier checkpoints remain as they were.

    Args:
      path: the folder; it is created if it does not exist.
      run: a dict of JSON values that identifies the run (network, batch size, seed, …). The
        checkpoints of another run are refused.
      keep_last: how many of the latest checkpoints to keep, at least 1. An older checkpoint is
        deleted once a newer one is on disk, and so is one that a killed process did not delete.
      keep_best: whether to keep the checkpoint with the smallest score as well.

    Other files in the folder, such as a synchroniser's, are named in a warning and left alone.

    Raises:
      ValueError: `path` is a file; the folder holds checkpoints of another run, or a checkpoint
        that is damaged or was written by another version of functional_nn; another writer has the
        folder open; or `keep_last` is less than 1. Existing files are not changed.
      TypeError: `run` is not a dict of JSON values, or `keep_last` is not an integer.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with Checkpoints(place, run={"seed": 1}, keep_last=2) as checkpoints:
    ...         for step, cost in ((100, 0.2), (200, 0.5), (300, 0.4), (400, 0.3)):
    ...             checkpoints.save(step, {"w": step / 8}, {"epoch": step // 100}, score=cost)
    ...         kept = checkpoints.steps
    ...     with Checkpoints(place, run={"seed": 1}) as checkpoints:
    ...         latest = checkpoints.restore({"w": 0.0})
    ...         best = checkpoints.restore({"w": 0.0}, best=True)
    >>> kept, latest.state, best.record
    ([100, 300, 400], {'w': 50.0}, {'epoch': 1})
    """

    def __init__(self, path: str | os.PathLike, *, run: Mapping[str, Any], keep_last: int = 3,
                 keep_best: bool = True):
        self._path, self._keep_best = Path(path), keep_best
        self._keep_last = checks.integer("keep_last", keep_last)
        self._run = exact("run", run)
        if self._path.exists() and not self._path.is_dir():
            raise ValueError(f"the path must be a folder, got the file {str(path)!r}; "
                             "name a new folder")
        self._path.mkdir(parents=True, exist_ok=True)
        self._saving: Future | None = None
        with contextlib.ExitStack() as opened:
            opened.enter_context(alone(self._path))
            self._entries = folder.entries(self._path)
            for entry in self._entries:
                folder.refuse_another_run(self._path, entry, json.loads(self._run))
            if strangers := folder.strangers(self._path):
                warnings.warn(f"{str(self._path)!r} holds {strangers[0]!r}, which is no checkpoint "
                              "and is left alone", Notice, stacklevel=2)
            clean(self._path)
            self._delete_surplus()
            self._history = History(self._path / NAME)
            opened.callback(self._history.close)
            self._thread = opened.enter_context(ThreadPoolExecutor(1, "checkpoint"))
            self._opened = opened.pop_all()

    @property
    def steps(self) -> list[int]:
        """The steps of the checkpoints in the folder, in increasing order.

        Waits for the save in progress, and raises its OSError if it failed.
        """
        self.wait()
        return [entry.step for entry in self._entries]

    def save(self, step: int, state: Any, record: Mapping[str, Any],
             score: float | None = None, *, history: Iterable[Mapping[str, Any]] = ()) -> None:
        """Copy `state` to the host and write it to a checkpoint in the background.

        First waits until the previous save is on disk.

        Args:
          step: the number of the step, at least 0 and larger than every step in the folder.
          state: a pytree of arrays, typed keys and numbers. 64-bit values keep their bits even if
            JAX's x64 mode is off. The buffers may be donated as soon as `save` returns.
          record: further values that the run needs to resume, such as its epoch: a dict of JSON
            values, which may include NaN and infinities. Every checkpoint holds the whole record.
          score: a number such as the validation cost, where smaller is better. A checkpoint whose
            score is None or NaN is never the best.
          history: lines to add to the history of the run, each a dict of JSON values. They are
            written once, so that a checkpoint costs the same however long the history is.
            `restore` gives the whole history.

        Raises:
          TypeError: `step` is not an integer, `score` not a number, a leaf of `state` neither an
            array of numbers nor a key nor a number, or `record` not a dict of JSON values.
          ValueError: `step` is not larger than the latest, an array was donated before or is
            spread over several hosts, an integer does not fit 64 bits, or these checkpoints are
            closed.
          OSError: the previous save failed.
        """
        self.wait()
        if self._opened is None:
            raise ValueError("the checkpoints must be open to save, got those of "
                             f"{str(self._path)!r} after their close")
        step = checks.integer("step", step, low=0)
        if self._entries and step <= self._entries[-1].step:
            raise ValueError(f"step must be more than {self._entries[-1].step}, the latest in "
                             f"{str(self._path)!r}, got {step}; restore to go on from there, or "
                             "name a new folder")
        score = _score(score)
        record = exact("record", record)
        lines = "".join(exact(f"history[{i}]", line) + "\n" for i, line in enumerate(history))
        self._saving = self._thread.submit(
            self._write, step, leaves.snapshot(state), score, record, lines)

    def _write(self, step: int, values: list[leaves.Leaf], score: float | None,
               record: str, lines: str) -> None:
        """Write one checkpoint and delete those that are no longer kept; runs in the background."""
        path = folder.path_of(self._path, step)
        try:
            latest = self._entries[-1] if self._entries else Entry(-1, path, None, {})
            with folder.explained(latest.path):
                mark = self._history.append(latest.history, lines)
            container.write(path, values, step, score, self._run, record, mark)
            self._entries.append(Entry(step, path, score, {}, mark))
            self._delete_surplus()
        except OSError as error:
            raise OSError(f"the checkpoint of step {step} could not be written to "
                          f"{str(self._path)!r}: {error.strerror or error}; mend that, or name "
                          "another folder") from error

    def _delete_surplus(self) -> None:
        for entry in folder.surplus(self._entries, self._keep_last, self._keep_best):
            entry.path.unlink(missing_ok=True)
            self._entries.remove(entry)

    def wait(self) -> None:
        """Wait until the save in progress is on disk; raises its OSError if it failed.

        Ctrl-C ends the waiting but not the save.
        """
        if self._saving is not None:
            wait([self._saving])
            saving, self._saving = self._saving, None
            saving.result()

    def restore(self, like: Any, *, best: bool = False) -> Saved | None:
        """The latest or the best checkpoint in the folder, or None if there is none.

        Waits for the save in progress. The arguments and errors are those of the function
        `restore`, and the OSError of a failed save.
        """
        self.wait()
        entry = _chosen(self._entries, best)
        return None if entry is None else _saved(entry, like)

    def record(self) -> dict[str, Any] | None:
        """The record of the latest checkpoint, without its state; None if there is none.

        Waits for the save in progress; the errors are those of `restore`.
        """
        self.wait()
        return folder.content(self._entries[-1].path)[0].record if self._entries else None

    def close(self) -> None:
        """Wait for the save in progress, then release the folder for other writers.

        Raises the OSError of that save if it failed. Closing twice is allowed.
        """
        try:
            self.wait()
        finally:
            if self._opened is not None:
                opened, self._opened = self._opened, None
                opened.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self.close()
        except OSError as failed:
            if error is None:
                raise
            error.add_note(str(failed))  # the error that ended the run is shown first


def _score(score: Any) -> float | None:
    if score is None:
        return None
    if getattr(score, "shape", None) == ():
        score = score.item()
    if isinstance(score, bool) or not isinstance(score, numbers.Real):
        raise TypeError("score must be a number such as the validation cost, or None, "
                        f"got {score!r}")
    return float(score)
