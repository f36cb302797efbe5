"""Evaluation: the cost, the accuracy of classes, and metrics on validation or test data."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks, metrics
from functional_nn.objective import Objective, objective
from functional_nn.training.room import padded, room

__all__ = ["evaluate", "judge"]


def evaluate(problem: Objective, params, X, Y) -> dict[str, jax.Array]:
    """The cost on the examples (X, Y), and for classes the accuracy, without dropout.

    It is a pure function, so `jax.jit` can compile it.

    Args:
      problem: the network and its loss.
      params: the parameters of the network.
      X: (B, n_in), floats.
      Y: the targets, as for `backprop.value_and_grad`.

    Returns {"cost": a scalar, "accuracy": the share of right classes}; "accuracy" is there only
    for a classification. Raises a TypeError or ValueError that names the wrong argument.

    >>> import functional_nn as fnn
    >>> problem = objective(fnn.mlp((1, 2), output="softmax"), "cross_entropy")
    >>> params = ({"w": jnp.array([[-1.0], [1.0]]), "b": jnp.zeros(2)},)
    >>> record = evaluate(problem, params, jnp.array([[2.0], [3.0]]), jnp.array([1, 0]))
    >>> {name: round(float(value), 2) for name, value in record.items()}
    {'cost': 3.01, 'accuracy': 0.5}
    """
    return _of_first(problem, params, X, Y, len(X))


def _of_first(problem: Objective, params, X, Y, n: int | jax.Array) -> dict[str, jax.Array]:
    """`evaluate` on the first `n` rows of (X, Y); `n` may be traced."""
    batch, counts = problem.batch(params, X, Y), jnp.arange(len(X)) < n
    losses = jnp.where(counts, problem.losses(params, batch), 0)
    record = {"cost": jnp.sum(losses) / n}
    if metrics.task(problem, Y) == "classes":
        prediction = jax.vmap(problem.net.apply, in_axes=(None, 0))(params, batch.x)
        told, true = (metrics.predictions(a, "classes") for a in (prediction, batch.y))
        record["accuracy"] = jnp.mean(told == true, where=counts)
    return record


def judge(problem: Objective, X, Y, names: Sequence[str]) -> Callable:
    """A function that evaluates the network on the validation data (X, Y).

    Args:
      problem: the network and its loss.
      X, Y: the validation data, as for `evaluate`.
      names: names in `fnn.metrics.METRICS`.

    Returns params -> {"validation_cost", for classes "validation_accuracy", and "validation_…"
    for every metric in `names`}, all floats. Raises a ValueError for a metric that is unknown or
    for another task.
    """
    n, whole = len(X), room(len(X))
    X, Y = (padded(checks.as_jax(*pair), whole) for pair in (("X", X), ("Y", Y)))
    kind = metrics.task(problem, Y)
    metrics.chosen(names, kind)
    evaluated = _compiled(problem.net, problem.loss)

    def judged(params) -> dict[str, float]:
        found = evaluated(params, X, Y, n)  # `jit` returns a dict in alphabetical order
        record = {name: float(found[name]) for name in ("cost", "accuracy") if name in found}
        others = [name for name in names if name not in record]
        if others:
            outputs = metrics.outputs(problem.net, params, X)[:n]
            record |= metrics.scored(outputs, np.asarray(Y)[:n], kind, others)
        return {f"validation_{name}": value for name, value in record.items()}

    return judged


@functools.lru_cache(maxsize=16)
def _compiled(net, loss) -> Callable:
    return jax.jit(lambda params, X, Y, n: _of_first(objective(net, loss), params, X, Y, n))
