"""Learning-rate schedules (N17): functions of hyper-parameters that return `count -> rate`.

The count is the number of optimiser steps (not epochs) taken before this one, a Python or
traced integer from 0. The rate is a scalar of JAX's default float: float32, or float64 where
x64 is on. A hyper-parameter may be a scalar array, so that `jax.vmap` can sweep it; the
values of arrays are not checked. In the equations γ₀ is the initial rate, t the count and T
the number of steps. Each schedule has the interface of an optax schedule. The tests compare
it with its optax equivalent, or with NumPy where optax has none.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.recipes import recipe

Number = float | jax.Array
Schedule = Callable[[int | jax.Array], jax.Array]


def as_schedule(rate: Number | Schedule, argument: str = "learning_rate") -> Schedule:
    """`rate` itself when it is a schedule; the `constant` schedule when it is a number.

    Args:
        rate: a schedule, or a number of at least 0.
        argument: the name of the argument in errors.

    Raises a TypeError for anything else, and a ValueError for an array with axes and for a
    number that is negative, infinite or NaN.

    >>> float(as_schedule(0.5)(3)), float(as_schedule(lambda count: 1 / (1 + count))(3))
    (0.5, 0.25)
    """
    return rate if callable(rate) else _constant(argument, rate, gives=argument.replace("_", " "))


@recipe("rate")
def constant(rate: Number) -> Schedule:
    """The same learning rate γ = `rate` at every step, as in plain gradient descent (N16).

    Raises a TypeError or ValueError unless `rate` is a finite number of at least 0.

    >>> float(constant(0.25)(1000))
    0.25
    """
    return _constant("rate", rate)


@recipe("initial")
def step_decay(initial: Number, factor: Number, every: int | jax.Array) -> Schedule:
    """A staircase: the learning rate is multiplied by `factor` after every `every` steps.

        γ(t) = γ₀ · factor^⌊t / every⌋

    Args:
        initial: γ₀ ≥ 0.
        factor: the ratio of two successive rates, above 0.
        every: the number of steps at one rate, an integer of at least 1. The division is of
            integers: a compiled floating-point t / every may round to just below a whole
            number, and the rate would then change one step late.

    Raises a TypeError or ValueError that names the wrong argument.

    >>> halved = step_decay(0.8, factor=0.5, every=10)
    >>> [round(float(halved(count)), 3) for count in (0, 9, 10, 20)]
    [0.8, 0.8, 0.4, 0.2]
    """
    checks.not_negative("initial", initial)
    checks.positive("factor", factor)
    _steps("every", every)

    def schedule(count):
        gamma, rho = _floats(initial, factor)
        return gamma * rho ** _floats(jnp.asarray(count, int) // jnp.asarray(every, int))

    return schedule


@recipe("initial")
def exponential_decay(initial: Number, rate: Number, steps: int | jax.Array) -> Schedule:
    """The learning rate changes exponentially, by the factor `rate` over every `steps` steps.

        γ(t) = γ₀ · rate^(t / T)

    Args:
        initial: γ₀ ≥ 0.
        rate: the factor over T steps, above 0. Below 1 the learning rate falls. Above 1 it
            grows, as in a search for the largest learning rate that still trains.
        steps: T, an integer of at least 1.

    Raises a TypeError or ValueError that names the wrong argument.

    >>> search = exponential_decay(1e-4, rate=10.0, steps=100)
    >>> [f"{search(count):.0e}" for count in (0, 100, 300)]
    ['1e-04', '1e-03', '1e-01']
    """
    checks.not_negative("initial", initial)
    checks.positive("rate", rate)
    _steps("steps", steps)

    def schedule(count):
        t, T, gamma, rho = _floats(count, steps, initial, rate)
        return gamma * rho ** (t / T)

    return schedule


@recipe("initial")
def inverse_time_decay(initial: Number, rate: Number, steps: int | jax.Array) -> Schedule:
    """The learning rate falls as 1 / (1 + rate · t / T).

        γ(t) = γ₀ / (1 + rate · t / T)

    Then Σγ = ∞ and Σγ² < ∞ for `rate` > 0, the conditions under which stochastic
    approximation converges.

    Args:
        initial: γ₀ ≥ 0.
        rate: at least 0; after T steps the learning rate is γ₀ / (1 + rate).
        steps: T, an integer of at least 1.

    Raises a TypeError or ValueError that names the wrong argument. Source: Robbins and Monro,
    "A Stochastic Approximation Method", 1951.

    >>> robbins_monro = inverse_time_decay(1.0, rate=1.0, steps=1)
    >>> [float(robbins_monro(count)) for count in (0, 1, 3)]
    [1.0, 0.5, 0.25]
    """
    checks.not_negative("initial", initial)
    checks.not_negative("rate", rate)
    _steps("steps", steps)

    def schedule(count):
        t, T, gamma, rho = _floats(count, steps, initial, rate)
        return gamma / (1 + rho * t / T)

    return schedule


@recipe("initial", "final")
def polynomial_decay(
    initial: Number, final: Number, power: Number, steps: int | jax.Array
) -> Schedule:
    """The learning rate goes from `initial` to `final` as a power of the steps left.

        γ(t) = (γ₀ − γ_T) · (max(T − t, 0) / T)^power + γ_T

    From step T on it is constant. The base is not written as 1 − min(t, T) / T: when compiled,
    that may round to just below 0 at t = T, and a fractional power of it would be NaN.

    Args:
        initial: γ₀ ≥ 0.
        final: γ_T ≥ 0.
        power: above 0; 1 gives a straight line.
        steps: T, an integer of at least 1.

    Raises a TypeError or ValueError that names the wrong argument.

    >>> squared = polynomial_decay(1.0, final=0.0, power=2.0, steps=4)
    >>> [float(squared(count)) for count in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """
    checks.not_negative("initial", initial)
    checks.not_negative("final", final)
    checks.positive("power", power)
    _steps("steps", steps)

    def schedule(count):
        t, T, start, end, p = _floats(count, steps, initial, final, power)
        return (start - end) * (jnp.maximum(T - t, 0) / T) ** p + end

    return schedule


@recipe("initial")
def cosine_decay(initial: Number, steps: int | jax.Array, final_share: Number = 0.0) -> Schedule:
    """The learning rate falls along half a cosine to `final_share` times its initial value.

        γ(t) = γ₀ · [(1 − α) · (1 + cos(π min(t, T) / T)) / 2 + α]

    From step T on it is constant.

    Args:
        initial: γ₀ ≥ 0.
        steps: T, an integer of at least 1.
        final_share: α, from 0 to 1.

    Raises a TypeError or ValueError that names the wrong argument. Source: Loshchilov and
    Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    >>> half_cosine = cosine_decay(1.0, steps=4, final_share=0.1)
    >>> [round(float(half_cosine(count)), 3) for count in range(6)]
    [1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """
    checks.not_negative("initial", initial)
    _steps("steps", steps)
    checks.number("final_share", final_share, low=0, high=1, wanted="a number from 0 to 1")

    def schedule(count):
        t, T, gamma, alpha = _floats(count, steps, initial, final_share)
        return gamma * ((1 - alpha) * (1 + jnp.cos(jnp.pi * jnp.minimum(t, T) / T)) / 2 + alpha)

    return schedule


@recipe("then", "start")
def linear_warmup(steps: int | jax.Array, then: Number | Schedule, start: Number = 0.0) -> Schedule:
    """The learning rate rises linearly for `steps` steps; then the schedule `then` starts.

        γ(t) = start + (then(0) − start) · t / T   for t < T
        γ(t) = then(t − T)                         for t ≥ T

    Args:
        steps: T, an integer of at least 1.
        then: the schedule after the warm-up, or a number for a constant rate.
        start: the rate of the first step, at least 0. At 0, that step changes no parameter.

    Raises a TypeError or ValueError that names the wrong argument. Source: Goyal et al.,
    "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.

    >>> warm = linear_warmup(2, then=cosine_decay(1.0, steps=4))
    >>> [round(float(warm(count)), 3) for count in range(7)]
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    _steps("steps", steps)
    checks.not_negative("start", start)
    then = then if callable(then) else _constant("then", then)

    def schedule(count):
        t, T, low, top = _floats(count, steps, start, then(0))
        after = jnp.maximum(jnp.asarray(count, int) - jnp.asarray(steps, int), 0)
        return jnp.where(t < T, low + (top - low) * t / T, _floats(then(after)))

    return schedule


def _constant(argument: str, rate: Any, gives: str = "learning rate") -> Schedule:
    checks.not_negative(
        argument,
        rate,
        wanted=f"a finite number of at least 0 or a schedule (count -> {gives})")
    if getattr(rate, "shape", ()) != ():
        raise ValueError(
            f"{argument} must be one number, got an array of shape {rate.shape}; "
            "sweep with jax.vmap")
    return lambda count: _floats(rate)


def _floats(*values: Any) -> Any:
    """The values as arrays of JAX's default float: a tuple, or one array for one value.

    The dtype is that at the time of the *call* of a schedule: float64 where x64 is on then.
    """
    arrays = tuple(jnp.asarray(value, float) for value in values)
    return arrays if len(arrays) > 1 else arrays[0]


def _steps(argument: str, value: Any) -> None:
    if not isinstance(value, jax.Array | np.ndarray):
        checks.integer(argument, value)
    elif not jnp.issubdtype(value.dtype, jnp.integer):
        raise TypeError(
            f"{argument} must be an integer of at least 1, got an array of {value.dtype}")
