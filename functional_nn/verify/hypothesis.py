"""A guess at a mistake: what it would have given."""

from typing import NamedTuple

import numpy as np

DRAWN = 16_384  # entries of a large array that are looked at first
PLAIN, KNOWN, ANY, SOLVED = range(4)
"""Ranks: a sign or a factor; a mistake that people make in this step; one that any array can have; a factor solved for."""


class Hypothesis(NamedTuple):
    """cause: of `CAUSES`. predicted: what that mistake gives. formula: the step as yours. value: what was fitted, to read.

    fitted: the same as numbers, which must come out alike wherever the mistake is looked at. rank: how much it takes to be
    believed: the simplest are believed first, those with many free numbers last.
    """

    cause: str
    predicted: np.ndarray
    formula: str
    value: str = ""
    fitted: tuple[float, ...] = ()
    rank: int = KNOWN


def multiple(given: np.ndarray, direction: np.ndarray) -> float:
    """The c that brings c · direction nearest to `given`."""
    squares = float(np.sum(direction * direction))
    return float(np.sum(direction * given)) / squares if squares else 0.0


def written(number: float, close: float, digits: int = 2) -> float:
    """The number of so many digits that a number is close to, relatively; itself where there is none.

    >>> written(0.0999985, 1e-3), written(0.1013, 1e-3)
    (0.1, 0.1013)
    """
    plain = float(f"{number:.{digits - 1}e}")
    return plain if abs(plain - number) <= close * abs(number) else number


def size(v: np.ndarray) -> float:
    """Its norm. By sums, as products of threads wait for one another where the machine is busy."""
    return float(np.sqrt(np.sum(v * v)))
