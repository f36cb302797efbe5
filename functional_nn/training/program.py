"""The compiled functions of a run, cached so that similar runs share one compilation.

Each function here is cached by the objects that it is made of, such as the network and the
optimiser. Two runs that differ only in key, initial parameters or data of the same shape share
their compiled functions.
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

WATCHED = 256  # the monitor computes its measures on at most so many examples
WATCH_SHARE = 60  # examples trained on per example watched: the monitor takes below 5% of the time


class Program(NamedTuple):
    """The compiled functions of a run, and what they are made of.

    Attributes:
      net: the network.
      steps: the steps of an epoch, as `steps_function` returns them, compiled.
      gradient: (params, key, rows, X, Y[, W]) -> (cost, gradient), compiled.
      optimizer: the optimiser.
    """

    net: Network
    steps: Callable
    gradient: Callable
    optimizer: optax.GradientTransformation


def program(
    net: Network, loss, optimizer: optax.GradientTransformation, value_and_grad: Callable,
    penalty: Penalty | None, weighted: bool
) -> Program:
    """The `Program` of a run; the same object for the same arguments, if they can be hashed.

    Args:
      net, loss, optimizer, value_and_grad, penalty: as for `fit`.
      weighted: whether the examples have weights.
    """
    made = _program if _hashable(optimizer, value_and_grad) else _program.__wrapped__
    return made(net, loss, optimizer, value_and_grad, penalty, weighted)


@functools.lru_cache(maxsize=16)
def _program(net, loss, optimizer, value_and_grad, penalty, weighted: bool) -> Program:
    cost_and_gradient = (value_and_grad(net, loss, "sum") if weighted
                         else value_and_grad(net, loss))
    gradient = gradient_function(net, cost_and_gradient, penalty)
    return Program(
        net, jax.jit(steps_function(gradient, optimizer)), jax.jit(gradient), optimizer)


@functools.lru_cache(maxsize=16)
def penalty_value(penalty: Penalty) -> Callable:
    """The compiled function params -> R, the value of the penalty."""
    return jax.jit(penalty.value)


def watch(
    program: Program, problem: Objective, source, weighted: bool
) -> tuple[int, Callable]:
    """The monitor of a run: how often it is due, and the function that computes its measures.

    Args:
      program: the compiled functions of the run.
      problem: the network and its loss.
      source: the examples, `Arrays` or `Streamed`; the monitor uses a twentieth of them, but from
        32 to 256 where there are so many.
      weighted: whether the examples have weights; the monitor weighs its examples alike.

    Returns `(epochs, measures)`: the number of epochs from one record to the next, and the
    function (params, optimizer_state) -> {measure: (layers,)}.
    """
    X, Y = source.some(min(WATCHED, max(32, len(source) // 20)))
    measures = _watch(program, problem.loss, weighted)
    return (math.ceil(WATCH_SHARE * len(X) / len(source)),
            lambda params, state: measures(params, state, X, Y))


@functools.lru_cache(maxsize=16)
def _watch(program: Program, loss, weighted: bool) -> Callable:
    def gradient(params, X, Y):
        weights = (jnp.ones(len(X), X.dtype),) if weighted else ()
        return program.gradient(
            params, jax.random.key(0), jnp.arange(len(X)), X, Y, *weights)[1]

    compiled = jax.jit(watch_function(program.net, loss, gradient, program.optimizer))

    def measures(*arguments):
        with jax.debug_nans(False):  # NaN stands for a layer that has no idle units
            return compiled(*arguments)

    return measures


def _hashable(*values) -> bool:
    try:
        hash(values)
    except TypeError:
        return False
    return True
