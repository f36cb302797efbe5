"""The evaluation on test rows has the library's scores, and no classes once outputs are lost."""

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import metrics
from functional_nn.cli.judged import judged
from functional_nn.objective import objective

X = np.linspace(-2, 2, 24, dtype=np.float32).reshape(12, 2)
CLASSES = {"cross_entropy": (3, "softmax"), "binary_cross_entropy": (1, "sigmoid")}


def of_classes(loss):
    """A problem of classes with its parameters and targets; both have errors to count."""
    n_out, output = CLASSES[loss]
    net = fnn.mlp((2, 4, n_out), hidden="tanh", output=output)
    y = (np.arange(12) % max(2, n_out)).astype(np.int32)
    return objective(net, loss), net.init(jax.random.key(1)), y


def of_values():
    net = fnn.mlp((2, 4, 1), hidden="tanh")
    return objective(net, "mse"), net.init(jax.random.key(1)), X[:, 0] ** 2


@pytest.mark.parametrize("loss", CLASSES)
def test_the_confusion_matrix_counts_the_predicted_classes(loss):
    problem, params, y = of_classes(loss)
    scores, predicted, confusion = judged(problem, params, X, y)
    assert scores == metrics.scores(problem, params, X, y)
    outputs = metrics.outputs(problem.net, params, X)
    wanted = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
    np.testing.assert_array_equal(predicted, wanted)
    for i, row in enumerate(confusion):
        assert row.tolist() == [np.sum((y == i) & (wanted == j)) for j in range(len(row))]
    assert scores["accuracy"] == np.trace(confusion) / 12 < 1


def test_a_regression_has_scores_and_predictions():
    problem, params, y = of_values()
    scores, predicted, confusion = judged(problem, params, X, y)
    assert scores == metrics.scores(problem, params, X, y) and confusion is None
    np.testing.assert_array_equal(predicted, metrics.outputs(problem.net, params, X)[:, 0])


@pytest.mark.parametrize("lost", [np.nan, np.inf])
@pytest.mark.parametrize("of", [lambda: of_classes("cross_entropy"), of_values],
                         ids=["classes", "values"])
def test_outputs_that_are_not_finite_have_scores_of_nan_and_no_classes(of, lost):
    problem, params, y = of()
    params = jax.tree.map(lambda leaf: leaf * lost, params)
    scores, predicted, confusion = judged(problem, params, X, y)
    assert scores and all(np.isnan(score) for score in scores.values())
    assert predicted is None and confusion is None


def test_a_single_row_and_an_overflow_show_in_the_scores_without_a_warning():
    """Warnings are errors in these tests, so one would be raised."""
    problem, params, y = of_values()
    assert np.isnan(judged(problem, params, X[:1], y[:1]).scores["r2"])
    *others, last = params
    huge = (*others, jax.tree.map(lambda leaf: leaf * 0 + np.float32(3e37), last))
    assert not np.isfinite(judged(problem, huge, X, y).scores["rmse"])
