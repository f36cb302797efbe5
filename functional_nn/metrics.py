"""Metrics of predictions for classification and regression, computed by scikit-learn (N21).

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

__all__ = ["METRICS", "Metric", "confusion", "outputs", "predictions", "scored", "scores", "task"]

CHUNK = 8192  # examples that the network evaluates at once


@dataclasses.dataclass(frozen=True, repr=False)
class Metric:
    """A metric: (targets, predictions) -> a float, by a function of `sklearn.metrics`.

    Attributes:
      name: the key of the metric in `METRICS`.
      function: the name of the function in `sklearn.metrics`.
      task: the task it applies to, "classes" or "values".
      options: further keyword arguments of the function, as (name, value) pairs.
      takes: what it takes in place of predictions, a key of `TAKES`.
      by_class: whether it gives a number for each class, an array (classes,), and not one.
      unit: what the result is multiplied by.
    """

    name: str
    function: str
    task: str
    options: tuple[tuple[str, object], ...] = ()
    takes: str = "predictions"
    by_class: bool = False
    unit: float = 1.0

    def __call__(self, targets, predictions, classes: int | None = None) -> float | np.ndarray:
        """The metric; NaN where it is not defined, as the ROC AUC without rows of some class.

        Args:
          targets: (n,), classes or values.
          predictions: (n,), of the same kind; or probabilities (n, classes).
          classes: the number of classes; None for those there are.
        """
        from sklearn import metrics  # here: `import functional_nn` should not take 2 s longer

        options = dict(self.options)
        if self.takes != "predictions":
            classes = predictions.shape[1]
            if self.takes == "ranks" and len(np.unique(targets)) < classes:
                return float("nan")
            if self.takes == "ranks" and classes == 2:
                return float(getattr(metrics, self.function)(targets, predictions[:, 1]))
        if classes is not None and (self.by_class or self.takes != "predictions"):
            options["labels"] = range(classes)
        found = getattr(metrics, self.function)(targets, predictions, **options)
        return self.unit * (np.asarray(found) if self.by_class else float(found))

    def in_unit(self, unit: float) -> "Metric":
        """The same metric in a unit of the target, for targets that were divided by that unit.

        It is for metrics that grow with the target: mae, rmse and max_error, but not r2.

        >>> METRICS["mae"].in_unit(10.0)(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
        2.5
        """
        return dataclasses.replace(self, unit=unit)

    def __repr__(self) -> str:
        return self.name


TAKES = {"predictions": "the most probable class, or the value",
         "probabilities": "the probability of every class",
         "ranks": "the same, to order the rows by"}
MACRO = (("average", "macro"), ("zero_division", 0.0))
EACH = (("average", None), ("zero_division", 0.0))
METRICS = {metric.name: metric for metric in (
    Metric("accuracy", "accuracy_score", "classes"),
    Metric("balanced_accuracy", "balanced_accuracy_score", "classes"),
    Metric("precision", "precision_score", "classes", MACRO),
    Metric("recall", "recall_score", "classes", MACRO),
    Metric("f1", "f1_score", "classes", MACRO),
    Metric("class_precision", "precision_score", "classes", EACH, by_class=True),
    Metric("class_recall", "recall_score", "classes", EACH, by_class=True),
    Metric("class_f1", "f1_score", "classes", EACH, by_class=True),
    Metric("log_loss", "log_loss", "classes", takes="probabilities"),
    Metric("roc_auc", "roc_auc_score", "classes", (("multi_class", "ovr"),), takes="ranks"),
    Metric("r2", "r2_score", "values"),
    Metric("mae", "mean_absolute_error", "values"),
    Metric("rmse", "root_mean_squared_error", "values"),
    Metric("max_error", "max_error", "values"),
)}
USUAL = {"classes": ("accuracy", "balanced_accuracy", "f1", "log_loss", "roc_auc"),
         "values": ("r2", "mae", "rmse")}


def task(problem: Objective, Y) -> str:
    """The kind of prediction task: "classes", "labels" (several per example) or "values".

    "classes": the loss takes integer classes, or the targets are integers and the output is a
      softmax or a single sigmoid.
    "labels": the targets are integers and the output is several sigmoids.
    "values": everything else.

    Args:
      problem: the network and its loss.
      Y: the targets, an array; only its dtype matters.

    >>> import functional_nn as fnn
    >>> problem = fnn.objective.objective(fnn.mlp((4, 3), output="softmax"), "cross_entropy")
    >>> task(problem, np.array([0, 2, 1]))
    'classes'
    """
    one, output = problem.net.n_out == 1, problem.net.output.name
    of_classes = output == ("sigmoid" if one else "softmax")
    if problem.loss.labels or (jnp.issubdtype(Y.dtype, jnp.integer) and of_classes):
        return "classes"
    return "labels" if output == "sigmoid" and jnp.issubdtype(Y.dtype, jnp.integer) else "values"


def outputs(net, params, X) -> np.ndarray:
    """The outputs ŷ of the network for every row of X, computed `CHUNK` rows at a time.

    Args:
      net, params: the network and its parameters.
      X: (n, n_in), with n at least 1.

    Returns a NumPy array (n, n_out). Raises a ValueError for an X without rows.

    >>> import functional_nn as fnn
    >>> params = ({"w": jnp.array([[2.0, 1.0]]), "b": jnp.zeros(1)},)
    >>> outputs(fnn.mlp((2, 1)), params, np.array([[1.0, 1.0], [0.0, 4.0]])).tolist()
    [[3.0], [4.0]]
    """
    X, run = np.asarray(checks.floating("X", X)), _compiled(net)
    if not len(X):
        raise ValueError(f"X must hold at least one example, got an empty set of shape {X.shape}")
    return np.concatenate([np.asarray(run(params, X[i:i + CHUNK]))
                           for i in range(0, len(X), CHUNK)])


@functools.lru_cache(maxsize=16)
def _compiled(net):
    return jax.jit(jax.vmap(net.apply, in_axes=(None, 0)))


def predictions(outputs: np.ndarray, kind: str) -> np.ndarray:
    """The network's outputs, converted to predictions for a task.

    Args:
      outputs: (n, n_out).
      kind: the task, as `task` returns it.

    Returns, for "classes", the class of each row, (n,): that of the largest output, or for a
    single output 1 above 0.5 and 0 otherwise. For other tasks, the outputs: (n,) if n_out is 1,
    else (n, n_out).

    >>> predictions(np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]), "classes").tolist()
    [1, 0]
    """
    if kind == "classes":
        return ((outputs[:, 0] > 0.5).astype(int) if outputs.shape[1] == 1
                else outputs.argmax(axis=1))
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """The probability of every class, (n, classes) in float64; each row adds up to 1.

    Args:
      outputs: (n, classes) of a softmax, or (n, 1) of a sigmoid, the probability of class 1.

    >>> probabilities(np.array([[0.25], [1.0]])).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    outputs = np.asarray(outputs, np.float64)
    if outputs.shape[1] == 1:
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs / outputs.sum(axis=1, keepdims=True)


def targets(Y, kind: str) -> np.ndarray:
    """The targets in the form that `predictions` returns for the task `kind`.

    A single column (n, 1) becomes (n,). For "classes", one-hot rows become class indices (n,).

    >>> targets([[0, 1], [1, 0], [0, 1]], "classes").tolist()
    [1, 0, 1]
    """
    Y = np.asarray(checks.real("Y", Y))
    if Y.ndim == 2 and Y.shape[1] == 1:
        Y = Y[:, 0]
    return Y.argmax(axis=1) if kind == "classes" and Y.ndim == 2 else Y


def _known(Y, kind: str, n_out: int) -> np.ndarray:
    """`targets` of Y for a network with `n_out` outputs, after a check of their values."""
    told = targets(Y, kind)
    if kind != "classes":
        checks.finite("Y", told)
    elif told.dtype.kind not in "iu":
        raise TypeError(f"Y must hold integer classes, got {told.dtype}; convert labels with "
                        "Y.astype(int)")
    else:
        checks.labels("Y", told, max(2, n_out))
    return told


def chosen(names: Sequence[str | Metric], kind: str) -> list[Metric]:
    """The metrics with these names; a `Metric` stands for itself.

    Raises a ValueError if a name is unknown or its metric is for another task than `kind`.
    """
    metrics = [name if isinstance(name, Metric) else checks.one_of("metric", name, METRICS)
               for name in names]
    for metric in metrics:
        if metric.task != kind:
            there = ", ".join(
                name for name, other in METRICS.items() if other.task == kind) or "none"
            raise ValueError(f"metrics must be of {kind} here, got {metric.name!r}, which is of "
                             f"{metric.task}; there are: {there}")
    return metrics


def scores(problem: Objective, params, X, Y,
           names: Sequence[str] | None = None) -> dict[str, float]:
    """Metrics of the network's predictions on the examples (X, Y), by name.

    Args:
      problem: the network and its loss.
      params: the parameters of the network.
      X: (n, n_in).
      Y: targets as for `fit`: (n,), or (n, n_out).
      names: the metrics, keys of `METRICS`. None: the usual ones of the task, which are accuracy,
        balanced_accuracy, f1, log_loss and roc_auc for "classes", r2, mae and rmse for "values",
        none for "labels".

    A metric of each class has an entry for each, such as "class_f1_0". precision, recall and f1
    are the means over the classes. roc_auc of more than two classes is the mean over the classes,
    each against the rest. Every metric is NaN if any output is NaN or infinite. Raises a
    ValueError if a name is unknown or its metric is for another task, and for a target that is
    NaN, infinite or no class.

    >>> import functional_nn as fnn
    >>> params = ({"w": jnp.ones((1, 1)), "b": jnp.zeros(1)},)
    >>> problem = fnn.objective.objective(fnn.mlp((1, 1)), "mse")
    >>> X, y = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 4.0])
    >>> scores(problem, params, X, y, ["mae", "max_error"])
    {'mae': 0.3333333333333333, 'max_error': 1.0}
    """
    kind = task(problem, np.asarray(Y))
    if names is not None:
        chosen(names, kind)
    return scored(outputs(problem.net, params, X), Y, kind, names)


def scored(
    outputs: np.ndarray, Y, kind: str, names: Sequence[str] | None = None
) -> dict[str, float]:
    """Metrics of `outputs`, (n, n_out), for the targets Y of the task `kind`; else as `scores`.

    >>> scored(np.array([[1.0], [2.0], [3.0]]), [1.0, 2.0, 4.0], "values", ["max_error"])
    {'max_error': 1.0}
    """
    metrics = chosen(USUAL.get(kind, ()) if names is None else names, kind)
    told = _known(Y, kind, outputs.shape[1])
    if not np.isfinite(outputs).all():
        classes = range(max(2, outputs.shape[1]))
        return dict.fromkeys(
            (name for metric in metrics for name in (
                [f"{metric.name}_{i}" for i in classes] if metric.by_class else [metric.name])),
            float("nan"))
    found = {}
    for metric in metrics:
        guess = (predictions(outputs, kind) if metric.takes == "predictions"
                 else probabilities(outputs))
        value = metric(told, guess, max(2, outputs.shape[1]))
        found |= ({f"{metric.name}_{i}": float(one) for i, one in enumerate(value)}
                  if metric.by_class else {metric.name: value})
    return found


def confusion(problem: Objective, params, X, Y) -> np.ndarray:
    """The confusion matrix of the network's predictions on the examples (X, Y).

    Returns counts (classes, classes): entry (i, j) is the number of examples of class i that were
    predicted as class j. The arguments are those of `scores`. Raises a ValueError if the task is
    not one of classes.

    >>> import functional_nn as fnn
    >>> params = ({"w": jnp.eye(2), "b": jnp.zeros(2)},)
    >>> problem = fnn.objective.objective(fnn.mlp((2, 2), output="softmax"), "cross_entropy")
    >>> X, y = np.array([[3.0, 0.0], [1.0, 0.0], [2.0, 1.0]]), np.array([0, 1, 0])
    >>> confusion(problem, params, X, y).tolist()
    [[2, 0], [1, 0]]
    """
    from sklearn.metrics import confusion_matrix

    kind = task(problem, np.asarray(Y))
    if kind != "classes":
        raise ValueError(f"confusion is of classes, got {kind}; use metrics.scores")
    told = _known(Y, kind, problem.net.n_out)
    predicted = predictions(outputs(problem.net, params, X), kind)
    return confusion_matrix(told, predicted, labels=range(max(2, problem.net.n_out)))
