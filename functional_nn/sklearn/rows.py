"""Which rows a run learns from, which it is judged by, and how much each of them weighs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight

from functional_nn.sklearn import parts

__all__ = ["Judge", "checked_weights", "class_weights", "held_out", "merged"]


def checked_weights(sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """One weight a row, (n,), at least 0 and not all 0; ones for None."""
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any() or not weights.any():
        raise ValueError(f"sample_weight must be at least 0 and not zero for every row, got {weights.min()} to {weights.max()}")
    return weights


def class_weights(class_weight: Any, classes: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the class of each row multiplies its weight by, (n,); "balanced" is Σw / (classes · Σw of the class)."""
    if class_weight is None:
        return np.ones(len(codes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        return (weights.sum() / (len(classes) * np.bincount(codes, weights)))[codes]
    by_class = compute_class_weight(class_weight, classes=classes, y=classes[codes])
    if not (np.isfinite(by_class).all() and (by_class >= 0).all() and by_class.any()):
        raise ValueError(f"class_weight must hold finite numbers of at least 0, not all 0, got {class_weight}")
    return by_class[codes]


def merged(X: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, weights): one row of each kind, in an order that theirs does not matter to, and what its equals weigh together.

    The mean over a full batch is the same then to the bit, whether a row is repeated or weighs as much.

    >>> X, y = np.array([[3.0], [1.0], [3.0]]), np.array([0, 1, 0])
    >>> [array.tolist() for array in merged(X, y, np.ones(3))]
    [[1, 0], [1.0, 2.0]]
    """
    _, first, kind = np.unique(np.column_stack([X, Y]), axis=0, return_index=True, return_inverse=True)
    return first, np.bincount(kind.ravel(), weights)


def held_out(strata: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Which rows to validate on, (n,) of bool: about that share of every stratum, and never the whole of one.

    >>> kept = held_out(np.array([0] * 10 + [1] * 30 + [2]), 0.2, seed=0)
    >>> int(kept[:10].sum()), int(kept[10:40].sum()), int(kept[40])
    (2, 6, 0)
    """
    order = np.random.default_rng(seed).permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    free = order[np.diff(strata[order], prepend=-1) == 0]
    if not len(free):
        raise ValueError("early_stopping keeps rows back to validate on, and leaves one row of each class to learn from; with "
                         f"n_samples={len(strata)} there is none to keep back")
    count = min(len(free), max(1, round(fraction * len(strata))))
    kept = np.zeros(len(strata), bool)
    kept[free[((np.arange(count) + 0.5) * len(free) / count).astype(int)]] = True
    return kept


class Judge:
    """A callback of `fit`: the weighted cost of held-out rows after every epoch, and the parameters where it was lowest."""

    def __init__(self, net, loss, X, Y, weights, stop: Callable | None):
        self.cost, self.rows, self.stop = parts.validation_cost(net, loss), (X, Y, weights), stop
        self.costs, self.best = [], None

    def __call__(self, moment) -> bool:
        """Whether the costs have converged."""
        self.costs.append(float(self.cost(moment.params, *self.rows)))
        if self.best is None or self.costs[-1] < min(self.costs[:-1]):
            self.best = moment.params
        return self.stop is not None and self.stop(self.costs)
