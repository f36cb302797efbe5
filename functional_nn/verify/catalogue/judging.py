"""Name the mistake in any array that stands beside the right one, at several points.

This is the catalogue for whoever has no network: the caller adds hypotheses of its own to the
mistakes of any array. The first axis of an array is the points.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from functional_nn.verify.catalogue.arrays import ARRAYS
from functional_nn.verify.catalogue.mistake import SIMPLE, SOLVED, USUAL
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


def multiple(given: np.ndarray, direction: np.ndarray) -> float:
    """Return the least-squares c of given ≈ c · direction; 0 if the direction is 0."""
    return tolerance.multiple([given], [np.broadcast_to(direction, np.shape(given))])


def judge(given: np.ndarray, expected: np.ndarray, hypotheses: Iterable[Hypothesis], unit: float, name: str,
          noise: float = 0.0) -> Verdict:
    """Return the verdict on a wrong array.

    Args:
      given, expected: the array and the right one, of one shape, points first.
      hypotheses: the caller's own. Each is tested as it is and times a constant.
      unit: the rounding unit of `given`.
      name: the right array as a formula, from which other formulas are written.
      noise: the norm of further rounding errors in given − expected.
    """
    if not np.isfinite(given).all():
        return Verdict("not a number", 0.0, np.inf, name, "", "")
    error = max(_size(given - expected), 1e-300)
    rounding = (2 * unit * _size(given) + noise / 4) / error
    tiny = max(TINY, rounding)
    left = sorted(_residuals(given, expected, hypotheses, name, error), key=lambda pair: pair[1].rank)
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


def _residuals(given, expected, hypotheses, name: str, error: float) -> Iterator[tuple[float, Hypothesis]]:
    """(share of the error that is left, hypothesis) for all that have the right shape."""
    for guess in hypotheses:
        if guess.predicted.shape != given.shape or not np.isfinite(guess.predicted).all():
            continue
        yield _size(given - guess.predicted) / error, guess._replace(predicted=SEEN)
        c = multiple(given, guess.predicted)
        if given.size > 1 and c and guess.cause != "wrong target" and _size(guess.predicted - expected) > TINY * error:
            yield _size(given - c * guess.predicted) / error, guess._replace(
                predicted=SEEN, formula=f"{c:.6g} * ({guess.formula})", fitted=(*guess.fitted, c), rank=guess.rank + 1)
    steps = [Alone(right) for right in expected]
    for mistake in ARRAYS:
        if ANY not in mistake.sites or (given[0].size > MANY and mistake.rank == SOLVED):
            continue
        for numbers, values in mistake.tried(steps, list(given)):
            predicted = np.stack(values)
            if predicted.shape != given.shape or not np.isfinite(predicted).all():
                continue
            fitted = tuple(float(n) for n in numbers if isinstance(n, float))
            value = ", ".join(f"{n:.6g}" if isinstance(n, float) else str(n) for n in numbers if not isinstance(n, np.ndarray | dict))
            yield _size(given - predicted) / error, Hypothesis(mistake.cause, SEEN, mistake.formula.format(*numbers, right=name),
                                                               value, fitted, mistake.rank if mistake.rank == SIMPLE else mistake.rank + 1)


SEEN = np.zeros(0)


def _size(v: np.ndarray) -> float:
    """The Euclidean norm of v, by sums: threaded products stall on a busy machine."""
    return float(np.sqrt(np.sum(v * v)))
