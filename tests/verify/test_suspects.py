"""Causes in any function's gradient: planted mistakes are named, at other points too; the rest is unexplained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from functional_nn.verify import CAUSES, check_gradients
from tests.slow import few

SHAPES = {"w": (4, 3), "v": (4, 3), "square": (3, 3), "b": (4,), "s": ()}


def f(p):
    z = p["w"] @ p["square"] @ jnp.array([1.0, -0.5, 2.0]) + p["b"] * p["s"]
    return jnp.sum(jnp.tanh(z)) * p["s"] + jnp.sum(jnp.sin(p["v"])) + jnp.sum(p["b"] ** 3) + p["s"] ** 2


gradient = jax.grad(f)


def params(seed=0):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape) for name, shape in SHAPES.items()}


MEDIANS = {name: float(np.median(np.abs(g))) for name, g in gradient(params()).items()}
SPOILT = {
    "sign": lambda g, p: -g, "factor": lambda g, p: 0.3 * g, "zero": lambda g, p: 0 * g, "offset": lambda g, p: g + 0.25,
    "penalty added": lambda g, p: g + 0.01 * p}
ENTRIES = {
    "clipped": None, "rounded": lambda g, p: g.astype("float16").astype("float64"),
    "swapped entries": lambda g, p: g.ravel()[::-1].reshape(g.shape)}


def spoilt(leaf, how):
    return lambda p: {**(g := gradient(p)), leaf: how(np.asarray(g[leaf]), np.asarray(p[leaf]))}


@pytest.mark.parametrize("reference", few(["autodiff", "forward", "fd"], "autodiff"))
@pytest.mark.parametrize("leaf", few(SHAPES, 0, 2))
@pytest.mark.parametrize("cause", [*SPOILT, *ENTRIES])
def test_planted_mistakes_are_named(cause, leaf, reference):
    if leaf == "s" and cause in ENTRIES:
        return
    how = {**SPOILT, **ENTRIES}[cause] or (lambda g, p: np.clip(g, -MEDIANS[leaf], MEDIANS[leaf]))
    (fault,) = check_gradients(f, spoilt(leaf, how), params(), reference=reference).faults
    beyond = {"unexplained"} if (cause, reference) == ("rounded", "fd") else set()
    assert fault.leaf == f"['{leaf}']" and fault.cause in {cause} | beyond
    if fault.cause == cause:
        assert CAUSES[cause] in fault.message and f"expected df/d['{leaf}']" in fault.message
        assert f"worst at ['{leaf}']" in fault.message and fault.yours and fault.wanted == f"df/d['{leaf}']"
        assert {"factor": "0.3", "penalty added": "0.01 * p"}.get(cause, fault.value) == fault.value


def test_leaves_and_entries_that_have_changed_places():
    p = params()
    exchanged = check_gradients(f, lambda p: {**(g := gradient(p)), "w": g["v"], "v": g["w"]}, p)
    assert [(fault.leaf, fault.cause, fault.value) for fault in exchanged.faults] == [
        ("['v']", "exchanged leaves", "df/d['w']"), ("['w']", "exchanged leaves", "df/d['v']")]
    copied = check_gradients(f, lambda p: {**(g := gradient(p)), "w": g["v"]}, p)
    assert [fault.cause for fault in copied.faults] == ["another leaf's gradient"]
    for leaf, how in (("square", lambda g, p: g.T), ("w", lambda g, p: g.T.reshape(g.shape)),
                      ("w", lambda g, p: g.reshape(g.shape[::-1]).T)):
        assert [fault.cause for fault in check_gradients(f, spoilt(leaf, how), p).faults] == ["transposed"]


@pytest.mark.parametrize(("leaf", "how", "cause"), [
    ("b", lambda g: np.stack([g, 2 * g, -2 * g]), "missing reduction"),
    ("b", lambda g: np.stack([g, 2 * g, 0 * g], 1), "missing reduction"),
    ("b", lambda g: g[None], "wrong shape"), ("w", lambda g: g.ravel(), "wrong shape"), ("w", lambda g: g.T, "transposed"),
    ("w", lambda g: g.sum(0), "wrong axis"), ("w", lambda g: g.mean(1), "wrong axis"), ("b", lambda g: g.sum(), "wrong axis"),
    ("b", lambda g: g[:2], "unexplained"), ("w", lambda g: np.ones((2, 2)), "unexplained")])
def test_the_wrong_shape_is_explained_by_its_numbers(leaf, how, cause):
    report = check_gradients(f, lambda p: {**(g := gradient(p)), leaf: how(np.asarray(g[leaf]))}, params())
    (fault,) = report.faults
    assert (fault.site, fault.leaf, fault.cause) == ("structure", f"['{leaf}']", cause)
    assert sum(all(each.right.values()) for each in report.leaves) == 4


UNKNOWN = {
    "times 1 + p²": lambda g, p: g * (1 + p**2), "plus sin p": lambda g, p: g + 0.1 * np.sin(p), "times its cosh": lambda g, p: g * np.cosh(g),
    "half the entries": lambda g, p: np.where(np.arange(g.size).reshape(g.shape) % 2, g, 0.7 * g),
    "ones": lambda g, p: 1 + 0 * g,
    "noise": lambda g, p: g + np.cos(np.arange(g.size).reshape(g.shape) + g), "a slow drift": lambda g, p: g * (1 + 1e-3 * p)}


@pytest.mark.slow
@settings(max_examples=30, derandomize=True, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 1000), leaf=st.sampled_from(sorted(SHAPES)), kind=st.sampled_from(sorted(UNKNOWN)),
       reference=st.sampled_from(["autodiff", "forward", "fd"]))
def test_what_is_none_of_them_is_never_named(seed, leaf, kind, reference):
    if (leaf, kind) == ("s", "half the entries"):
        return  # of one entry, all: a factor
    (fault,) = check_gradients(f, spoilt(leaf, UNKNOWN[kind]), params(seed), reference=reference).faults
    units = kind == "half the entries" and fault.cause == "factor"  # a factor of each unit, which is so
    assert (fault.cause == "unexplained" or units) and fault.leaf == f"['{leaf}']"


def test_a_cause_must_fit_beside_the_point_too():
    """At p = 2 the gradient 2p is also p², 4, p + 2: nothing tells which but other points."""
    for manual in (lambda p: p**3, lambda p: 0 * p + 5.0, lambda p: p + 4.0):
        (fault,) = check_gradients(lambda p: p**2, manual, 2.0).faults
        assert fault.cause == "unexplained"
    assert check_gradients(lambda p: p**2, lambda p: 6 * p, 2.0).faults[0].value == "3"


def test_points_where_the_function_is_not_defined_are_left_out():
    near_zero = np.array([1e-3, 1.0, 2.0])  # beside it, log p may be NaN
    assert check_gradients(lambda p: jnp.sum(jnp.log(p)), lambda p: -1 / jnp.asarray(p), near_zero).faults[0].cause == "sign"

    def touchy(p):
        if not np.array_equal(p, near_zero):
            raise FloatingPointError("not here")
        return -1 / p

    assert check_gradients(lambda p: jnp.sum(jnp.log(p)), touchy, near_zero).faults[0].cause == "sign"
