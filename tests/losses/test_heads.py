"""Output and loss in one: as the general form gives it, as optax does, and exactly far out."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nn import activations, losses
from functional_nn.losses import FUSED
from tests.losses.laws import assert_close, both_dtypes, exact

TWINS_OF_HEADS = {
    "cross_entropy": optax.softmax_cross_entropy,
    "binary_cross_entropy": lambda z, y: jnp.sum(optax.sigmoid_binary_cross_entropy(z, y)),
    "quadratic": lambda z, y: jnp.sum(optax.l2_loss(z, y)),
}
every_head = pytest.mark.parametrize(("output", "loss"), FUSED)


@pytest.mark.exact
@every_head
def test_fused_head_is_the_general_form_and_its_optax_twin(output, loss):
    head, activation, general = FUSED[output, loss], activations.get(output), losses.get(loss)
    with jax.enable_x64(True):
        Z = 3 * jax.random.normal(jax.random.key(2), (20, 4))
        Y = jax.nn.softmax(jax.random.normal(jax.random.key(3), (20, 4)))
        Y = jnp.concatenate([Y[:10], jnp.eye(4), jnp.eye(4), Y[18:] / 2])  # soft, hard, and of a sum other than 1
        ways = jax.jit(jax.vmap(lambda z, y: (
            (head.value(z, y), general(activation(z), y), TWINS_OF_HEADS[loss](z, y)),
            (head.delta(z, y), activation.pullback(z, general.gradient(activation(z), y)), jax.grad(head.value)(z, y)))))
        values, deltas = ways(Z, Y)
        for other in values[1:]:
            np.testing.assert_allclose(values[0], other, rtol=1e-12)
        for other in deltas[1:]:
            np.testing.assert_allclose(deltas[0], other, rtol=1e-11, atol=1e-15)


LOGITS = [s * size for size in (0.0, 1e-30, 1e-10, 0.5, 3.0, 20.0, 40.0, 80.0, 200.0, 1e10, 1e30) for s in (1, -1)]


@pytest.mark.exact
@both_dtypes
def test_sigmoid_head_is_exact_to_a_few_ulp(dtype):  # for hard targets too, where a − y would round to 0
    pairs = [(z, y) for z in LOGITS for y in (0.0, 1.0, 0.5, 0.3)]
    head = FUSED["sigmoid", "binary_cross_entropy"]
    z, y = np.array(pairs, np.float32).T
    with jax.enable_x64(dtype == "float64"):
        value_and_delta = jax.jit(jax.vmap(lambda z, y: (head.value(z, y), head.delta(z, y))))
        value, delta = value_and_delta(jnp.asarray(z, dtype), jnp.asarray(y, dtype))
    points = [(exact.mpf(p), exact.mpf(t)) for p, t in zip(z.tolist(), y.tolist(), strict=True)]
    costs = [t * exact.log1p(exact.exp(-p)) + (1 - t) * (max(p, 0) + exact.log1p(exact.exp(-abs(p)))) for p, t in points]
    terms = [((1 - t) / (1 + exact.exp(-p)), t / (1 + exact.exp(p))) for p, t in points]
    assert_close(value, costs, [0] * len(points), dtype, points)
    assert_close(delta, [p - q for p, q in terms], [max(pair) for pair in terms], dtype, points)


@pytest.mark.exact
@both_dtypes
def test_softmax_head_is_exact_to_a_few_units_in_the_last_place_of_one(dtype):
    head, size = FUSED["softmax", "cross_entropy"], 3
    targets = [*np.eye(size), [0.5, 0.25, 0.25], [0.3, 0.0, 0.7]]
    cases = [((z, 0.0, other), y) for z in LOGITS for other in (-1.0, z / 2, -z) for y in targets]
    Z, Y = (np.array(column, np.float32) for column in zip(*cases, strict=True))
    with jax.enable_x64(dtype == "float64"):
        all_three = jax.jit(jax.vmap(lambda z, y: (head.value(z, y), head.delta(z, y), jax.grad(head.value)(z, y))))
        values, deltas, automatic = map(np.asarray, all_three(jnp.asarray(Z, dtype), jnp.asarray(Y, dtype)))
    u = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(deltas, automatic, atol=4 * u)
    for z, y, value, delta in zip(Z.tolist(), Y.tolist(), values.tolist(), deltas.tolist(), strict=True):
        powers = [exact.exp(exact.mpf(x) - max(z)) for x in z]
        logs = [exact.mpf(x) - max(z) - exact.log(sum(powers)) for x in z]
        want = -sum(t * l for t, l in zip(y, logs, strict=True))
        assert abs(value - want) <= 4 * u * max(1, want), (z, y, value, want)
        for d, p, t in zip(delta, powers, y, strict=True):
            assert abs(d - (p / sum(powers) * sum(y) - t)) <= 4 * u, (z, y, delta)


def test_every_head_has_a_twin():
    assert {loss for _, loss in FUSED} == set(TWINS_OF_HEADS)


@pytest.mark.parametrize("pair", FUSED, ids="-".join)
def test_the_second_derivatives_of_a_fused_pair(pair):
    head = FUSED[pair]
    with jax.enable_x64(True):
        z, y = np.random.default_rng(1).normal(size=(2, 5))
        y = np.array(activations.softmax(y)) * (1 if pair[0] == "softmax" else 0.7)
        hessian, units = jax.hessian(head.value)(z, y), np.eye(5)
        roots = np.stack([head.root(z, y, u) for u in units], axis=1)
        np.testing.assert_allclose(np.stack([head.hessian_product(z, y, u) for u in units], axis=1), hessian, atol=1e-15)
        np.testing.assert_allclose(roots @ roots.T, hessian, atol=1e-15)
        np.testing.assert_allclose(head.target(z, y), jax.grad(head.value, argnums=1)(z, y), rtol=1e-12, atol=1e-15)
        assert head.ggn_product is head.hessian_product
    far = jnp.array([-1e4, 1e4, 0.0, 300.0, -300.0])
    for function in (head.hessian_product, head.root):
        assert jnp.isfinite(function(far, jnp.full(5, 0.2), jnp.ones(5))).all()
