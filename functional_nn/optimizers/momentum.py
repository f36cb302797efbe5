"""Stochastic gradient descent, with momentum or Nesterov momentum (N16, N19)."""

from typing import Any

import jax
import numpy as np
import optax

from functional_nn.optimizers.leafwise import by_leaf, like, share
from functional_nn.recipes import recipe
from functional_nn.schedules import Number, Schedule

__all__ = ["has_momentum", "push", "sgd"]


@recipe("learning_rate")
def sgd(
    learning_rate: Number | Schedule, momentum: Number = 0.0, nesterov: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent (N16), with momentum or Nesterov momentum (N19).

        w ← w − γ_t g                               without momentum
        v ← μ v + g,   w ← w − γ_t v                with momentum
        v ← μ v + g,   w ← w − γ_t (g + μ v)        with Nesterov momentum

    g is the gradient of the cost at w, and v begins at 0. In the third line v is the new velocity,
    so that the step looks one step ahead. Under a constant gradient the step tends to
    γ g / (1 − μ), so raising μ raises the effective rate too.

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t of the count t of steps taken, from 0.
        momentum: μ, at least 0 and below 1. As an array it can be swept by `jax.vmap`; v is then
            kept even for μ = 0.
        nesterov: whether to use Nesterov momentum; it needs μ > 0.

    Returns the gradient transformation; with momentum its memory is v, `velocity`. Raises a
    TypeError or ValueError that names the wrong argument. Optax equivalent: `optax.sgd`. Sources:
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Nesterov,
    "A method for solving the convex programming problem with convergence rate O(1/k²)", 1983, in
    the form of Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013.

    The distance from the minimum of a narrow valley, C(w) = (w₁² + 100 w₂²) / 2, after 100 steps
    without and with momentum, each with the best γ and μ:

    >>> import jax.numpy as jnp
    >>> def distance_left(optimizer):
    ...     w, state = jnp.ones(2), optimizer.init(jnp.ones(2))
    ...     for _ in range(100):
    ...         step, state = optimizer.update(jnp.array([1.0, 100.0]) * w, state)
    ...         w = optax.apply_updates(w, step)
    ...     return round(float(jnp.linalg.norm(w)), 4)
    >>> distance_left(sgd(2 / 101)), distance_left(sgd(4 / 121, momentum=81 / 121))
    (0.1914, 0.0)
    """
    if not has_momentum(momentum, nesterov):
        return by_leaf(lambda leaf: (-leaf.gamma * leaf.g, ()), learning_rate=learning_rate)

    def rule(leaf, v):
        direction, v = push(v, leaf.g, momentum, nesterov)
        return -leaf.gamma * direction, (v,)

    return by_leaf(rule, learning_rate=learning_rate, velocity=0.0)


def has_momentum(momentum: Any, nesterov: bool) -> bool:
    """Whether the optimiser keeps a velocity: μ ≠ 0, or μ an array.

    Raises a TypeError or ValueError unless 0 ≤ μ < 1, and a ValueError for Nesterov momentum with
    μ = 0. Arrays are not checked.
    """
    share("momentum", momentum)
    moves = isinstance(momentum, jax.Array | np.ndarray) or momentum != 0
    if nesterov and not moves:
        raise ValueError(
            "nesterov=True needs momentum above 0, got 0: it looks ahead along the velocity, and "
            "without momentum there is none; pass momentum=0.9, or nesterov=False")
    return moves


def push(
    v: jax.Array, x: jax.Array, momentum: Number, nesterov: bool
) -> tuple[jax.Array, jax.Array]:
    """(direction, new velocity), both of the shape and dtype of `v` and `x`.

    The new velocity is v ← μ v + x. The direction is v, or x + μ v for Nesterov momentum.

    >>> [[float(array) for array in push(4.0, 1.0, 0.5, nesterov)] for nesterov in (False, True)]
    [[3.0, 3.0], [2.5, 3.0]]
    """
    mu = like(v, momentum)
    v = mu * v + x
    return (x + mu * v if nesterov else v), v
