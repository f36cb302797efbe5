"""Excuses: kinks, rounding and chance are told from mistakes, and no mistake is excused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.verify import check_gradients
from tests.slow import few

REFERENCES = ("autodiff", "forward", "fd")
each_reference = pytest.mark.parametrize("reference", REFERENCES)


def absolute(w):
    return jnp.sum(jnp.abs(w) * jnp.arange(1.0, w.size + 1))


def absolute_gradient(w, at_zero):
    return np.where(w == 0, at_zero, np.sign(w)) * np.arange(1.0, w.size + 1)


@pytest.mark.slow
@each_reference
@settings(max_examples=15, derandomize=True, deadline=None)
@given(at_zero=st.floats(-3, 3).filter(lambda c: abs(abs(c) - 1) > 0.01), zeros=st.sets(st.integers(0, 6), min_size=1))
def test_between_the_one_sided_derivatives_is_a_convention_and_outside_is_a_mistake(reference, at_zero, zeros):
    params = np.linspace(-2.0, 3.0, 7)
    params[list(zeros)] = 0.0
    report = check_gradients(absolute, lambda w: absolute_gradient(w, at_zero), params, reference=reference)
    assert bool(report) == (abs(at_zero) < 1)
    if report:
        if reference == "fd" and abs(at_zero) < 1e-6:
            return  # central differences give 0 as well
        assert len(report.notes) == 1 and "kink at params[" in report.notes[0]
        assert "one-sided derivatives -" in report.notes[0] and "a convention, not a mistake" in report.notes[0]
    else:
        assert "outside both" in report.faults[0].message and report.faults[0].cause == "unexplained"
        assert report.faults[0].index[0] in zeros


@each_reference
def test_a_mistake_at_a_kink_that_shows_elsewhere_too_is_no_convention(reference):
    """Between both derivatives at the kink, and wrong beside it."""
    params = np.array([1.0, 0.0, -2.0, 0.0])
    report = check_gradients(absolute, lambda w: 0.5 * absolute_gradient(w, 1.0), params, reference=reference)
    assert not report
    only = check_gradients(absolute, lambda w: 0.5 * absolute_gradient(w, 1.0), np.zeros(4), reference=reference)
    assert not only  # at every kink between, but wrong a jitter away


@pytest.mark.parametrize("reference", few(REFERENCES, "autodiff"))
def test_conventions_of_relu_and_of_ties(reference):
    """z ≥ 0 for z > 0 in a layer with dead and zero units, in every leaf; the first of two maxima."""
    def f(p, x):
        return jnp.sum(p["v"] * jax.nn.relu(p["w"] @ x + p["b"])) ** 2

    def manual(p, x, at_zero):
        z = p["w"] @ x + p["b"]
        a, on = np.maximum(z, 0), np.where(z == 0, at_zero, z > 0)
        top = 2 * np.sum(p["v"] * a)
        return {"w": np.outer(top * p["v"] * on, x), "b": top * p["v"] * on, "v": top * a}

    random = np.random.default_rng(0)
    params = {"w": random.normal(size=(5, 3)), "b": np.zeros(5), "v": random.normal(size=5)}
    params["w"][2] = params["w"][4] = 0.0
    x = params["w"][0] + 0.1  # unit 0 is on
    for at_zero, right in ((0.0, True), (0.4, True), (1.0, True), (1.5, False)):
        report = check_gradients(f, lambda p, x, c=at_zero: manual(p, x, c), params, x, reference=reference)
        assert bool(report) == right, at_zero
    tie = jnp.array([3.0, 1.0, 3.0, 2.0, 3.0])
    first = check_gradients(jnp.max, lambda w: np.eye(5)[np.argmax(w)], tie, reference=reference)
    assert first and any("kink at params[" in note for note in first.notes)
    assert not check_gradients(jnp.max, lambda w: 2 * np.eye(5)[np.argmax(w)], tie, reference=reference)


@pytest.mark.slow
def test_every_unit_of_a_batch_at_its_kink():
    """Zero weights: all examples' z are 0, so that an entry's derivative gathers many kinks; against jax.grad."""
    random = np.random.default_rng(0)
    X, v = random.normal(size=(20, 4)), random.normal(size=6)

    def f(p):
        return jnp.mean((jax.nn.relu(X @ p["w"] + p["b"][None]) @ v - jnp.sin(X[:, 0])) ** 2)

    def manual(p, at_zero):
        z = X @ p["w"] + p["b"]
        error = np.maximum(z, 0) @ v - np.sin(X[:, 0])
        d = np.outer(2 * error / len(X), v) * np.where(z == 0, at_zero, z > 0)
        return {"w": X.T @ d, "b": d.sum(0)}

    params = {"w": np.zeros((4, 6)), "b": np.zeros(6)}
    for at_zero, right in ((0.0, True), (0.5, True), (1.0, True), (1.3, False), (-0.5, False)):
        assert bool(check_gradients(f, lambda p, c=at_zero: manual(p, c), params)) == right, at_zero


@pytest.mark.slow
@settings(max_examples=25, derandomize=True, deadline=None)
@given(near=st.lists(st.floats(-15, -2), min_size=1, max_size=6), signs=st.integers(0, 63))
def test_central_differences_over_a_near_kink_raise_no_false_alarm(near, signs):
    """Kinks from 1e-15 to 0.01 away: exact derivatives pass, and wrong ones do not."""
    params = np.array([(1 if signs >> i & 1 else -1) * 10.0**exponent for i, exponent in enumerate(near)] + [1.0])
    assert check_gradients(absolute, lambda w: absolute_gradient(w, 0.0), params, reference="fd")
    assert not check_gradients(absolute, lambda w: 1.01 * absolute_gradient(w, 0.0), params, reference="fd")
    assert not check_gradients(absolute, lambda w: -absolute_gradient(w, 0.0), params, reference="fd")


def test_central_differences_of_a_sharp_bend_take_smaller_steps():
    def f(w):
        return jnp.sum(jnp.tanh(1e5 * w) / 1e5)

    params = np.array([3e-6, -1e-5, 0.3])
    report = check_gradients(f, lambda w: 1 / np.cosh(np.clip(1e5 * w, -300, 300)) ** 2, params, reference="fd")
    assert report and "smaller steps" in report.notes[0]
    assert not check_gradients(f, lambda w: 0.9 / np.cosh(np.clip(1e5 * w, -300, 300)) ** 2, params, reference="fd")


def rounding_case():
    def f(p, x):
        return jnp.sum(jnp.tanh(p["w"] @ x + p["b"]) ** 2)

    def manual(p, x, dtype="float64", factor=1.0):
        w, b, x = (jnp.asarray(part, dtype) for part in (p["w"], p["b"], x))
        a = jnp.tanh(w @ x + b)
        d = 2 * a * (1 - a * a) * jnp.asarray(factor, dtype)
        return {"w": jnp.outer(d, x), "b": d}

    random = np.random.default_rng(1)
    return f, manual, {"w": random.normal(size=(6, 4)) / 2, "b": random.normal(size=6)}, random.normal(size=4)


@pytest.mark.parametrize(("dtype", "visible", "reference"), few([
    ("float32", 1e-4, "autodiff"), ("float16", 0.5, "fd"), ("bfloat16", 0.9, "autodiff"), ("float16", 0.5, "autodiff"),
    ("float32", 1e-4, "fd")], 0, 1, 2))
def test_rounding_to_the_gradient_s_own_dtype_is_no_mistake(dtype, visible, reference):
    f, manual, params, x = rounding_case()
    report = check_gradients(f, lambda p, x: manual(p, x, dtype), params, x, reference=reference)
    assert report
    if reference == "autodiff":
        assert report.notes[0].startswith(f"rounding, not a mistake: the gradient came in {dtype}, and ['b'], ['w'] is off by")
    wrong = check_gradients(f, lambda p, x: manual(p, x, dtype, 1 + visible), params, x, reference=reference)
    assert len(wrong.faults) == 2 and not any("rounding" in note for note in wrong.notes)


@pytest.mark.parametrize("reference", few(REFERENCES, "autodiff"))
def test_so_is_that_of_a_function_that_computes_in_float32(reference):
    """And a gradient in float64 is not blamed for it."""
    f, manual, params, x = rounding_case()

    def narrow(p, x):
        return f(*jax.tree.map(lambda leaf: jnp.asarray(leaf, "float32"), (p, x)))

    report = check_gradients(narrow, manual, params, x, reference=reference)
    assert report and (reference == "fd" or "rounding, not a mistake: f came in float32" in report.notes[0])
    assert not check_gradients(narrow, lambda p, x: manual(p, x, factor=1.5), params, x, reference=reference)


def test_a_mistake_in_float32_is_still_named():
    f, manual, params, x = rounding_case()
    for factor, cause in ((-1.0, "sign"), (3.0, "factor"), (0.0, "zero")):
        report = check_gradients(f, lambda p, x, factor=factor: manual(p, x, "float32", factor), params, x)
        assert [fault.cause for fault in report.faults] == [cause, cause]


def test_float64_that_was_rounded_on_the_way_is_a_mistake():
    f, manual, params, x = rounding_case()
    report = check_gradients(f, lambda p, x: jax.tree.map(
        lambda g: g.astype("float64"), manual(p, x, "float32")), params, x)
    assert not report and all(fault.residual < 1e-5 for fault in report.faults)


def test_chance_is_the_only_accusation():
    """A gradient, or a function, that changes from call to call."""
    f, manual, params, x = rounding_case()
    random = np.random.default_rng(0)
    report = check_gradients(f, lambda p, x: {**manual(p, x), "b": 3 * manual(p, x)["b"] * random.normal()}, params, x)
    assert [(fault.cause, fault.leaf) for fault in report.faults] == [("not repeatable", "['b']")]
    assert "called twice with the same arguments, ['b'] differs by up to" in report.faults[0].message
    report = check_gradients(lambda p, x: f(p, x) + random.normal(), lambda p, x: manual(p, x, factor=7.0), params, x)
    assert [(fault.cause, fault.leaf) for fault in report.faults] == [("not repeatable", "")]
    assert "f is not repeatable" in str(report)
    shapes = iter([np.ones(2), np.ones(3), np.ones(2), np.ones(3)])
    assert "had shape" in check_gradients(jnp.sum, lambda w: next(shapes), np.ones(2)).faults[0].message
