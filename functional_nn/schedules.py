"""Learning-rate schedules (N17): functions that take hyper-parameters and return `count -> learning rate`.

The count is the number of optimiser steps (not epochs) taken before this one, a Python or traced integer from 0. The
rate is a scalar of JAX's default float: float32, or float64 where x64 is on. A hyper-parameter may be a scalar array,
so that `jax.vmap` can sweep it; the values of arrays are not checked. In the equations γ₀ is the initial rate, t the
count and T the number of steps. A schedule is what optax calls one, and the tests hold each against its optax twin.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks

Number = float | jax.Array
Schedule = Callable[[int | jax.Array], jax.Array]


def as_schedule(rate: Number | Schedule, argument: str = "learning_rate") -> Schedule:
    """`rate` itself when it is a schedule, and the `constant` one when it is a number.

    Raises a TypeError for anything else, and a ValueError for a negative, infinite or NaN rate or an array of several; both
    call it by the name of the `argument`.

    >>> float(as_schedule(0.5)(3)), float(as_schedule(lambda count: 1 / (1 + count))(3))
    (0.5, 0.25)
    """
    return rate if callable(rate) else _constant(argument, rate, gives=argument.replace("_", " "))


def constant(rate: Number) -> Schedule:
    """The same learning rate γ = `rate` at every step, the plain gradient descent of N16.

    Raises a TypeError or ValueError unless `rate` is a finite number of at least 0.

    >>> float(constant(0.25)(1000))
    0.25
    """
    return _constant("rate", rate)


def step_decay(initial: Number, factor: Number, every: int | jax.Array) -> Schedule:
    """The rate is multiplied by `factor` every so many steps: a staircase.

        γ(t) = γ₀ · factor^⌊t / every⌋

    `initial` is γ₀ ≥ 0, `factor` > 0, and `every` ≥ 1 counts steps. The division is of integers: in floating
    point t / every, as compiled, may fall short of a whole number and the drop come a step late. Raises a TypeError or
    ValueError that names the argument at fault.

    >>> halved = step_decay(0.8, factor=0.5, every=10)
    >>> [round(float(halved(count)), 3) for count in (0, 9, 10, 20)]
    [0.8, 0.8, 0.4, 0.2]
    """
    _at_least_zero("initial", initial)
    _positive("factor", factor)
    _steps("every", every)

    def schedule(count):
        gamma, rho = _floats(initial, factor)
        return gamma * rho ** _floats(jnp.asarray(count, int) // jnp.asarray(every, int))

    return schedule


def exponential_decay(initial: Number, rate: Number, steps: int | jax.Array) -> Schedule:
    """The rate is multiplied by `rate` over every `steps` steps, a little at each.

        γ(t) = γ₀ · rate^(t / T)

    `initial` is γ₀ ≥ 0, `rate` > 0 (below 1 it decays, above 1 it grows, as in a search for the largest rate that still
    learns), and `steps` is T ≥ 1. Raises a TypeError or ValueError that names the argument at fault.

    >>> search = exponential_decay(1e-4, rate=10.0, steps=100)
    >>> [f"{search(count):.0e}" for count in (0, 100, 300)]
    ['1e-04', '1e-03', '1e-01']
    """
    _at_least_zero("initial", initial)
    _positive("rate", rate)
    _steps("steps", steps)

    def schedule(count):
        t, T, gamma, rho = _floats(count, steps, initial, rate)
        return gamma * rho ** (t / T)

    return schedule


def inverse_time_decay(initial: Number, rate: Number, steps: int | jax.Array) -> Schedule:
    """The rate falls as one over time, so that Σγ = ∞ while Σγ² < ∞: stochastic approximation converges.

        γ(t) = γ₀ / (1 + rate · t / T)

    `initial` is γ₀ ≥ 0, `rate` ≥ 0, and `steps` is T ≥ 1: after T steps the rate is γ₀ / (1 + `rate`). Raises a
    TypeError or ValueError that names the argument at fault. Source: Robbins and Monro, "A Stochastic Approximation
    Method", 1951.

    >>> robbins_monro = inverse_time_decay(1.0, rate=1.0, steps=1)
    >>> [float(robbins_monro(count)) for count in (0, 1, 3)]
    [1.0, 0.5, 0.25]
    """
    _at_least_zero("initial", initial)
    _at_least_zero("rate", rate)
    _steps("steps", steps)

    def schedule(count):
        t, T, gamma, rho = _floats(count, steps, initial, rate)
        return gamma / (1 + rho * t / T)

    return schedule


def polynomial_decay(initial: Number, final: Number, power: Number, steps: int | jax.Array) -> Schedule:
    """The rate goes from `initial` to `final` along a power of the time that is left (1: a straight line), and stays.

        γ(t) = (γ₀ − γ_T) · (max(T − t, 0) / T)^power + γ_T

    `initial` is γ₀ ≥ 0, `final` γ_T ≥ 0, `power` > 0, and `steps` is T ≥ 1. As 1 − min(t, T) / T the base of the power,
    compiled, may come out just below 0, and the rate NaN. Raises a TypeError or ValueError that names the argument at
    fault.

    >>> squared = polynomial_decay(1.0, final=0.0, power=2.0, steps=4)
    >>> [float(squared(count)) for count in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """
    _at_least_zero("initial", initial)
    _at_least_zero("final", final)
    _positive("power", power)
    _steps("steps", steps)

    def schedule(count):
        t, T, start, end, p = _floats(count, steps, initial, final, power)
        return (start - end) * (jnp.maximum(T - t, 0) / T) ** p + end

    return schedule


def cosine_decay(initial: Number, steps: int | jax.Array, final_share: Number = 0.0) -> Schedule:
    """The rate falls along half a cosine, slowly at both ends, to a share of where it began, and stays.

        γ(t) = γ₀ · [(1 − α) · (1 + cos(π min(t, T) / T)) / 2 + α]

    `initial` is γ₀ ≥ 0, `steps` T ≥ 1, and `final_share` α from 0 to 1. Raises a TypeError or ValueError that names the
    argument at fault. Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    >>> half_cosine = cosine_decay(1.0, steps=4, final_share=0.1)
    >>> [round(float(half_cosine(count)), 3) for count in range(6)]
    [1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """
    _at_least_zero("initial", initial)
    _steps("steps", steps)
    _number("final_share", final_share, low=0, high=1, wanted="a number from 0 to 1")

    def schedule(count):
        t, T, gamma, alpha = _floats(count, steps, initial, final_share)
        return gamma * ((1 - alpha) * (1 + jnp.cos(jnp.pi * jnp.minimum(t, T) / T)) / 2 + alpha)

    return schedule


def linear_warmup(steps: int | jax.Array, then: Number | Schedule, start: Number = 0.0) -> Schedule:
    """The rate climbs in a straight line to where `then` begins, and `then` takes over, counting from 0.

        γ(t) = start + (then(0) − start) · t / T   for t < T,   then(t − T) from there on

    `steps` is T ≥ 1, `then` a schedule or a number, and `start` ≥ 0 the rate of the very first step: at its default of
    0 that step moves nothing. Raises a TypeError or ValueError that names the argument at fault. Source: Goyal et al.,
    "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.

    >>> warm = linear_warmup(2, then=cosine_decay(1.0, steps=4))
    >>> [round(float(warm(count)), 3) for count in range(7)]
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    _steps("steps", steps)
    _at_least_zero("start", start)
    then = then if callable(then) else _constant("then", then)

    def schedule(count):
        t, T, low, top = _floats(count, steps, start, then(0))
        after = jnp.maximum(jnp.asarray(count, int) - jnp.asarray(steps, int), 0)
        return jnp.where(t < T, low + (top - low) * t / T, _floats(then(after)))

    return schedule


def _constant(argument: str, rate: Any, gives: str = "learning rate") -> Schedule:
    _at_least_zero(argument, rate, wanted=f"a finite number of at least 0 or a schedule (count -> {gives})")
    if getattr(rate, "shape", ()) != ():
        raise ValueError(f"{argument} must be one number, got an array of shape {rate.shape}; sweep with jax.vmap")
    return lambda count: _floats(rate)


def _floats(*values: Any) -> Any:
    """The values as JAX's default float, float64 where x64 is on when the schedule is *called*; one alone for one."""
    arrays = tuple(jnp.asarray(value, float) for value in values)
    return arrays if len(arrays) > 1 else arrays[0]


def _at_least_zero(argument: str, value: Any, wanted: str = "a finite number of at least 0") -> None:
    _number(argument, value, low=0, high=sys.float_info.max, wanted=wanted)


def _positive(argument: str, value: Any) -> None:
    _number(argument, value, low=math.ulp(0.0), high=sys.float_info.max, wanted="a finite number above 0")


def _number(argument: str, value: Any, **bounds: Any) -> None:
    plain = value.item() if isinstance(value, np.generic) else value  # in a float32 the bounds would overflow
    checks.number(argument, plain, **bounds)


def _steps(argument: str, value: Any) -> None:
    if not isinstance(value, jax.Array | np.ndarray):
        checks.integer(argument, value)
    elif not jnp.issubdtype(value.dtype, jnp.integer):
        raise TypeError(f"{argument} must be an integer of at least 1, got an array of {value.dtype}")
