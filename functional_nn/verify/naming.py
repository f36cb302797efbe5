"""The record of a mistake in any array, and the verdict on an array at several points.

A cause must fit at all points at once: a factor, a decay or an exchange that fits at the given
point by chance does not fit at the others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from functional_nn.verify.catalogue.arrays import ARRAYS
from functional_nn.verify.catalogue.judging import UNKNOWN, Verdict, guesses, judge
from functional_nn.verify.catalogue.mistake import SIMPLE, USUAL, Mistake, as_it_is, times
from functional_nn.verify.debugger.tolerance import SAME, TINY
from functional_nn.verify.debugger.where import only_if

ENTRIES, DIRECTIONS = "entries", "directions"  # how an array is seen
CERTAIN = ("sign", "zero", "not a number", "unexplained", "exchanged leaves", "share forgotten", "cotangent ignored")
"""The causes that can be told from one number."""


class Point(NamedTuple):
    """An array at one point, seen by its entries or along directions.

    Attributes:
      given, right: the array under test, and the right one.
      seen: other arrays seen in the same way, by name.
      beside: by kind, a function () -> {formula: what else is known that the array may hold}.
    """

    given: np.ndarray
    right: np.ndarray
    seen: Mapping[str, np.ndarray] = {}
    beside: Mapping[str, Callable[[], Mapping[str, np.ndarray]]] = {}

    def of(self, name: str) -> np.ndarray:
        """Return what is seen under a name. Raises Inapplicable if nothing is."""
        only_if(name in self.seen)
        return self.seen[name]

    def known(self, kind: str) -> Mapping[str, np.ndarray]:
        """Return what is known of a kind, {} if nothing is."""
        return self.beside[kind]() if kind in self.beside else {}

    @property
    def wrong(self) -> np.ndarray:
        """Return where the array is wrong."""
        return np.abs(self.given - self.right) > TINY * np.abs(self.right).max(initial=0.0)


@dataclass(frozen=True)
class Suspect(Mistake):
    """A mistake in any array: a record whose steps are points.

    Attributes:
      said: its numbers in words.
    """

    said: str


def suspect(cause: str, apply: Callable, formula: str, fit: Callable = as_it_is, said: str = "",
            sites: tuple[str, ...] = (ENTRIES,), rank: int = USUAL) -> Suspect:
    """Return a record. One of rank TABLED is named if it fits, and never said to be the closest."""
    return Suspect(cause, sites, apply, formula, fit, rank, False, (), said)


def close(mine: np.ndarray, theirs: np.ndarray) -> bool:
    """Return whether two arrays are the same, but for the errors of what is measured."""
    return mine.shape == theirs.shape and bool(
        np.linalg.norm(mine - theirs) <= SAME * np.linalg.norm(theirs))


def each(kind: str, fits: Callable[[Point, np.ndarray], bool] = lambda point, value: True) -> Callable:
    """Return the fit that tries all that is known of a kind, where it `fits` at every point."""
    def fit(points, given):
        names = [*points[0].known(kind)]
        for point in points:
            names = [name for name in names if name in point.known(kind) and fits(point, point.known(kind)[name])]
        return [(name,) for name in names]

    return fit


def known(kind: str) -> Callable:
    """Return the function (point, name) -> what is known of a kind under a name."""
    return lambda point, name: point.known(kind)[name]


def number(terms: Sequence[np.ndarray], given: Sequence[np.ndarray]) -> float:
    """Return the c that fits best in given = c · term. Raises Inapplicable if there is none."""
    found = times(lambda term: term)(terms, given)
    only_if(found)
    return found[0][0]


def named(points: Sequence[Point], unit: float, name: str, suspects: Iterable[Suspect], site: str = ENTRIES) -> Verdict:
    """Return the verdict on an array.

    It is "unexplained" if the numbers at hand are too few for the fitted ones.

    Args:
      points: the array at several points, of one shape, at least (1,).
      unit: the rounding unit of both arrays.
      name: the right array in formulas.
      suspects: the records to try before those of any array.
      site: how the array is seen.

    >>> right = [np.array([1.0, -2.0, 4.0]), np.array([3.0, 0.5, 1.0])]
    >>> verdict = named([Point(-0.5 * each, each) for each in right], 2.0**-53, "df/dw", ())
    >>> verdict.cause, verdict.formula
    ('factor', '-0.5 * (df/dw)')
    """
    given, expected = (np.stack([getattr(point, which) for point in points]) for which in ("given", "right"))
    if not np.isfinite(expected).all() or (given == expected).all():
        return UNKNOWN
    own = [one for one in suspects if site in one.sites]
    arrays = ARRAYS if site == ENTRIES else [one for one in ARRAYS if one.rank == SIMPLE]  # the others are not linear
    verdict = judge(given, expected, guesses(own, points, given, name), unit, name, arrays)
    constant = given.size < 2 or np.ptp(np.abs(given)) == 0  # one number fits any cause
    multiple = given[0].size == 1 and verdict.fitted and verdict.cause == "another leaf's gradient"
    return UNKNOWN if multiple or (constant and verdict.cause not in CERTAIN) else verdict
