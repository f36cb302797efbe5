"""`fit`: the host's loop around compiled steps.

How gradients and steps are made comes in from outside: any `value_and_grad` of (net, loss), hand-written by default, and any
optax optimiser. Everything that people want between steps (records, validation, checkpoints, callbacks, Ctrl-C) happens
between compiled calls, so that time and memory do not depend on how many steps there are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import backprop, checks
from functional_nn.data import batch_size as checked_batch_size
from functional_nn.network import Network
from functional_nn.objective import Objective, objective
from functional_nn.penalties import Penalty
from functional_nn.stopping import Stop
from functional_nn.training.judging import judge
from functional_nn.training.loop import Host, Moment, Position, run_epochs
from functional_nn.training.program import penalty_value, program, watch
from functional_nn.training.saving import Store, identity
from functional_nn.training.sources import Arrays, Streamed, examples
from functional_nn.training.steps import new_epoch

__all__ = ["Moment", "Result", "fit"]


class Result(NamedTuple):
    """A finished run.

    Attributes:
      params: the trained parameters; those of the best epoch where `restore_best` asked for them.
      optimizer_state: the optimiser's state after the last step, to go on with.
      history: one array an entry, one number an epoch: "epoch" (from 1); "cost", the mean of the
        losses of the epoch's examples, each taken before its step; "penalty" (after the epoch) where
        there is one; and with validation data "validation_cost", for classes "validation_accuracy",
        and the metrics asked for (all after the epoch).
      stopped: why the run ended, a `Stop`: a sentence with its `reason`.
      layers: with `monitor`, arrays (times, layers) of `fnn.monitor.MEASURES`, and the "epoch" of
        each time.
      best_epoch: the epoch of the lowest validation cost, or of the lowest cost without validation.
      last: the parameters after the last step.
    """

    params: Any
    optimizer_state: Any
    history: Mapping[str, np.ndarray]
    stopped: Stop
    layers: Mapping[str, np.ndarray]
    best_epoch: int
    last: Any


def fit(net: Network, loss, optimizer: optax.GradientTransformation, data, *, key, epochs: int, batch_size: int | None = 32,
        params=None, validation=None, value_and_grad: Callable = backprop.value_and_grad, shuffle: bool = True,
        penalty: Penalty | None = None, sample_weights=None, class_weights=None, stop: Callable | None = None,
        restore_best: bool = False, metrics: Sequence[str] = (), monitor: bool = False, callbacks: Sequence[Callable] = (),
        every: int | None = None, checkpoints=None, resume: Result | None = None, progress: bool = True) -> Result:
    """Train `net` on data = (X, Y), or on a `fnn.data.stream`.

    Args:
      net, loss: as for `backprop.value_and_grad`.
      optimizer: `fnn.optimizers.…` or any optax optimiser; to clip or decay, `optax.chain` it.
      data: (X (n, n_in) floats, Y), finite; classes as integers.
      key: decides the start, the order of the examples and the units dropped: the same key, the same parameters to the bit.
      epochs: how often every example is seen, at most.
      batch_size: examples a step, 1 to n; None takes all of them (N18).
      params: where to start; None draws them with `net.init`, in X's dtype.
      validation: (X, Y) to evaluate after every epoch, or the share of the examples to keep for that, or None.
      value_and_grad: (net, loss) -> ((params, X, Y) -> (cost, gradient)); `fnn.autodiff.value_and_grad` is the twin. With
        weights it is asked for (net, loss, "sum") and given `sample_weights`, with dropout it is given a `key`.
      shuffle: whether every epoch takes the examples in a new order.
      penalty: `fnn.penalties.…`, added to the cost's gradient; recorded beside the cost, not in it.
      sample_weights: (n,), at least 0: wᵢ counts in the cost as wᵢ examples would.
      class_weights: "balanced", or class -> weight; times the example's own.
      stop: costs so far -> whether to stop, such as `fnn.until_converged()`; it sees the validation cost where there is one.
      restore_best: whether to end with the parameters of the epoch with the lowest such cost.
      metrics: names in `fnn.metrics.METRICS`, of the validation data after every epoch.
      monitor: whether to record how each layer fares, in as many epochs as keep its cost below 5%.
      callbacks: functions of a `Moment`, called after every epoch and every `every` steps; one that returns True ends the run.
      every: steps between callbacks and checkpoints; None for the ends of epochs alone.
      checkpoints: an open `fnn.checkpoint.Checkpoints`, saved to every `every` steps, at the end of the best epoch so far and
        at the end. A run that it holds already goes on from there, to the bit as if it had never stopped.
      resume: the result of a run that is to go on, with the same arguments and more epochs.
      progress: a bar on a terminal, plain lines elsewhere, on stderr.

    Ctrl-C ends the run after its epoch, with a result to go on from; a second one stops at once. A NaN or inf in the cost or
    the parameters ends it at that step: `stopped` names the layer and what to try, and `params` are the last good ones.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp
    >>> X = jnp.linspace(-1, 1, 64)[:, None]
    >>> net = fnn.mlp((1, 8, 1), hidden="tanh")
    >>> result = fit(net, "mse", fnn.optimizers.sgd(0.1, momentum=0.9), (X, X**2), key=jax.random.key(0), epochs=100,
    ...              batch_size=16, progress=False)
    >>> bool(result.history["cost"][0] > 0.05), bool(result.history["cost"][-1] < 0.01)
    (True, True)
    """
    problem = objective(net, loss)
    _check(optimizer, epochs, penalty, callbacks, every, checkpoints, resume, params)
    init_key, run_key, split_key = jax.random.split(checks.typed_key("key", key), 3)
    source, validation = examples(data, validation, sample_weights, class_weights, split_key)
    start = net.init(init_key, source.some(1)[0].dtype) if params is None else jax.tree.map(jnp.asarray, params)
    _check_examples(problem, start, source, validation)
    source = source.on_device()
    if metrics and validation is None:
        raise ValueError(f"metrics are of validation data, got {list(metrics)} without any; pass validation=0.1 or (X, Y)")
    size = checked_batch_size(batch_size, len(source))
    weighted = isinstance(source, Arrays) and len(source.examples) == 3
    compiled = program(net, problem.loss, optimizer, value_and_grad, penalty, weighted)
    host = Host(
        program=compiled, source=source, batch_size=size, shuffle=shuffle, key=run_key, epochs=epochs,
        judge=None if validation is None else judge(problem, *validation, metrics),
        penalty=None if penalty is None else penalty_value(penalty),
        watch=watch(compiled, problem, source, weighted) if monitor else None, stop=stop, restore_best=restore_best,
        callbacks=tuple(callbacks), every=every, progress=progress)
    fresh = Position(new_epoch(start, optimizer.init(start)), start if restore_best else None)
    if checkpoints is None:
        return _result(*run_epochs(host, fresh if resume is None else _resumed(resume, fresh)))
    store = Store(checkpoints, identity(problem, source, size, shuffle, key))
    return _result(*run_epochs(host, store.restored(fresh), store.save))


def _check(optimizer, epochs, penalty, callbacks, every, checkpoints, resume, params) -> None:
    """A TypeError or ValueError that names the first argument at fault."""
    checks.integer("epochs", epochs)
    if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        raise TypeError(f"optimizer must be an optax optimiser such as fnn.optimizers.sgd(0.1), got {optimizer!r}")
    if penalty is not None and not isinstance(penalty, Penalty):
        raise TypeError(f"penalty must be one of fnn.penalties such as fnn.penalties.l2(1e-4), got {penalty!r}")
    for i, callback in enumerate(callbacks):
        if not callable(callback):
            raise TypeError(f"callbacks[{i}] must be a function of a Moment, got {callback!r}")
    if every is not None:
        checks.integer("every", every)
    if resume is not None and (params is not None or checkpoints is not None):
        raise ValueError("resume goes on from a result, so params and checkpoints must be left out; got "
                         f"{'params' if params is not None else 'checkpoints'} too")
    if resume is not None and not isinstance(resume, Result):
        raise TypeError(f"resume must be the Result of a run, got {type(resume).__name__}")
    if resume is not None and resume.stopped.reason == "diverged":
        raise ValueError(f"resume must be a run that ended well, got one that {resume.stopped}; start from its last good "
                         "parameters with params=result.params")
    if resume is not None and resume.stopped.step is not None:
        raise ValueError(f"resume must be a run that ended with an epoch, got one of which is said: {resume.stopped}; use "
                         "checkpoints, which go on from amid one")


def _check_examples(problem: Objective, params, source, validation) -> None:
    """The examples held against the network; of a stream the first X and every target."""
    problem.batch(params, *(source.examples[:2] if isinstance(source, Arrays) else source.some(1)))
    for Y in source.targets() if isinstance(source, Streamed) else ():
        problem.targets(Y, len(Y), jnp.float32)
    if validation is not None:
        try:
            problem.batch(params, *validation)
        except (TypeError, ValueError) as error:
            raise type(error)(f"in validation: {error}") from error


def _resumed(result: Result, fresh: Position) -> Position:
    """Where a finished run goes on, held against what a fresh one would be."""
    state = result.last, result.optimizer_state
    wanted, got = (jax.tree.map(lambda a: (np.shape(a), jnp.result_type(a)), tree) for tree in (
        (fresh.run.params, fresh.run.optimizer_state), state))
    if wanted != got:
        raise ValueError("resume must be of the same network and optimiser, got parameters or a state of another structure; "
                         "pass the same arguments as before")
    return Position(new_epoch(*state), None if fresh.best is None else result.params, 1 + int(result.history["epoch"][-1]), 0,
                    _rows(result.history), _rows(result.layers), result.best_epoch)


def _result(position: Position, stopped: Stop) -> Result:
    last = position.run.params
    best = last if position.best is None else position.best
    return Result(best, position.run.optimizer_state, _columns(position.records), stopped, _columns(position.looks),
                  position.best_epoch, last)


def _columns(rows: list[dict]) -> dict[str, np.ndarray]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def _rows(columns: Mapping[str, np.ndarray]) -> list[dict]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*(v.tolist() for v in columns.values()), strict=True)]
