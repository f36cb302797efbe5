"""Stopping rules: repeat "until convergence", as a predicate of the costs so far (N16)."""

from collections.abc import Callable, Sequence

import numpy as np

from functional_nn import checks
from functional_nn.recipes import recipe


@recipe()
def until_converged(tolerance: float = 1e-4,
                    patience: int = 5) -> Callable[[Sequence[float]], bool]:
    """A stopping rule: stop when the last `patience` epochs did not improve the best cost enough.

        stop  ⇔  best − recent ≤ tolerance · |best|
        recent = smallest cost of the last `patience` epochs
        best   = smallest cost of all epochs before them

    The last `patience` epochs count together, so small improvements add up. NaN and infinite costs
    are never an improvement: a run that has diverged stops too.

    Args:
        tolerance: the relative improvement that must be exceeded, a finite number of at least 0.
            At 0 the rule stops a run only if the best cost did not improve at all.
        patience: the number of epochs that are judged together, an integer of at least 1.

    Returns a function history -> bool. `history` holds one cost per epoch, the oldest first. The
    answer is False while there are at most `patience` costs. The function has no state, so one
    rule can serve several runs.

    Raises:
        TypeError: `tolerance` is not a number, or `patience` not an integer.
        ValueError: one of them is out of range.

    >>> converged = until_converged(tolerance=0.01, patience=2)
    >>> costs = [4.0, 2.0, 1.0, 0.999, 0.998, 0.997]
    >>> [converged(costs[:epochs]) for epochs in range(1, 7)]
    [False, False, False, False, True, True]
    """
    checks.not_negative("tolerance", tolerance)
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


class Stop(str):
    """Why a run ended: a sentence that carries its parts, so that no program has to parse it.

    Attributes:
      reason: one of `REASONS`.
      epoch: the epoch in which the run ended, or after which it ended; counted from 1.
      step: the step of that epoch at which the run ended, from 1; None if it ended with an epoch.
      text: the sentence, which is also the string itself.

    >>> stop = Stop("interrupted", 3, None, "interrupted after epoch 3")
    >>> stop.reason, stop.epoch, stop.step, print(stop)
    interrupted after epoch 3
    ('interrupted', 3, None, None)
    """

    reason: str
    epoch: int
    step: int | None

    def __new__(cls, reason: str, epoch: int, step: int | None, text: str) -> "Stop":
        stop = super().__new__(cls, text)
        checks.one_of("reason", reason, REASONS)
        stop.reason, stop.epoch, stop.step = reason, epoch, step
        return stop

    def __getnewargs__(self) -> tuple:
        return self.reason, self.epoch, self.step, self.text

    @property
    def text(self) -> str:
        """The sentence as a plain string."""
        return str.__str__(self)


REASONS = {
    "epochs": "all epochs are over",
    "rule": "the stopping rule was met",
    "callback": "a callback asked for the end",
    "interrupted": "Ctrl-C, and the epoch in progress was finished",
    "diverged": "the cost, a gradient or a parameter became NaN or infinite",
}
"""What ends a run."""
