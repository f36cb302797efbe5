"""What `fit` compiles, and when two runs share a compilation.

Each function here is cached by the objects that a compiled program is made of. Runs that differ in key, start or data of one
shape share one program.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from functional_nn.monitor import watch_function
from functional_nn.network import Network
from functional_nn.objective import Objective
from functional_nn.penalties import Penalty
from functional_nn.training.steps import gradient_function, steps_function

__all__ = ["Program", "penalty_value", "program", "watch"]

WATCHED = 256  # examples that the monitor looks at, at most
WATCH_SHARE = 60  # the monitor's epochs are so far apart that its looks cost less than 5% of the time


class Program(NamedTuple):
    """The compiled `steps` of a run, and the gradient and the optimiser that they are made of."""

    net: Network
    steps: Callable
    gradient: Callable
    optimizer: optax.GradientTransformation


def program(net: Network, loss, optimizer: optax.GradientTransformation, value_and_grad: Callable,
            penalty: Penalty | None, weighted: bool) -> Program:
    """The program of those parts; the same one for the same parts, if the optimiser and the gradient can be hashed."""
    made = _program if _hashable(optimizer, value_and_grad) else _program.__wrapped__
    return made(net, loss, optimizer, value_and_grad, penalty, weighted)


@functools.lru_cache(maxsize=16)
def _program(net, loss, optimizer, value_and_grad, penalty, weighted: bool) -> Program:
    cost_and_gradient = value_and_grad(net, loss, "sum") if weighted else value_and_grad(net, loss)
    gradient = gradient_function(net, cost_and_gradient, penalty)
    return Program(net, jax.jit(steps_function(gradient, optimizer)), jax.jit(gradient), optimizer)


@functools.lru_cache(maxsize=16)
def penalty_value(penalty: Penalty) -> Callable:
    """params -> R, compiled."""
    return jax.jit(penalty.value)


def watch(program: Program, problem: Objective, source, weighted: bool) -> tuple[int, Callable]:
    """(epochs between looks, (params, optimizer_state) -> the measures of every layer)."""
    X, Y = source.some(min(WATCHED, max(32, len(source) // 20)))
    measures = _watch(program, problem.loss, weighted)
    return math.ceil(WATCH_SHARE * len(X) / len(source)), lambda params, state: measures(params, state, X, Y)


@functools.lru_cache(maxsize=16)
def _watch(program: Program, loss, weighted: bool) -> Callable:
    def gradient(params, X, Y):
        weights = (jnp.ones(len(X), X.dtype),) if weighted else ()
        return program.gradient(params, jax.random.key(0), jnp.arange(len(X)), X, Y, *weights)[1]

    return jax.jit(watch_function(program.net, loss, gradient, program.optimizer))


def _hashable(*values) -> bool:
    try:
        hash(values)
    except TypeError:
        return False
    return True
