"""Losses of one example: value and gradient against exact arithmetic, `jax.grad` and optax, at kinks and far out (N11)."""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

from functional_nn import activations, losses
from functional_nn.losses import FUSED, LOSSES

pytestmark = pytest.mark.exact

exact = mpmath.mp.clone()
exact.dps = 50
POWERS = [10.0**k for k in range(-30, 31)]
RESIDUALS = [0.0, *POWERS, 0.25, 0.5, 0.75, 1.5, 2.0, 3.0, 10.5, 20.0, 90.0, 700.0]
REAL = [pair for r in RESIDUALS for pair in ((r, 0.0), (0.0, r), (-r, r), (2 * r, r), (-2 * r, -r))]
SIGNED = [(sign * a, y) for a in [*RESIDUALS, 1 - 2.0**-20, 1 + 2.0**-20] for sign in (1, -1) for y in (1.0, -1.0)]
CHANCES = [1.0, *POWERS[:30], *(1 - 2.0**-k for k in range(1, 24))]
CLASSES = [(p, y) for p in CHANCES for y in (0.0, 0.25, 0.3, 1e-10)] + [(0.0, 0.0)]
BINARY = [(p, y) for p, y in CLASSES if p < 1] + [(p, 1.0) for p in CHANCES]


@dataclasses.dataclass
class Law:
    """A loss of one output, exactly; whether outputs are summed; (a, y) to try; the optax twin; the gradient's largest term."""

    value: Callable
    gradient: Callable
    sums: bool = False
    pairs: list = dataclasses.field(default_factory=lambda: REAL)
    twin: Callable | None = None
    size: Callable = lambda a, y: 0


def sign(r):
    return (r > 0) - (r < 0)


def log_cosh(r):
    if abs(r) < 1:
        return exact.log1p(2 * exact.sinh(r / 2) ** 2)
    return abs(r) + exact.log1p(exact.exp(-2 * abs(r))) - exact.log(2)


def minus_times_log(y, p):
    return -y * exact.log(p) if y else 0


def ratio(y, p):
    return y / p if y else 0


def huber(delta):
    return Law(lambda a, y: (a - y) ** 2 / 2 if abs(a - y) <= delta else delta * (abs(a - y) - exact.mpf(delta) / 2),
               lambda a, y: max(-delta, min(a - y, delta)), twin=lambda a, y: optax.huber_loss(a, y, delta=delta))


def quantile(tau):
    return Law(lambda a, y: tau * (y - a) if a < y else (1 - exact.mpf(tau)) * (a - y),
               lambda a, y: -tau if a < y else (1 - exact.mpf(tau)) * (a > y))


def epsilon_insensitive(epsilon):
    return Law(lambda a, y: max(0, abs(a - y) - epsilon), lambda a, y: sign(a - y) * (abs(a - y) > epsilon))


LAWS = {
    "quadratic": Law(lambda a, y: (a - y) ** 2 / 2, lambda a, y: a - y, True, twin=optax.l2_loss),
    "squared_error": Law(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y), True, twin=optax.squared_error),
    "mse": Law(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y), twin=optax.squared_error),
    "mae": Law(lambda a, y: abs(a - y), lambda a, y: sign(a - y)),
    "huber": huber(1.0),
    "log_cosh": Law(lambda a, y: log_cosh(a - y), lambda a, y: exact.tanh(a - y), twin=optax.log_cosh),
    "quantile": quantile(0.5),
    "epsilon_insensitive": epsilon_insensitive(1.0),
    "binary_cross_entropy": Law(
        lambda a, y: minus_times_log(y, a) + minus_times_log(1 - y, 1 - a), lambda a, y: ratio(1 - y, 1 - a) - ratio(y, a),
        True, BINARY, size=lambda a, y: max(ratio(1 - y, 1 - a), ratio(y, a))),
    "cross_entropy": Law(lambda a, y: minus_times_log(y, a), lambda a, y: -ratio(y, a), True, CLASSES),
    "hinge": Law(lambda a, y: max(0, 1 - y * a), lambda a, y: -y * (y * a < 1), pairs=SIGNED, twin=optax.hinge_loss),
}
VARIANTS = {
    "huber(delta=0.25)": (losses.huber.configure(delta=0.25), huber(0.25)),
    "huber(delta=10)": (losses.huber.configure(delta=10), huber(10)),
    "quantile(tau=0.9)": (losses.quantile.configure(tau=0.9), quantile(0.9)),
    "quantile(tau=0)": (losses.quantile.configure(tau=0), quantile(0)),
    "epsilon=0": (losses.epsilon_insensitive.configure(epsilon=0), epsilon_insensitive(0)),
    "epsilon=0.25": (losses.epsilon_insensitive.configure(epsilon=0.25), epsilon_insensitive(0.25)),
}
CASES = {name: (LOSSES[name], law) for name, law in LAWS.items()} | VARIANTS
def both(loss, a, y):
    return loss(a, y), loss.gradient(a, y)


every_case = pytest.mark.parametrize("name", CASES)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def assert_close(got, want, sizes, dtype, points, ulp=6):
    """|got − want| ≤ 6 u · size; inf where twice the exact number is beyond the dtype, and near 0 within 2 · its smallest."""
    limits = jnp.finfo(dtype)
    for point, a, b, size in zip(points, np.asarray(got, np.float64).tolist(), want, sizes, strict=True):
        bound = ulp * float(limits.eps) * max(abs(b), size) + 2 * float(limits.tiny)
        beyond = 2 * abs(b) > float(limits.max) and a == np.inf * sign(b)
        assert beyond or abs(exact.mpf(a) - b) <= bound, f"{point}: {a}, exactly {exact.nstr(exact.mpf(b), 17)}"


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


TWINS_OF_HEADS = {
    "cross_entropy": optax.softmax_cross_entropy,
    "binary_cross_entropy": lambda z, y: jnp.sum(optax.sigmoid_binary_cross_entropy(z, y)),
    "quadratic": lambda z, y: jnp.sum(optax.l2_loss(z, y)),
}
every_head = pytest.mark.parametrize(("output", "loss"), FUSED)


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


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.int64, int, jnp.int32])
def test_a_label_is_its_unit_vector(kind):
    p, loss = jax.nn.softmax(jnp.linspace(-2.0, 2.0, 10)), losses.cross_entropy
    for label in (0, 5, 9):
        np.testing.assert_array_equal(loss(p, kind(label)), loss(p, np.eye(10)[label]))
        np.testing.assert_array_equal(loss.gradient(p, kind(label)), loss.gradient(p, np.eye(10)[label]))


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


def test_hyper_parameters_are_swept_and_shown():
    gradients = jax.vmap(lambda tau: losses.quantile.configure(tau=tau).gradient(jnp.array([1.0]), jnp.array([3.0])))
    np.testing.assert_allclose(gradients(jnp.array([0.1, 0.9])), [[-0.1], [-0.9]], rtol=1e-6)
    assert repr(losses.huber.configure(delta=2)) == "huber(delta=2.0)" and repr(losses.mse) == "mse"
    assert losses.huber.configure(delta=np.float64(2))(jnp.ones(2, jnp.bfloat16), jnp.zeros(2)).dtype == jnp.bfloat16


P = jnp.full(10, 0.1)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: losses.cross_entropy(P, -1), ValueError, "target must hold classes from 0 to 9 for 10 outputs, got target = -1"),
    (lambda: losses.cross_entropy.gradient(P, 10), ValueError, "from 0 to 9 for 10 outputs, got target = 10"),
    (lambda: losses.cross_entropy(P, 3.0), ValueError, "shape (10,) or one integer class, got float32 of shape ()"),
    (lambda: losses.quadratic(P, 3), ValueError, "target must have the prediction's shape (10,), got int64 of shape ()"),
    (lambda: losses.huber(P, P[:9]), ValueError, "target must have the prediction's shape (10,), got float32 of shape (9,)"),
    (lambda: losses.mse(P[:, None], P), ValueError, "ONE example, a vector, got shape (10, 1); use jax.vmap for a batch"),
    (lambda: losses.mse(P, P[:, None]), ValueError, "got float32 of shape (10, 1); a loss takes ONE example, so use jax.vmap"),
    (lambda: losses.mae(jnp.arange(3), P[:3]), TypeError, "prediction must hold real floating-point numbers, got int32"),
    (lambda: losses.quantile.configure(tau=1.5), ValueError, "quantile's tau must be a number from 0 to 1, got 1.5"),
    (lambda: losses.huber.configure(delta=-1), ValueError, "huber's delta must be a number from 1e-30 to 1e+30, got -1"),
    (lambda: losses.epsilon_insensitive.configure(epsilon=-1), ValueError, "epsilon must be a number from 0 to 1e+30, got -1"),
    (lambda: losses.huber.configure(delta=np.inf), ValueError, "got inf"),
    (lambda: losses.mse.configure(delta=0.5), TypeError, "mse has no hyper-parameter 'delta'; it has none"),
    (lambda: losses.get("crossentropy"), ValueError, "unknown loss 'crossentropy'; did you mean 'cross_entropy'? There are: "
     "quadratic, squared_error, mse, mae, huber, log_cosh, quantile, epsilon_insensitive, binary_cross_entropy, cross_ent"),
    (lambda: losses.get(optax.l2_loss), ValueError, "unknown loss <"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_every_loss_has_a_law_and_a_name():
    assert set(LAWS) == set(LOSSES) and {loss for _, loss in FUSED} == set(TWINS_OF_HEADS)
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
            a, y = 3 * random.normal(size=(2, 6))
        hessian = jax.hessian(loss)(a, y)
        np.testing.assert_allclose(np.diag(loss.curvature(a, y, **loss.parameters)), hessian, rtol=1e-12, atol=1e-15)
        slope = -loss.gradient(a, y) if loss.residual else loss.target_slope(a, y, **loss.parameters)
        np.testing.assert_allclose(slope, jax.grad(loss, argnums=1)(a, y), rtol=1e-12, atol=1e-15)


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
