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
import scipy.sparse

from functional_nn import activations, checks, layers, losses, penalties, recipes
from functional_nn.network import Network, mlp, sequential
from functional_nn.objective import cost
from functional_nn.optimizers import OPTIMIZERS
from functional_nn.stopping import until_converged

__all__ = ["OPTIMIZERS", "batch_size", "built", "dense", "network", "optimizer", "outputs",
           "own_names", "penalty", "share", "sizes", "stopping", "takes_all", "validation"]

CHUNK = 8192  # examples that the network evaluates at once
SKLEARN = {"identity": "linear", "logistic": "sigmoid"}  # scikit-learn's name -> ours
SMALLEST = 16  # examples in the smallest batch that predictions are compiled for


def built(kind: str, part: Any) -> Any:
    """The activation or loss with a name, or the given one; equal ones are the same object.

    Args:
      kind: "activation" or "loss".
      part: a name in `ACTIVATIONS` or `LOSSES`, a name of scikit-learn's in `SKLEARN`, or an
        Activation or Loss.

    Raises a ValueError for an unknown name.

    >>> built("loss", "mse") is losses.mse, built("activation", "logistic")
    (True, sigmoid)
    """
    part = SKLEARN.get(part, part) if isinstance(part, str) else part
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
def network(sizes: tuple[int, ...], hidden: activations.Activation, output: str,
            drop: float = 0.0) -> Network:
    """The multi-layer perceptron with these sizes; equal arguments give the same object.

    Args:
      sizes: the sizes of all layers, the input first.
      hidden: the activation of the hidden layers, as `built` returns it.
      output: the name of the output activation.
      drop: the share of the hidden units that dropout drops in training.

    >>> network((4, 8, 3), activations.relu, "softmax", 0.5)
    Network(4 -> dense(8, relu) -> dropout(0.5) -> dense(3, softmax))
    """
    if not drop:
        return mlp(sizes, hidden=hidden, output=output)
    n_in, *widths, n_out = sizes
    inner = [layer for n in widths for layer in (layers.dense(n, hidden), layers.dropout(drop))]
    return sequential(n_in, *inner, layers.dense(n_out, output))


def optimizer(
    optimizer: Any, learning_rate: Any, momentum: Any = 0.0, nesterov: bool = True
) -> optax.GradientTransformation:
    """The optimiser for the parameters of an estimator.

    Args:
      optimizer: a name in `OPTIMIZERS`, "lbfgs", or an optax optimiser, which is returned
        unchanged.
      learning_rate: a finite number of at least 0, or a schedule step count -> rate; not used by
        "lbfgs", whose line search finds the length of each step, and by an optax optimiser.
      momentum, nesterov: the momentum of "sgd", and whether it is Nesterov's.

    Raises a TypeError or ValueError that names the argument at fault.
    """
    if callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None)):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError("optimizer must be a name such as 'adam' or an optax optimiser, "
                        f"got {optimizer!r}")
    if optimizer == "lbfgs":
        return _lbfgs()
    checks.one_of("optimizer", optimizer, OPTIMIZERS | {"lbfgs": _lbfgs})
    if not callable(learning_rate):
        wanted = "a finite number of at least 0, or a schedule of fnn.schedules"
        rate = _one(wanted, "learning_rate", learning_rate)
        learning_rate = checks.not_negative("learning_rate", rate, wanted)
    if optimizer == "sgd" and momentum:
        return OPTIMIZERS["sgd"](learning_rate, momentum=momentum, nesterov=bool(nesterov))
    return OPTIMIZERS[optimizer](learning_rate)


@functools.cache
def _lbfgs() -> optax.GradientTransformationExtraArgs:
    """optax's L-BFGS, always the same object, so that runs share what is compiled."""
    return optax.lbfgs()


def takes_all(optimizer: optax.GradientTransformation) -> bool:
    """Whether every step of the optimiser takes all rows, as the line search of "lbfgs" needs."""
    return optimizer is _lbfgs()


def own_names(estimator: Any) -> tuple[Any, Any]:
    """`(optimizer, learning_rate)` of an estimator, also where it has them by scikit-learn's names.

    `solver` is the optimiser; `learning_rate_init` is the learning rate, beside which
    learning_rate="constant" says nothing else.

    Raises a ValueError if both names of one thing are given, and for scikit-learn's other
    schedules.
    """
    optimizer, rate = estimator.optimizer, estimator.learning_rate
    if estimator.solver is not None:
        if not (isinstance(optimizer, str) and optimizer in ("adam", estimator.solver)):
            raise ValueError(f"solver is scikit-learn's name for optimizer; got both, "
                             f"solver={estimator.solver!r} and optimizer={optimizer!r}")
        optimizer = estimator.solver
    if isinstance(rate, str):
        if rate != "constant":
            raise ValueError(
                f"learning_rate must be a number or a schedule of fnn.schedules, got {rate!r}; "
                "for 'adaptive' use optimizer=optax.chain(optax.adam(1e-3), "
                "optax.contrib.reduce_on_plateau()), for 'invscaling' a schedule")
        rate = 1e-3
    if estimator.learning_rate_init is not None:
        if rate != 1e-3:
            raise ValueError(
                f"learning_rate_init is scikit-learn's name for learning_rate; got both, "
                f"learning_rate_init={estimator.learning_rate_init!r} and learning_rate={rate!r}")
        rate = estimator.learning_rate_init
    return optimizer, rate


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
def validation(net: Network, loss: losses.Loss) -> Callable:
    """The compiled function (params, X, Y, weights) -> the weighted mean loss, and the outputs.

    The first is Σ wᵢ Lᵢ / Σ wᵢ, the second (n, n_out).
    """
    of_examples, forward = cost(net, loss), jax.vmap(net.apply, in_axes=(None, 0))
    return jax.jit(lambda params, X, Y, weights: (
        of_examples(params, X, Y, sample_weights=weights), forward(params, X)))


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
      X: (n, n_in), with n at least 1; a sparse matrix is made dense chunk by chunk.
    """
    run, parts = _forward(net), []
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        for start in range(0, X.shape[0], CHUNK):
            rows = dense(X[start:start + CHUNK])
            filled = np.zeros((max(SMALLEST, 1 << (len(rows) - 1).bit_length()), X.shape[1]))
            filled[:len(rows)] = rows
            parts.append(np.asarray(run(params, filled))[:len(rows)])
    return np.concatenate(parts)


def dense(X: Any, columns: str = "X") -> np.ndarray:
    """X as a dense array; a sparse matrix becomes one.

    Raises a MemoryError that says the size, if there is no room for it.
    """
    if not scipy.sparse.issparse(X):
        return X
    try:
        return X.toarray()
    except MemoryError as error:
        size = X.shape[0] * X.shape[1] * X.dtype.itemsize
        raise MemoryError(
            f"{columns} of shape {X.shape} is sparse, and a network takes it as a dense array of "
            f"{size / 2**30:.1f} GiB, for which there is no room; train on parts of the rows with "
            "partial_fit, or reduce the columns first") from error
