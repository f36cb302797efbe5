"""What an estimator's parameters stand for: network, loss, optimiser, penalty. Equal parameters give the one same object.

`fit` compiles once for each of these objects, and scikit-learn clones an estimator for every fold, so without that every fold
would compile again.
"""

import copyreg
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from functional_nn import activations, checks, losses, penalties
from functional_nn.network import Network, mlp
from functional_nn.objective import cost
from functional_nn.optimizers import OPTIMIZERS
from functional_nn.stopping import until_converged

__all__ = ["OPTIMIZERS", "Named", "batch_size", "built", "network", "optimizer", "outputs", "penalty", "restored", "share",
           "sizes", "stopping", "stored", "validation_cost"]

CHUNK = 8192  # examples at once
SMALLEST = 16  # examples of the smallest batch that predictions are compiled for
KINDS = {"activation": (activations.Activation, activations.ACTIVATIONS), "loss": (losses.Loss, losses.LOSSES)}


class Named(NamedTuple):
    """An activation or loss of ours by its name and hyper-parameters, which unlike its functions can be pickled."""

    kind: str
    name: str
    parameters: tuple[tuple[str, float], ...]


def stored(part: Any) -> Any:
    """An activation or loss of ours as `Named`; anything else as it is.

    >>> stored(activations.leaky_relu.configure(slope=0.2))
    Named(kind='activation', name='leaky_relu', parameters=(('slope', 0.2),))
    """
    for kind, (of_kind, table) in KINDS.items():
        if isinstance(part, of_kind) and part.name in table and table[part.name].function is part.function and (
                all(isinstance(value, float | int) for value in part.parameters.values())):
            return Named(kind, part.name, tuple(sorted(part.parameters.items())))
    return part


@functools.lru_cache(maxsize=64)
def _of_name(named: Named) -> Any:
    part = KINDS[named.kind][1][named.name]
    return part if dict(named.parameters) == dict(part.parameters) else part.configure(**dict(named.parameters))


def restored(part: Any) -> Any:
    """What `stored` was given, the same object for the same name and hyper-parameters."""
    return _of_name(part) if isinstance(part, Named) else part


def _reduced(part: activations.Activation | losses.Loss) -> tuple:
    """How it is copied and pickled: by name where it is one of ours, whose functions could not be."""
    named = stored(part)
    return (restored, (named,)) if isinstance(named, Named) else part.__reduce_ex__(2)


for of_kind, _ in KINDS.values():
    copyreg.pickle(of_kind, _reduced)  # estimators are copied, hashed and pickled with their parameters


def built(kind: str, part: Any) -> Any:
    """The activation or loss that `part`, a name or one itself, stands for."""
    get = activations.get if kind == "activation" else losses.get
    return restored(stored(get(part)))


def sizes(n_in: int, hidden_layer_sizes: Any, n_out: int) -> tuple[int, ...]:
    """The network's, the input's first; `hidden_layer_sizes` is one integer or a sequence of them."""
    hidden = hidden_layer_sizes if isinstance(hidden_layer_sizes, Sequence | np.ndarray) else [hidden_layer_sizes]
    if isinstance(hidden, str):
        raise TypeError(f"hidden_layer_sizes must hold integers, one a hidden layer, as (100,) does, got {hidden!r}")
    return n_in, *(checks.integer(f"hidden_layer_sizes[{i}]", size) for i, size in enumerate(hidden)), n_out


@functools.lru_cache(maxsize=64)
def network(sizes: tuple[int, ...], hidden: Named | activations.Activation, output: str) -> Network:
    """The perceptron of those sizes."""
    return mlp(sizes, hidden=restored(hidden), output=output)


def optimizer(optimizer: Any, learning_rate: Any) -> optax.GradientTransformation:
    """The optimiser of that name with that rate or schedule; one of optax's is handed back as it is."""
    if callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None)):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(f"optimizer must be a name such as 'adam' or an optax optimiser, got {optimizer!r}")
    checks.one_of("optimizer", optimizer, OPTIMIZERS)
    if not callable(learning_rate):
        wanted = "a finite number of at least 0, or a schedule of fnn.schedules"
        if isinstance(learning_rate, jax.Array | np.ndarray):
            raise TypeError(f"learning_rate must be {wanted}, got an array of shape {np.shape(learning_rate)}")
        learning_rate = checks.number("learning_rate", learning_rate, low=0, high=sys.float_info.max, wanted=wanted)
    return _optimizer(optimizer, learning_rate)


@functools.lru_cache(maxsize=64)
def _optimizer(name: str, learning_rate: float | Callable) -> optax.GradientTransformation:
    return OPTIMIZERS[name](learning_rate)


def penalty(alpha: float) -> penalties.Penalty | None:
    """½ α Σ w²; None for α = 0."""
    return _penalty(_number("alpha", alpha))


@functools.lru_cache(maxsize=64)
def _penalty(alpha: float) -> penalties.Penalty | None:
    return penalties.l2(alpha) if alpha else None


def stopping(tol: float | None, n_iter_no_change: int) -> Callable | None:
    """costs so far -> whether to stop; None where `tol` is."""
    checks.integer("n_iter_no_change", n_iter_no_change)
    return None if tol is None else until_converged(_number("tol", tol), n_iter_no_change)


def _number(argument: str, value: Any) -> float:
    if isinstance(value, jax.Array | np.ndarray):
        raise TypeError(f"{argument} must be a finite number of at least 0, got an array of shape {np.shape(value)}")
    return checks.number(argument, value, low=0, high=sys.float_info.max, wanted="a finite number of at least 0")


def share(argument: str, value: Any) -> float:
    """`value` when it is above 0 and below 1."""
    return checks.number(argument, value, low=np.nextafter(0, 1), high=np.nextafter(1, 0), wanted="a share between 0 and 1")


def batch_size(value: Any, n: int) -> int:
    """Examples a step: at most 200 for "auto", and never more than there are, as folds may be small."""
    if value is None or (isinstance(value, str) and value == "auto"):
        return n if value is None else min(200, n)
    if isinstance(value, str):
        raise ValueError(f"batch_size must be 'auto', an integer of at least 1, or None for all, got {value!r}")
    return min(checks.integer("batch_size", value), n)


@functools.lru_cache(maxsize=64)
def validation_cost(net: Network, loss: losses.Loss) -> Callable:
    """(params, X, Y, weights) -> Σ wᵢ Lᵢ / Σ wᵢ, compiled."""
    of_examples = cost(net, loss)
    return jax.jit(lambda params, X, Y, weights: of_examples(params, X, Y, sample_weights=weights))


@functools.lru_cache(maxsize=64)
def _forward(net: Network) -> Callable:
    return jax.jit(jax.vmap(net.apply, in_axes=(None, 0)))


def outputs(net: Network, params: Any, X: np.ndarray) -> np.ndarray:
    """ŷ of every row of X, (n, n_out) in float64, as scikit-learn's are: to 1e-7 and better, no row hangs on those beside it.

    Batches are filled up to a power of two, so that few sizes are compiled.
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
