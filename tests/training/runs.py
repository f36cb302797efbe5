"""A small run that the tests of this folder vary."""

import jax
import numpy as np

import functional_nn as fnn

N = 13  # examples: with batches of 4 the last has one
X = np.random.default_rng(0).normal(size=(N, 3))
Y = np.arange(N) % 3
NET = fnn.mlp((3, 5, 3), hidden="tanh", output="softmax")
NOISY = fnn.sequential(3, fnn.layers.dense(5, "tanh"), fnn.layers.dropout(0.3), fnn.layers.dense(3, "softmax"))
SGD = fnn.optimizers.sgd(0.5)  # one object each, so that runs share their compilation
MOMENTUM = fnn.optimizers.sgd(0.1, momentum=0.9)


def fit(net=NET, loss="cross_entropy", data=(X, Y), optimizer=SGD, **changes):
    options = {"key": jax.random.key(0), "epochs": 5, "batch_size": 4, "progress": False} | changes
    return fnn.fit(net, loss, optimizer, data, **options)


def same(got, wanted):
    """To the bit, NaN like NaN."""
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


def close(got, wanted, rtol=1e-9):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol), got, wanted)
