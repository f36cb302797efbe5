"""`fit`: training with records, validation, checkpoints and callbacks.

Gradients come from any function with the signature of `backprop.value_and_grad`, and steps from
any optax optimiser. The steps are compiled. Everything else happens on the host between compiled
calls, so that compile time and memory do not depend on the number of steps.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import backprop, checks, recipes
from functional_nn.data import batch_size as checked_batch_size
from functional_nn.monitor import quantity_function
from functional_nn.network import Network, dtype_of
from functional_nn.objective import Objective, objective
from functional_nn.penalties import Penalty
from functional_nn.stopping import Stop
from functional_nn.training.identity import Parts, identity
from functional_nn.training.judging import judge
from functional_nn.training.loop import Host, Moment, Position, run_epochs
from functional_nn.training.program import initial, keys, penalty_value, program, watch
from functional_nn.training.saving import Store
from functional_nn.training.sources import Arrays, Streamed, check_ranges, examples
from functional_nn.training.steps import new_epoch, update_function

__all__ = ["Moment", "Result", "fit"]

SAMPLE = 256  # examples of a stream whose features are checked before training


class Result(NamedTuple):
    """The result of a run.

    Attributes:
      params: the trained parameters: those after the last step, or with `restore_best` those after
        the best epoch.
      optimizer_state: the state of the optimiser after the last step.
      history: name -> an array with one number per epoch. "epoch" counts from 1. "cost" is the
        mean of the losses of the epoch's examples, each taken before its step. "penalty" is there
        with a penalty. With validation data there are "validation_cost", for classes
        "validation_accuracy", and "validation_…" of each metric. All but the cost are taken after
        the epoch.
      stopped: why the run ended: a `Stop`, a sentence with its `reason`.
      layers: with `monitor`, name -> an array (times, layers) for the names in
        `fnn.monitor.MEASURES`, and "epoch" -> the epochs of these times; else empty. A quantity
        with one number for all layers has an array (times,).
      best_epoch: the epoch with the lowest validation cost, or without validation data with the
        lowest cost; 0 if no epoch was finished.
      last: the parameters after the last step.

    After a divergence, the last step is the last one before the first NaN or inf. If only the
    validation cost became NaN or inf, the steps of that epoch are undone.
    """

    params: Any
    optimizer_state: Any
    history: Mapping[str, np.ndarray]
    stopped: Stop
    layers: Mapping[str, np.ndarray]
    best_epoch: int
    last: Any


def fit(
    net: Network, loss, optimizer: optax.GradientTransformation, data, *, key, epochs: int,
    batch_size: int | None = 32, params=None, validation=None,
    value_and_grad: Callable = backprop.value_and_grad, shuffle: bool = True,
    penalty: Penalty | None = None, sample_weights=None, class_weights=None,
    stop: Callable | None = None, restore_best: bool = False, metrics: Sequence[str] = (),
    monitor: bool | Sequence[str] = False, callbacks: Sequence[Callable] = (),
    every: int | None = None, checkpoints=None, resume: Result | None = None, progress: bool = True
) -> Result:
    """Train a network by mini-batch gradient descent or another optimiser (N16–N18, N21).

    Args:
      net, loss: as for `backprop.value_and_grad`.
      optimizer: one of `fnn.optimizers`, or any optax optimiser; `optax.chain` adds clipping or
        decay.
      data: (X, Y) or a `fnn.data.stream`. X is (n, n_in), finite floats. Y is (n, n_out), or (n,)
        for one output, or (n,) integer classes.
      key: a typed key, which determines the initial parameters, the order of the examples, the
        share kept for validation and the dropout. The same key gives the same parameters, bit for
        bit.
      epochs: the largest number of epochs; in an epoch every example is used once.
      batch_size: the number of examples of a step, 1 to n; None takes all of them (N18).
      params: the initial parameters; None takes those of `net.init`, in X's dtype.
      validation: the pair (X, Y) to evaluate after every epoch; or the share of the examples to
        keep for that, between 0 and 1; or None.
      value_and_grad: (net, loss) -> ((params, X, Y) -> (cost, gradient)), such as
        `fnn.autodiff.value_and_grad`. With weights it is called as (net, loss, "sum"), and the
        function it returns is given `sample_weights`. With dropout that function is given `key`.
      shuffle: whether every epoch takes the examples in a new order.
      penalty: one of `fnn.penalties`, whose gradient is added to that of the cost. Its value is
        recorded separately.
      sample_weights: (n,), at least 0 and not all 0: the weight of each example in the cost.
      class_weights: "balanced", or a mapping from classes to weights of at least 0. Each example's
        weight is multiplied by that of its class.
      stop: a function from the list of costs, one per epoch, to whether to stop, such as
        `fnn.until_converged()`. They are the validation costs if there is validation data.
      restore_best: whether to return the parameters of the epoch with the lowest such cost.
      metrics: names in `fnn.metrics.METRICS`, or such metrics, to compute on the validation data
        after every epoch.
      monitor: whether to record the measures of `fnn.monitor` for every layer; or a list of
        quantities of `fnn.backprop.QUANTITIES`, such as ["noise_scale"], to record them too. The
        measures are computed in as many epochs as keep their cost below 5% of the time; quantities
        of the curvature take more.
      callbacks: functions of a `Moment`, called after every epoch and after every `every` steps.
        The run ends if one of them returns True.
      every: the number of steps between callbacks, and between checkpoints; None for the ends of
        epochs only.
      checkpoints: an open `fnn.checkpoint.Checkpoints`, in which the run is saved after every
        `every` steps, after each epoch that is the best so far, and at its end. If it holds a
        checkpoint of this run, the run continues from there, with the same bits as without a
        break. The run is the same if all that decides its numbers is: all arguments but `epochs`,
        `stop`, `metrics`, `monitor`, `callbacks`, `every` and `progress`.
      resume: the result of a run to continue, with the same arguments and more epochs. That run
        must have ended after an epoch, and must not have diverged.
      progress: whether to report progress on standard error: a bar on a terminal, else lines.

    The first Ctrl-C ends the run after its epoch, with a result that `resume` can continue. The
    second one raises a KeyboardInterrupt. A NaN or inf in the cost or the parameters ends the run
    at its step. `stopped` then names the step, the layer and what to try, and `params` are finite.

    Raises a TypeError or ValueError that names the wrong argument.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp
    >>> X = jnp.linspace(-1, 1, 64)[:, None]
    >>> net, sgd = fnn.mlp((1, 8, 1), hidden="tanh"), fnn.optimizers.sgd(0.1, momentum=0.9)
    >>> result = fit(net, "mse", sgd, (X, X**2), key=jax.random.key(0), epochs=100,
    ...              batch_size=16, progress=False)
    >>> bool(result.history["cost"][0] > 0.05), bool(result.history["cost"][-1] < 0.01)
    (True, True)
    >>> result.stopped.reason
    'epochs'
    """
    problem = objective(net, loss)
    _check(optimizer, epochs, penalty, callbacks, every, checkpoints, resume, params)
    quantities = (None if isinstance(monitor, bool)
                  else quantity_function(net, problem.loss, monitor))
    init_key, run_key, split_key = keys(checks.typed_key("key", key))
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a list of names, got {metrics!r}; write [{metrics!r}]")
    source, validation = examples(
        data, validation, sample_weights, class_weights, split_key,
        regression=problem.loss.targets == "values" and problem.net.output.name == "linear")
    start = (initial(net, source.dtype)(init_key) if params is None
             else _started(net, params))
    _check_examples(problem, start, source, validation)
    check_ranges(problem.loss, source, validation)
    source = source.on_device()
    if metrics and validation is None:
        raise ValueError(
            f"metrics are of validation data, got {list(metrics)} without any; pass "
            "validation=0.1 or (X, Y)")
    size = checked_batch_size(batch_size, len(source))
    weighted = isinstance(source, Arrays) and len(source.examples) == 3
    compiled = program(net, problem.loss, optimizer, value_and_grad, penalty, weighted)
    host = Host(
        program=compiled, source=source, batch_size=size, shuffle=shuffle, key=run_key,
        epochs=epochs,
        judge=None if validation is None else judge(problem, *validation, metrics),
        penalty=None if penalty is None else penalty_value(penalty),
        watch=watch(compiled, source, quantities) if monitor else None,
        stop=stop, restore_best=restore_best, callbacks=tuple(callbacks), every=every,
        progress=progress)
    state = compiled.init(start)
    _check_update(optimizer, start, state)
    fresh = Position(new_epoch(start, state), start if restore_best else None)
    if checkpoints is None:
        return _result(*run_epochs(host, fresh if resume is None else _resumed(resume, fresh)))
    store = Store(checkpoints, identity(Parts(
        problem, source, validation, weighted, value_and_grad, optimizer, penalty, size, shuffle,
        key, restore_best, params, compiled.steps, fresh.run)), host.steps_an_epoch)
    return _result(*run_epochs(host, store.restored(fresh), store.save))


def _check(
    optimizer, epochs, penalty, callbacks, every, checkpoints, resume, params
) -> None:
    """Raise a TypeError or ValueError that names the first wrong argument, if any."""
    checks.integer("epochs", epochs)
    if not (callable(getattr(optimizer, "init", None))
            and callable(getattr(optimizer, "update", None))):
        raise TypeError(
            "optimizer must be an optax optimiser such as fnn.optimizers.sgd(0.1), got "
            f"{optimizer!r}")
    if penalty is not None and not isinstance(penalty, Penalty):
        raise TypeError(
            "penalty must be one of fnn.penalties such as fnn.penalties.l2(1e-4), got "
            f"{penalty!r}")
    for i, callback in enumerate(callbacks):
        if not callable(callback):
            raise TypeError(f"callbacks[{i}] must be a function of a Moment, got {callback!r}")
    if every is not None:
        checks.integer("every", every)
    if resume is not None and (params is not None or checkpoints is not None):
        raise ValueError(
            "resume goes on from a result, so params and checkpoints must be left out; got "
            f"{'params' if params is not None else 'checkpoints'} too")
    if resume is not None and not isinstance(resume, Result):
        raise TypeError(f"resume must be the Result of a run, got {type(resume).__name__}")
    if resume is not None and resume.stopped.reason == "diverged":
        raise ValueError(
            f"resume must be a run that ended well, got one that {resume.stopped}; start from its "
            "last good parameters with params=result.params")
    if resume is not None and resume.stopped.step is not None:
        raise ValueError(
            "resume must be a run that ended with an epoch, got one of which is said: "
            f"{resume.stopped}; use checkpoints, which go on from amid one")


def _check_update(optimizer, params, state) -> None:
    """Raise a TypeError if the optimiser's `update` wants arguments that `fit` does not give.

    An optimiser of this package wants none, and is not asked.
    """
    if not recipes.is_made(optimizer):
        cost = jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))  # of the dtype in the run
        update = update_function(lambda params, *batch: (cost, params), optimizer)
        try:
            jax.eval_shape(update, params, state, None, None)
        except (TypeError, ValueError) as error:
            raise TypeError(
                "optimizer must need no more than the gradient, the parameters and the extra "
                f"arguments value, grad and value_fn, got one whose update fails with them: {error}"
            ) from error


def _check_examples(problem: Objective, params, source, validation) -> None:
    """Raise a TypeError or ValueError unless the examples suit the network and its loss.

    Of a stream, some X and all targets are checked.
    """
    if isinstance(source, Streamed):
        for Y in source.targets():
            problem.check_targets(Y, len(Y))
    X, Y = source.some(SAMPLE) if isinstance(source, Streamed) else source.examples[:2]
    problem.check(params, X, Y)
    if not problem.loss.labels:
        checks.told_apart("Y", Y, dtype_of(params, X))
    if validation is not None:
        try:
            problem.check(params, *validation)
        except (TypeError, ValueError) as error:
            raise type(error)(f"in validation: {error}") from error


def _started(net: Network, params):
    """Initial parameters of the caller as JAX arrays, after a check."""
    net.check_params(params)
    return jax.tree.map(lambda leaf: checks.floating("params", leaf), params)


def _resumed(result: Result, fresh: Position) -> Position:
    """The position after the last epoch of `result`.

    Raises a ValueError if its state has another structure than that of `fresh`, the position at
    the start of a run with the present arguments.
    """
    state = result.last, result.optimizer_state
    wanted, got = (
        jax.tree.map(lambda a: (np.shape(a), jnp.result_type(a)), tree)
        for tree in ((fresh.run.params, fresh.run.optimizer_state), state))
    if wanted != got:
        raise ValueError(
            "resume must be of the same network and optimiser, got parameters or a state of "
            "another structure; pass the same arguments as before")
    return Position(
        new_epoch(*state), None if fresh.best is None else result.params,
        1 + int(result.history["epoch"][-1]), 0,
        _rows(result.history), _rows(result.layers), result.best_epoch)


def _result(position: Position, stopped: Stop) -> Result:
    last = position.run.params
    best = last if position.best is None else position.best
    return Result(best, position.run.optimizer_state, _columns(position.records), stopped,
                  _columns(position.looks), position.best_epoch, last)


def _columns(rows: list[dict]) -> dict[str, np.ndarray]:
    shapes = {name: np.shape(value) for row in rows for name, value in row.items()}
    return {name: np.array([row.get(name, np.full(shape, np.nan)) for row in rows])
            for name, shape in shapes.items()}


def _rows(columns: Mapping[str, np.ndarray]) -> list[dict]:
    return [dict(zip(columns, values, strict=True))
            for values in zip(*(v.tolist() for v in columns.values()), strict=True)]
