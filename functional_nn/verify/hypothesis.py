"""A hypothesis: a possible mistake and the gradient that it would give."""

from typing import NamedTuple

import numpy as np

DRAWN = 16_384  # entries of a large array that are compared first
PLAIN, KNOWN, ANY, SOLVED = range(4)
"""Ranks: sign or factor; usual mistake of this step; mistake of any array; solved-for factor."""


class Hypothesis(NamedTuple):
    """A possible mistake with its prediction.

    Attributes:
      cause: a key of `CAUSES`.
      predicted: the step's value with that mistake.
      formula: the mistaken step, written out.
      value: the fitted numbers as text.
      fitted: the fitted numbers; they must be the same wherever the mistake is checked.
      rank: the order of belief: the simplest first, those with many free numbers last.
    """

    cause: str
    predicted: np.ndarray
    formula: str
    value: str = ""
    fitted: tuple[float, ...] = ()
    rank: int = KNOWN


def multiple(given: np.ndarray, direction: np.ndarray) -> float:
    """The least-squares c of given ≈ c · direction; 0 if the direction is 0."""
    squares = float(np.sum(direction * direction))
    return float(np.sum(direction * given)) / squares if squares else 0.0


def written(number: float, close: float, digits: int = 2) -> float:
    """The number rounded to `digits` digits, if that is relatively close; else the number itself.

    >>> written(0.0999985, 1e-3), written(0.1013, 1e-3)
    (0.1, 0.1013)
    """
    plain = float(f"{number:.{digits - 1}e}")
    return plain if abs(plain - number) <= close * abs(number) else number


def size(v: np.ndarray) -> float:
    """The Euclidean norm of v, by sums: threaded products stall on a busy machine."""
    return float(np.sqrt(np.sum(v * v)))
