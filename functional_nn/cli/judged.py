"""How a run is judged on the rows that were kept for its test."""

import warnings
from typing import NamedTuple

import numpy as np

from functional_nn import metrics
from functional_nn.objective import Objective


class Judged(NamedTuple):
    """scores: the usual metrics by name, NaN where an output is not finite. predicted: classes (rows,), and confusion: how
    often class i was taken for class j; None in a regression, and where an output is not finite."""

    scores: dict[str, float]
    predicted: np.ndarray | None
    confusion: np.ndarray | None


def judged(problem: Objective, params, x: np.ndarray, y: np.ndarray) -> Judged:
    """The network's answers for the rows (x, y); a run that diverged may have none that is a number."""
    kind = metrics.task(problem, y)
    outputs = metrics.outputs(problem.net, params, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one test row, or of errors whose square overflows: the score says so
        scores = metrics.scores(problem, params, x, y)
    if kind != "classes" or not np.isfinite(outputs).all():
        return Judged(scores, None, None)
    return Judged(scores, metrics.predictions(outputs, kind), metrics.confusion(problem, params, x, y))
