"""What a finished epoch is judged by: the cost, the accuracy of classes, and the metrics asked for."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from functional_nn import metrics
from functional_nn.objective import Objective, objective

__all__ = ["evaluate", "judge"]


def evaluate(problem: Objective, params, X, Y) -> dict[str, jax.Array]:
    """The cost, and the accuracy where outputs and Y are of classes, of (X, Y), without dropout; for `jit`."""
    batch = problem.batch(params, X, Y)
    record = {"cost": problem.cost(params, batch)}
    if metrics.task(problem, Y) == "classes":
        prediction = jax.vmap(problem.net.apply, in_axes=(None, 0))(params, batch.x)
        told, true = (metrics.predictions(a, "classes") for a in (prediction, batch.y))
        record["accuracy"] = jnp.mean(told == true)
    return record


def judge(problem: Objective, X, Y, names: Sequence[str]) -> Callable:
    """params -> {"validation_cost", "validation_accuracy" of classes, and "validation_…" of every metric in `names`}."""
    Y = jnp.asarray(Y)
    metrics.chosen(names, metrics.task(problem, Y))
    evaluated = _compiled(problem.net, problem.loss)

    def judged(params) -> dict[str, float]:
        found = evaluated(params, X, Y)  # compiled, so in the order of the alphabet
        record = {name: float(found[name]) for name in ("cost", "accuracy") if name in found}
        others = [name for name in names if name not in record]
        record |= metrics.scores(problem, params, X, Y, others) if others else {}
        return {f"validation_{name}": value for name, value in record.items()}

    return judged


@functools.lru_cache(maxsize=16)
def _compiled(net, loss) -> Callable:
    return jax.jit(lambda params, X, Y: evaluate(objective(net, loss), params, X, Y))
