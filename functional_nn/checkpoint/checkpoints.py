"""`Checkpoints` writes those of a run while it goes on; `restore` reads one, and writes nothing."""

import contextlib
import json
import numbers
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from functional_nn import checks
from functional_nn.checkpoint import container, folder, leaves, plain
from functional_nn.checkpoint.folder import Entry


class Saved(NamedTuple):
    """A checkpoint as it was given to `save`, and the `run` that it belongs to."""

    step: int
    state: Any
    record: dict[str, Any]
    score: float | None
    run: dict[str, Any]


def restore(path: str | os.PathLike, like: Any, *, best: bool = False) -> Saved:
    """The latest (or best) checkpoint in the folder `path`, to the bit; nothing is written, also while a run goes on there.

    Args:
      path: a folder that `Checkpoints` wrote; other files in it do not matter.
      like: a state of the same leaves, shapes and dtypes, such as a new one. Each leaf comes back as what it is there: an array
        on the same devices, a NumPy array, a key, a Python number.
      best: whether to take the checkpoint with the smallest score instead of the latest.

    Raises a FileNotFoundError where there is none, a ValueError for `like` of another structure (with the first leaf that
    differs) and for a checkpoint that is damaged or made by a newer functional_nn, a TypeError for a leaf that is no number.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with Checkpoints(place, run={}) as checkpoints:
    ...         for step, cost in enumerate([0.9, 0.2, 0.4]):
    ...             checkpoints.save(step, {"w": np.full(2, step / 2)}, {}, score=cost)
    ...     restore(place, {"w": np.zeros(2)}).state, restore(place, {"w": np.zeros(2)}, best=True).step
    ({'w': array([1., 1.])}, 1)
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path)!r} to restore from")
    while True:
        entry = _chosen(folder.entries(path), best)
        if entry is None:
            kind = "a checkpoint with a score" if best else "a checkpoint"
            raise FileNotFoundError(f"the folder must hold {kind}, got none in {str(path)!r}")
        with contextlib.suppress(FileNotFoundError):  # its writer has just thinned it out, so there is a newer one
            return _saved(entry, like)


def _chosen(found: list[Entry], best: bool) -> Entry | None:
    return folder.best(found) if best else found[-1] if found else None


def _saved(entry: Entry, like: Any) -> Saved:
    header, found = folder.content(entry.path)
    state = leaves.rebuilt(str(entry.path), found, like)
    return Saved(header.step, state, header.record, header.score, header.run)


class Checkpoints:
    """The checkpoints of one run in a folder of their own, written in the background.

    A save that has not ended when the process is killed, or that fails, leaves those before it as they were. Use it in `with`,
    at whose end the last save is waited for.

    Args:
      path: the folder; made if it is not there.
      run: what makes the run this one and no other (network, batch size, seed, …), as JSON has it; a folder of another run is
        refused.
      keep_last: how many of the latest to keep, 1 or more; older ones are deleted once a newer one is on the disk.
      keep_best: whether to keep the one with the smallest score besides.

    Raises a ValueError, and changes nothing, where the folder holds other files, another run, a damaged or newer checkpoint, or
    is being written to already.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with Checkpoints(place, run={"seed": 1}, keep_last=2) as checkpoints:
    ...         for step in (100, 200, 300, 400):
    ...             checkpoints.save(step, {"w": step / 8}, {"epoch": step // 100}, score=abs(step - 150))
    ...         kept = checkpoints.steps
    ...     with Checkpoints(place, run={"seed": 1}) as checkpoints:
    ...         kept, checkpoints.restore({"w": 0.0}).state, checkpoints.restore({"w": 0.0}, best=True).record
    ([100, 300, 400], {'w': 50.0}, {'epoch': 1})
    """

    def __init__(self, path: str | os.PathLike, *, run: Mapping[str, Any], keep_last: int = 3, keep_best: bool = True):
        self._path, self._keep_best = Path(path), keep_best
        self._keep_last = checks.integer("keep_last", keep_last)
        self._run = plain.text("run", run)
        if self._path.exists() and not self._path.is_dir():
            raise ValueError(f"the path must be a folder, got the file {str(path)!r}; name a new folder")
        self._path.mkdir(parents=True, exist_ok=True)
        self._saving: Future | None = None
        with contextlib.ExitStack() as opened:
            opened.enter_context(folder.alone(self._path))
            folder.refuse_others(self._path)
            self._entries = folder.entries(self._path)
            if self._entries:
                folder.refuse_another_run(self._path, self._entries[-1], json.loads(self._run))
            folder.clean(self._path)
            self._thread = opened.enter_context(ThreadPoolExecutor(1, "checkpoint"))
            self._opened = opened.pop_all()

    @property
    def steps(self) -> list[int]:
        """The steps that the folder has a checkpoint of, oldest first, once the save under way is done."""
        self.wait()
        return [entry.step for entry in self._entries]

    def save(self, step: int, state: Any, record: Mapping[str, Any], score: float | None = None) -> None:
        """Copy `state` to the host and write it in the background; when this returns, the save before it is on the disk.

        Args:
          step: 0 or more, and more than every step in the folder.
          state: any pytree of arrays, typed keys and numbers, as wide as it likes; it may be donated from here on.
          record: what else is needed to go on (history, epoch number), a dict as JSON has it, NaN and infinities included; it
            is written anew each time, so that long histories cost (1,000 numbers about 1 ms).
          score: smaller is better, such as the validation cost; None and NaN are never the best.

        Raises a TypeError or ValueError for what cannot be kept, and the OSError of the save before, if that failed.
        """
        self.wait()
        if self._opened is None:
            raise ValueError(f"the checkpoints must be open to save, got those of {str(self._path)!r} after their close")
        step = checks.integer("step", step, low=0)
        if self._entries and step <= self._entries[-1].step:
            raise ValueError(f"step must be more than {self._entries[-1].step}, the latest in {str(self._path)!r}, got {step}; "
                             "restore to go on from there, or name a new folder")
        score = _score(score)
        record = plain.text("record", record)
        self._saving = self._thread.submit(self._write, step, leaves.snapshot(state), score, record)

    def _write(self, step: int, values: list[leaves.Leaf], score: float | None, record: str) -> None:
        path = folder.path_of(self._path, step)
        try:
            container.write(path, values, step, score, self._run, record)
            self._entries.append(Entry(step, path, score, {}))
            for entry in folder.surplus(self._entries, self._keep_last, self._keep_best):
                entry.path.unlink(missing_ok=True)
                self._entries.remove(entry)
        except OSError as error:
            raise OSError(f"the checkpoint of step {step} could not be written to {str(self._path)!r}: "
                          f"{error.strerror or error}; mend that, or name another folder") from error

    def wait(self) -> None:
        """Back when the save under way is on the disk; raises its OSError if it failed. Ctrl-C ends the waiting only."""
        if self._saving is not None:
            wait([self._saving])
            saving, self._saving = self._saving, None
            saving.result()

    def restore(self, like: Any, *, best: bool = False) -> Saved | None:
        """The latest (or best) checkpoint of the folder, as `restore` gives it; None where there is none."""
        self.wait()
        entry = _chosen(self._entries, best)
        return None if entry is None else _saved(entry, like)

    def close(self) -> None:
        """Wait for the save under way and let others write to the folder; raises as `wait` does."""
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
            error.add_note(str(failed))  # what ended the run is what to see first


def _score(score: Any) -> float | None:
    if score is None:
        return None
    if getattr(score, "shape", None) == ():
        score = score.item()
    if isinstance(score, bool) or not isinstance(score, numbers.Real):
        raise TypeError(f"score must be a number such as the validation cost, or None, got {score!r}")
    return float(score)
