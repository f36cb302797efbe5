"""Weights of the rows, rows held out for validation, and their cost during training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight

from functional_nn import checks
from functional_nn.sklearn import parts

__all__ = [
    "Judge", "Units", "check_apart", "checked_weights", "class_weights", "held_out", "merged",
    "units_of"]


def check_apart(X: Any) -> None:
    """Raise a ValueError for a column of all the rows X whose values float32 cannot tell apart.

    scikit-learn's checks would round them without a word.
    """
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        checks.told_apart("X", values, np.float32)


def checked_weights(sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """The weights of the rows of X, float64 (n,), after a check; ones for None.

    Raises a ValueError if a weight is negative or all are 0, and the errors of scikit-learn for
    another number of weights or for values that are not finite numbers.
    """
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight must be at least 0 and not zero for every row, got "
                         f"{weights.min()} to {weights.max()}")
    return weights


def class_weights(class_weight: Any, classes: np.ndarray, codes: np.ndarray,
                  weights: np.ndarray) -> np.ndarray:
    """The weight of the class of each row, (n,), which multiplies the weight of the row.

    Args:
      class_weight: a dict class -> weight; None for 1; or "balanced", for which class c has the
        weight Σᵢ wᵢ / (classes · Σ wᵢ over the rows of c), so that all classes count equally.
      classes: (classes,), the labels.
      codes: (n,), the index in `classes` of the label of each row.
      weights: (n,), the weights wᵢ of the rows.

    Raises a ValueError if a weight is negative or not finite, or all are 0.

    >>> class_weights("balanced", np.array(["a", "b"]), np.array([0, 0, 0, 1]), np.ones(4)).round(2)
    array([0.67, 0.67, 0.67, 2.  ])
    """
    if class_weight is None:
        return np.ones(len(codes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        return (weights.sum() / (len(classes) * np.bincount(codes, weights)))[codes]
    by_class = compute_class_weight(class_weight, classes=classes, y=classes[codes])
    if not (np.isfinite(by_class).all() and (by_class >= 0).all() and by_class.any()):
        raise ValueError("class_weight must hold finite numbers of at least 0, not all 0, "
                         f"got {class_weight}")
    return by_class[codes]


def merged(X: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the distinct examples of (X, Y), and the total weight of each.

    The examples are sorted by their values, so the result does not depend on their order. The cost
    of a full batch is then the same bit for bit, whether an example is repeated or has a larger
    weight.

    Args:
      X, Y: (n, features), and (n,) or (n, outputs).
      weights: (n,).

    >>> X, y = np.array([[3.0], [1.0], [3.0]]), np.array([0, 1, 0])
    >>> [array.tolist() for array in merged(X, y, np.ones(3))]
    [[1, 0], [1.0, 2.0]]
    """
    _, first, kind = np.unique(
        np.column_stack([X, Y]), axis=0, return_index=True, return_inverse=True)
    return first, np.bincount(kind.ravel(), weights)


def held_out(strata: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Which rows are held out for validation, bool (n,).

    About the same share of every stratum is held out, at random. At least one row of every stratum
    is left for training.

    Args:
      strata: (n,), the stratum of each row, an integer of at least 0, such as its class.
      fraction: the share of all rows to hold out; at least one row is.
      seed: seed of the random choice.

    Raises a ValueError if every stratum has one row only.

    >>> kept = held_out(np.array([0] * 10 + [1] * 30 + [2]), 0.2, seed=0)
    >>> int(kept[:10].sum()), int(kept[10:40].sum()), int(kept[40])
    (2, 6, 0)
    """
    order = np.random.default_rng(seed).permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    free = order[np.diff(strata[order], prepend=-1) == 0]
    if not len(free):
        raise ValueError("early_stopping keeps rows back to validate on, and leaves one row of "
                         f"each class to learn from; with n_samples={len(strata)} there is none "
                         "to keep back")
    count = min(len(free), max(1, round(fraction * len(strata))))
    kept = np.zeros(len(strata), bool)
    kept[free[((np.arange(count) + 0.5) * len(free) / count).astype(int)]] = True
    return kept


class Units(NamedTuple):
    """The units of targets: the mean and the scale with which they are standardised.

    Attributes:
      mean, scale: (outputs,), or 0 and 1 for targets that stay as they are.
    """

    mean: Any
    scale: Any

    def learnt(self, Y: np.ndarray) -> np.ndarray:
        """The targets as the network learns them; floats in float32.

        >>> Units(np.array([5.0]), np.array([2.0])).learnt(np.array([[1.0], [9.0]])).tolist()
        [[-2.0], [2.0]]
        """
        return ((Y - self.mean) / self.scale).astype(np.float32) if Y.dtype.kind == "f" else Y


def units_of(Y: np.ndarray, weights: np.ndarray) -> Units:
    """The weighted mean and standard deviation of each column of Y, (n, outputs), in float64.

    A column whose deviation is only that of rounding counts as constant, with the scale 1.
    """
    mean = np.average(Y, axis=0, weights=weights)
    scale = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=weights))
    return Units(mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1.0))


class Judge:
    """A callback of `fit` that records the validation cost of each epoch and the best parameters.

    Args:
      net, loss: the network and its loss.
      X, Y, weights: the held-out rows, their targets and weights.
      stop: a stopping rule costs so far -> bool, or None.
      scored: (Y, outputs, weights) -> the score of the outputs.

    Attributes:
      costs: the weighted mean loss of the held-out rows after each epoch.
      scores: their score after each epoch.
      best: the parameters after the epoch with the lowest cost.
    """

    def __init__(self, net, loss, X, Y, weights, stop: Callable | None, scored: Callable):
        self.judged, self.rows = parts.validation(net, loss), (X, Y, weights)
        self.stop, self.scored = stop, scored
        self.costs, self.scores, self.best = [], [], None

    def __call__(self, moment) -> bool:
        """Record the cost after an epoch; True if the stopping rule says to stop."""
        cost, outputs = self.judged(moment.params, *self.rows)
        self.costs.append(float(cost))
        self.scores.append(float(self.scored(self.rows[1], np.asarray(outputs), self.rows[2])))
        earlier = [cost for cost in self.costs[:-1] if not np.isnan(cost)]
        if self.best is None or self.costs[-1] < min(earlier, default=np.inf):
            self.best = moment.params
        return self.stop is not None and self.stop(self.costs)
