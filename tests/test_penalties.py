"""A penalty's gradient is its value's; in training it is the optimiser chained with the transformation of its name."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.penalties import Penalty, l1, l2

NET = fnn.mlp((3, 4, 2), hidden="tanh", output="softmax")
X, Y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
EVERY = [l1(0.3), l2(0.3), l1(0.2, "all"), l2(0.2, "all"), l1(0.1) + l2(0.4, "all")]


@pytest.mark.parametrize("penalty", EVERY, ids=str)
def test_the_gradient_is_the_values(penalty):
    with jax.enable_x64(True):
        params = NET.init(jax.random.key(0), "float64")
        params[0]["b"] = params[0]["b"] + 0.5
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-14), penalty.gradient(params),
                     jax.grad(penalty.value)(params))


@pytest.mark.parametrize(("penalty", "twin"), [
    (l2(0.3), fnn.optimizers.l2(0.3)), (l1(0.3), fnn.optimizers.l1(0.3)), (l2(0.1, "all"), fnn.optimizers.l2(0.1, mask=None)),
    (l1(0.1) + l2(0.3), optax.chain(fnn.optimizers.l1(0.1), fnn.optimizers.l2(0.3)))], ids=["l2", "l1", "all", "both"])
def test_training_with_it_is_training_with_its_twin_and_shows_it_apart(penalty, twin):
    with jax.enable_x64(True):
        options = {"key": jax.random.key(0), "epochs": 4, "batch_size": 5, "progress": False}
        sgd = fnn.optimizers.sgd(0.2)
        ours = fnn.fit(NET, "cross_entropy", sgd, (X, Y), penalty=penalty, **options)
        twins = fnn.fit(NET, "cross_entropy", optax.chain(twin, sgd), (X, Y), **options)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), ours.params, twins.params)
        np.testing.assert_allclose(ours.history["cost"], twins.history["cost"], rtol=1e-12)
        assert ours.history["penalty"][-1] == pytest.approx(float(penalty.value(ours.params)), rel=1e-14)
        assert ours.history["penalty"].shape == (4,) and "penalty" not in twins.history


def test_dtypes_are_the_parameters():
    params = NET.init(jax.random.key(0), jnp.bfloat16)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves((l1(0.1) + l2(0.1)).gradient(params)))


def test_a_strength_may_be_swept():
    values = jax.vmap(lambda strength: l2(strength).value({"w": jnp.ones((2, 3))}))(jnp.array([0.0, 1.0, 2.0]))
    assert values.tolist() == [0, 3, 6]


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: l2(-1.0), ValueError, "strength must be a finite number of at least 0, got -1.0"),
    (lambda: l1("a"), TypeError, "strength must be a finite number of at least 0, got 'a'"),
    (lambda: l2(0.1, "weigths"), ValueError, "unknown leaves 'weigths'; did you mean 'weights'?"),
    (lambda: l2(0.1) + 3, TypeError, "unsupported operand")])
def test_errors_name_the_argument(make, error, words):
    with pytest.raises(error) as raised:
        make()
    assert words in str(raised.value)


def test_names():
    assert [str(penalty) for penalty in EVERY[1:3]] == ["l2(0.3)", "l1(0.2, 'all')"] and isinstance(EVERY[4], Penalty)
    assert str(EVERY[4]) == "l1(0.1) + l2(0.4, 'all')"
