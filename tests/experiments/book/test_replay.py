"""The replay is the book's program: its formulas, one example after another, give the same numbers."""

import random

import jax
import numpy as np
import pytest

from experiments.book import draws, replay
from experiments.book.replay import Training


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def backprop(params, x, y):
    """The gradient of one example's cross-entropy with respect to weights and biases, layer by layer."""
    activations = [x]
    for layer in params:
        activations.append(sigmoid(layer["w"] @ activations[-1] + layer["b"]))
    delta, gradient = activations[-1] - y, []
    for i in reversed(range(len(params))):
        gradient.insert(0, {"w": np.outer(delta, activations[i]), "b": delta})
        delta = params[i]["w"].T @ delta * activations[i] * (1 - activations[i])
    return gradient


def mean_gradient(params, X, Y):
    each = [backprop(params, x, y) for x, y in zip(X, Y, strict=True)]
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *each)


def step(params, gradient, rate, decay):
    return [{"w": (1 - rate * decay) * p["w"] - rate * g["w"], "b": p["b"] - rate * g["b"]}
            for p, g in zip(params, gradient, strict=True)]


def cost(params, X, Y, penalty):
    total = 0.5 * penalty / len(X) * sum(np.sum(layer["w"] ** 2) for layer in params)
    for x, y in zip(X, Y, strict=True):
        a = x
        for layer in params:
            a = sigmoid(layer["w"] @ a + layer["b"])
        total -= np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / len(X)
    return total


@pytest.fixture(scope="module")
def images():
    numbers = np.random.default_rng(0)

    def part(n):
        return (numbers.integers(0, 256, (n, 784)).astype(np.float32) / 256 / 20,
                np.eye(10, dtype=np.float32)[numbers.integers(0, 10, n)])

    return replay.Images(part(20), part(10), part(10))


def by_formula(trainings, images):
    """The trainings as network2.py runs them; the training cost of each after every epoch."""
    drawn, numbers, found = np.random.RandomState(replay.SEED), random.Random(replay.SEED), {}
    shared = list(range(len(images.training[0])))
    for training in trainings:
        for large in training.inits:
            params = draws.gaussian(drawn, (784, training.hidden, 10), large=large)
        order = shared if training.rows is None else list(range(training.rows))
        X, Y = (part.astype(float) for part in images.training)
        costs = []
        for _ in range(training.epochs):
            draws.shuffle(numbers, order)
            for start in range(0, len(order), 10):
                rows = order[start:start + 10]
                params = step(params, mean_gradient(params, X[rows], Y[rows]), training.rate,
                              training.penalty / len(order))
            costs.append(cost(params, X[sorted(order)], Y[sorted(order)], training.penalty))
        found[training.label] = costs
    return found


TRAININGS = [Training("first", 0.5, 2.0, 3, (False, True), hidden=8), Training("second", 0.1, 0.0, 2, (False,), hidden=8),
             Training("own list", 0.5, 2.0, 2, (True,), rows=10, hidden=8)]


def test_a_script_is_what_the_books_formulas_give(images):
    found, wanted = replay.script(TRAININGS, ["training cost"], images), by_formula(TRAININGS, images)
    for name, costs in wanted.items():
        np.testing.assert_allclose(found[name]["training cost"], costs, rtol=1e-12)


def test_fewer_epochs_leave_the_trainings_after_them_as_they_are(images):
    whole = replay.script(TRAININGS, ["training cost"], images)
    cut = replay.script(TRAININGS, ["training cost"], images, 2)
    for name in whole:
        np.testing.assert_array_equal(cut[name]["training cost"], whole[name]["training cost"][:2])


def test_only_the_last_epoch_is_recorded_on_demand(images):
    whole = replay.script(TRAININGS[:1], ["test accuracy"], images)["first"]["test accuracy"]
    last = replay.script(TRAININGS[:1], ["test accuracy"], images, every=False)["first"]["test accuracy"]
    assert last.tolist() == whole[-1:].tolist()


def test_the_penalty_of_a_cost_is_shared_by_the_images_it_is_taken_over(images):
    """With λ, the cost on 10 test images holds twice the penalty of that on 20 training images."""
    plain, penalised = ({kind: values[-1] for kind, values in replay.script(
        [Training("", 1e-12, penalty, 1, (True,), hidden=8)], ["training cost", "test cost"],
        images)[""].items()} for penalty in (0.0, 1.0))
    added = {kind: penalised[kind] - plain[kind] for kind in plain}
    assert added["test cost"] == pytest.approx(2 * added["training cost"], rel=1e-6) and added["test cost"] > 1


def test_the_norms_of_all_seeds_together_are_those_of_each_alone(images):
    found = replay.norms(2, images, 3, 2, rows=20)
    assert found.shape == (2, 2, 3)
    X, Y = (part.astype(float) for part in images.training)
    for seed in range(2):
        params = draws.gaussian(np.random.RandomState(seed), (784, 30, 30, 10), large=False)
        for epoch in range(3):
            gradient = mean_gradient(params, X, Y)
            sizes = [np.linalg.norm(layer["b"]) for layer in gradient[:-1]]
            np.testing.assert_allclose(found[:, seed, epoch], sizes, rtol=1e-4)
            params = step(params, gradient, 0.1, 5.0 / 20)
