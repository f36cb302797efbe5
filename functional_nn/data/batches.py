"""Mini-batches (N18): the examples of each step of an epoch."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp

from functional_nn import checks


def epoch_indices(
    key: jax.Array | None, n: int, batch_size: int, *, shuffle: bool = True
) -> tuple[jax.Array, jax.Array]:
    """The mini-batches of one epoch, as indices; every example occurs exactly once.

    Batch gradient descent has `batch_size` = n, stochastic gradient descent 1, and mini-batch
    gradient descent a size in between (N18). The full batches have one shape, for `jax.lax.scan`.
    The remaining examples form one smaller batch.

    Args:
        key: a typed key, a new one for each epoch. Unused, and may be None, without shuffling.
        n: the number of examples; static under `jit`.
        batch_size: the number of examples of a step, 1 to n; static under `jit`.
        shuffle: whether to permute the examples; otherwise they keep their order.

    Returns `(full, rest)`, integer indices of shapes (n // batch_size, batch_size) and
    (n % batch_size,). Raises a TypeError or ValueError that names the wrong argument.

    >>> full, rest = epoch_indices(None, 7, 3, shuffle=False)
    >>> full.tolist(), rest.tolist()
    ([[0, 1, 2], [3, 4, 5]], [6])
    """
    checks.integer("n", n)
    checks.integer("batch_size", batch_size, high=n)
    order = random_order(checks.typed_key("key", key), n, n) if shuffle else jnp.arange(n)
    whole = n - n % batch_size
    return order[:whole].reshape(-1, batch_size), order[whole:]


def random_order(key: jax.Array, n: int | jax.Array, room: int) -> jax.Array:
    """The numbers below `n` in a random order, then those from `n` to `room` − 1, (room,).

    The order of the first `n` does not depend on `room` (as JAX makes random bits by default,
    `jax_threefry_partitionable`). So `n` may be traced, and one program shuffles for every `n`.

    >>> key = jax.random.key(0)
    >>> random_order(key, 5, 5).tolist() == random_order(key, 5, 8)[:5].tolist()
    True
    """
    place = jnp.arange(room)
    bits = jax.random.bits(key, (room, 2), jnp.uint32)  # 64 of them, so that none are equal
    return jax.lax.sort((place >= n, bits[:, 0], bits[:, 1], place), num_keys=3)[-1]


def batch_size(value: Any, n: int) -> int:
    """The batch size for n examples: `value`, an integer from 1 to n, or n where it is None.

    Raises a TypeError for anything but an integer or None, and a ValueError for an integer out of
    range.

    >>> batch_size(None, 150), batch_size(32, 150)
    (150, 32)
    >>> batch_size(200, 150)
    Traceback (most recent call last):
        ...
    ValueError: batch_size must be an integer from 1 to 150, the number of examples, got 200; ...
    """
    checks.integer("n", n)
    if isinstance(value, numbers.Integral) and value > n:
        raise ValueError(
            f"batch_size must be an integer from 1 to {n}, the number of examples, got {value}; "
            "pass None for all")
    return n if value is None else checks.integer("batch_size", value, high=n)
