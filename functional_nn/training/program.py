"""The compiled functions of a run, cached so that similar runs share one compilation.

Two runs share their compiled functions if they agree in the network, the loss, the optimiser and
the penalty, and in the shapes of their data. Learning rates and strengths of penalties are
arguments of what is compiled (`functional_nn.recipes`), so runs that differ in them share it too.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from functional_nn import recipes
from functional_nn.initializers import INITIALIZERS
from functional_nn.layers import KINDS
from functional_nn.monitor import watch_function
from functional_nn.network import Network
from functional_nn.penalties import Penalty
from functional_nn.training.steps import gradient_function, steps_function, update_function

__all__ = ["Program", "epoch_keys", "initial", "keys", "penalty_value", "program", "watch"]

WATCHED = 256  # the monitor computes its measures on at most so many examples
WATCH_SHARE = 60  # examples trained on per example watched: the monitor takes below 5% of the time


class Program(NamedTuple):
    """The compiled functions of a run.

    Attributes:
      net: the network.
      init: params -> the optimiser's first state.
      steps: the steps of an epoch, as `steps_function` returns them.
      update: the next step of the optimiser, as `update_function` returns it.
      measures: (params, optimizer_state, X, Y) -> the measures of the monitor.
      pads: whether `steps` takes weights, so that rows without weight may fill up a batch.
    """

    net: Network
    init: Callable
    steps: Callable
    update: Callable
    measures: Callable
    pads: bool


def program(
    net: Network, loss, optimizer: optax.GradientTransformation, value_and_grad: Callable,
    penalty: Penalty | None, weighted: bool
) -> Program:
    """The `Program` of a run; what it compiles is kept for runs of the same structure.

    Args:
      net, loss, optimizer, value_and_grad, penalty: as for `fit`.
      weighted: whether the examples have weights.
    """
    structure, numbers = recipes.split(
        (optimizer, None if penalty is None else (penalty.value, penalty.gradient)))
    made = _compiled if _hashable(structure, value_and_grad) else _compiled.__wrapped__
    functions = [functools.partial(function, numbers) for function in made(
        net, loss, structure, value_and_grad, weighted)]
    # an optimiser of another hand may make its first state in a way that cannot be compiled
    return Program(net, functions[0] if recipes.is_made(optimizer) else optimizer.init,
                   *functions[1:], weighted or _takes_weights(net, loss, value_and_grad))


def _takes_weights(net: Network, loss, value_and_grad: Callable) -> bool:
    """Whether a function such as `backprop.value_and_grad` sums with weights of the examples."""
    try:
        inspect.signature(value_and_grad).bind(net, loss, "sum")
        of_sum = value_and_grad(net, loss, "sum")
        inspect.signature(of_sum).bind("params", "X", "Y", sample_weights="W")
    except (TypeError, ValueError):  # it has another signature, or none
        return False
    return True


@functools.lru_cache(maxsize=16)
def _compiled(
    net: Network, loss, structure: tuple, value_and_grad: Callable, weighted: bool
) -> tuple[Callable, ...]:
    """The functions of a `Program`, each with the numbers of optimiser and penalty in front."""
    of_mean = None if weighted else value_and_grad(net, loss)
    of_sum = (value_and_grad(net, loss, "sum")
              if weighted or _takes_weights(net, loss, value_and_grad) else None)

    def cost_and_gradient(params, X, Y, **given):
        return (of_sum if "sample_weights" in given else of_mean)(params, X, Y, **given)

    def parts(numbers) -> tuple:
        optimizer, functions = recipes.join(structure, numbers)
        penalty = None if functions is None else Penalty("", *functions)
        return gradient_function(net, cost_and_gradient, penalty), optimizer, penalty

    def init(numbers, params):
        return parts(numbers)[1].init(params)

    def steps(numbers, *args):
        return steps_function(*parts(numbers))(*args)

    def update(numbers, *args):
        return update_function(*parts(numbers))(*args)

    def measures(numbers, params, state, X, Y):
        weights = (jnp.ones(len(X), X.dtype),) if weighted else ()
        here = jax.random.key(0), jnp.arange(len(X)), None, X, Y, *weights
        gradient, optimizer, penalty = parts(numbers)
        following = update_function(gradient, optimizer, penalty)
        return watch_function(
            net, loss, lambda params, X, Y: gradient(params, *here)[1],
            optax.GradientTransformation(
                optimizer.init, lambda _, state, params: following(params, state, *here)[2:])
        )(params, state, X, Y)

    return tuple(map(jax.jit, (init, steps, update, measures)))


@functools.lru_cache(maxsize=16)
def initial(net: Network, dtype) -> Callable:
    """The function key -> the initial parameters of the network in this dtype.

    It is compiled where all initialisers are the library's, which then draw the same bits.
    """
    def init(key):
        return net.init(key, dtype)

    return jax.jit(init) if all(map(_is_ours, net.layers)) else init


def _is_ours(layer) -> bool:
    known = layer.arguments.get("init") in (None, *INITIALIZERS.values())
    return layer.kind in KINDS and known and all(map(_is_ours, layer.parts))


@jax.jit
def keys(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The keys of a run: for the initial parameters, for the epochs, and for the held-out rows."""
    return tuple(jax.random.split(key, 3))


@jax.jit
def epoch_keys(key: jax.Array, epoch: int) -> tuple[jax.Array, jax.Array]:
    """The keys of an epoch: for the order of its examples, and for the noise of its steps."""
    return tuple(jax.random.split(jax.random.fold_in(key, epoch)))


def penalty_value(penalty: Penalty) -> Callable:
    """The compiled function params -> R, the value of the penalty; compiled once for all R."""
    structure, numbers = recipes.split(penalty.value)
    return functools.partial(_value(structure), numbers)


@functools.lru_cache(maxsize=16)
def _value(structure: tuple) -> Callable:
    return jax.jit(lambda numbers, params: recipes.join(structure, numbers)(params))


def watch(
    program: Program, source, quantities: Callable | None = None
) -> tuple[int, Callable]:
    """The monitor of a run: how often it is due, and the function that computes its measures.

    Args:
      program: the compiled functions of the run.
      source: the examples, `Arrays` or `Streamed`; the monitor uses a twentieth of them, but from
        32 to 256 where there are so many. If they have weights, it weighs its examples alike.
      quantities: a function of `monitor.quantity_function` whose record joins the measures.

    Returns `(epochs, measures)`: the number of epochs from one record to the next, and the
    function (params, optimizer_state) -> {measure: (layers,) or a number}.
    """
    X, Y = source.some(min(WATCHED, max(32, len(source) // 20)))

    def measures(params, state):
        with jax.debug_nans(False):  # NaN stands for a layer that has no idle units
            return program.measures(params, state, X, Y) | (
                {} if quantities is None else quantities(params, X, Y))

    return (math.ceil(WATCH_SHARE * len(X) / len(source)), measures)


def _hashable(*values) -> bool:
    try:
        hash(values)
    except TypeError:
        return False
    return True
