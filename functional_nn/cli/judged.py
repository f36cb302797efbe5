"""The evaluation of a run on its test rows."""

import warnings
from typing import NamedTuple

import numpy as np

from functional_nn import metrics
from functional_nn.handover.model import in_units
from functional_nn.losses import Loss
from functional_nn.objective import Objective
from functional_nn.writing import printable


class Judged(NamedTuple):
    """The evaluation of a network on its test rows.

    Attributes:
      scores: the metrics of the task, by name; NaN where an output is not finite.
      predicted: the predicted class or value of each row, (rows,); None where an output is not
        finite.
      confusion: the confusion matrix, (classes, classes): entry i, j counts the rows of class i
        that were predicted as class j. None in a regression, and where `predicted` is.
    """

    scores: dict[str, float]
    predicted: np.ndarray | None
    confusion: np.ndarray | None


def judged(
    problem: Objective, params, x: np.ndarray, y: np.ndarray,
    scale: tuple[float, float] | None = None
) -> Judged:
    """The evaluation of a network on the rows (x, y).

    Args:
      problem: the network and its loss.
      params: the parameters; after a divergence the outputs may be NaN or inf.
      x: (rows, n_in).
      y: (rows,), classes, or values in the unit of the target.
      scale: (mean, deviation) of the target if the network learnt it standardised.
    """
    kind = metrics.task(problem, y)
    outputs = in_units(metrics.outputs(problem.net, params, x), scale)
    scores = scored(outputs, y, kind)
    if not np.isfinite(outputs).all():
        return Judged(scores, None, None)
    confusion = metrics.confusion(problem, params, x, y) if kind == "classes" else None
    return Judged(scores, metrics.predictions(outputs, kind), confusion)


def scored(outputs: np.ndarray, y: np.ndarray, kind: str) -> dict[str, float]:
    """`metrics.scored` without the warnings of a single row and of an overflow.

    The scores show both: they are NaN or infinite.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return metrics.scored(outputs, y, kind)


def units(target: str, loss: Loss) -> str:
    """What the scores and the cost of a regression are measured in; `target` is "" if unnamed.

    >>> from functional_nn.losses import mse
    >>> units("price", mse)
    'mae and rmse are in the unit of price; the cost is the mse of price scaled to deviation 1'
    """
    target = printable(target) or "the target"
    return (f"mae and rmse are in the unit of {target}; the cost is the {loss.name} of {target} "
            "scaled to deviation 1")
