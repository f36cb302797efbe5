"""Metrics are scikit-learn's, of what the network predicts."""

import jax
import numpy as np
import pytest
from sklearn import metrics as sk

import functional_nn as fnn
from functional_nn import metrics
from functional_nn.objective import objective

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
BY_NAME = {"accuracy": sk.accuracy_score, "balanced_accuracy": sk.balanced_accuracy_score,
           "f1": lambda y, p: sk.f1_score(y, p, average="macro"), "r2": sk.r2_score, "mae": sk.mean_absolute_error,
           "precision": lambda y, p: sk.precision_score(y, p, average="macro", zero_division=0),
           "recall": lambda y, p: sk.recall_score(y, p, average="macro"), "max_error": sk.max_error,
           "class_precision": lambda y, p: sk.precision_score(y, p, average=None, zero_division=0),
           "class_recall": lambda y, p: sk.recall_score(y, p, average=None),
           "class_f1": lambda y, p: sk.f1_score(y, p, average=None),
           "log_loss": sk.log_loss, "roc_auc": lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr"),
           "rmse": lambda y, p: np.mean((y - p) ** 2) ** 0.5}
CASES = [(fnn.mlp((3, 3), output="softmax"), "cross_entropy", RANDOM.integers(0, 3, 40), "classes"),
         (fnn.mlp((3, 1), output="sigmoid"), "binary_cross_entropy", RANDOM.integers(0, 2, 40), "classes"),
         (fnn.mlp((3, 1)), "mse", RANDOM.normal(size=40), "values"),
         (fnn.mlp((3, 1)), "mse", RANDOM.normal(size=(40, 1)), "values"),
         (fnn.mlp((3, 1)), "mse", RANDOM.integers(0, 9, 40), "values"),
         (fnn.mlp((3, 3), output="sigmoid"), "binary_cross_entropy", RANDOM.integers(0, 2, (40, 3)), "labels")]


@pytest.mark.parametrize(("net", "loss", "Y", "kind"), CASES)
def test_scores_are_of_the_predictions(net, loss, Y, kind):
    problem, params = objective(net, loss), net.init(jax.random.key(0))
    assert metrics.task(problem, Y) == kind
    out = np.asarray(jax.vmap(net.apply, (None, 0))(params, X))
    predicted = {"classes": out.argmax(1) if net.n_out > 1 else (out[:, 0] > 0.5), "values": out[:, 0]}.get(kind)
    names = [name for name, metric in metrics.METRICS.items() if metric.task == kind]
    for name in names:
        scores = metrics.scores(problem, params, X, Y, [name])
        metric = metrics.METRICS[name]
        exact = out.astype(float)  # of two classes, the probability of the second
        likely = exact[:, 0] if net.n_out == 1 else exact / exact.sum(axis=1, keepdims=True)
        wanted = BY_NAME[name](Y.reshape(40), predicted if metric.takes == "predictions" else likely)
        assert list(scores) == ([f"{name}_{i}" for i in range(len(wanted))] if metric.by_class else [name])
        np.testing.assert_allclose(list(scores.values()), np.ravel(wanted), rtol=1e-6)
    assert set(metrics.scores(problem, params, X, Y)) == set(metrics.USUAL.get(kind, ()))


def test_every_metric_is_held_against_its_function():
    assert set(BY_NAME) == set(metrics.METRICS)


def test_unit_vectors_are_their_classes():
    net, loss, Y, _ = CASES[0]
    problem, params = objective(net, loss), net.init(jax.random.key(0))
    assert metrics.scores(problem, params, X, np.eye(3)[Y]) == metrics.scores(problem, params, X, Y)
    assert np.array_equal(metrics.confusion(problem, params, X, np.eye(3)[Y]), metrics.confusion(problem, params, X, Y))


@pytest.mark.parametrize("case", CASES[:2])
def test_the_confusions_diagonal_is_the_accuracy(case):
    net, loss, Y, _ = case
    problem, params = objective(net, loss), net.init(jax.random.key(0))
    table = metrics.confusion(problem, params, X, Y)
    assert table.sum() == 40 and np.array_equal(table.sum(axis=1), np.bincount(Y))
    assert table.trace() / 40 == metrics.scores(problem, params, X, Y, ["accuracy"])["accuracy"]


def test_outputs_of_many_rows_are_those_of_each():
    net, params = CASES[0][0], CASES[0][0].init(jax.random.key(0))
    many = RANDOM.normal(size=(metrics.CHUNK + 3, 3)).astype(np.float32)
    out = metrics.outputs(net, params, many)
    assert out.shape == (metrics.CHUNK + 3, 3)
    for i in (0, metrics.CHUNK - 1, metrics.CHUNK, metrics.CHUNK + 2):
        np.testing.assert_allclose(out[i], net.apply(params, many[i]), rtol=1e-5)


def test_what_has_no_such_metric_is_said():
    net, loss, Y, _ = CASES[2]
    problem, params = objective(net, loss), net.init(jax.random.key(0))
    with pytest.raises(ValueError, match="confusion is of classes, got values"):
        metrics.confusion(problem, params, X, Y)
    with pytest.raises(ValueError, match="metrics must be of values here, got 'f1', which is of classes; there are: r2, mae, "):
        metrics.scores(problem, params, X, Y, ["f1"])
    with pytest.raises(ValueError, match="did you mean 'rmse'"):
        metrics.scores(problem, params, X, Y, ["rmsse"])


@pytest.mark.parametrize("case", [CASES[0], CASES[2]])
def test_what_is_not_finite_has_no_score(case):
    net, loss, Y, _ = case
    params = jax.tree.map(lambda leaf: leaf * np.nan, net.init(jax.random.key(0)))
    scores = metrics.scores(objective(net, loss), params, X, Y)
    assert scores and np.isnan(list(scores.values())).all()


def test_a_class_without_rows_keeps_its_place_and_has_no_roc_curve():
    net, loss, Y, _ = CASES[0]
    problem, params = objective(net, loss), net.init(jax.random.key(0))
    scores = metrics.scores(problem, params, X, np.minimum(Y, 1), ["class_recall", "log_loss", "roc_auc"])
    assert list(scores) == ["class_recall_0", "class_recall_1", "class_recall_2", "log_loss", "roc_auc"]
    assert scores["class_recall_2"] == 0.0 and np.isnan(scores["roc_auc"]) and scores["log_loss"] > 0
    one = metrics.scored(np.array([[0.2], [0.4]]), [0, 0], "classes", ["log_loss", "roc_auc", "class_f1"])
    assert one["log_loss"] == pytest.approx(-np.log([0.8, 0.6]).mean()) and np.isnan(one["roc_auc"])
    assert one["class_f1_0"] == 1.0


def test_they_are_recorded_in_every_epoch():
    net, loss, Y, _ = CASES[0]
    result = fnn.fit(net, loss, fnn.optimizers.sgd(0.1), (X, Y), key=jax.random.key(0), epochs=2, batch_size=8, validation=0.5,
                     metrics=["roc_auc", "class_f1", "log_loss"], progress=False)
    history = result.history
    np.testing.assert_allclose(history["validation_log_loss"], history["validation_cost"], rtol=1e-5)
    assert {f"validation_class_f1_{i}" for i in range(3)} | {"validation_roc_auc"} < set(history)


def test_no_rows_have_no_outputs():
    net, params = CASES[0][0], CASES[0][0].init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"X must hold at least one example, got an empty set of shape \(0, 3\)"):
        metrics.outputs(net, params, X[:0])


def test_a_metric_in_a_unit_is_that_of_targets_in_the_unit():
    """Targets that were divided by 10 have a tenth of the error, which `in_unit(10)` gives back."""
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(2, 20))
    for name in ("mae", "rmse", "max_error"):
        metric = metrics.METRICS[name]
        assert metric.in_unit(10.0)(y, p) == pytest.approx(metric(10 * y, 10 * p), rel=1e-12)
    net = fnn.mlp((2, 1))
    problem, X = objective(net, "mse"), rng.normal(size=(20, 2))
    params = net.init(jax.random.key(0))
    one, other = (metrics.scores(problem, params, X, y, [metric])["mae"]
                  for metric in ("mae", metrics.METRICS["mae"].in_unit(3.0)))
    assert other == pytest.approx(3 * one, rel=1e-12)
