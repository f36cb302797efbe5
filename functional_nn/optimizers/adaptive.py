"""Adaptive learning rates from squared gradients: Adagrad, RMSprop and Adadelta (N19).

Squares, roots and quotients are elementwise. Every memory has the shape and dtype of the
parameters.
"""

import jax
import jax.numpy as jnp
import optax

from functional_nn import checks
from functional_nn.optimizers.leafwise import average, by_leaf, like, share
from functional_nn.optimizers.momentum import has_momentum, push
from functional_nn.recipes import recipe
from functional_nn.schedules import Number, Schedule

__all__ = ["adadelta", "adagrad", "rmsprop"]


@recipe("learning_rate")
def adagrad(
    learning_rate: Number | Schedule, initial_accumulator_value: Number = 0.1, eps: Number = 1e-7
) -> optax.GradientTransformationExtraArgs:
    """Adagrad: the rate of each parameter falls with the root of its sum of squared gradients.

        s ← s + g²
        w ← w − γ_t g / √(s + ε)        no step where s = 0

    A parameter that rarely has a gradient keeps a large rate. With gradients of constant size the
    rate falls as 1/√t, without a schedule.

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t of the count of steps taken, from 0.
        initial_accumulator_value: the initial s, at least 0; it is 0 in the paper.
        eps: ε ≥ 0.

    Returns the gradient transformation; its memory is s, `sum_of_squares`. Raises a TypeError or
    ValueError that names the wrong argument. Optax equivalent: `optax.adagrad`. Source: Duchi,
    Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", 2011.

    The first parameter has a gradient at each of 8 steps, the second at every fourth. The steps
    are −1/√8 and −1/√2, whatever the sizes of the gradients:

    >>> optimizer = adagrad(1.0, initial_accumulator_value=0.0)
    >>> state = optimizer.init(jnp.zeros(2))
    >>> for g in 2 * [[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 0.1]]:
    ...     step, state = optimizer.update(jnp.array(g), state)
    >>> [round(float(entry), 2) for entry in step]
    [-0.35, -0.71]
    """
    checks.not_negative("initial_accumulator_value", initial_accumulator_value)
    checks.not_negative("eps", eps)

    def rule(leaf, s):
        s = leaf.g**2 + s
        scale = jnp.where(s > 0, jax.lax.rsqrt(s + like(s, eps)), jnp.zeros_like(s))
        return -leaf.gamma * (scale * leaf.g), (s,)

    return by_leaf(rule, learning_rate=learning_rate, sum_of_squares=initial_accumulator_value)


@recipe("learning_rate")
def rmsprop(
    learning_rate: Number | Schedule, decay: Number = 0.9, eps: Number = 1e-8, *,
    momentum: Number = 0.0, nesterov: bool = False
) -> optax.GradientTransformationExtraArgs:
    """RMSprop: the gradient divided by its root mean square over recent steps.

        n ← (1 − ρ) g² + ρ n
        w ← w − u,                               u = γ_t g / √(n + ε)
        v ← μ v + u,   w ← w − v                 with momentum
        v ← μ v + u,   w ← w − (u + μ v)         with Nesterov momentum

    n and v begin at 0, and n has no bias correction. The first step is therefore
    γ g / √((1 − ρ) g²), about 3 γ for ρ = 0.9. ε is inside the root, as in optax; PyTorch has it
    outside.

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t of the count of steps taken, from 0.
        decay: ρ, at least 0 and below 1.
        eps: ε ≥ 0. At 0, an entry whose gradients have all been 0 becomes NaN.
        momentum: μ, at least 0 and below 1.
        nesterov: whether to use Nesterov momentum; it needs μ > 0.

    Returns the gradient transformation; its memory is n, `nu`, and with momentum v, `velocity`.
    Raises a TypeError or ValueError that names the wrong argument. Optax equivalent:
    `optax.rmsprop`. Source: Tieleman and Hinton, "Lecture 6.5: RMSprop", Coursera: Neural Networks
    for Machine Learning, 2012; with momentum: Graves, "Generating Sequences With Recurrent Neural
    Networks", 2013.

    Two gradients that differ by a factor of a million end with the same step:

    >>> optimizer, g = rmsprop(0.01), jnp.array([1e-3, 1e3])
    >>> state = optimizer.init(g)
    >>> for _ in range(100):
    ...     step, state = optimizer.update(g, state)
    >>> [round(float(entry), 4) for entry in step]
    [-0.01, -0.01]
    """
    share("decay", decay)
    checks.not_negative("eps", eps)
    moves = has_momentum(momentum, nesterov)

    def rule(leaf, n, *velocity):
        n = average(decay, n, leaf.g**2)
        u = leaf.gamma * (jax.lax.rsqrt(n + like(n, eps)) * leaf.g)
        if not velocity:
            return -u, (n,)
        direction, v = push(*velocity, u, momentum, nesterov)
        return -direction, (n, v)

    return by_leaf(
        rule, learning_rate=learning_rate, nu=0.0, **({"velocity": 0.0} if moves else {}))


@recipe("learning_rate")
def adadelta(
    learning_rate: Number | Schedule = 1.0, rho: Number = 0.9, eps: Number = 1e-6
) -> optax.GradientTransformationExtraArgs:
    """Adadelta: the gradient over its root mean square, times the root mean square of past steps.

        n ← (1 − ρ) g² + ρ n
        u = g √(d + ε) / √(n + ε)
        d ← (1 − ρ) u² + ρ d
        w ← w − γ_t u

    n and d begin at 0. The step has the unit of w, so the learning rate needs no tuning: the paper
    has γ = 1. ε sets the size of the first steps, which is proportional to √ε.

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t of the count of steps taken, from 0.
        rho: ρ, at least 0 and below 1.
        eps: ε ≥ 0. At 0, every step is 0, and NaN where the gradients have all been 0.

    Returns the gradient transformation; its memory is n, `e_g`, and d, `e_x`. Raises a TypeError
    or ValueError that names the wrong argument. Optax equivalent: `optax.adadelta(1.0)`, which
    steps uphill without its learning rate. Source: Zeiler, "ADADELTA: An Adaptive Learning Rate
    Method", 2012.

    The same cost in two units, a factor of 1000 apart, gives the same path:

    >>> def path_end(unit):
    ...     optimizer, w = adadelta(), jnp.asarray(3.0)
    ...     state, update = optimizer.init(w), jax.jit(optimizer.update)
    ...     for _ in range(500):
    ...         step, state = update(unit * w, state)
    ...         w += step
    ...     return round(float(w), 2)
    >>> path_end(1.0), path_end(1000.0)
    (0.84, 0.84)
    """
    share("rho", rho)
    checks.not_negative("eps", eps)

    def rule(leaf, n, d):
        n = average(rho, n, leaf.g**2)
        u = jnp.sqrt(d + like(d, eps)) / jnp.sqrt(n + like(n, eps)) * leaf.g
        return -leaf.gamma * u, (n, average(rho, d, u**2))

    return by_leaf(rule, learning_rate=learning_rate, e_g=0.0, e_x=0.0)
