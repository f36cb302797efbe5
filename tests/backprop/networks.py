"""Small networks with a layer of every kind, random values to run them on, and the comparison of trees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
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
from tests.slow import few

N, CLASSES, B = 4, 3, 5
KINDS = {
    "dense": (dense(5, "tanh"),),
    "maxout": (maxout(5, pieces=3),),
    "dropout": (dense(6, "sigmoid"), dropout(0.4)),
    "layer_norm": (dense(5, "gelu"), layer_norm()),
    "residual": (residual(dense(6, "silu"), dense(N, "softplus")),),
    "nested": (layer_norm(), residual(layer_norm(), residual(dense(5, "elu"), dense(N)), dropout(0.2), dense(N))),
    "convolution": (reshape((2, 2, 1)), convolution(3, 2, "tanh", padding="same"), convolution(2, (2, 1), "gelu"), flatten()),
    "pooling": (dense(12, "silu"), reshape((4, 3, 1)), max_pool(2, 1), average_pool((2, 1)), flatten()),
    "embedding": (embedding(3, 2), positions(), flatten()),
    "attention": (embedding(3, 2), residual(positions(), attention(2)), attention(4, heads=2, causal=True), flatten()),
    "gru": (dense(6, "tanh"), reshape((3, 2)), gru(3), flatten()),
}
FUSED = [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"), ("linear", "quadratic")]
PAIRS = [*FUSED, ("tanh", "huber")]
each_kind = pytest.mark.parametrize("kind", KINDS)
CASES = list(zip(KINDS, 3 * PAIRS, strict=False))
each_case = pytest.mark.parametrize(("kind", "pair"), few(CASES, 0, 2, 3, 5, 9))
few_cases = pytest.mark.parametrize(("kind", "pair"), few(CASES, 4, 6))
quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # compiling takes the time
both = pytest.mark.parametrize("way", [fnn.backprop, fnn.autodiff], ids=["backprop", "autodiff"])


def network(kind, output="softmax"):
    return fnn.sequential(N, *KINDS[kind], dense(CLASSES, output))


def drawn(net, n=B, dtype="float64", seed=0):
    """Parameters, X, and Y as probabilities that every loss takes: none of them 0 or 1, as a new network's are."""
    random = np.random.default_rng(seed)
    params = jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape) / 2, dtype),
                          jax.eval_shape(net.init, jax.random.key(0)))
    X, Y = random.normal(size=(n, net.n_in)), np.exp(random.normal(size=(n, net.n_out)))
    if net.layers[0].tokens:
        X = np.floor(3 * np.abs(X)) % net.layers[0].tokens
    return params, jnp.asarray(X, dtype), jnp.asarray(Y / Y.sum(axis=1, keepdims=True), dtype)


def close(got, wanted, rtol=1e-12):
    """Equal trees, leaf by leaf relative to the norm, beyond the rounding of the largest leaf."""
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    floor = rtol * max((float(jnp.linalg.norm(leaf)) for leaf in jax.tree.leaves(wanted)), default=0.0) / 100
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype, jax.tree_util.keystr(path)
        assert float(jnp.linalg.norm(a - b)) <= rtol * float(jnp.linalg.norm(b)) + floor, jax.tree_util.keystr(path)
