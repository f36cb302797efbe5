"""Activations: value and derivative against exact arithmetic and `jax.grad`, |z| from 1e-30 to 1e30 and at kinks (N10)."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn import activations, initializers
from functional_nn.activations import ACTIVATIONS

exact = mpmath.mp.clone()
exact.dps = 50


@dataclasses.dataclass
class Law:
    """What an activation is, in exact arithmetic, and how near floating point comes: within `ulp` · u · size.

    The size is that of the result, or of the largest quantity it is computed from where it goes through 0 (silu′, gelu′),
    or where rounding z alone already changes it that much (e^(−z²/2) by z² u).
    """

    value: Callable
    derivative: Callable
    ulp: float
    value_size: Callable = lambda z: 0
    derivative_size: Callable = lambda z: 0


@functools.cache
def logistic(z):
    return 1 / (1 + exact.exp(-z)) if z > 0 else exact.exp(z) / (1 + exact.exp(z))


@functools.cache
def normal_cdf(z):
    return exact.erfc(-z / exact.sqrt(2)) / 2


def softplus(z):
    return max(z, 0) + exact.log1p(exact.exp(-abs(z)))


def elu(alpha):
    return Law(lambda z: z if z > 0 else alpha * exact.expm1(z), lambda z: 1 if z > 0 else alpha * exact.exp(z), 4)


def leaky_relu(slope):
    return Law(lambda z: z if z >= 0 else exact.mpf(slope) * z, lambda z: 1 if z >= 0 else exact.mpf(slope), 2)


LAWS = {
    "linear": Law(lambda z: z, lambda z: 1, 0),
    "step": Law(lambda z: int(z >= 0), lambda z: 0, 0),
    "sigmoid": Law(logistic, lambda z: logistic(z) * logistic(-z), 4),
    "tanh": Law(exact.tanh, lambda z: exact.sech(z) ** 2, 4),
    "relu": Law(lambda z: max(z, 0), lambda z: int(z > 0), 0),
    "leaky_relu": leaky_relu(0.1),
    "elu": elu(1.0),
    "softplus": Law(softplus, logistic, 4),
    "gelu": Law(lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * exact.npdf(z), 4,
                lambda z: z * normal_cdf(z) * (1 + z * z), lambda z: (normal_cdf(z) + abs(z) * exact.npdf(z)) * (1 + z * z)),
    "silu": Law(lambda z: z * logistic(z), lambda z: logistic(z) * (1 + z * logistic(-z)), 4,
                derivative_size=lambda z: logistic(z) * (1 + abs(z) * logistic(-z))),
}
VARIANTS = {
    "leaky_relu(slope=0.01)": (activations.leaky_relu.configure(slope=0.01), leaky_relu(0.01)),
    "leaky_relu(slope=-1)": (activations.leaky_relu.configure(slope=-1), leaky_relu(-1)),
    "elu(alpha=0.5)": (activations.elu.configure(alpha=0.5), elu(0.5)),
    "elu(alpha=2)": (activations.elu.configure(alpha=2), elu(2)),
}
CASES = {name: (ACTIVATIONS[name], law) for name, law in LAWS.items()} | VARIANTS
EVERY = {**ACTIVATIONS, **{name: activation for name, (activation, _) in VARIANTS.items()}}
every_case = pytest.mark.parametrize("name", CASES)
every_activation = pytest.mark.parametrize("activation", EVERY.values(), ids=EVERY)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

SIZES = [10.0**k for k in range(-30, 31)] + [
    0.25, 0.5, 0.75, 1.278, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 13.0, 15.0, 17.0, 20.0, 30.0, 37.0, 40.0, 50.0, 80.0, 87.0, 88.5,
    90.0, 104.0, 300.0, 354.0, 700.0, 709.0, 746.0]
GRID = np.array([0.0, -0.0, *SIZES, *(-size for size in SIZES)], np.float32)  # so that both dtypes hold the same z


def assert_close(got, want, sizes, ulp, dtype):
    """|got − want| ≤ ulp · u · size, and a little more where a number (or one on the way, times z) underflows."""
    u, smallest = float(jnp.finfo(dtype).eps), float(jnp.finfo(dtype).tiny)
    for z, a, b, size in zip(GRID.tolist(), np.asarray(got, np.float64).tolist(), want, sizes, strict=True):
        bound = ulp * u * max(abs(b), abs(size)) + (smallest * min(1 + abs(z), 1000) if abs(b) < 1000 * smallest else 0)
        assert np.isfinite(a) and abs(exact.mpf(a) - b) <= bound, f"z = {z}: {a}, exactly {exact.nstr(exact.mpf(b), 17)}"


@pytest.mark.exact
@both_dtypes
@every_case
def test_value_and_derivative_are_exact_to_a_few_ulp(name, dtype):
    activation, law = CASES[name]
    points = [exact.mpf(z) for z in GRID.tolist()]
    with jax.enable_x64(dtype == "float64"):
        value, derivative = jax.jit(lambda z: (activation(z), activation.derivative(z)))(jnp.asarray(GRID, dtype))
    for got, truth, size in ((value, law.value, law.value_size), (derivative, law.derivative, law.derivative_size)):
        assert_close(got, [truth(p) for p in points], [size(p) for p in points], law.ulp, dtype)


@pytest.mark.exact
def test_saturated_derivatives_keep_their_digits():
    for name, z, want in (("tanh", 10.0, 8.2446145e-09), ("tanh", -20.0, 1.6993417e-17), ("sigmoid", 40.0, 4.2483543e-18),
                          ("sigmoid", -40.0, 4.2483543e-18), ("softplus", -50.0, 1.9287498e-22)):
        np.testing.assert_allclose(ACTIVATIONS[name].derivative(jnp.float32(z)), want, rtol=5e-7)


EXTREMES = [0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30]


def automatic(activation):
    """The derivative by `jax.grad`; the Jacobian where σ is not elementwise."""
    return jax.vmap(jax.grad(activation)) if activation.elementwise else jax.jacobian(activation)


@every_activation
def test_derivative_is_the_gradient_of_the_value(activation):
    with jax.enable_x64(True):
        z = jnp.array(np.concatenate([3 * np.random.default_rng(0).normal(size=300), np.linspace(-30, 30, 61), EXTREMES]))
        got, want = jax.jit(lambda z: (activation.derivative(z), automatic(activation)(z)))(z)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=4e-15)


@pytest.mark.exact
@every_activation
def test_derivative_is_that_of_jax_at_the_kink_and_far_out_in_float32(activation):
    """±0 is the only kink there is: of step, relu, leaky_relu, and elu where α ≠ 1."""
    got, want = jax.jit(lambda z: (activation.derivative(z), automatic(activation)(z)))(jnp.array(EXTREMES))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize(("name", "value", "derivative"), [
    ("linear", 0, 1), ("step", 1, 0), ("sigmoid", 0.5, 0.25), ("tanh", 0, 1), ("relu", 0, 0), ("leaky_relu", 0, 1),
    ("elu", 0, 1), ("elu(alpha=0.5)", 0, 0.5), ("elu(alpha=2)", 0, 2), ("leaky_relu(slope=0.01)", 0, 1), ("gelu", 0, 0.5),
    ("silu", 0, 0.5), ("softplus", np.float32(np.log(2)), 0.5)])
def test_the_stated_convention_at_zero(name, value, derivative):
    for zero in (0.0, -0.0):
        assert float(EVERY[name](zero)) == value
        assert float(EVERY[name].derivative(zero)) == derivative


@every_activation
def test_pullback_is_the_jacobian_product(activation):
    with jax.enable_x64(True):
        z, v = jnp.array(3 * np.random.default_rng(0).normal(size=(2, 7)))
        got, slope, (want,) = jax.jit(lambda z, v: (
            activation.pullback(z, v), activation.derivative(z), jax.vjp(activation, z)[1](v)))(z, v)
        np.testing.assert_allclose(got, slope @ v if slope.ndim == 2 else slope * v, rtol=1e-12, atol=1e-16)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


def all_three(activation, z):
    return activation(z), activation.derivative(z), activation.pullback(z, z)


@every_activation
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_dtype_and_shape_are_kept(activation, dtype):
    with jax.enable_x64(dtype == "float64"):
        for shape in ((3,), (2, 3), (0, 3)):
            z = jnp.zeros(shape, dtype)
            value, slope, product = jax.eval_shape(functools.partial(all_three, activation), z)
            assert value.dtype == slope.dtype == product.dtype == z.dtype
            assert value.shape == product.shape == shape
            assert slope.shape == (shape if activation.elementwise else (*shape, 3))


@pytest.mark.exact
@every_activation
def test_jit_is_eager_and_vmap_is_a_loop(activation):
    function = functools.partial(all_three, activation)
    with jax.enable_x64(True):
        Z = 3 * jax.random.normal(jax.random.key(0), (3, 4))
        loop = [np.stack(results) for results in zip(*map(function, Z), strict=True)]
        for others in (jax.jit(jax.vmap(function))(Z), function(Z)):
            for other, want in zip(others, loop, strict=True):
                np.testing.assert_allclose(other, want, rtol=1e-12, atol=1e-15)


logits = st.lists(st.floats(-100, 100, width=32), min_size=5, max_size=5)
repeatable = settings(derandomize=True, deadline=None, max_examples=50)


@pytest.mark.exact
@repeatable
@given(logits)
def test_softmax_is_exact_and_does_not_see_a_shift(z):
    powers = [exact.exp(exact.mpf(x) - max(z)) for x in z]
    want, v = np.array([float(p / sum(powers)) for p in powers]), np.arange(1.0, 6)
    with jax.enable_x64(True):
        z, softmax = jnp.array(z), activations.softmax
        np.testing.assert_allclose(softmax(z), want, rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(softmax(z + 64), want, rtol=1e-12)
        np.testing.assert_allclose(softmax.derivative(z), np.diag(want) - np.outer(want, want), atol=1e-15)
        np.testing.assert_allclose(softmax.pullback(z, jnp.array(v)), want * (v - want @ v), atol=1e-14)
        np.testing.assert_allclose(softmax.pullback(z, jnp.ones(5)), 0, atol=1e-15)


@pytest.mark.exact
@both_dtypes
def test_softmax_of_huge_numbers(dtype):
    function = jax.jit(functools.partial(all_three, activations.softmax))
    with jax.enable_x64(dtype == "float64"):
        for z, want in (([1e30, -1e30, 0.0], [1, 0, 0]), ([1e30, 1e30, -1e30], [0.5, 0.5, 0]), ([-1e30] * 2 + [0], [0, 0, 1])):
            value, slope, product = function(jnp.array(z, dtype))
            np.testing.assert_array_equal(value, want)
            np.testing.assert_array_equal(slope, np.diag(want) - np.outer(want, want))
            np.testing.assert_array_equal(product, want * (np.array(z, dtype) - want @ np.array(z, dtype)))


@pytest.mark.exact
def test_softmax_tail_keeps_its_digits():
    z, small = jnp.array([0.0, 40.0]), 4.2483543e-18
    np.testing.assert_allclose(activations.softmax(z)[0], small, rtol=5e-7)
    np.testing.assert_allclose(activations.softmax.derivative(z)[0], [small, -small], rtol=5e-7)


def test_hyper_parameters_keep_the_dtype_and_can_be_swept():
    z = jnp.array([-2.0, 3.0], jnp.bfloat16)
    for slope in (np.float64(0.5), np.float32(0.5), 0.5):
        assert activations.leaky_relu.configure(slope=slope)(z).dtype == jnp.bfloat16
    slopes = jax.vmap(lambda alpha: activations.elu.configure(alpha=alpha).derivative(jnp.array([-1.0, 1.0])))
    swept = slopes(jnp.array([0.5, 2.0]))
    np.testing.assert_allclose(swept, [[0.5 * np.exp(-1), 1], [2 * np.exp(-1), 1]], rtol=1e-6)
    assert repr(activations.elu.configure(alpha=2)) == "elu(alpha=2.0)" and repr(activations.relu) == "relu"
    assert activations.elu.parameters == {"alpha": 1.0}  # the original stays as it was


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: activations.relu(jnp.arange(3)), TypeError,
     "z must hold real floating-point numbers, got int32; convert it with z.astype(float)"),
    (lambda: activations.tanh.derivative([1, 2]), TypeError, "z must hold real floating-point numbers, got int64"),
    (lambda: activations.softmax(jnp.array([True])), TypeError, "z must hold real floating-point numbers, got bool"),
    (lambda: activations.tanh(jnp.array([1j])), TypeError, "got complex64; take its real and imaginary parts apart"),
    (lambda: activations.relu.configure(slope=0.1), TypeError, "relu has no hyper-parameter 'slope'; it has none"),
    (lambda: activations.elu.configure(slope=0.1), TypeError, "elu has no hyper-parameter 'slope'; it has alpha"),
    (lambda: activations.elu.configure(alpha=-1), ValueError, "elu's alpha must be a number from 0 to 1e+30, got -1"),
    (lambda: activations.elu.configure(alpha=np.nan), ValueError, "elu's alpha must be a number from 0 to 1e+30, got nan"),
    (lambda: activations.elu.configure(alpha="1"), TypeError, "elu's alpha must be a number from 0 to 1e+30, got '1'"),
    (lambda: activations.leaky_relu.configure(slope=1.5), ValueError,
     "leaky_relu's slope must be a number from -1e+30 to 1, got 1.5"),
    (lambda: activations.get("sigmiod"), ValueError, "unknown activation 'sigmiod'; did you mean 'sigmoid'? There are: linear, "
     "step, sigmoid, tanh, relu, leaky_relu, elu, softplus, gelu, silu, softmax"),
    (lambda: activations.get("leakyrelu"), ValueError, "did you mean 'leaky_relu'?"),
    (lambda: activations.get("zzz"), ValueError, "unknown activation 'zzz'. There are: linear, step"),
    (lambda: activations.get(["relu"]), ValueError, "unknown activation ['relu']; did you mean 'relu'?"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_every_activation_has_a_law_and_a_name():
    assert set(LAWS) == {name for name, activation in ACTIVATIONS.items() if activation.elementwise}
    for name, activation in ACTIVATIONS.items():
        assert activations.get(name) is activation is getattr(activations, name) is activations.get(activation)
        assert name in activations.__all__ and activation.name == name
        assert activation.limits.keys() == activation.parameters.keys()


@every_activation
def test_the_record_of_an_activation_is_true(activation):
    """`elementwise`, `kink`, `straight` and `trains` say what the functions do."""
    with jax.enable_x64(True):
        z = jnp.linspace(0.5, 4.0, 8)
        sides = [activation.derivative(side * z) for side in (1, -1)]
        assert (sides[0].ndim == 1) == activation.elementwise
        assert activation.trains == any(bool((slopes != 0).any()) for slopes in sides)
        if activation.elementwise:
            assert activation.straight == all(np.ptp(np.asarray(slopes)) == 0 for slopes in sides)
            before, after = (tuple(map(float, all_three(activation, jnp.float64(at))))[:2] for at in (-1e-9, 1e-9))
            jumps = [abs(a - b) > 1e-6 for a, b in zip(before, after, strict=True)]
            kink = "value" if jumps[0] else "slope" if jumps[1] else None
            smooth_by_setting = activation.name == "elu" and activation.parameters["alpha"] == 1
            assert kink == activation.kink or (kink is None and smooth_by_setting)
        assert activation.init in initializers.INITIALIZERS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_curvature_is_the_derivative_of_the_derivative(name):
    """In float64 at points on both sides, but for kinks; far out it is finite."""
    activation = ACTIVATIONS[name]
    if not activation.straight and activation.curvature is None:
        pytest.skip("its second derivative is not known, which it need not be")
    with jax.enable_x64(True):
        z, u, v = np.random.default_rng(0).normal(size=(3, 64)) * 3

        @jax.jit
        def both(z, u, v):
            return activation.bend(z, u, v), jax.jvp(lambda z: activation.pullback(z, v), (z,), (u,))[1]

        got, wanted = both(z, u, v)
        assert float(jnp.linalg.norm(got - wanted)) <= 1e-14 * float(jnp.linalg.norm(wanted))
    far = jnp.array([-1e30, -1e4, -100.0, 100.0, 1e4, 1e30])
    assert jnp.isfinite(activation.bend(far, jnp.ones(6), jnp.ones(6))).all()
