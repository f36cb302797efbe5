"""When to stop (N16): "until convergence" as a rule of its own, a predicate of the costs so far."""

import sys
from collections.abc import Callable, Sequence

import numpy as np

from functional_nn import checks


def until_converged(tolerance: float = 1e-4, patience: int = 5) -> Callable[[Sequence[float]], bool]:
    """A rule `history -> bool` that says stop once the last `patience` epochs brought no improvement worth having.

        stop  ⇔  best − recent ≤ tolerance · |best|
        recent = the smallest cost of the last `patience` epochs,  best = the smallest of all before them

    The epochs are judged together: slow progress counts for as much as it adds up to. The rule says no until there are
    more than `patience` costs. A NaN or inf improves on nothing, so a run that diverged and stays so is stopped too.

    Args:
        tolerance: the least improvement worth having, relative to the best cost: a finite number of at least 0. At 0 a
            run is stopped only when nothing at all was gained.
        patience: how many epochs it may take; an integer of at least 1.

    `history` holds one cost an epoch, the oldest first. It is only read, so the same rule serves any number of runs.
    Raises a TypeError or ValueError that names the argument at fault.

    >>> converged = until_converged(tolerance=0.01, patience=2)
    >>> costs = [4.0, 2.0, 1.0, 0.999, 0.998, 0.997]
    >>> [converged(costs[:epochs]) for epochs in range(1, 7)]
    [False, False, False, False, True, True]
    """
    checks.number("tolerance", tolerance, low=0, high=sys.float_info.max, wanted="a finite number of at least 0")
    checks.integer("patience", patience)

    def converged(history: Sequence[float]) -> bool:
        costs = np.asarray(history, dtype=np.float64)
        costs = np.where(np.isfinite(costs), costs, np.inf)
        if len(costs) <= patience:
            return False
        best, recent = float(costs[:-patience].min()), float(costs[-patience:].min())
        if best == np.inf:
            return recent == np.inf
        return best - recent <= tolerance * abs(best)

    return converged
