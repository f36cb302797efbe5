"""Evaluation of a batch = the mean over its examples, without dropout; accuracy is of classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import metrics
from functional_nn.objective import objective
from functional_nn.training import evaluate
from functional_nn.training.judging import judge
from tests.training.runs import NET, NOISY, N, X, Y, fit

PARAMS = NET.init(jax.random.key(0))


@pytest.mark.parametrize(("net", "loss", "Y", "accuracy"), [
    (fnn.mlp((1, 2), output="softmax"), "cross_entropy", np.array([1, 1, 0, 0]), 0.75),
    (fnn.mlp((1, 2), output="softmax"), "cross_entropy", np.eye(2)[[1, 1, 0, 0]], 0.75),
    (fnn.mlp((1, 1), output="sigmoid"), "binary_cross_entropy", np.array([1, 1, 0, 0]), 0.75),
    (fnn.mlp((1, 1), output="sigmoid"), "binary_cross_entropy", np.array([[1], [1], [0], [0]]),
     0.75),
    (fnn.mlp((1, 1)), "mse", np.array([1, 1, 0, 0]), None),
    (fnn.mlp((1, 1)), "mse", np.array([1.0, 1, 0, 0]), None)])
def test_accuracy_is_of_classes_alone(net, loss, Y, accuracy):
    """The score of the second class is z = x: right for x = 2, 1 and −1, wrong for 3.

    Whole numbers that are values rather than classes have no accuracy.
    """
    w = jnp.array([[-0.5], [0.5]]) if net.n_out == 2 else jnp.ones((1, 1))
    params, X = ({"w": w, "b": jnp.zeros(net.n_out)},), jnp.array([[2.0], [1], [-1], [3]])
    record = evaluate(objective(net, loss), params, X, Y)
    assert record.get("accuracy") == accuracy


def test_several_labels_an_example_have_no_accuracy():
    net = fnn.mlp((3, 3), output="sigmoid")
    labels = np.eye(3, dtype=int)[Y]
    data = X, labels
    history = fit(net, "binary_cross_entropy", data, epochs=1, validation=data).history
    assert "validation_cost" in history and "validation_accuracy" not in history


def test_a_batch_is_the_mean_of_its_examples():
    problem = objective(NET, "cross_entropy")
    whole = evaluate(problem, PARAMS, X, Y)
    singles = [evaluate(problem, PARAMS, X[i:i + 1], Y[i:i + 1]) for i in range(N)]
    assert set(whole) == {"cost", "accuracy"} and 0 < whole["accuracy"] < 1
    for name, value in whole.items():
        mean = np.mean([float(single[name]) for single in singles])
        assert float(value) == pytest.approx(mean, rel=1e-6)


def test_dropout_is_left_out():
    noisy = PARAMS[0], (), PARAMS[1]
    got, wanted = (evaluate(objective(net, "cross_entropy"), params, X, Y)
                   for net, params in ((NOISY, noisy), (NET, PARAMS)))
    assert got == wanted


@pytest.mark.parametrize("names", [(), ("f1",), ("f1", "accuracy")])
def test_a_judge_is_the_evaluation_and_the_metrics(names):
    problem = objective(NET, "cross_entropy")
    record = judge(problem, X, Y, names)(PARAMS)
    wanted = evaluate(problem, PARAMS, X, Y) | metrics.scores(problem, PARAMS, X, Y, names)
    assert list(record) == [f"validation_{name}" for name in wanted]
    assert all(type(value) is float for value in record.values())
    np.testing.assert_allclose(list(record.values()), list(map(float, wanted.values())), rtol=1e-6)


@pytest.mark.parametrize(("name", "words"), [
    ("f3", "unknown metric 'f3'"), ("r2", "metrics must be of classes here, got 'r2'")])
def test_a_metric_that_does_not_fit_is_refused_before_training(name, words):
    with pytest.raises(ValueError, match=words):
        judge(objective(NET, "cross_entropy"), X, Y, [name])
