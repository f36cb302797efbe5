"""check_rule: every kind of rule that people write, right and wrong, alone and in other surroundings."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.verify import check_gradients, check_rule
from tests.slow import few

X = np.array([0.3, -1.7, 2.2])


def ruled(primal, backward, **options):
    """A custom_vjp whose backward pass takes (cotangent, *args)."""
    f = jax.custom_vjp(primal, **options)
    f.defvjp(lambda *args: (f(*args), args), lambda args, g: backward(g, *args))
    return f


def found(report):
    return [(fault.leaf, fault.cause) for fault in report.faults]


# --- a pair in NumPy, one row an example

def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def back(g, x):
    s = softmax(x)
    return s * (g - (g * s).sum(axis=1, keepdims=True))


ROWS = np.random.default_rng(0).normal(size=(5, 4))


@pytest.mark.parametrize(("backward", "cause"), [
    (back, None), (lambda g, x: g * softmax(x) * (1 - softmax(x)), "cross terms forgotten"), (lambda g, x: 2 * back(g, x), "factor"),
    (lambda g, x: g, "cotangent passed on"), (lambda g, x: back(np.ones_like(g), x), "zero")])
def test_a_pair_in_numpy_is_checked_by_differences(backward, cause):
    report = check_rule(softmax, backward, ROWS)
    assert found(report) == ([("args[0]", cause)] if cause else []) and list(report.bounds) == ["fd"], str(report)


def test_integers_names_and_functions_are_no_arguments_to_differentiate_by():
    def forward(z, labels, how):
        assert labels.dtype == int and how == "mean"
        return np.array([np.log(np.exp(row).sum()) - row[label] for row, label in zip(z, labels, strict=True)])

    def backward(g, z, labels, how):
        e = np.exp(z)
        return g[:, None] * (e / e.sum(1, keepdims=True) - np.eye(4)[labels])

    labels = np.array([0, 3, 1, 1, 2])
    assert check_rule(forward, backward, ROWS, labels, "mean")
    assert check_rule(forward, lambda *args: (backward(*args), None, None), ROWS, labels, "mean")
    assert found(check_rule(forward, lambda *args: -backward(*args), ROWS, labels, "mean")) == [("args[0]", "sign")]


def test_several_outputs_and_trees_of_arguments():
    def forward(p, x):
        return {"h": jnp.tanh(p["w"] * x), "n": jnp.sum(p["b"] * x), "count": 3}

    def backward(g, p, x, times=1.0):
        d = g["h"] * (1 - np.tanh(p["w"] * x) ** 2)
        return {"w": d * x, "b": times * g["n"] * x}, d * p["w"] + g["n"] * p["b"]

    p = {"w": X + 1, "b": X - 1}
    assert check_rule(forward, backward, p, X)
    assert found(check_rule(forward, partial(backward, times=-1.0), p, X)) == [("args[0]['b']", "sign")]


# --- custom rules

@pytest.mark.slow
def test_a_safe_norm_at_zero_is_a_convention():
    """There the derivative of the root is NaN, which is why people write the rule."""
    norm = ruled(lambda x: jnp.sqrt(jnp.sum(x * x)), lambda g, x: (
        jnp.where(jnp.any(x != 0), g * x / jnp.maximum(jnp.sqrt(jnp.sum(x * x)), 1e-30), jnp.zeros_like(x)),))
    report = check_rule(norm, None, np.zeros(3))
    assert report and "is nan here, and the rule gives 0: a convention" in report.notes[0]
    doubled = ruled(lambda x: jnp.sqrt(jnp.sum(x * x)), lambda g, x: (
        jnp.where(jnp.any(x != 0), 2 * g * x / jnp.maximum(jnp.sqrt(jnp.sum(x * x)), 1e-30), jnp.zeros_like(x)),))
    assert found(check_rule(doubled, None, np.zeros(3))) == [("args[0]", "factor")]


CLIP = partial(jax.custom_vjp, nondiff_argnums=(0,))(lambda limit, x: x)
CLIP.defvjp(lambda limit, x: (x, None), lambda limit, _, g: (jnp.clip(g, -limit, limit),))
ROUND = ruled(lambda x: jnp.round(x), lambda g, x: (g,))
SIN = ruled(lambda x, y: jnp.sin(x) * y, lambda g, x, y: (jnp.cos(x) * g * y, jnp.sin(x) * g))
TURNED = ruled(lambda x, y: jnp.sin(x) * y, lambda g, x, y: (jnp.cos(x) * g * y, -jnp.sin(x) * g))
LABEL = ruled(lambda z, label: jax.nn.logsumexp(z) - z[label],
              lambda g, z, label: (g * (jax.nn.softmax(z) - jax.nn.one_hot(label, z.size)), None))
PAIR = ruled(lambda x: (jnp.sin(x), jnp.cos(x)), lambda g, x: (g[0] * jnp.cos(x) - g[1] * jnp.sin(x),))


@pytest.mark.parametrize(("forward", "args", "faults"), few([
    (CLIP, (0.5, X), [("args[1]", "clipped")]), (lambda x: CLIP(0.5, x), (X,), [("args[0]", "clipped")]),
    (ROUND, (X,), [("args[0]", "cotangent passed on")]), (SIN, (X, X + 1), []), (TURNED, (X, X + 1), [("args[1]", "sign")]),
    (jax.jit(TURNED), (X, X + 1), [("args[1]", "sign")]), (LABEL, (X, 1), []), (PAIR, (X,), [])], 0, 2, 4, 7))
def test_custom_rules_of_every_kind(forward, args, faults):
    with jax.numpy_dtype_promotion("standard"):
        assert found(check_rule(forward, None, *args)) == faults


def test_of_a_decorated_function_every_argument_is_examined():
    """The rule for y is wrong; that for params is not."""
    report = check_gradients(TURNED, None, 2.0, 3.0)
    assert found(report) == [("args[0]", "sign")] and [leaf.path for leaf in report.leaves] == ["params", "args[0]"]


@pytest.mark.slow
def test_a_rule_that_is_right_alone_and_wrong_in_company():
    """Two that look at how they are used: at the size of what they get, and at whether two arguments are one."""
    def backward(g, x, y):
        same = jnp.all(x == y)
        return g * y, jnp.where(same, 0.0, 1.0) * g * x

    report = check_rule(ruled(lambda x, y: x * y, backward), None, X, X + 1)
    (fault,) = report.faults
    assert "where one array is passed for all arguments" in fault.message
    assert check_rule(ruled(lambda x, y: x * y, lambda g, x, y: (g * y, g * x)), None, X, X + 1)


def test_a_rule_that_cannot_be_used_in_company_is_noted():
    def backward(g, x):
        return (g * np.cos(np.asarray(x)),)  # NumPy, which nothing can trace

    report = check_rule(ruled(jnp.sin, backward), None, X)
    assert report and any("cannot be used under" in note and "jit" in note for note in report.notes), report.notes


def test_a_wrong_rule_inside_a_function_does_not_serve_as_reference():
    """A product whose rule gives zeros for the vector."""
    product = ruled(lambda m, v: m @ v, lambda g, m, v: (jnp.outer(g, v), jnp.zeros_like(v)))
    p = {"a": ROWS[:3, :3], "b": ROWS[1:4, :3]}

    def f(p, x):
        return jnp.sum(product(p["b"], jnp.tanh(product(p["a"], x))))

    report = check_gradients(f, jax.grad(f), p, X)
    assert [fault.leaf for fault in report.faults] == ["['a']"] and any("contains the custom rule" in note for note in report.notes)
    right = jax.grad(lambda p, x: jnp.sum(p["b"] @ jnp.tanh(p["a"] @ x)))
    assert check_gradients(f, right, p, X)


@pytest.mark.parametrize(("forward", "backward", "args", "words"), [
    (jnp.sin, None, (X,), r"jax\.custom_vjp"), (ruled(jnp.round, lambda g, x: (g,)), None, (X,), "cannot be traced by JAX: "), (jnp.sin, lambda g, x: g, (3,), "must hold an array of floats"),
    (lambda x: "no", lambda g, x: g, (X,), "must return an array of floats"),
    (jnp.add, lambda g, x, y: (g, g, g), (X, X), "one gradient for each of the 2 arguments, got 3")])
def test_what_cannot_be_checked(forward, backward, args, words):
    with pytest.raises((TypeError, ValueError), match=words):
        check_rule(forward, backward, *args)


# --- a forward function that keeps what backward needs

def normed(x, gain):
    """As courses write a layer: the output, and a cache for the way back."""
    size = np.sqrt((x**2).mean(axis=1, keepdims=True))
    return gain * x / size, (x, gain, size)


def normed_back(dout, cache, power=3):
    x, gain, size = cache
    dx = gain * dout / size - x * (gain * dout * x).mean(axis=1, keepdims=True) / size**power
    return dx, (dout * x / size).sum(axis=0)


def sine(x, w):
    return jnp.sin(x) @ w, (x, w)


GAIN, MATRIX = np.array([0.5, -1.0, 2.0, 1.5]), np.random.default_rng(1).normal(size=(4, 2))


@pytest.mark.parametrize(("forward", "backward"), [
    (normed, normed_back), (sine, lambda res, g: (jnp.cos(res[0]) * (g @ res[1].T), jnp.sin(res[0]).T @ g)),
    (lambda x, w: (np.maximum(x, 0), x > 0), lambda dout, mask: (dout * mask, 0 * MATRIX))], ids=["NumPy", "JAX", "a mask"])
def test_a_cache_goes_from_forward_to_backward(forward, backward):
    args = (ROWS, GAIN) if forward is normed else (ROWS, MATRIX)
    assert check_rule(forward, backward, *args)
    if forward is normed:
        wrong = check_rule(forward, lambda dout, cache: normed_back(dout, cache, power=2), *args)
        assert [fault.leaf for fault in wrong.faults] == ["args[0]"]


def test_a_rule_that_takes_any_arguments_gets_them_all():
    assert check_rule(jnp.sin, lambda g, *args: g * jnp.cos(args[0]), X)
    assert check_rule(jnp.sin, lambda g, x=None: g * jnp.cos(x), X)


def test_of_one_argument_the_name_tells_a_cache():
    assert check_rule(lambda x: (np.maximum(x, 0), x), lambda dout, cache: dout * (cache > 0), ROWS)
    assert check_rule(lambda x: (jnp.sin(x), jnp.cos(x)), lambda g, x: g[0] * jnp.cos(x) - g[1] * jnp.sin(x), ROWS)


class Tanh:
    """A layer that keeps its forward pass."""

    def forward(self, x):
        self.a = np.tanh(x)
        return self.a

    def backward(self, dout):
        return dout * (1 - self.a**2)


def test_an_object_keeps_its_forward_pass():
    layer = Tanh()
    assert check_rule(layer.forward, layer.backward, ROWS)
    assert not check_rule(layer.forward, lambda dout: dout * (1 - layer.a), ROWS)
