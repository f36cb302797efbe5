"""How good predictions are, in the measures people quote, by scikit-learn (N21).

>>> import numpy as np
>>> METRICS["r2"](np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
0.5
>>> METRICS["accuracy"](np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]))
0.75
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.objective import Objective

__all__ = ["METRICS", "Metric", "confusion", "outputs", "predictions", "scores", "task"]

CHUNK = 8192  # examples at once


@dataclasses.dataclass(frozen=True, repr=False)
class Metric:
    """A measure of predictions: (targets, predictions) -> a number.

    Attributes:
      name: as it is asked for.
      function: its name in `sklearn.metrics`.
      task: "classes" or "values", what it is of.
      options: for the function.
    """

    name: str
    function: str
    task: str
    options: tuple[tuple[str, object], ...] = ()

    def __call__(self, targets, predictions) -> float:
        from sklearn import metrics  # takes two seconds to import, which `import functional_nn` need not

        return float(getattr(metrics, self.function)(targets, predictions, **dict(self.options)))

    def __repr__(self) -> str:
        return self.name


MACRO = (("average", "macro"), ("zero_division", 0.0))
METRICS = {metric.name: metric for metric in (
    Metric("accuracy", "accuracy_score", "classes"),
    Metric("balanced_accuracy", "balanced_accuracy_score", "classes"),
    Metric("precision", "precision_score", "classes", MACRO),
    Metric("recall", "recall_score", "classes", MACRO),
    Metric("f1", "f1_score", "classes", MACRO),
    Metric("r2", "r2_score", "values"),
    Metric("mae", "mean_absolute_error", "values"),
    Metric("rmse", "root_mean_squared_error", "values"),
    Metric("max_error", "max_error", "values"),
)}
USUAL = {"classes": ("accuracy", "balanced_accuracy", "f1"), "values": ("r2", "mae", "rmse")}


def task(problem: Objective, Y) -> str:
    """What is predicted: "classes", "labels" (several an example) or "values".

    Classes are what a loss of classes is trained on, or integers that a softmax, or one sigmoid, is held against.
    """
    one, output = problem.net.n_out == 1, problem.net.output.name
    of_classes = output == ("sigmoid" if one else "softmax")
    if problem.loss.labels or (jnp.issubdtype(Y.dtype, jnp.integer) and of_classes):
        return "classes"
    return "labels" if output == "sigmoid" and jnp.issubdtype(Y.dtype, jnp.integer) else "values"


def outputs(net, params, X) -> np.ndarray:
    """ŷ of every row of X, (n, n_out), a few thousand at a time."""
    X, run = np.asarray(X), _compiled(net)
    return np.concatenate([np.asarray(run(params, X[i:i + CHUNK])) for i in range(0, len(X), CHUNK)])


@functools.lru_cache(maxsize=16)
def _compiled(net):
    return jax.jit(jax.vmap(net.apply, in_axes=(None, 0)))


def predictions(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Outputs (n, n_out) as the task `kind` has them: classes (n,), values (n,) or (n, n_out)."""
    if kind == "classes":
        return (outputs[:, 0] > 0.5).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def targets(Y, kind: str) -> np.ndarray:
    """Y in the form of `predictions`: unit vectors become their class, a column becomes a row."""
    Y = np.asarray(Y)
    if Y.ndim == 2 and Y.shape[1] == 1:
        Y = Y[:, 0]
    return Y.argmax(axis=1) if kind == "classes" and Y.ndim == 2 else Y


def chosen(names: Sequence[str], kind: str) -> list[Metric]:
    """The metrics of those names; a ValueError for one that is unknown or of another task."""
    metrics = [checks.one_of("metric", name, METRICS) for name in names]
    for metric in metrics:
        if metric.task != kind:
            there = ", ".join(name for name, other in METRICS.items() if other.task == kind) or "none"
            raise ValueError(f"metrics must be of {kind} here, got {metric.name!r}, which is of {metric.task}; there are: "
                             f"{there}")
    return metrics


def scores(problem: Objective, params, X, Y, names: Sequence[str] | None = None) -> dict[str, float]:
    """Metrics of the network's predictions on (X, Y), by name: those asked for, or the usual ones of the task.

    All are NaN where an output is not finite.

    >>> import functional_nn as fnn
    >>> params = ({"w": jnp.ones((1, 1)), "b": jnp.zeros(1)},)
    >>> problem = fnn.objective.objective(fnn.mlp((1, 1)), "mse")
    >>> scores(problem, params, np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 4.0]), ["mae", "max_error"])
    {'mae': 0.3333333333333333, 'max_error': 1.0}
    """
    kind = task(problem, np.asarray(Y))
    metrics = chosen(USUAL.get(kind, ()) if names is None else names, kind)
    found = outputs(problem.net, params, X)
    if not np.isfinite(found).all():
        return dict.fromkeys((metric.name for metric in metrics), float("nan"))
    return {metric.name: metric(targets(Y, kind), predictions(found, kind)) for metric in metrics}


def confusion(problem: Objective, params, X, Y) -> np.ndarray:
    """How often class i (row) was taken for class j (column), (classes, classes); a ValueError where there are none."""
    from sklearn.metrics import confusion_matrix

    kind = task(problem, np.asarray(Y))
    if kind != "classes":
        raise ValueError(f"confusion is of classes, got {kind}; use metrics.scores")
    predicted = predictions(outputs(problem.net, params, X), kind)
    return confusion_matrix(targets(Y, kind), predicted, labels=range(max(2, problem.net.n_out)))
