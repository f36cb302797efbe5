"""Losses of one example: value and gradient against exact arithmetic, `jax.grad` and optax, at kinks and far out (N11)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn import losses
from functional_nn.losses import LOSSES
from tests.losses.laws import CASES, LAWS, assert_close, both, both_dtypes, every_case, exact


@pytest.mark.exact
@both_dtypes
@every_case
def test_value_and_gradient_are_exact_to_a_few_ulp(name, dtype):
    loss, law = CASES[name]
    a, y = np.array(law.pairs, np.float32).T  # so that both dtypes hold the same numbers
    points = [(exact.mpf(p), exact.mpf(t)) for p, t in zip(a.tolist(), y.tolist(), strict=True)]
    with jax.enable_x64(dtype == "float64"):
        value, gradient = jax.jit(jax.vmap(partial(both, loss)))(jnp.asarray(a, dtype), jnp.asarray(y, dtype))
    assert np.isfinite(gradient).all()
    assert_close(value, [law.value(*p) for p in points], [0] * len(points), dtype, points)
    assert_close(gradient, [law.gradient(*p) for p in points], [law.size(*p) for p in points], dtype, points)


@pytest.mark.exact
@every_case
def test_gradient_is_that_of_jax_at_random_points_and_at_every_kink(name):
    """The kinks: a = y, |r| = δ or ε, y a = 1, and y = 0 with p = 0; all pairs of the table that are within 1e3, and noise."""
    loss, law = CASES[name]
    with jax.enable_x64(True):
        noise = 2 * jax.random.normal(jax.random.key(0), (100, 2))
        if loss.targets in ("shares", "distribution"):
            noise = jax.nn.sigmoid(noise)
        pairs = jnp.concatenate([noise, jnp.array([pair for pair in law.pairs if abs(pair[0]) < 1e3])])
        hand, automatic = jax.jit(jax.vmap(lambda a, y: (loss.gradient(a, y), jax.grad(loss)(a, y))))(*pairs.T)
        np.testing.assert_allclose(hand, automatic, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("loss", "a", "y", "gradient"), [
    (losses.mae, 2.0, 2.0, 0.0), (losses.quantile, 2.0, 2.0, 0.0), (losses.huber, 3.0, 2.0, 1.0),
    (losses.epsilon_insensitive, 3.0, 2.0, 0.0), (losses.epsilon_insensitive, 1.0, 2.0, 0.0), (losses.hinge, 1.0, 1.0, 0.0),
    (losses.hinge, -1.0, -1.0, 0.0), (losses.cross_entropy, 0.0, 0.0, 0.0), (losses.binary_cross_entropy, 0.0, 0.0, 1.0),
    (losses.binary_cross_entropy, 1.0, 1.0, -1.0)])
def test_the_stated_convention_at_the_kink(loss, a, y, gradient):
    hand, automatic = jax.jit(lambda a: (loss.gradient(a, y), jax.grad(loss)(a, y)))(a)
    assert float(hand) == gradient == float(automatic)


@every_case
def test_outputs_are_summed_or_averaged_as_stated(name):
    loss, law = CASES[name]
    with jax.enable_x64(True):
        a, y = jnp.array([pair for pair in law.pairs if 1e-3 < abs(pair[0]) < 1e3][:6]).T
        value, gradient = jax.jit(partial(both, loss))(a, y)
        values, gradients = map(np.asarray, jax.jit(jax.vmap(partial(both, loss)))(a, y))
    share = 1 if law.sums else 1 / 6
    np.testing.assert_allclose(value, share * values.sum(), rtol=1e-14)
    np.testing.assert_allclose(gradient, share * gradients, rtol=1e-14)
    assert law.sums == loss.sums


@pytest.mark.parametrize("name", [name for name, (_, law) in CASES.items() if law.twin])
def test_follows_its_optax_twin(name):
    loss, law = CASES[name]
    reduce = jnp.sum if law.sums else jnp.mean
    with jax.enable_x64(True):
        a, y = 3 * jax.random.normal(jax.random.key(1), (2, 50))
        y = jnp.sign(y) if loss.targets == "signs" else y
        ours, twin = jax.jit(lambda a: (both(loss, a, y), jax.value_and_grad(lambda a: reduce(law.twin(a, y)))(a)))(a)
    np.testing.assert_allclose(ours[0], twin[0], rtol=1e-13)
    np.testing.assert_allclose(ours[1], twin[1], rtol=1e-12, atol=1e-15)


@pytest.mark.exact
@every_case
def test_dtype_and_shape_are_kept_jit_is_eager_and_vmap_is_a_loop(name):
    loss, law = CASES[name]
    for dtype in ("bfloat16", "float16", "float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            for shape in ((), (1,), (3,)):
                a = jnp.ones(shape, dtype)
                value, gradient = jax.eval_shape(partial(both, loss), a, np.ones(shape))
                assert value.dtype == gradient.dtype == a.dtype and value.shape == () and gradient.shape == shape
    A, Y = jnp.array([pair for pair in law.pairs if 1e-3 < abs(pair[0]) < 1e3][:6]).reshape(3, 2, 2).swapaxes(0, 1)
    values, gradients = jax.jit(jax.vmap(partial(both, loss)))(A, Y)
    for a, y, value, gradient in zip(A, Y, values, gradients, strict=True):
        np.testing.assert_allclose(value, loss(a, y), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(gradient, loss.gradient(a, y), rtol=1e-6, atol=1e-7)


def test_every_loss_has_a_law_and_a_name():
    assert set(LAWS) == set(LOSSES)
    for name, loss in LOSSES.items():
        assert losses.get(name) is loss is getattr(losses, name) is losses.get(loss)
        assert name in losses.__all__ and loss.name == name and loss.limits.keys() == loss.parameters.keys()


@pytest.mark.parametrize("name", LOSSES)
def test_the_second_derivatives_are_those_of_jax(name):
    """The curvature is the diagonal of a diagonal Hessian, and the slope by the target is the gradient there."""
    loss = LOSSES[name]
    with jax.enable_x64(True):
        random = np.random.default_rng(0)
        a, y = random.uniform(0.1, 0.9, (2, 6))
        y = np.where(y > 0.5, 1.0, -1.0) if loss.targets == "signs" else y
        if loss.targets == "values":
            a, y = 3 * random.normal(size=(2, 24))  # some between δ and 2 δ, on both sides
        if loss.curvature is not None:
            np.testing.assert_allclose(
                np.diag(loss.curvature(a, y, **loss.parameters)), jax.jit(jax.hessian(loss))(a, y), rtol=1e-12, atol=1e-15)
        if not loss.residual and loss.target_slope is None:
            return
        slope = -loss.gradient(a, y) if loss.residual else loss.target_slope(a, y, **loss.parameters)
        np.testing.assert_allclose(slope, jax.jit(jax.grad(loss, argnums=1))(a, y), rtol=1e-12, atol=1e-15)
