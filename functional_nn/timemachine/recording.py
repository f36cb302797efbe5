"""A run recorded step after step: the run is taken again, with the same keys and the same bits.

A run is determined by its arguments. So nothing needs to be recorded while it trains: `record`
makes the same compiled calls as `fit`, and looks at some of the steps on the way.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import verify
from functional_nn.explanation.numbers import chosen, numbers
from functional_nn.explanation.plan import Plan
from functional_nn.objective import Objective
from functional_nn.timemachine import mistakes
from functional_nn.timemachine.agreement import difference
from functional_nn.timemachine.looking import Layout, Look, layout, looker
from functional_nn.training.program import epoch_keys, program
from functional_nn.training.steps import new_epoch

__all__ = ["Course", "Track", "Verdict", "course_layout", "record"]

CHECKED = 8  # the debugger looks at so many examples of a step
SAMPLE = 64  # the nodes that are shown are chosen on so many examples


@dataclasses.dataclass(frozen=True)
class Course:
    """What determines a run, as `fit` takes it after its checks.

    Attributes:
      problem: the network and the loss.
      optimizer, value_and_grad, penalty, shuffle, epochs: as for `fit`.
      source: the examples, `Arrays` on the device or `Streamed`.
      batch_size: the number of examples of a step.
      start: the parameters before the first step.
      key: the key from which each epoch takes its order and its noise.
    """

    problem: Objective
    optimizer: Any
    value_and_grad: Callable
    penalty: Any
    source: Any
    batch_size: int
    shuffle: bool
    epochs: int
    start: Any
    key: Any

    @property
    def weighted(self) -> bool:
        """Whether the examples have weights."""
        return len(getattr(self.source, "examples", ())) == 3

    @property
    def steps_an_epoch(self) -> int:
        """The number of steps of an epoch."""
        return -(-len(self.source) // self.batch_size)


class Verdict(NamedTuple):
    """What the debugger says of the backward pass at a step.

    Attributes:
      step: the number of the step, from 1.
      right: whether the gradient is right.
      text: the verdict in a sentence.
    """

    step: int
    right: bool
    text: str


@dataclasses.dataclass(frozen=True)
class Track:
    """The record of a run.

    Attributes:
      name: "" for the right run, else the cause of the mistake in its backward pass.
      numbers: the numbers of the recorded steps, from 1.
      looks: the record, with an axis of steps in front.
      costs: the mean loss of the examples of each epoch, each taken before its step.
      apart: how far the gradient of each recorded step is from that of `jax.grad`, over its
        largest entry.
      verdicts: what the debugger says of the first and of the last recorded step.
      last: the parameters after the last step.
    """

    name: str
    numbers: tuple[int, ...]
    looks: Look
    costs: tuple[float, ...]
    apart: tuple[float, ...]
    verdicts: tuple[Verdict, ...]
    last: Any


def course_layout(course: Course, most: int) -> Layout:
    """What is recorded of a run: of each layer all nodes, or the `most` of the largest influence.

    The influence is that at the start, on some of the examples.
    """
    X, Y = course.source.some(SAMPLE)
    batch = course.problem.batch(course.start, X, Y)
    found = numbers(course.problem, course.start, batch.x, batch.y, 1.0)
    return layout(Plan(course.problem, chosen(course.problem, found, most)))


def record(
    course: Course, given: Layout, steps: int, examples: int, cause: str = ""
) -> Track:
    """Take a run again and record some of its steps.

    Args:
      course: the run.
      given: what is recorded.
      steps: the number of recorded steps, spread evenly over the run.
      examples: how many examples of each step are recorded at most.
      cause: the mistake that the backward pass is given; "" for none.
    """
    wrong = mistakes.mistake(cause) if cause else mistakes.Mistake("", "")
    way = mistakes.value_and_grad(cause) if cause else course.value_and_grad
    problem = course.problem
    compiled = program(problem.net, problem.loss, course.optimizer, way, course.penalty,
                       course.weighted)
    look = looker(given, wrong.plant(problem), compiled.update, course.optimizer, course.penalty,
                  wrong.times, examples)
    due = _due(course.epochs * course.steps_an_epoch, steps)
    of_step = difference(problem, way)
    looks, apart, ends, costs = [], [], {}, []
    run = new_epoch(course.start, compiled.init(course.start))
    for epoch in range(1, course.epochs + 1):
        order_key, noise_key = epoch_keys(course.key, epoch)
        for piece in course.source.epoch(
                order_key, course.batch_size, course.shuffle, pads=compiled.pads):
            before = (epoch - 1) * course.steps_an_epoch + piece.before
            for first, last in _spans(piece.steps, [step - before for step in due]):
                if before + first in due:
                    rows = piece.rows[first]
                    key = jax.random.fold_in(noise_key, piece.before + first)
                    looks.append(look(run.params, run.optimizer_state, key, rows, piece.count,
                                      *piece.examples))
                    X, Y = (array[rows[:piece.count]] for array in piece.examples[:2])
                    apart.append(of_step(run.params, X, Y, key))
                    if before + first in (due[0], due[-1]):
                        ends[before + first] = run.params, piece, rows[:piece.count]
                run = compiled.steps(run, noise_key, piece.before, piece.rows, piece.count,
                                     first, last, *piece.examples)
        costs.append(float(run.total) / len(course.source))
        run = new_epoch(run.params, run.optimizer_state)
    verdicts = tuple(_verdict(course, way, step + 1, *end) for step, end in ends.items())
    return Track(cause, tuple(step + 1 for step in due), _stacked(looks), tuple(costs),
                 tuple(apart), verdicts, run.params)


def _due(total: int, steps: int) -> list[int]:
    """The steps to be recorded, from 0: all, or so many that are spread evenly."""
    return sorted({round(i) for i in np.linspace(0, total - 1, min(steps, total))})


def _spans(steps: int, due: list[int]) -> Iterator[tuple[int, int]]:
    """The steps of a piece as ranges, such that every step in `due` begins one and is alone."""
    edges = {0, steps, *(step for step in due if 0 <= step < steps),
             *(step + 1 for step in due if 0 <= step < steps)}
    yield from itertools.pairwise(sorted(edges))


def _stacked(looks: list[Look]) -> Look:
    """The records of all steps as one; a smaller last batch is filled up with NaN and row −1."""
    most = max(len(look.rows) for look in looks)

    def filled(look: Look) -> Look:
        lacking = most - len(look.rows)
        rows = np.pad(np.asarray(look.rows), (0, lacking), constant_values=-1)
        passes = np.asarray(look.passes, np.float64)
        passes = np.pad(passes, ((0, lacking), (0, 0)), constant_values=np.nan)
        wanted = min(most, max(one.pushers.shape[-1] for one in looks))
        short = wanted - look.pushers.shape[-1]
        pushers = np.pad(np.asarray(look.pushers), ((0, 0), (0, short)), constant_values=-1)
        pushes = np.pad(np.asarray(look.pushes), ((0, 0), (0, short)))
        return look._replace(rows=rows, passes=passes, pushers=pushers, pushes=pushes)

    return Look(*(np.stack([np.asarray(part) for part in parts])
                  for parts in zip(*map(filled, looks), strict=True)))


def _verdict(course: Course, way: Callable, number: int, params, piece, rows) -> Verdict:
    """What the debugger says of the backward pass at a step, on some of its examples."""
    problem, few = course.problem, rows[:CHECKED]
    X, Y = (array[few] for array in piece.examples[:2])
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params)):
        return Verdict(number, False, "not checked: the parameters are no longer finite")
    report = verify.check_network(problem.net, problem.loss, params, X, Y,
                                  value_and_grad=way(problem.net, problem.loss))
    if report:
        return Verdict(number, True, "RIGHT: every step of the backward pass agrees with jax.vjp")
    fault = report.faults[0]
    where = "" if fault.layer is None else f" at layer {fault.layer + 2}"
    return Verdict(number, False, f"WRONG{where}, {fault.site}: {fault.cause}, "
                                  f"{verify.CAUSES[fault.cause]}")
