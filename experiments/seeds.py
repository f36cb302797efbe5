"""Many runs at once: a whole training as a pure function of its key, and the mean over runs.

`jax.vmap` maps `whole_run` over keys, rates or data, so that all seeds of an experiment train
together in one compiled program.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

import functional_nn as fnn
from functional_nn.objective import objective
from functional_nn.training import epoch_function, evaluate

__all__ = ["Interval", "compiled", "interval", "outputs", "over_rates", "over_seeds", "share",
           "whole_run"]

# For programs that run for seconds: compiled in a third of the time (5 s instead of 17 for
# 64-64-64-64-10 and 20 seeds), they run as fast
ON_CPU = {"xla_backend_optimization_level": 1}


class Interval(NamedTuple):
    """A mean over runs with its interval of 95 % confidence; each of the runs' shape."""

    mean: Any
    low: Any
    high: Any

    def times(self, factor: float) -> "Interval":
        """The interval in another unit, such as percent."""
        return Interval(*(factor * end for end in self))


def whole_run(net, loss, optimizer, *, epochs: int, batch_size: int | None = None) -> Callable:
    """A whole training by hand-written gradients, as a pure function (N16–N18).

    Args:
      net, loss, optimizer: as for `fnn.fit`; a rate of the optimiser may be traced.
      epochs: how often each example is used.
      batch_size: the number of examples of a step; None takes all of them.

    Returns (key, X, Y, judged=None, params=None) -> (params, history), where the history is a dict
    of arrays (epochs,): "cost", and for `judged`, a pair (X, Y) to evaluate after each epoch,
    "judged_cost" and for classes "judged_accuracy". Without `params` the run begins with those of
    `net.init`.
    """
    cost_and_gradient = fnn.backprop.value_and_grad(net, loss)
    problem = objective(net, loss)

    def run(key, X, Y, judged=None, params=None):
        init_key, epochs_key = jax.random.split(key)
        size = len(X) if batch_size is None else batch_size
        epoch = epoch_function(net, cost_and_gradient, optimizer, len(X), size, size < len(X))

        def one(state, key):
            params, memory, cost = epoch(*state, key, X, Y)
            found = {} if judged is None else evaluate(problem, params, *judged)
            return (params, memory), {"cost": cost} | {
                f"judged_{name}": value for name, value in found.items()}

        params = net.init(init_key, X.dtype) if params is None else params
        (params, _), history = jax.lax.scan(
            one, (params, optimizer.init(params)), jax.random.split(epochs_key, epochs))
        return params, history

    return run


def compiled(function: Callable) -> Callable:
    """`jax.jit` of a function that runs once: on a CPU, compiled in a hurry."""
    return jax.jit(function, compiler_options=ON_CPU if jax.default_backend() == "cpu" else None)


def over_seeds(run: Callable, keys, X, Y, judged=None) -> tuple[Any, dict[str, jax.Array]]:
    """The run of every key on the same data, trained together: (params, history), a key a row."""
    return compiled(jax.vmap(run, in_axes=(0, None, None, None)))(keys, *_on_device(X, Y, judged))


def over_rates(run_of: Callable, rates, keys, X, Y, judged=None) -> tuple[Any, dict]:
    """The runs of every rate and key on the same data, trained together.

    Args:
      run_of: rate -> the run, as `whole_run` returns it.
      rates, keys: the rates (R,) and the keys (S,).
      X, Y, judged: the data, as for the run.

    Returns (params, history); their leading axes are (R, S).
    """
    of_keys = jax.vmap(lambda rate, key, *data: run_of(rate)(key, *data),
                       in_axes=(None, 0, None, None, None))
    of_both = jax.vmap(of_keys, in_axes=(0, None, None, None, None))
    return compiled(of_both)(jnp.asarray(rates, X.dtype), keys, *_on_device(X, Y, judged))


def _on_device(X, Y, judged) -> tuple:
    return jax.tree.map(jnp.asarray, (X, Y, judged))


def outputs(net, params, X) -> jax.Array:
    """The outputs of the runs of one network on the examples X (n, n_in), (runs, n, n_out)."""
    of_batch = jax.vmap(net.apply, in_axes=(None, 0))
    return jax.vmap(of_batch, in_axes=(0, None))(params, jnp.asarray(X))


def interval(values, *, log: bool = False) -> Interval:
    """The mean over the leading axis, the runs, with the interval of Student's t of 95 %.

    With `log` it is that of the logarithms: the geometric mean, for positive values that differ by
    powers of ten. Where the runs are all equal, the interval is that one value.

    >>> low_to_high = interval(np.array([1.0, 2.0, 3.0]))
    >>> [round(float(end), 2) for end in low_to_high]
    [2.0, -0.48, 4.48]
    """
    values = np.asarray(values, dtype=float)
    values = np.log(values) if log else values
    mean, error = values.mean(axis=0), stats.sem(values, axis=0)
    half = stats.t.ppf(0.975, len(values) - 1) * error
    ends = (mean, mean - half, mean + half)
    return Interval(*(np.exp(end) if log else end for end in ends))


def share(successes) -> Interval:
    """The share of runs that succeeded, with Wilson's interval of 95 %.

    >>> share(np.array([True] * 99 + [False])).low.round(3)
    np.float64(0.946)
    """
    successes = np.asarray(successes, dtype=bool)
    found = stats.binomtest(int(successes.sum()), successes.size).proportion_ci(method="wilson")
    return Interval(successes.mean(), np.float64(found.low), np.float64(found.high))
