"""A layer's passes on one example, by hand and by JAX, and random values to run them on."""

import jax
import jax.numpy as jnp
import numpy as np

BATCH = 4


def random_like(tree):
    noise = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(noise.normal(size=leaf.shape)), tree)


def shape(size):
    """The shape of an array of that size, which is an integer for a vector."""
    return (size,) if isinstance(size, int) else size


def problem(layer, n_in):
    """Parameters of any value, a batch of inputs and of δ, and a key for each example."""
    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), n_in, jnp.float64))
    params, A, D = random_like(
        (shapes, np.zeros((BATCH, *shape(n_in))), np.zeros((BATCH, *shape(layer.n_out(n_in))))))
    return params, A, D, jax.random.split(jax.random.key(3), BATCH)


def by_hand(layer):
    """(params, a, delta, key) -> z, ∂L/∂a, factors."""
    def run(params, a, delta, key):
        z, saved = layer.forward(params, a, key)
        return z, *layer.backward(params, saved, delta)
    return run


def by_jax(layer):
    """(params, a, delta, key) -> z, gradient of the parameters, ∂L/∂a."""
    def run(params, a, delta, key):
        z, pullback = jax.vjp(lambda params, a: layer.forward(params, a, key)[0], params, a)
        return z, *pullback(delta)
    return run


def assert_trees_close(got, want, rtol=1e-12, atol=1e-14):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
