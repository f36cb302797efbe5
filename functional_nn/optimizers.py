"""Optimisers by hand (N16, N19), as `optax.GradientTransformation`s: each sits wherever its optax twin does.

An optimiser is a pair of pure functions. `init(params)` makes the state, `update(gradients, state)` the step to be
added to the parameters and the state after it. One definition is one optimiser; the arithmetic of each leaf is done in
the leaf's own dtype, so bfloat16 stays bfloat16, and a leaf without a gradient (None) stays as it is.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import checks
from functional_nn.schedules import Number, Schedule, as_schedule


class SGDState(NamedTuple):
    """The steps taken, an int32 scalar, and the velocity v, shaped like the parameters (None without momentum)."""

    count: jax.Array
    velocity: optax.Params | None


def sgd(
    learning_rate: Number | Schedule, momentum: Number = 0.0, nesterov: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent (N16), with momentum or Nesterov's (N19), for the gradient g of the cost at w:

        w ← w − γ_t g                               without momentum
        v ← μ v + g,   w ← w − γ_t v                with it
        v ← μ v + g,   w ← w − γ_t (g + μ v)        nesterov: v is the new one, so the step looks one step ahead

    v begins at 0. A constant gradient moves w by γ g / (1 − μ) a step in the end, so raising μ raises the rate too.

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t of the count t of steps taken, from 0.
        momentum: μ, at least 0 and below 1. As an array it can be swept by `jax.vmap`; v is then kept even for μ = 0.
        nesterov: whether to step along g + μ v in place of v. Needs momentum.

    Raises a TypeError or ValueError that names the argument at fault. Twin: `optax.sgd`. Sources: Polyak, "Some methods
    of speeding up the convergence of iteration methods", 1964; Nesterov, "A method for solving the convex programming
    problem with convergence rate O(1/k²)", 1983, in the form of Sutskever et al., "On the importance of initialization
    and momentum in deep learning", 2013.

    A long narrow valley, C(w) = (w₁² + 100 w₂²) / 2, after 100 steps, each at its best rate:

    >>> def distance_left(optimizer):
    ...     w, state = jnp.ones(2), optimizer.init(jnp.ones(2))
    ...     for _ in range(100):
    ...         step, state = optimizer.update(jnp.array([1.0, 100.0]) * w, state)
    ...         w = optax.apply_updates(w, step)
    ...     return round(float(jnp.linalg.norm(w)), 4)
    >>> distance_left(sgd(2 / 101)), distance_left(sgd(4 / 121, momentum=81 / 121))
    (0.1914, 0.0)
    """
    rate = as_schedule(learning_rate)
    checks.number("momentum", momentum, low=0, high=math.nextafter(1, 0), wanted="a number of at least 0 and below 1")
    keeps_velocity = isinstance(momentum, jax.Array | np.ndarray) or momentum != 0
    if nesterov and not keeps_velocity:
        raise ValueError("nesterov=True needs momentum above 0, got 0: it looks ahead along the velocity, and without "
                         "momentum there is none; pass momentum=0.9, or nesterov=False")

    def init(params):
        return SGDState(_zero_count(), jax.tree.map(jnp.zeros_like, params) if keeps_velocity else None)

    def update(gradients, state, params=None, **extra_args):
        del params, extra_args
        gamma, count = rate(state.count), _next_count(state.count)
        if not keeps_velocity:
            return _map(lambda g: -_like(g, gamma) * g, gradients), SGDState(count, None)

        velocity = _map(lambda g, v: _like(v, momentum) * v + g, gradients, state.velocity, without=lambda v: v)
        direction = _map(lambda g, v: g + _like(v, momentum) * v if nesterov else v, gradients, velocity)
        return _map(lambda d: -_like(d, gamma) * d, direction), SGDState(count, velocity)

    return optax.GradientTransformationExtraArgs(init, update)


def _map(rule: Callable, gradients: Any, *states: Any, without: Callable = lambda *s: None) -> Any:
    """`rule(g, *s)` at every leaf, and `without(*s)` at those that have no gradient."""
    return jax.tree.map(
        lambda g, *s: without(*s) if g is None else rule(g, *s), gradients, *states, is_leaf=lambda g: g is None)


def _like(leaf: Any, value: Any) -> jax.Array:
    """The scalar `value` in the dtype of `leaf`."""
    return jnp.asarray(value, jnp.result_type(leaf))


def _zero_count() -> jax.Array:
    return jnp.zeros((), jnp.int32)


def _next_count(count: jax.Array) -> jax.Array:
    """One more, and at the largest integer no more: a count that wrapped round would start its schedule again."""
    return jnp.minimum(count, jnp.iinfo(count.dtype).max - 1) + 1
