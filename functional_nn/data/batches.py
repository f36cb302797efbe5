"""Mini-batches (N18): which examples each step of an epoch takes."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp

from functional_nn import checks


def epoch_indices(
    key: jax.Array | None, n: int, batch_size: int, *, shuffle: bool = True
) -> tuple[jax.Array, jax.Array]:
    """The rows of an epoch's batches: every example exactly once, in an order of its own for every key.

    Batch gradient descent is `batch_size` = n, stochastic gradient descent 1, mini-batches anything between (N18). The
    whole batches have one shape, for `jax.lax.scan`; the examples left over make one smaller batch, which is kept.

    Args:
        key: a typed key, one an epoch. Unused, and may be None, when not shuffling.
        n: the number of examples; static under `jit`.
        batch_size: the examples of a step, 1 to n; static under `jit`.
        shuffle: whether to permute the examples; in the order given otherwise.

    Returns `(full, rest)`, integer indices of shapes (n // batch_size, batch_size) and (n % batch_size,). Raises a
    TypeError or ValueError that names the argument at fault.

    >>> full, rest = epoch_indices(None, 7, 3, shuffle=False)
    >>> full.tolist(), rest.tolist()
    ([[0, 1, 2], [3, 4, 5]], [6])
    """
    checks.integer("n", n)
    checks.integer("batch_size", batch_size, high=n)
    order = jax.random.permutation(checks.typed_key("key", key), n) if shuffle else jnp.arange(n)
    whole = n - n % batch_size
    return order[:whole].reshape(-1, batch_size), order[whole:]


def batch_size(value: Any, n: int) -> int:
    """The batch size that the argument `value` asks for, of `n` examples: an integer from 1 to n, or None for all.

    Raises a TypeError for anything but an integer or None, and a ValueError when it is out of range.

    >>> batch_size(None, 150), batch_size(32, 150)
    (150, 32)
    >>> batch_size(200, 150)
    Traceback (most recent call last):
        ...
    ValueError: batch_size must be an integer from 1 to 150, the number of examples, got 200; pass None for all
    """
    checks.integer("n", n)
    if isinstance(value, numbers.Integral) and value > n:
        raise ValueError(
            f"batch_size must be an integer from 1 to {n}, the number of examples, got {value}; pass None for all")
    return n if value is None else checks.integer("batch_size", value, high=n)
