"""Attention: JAX's own, what it must not see, and the errors of a wrong backward pass."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import attention, embedding, flatten, reshape
from tests.layers.passes import assert_trees_close, by_hand, by_jax, problem

MODULE = sys.modules["functional_nn.layers.attention"]  # the package's own name for it is the layer


@pytest.mark.parametrize("causal", [False, True])
def test_the_values_are_those_of_jax(causal):
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # JAX takes the softmax in float32
        layer = attention(6, heads=2, causal=causal)
        params, A, _, _ = problem(layer, (5, 3))
        q, k, v = ((A @ params[name].T[None]).reshape(*A.shape[:2], 2, 3) for name in "qkv")
        wanted = jax.nn.dot_product_attention(q, k, v, is_causal=causal).reshape(*A.shape[:2], 6) @ params["o"].T[None]
        np.testing.assert_allclose(jax.vmap(lambda a: layer.forward(params, a, None)[0])(A), wanted, rtol=1e-5, atol=1e-5)


def test_the_places_are_a_set_and_a_causal_mask_hides_the_later_ones():
    with jax.enable_x64(True):
        params, (a, other, *_), _, _ = problem(attention(4), (5, 3))
        z = attention(4).forward(params, a, None)[0]
        assert_trees_close(attention(4).forward(params, a[::-1], None)[0][::-1], z)
        mixed = jnp.concatenate([a[:3], other[3:]])
        seen, hidden = (attention(4, causal=True).forward(params, x, None)[0] for x in (a, mixed))
        np.testing.assert_array_equal(seen[:3], hidden[:3])
        assert (seen[3:] != hidden[3:]).all()


def test_by_hand_is_by_differences():
    with jax.enable_x64(True):
        layer = attention(4, heads=2, causal=True)
        params, A, D, _ = problem(layer, (3, 2))
        along = jax.tree.map(jnp.cos, params)
        factors = by_hand(layer)(params, A[0], D[0], None)[2]

        def value(t):
            return jnp.vdot(D[0], layer.forward(jax.tree.map(lambda w, v: w + t * v, params, along), A[0], None)[0])

        slopes = [(value(h) - value(-h)) / (2 * h) for h in (1e-3, 2e-3)]
        np.testing.assert_allclose(layer.factors.dot(factors, along), (4 * slopes[0] - slopes[1]) / 3, rtol=1e-9)


def test_kronecker_factors_are_exact_for_one_place_of_one_example():
    with jax.enable_x64(True):
        layer = attention(4)
        params, A, D, _ = problem(layer, (1, 3))
        errors, inputs = by_hand(layer)(params, A[0], D[0], None)[2]
        columns = {name: e[None, None] for name, e in errors.items()}, {name: x[None] for name, x in inputs.items()}
        found = layer.factors.kronecker(columns, jnp.ones(1))
        for name, g in layer.factors.gradient((errors, inputs)).items():
            np.testing.assert_allclose(np.kron(found[name]["errors"], found[name]["inputs"]), np.outer(g, g), rtol=1e-12)


@pytest.mark.parametrize("fault", ["row sum", "scale"])
def test_a_planted_fault_is_seen(fault, monkeypatch):
    right = MODULE._softmax_product
    monkeypatch.setattr(MODULE, "_softmax_product", {
        "row sum": lambda p, x: p * x, "scale": lambda p, x: 2 * right(p, x)}[fault])
    with jax.enable_x64(True):
        layer = attention(4, heads=2)
        params, A, D, _ = problem(layer, (3, 2))
        factors = by_hand(layer)(params, A[0], D[0], None)[2]
        gradient, wanted = layer.factors.gradient(factors), by_jax(layer)(params, A[0], D[0], None)[1]
        wrong = {name for name in gradient if not np.allclose(gradient[name], wanted[name], rtol=1e-6)}
        assert wrong == {"q", "k"}


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: attention(0), ValueError, "width must be an integer of at least 1, got 0"),
    (lambda: attention(4, heads=3), ValueError, "heads must divide width, got width=4 and heads=3; each head has width / heads"),
    (lambda: attention(4, causal="yes"), TypeError, "causal must be True or False, got 'yes'"),
    (lambda: fnn.sequential(4, attention(2), flatten()), ValueError, "attention takes a sequence of shape (time, width), got a vector"),
    (lambda: fnn.sequential(8, reshape((2, 2, 2)), attention(2), flatten()), ValueError, "got the shape (2, 2, 2); put an embedding"),
    (lambda: fnn.sequential(2, embedding(3, 2), attention(2)), ValueError, "a network must end in a vector")])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_reads_as_it_is_written():
    assert (repr(attention(4)), repr(attention(4, 2, True))) == ("attention(4)", "attention(4, heads=2, causal=True)")
