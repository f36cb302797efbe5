"""Quantities of single gradients: by hand = from the gradients that autodiff forms, for every kind of layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from experiments.quantities import REFERENCES, Automatic
from functional_nn.backprop import catalogue, single
from functional_nn.backprop.scene import Quantity
from tests.backprop.networks import close, drawn, few_cases, network, quick

NAMES = [name for name in single.__all__ if name != "kronecker"]


def agree(net, loss, names, seed=0):
    """Assert that the quantities by hand are the automatic ones, with dropout, in float64."""
    with jax.enable_x64(True):
        (params, X, Y), direction = drawn(net, seed=seed), drawn(net, seed=seed + 1)[0]
        options = {"clip": 0.3, "direction": direction, "key": jax.random.key(6)}

        @quick
        def both(params):
            by_hand = fnn.backprop.quantities(net, loss, names)(params, X, Y, **options)
            automatic = Automatic(net, loss, params, X, Y, **options)
            return by_hand, {name: REFERENCES[name](automatic) for name in names}

        by_hand, automatic = both(params)
        for name in names:
            close(by_hand[name], automatic[name])


@few_cases
def test_by_hand_is_automatic(kind, pair):
    output, loss = pair
    agree(network(kind, output), loss, NAMES)


@pytest.mark.parametrize("kind", ["dense", "maxout", "residual"])
def test_kronecker_factors_are_those_of_errors_and_inputs(kind):
    agree(network(kind), "cross_entropy", ["kronecker"])


def test_one_layer_is_its_kronecker_product_for_one_example():
    """For one example the empirical Fisher block is exactly D ⊗ A."""
    with jax.enable_x64(True):
        net = fnn.mlp((3, 2))
        params, X, Y = drawn(net, 1)
        found = fnn.backprop.quantities(net, "quadratic", ["kronecker", "gradient"])(params, X, Y)
        block, = found["kronecker"]
        g = found["gradient"][0]["w"].ravel()
        np.testing.assert_allclose(np.kron(block["errors"], block["inputs"]), np.outer(g, g), rtol=1e-12)


def test_a_clipped_gradient_has_the_norm_of_the_bound_and_a_short_one_is_kept():
    with jax.enable_x64(True):
        net = network("dense")
        params, X, Y = drawn(net, 1)
        size = float(fnn.backprop.per_example_norms(net, "cross_entropy")(params, X, Y)[0])
        clipped = fnn.backprop.quantities(net, "cross_entropy", ["clipped_sum", "gradient"])
        for clip, wanted in ((size / 3, size / 3), (size * 3, size)):
            total = clipped(params, X, Y, clip=clip)["clipped_sum"]
            assert np.sqrt(sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(total))) == pytest.approx(wanted, rel=1e-12)
        close(clipped(params, X, Y, clip=1e9)["clipped_sum"], clipped(params, X, Y, clip=1e9)["gradient"])


def test_examples_without_a_gradient():
    """Where a = y every gradient is 0: no norm, no direction, and nothing that is not a number but their ratio."""
    net = fnn.mlp((2, 2))
    params, X = net.init(jax.random.key(0)), jnp.eye(2)
    Y = jax.vmap(net.apply, in_axes=(None, 0))(params, X)
    found = fnn.backprop.quantities(net, "quadratic", NAMES)(params, X, Y, clip=1.0, direction=params)
    for name, value in found.items():
        if name not in ("noise_scale", "delta_statistics"):
            assert all(np.array_equal(leaf, np.zeros_like(leaf)) for leaf in jax.tree.leaves(value)), name
    assert np.isnan(found["noise_scale"]) and found["delta_statistics"]["zeros"].tolist() == [1.0]


def test_the_noise_scale_of_a_known_noise():
    """g = μ + noise of variance s²: tr Σ / |G|² = n s² / |μ|² as B grows; for one example there is none."""
    n, shift, spread = 4, 2.0, 0.5
    net, params = fnn.mlp((1, n)), ({"w": jnp.zeros((n, 1)), "b": jnp.zeros(n)},)
    Y = -shift - spread * jax.random.normal(jax.random.key(0), (4000, n))
    noise = fnn.backprop.quantities(net, "quadratic", ["noise_scale"])
    assert float(noise(params, jnp.zeros((4000, 1)), Y)["noise_scale"]) == pytest.approx(spread**2 / shift**2, rel=0.05)
    assert np.isnan(noise(params, jnp.zeros((1, 1)), Y[:1])["noise_scale"])


def test_a_planted_fault_is_seen(monkeypatch):
    """The square of a sum is not the sum of squares."""
    wrong = Quantity("second_moment", "parameters", lambda scene: jax.tree.map(jnp.square, scene.gradient))
    monkeypatch.setattr(catalogue, "QUANTITIES", {"second_moment": wrong})
    with pytest.raises(AssertionError):
        agree(network("dense"), "cross_entropy", ["second_moment"])
