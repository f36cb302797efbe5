"""The state of a run, saved to checkpoints and restored from them."""

import warnings
from dataclasses import dataclass
from typing import Any, TypedDict

from functional_nn.records import Notice, typed
from functional_nn.training.identity import Identity, changed_surroundings, difference
from functional_nn.training.loop import Position

__all__ = ["Record", "Store"]


class Record(TypedDict):
    """What a checkpoint of `fit` holds besides the state: the run, and where it was."""

    run: Identity
    epoch: int
    step: int
    best_epoch: int


class Line(TypedDict, total=False):
    """A line of the history: the record of an epoch, or a record of the monitor."""

    record: dict[str, float]
    look: dict[str, float | list[float]]


@dataclass(eq=False)
class Store:
    """The checkpoints of one run.

    Attributes:
      checkpoints: an open `fnn.checkpoint.Checkpoints`.
      run: the run's `identity`.
      steps_an_epoch: the number of steps of an epoch.
      newest: the number of steps taken at the newest checkpoint; −1 if this run has saved or
        restored none.
      saved: how many records of epochs and of the monitor are in its history.
    """

    checkpoints: Any
    run: Identity
    steps_an_epoch: int
    newest: int = -1
    saved: tuple[int, int] = (0, 0)

    def restored(self, fresh: Position) -> Position:
        """The position of the latest checkpoint; `fresh` if there is no checkpoint.

        `fresh` is the position at the start of the run. Raises a ValueError if the checkpoint is
        of another run. Warns if versions, devices or threads are others than when it was saved.
        """
        found = self.checkpoints.record()
        if found is None:
            return fresh
        record = _checked("record", found, Record)
        if (other := difference(record["run"], self.run)) is not None:
            raise ValueError(f"checkpoints must be of this run, got one {other}; pass the "
                             "arguments of that run, or another folder")
        if (changed := changed_surroundings(record["run"], self.run)) is not None:
            warnings.warn(f"the run goes on with {changed}: its numbers agree with those of a run "
                          "without a break up to rounding, not to the bit", Notice, stacklevel=3)
        saved = self.checkpoints.restore((fresh.run, fresh.best))
        lines = _checked("history", saved.history, list[Line])
        position = _position(*saved.state, record, lines)
        step = saved.step - (position.epoch - 1) * self.steps_an_epoch
        if not step == position.step in range(self.steps_an_epoch):
            raise _foreign(f"step {saved.step} must be step {position.step} of epoch "
                           f"{position.epoch}, with {self.steps_an_epoch} steps an epoch")
        self.newest, self.saved = saved.step, (len(position.records), len(position.looks))
        return position

    def save(self, position: Position, steps: int, score: float | None, *,
             wait: bool = False) -> None:
        """Save `position` as a checkpoint, unless it is the newest one already.

        Args:
          position: the position of the run.
          steps: the number of steps taken since the start of the run.
          score: the score of the epoch that has just ended; None amid an epoch and at the end of
            the run.
          wait: whether to return only when the checkpoint is on disk.
        """
        if steps != self.newest:
            self._save(position, steps, score)
        if wait:
            self.checkpoints.wait()

    def _save(self, position: Position, steps: int, score: float | None) -> None:
        records, looks = self.saved
        lines = [*({"record": record} for record in position.records[records:]),
                 *({"look": look} for look in position.looks[looks:])]
        record = Record(run=self.run, epoch=position.epoch, step=position.step,
                        best_epoch=position.best_epoch)
        self.checkpoints.save(
            steps, (position.run, position.best), record, score=score, history=lines)
        self.newest, self.saved = steps, (len(position.records), len(position.looks))


def _checked(where: str, value: Any, wanted: Any) -> Any:
    try:
        return typed(where, value, wanted)
    except ValueError as error:
        raise _foreign(error) from None


def _foreign(what: Any) -> ValueError:
    return ValueError(f"checkpoints must be those of a run of fit, got one of which {what}; "
                      "pass another folder")


def _position(run, best, record: Record, lines: list[Line]) -> Position:
    """The position that a checkpoint holds; a ValueError for one that no run has been at."""
    records, looks = ([line[kind] for line in lines if kind in line] for kind in ("record", "look"))
    done = record["epoch"] - 1
    epochs = [row.get("epoch") for row in records if "cost" in row]
    if len(records) != done or epochs != list(range(1, len(records) + 1)):
        raise _foreign(f"the history must have the costs of {done} epochs")
    if not 0 <= record["best_epoch"] <= done:
        raise _foreign(f"epoch {record['best_epoch']} must be one of {done}")
    return Position(run, best, done + 1, record["step"], records, looks, record["best_epoch"])
