"""`fit`: repeat until the epochs are over or a rule says stop (N16–N18, N21).

An epoch is one compiled function: the permutation is made inside it, `jax.lax.scan` runs over the mini-batches, and the last,
smaller one is kept and weighs what it holds. How gradients and steps are made comes in from outside: any `value_and_grad` of
(net, loss), hand-written by default, and any optax optimiser. The host sees one number an epoch, so that time and memory do
not depend on how many there are.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import backprop, checks
from functional_nn.data import batch_size as checked_batch_size
from functional_nn.data import epoch_indices
from functional_nn.network import Network
from functional_nn.objective import Objective, objective
from functional_nn.progress import progress as progress_of

__all__ = ["Result", "epoch_function", "evaluate", "fit"]


class Result(NamedTuple):
    """A finished run.

    params: the trained parameters. optimizer_state: to go on with. history: one array an entry, one number an epoch: "epoch"
    (from 1), "cost" (mean over the epoch's examples, each before its step), and with validation data "validation_cost" and,
    for classes, "validation_accuracy" (both after the epoch). stopped: why it ended.
    """

    params: Any
    optimizer_state: Any
    history: Mapping[str, np.ndarray]
    stopped: str


def fit(net: Network, loss, optimizer: optax.GradientTransformation, data, *, key, epochs: int, batch_size: int | None = 32,
        params=None, validation=None, value_and_grad: Callable = backprop.value_and_grad, shuffle: bool = True,
        stop: Callable | None = None, progress: bool = True) -> Result:
    """Train `net` on data = (X, Y).

    Args:
      net, loss: as for `backprop.value_and_grad`.
      optimizer: `fnn.optimizers.…` or any optax optimiser.
      data: (X (n, n_in) floats, Y), finite; classes as integers.
      key: decides the start, the order of the examples and the units dropped: the same key, the same parameters to the bit.
      epochs: how often every example is seen, at most.
      batch_size: examples a step, 1 to n; None takes all of them (N18).
      params: where to start; None draws them with `net.init`, in X's dtype.
      validation: (X, Y) to evaluate after every epoch, or None.
      value_and_grad: (net, loss) -> ((params, X, Y) -> (cost, gradient)); `fnn.autodiff.value_and_grad` is the twin.
      shuffle: whether every epoch takes the examples in a new order.
      stop: costs so far -> whether to stop, such as `fnn.until_converged()`; it sees the validation cost where there is one.
      progress: a bar on a terminal, plain lines elsewhere, on stderr.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp
    >>> X = jnp.linspace(-1, 1, 64)[:, None]
    >>> net = fnn.mlp((1, 8, 1), hidden="tanh")
    >>> result = fit(net, "mse", fnn.optimizers.sgd(0.1, momentum=0.9), (X, X**2), key=jax.random.key(0), epochs=100,
    ...              batch_size=16, progress=False)
    >>> bool(result.history["cost"][0] > 0.05), bool(result.history["cost"][-1] < 0.01)
    (True, True)
    """
    problem = objective(net, loss)
    checks.integer("epochs", epochs)
    if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        raise TypeError(f"optimizer must be an optax optimiser such as fnn.optimizers.sgd(0.1), got {optimizer!r}")
    init_key, run_key = jax.random.split(checks.typed_key("key", key))
    X, Y = _pair("data", data)
    params = net.init(init_key, X.dtype) if params is None else jax.tree.map(jnp.asarray, params)
    problem.batch(params, X, Y)
    Y = jnp.asarray(Y)
    judge = None
    if validation is not None:
        try:
            validation = _pair("validation", validation)
            problem.batch(params, *validation)
        except (TypeError, ValueError) as error:
            raise type(error)(f"in validation: {error}") from error
        validation = validation[0], jnp.asarray(validation[1])
        judge = functools.partial(_compiled_judge(net, problem.loss), data=validation)
    compiled = _compiled_epoch if _hashable(optimizer, value_and_grad) else _compiled_epoch.__wrapped__
    size = checked_batch_size(batch_size, X.shape[0])
    epoch = compiled(net, problem.loss, optimizer, value_and_grad, X.shape[0], size, shuffle)
    return _run(epoch, judge, params, optimizer.init(params), run_key, (X, Y), epochs, stop, progress)


@functools.lru_cache(maxsize=16)
def _compiled_epoch(net, loss, optimizer, value_and_grad, n: int, batch_size: int, shuffle: bool) -> Callable:
    """Runs that differ in key, start or data of one shape share one compilation."""
    return jax.jit(epoch_function(net, value_and_grad(net, loss), optimizer, n, batch_size, shuffle))


@functools.lru_cache(maxsize=16)
def _compiled_judge(net, loss) -> Callable:
    return jax.jit(lambda params, data: evaluate(objective(net, loss), params, *data))


def _hashable(*values) -> bool:
    try:
        hash(values)
    except TypeError:
        return False
    return True


def epoch_function(net: Network, cost_and_gradient: Callable, optimizer: optax.GradientTransformation, n: int,
                   batch_size: int, shuffle: bool = True) -> Callable:
    """One epoch as a pure function: (params, optimizer_state, key, X, Y) -> (params, optimizer_state, mean cost)."""

    def step(carry, rows, key, X, Y):
        params, state = carry
        noise = {"key": key} if net.random else {}
        cost, gradient = cost_and_gradient(params, X[rows], Y[rows], **noise)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), cost

    def epoch(params, state, key, X, Y):
        order_key, rest_key, *noise_keys = jax.random.split(key, 3)
        full, rest = epoch_indices(order_key, n, batch_size, shuffle=shuffle)
        keys = jax.random.split(noise_keys[0], len(full))
        carry, costs = jax.lax.scan(lambda carry, batch: step(carry, *batch, X, Y), (params, state), (full, keys))
        total = batch_size * jnp.sum(costs)
        if len(rest):
            carry, cost = step(carry, rest, rest_key, X, Y)
            total += len(rest) * cost
        return *carry, total / n

    return epoch


def evaluate(problem: Objective, params, X, Y) -> dict[str, jax.Array]:
    """The cost, and the accuracy where outputs and Y are of classes, of (X, Y), without dropout."""
    batch = problem.batch(params, X, Y)
    record = {"cost": problem.cost(params, batch)}
    of_classes = problem.net.output.name == ("sigmoid" if problem.net.n_out == 1 else "softmax")
    if problem.loss.labels or (jnp.issubdtype(Y.dtype, jnp.integer) and of_classes):
        prediction = jax.vmap(problem.net.apply, in_axes=(None, 0))(params, batch.x)
        classes = (lambda a: a[:, 0] > 0.5) if problem.net.n_out == 1 else (lambda a: jnp.argmax(a, axis=1))
        record["accuracy"] = jnp.mean(classes(prediction) == classes(batch.y))
    return record


def _run(epoch, judge, params, state, key, data, epochs, stop, progress) -> Result:
    """The host's loop: one compiled epoch, one record, one line of progress a turn."""
    records, costs, stopped = [], [], "epochs are over"
    with progress_of(epochs, "training", enabled=progress) as advance:
        for number in range(1, epochs + 1):
            params, state, cost = epoch(params, state, jax.random.fold_in(key, number), *data)
            record = {"epoch": number, "cost": float(cost)}
            if judge is not None:
                judged = judge(params)
                record |= {f"validation_{name}": float(judged[name]) for name in ("cost", "accuracy") if name in judged}
            records.append(record)
            costs.append(record.get("validation_cost", record["cost"]))
            advance("  ".join(f"{name.replace('validation_', 'val. ')} {value:.3g}" for name, value in record.items()
                              if name != "epoch"))
            if not np.isfinite([record["cost"], costs[-1]]).all():
                stopped = f"diverged: the cost of epoch {number} is {costs[-1]}; try a smaller learning rate"
                break
            if stop is not None and stop(costs):
                stopped = f"the stopping rule was met after epoch {number}"
                break
    if stopped == "epochs are over" and not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params)):
        stopped = "diverged: the last epoch left NaN or inf in the parameters; try a smaller learning rate"
    history = {name: np.array([record[name] for record in records]) for name in records[0]}
    return Result(params, state, history, stopped)


def _pair(argument: str, data) -> tuple[jax.Array, jax.Array]:
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(f"{argument} must be a pair (X, Y) of arrays, got {type(data).__name__}; write ({argument}.x_train, "
                        f"{argument}.y_train) for a data set")
    X, Y = data
    return checks.floating("X", X), Y
