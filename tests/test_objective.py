"""The cost over examples: mean and sum, sample weights, targets of every form, heads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import objective
from functional_nn.losses import FUSED, LOSSES

X = jnp.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])


def softmax_net():
    net = fnn.mlp((2, 4, 3), hidden="tanh", output="softmax")
    return net, net.init(jax.random.key(0))


def test_the_cost_by_arithmetic():
    """N9(a): ŷ = 3x₁ + 4x₂ + 1, so 12, 6, 2.5; ½(ŷ − 10)² is 2, 8, 28.125."""
    net, params = fnn.mlp((2, 1)), ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
    Y = jnp.full((3, 1), 10.0)
    weights = jnp.array([1.0, 3.0, 0.0])
    assert float(fnn.cost(net, "quadratic", "sum")(params, X, Y)) == 38.125
    assert float(fnn.cost(net, "quadratic")(params, X, Y)) == pytest.approx(38.125 / 3)
    assert float(fnn.cost(net, "quadratic", "sum")(params, X, Y, sample_weights=weights)) == 26
    assert float(fnn.cost(net, "quadratic", "mean")(params, X, Y, sample_weights=weights)) == 6.5


@pytest.mark.parametrize("loss", LOSSES)
def test_the_cost_is_the_mean_of_the_losses_of_what_apply_gives(loss):
    output = LOSSES[loss].output or "tanh"
    net = fnn.mlp((2, 3), output=output)
    params, Y = net.init(jax.random.key(0)), jax.nn.softmax(X @ jnp.ones((2, 3)) + jnp.arange(3.0)[None])
    each = [LOSSES[loss](net.apply(params, x), y) for x, y in zip(X, Y, strict=True)]
    np.testing.assert_allclose(fnn.cost(net, loss)(params, X, Y), sum(each) / 3, rtol=1e-5)
    np.testing.assert_allclose(fnn.cost(net, loss, "sum")(params, X, Y), sum(each), rtol=1e-5)
    problem = objective.objective(net, loss)
    np.testing.assert_allclose(problem.losses(params, problem.batch(params, X, Y)), jnp.stack(each), rtol=1e-5)


@pytest.mark.parametrize("way", [fnn.backprop, fnn.autodiff], ids=["backprop", "autodiff"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_every_way_gives_the_same_cost(way, reduction):
    net, params = softmax_net()
    Y = jnp.array([0, 2, 1])
    got, _ = way.value_and_grad(net, "cross_entropy", reduction)(params, X, Y)
    np.testing.assert_allclose(got, fnn.cost(net, "cross_entropy", reduction)(params, X, Y), rtol=1e-6)


UNITS = np.eye(3)[[0, 2, 1]]


@pytest.mark.parametrize(
    "form",
    [[0, 2, 1], np.array([0, 2, 1], np.int8), np.array([0, 2, 1], np.uint8), UNITS, UNITS.astype(int), UNITS > 0],
    ids=["list", "int8", "uint8", "one-hot", "integer one-hot", "boolean one-hot"])
def test_a_class_is_its_unit_vector_in_every_form(form):
    net, params = softmax_net()
    cost = fnn.cost(net, "cross_entropy")
    assert float(cost(params, X, form)) == float(cost(params, X, jnp.array([0, 2, 1])))


def test_one_output_takes_a_vector_of_targets():
    net = fnn.mlp((2, 3, 1), output="sigmoid")
    params, cost = net.init(jax.random.key(0)), fnn.cost(net, "binary_cross_entropy")
    column = cost(params, X, jnp.array([[0.0], [1.0], [1.0]]))
    for Y in (jnp.array([0.0, 1.0, 1.0]), jnp.array([0, 1, 1]), np.array([False, True, True])):
        assert float(cost(params, X, Y)) == float(column)


def test_the_parameters_decide_the_dtype():
    net = fnn.mlp((2, 3), output="softmax")
    for dtype in (jnp.bfloat16, jnp.float32):
        batch = objective.objective(net, "cross_entropy").batch(net.init(jax.random.key(0), dtype), X, [0, 1, 2])
        assert {batch.x.dtype, batch.y.dtype, batch.weights.dtype} == {jnp.dtype(dtype)}
    with jax.enable_x64(True):
        cost = fnn.cost(net, "cross_entropy")
        for dtype in ("float32", "float64"):
            assert cost(net.init(jax.random.key(0), dtype), np.asarray(X, np.float64), [0, 1, 2]).dtype == dtype


@pytest.mark.parametrize("pair", FUSED, ids="-".join)
def test_heads_are_the_same_function(pair):
    """Value and δ, stable and general, at ordinary z; and δ is the derivative of the value."""
    output, loss = pair
    net = fnn.mlp((1, 4), output=output)
    with jax.enable_x64(True):
        z, y = jnp.array([-1.0, 0.3, 2.0, -0.2]), jnp.array([0.1, 0.2, 0.3, 0.4])
        stable, general = (objective.head(net, LOSSES[loss], form) for form in ("stable", "general"))
        for head in (stable, general):
            np.testing.assert_allclose(head.value(z, y), LOSSES[loss](net.output(z), y), rtol=1e-14)
            np.testing.assert_allclose(head.delta(z, y), net.output(z) - y, rtol=1e-13)
            np.testing.assert_allclose(head.delta(z, y), jax.grad(head.value)(z, y), rtol=1e-13)
    assert stable is FUSED[pair] and general is not stable


@pytest.mark.parametrize(("output", "loss", "partner"), [
    ("linear", "cross_entropy", "softmax"), ("sigmoid", "cross_entropy", "binary_cross_entropy"),
    ("softmax", "binary_cross_entropy", "cross_entropy"), ("relu", "binary_cross_entropy", "sigmoid")])
def test_a_logarithm_of_the_wrong_range_is_refused_with_the_right_pair(output, loss, partner):
    for make in (fnn.cost, fnn.backprop.value_and_grad, fnn.autodiff.value_and_grad, fnn.backprop.deltas):
        with pytest.raises(ValueError, match=rf"{loss}.*{output}.*{partner}"):
            make(fnn.mlp((2, 3), output=output), loss)


def test_the_cost_of_dropout_needs_the_key_to_drop():
    net = fnn.sequential(2, fnn.layers.dense(50, "tanh"), fnn.layers.dropout(0.5), fnn.layers.dense(1))
    params, Y = net.init(jax.random.key(0)), jnp.zeros((3, 1))
    cost = fnn.cost(net, "mse")
    keys = [None, None, jax.random.key(0), jax.random.key(0), jax.random.key(1)]
    without, again, first, same, other = (float(cost(params, X, Y, key=key)) for key in keys)
    assert without == again and first == same and len({without, first, other}) == 3
