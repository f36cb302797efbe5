"""Name the mistake in any array that stands beside the right one, at several points.

This is the catalogue for whoever has no network: the caller adds hypotheses of its own to the
mistakes of any array. The first axis of an array is the points.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from functional_nn.verify.catalogue.arrays import ARRAYS
from functional_nn.verify.catalogue.mistake import SIMPLE, SOLVED, USUAL, Mistake
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.debugger import tolerance
from functional_nn.verify.debugger.tolerance import CLEAR, MANY, NEAR, TINY

ANY = "weight"  # the site whose mistakes of any array apply to any array


class Alone(NamedTuple):
    """A right value, without a network around it."""

    right: np.ndarray
    site: str = ANY


class Hypothesis(NamedTuple):
    """A possible mistake with its prediction.

    Attributes:
      cause: a key of `CAUSES`.
      predicted: the array with that mistake.
      formula: the mistake, written out.
      value: the fitted numbers as text.
      fitted: the fitted numbers.
      rank: the order of belief.
    """

    cause: str
    predicted: np.ndarray
    formula: str
    value: str = ""
    fitted: tuple[float, ...] = ()
    rank: int = USUAL


class Verdict(NamedTuple):
    """The cause of a wrong array.

    Attributes:
      cause: a key of `CAUSES`.
      residual: the share of the error that it leaves.
      runner_up: the smallest share that a different cause leaves.
      formula: the formula that fits the given array.
      value: the fitted numbers as text.
      closest: the cause that leaves least, if none is named.
      fitted: the fitted numbers.
      near: the closest cause's formula, if none is named.
    """

    cause: str
    residual: float
    runner_up: float
    formula: str
    value: str
    closest: str
    fitted: tuple[float, ...] = ()
    near: str = ""

    @property
    def nearest(self) -> str:
        """Return the closest cause with its formula and with what it leaves; "" without one."""
        if not self.closest:
            return ""
        formula = f" ({self.near})" if self.near else ""
        return f"{CAUSES[self.closest]}{formula}, which leaves {self.residual:.0e} of the error"


UNKNOWN = Verdict("unexplained", 1.0, np.inf, "", "", "")


def judge(given: np.ndarray, expected: np.ndarray, hypotheses: Iterable[Hypothesis], unit: float, name: str,
          arrays: Iterable[Mistake] = ARRAYS) -> Verdict:
    """Return the verdict on a wrong array.

    Args:
      given, expected: the array and the right one, of one shape, points first.
      hypotheses: the caller's own. Each is tested as it is and times a constant.
      unit: the rounding unit of `given`.
      name: the right array as a formula, from which other formulas are written.
      arrays: the mistakes of any array that are tried besides.
    """
    if not np.isfinite(given).all():
        return UNKNOWN._replace(cause="not a number", residual=0.0)
    error = max(_size(given - expected), 1e-300)
    rounding = 2 * unit * _size(given) / error
    tiny = max(TINY, rounding)
    left = sorted(_residuals(given, expected, hypotheses, arrays, name, error), key=lambda pair: pair[1].rank)
    named = [(residual, guess) for residual, guess in left if residual <= tiny]
    if named and tiny < 1 / CLEAR:
        residual, guess = named[0]
        others = [r for r, other in left if other.cause != guess.cause and other.rank <= guess.rank and r > tiny]
        runner_up = min(others, default=np.inf)
        if runner_up > 4 * rounding:
            return Verdict(guess.cause, residual, runner_up, guess.formula, guess.value, "", guess.fitted)
    simple = [pair for pair in left if pair[1].rank <= SOLVED]  # what is solved for is close to anything
    residual, guess = min(simple, key=lambda pair: pair[0], default=(1.0, Hypothesis("unexplained", given, name)))
    runner_up = min((r for r, _ in left if r > tiny), default=np.inf)
    near = residual < NEAR
    return Verdict("unexplained", residual, runner_up, name, "", guess.cause if near else "", guess.fitted,
                   guess.formula if near else "")


def _residuals(given, expected, hypotheses, arrays, name: str, error: float) -> Iterator[tuple[float, Hypothesis]]:
    """(share of the error that is left, hypothesis) for all that have the right shape."""
    for guess in hypotheses:
        if guess.predicted.shape != given.shape or not np.isfinite(guess.predicted).all():
            continue
        yield _size(given - guess.predicted) / error, guess._replace(predicted=SEEN)
        c = tolerance.multiple([given], [guess.predicted])
        if given.size > 1 and c and _size(guess.predicted - expected) > TINY * error:
            yield _size(given - c * guess.predicted) / error, guess._replace(
                predicted=SEEN, formula=f"{c:.6g} * ({guess.formula})", fitted=(*guess.fitted, c), rank=guess.rank + 1)
    usual = [one for one in arrays if ANY in one.sites and not (given[0].size > MANY and one.rank == SOLVED)]
    for guess in guesses(usual, [Alone(right) for right in expected], given, name):
        rank = guess.rank if guess.rank == SIMPLE else guess.rank + 1  # the caller knows more than a catalogue
        yield _size(given - guess.predicted) / error, guess._replace(predicted=SEEN, rank=rank)


def guesses(mistakes: Iterable[Mistake], steps: Sequence, given: np.ndarray, name: str) -> Iterator[Hypothesis]:
    """Yield what each mistake predicts, with each of the numbers that are worth trying.

    Args:
      mistakes: records; `said`, where a record has it, is its numbers in words.
      steps: what the records' functions take, one for each point of `given`.
      name: the right array as a formula.
    """
    for mistake in mistakes:
        for numbers, values in mistake.tried(steps, list(given)):
            predicted = np.stack(values)
            if predicted.shape == given.shape and np.isfinite(predicted).all():
                fitted = tuple(float(n) for n in numbers if isinstance(n, float))
                said = getattr(mistake, "said", None)
                value = said.format(*numbers, right=name) if said is not None else ", ".join(
                    f"{n:.6g}" if isinstance(n, float) else str(n) for n in numbers if not isinstance(n, np.ndarray | dict))
                yield Hypothesis(mistake.cause, predicted, mistake.formula.format(*numbers, right=name), value, fitted, mistake.rank)


SEEN = np.zeros(0)


def _size(v: np.ndarray) -> float:
    """The Euclidean norm of v, by sums: threaded products stall on a busy machine."""
    return float(np.sqrt(np.sum(v * v)))
