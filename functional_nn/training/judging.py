"""Evaluation: the cost, the accuracy of classes, and metrics on validation or test data."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from functional_nn import checks, metrics
from functional_nn.objective import Objective, objective

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
    batch = problem.batch(params, X, Y)
    record = {"cost": problem.cost(params, batch)}
    if metrics.task(problem, Y) == "classes":
        prediction = jax.vmap(problem.net.apply, in_axes=(None, 0))(params, batch.x)
        told, true = (metrics.predictions(a, "classes") for a in (prediction, batch.y))
        record["accuracy"] = jnp.mean(told == true)
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
    Y = checks.as_jax("Y", Y)
    metrics.chosen(names, metrics.task(problem, Y))
    evaluated = _compiled(problem.net, problem.loss)

    def judged(params) -> dict[str, float]:
        found = evaluated(params, X, Y)  # `jit` returns a dict in alphabetical order
        record = {name: float(found[name]) for name in ("cost", "accuracy") if name in found}
        others = [name for name in names if name not in record]
        record |= metrics.scores(problem, params, X, Y, others) if others else {}
        return {f"validation_{name}": value for name, value in record.items()}

    return judged


@functools.lru_cache(maxsize=16)
def _compiled(net, loss) -> Callable:
    return jax.jit(lambda params, X, Y: evaluate(objective(net, loss), params, X, Y))
