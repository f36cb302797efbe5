"""The host's loop: compiled steps, and between them the records, looks, callbacks, checkpoints and reasons to stop."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nn.progress import progress as progress_of
from functional_nn.stopping import Stop
from functional_nn.training.divergence import divergence
from functional_nn.training.interrupts import after_the_epoch
from functional_nn.training.program import Program
from functional_nn.training.sources import Arrays, Piece, Streamed
from functional_nn.training.steps import Run, new_epoch

__all__ = ["Host", "Moment", "Position", "run_epochs"]


class Moment(NamedTuple):
    """What a callback sees: the epoch, the steps since the first, the state, and the epoch's record, None amid an epoch."""

    epoch: int
    step: int
    params: Any
    optimizer_state: Any
    record: dict[str, float] | None


@dataclasses.dataclass
class Position:
    """Where a run is: all that it takes to go on.

    `epoch` is the one in progress, from 1, and `step` what it has done of it; `best_epoch` that of the lowest score, 0 before
    there is one, and `best` its parameters where they are kept.
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
        """Add the record of the epoch in progress; whether its score is the lowest so far."""
        best = not self.best_epoch or score(record) < self.scores[self.best_epoch - 1]
        self.records.append(record)
        self.scores.append(score(record))
        if best:
            self.best_epoch = record["epoch"]
        return best


@dataclasses.dataclass(frozen=True, eq=False)
class Host:
    """What a run is made of, as `fit` has checked it."""

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

    @property
    def steps_an_epoch(self) -> int:
        return -(-len(self.source) // self.batch_size)

    def steps_so_far(self, position: Position) -> int:
        """Since the first of the run."""
        return (position.epoch - 1) * self.steps_an_epoch + position.step

    def call(self, position: Position, epoch: int, record: dict | None) -> bool:
        """Every callback in turn; whether one of them wants the run to end."""
        moment = Moment(epoch, self.steps_so_far(position), position.run.params, position.run.optimizer_state, record)
        return any([callback(moment) is True for callback in self.callbacks])


def score(record: dict) -> float:
    """What an epoch is judged by."""
    return record.get("validation_cost", record["cost"])


def run_epochs(host: Host, position: Position, save: Callable | None = None) -> tuple[Position, Stop]:
    """From `position` to the end: (where it ends, why it stopped). save: (position, steps so far, score or None) -> None."""
    how = "fit(…, resume=result)" if save is None else "the same call"
    save = save or (lambda *args: None)
    with progress_of(host.epochs, "training", enabled=host.progress) as advance, after_the_epoch() as asked:
        if position.epoch > 1:
            advance("going on", steps=position.epoch - 1)
        stopped = _over(host, position)
        while stopped is None:
            stopped = _epoch(host, position, save)
            if stopped is None:
                record = position.records[-1]
                advance("  ".join(f"{name.replace('validation_', 'val. ')} {value:.3g}" for name, value in record.items()
                                  if name != "epoch"))
                stopped = _over(host, position)
                if stopped is None and asked():
                    stopped = Stop("interrupted", record["epoch"], None,
                                   f"interrupted after epoch {record['epoch']}; {how} goes on from there")
    if stopped.reason != "diverged":
        save(position, host.steps_so_far(position), None)
    return position, stopped


def _over(host: Host, position: Position) -> Stop | None:
    """Why no epoch follows the ones that are done; None where one does."""
    done = position.epoch - 1
    if host.stop is not None and position.scores and host.stop(position.scores):
        return Stop("rule", done, None, f"the stopping rule was met after epoch {len(position.scores)}")
    return Stop("epochs", done, None, "epochs are over") if position.epoch > host.epochs else None


def _epoch(host: Host, position: Position, save: Callable) -> Stop | None:
    """Take the rest of the epoch that `position` is in; why the run ends within or after it, or None."""
    number, before = position.epoch, position.run
    stopped = _steps(host, position, save)
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
        return Stop("diverged", number, None, f"diverged: the validation cost after epoch {number} is {score(record)}; "
                    "try a smaller learning rate")
    best = position.note(record)
    if host.restore_best and best:
        position.best = params
    if host.watch is not None and (number - 1) % host.watch[0] == 0:
        seen = host.watch[1](params, state)
        position.looks.append({"epoch": number, **{name: values.tolist() for name, values in seen.items()}})
    position.epoch, position.step, position.run = number + 1, 0, new_epoch(params, state)
    ended = host.call(position, number, record)
    if best or host.every is None or host.steps_so_far(position) % host.every == 0:
        save(position, host.steps_so_far(position), score(record))
    return Stop("callback", number, None, f"a callback ended the run after epoch {number}") if ended else None


def _steps(host: Host, position: Position, save: Callable) -> Stop | None:
    """Take the steps that are left of the epoch, with their callbacks and checkpoints; why the run ends here, or None."""
    order_key, noise_key = jax.random.split(jax.random.fold_in(host.key, position.epoch))
    for piece in host.source.epoch(order_key, host.batch_size, host.shuffle):
        for first, last in _spans(host, position, piece):
            start = position.run
            run = host.program.steps(start, noise_key, piece.before, piece.rows, first, last, *piece.examples)
            if not bool(run.fine):
                found = divergence(host.program, start, noise_key, piece, first, last, int(run.sound) - int(start.sound))
                position.run, position.step = found.run, found.step - 1
                return Stop("diverged", position.epoch, found.step,
                            f"diverged at step {found.step} of epoch {position.epoch}: {found.text}")
            position.run, position.step = run, piece.before + last
            so_far = host.steps_so_far(position)
            if host.every and so_far % host.every == 0 and position.step < host.steps_an_epoch:
                ended = host.call(position, position.epoch, None)
                save(position, so_far, None)
                if ended:
                    return Stop("callback", position.epoch, position.step,
                                f"a callback ended the run at step {position.step} of epoch {position.epoch}")
    return None


def _spans(host: Host, position: Position, piece: Piece) -> Iterator[tuple[int, int]]:
    """The compiled calls that `piece` still takes, cut where `every` steps are full: pairs (first, last) of its rows."""
    first, end = max(0, position.step - piece.before), len(piece.rows)
    offset = (position.epoch - 1) * host.steps_an_epoch + piece.before  # of rows[0], since the first step of the run
    while first < end:
        last = end if host.every is None else min(end, first + host.every - (offset + first) % host.every)
        yield first, last
        first = last
