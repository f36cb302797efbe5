"""One backward rule alone, against jax.vjp."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn import layers
from functional_nn.verify import check_layer, check_rule
from tests.slow import few

KINDS = [layers.dense(3, "relu"), layers.maxout(3, 4), layers.layer_norm(), layers.dropout(0.5),
         layers.residual(layers.dense(6, "tanh"), layers.dense(4, "gelu")),
         layers.residual(layers.layer_norm(), layers.maxout(4))]


@pytest.mark.parametrize("layer", few(KINDS, 0, 3, 5), ids=repr)
def test_every_layer_is_right(layer):
    assert check_layer(layer, 4, key=jax.random.key(1))


def test_dropout_without_a_key_is_right():
    assert check_layer(layers.dropout(0.5), 4)


@pytest.mark.parametrize(("layer", "n_in"), few([
    (layers.convolution(2, 2, "tanh"), (4, 3)), (layers.max_pool(2), (4, 4, 1)), (layers.embedding(4, 3), 5),
    (layers.attention(4, heads=2, causal=True), (3, 2)), (layers.gru(3), (3, 2))], 0, 2), ids=repr)
def test_a_layer_of_arrays_is_right(layer, n_in):
    assert check_layer(layer, n_in)


@pytest.mark.slow
def test_a_causal_mask_that_the_backward_pass_forgot_is_seen():
    """The error of the scores without the mask: as if every place had been attended to."""
    masked, free = (layers.attention(4, causal=causal) for causal in (True, False))

    def backward(params, saved, delta):
        forgetful = free.forward(params, saved[0], None)[1]
        return free.backward(params, forgetful, delta)

    wrong = dataclasses.replace(masked, backward=backward)
    assert {fault.leaf for fault in check_layer(wrong, (4, 3)).faults} == {*(f"params[{name!r}]" for name in "kqvo"), "input"}


@pytest.mark.parametrize(("n_in", "kind", "words"), [
    (0, ValueError, "n_in must be an integer of at least 1, got 0"), ((3, 0), ValueError, r"n_in\[1\] must be an integer of at least 1"),
    ("3", TypeError, "n_in must be an integer of at least 1, got '3'"), (3, ValueError, "attention takes a sequence")])
def test_a_size_that_is_none(n_in, kind, words):
    with pytest.raises(kind, match=words):
        check_layer(layers.attention(4), n_in)


@pytest.mark.parametrize(("change", "leaf", "cause"), [
    (lambda back, factors: (-back, factors), "input", "sign"),
    (lambda back, factors: (back, (2 * factors[0], factors[1])), "params['w']", "factor"),
    (lambda back, factors: (0 * back, factors), "input", "zero"),
])
def test_a_wrong_layer_is_named(change, leaf, cause):
    right = layers.dense(3)
    wrong = dataclasses.replace(right, backward=lambda params, saved, delta: change(*right.backward(params, saved, delta)))
    report = check_layer(wrong, 4)
    assert not report and (leaf, cause) in {(fault.leaf, fault.cause) for fault in report.faults}
    assert {fault.leaf for fault in report.faults} <= ({leaf} if leaf == "input" else {leaf, "params['b']"})


def test_a_pair_in_numpy():
    x, w = np.linspace(-1, 1, 4), np.ones((3, 4))
    forward = lambda w, x: jnp.tanh(w @ x)  # noqa: E731

    def backward(g, w, x):
        delta = g * (1 - np.tanh(w @ x) ** 2)
        return np.outer(delta, x), w.T @ delta
    assert check_rule(forward, backward, w, x)
    ignored = check_rule(forward, lambda g, w, x: backward(np.ones(3), w, x), w, x, names=("w", "x"))
    assert [(fault.leaf, fault.cause) for fault in ignored.faults] == [("w", "cotangent ignored"), ("x", "cotangent ignored")]


def custom(rule):
    @jax.custom_vjp
    def softplus(x):
        return jnp.log1p(jnp.exp(x))
    softplus.defvjp(lambda x: (softplus(x), x), rule)
    return softplus


def test_a_custom_vjp_is_checked_against_its_primal():
    x = jnp.array([-1.0, 0.3, 2.0])
    assert check_rule(custom(lambda x, g: (g * jax.nn.sigmoid(x),)), None, x)
    (fault,) = check_rule(custom(lambda x, g: (-g * jax.nn.sigmoid(x),)), None, x).faults
    assert fault.cause == "sign"


def test_a_custom_jvp_too():
    @jax.custom_jvp
    def square(x):
        return x**2
    square.defjvp(lambda primals, tangents: (square(*primals), 3 * primals[0] * tangents[0]))
    (fault,) = check_rule(square, None, jnp.array([1.0, 2.0])).faults
    assert fault.cause == "factor" and "1.5" in fault.message


def test_what_cannot_be_checked():
    with pytest.raises(TypeError, match=r"jax\.custom_vjp"):
        check_rule(jnp.sin, None, jnp.ones(2))
    with pytest.raises(TypeError, match="layer must be a layer"):
        check_layer("dense", 3)
    report = check_rule(jnp.sin, lambda g, x: (g * jnp.cos(x))[:1], jnp.ones(2))
    assert report.faults[0].site == "structure"
