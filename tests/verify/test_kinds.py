"""Networks of every kind of layer: a right gradient passes, and a leaf that is doubled is blamed alone."""

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import (
    attention,
    average_pool,
    convolution,
    dense,
    embedding,
    flatten,
    gru,
    max_pool,
    positions,
    reshape,
)
from functional_nn.verify import check_network
from tests.slow import few

RNG = np.random.default_rng(0)
PICTURES, TOKENS = RNG.normal(size=(6, 36)), RNG.integers(0, 7, size=(6, 4)).astype(float)
NETS = {  # name -> (inputs, layers before the last one)
    "convolution": (PICTURES, (reshape((6, 6, 1)), convolution(3, (3, 3), activation="tanh"), average_pool(2), flatten())),
    "max_pool": (PICTURES, (reshape((6, 6, 1)), convolution(3, (3, 3), activation="relu"), max_pool(2), flatten())),
    "attention": (TOKENS, (embedding(7, 4), positions(), attention(2), flatten())),
    "gru": (TOKENS, (embedding(7, 3), gru(3), flatten())),
}


def doubled(right, layer, leaf):
    """The right gradient, one leaf doubled."""
    def value_and_grad(params, X, Y):
        cost, grads = right(params, X, Y)
        own = {**grads[layer], leaf: 2 * grads[layer][leaf]}
        return cost, (*grads[:layer], own, *grads[layer + 1:])

    return value_and_grad


@pytest.mark.parametrize("name", few(NETS, "convolution"))
def test_right_gradients_pass_and_a_doubled_leaf_is_blamed_alone(name):
    X, layers = NETS[name]
    net = fnn.sequential(X.shape[1], *layers, dense(3, "softmax"))
    params = jax.tree.map(lambda p: np.asarray(p, float) + 0.1 * RNG.normal(size=p.shape), net.init(jax.random.key(1)))
    Y, right = np.eye(3)[np.arange(6) % 3], jax.jit(fnn.backprop.value_and_grad(net, "cross_entropy"))
    assert check_network(net, "cross_entropy", params, X, Y, value_and_grad=right)
    for layer, leaf in [(i, leaf) for i, own in enumerate(params) for leaf in own][::2]:
        report = check_network(net, "cross_entropy", params, X, Y, value_and_grad=doubled(right, layer, leaf))
        assert [(fault.layer, fault.leaf, fault.cause) for fault in report.faults] == [
            (layer, f"[{layer}][{leaf!r}]", "factor")], str(report)
