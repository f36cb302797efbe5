"""Curvature by the R-operator and by columns: by hand = `jax.jvp` of `jax.grad`, and JᵀHJ from Jacobians."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import checks
from functional_nn.activations import ACTIVATIONS
from functional_nn.backprop import curvature
from functional_nn.layers import dense, layer_norm, residual
from tests.backprop.networks import CLASSES, N, close, drawn, few_cases, network, quick
from tests.backprop.test_single import agree
from tests.slow import few


@few_cases
def test_by_hand_is_automatic(kind, pair):
    output, loss = pair
    agree(network(kind, output), loss, curvature.__all__)


@pytest.mark.parametrize(("output", "loss"), few([
    ("softmax", "squared_error"), ("gelu", "mse"), ("sigmoid", "log_cosh"), ("tanh", "quantile")], 0))
def test_outputs_that_bend_under_losses_that_are_no_function_of_z(output, loss):
    agree(network("dense", output), loss, ["ggn_diagonal", "hvp", "ggn_vp"])


@pytest.mark.parametrize("activation", few(ACTIVATIONS, "tanh", "softmax"))
def test_every_activation_bends_as_the_derivative_of_its_derivative(activation):
    agree(fnn.sequential(N, dense(4, activation), residual(layer_norm(), dense(4, activation)), dense(CLASSES)),
          "quadratic", ["hvp"])


def test_the_hessian_is_symmetric_and_the_gauss_newton_matrix_has_no_negative_eigenvalue():
    with jax.enable_x64(True):
        net = network("dense")
        params, X, Y = drawn(net)
        flat, unravel = jax.flatten_util.ravel_pytree(params)
        products = fnn.backprop.quantities(net, "cross_entropy", ["hvp", "ggn_vp", "ggn_diagonal"])

        @quick
        def columns(v):
            found = products(params, X, Y, direction=unravel(v))
            return [jax.flatten_util.ravel_pytree(found[name])[0] for name in ("hvp", "ggn_vp", "ggn_diagonal")]

        hessian, ggn, diagonal = map(np.array, zip(*map(columns, jnp.eye(flat.size)), strict=True))
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-15)
        assert np.linalg.eigvalsh(ggn).min() > -1e-15
        np.testing.assert_allclose(np.diag(ggn), diagonal[0], rtol=1e-12, atol=1e-17)


@pytest.mark.slow
def test_the_mean_over_all_signs_is_the_exact_diagonal(monkeypatch):
    with jax.enable_x64(True):
        net = network("dense")
        params, X, Y = drawn(net, 2)
        exact = fnn.backprop.quantities(net, "cross_entropy", ["ggn_diagonal"])(params, X, Y)["ggn_diagonal"]
        estimate = fnn.backprop.quantities(net, "cross_entropy", ["ggn_diagonal_mc"])
        monkeypatch.setattr(jax.random, "rademacher", lambda key, shape, dtype: jnp.broadcast_to(key, shape))
        monkeypatch.setattr(jax.random, "fold_in", lambda key, data: key)
        monkeypatch.setattr(checks, "typed_key", lambda argument, key: key)
        monkeypatch.setattr(jax.random, "split", lambda key, n: jnp.zeros(n))  # no layer draws
        draws = quick(jax.vmap(lambda signs: estimate(params, X, Y, key=signs)["ggn_diagonal_mc"]))(
            jnp.array(list(itertools.product([-1.0, 1.0], repeat=CLASSES))))
        close(jax.tree.map(lambda each: each.mean(axis=0), draws), exact)


def test_a_linear_network_has_one_curvature():
    """A linear network of one layer under ½|a − y|²: Hessian = Gauss–Newton, and its diagonal is the mean of x²."""
    with jax.enable_x64(True):
        net = fnn.mlp((3, 2))
        params, X, Y = drawn(net)
        found = fnn.backprop.quantities(net, "quadratic", ["hvp", "ggn_vp", "ggn_diagonal"])(params, X, Y, direction=params)
        close(found["hvp"], found["ggn_vp"])
        np.testing.assert_allclose(found["ggn_diagonal"][0]["w"], np.tile((np.asarray(X)**2).mean(axis=0), (2, 1)), rtol=1e-12)


def test_a_planted_fault_is_seen(monkeypatch):
    """Without σ″ the R-operator gives another vector."""
    monkeypatch.setattr(fnn.activations.Activation, "bend", lambda self, z, u, v: jnp.zeros_like(z))
    with pytest.raises(AssertionError):
        agree(network("dense"), "cross_entropy", ["hvp"])
