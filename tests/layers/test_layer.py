"""The contract of every kind of layer, and of a chain of layers.

The hand-written backward pass is the vector-Jacobian product, and the factors give the gradient.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn import layers
from functional_nn.activations import Activation, softmax
from functional_nn.layers import (
    attention,
    average_pool,
    convolution,
    dense,
    dropout,
    embedding,
    flatten,
    gru,
    layer_norm,
    max_pool,
    maxout,
    positions,
    reshape,
    residual,
)
from tests.layers.passes import (
    BATCH,
    assert_trees_close,
    by_hand,
    by_jax,
    problem,
    random_like,
    shape,
)
from tests.slow import few

# One row a kind: (layer, size of its input).
KINDS = {
    "dense": (dense(4, "tanh"), 3),
    "dense of one": (dense(1), 1),
    "maxout": (maxout(4), 3),
    "maxout of 1 piece": (maxout(4, pieces=1), 3),
    "maxout of 5 pieces": (maxout(2, pieces=5, init="nielsen"), 3),
    "dropout": (dropout(0.4), 6),
    "layer_norm": (layer_norm(), 5),
    "layer_norm(epsilon=0.1)": (layer_norm(0.1), 2),
    "layer_norm of one": (layer_norm(), 1),
    "residual": (residual(dense(4, "gelu"), dense(3, "tanh")), 3),
    "residual ending in softmax": (residual(dense(3, "softmax")), 3),
    "residual of residual": (
        residual(dense(3, "silu"), residual(layer_norm(), maxout(3)), dropout(0.3)), 3),
    "reshape": (reshape((2, 3)), 6),
    "flatten": (flatten(), (2, 3)),
    "convolution of a signal": (convolution(3, 2, "tanh"), (5, 2)),
    "convolution of an image": (convolution(2, (3, 2), "gelu", stride=(2, 1), padding=1), (5, 4, 2)),
    "convolution as large as its input": (convolution(4, 3, stride=2, padding="same"), (5, 3, 1)),
    "average_pool": (average_pool(2), (5, 4, 2)),
    "average_pool that overlaps": (average_pool((3, 2), (2, 1)), (6, 4, 1)),
    "max_pool": (max_pool(2, stride=1), (4, 3, 2)),
    "embedding": (embedding(2, 3), 6),
    "embedding of one token": (embedding(1, 2), 1),
    "positions": (positions(), (3, 2)),
    "attention": (attention(4), (3, 2)),
    "attention of two heads": (attention(4, heads=2, init="nielsen_large"), (5, 3)),
    "causal attention": (attention(6, heads=3, causal=True, init="nielsen_large"), (4, 2)),
    "attention to one place": (attention(2), (1, 3)),
    "gru": (gru(3), (4, 2)),
    "gru of one step": (gru(2, init="nielsen"), (1, 1)),
    "residual of attention": (residual(positions(), attention(2, causal=True), gru(2)), (3, 2)),
    "layer_norm of an image": (layer_norm(), (2, 2, 2)),
    "residual of convolutions": (residual(convolution(3, 3, "silu", padding="same"), convolution(2, 1)), (4, 3, 2)),
}
QUICK = ("dense", "maxout", "dropout", "layer_norm", "residual", "reshape", "flatten", "convolution of an image",
         "average_pool", "max_pool", "embedding", "positions", "causal attention", "gru", "residual of attention")
every_kind = pytest.mark.parametrize(("layer", "n_in"), few(
    KINDS.values(), *map([*KINDS].index, QUICK)), ids=KINDS)


@functools.cache
def compiled_batch(way, layer):
    return jax.jit(jax.vmap(way(layer), in_axes=(None, 0, 0, 0)))


@every_kind
def test_backward_is_the_vector_jacobian_product(layer, n_in):
    with jax.enable_x64(True):
        params, A, D, keys = problem(layer, n_in)
        z, cotangent, factors = compiled_batch(by_hand, layer)(params, A, D, keys)
        wanted_z, wanted_gradient, wanted = compiled_batch(by_jax, layer)(params, A, D, keys)
        gradient = jax.jit(jax.vmap(layer.factors.gradient, axis_size=BATCH))(factors)
        assert_trees_close((z, cotangent, gradient), (wanted_z, wanted, wanted_gradient))
        assert z.shape == D.shape == (BATCH, *shape(layer.n_out(n_in)))


@every_kind
def test_factors_agree_with_the_gradients_they_stand_for(layer, n_in):
    with jax.enable_x64(True):
        params, A, D, keys = problem(layer, n_in)
        weights = jnp.array([0.5, -1.0, 0.0, 2.0])

        @jax.jit
        def both(factors):
            squared_norms = jax.vmap(layer.factors.squared_norm, axis_size=BATCH)(factors)
            return layer.factors.weighted_sum(factors, weights), squared_norms

        weighted_sum, squared_norms = both(compiled_batch(by_hand, layer)(params, A, D, keys)[-1])
        automatic = compiled_batch(by_jax, layer)(params, A, D, keys)[1]
        assert_trees_close(
            weighted_sum, jax.tree.map(lambda g: np.tensordot(weights, g, axes=1), automatic))
        squares = sum((np.square(g).reshape(BATCH, -1).sum(1) for g in jax.tree.leaves(automatic)),
                      np.zeros(BATCH))
        np.testing.assert_allclose(squared_norms, squares, rtol=1e-12)


@pytest.mark.parametrize("kind", few(KINDS, "dense", "maxout", "residual", "max_pool", "causal attention", "gru"))
def test_a_batch_is_a_loop_and_jit_is_eager(kind):
    layer, n_in = KINDS[kind]
    with jax.enable_x64(True):
        params, A, D, keys = problem(layer, n_in)
        batch = compiled_batch(by_hand, layer)(params, A, D, keys)
        single = jax.jit(by_hand(layer))
        singles = [single(params, *one) for one in zip(A, D, keys, strict=True)]
        assert_trees_close(batch, jax.tree.map(lambda *leaves: np.stack(leaves), *singles))
        assert_trees_close(singles[0], by_hand(layer)(params, A[0], D[0], keys[0]))


@every_kind
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_dtype_is_kept(layer, n_in, dtype):
    with jax.enable_x64(dtype == "float64"):
        params = jax.eval_shape(lambda: layer.init(jax.random.key(0), n_in, jnp.dtype(dtype)))
        a, delta = jnp.ones(n_in, dtype), jnp.ones(layer.n_out(n_in), dtype)
        z, cotangent, factors = jax.eval_shape(
            by_hand(layer), params, a, delta, jax.random.key(1))
        gradient = jax.eval_shape(layer.factors.gradient, factors)
        assert {leaf.dtype for leaf in jax.tree.leaves((params, z, cotangent, gradient))} == {
            jnp.dtype(dtype)}
        assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, params)


def test_a_chain_gives_every_delta_and_the_gradient_of_its_input():
    """δˡ = ∂L/∂zˡ, by adding a probe to each zˡ and letting `jax.grad` see it; L = v · aᴸ."""
    chain = (dense(4, "sigmoid"), residual(dense(4, "tanh")), dense(3, "softmax"), maxout(3),
             layer_norm(), dense(2, "elu"))
    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda: layers.init(chain, jax.random.key(0), 5, jnp.float64))
        params, x = random_like((shapes, np.zeros(5)))
        v, probes = jnp.array([1.0, -2.0]), [jnp.zeros(n) for n in layers.sizes(chain, 5)[1:]]

        def probed(probes, a):
            for layer, p, probe in zip(chain, params, probes, strict=True):
                a = layer.activation(layer.forward(p, a, None)[0] + probe)
            return v @ a

        @jax.jit
        def by_hand():
            out, tape = layers.forward(chain, params, x)
            delta = chain[-1].activation.pullback(tape[-1].z, v)
            deltas, factors, cotangent = layers.backward(chain, params, tape, delta)
            return v @ out, list(deltas), cotangent, layers.factors_of(chain).gradient(factors)

        @jax.jit
        def by_jax():
            value, (deltas, cotangent) = jax.value_and_grad(probed, argnums=(0, 1))(probes, x)
            return value, deltas, cotangent, jax.grad(
                lambda params: v @ layers.forward(chain, params, x)[0])(params)

        assert_trees_close(by_hand(), by_jax())


def test_layers_of_a_chain_draw_apart():
    layer = residual(dropout(0.5), dropout(0.5))
    z, tape = layer.forward(((), ()), jnp.ones(64), jax.random.key(0))
    assert (tape[0].saved != tape[1].saved).any()
    np.testing.assert_array_equal(z, 1 + tape[0].saved * tape[1].saved)
    assert layer.random and not residual(dense(3)).random and dropout(0.0).random


def test_reads_as_it_is_written():
    chain = residual(dense(4, softmax), maxout(3, pieces=4), dropout(0.25), layer_norm(0.1))
    assert repr(chain) == (
        "residual(dense(4, softmax), maxout(3, pieces=4), dropout(0.25), layer_norm(epsilon=0.1))")
    cube = Activation("cube", lambda z: z**3, lambda z: 3 * z**2)
    assert repr(dense(2, cube)) == "dense(2, cube)"
