"""The loop of a run on the host, around compiled steps.

Between the compiled calls it keeps the records, runs the monitor and the callbacks, saves
checkpoints, and decides whether to stop.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nn.console import print
from functional_nn.progress import progress as progress_of
from functional_nn.stopping import Stop
from functional_nn.training.divergence import divergence
from functional_nn.training.interrupts import Asked, Terminated, watched
from functional_nn.training.program import Program, epoch_keys
from functional_nn.training.sources import Arrays, Piece, Streamed
from functional_nn.training.steps import Run, new_epoch

__all__ = ["Host", "Moment", "Position", "run_epochs"]


class Moment(NamedTuple):
    """The argument of a callback: the state of a run at the end of an epoch or amid one.

    Attributes:
      epoch: the number of the epoch, from 1.
      step: the number of steps taken since the start of the run.
      params: the parameters.
      optimizer_state: the state of the optimiser.
      record: the record of the epoch at its end, name -> number; None amid an epoch.
    """

    epoch: int
    step: int
    params: Any
    optimizer_state: Any
    record: dict[str, float] | None


@dataclasses.dataclass
class Position:
    """The state of a run: everything that is needed to continue it.

    Attributes:
      run: the parameters, the optimiser's state, and the sums of the epoch in progress.
      best: the parameters at the end of the best epoch, if they are kept; else None.
      epoch: the epoch in progress, from 1.
      step: the number of steps taken in that epoch.
      records: the records of the finished epochs, and of one that diverged.
      looks: the records of the monitor.
      best_epoch: the epoch with the lowest score, from 1; 0 before the end of the first.
      scores: the score of each finished epoch.
    """

    run: Run
    best: Any = None
    epoch: int = 1
    step: int = 0
    records: list[dict] = dataclasses.field(default_factory=list)
    looks: list[dict] = dataclasses.field(default_factory=list)
    best_epoch: int = 0

    def __post_init__(self) -> None:
        self.scores = [score(record) for record in self.records]

    def note(self, record: dict) -> bool:
        """Add the record of a finished epoch; returns whether its score is the lowest so far."""
        best = not self.best_epoch or score(record) < self.scores[self.best_epoch - 1]
        self.records.append(record)
        self.scores.append(score(record))
        if best:
            self.best_epoch = record["epoch"]
        return best


class Pace:
    """How many steps a compiled call may take, so that it lasts about a second.

    In how many calls an epoch is taken does not change its bits.

    Attributes:
      steps: the largest number of steps of the next call.
    """

    def __init__(self, seconds: float = 1.0, steps: int = 64):
        self.steps, self._seconds = steps, seconds

    def note(self, steps: int, seconds: float) -> None:
        """Take note of how long a call took; the next one has at most eight times its steps."""
        if steps == self.steps or seconds > self._seconds:
            share = self._seconds / max(seconds, 1e-9)
            self.steps = max(1, int(min(share, 8) * steps))


@dataclasses.dataclass(frozen=True, eq=False)
class Host:
    """The fixed parts of a run, as `fit` has checked them.

    Attributes:
      program: the compiled functions.
      source: the training examples.
      batch_size, shuffle, epochs, stop, restore_best, callbacks, every, progress: as for `fit`.
      key: the key from which each epoch takes its order and its noise.
      judge: params -> the entries of an epoch's record on validation data; None without them.
      penalty: params -> the value of the penalty; None without one.
      watch: the monitor, as `program.watch` returns it; None without it.
      pace: how many steps a compiled call may take.
    """

    program: Program
    source: Arrays | Streamed
    batch_size: int
    shuffle: bool
    key: jax.Array
    epochs: int
    judge: Callable | None
    penalty: Callable | None
    watch: tuple[int, Callable] | None
    stop: Callable | None
    restore_best: bool
    callbacks: tuple[Callable, ...]
    every: int | None
    progress: bool
    pace: Pace = dataclasses.field(default_factory=Pace)

    @property
    def steps_an_epoch(self) -> int:
        """The number of steps of an epoch, ⌈n / batch_size⌉."""
        return -(-len(self.source) // self.batch_size)

    def steps_so_far(self, position: Position) -> int:
        """The number of steps taken since the start of the run."""
        return (position.epoch - 1) * self.steps_an_epoch + position.step

    def call(self, position: Position, epoch: int, record: dict | None) -> bool:
        """Call every callback; returns whether one of them asked to end the run."""
        moment = Moment(epoch, self.steps_so_far(position), position.run.params,
                        position.run.optimizer_state, record)
        return any([callback(moment) is True for callback in self.callbacks])


def score(record: dict) -> float:
    """The score of an epoch, the lower the better: its validation cost, or else its cost."""
    return record.get("validation_cost", record["cost"])


def run_epochs(
    host: Host, position: Position, save: Callable | None = None
) -> tuple[Position, Stop]:
    """Run the epochs from `position` to the end of the run.

    Args:
      host: the fixed parts of the run.
      position: where to start; it is modified.
      save: (position, steps so far, score or None, wait=False) -> None, which saves a checkpoint,
        and with `wait` returns when it is on disk; None saves nothing.

    Returns `(position, stopped)`: the position at the end, and why the run ended. With `save`,
    SIGTERM and SIGHUP save the run at its step and raise a `Terminated`.
    """
    saves = save is not None
    how = "fit(…, resume=result)" if save is None else "the same call"
    save = save or (lambda *args, wait=False: None)
    with (progress_of(host.epochs, "training", enabled=host.progress) as advance,
          watched(saves=saves) as asked):
        if position.epoch > 1:
            advance("going on", steps=position.epoch - 1)
        stopped = _over(host, position)
        while stopped is None:
            stopped = _epoch(host, position, save, asked)
            if stopped is None:
                record = position.records[-1]
                advance("  ".join(f"{name.replace('validation_', 'val. ')} {value:.3g}"
                                  for name, value in record.items() if name != "epoch"))
                stopped = _over(host, position)
                if stopped is None and asked.to_end:
                    stopped = Stop(
                        "interrupted", record["epoch"], None,
                        f"interrupted after epoch {record['epoch']}; {how} goes on from there")
    if stopped.reason != "diverged":
        save(position, host.steps_so_far(position), None)
        _leave(host, position, save, asked)  # a signal came after the last epoch
    return position, stopped


def _over(host: Host, position: Position) -> Stop | None:
    """Why the run ends before the epoch of `position`; None if it does not."""
    done = position.epoch - 1
    if host.stop is not None and position.scores and host.stop(position.scores):
        return Stop("rule", done, None,
                    f"the stopping rule was met after epoch {len(position.scores)}")
    return Stop("epochs", done, None, "epochs are over") if position.epoch > host.epochs else None


def _leave(host: Host, position: Position, save: Callable, asked: Asked) -> None:
    """If a signal asked for it, save the run where it is and raise a `Terminated`."""
    if asked.to_leave is not None:
        save(position, host.steps_so_far(position), None, wait=True)
        where = (f"at step {position.step} of epoch {position.epoch}" if position.step
                 else f"after epoch {position.epoch - 1}")
        print(f"saved {where}, from where the same call goes on", file=sys.stderr, flush=True)
        raise Terminated(asked.to_leave)


def _epoch(host: Host, position: Position, save: Callable, asked: Asked) -> Stop | None:
    """Run the epoch in progress to its end, and record it.

    Returns why the run ends within or after this epoch, or None if it does not.
    """
    number, before = position.epoch, position.run
    stopped = _steps(host, position, save, asked)
    cost = float(position.run.total) / len(host.source)
    if stopped is not None:
        if stopped.reason == "diverged":
            position.records.append({"epoch": number, "cost": float("nan")})
        return stopped
    params, state = position.run.params, position.run.optimizer_state
    record = {"epoch": number, "cost": cost}
    if host.penalty is not None:
        record["penalty"] = float(host.penalty(params))
    if host.judge is not None:
        record |= host.judge(params)
    if not np.isfinite(score(record)):
        position.records.append(record)
        position.run = before
        return Stop("diverged", number, None,
                    f"diverged: the validation cost after epoch {number} is {score(record)}; "
                    "try a smaller learning rate")
    best = position.note(record)
    if host.restore_best and best:
        position.best = params
    if host.watch is not None and (number - 1) % host.watch[0] == 0:
        seen = host.watch[1](params, state)
        position.looks.append(
            {"epoch": number, **{name: values.tolist() for name, values in seen.items()}})
    position.epoch, position.step, position.run = number + 1, 0, new_epoch(params, state)
    ended = host.call(position, number, record)
    if best or host.every is None or host.steps_so_far(position) % host.every == 0:
        save(position, host.steps_so_far(position), score(record))
    _leave(host, position, save, asked)
    return (Stop("callback", number, None, f"a callback ended the run after epoch {number}")
            if ended else None)


def _steps(host: Host, position: Position, save: Callable, asked: Asked) -> Stop | None:
    """Take the remaining steps of the epoch in progress, with their callbacks and checkpoints.

    Returns why the run ends amid this epoch, or None if it does not.
    """
    order_key, noise_key = epoch_keys(host.key, position.epoch)
    for piece in host.source.epoch(
            order_key, host.batch_size, host.shuffle, pads=host.program.pads):
        for first, last in _spans(host, position, piece):
            start, began = position.run, time.monotonic()
            run = host.program.steps(
                start, noise_key, piece.before, piece.rows, piece.count, first, last,
                *piece.examples)
            if not bool(run.fine):
                found = divergence(host.program, start, noise_key, piece, first, last,
                                   int(run.sound) - int(start.sound))
                position.run, position.step = found.run, found.step - 1
                return Stop(
                    "diverged", position.epoch, found.step,
                    f"diverged at step {found.step} of epoch {position.epoch}: {found.text}")
            host.pace.note(last - first, time.monotonic() - began)
            asked.step_taken()
            position.run, position.step = run, piece.before + last
            so_far, amid = host.steps_so_far(position), position.step < host.steps_an_epoch
            if amid and host.every and so_far % host.every == 0:
                ended = host.call(position, position.epoch, None)
                save(position, so_far, None)
                if ended:
                    return Stop(
                        "callback", position.epoch, position.step,
                        f"a callback ended the run at step {position.step} of epoch "
                        f"{position.epoch}")
            if amid:
                _leave(host, position, save, asked)
    return None


def _spans(host: Host, position: Position, piece: Piece) -> Iterator[tuple[int, int]]:
    """The compiled calls for the remaining steps of `piece`, as ranges [first, last) of its rows.

    A call ends where the number of steps since the start of the run is a multiple of `every`, and
    after about a second, so that a signal is heard soon.
    """
    first, end = max(0, position.step - piece.before), piece.steps
    # the number of steps from the start of the run to rows[0]
    offset = (position.epoch - 1) * host.steps_an_epoch + piece.before
    while first < end:
        last = min(end, first + host.pace.steps, end if host.every is None else (
            first + host.every - (offset + first) % host.every))
        yield first, last
        first = last
