"""The gated recurrent unit: its equations step by step, and a backward pass that lost a term."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import flatten, gru
from tests.layers.passes import by_hand, by_jax, problem

MODULE = sys.modules["functional_nn.layers.gru"]  # the package's own name for it is the layer


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_it_is_its_equations_step_by_step():
    with jax.enable_x64(True):
        params, (a, *_), _, _ = problem(gru(3), (4, 2))
        of, h, states = jax.tree.map(np.asarray, params), np.zeros(3), []
        (w_r, w_u, w_n), (u_r, u_u, u_n), (b_r, b_u, b_n) = (np.split(of[name], 3) for name in "wub")
        for x in np.asarray(a):
            r, u = sigmoid(w_r @ x + u_r @ h + b_r), sigmoid(w_u @ x + u_u @ h + b_u)
            n = np.tanh(w_n @ x + b_n + r * (u_n @ h + of["c"]))
            h = u * h + (1 - u) * n
            states.append(h)
        np.testing.assert_allclose(gru(3).forward(params, a, None)[0], states, rtol=1e-14)


def test_a_state_knows_nothing_of_later_steps_and_a_shut_gate_keeps_the_first():
    with jax.enable_x64(True):
        params, (a, other, *_), _, _ = problem(gru(3), (5, 2))
        mixed = jnp.concatenate([a[:2], other[2:]])
        np.testing.assert_array_equal(*(gru(3).forward(params, x, None)[0][:2] for x in (a, mixed)))
        shut = params | {"b": params["b"].at[3:6].set(1e3)}
        assert not gru(3).forward(shut, a, None)[0].any()


def test_by_hand_is_by_differences():
    with jax.enable_x64(True):
        layer = gru(3)
        params, A, D, _ = problem(layer, (4, 2))
        along = jax.tree.map(jnp.cos, params)
        factors = by_hand(layer)(params, A[0], D[0], None)[2]

        def value(t):
            return jnp.vdot(D[0], layer.forward(jax.tree.map(lambda w, v: w + t * v, params, along), A[0], None)[0])

        slopes = [(value(h) - value(-h)) / (2 * h) for h in (1e-3, 2e-3)]
        np.testing.assert_allclose(layer.factors.dot(factors, along), (4 * slopes[0] - slopes[1]) / 3, rtol=1e-9)


def without_reset(own, e):
    """The errors as if the reset gate did not depend on anything."""
    of_w, of_u = RIGHT(own, e)
    n = own[0].shape[0]
    return of_w.at[:n].set(0), of_u.at[:n].set(0)


RIGHT = MODULE._errors


def test_a_planted_fault_is_seen(monkeypatch):
    monkeypatch.setattr(MODULE, "_errors", without_reset)
    with jax.enable_x64(True):
        params, A, D, _ = problem(gru(3), (4, 2))
        factors = by_hand(gru(3))(params, A[0], D[0], None)[2]
        gradient, wanted = gru(3).factors.gradient(factors), by_jax(gru(3))(params, A[0], D[0], None)[1]
        assert {name for name in gradient if not np.allclose(gradient[name], wanted[name], rtol=1e-6)} == {*"wubc"}


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: gru(0), ValueError, "width must be an integer of at least 1, got 0"),
    (lambda: gru(2, init="glorot"), ValueError, "glorot"),
    (lambda: fnn.sequential(4, gru(2), flatten()), ValueError, "gru takes a sequence of shape (time, width), got a vector of 4")])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_reads_as_it_is_written():
    assert repr(gru(3)) == "gru(3)"
