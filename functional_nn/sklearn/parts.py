"""Network, loss, optimiser, penalty and stopping rule, made from the parameters of an estimator.

Equal parameters give the same object. `fit` compiles once per object, and scikit-learn clones an
estimator for every fold: with new objects, every fold would compile again.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax

from functional_nn import activations, checks, losses, penalties, recipes
from functional_nn.network import Network, mlp
from functional_nn.objective import cost
from functional_nn.optimizers import OPTIMIZERS
from functional_nn.stopping import until_converged

__all__ = ["OPTIMIZERS", "batch_size", "built", "network", "optimizer", "outputs", "penalty",
           "share", "sizes", "stopping", "validation_cost"]

CHUNK = 8192  # examples that the network evaluates at once
SMALLEST = 16  # examples in the smallest batch that predictions are compiled for


def built(kind: str, part: Any) -> Any:
    """The activation or loss with a name, or the given one; equal ones are the same object.

    Args:
      kind: "activation" or "loss".
      part: a name in `ACTIVATIONS` or `LOSSES`, or an Activation or Loss.

    Raises a ValueError for an unknown name.

    >>> built("loss", "mse") is losses.mse
    True
    """
    return recipes.canonical((activations if kind == "activation" else losses).get(part))


def sizes(n_in: int, hidden_layer_sizes: Any, n_out: int) -> tuple[int, ...]:
    """The sizes of all layers of a network, from the input to the output.

    Args:
      n_in, n_out: the number of inputs and outputs.
      hidden_layer_sizes: an integer or a sequence of integers, at least 1.

    Raises a TypeError or ValueError that names the size at fault.

    >>> sizes(4, (16, 8), 3), sizes(4, 16, 3)
    ((4, 16, 8, 3), (4, 16, 3))
    """
    hidden = (hidden_layer_sizes if isinstance(hidden_layer_sizes, Sequence | np.ndarray)
              else [hidden_layer_sizes])
    if isinstance(hidden, str):
        raise TypeError("hidden_layer_sizes must hold integers, one a hidden layer, as (100,) "
                        f"does, got {hidden!r}")
    return n_in, *(checks.integer(f"hidden_layer_sizes[{i}]", size)
                   for i, size in enumerate(hidden)), n_out


@functools.lru_cache(maxsize=64)
def network(sizes: tuple[int, ...], hidden: activations.Activation, output: str) -> Network:
    """The multi-layer perceptron with these sizes; equal arguments give the same object.

    Args:
      sizes: the sizes of all layers, the input first.
      hidden: the activation of the hidden layers, as `built` returns it.
      output: the name of the output activation.
    """
    return mlp(sizes, hidden=hidden, output=output)


def optimizer(optimizer: Any, learning_rate: Any) -> optax.GradientTransformation:
    """The optimiser for two parameters of an estimator.

    Args:
      optimizer: a name in `OPTIMIZERS`, or an optax optimiser, which is returned unchanged.
      learning_rate: a finite number of at least 0, or a schedule step count -> rate; for a name
        only.

    Raises a TypeError or ValueError that names the argument at fault.
    """
    if callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None)):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError("optimizer must be a name such as 'adam' or an optax optimiser, "
                        f"got {optimizer!r}")
    checks.one_of("optimizer", optimizer, OPTIMIZERS)
    if not callable(learning_rate):
        wanted = "a finite number of at least 0, or a schedule of fnn.schedules"
        rate = _one(wanted, "learning_rate", learning_rate)
        learning_rate = checks.not_negative("learning_rate", rate, wanted)
    return OPTIMIZERS[optimizer](learning_rate)


def penalty(alpha: float) -> penalties.Penalty | None:
    """The penalty ½ α Σ w² on the weights; None for α = 0.

    Raises a TypeError or ValueError if `alpha` is not a finite number of at least 0.
    """
    alpha = _number("alpha", alpha)
    return penalties.l2(alpha) if alpha else None


def stopping(tol: float | None, n_iter_no_change: int) -> Callable | None:
    """The stopping rule, a function costs so far -> bool; None if `tol` is None.

    Args:
      tol: the tolerance of `until_converged`.
      n_iter_no_change: its patience, at least 1.

    Raises a TypeError or ValueError that names the argument at fault.
    """
    checks.integer("n_iter_no_change", n_iter_no_change)
    return None if tol is None else until_converged(_number("tol", tol), n_iter_no_change)


def _number(argument: str, value: Any) -> float:
    return checks.not_negative(argument, _one("a finite number of at least 0", argument, value))


def _one(wanted: str, argument: str, value: Any) -> Any:
    """`value`, or a TypeError for an array: estimators sweep nothing."""
    if isinstance(value, jax.Array | np.ndarray):
        raise TypeError(f"{argument} must be {wanted}, got an array of shape {np.shape(value)}")
    return value


def share(argument: str, value: Any) -> float:
    """`value`, after a check that it is above 0 and below 1; a TypeError or ValueError if not."""
    wanted = "a share between 0 and 1"
    return checks.number(argument, _one(wanted, argument, value), low=np.nextafter(0, 1),
                         high=np.nextafter(1, 0), wanted=wanted)


def batch_size(value: Any, n: int) -> int:
    """The number of examples per step, at most the number n of examples.

    Args:
      value: "auto" for 200, None for all, or an integer of at least 1.
      n: the number of examples.

    Raises a TypeError or ValueError for any other value.

    >>> batch_size("auto", 1000), batch_size("auto", 50), batch_size(None, 1000), batch_size(64, 50)
    (200, 50, 1000, 50)
    """
    if value is None or (isinstance(value, str) and value == "auto"):
        return n if value is None else min(200, n)
    if isinstance(value, str):
        raise ValueError("batch_size must be 'auto', an integer of at least 1, or None for all, "
                         f"got {value!r}")
    return min(checks.integer("batch_size", value), n)


@functools.lru_cache(maxsize=64)
def validation_cost(net: Network, loss: losses.Loss) -> Callable:
    """The compiled function (params, X, Y, weights) -> Σ wᵢ Lᵢ / Σ wᵢ, the weighted mean loss."""
    of_examples = cost(net, loss)
    return jax.jit(lambda params, X, Y, weights: of_examples(params, X, Y, sample_weights=weights))


@functools.lru_cache(maxsize=64)
def _forward(net: Network) -> Callable:
    return jax.jit(jax.vmap(net.apply, in_axes=(None, 0)))


def outputs(net: Network, params: Any, X: np.ndarray) -> np.ndarray:
    """The outputs ŷ of the network for every row of X, (n, n_out), computed in float64.

    In float64, the other rows of a batch change the output of a row by less than 1e-7, as
    scikit-learn's checks require. Batches are padded to a power of two, so that few shapes are
    compiled.

    Args:
      net, params: the network and its parameters, of any float dtype.
      X: (n, n_in), with n at least 1.
    """
    run, parts = _forward(net), []
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        for start in range(0, len(X), CHUNK):
            rows = X[start:start + CHUNK]
            filled = np.zeros((max(SMALLEST, 1 << (len(rows) - 1).bit_length()), X.shape[1]))
            filled[:len(rows)] = rows
            parts.append(np.asarray(run(params, filled))[:len(rows)])
    return np.concatenate(parts)
