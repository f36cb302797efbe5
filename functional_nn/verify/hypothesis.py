"""A guess at a mistake: what it would have given."""

from typing import NamedTuple

import numpy as np


class Hypothesis(NamedTuple):
    """cause: of `CAUSES`. predicted: what that mistake gives. formula: the step as yours. value: what was fitted, to read.

    fitted: the same as numbers, which must come out alike wherever the mistake is looked at. loose: it has so many free numbers
    that it is believed last.
    """

    cause: str
    predicted: np.ndarray
    formula: str
    value: str = ""
    fitted: tuple[float, ...] = ()
    loose: bool = False


def multiple(given: np.ndarray, direction: np.ndarray) -> float:
    """The c that brings c · direction nearest to `given`."""
    size = float(np.vdot(direction, direction))
    return float(np.vdot(direction, given)) / size if size else 0.0
