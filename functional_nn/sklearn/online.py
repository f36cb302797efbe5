"""One epoch on the rows of a call of `partial_fit`.

The rows are padded with rows of weight 0 to whole batches, and to a power of two of them. Calls
with other numbers of rows therefore share what is compiled. Rows of weight 0 change nothing.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from functional_nn import backprop, losses, penalties
from functional_nn.network import Network
from functional_nn.training.program import epoch_keys, initial, program
from functional_nn.training.steps import new_epoch

__all__ = ["Learner", "Progress", "begin", "epoch"]


class Learner(NamedTuple):
    """What learns: a network, its loss, the optimiser and the penalty."""

    net: Network
    loss: losses.Loss
    optimizer: optax.GradientTransformation
    penalty: penalties.Penalty | None


class Progress(NamedTuple):
    """How far the calls of `partial_fit` have come.

    Attributes:
      params: the parameters; None before the first call.
      state: the state of the optimiser; None before the first call.
      seed: the seed of the initial parameters, the order of the rows and the dropout.
      calls: the number of calls so far.
    """

    params: Any
    state: Any
    seed: int
    calls: int


def begin(params: Any, seed: int) -> Progress:
    """The progress before the first call, from parameters that were fitted before, or None."""
    return Progress(params, None, seed, 0)


def epoch(
    learner: Learner, progress: Progress, X: np.ndarray, Y: np.ndarray, weights: np.ndarray,
    size: int | None, *, shuffle: bool
) -> tuple[Progress, float]:
    """One epoch of mini-batches on the rows (X, Y).

    Args:
      learner: what learns.
      progress: how far it has come.
      X, Y, weights: (n, features), the targets of n rows, and their weights, all above 0.
      size: the number of rows of a step; None for all.
      shuffle: whether to take the rows in a new order.

    Returns `(progress, cost)`: the progress after this call, and the mean of the losses of the
    rows, each taken before its step. It is not finite if the call diverged.
    """
    compiled = program(learner.net, learner.loss, learner.optimizer, backprop.value_and_grad,
                       learner.penalty, weighted=True)
    key = jax.random.key(progress.seed)
    params = progress.params
    if params is None:
        params = initial(learner.net, np.dtype(np.float32))(key)
    state = compiled.init(params) if progress.state is None else progress.state
    n = len(X)
    size = _power_of_two(n) if size is None else size
    steps = -(-n // size)
    order = (np.random.default_rng([progress.seed, progress.calls]).permutation(n) if shuffle
             else np.arange(n))
    W = (weights / weights.mean())[order]
    rest = n - (steps - 1) * size  # rows in the last batch, which rows without weight fill up
    whole = _power_of_two(steps) * size
    examples = [_padded(array, whole) for array in (X[order], Y[order], W.astype(np.float32))]
    batches = np.arange(whole, dtype=np.int32).reshape(-1, size)
    noise = epoch_keys(key, progress.calls + 1)[1]
    run = new_epoch(params, state)
    for count, first, last in ((size, 0, steps - 1), (rest, steps - 1, steps)):
        run = compiled.steps(run, noise, 0, batches, count, first, last, *examples)
    return (Progress(run.params, run.optimizer_state, progress.seed, progress.calls + 1),
            float(run.total) / n if bool(run.fine) else float("nan"))


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _padded(array: np.ndarray, n: int) -> np.ndarray:
    """The rows of `array`, and rows of zeros up to n."""
    return np.concatenate([array, np.zeros((n - len(array), *array.shape[1:]), array.dtype)])
