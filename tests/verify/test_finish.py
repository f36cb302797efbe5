"""What is done to a finished gradient is one mistake, however many leaves it spoils."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.verify import check_network
from tests.slow import few

NET = fnn.mlp((4, 6, 6, 3), hidden="tanh")
PARAMS = NET.init(jax.random.key(0))
X = np.random.default_rng(1).normal(size=(6, 4))
Y = np.random.default_rng(2).normal(size=(6, 3))
RIGHT = jax.jit(fnn.backprop.value_and_grad(NET, "quadratic"))


def found(spoil, loss="quadratic", **options):
    """The faults of the right gradient after `spoil`: (gradient, params, X) -> gradient."""
    right = jax.jit(fnn.backprop.value_and_grad(NET, loss))

    def function(params, X, Y):
        cost, grads = right(params, X, Y)
        return cost, spoil(grads, params, X)

    report = check_network(NET, loss, PARAMS, X, Y, value_and_grad=function, **options)
    return [(fault.site, fault.layer, fault.cause) for fault in report.faults]


def shortened(grads, bound):
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(grads)))
    return jax.tree.map(lambda leaf: leaf * jnp.minimum(1, bound / norm), grads)


@pytest.mark.slow
def test_the_length_of_the_whole_gradient_is_cut():
    assert found(lambda grads, *_: shortened(grads, 0.1)) == [("batch", None, "clipped")]
    assert found(lambda grads, *_: shortened(grads, 1e6)) == []


@pytest.mark.parametrize("scale", few([1.0, 0.01], 1))
def test_only_the_signs_are_left(scale):
    assert found(lambda grads, *_: jax.tree.map(lambda leaf: scale * jnp.sign(leaf), grads)) == [("batch", None, "signs alone")]


def test_a_loss_whose_slope_is_a_sign_is_no_mistake():
    assert found(lambda grads, *_: grads, loss="mae") == []


@pytest.mark.slow
@pytest.mark.parametrize("gradient", [
    lambda w: 0.01 * w / jnp.linalg.norm(w), lambda w: 0.01 * (w @ w.T - jnp.eye(len(w))) @ w,
    lambda w: jnp.where(jnp.sum(w**2, axis=1, keepdims=True) > 0.5, 0.05 * w, 0)], ids=["norm", "orthogonal rows", "long rows"])
def test_a_penalty_of_any_form(gradient):
    def penalised(grads, params, X):
        return tuple({**g, "w": g["w"] + gradient(p["w"])} for g, p in zip(grads, params, strict=True))
    assert found(penalised) == [("penalty", None, "penalty added")]


def test_what_no_parameter_changes_is_no_penalty():
    noise = [np.random.default_rng(l).normal(size=p["w"].shape) for l, p in enumerate(PARAMS)]

    def disturbed(grads, params, X):
        return tuple({**g, "w": g["w"] + 0.01 * more} for g, more in zip(grads, noise, strict=True))
    assert "penalty added" not in {cause for *_, cause in found(disturbed)}


def test_an_example_that_counts_twice_is_one_mistake():
    def function(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        _, first = RIGHT(params, X[:1], Y[:1])
        return cost, jax.tree.map(lambda g, one: g + one / len(X), grads, first)
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=function)
    assert [(fault.site, fault.layer) for fault in report.faults] == [("batch", None)], str(report)


def test_a_bias_that_is_still_a_column_of_the_matrix():
    def beside(grads, *_):
        return (grads[0], {**grads[1], "w": jnp.concatenate([grads[1]["b"][:, None], grads[1]["w"]], axis=1)}, grads[2])
    assert found(beside) == [("structure", 1, "wrong shape")]


def test_a_penalty_is_taken_off_at_other_parameters_too():
    def both(grads, params, X):
        grads = tuple({**g, "w": g["w"] + 1e-3 * p["w"]} for g, p in zip(grads, params, strict=True))
        return (grads[0], {**grads[1], "b": 2 * grads[1]["b"]}, grads[2])
    assert set(found(both)) == {("penalty", None, "penalty added"), ("bias", 1, "factor")}
