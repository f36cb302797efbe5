"""Backpropagation by hand in NumPy, each step open to a change."""

import jax
import numpy as np

import functional_nn as fnn
from functional_nn.verify import check_network

NET = fnn.mlp((4, 6, 5, 3), hidden="tanh")
PARAMS = [(np.asarray(p["w"], float), np.asarray(p["b"], float)) for p in NET.init(jax.random.key(0))]
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3))


def by_hand(head=lambda d, a, y: d, pulled=lambda d, l, g, z: d, leaf=lambda g, l, name, each: g,
            summed=lambda each: each.sum(axis=0) / len(each)):
    """Backpropagation with changed steps: δ of the head, δ of layer l, a leaf of layer l, the sum over the batch."""
    def gradient(params, X, Y):
        a, z = [X], []
        for l, (W, b) in enumerate(params):
            z.append(a[-1] @ W.T + b)
            a.append(np.tanh(z[-1]) if l < len(params) - 1 else z[-1])
        delta, grads = head(a[-1] - Y, a[-1], Y), []
        for l in reversed(range(len(params))):
            each = {"W": np.einsum("bj,bk->bjk", delta, a[l]), "b": delta}
            grads.insert(0, tuple(leaf(summed(v), l, name, v) for name, v in each.items()))
            if l:
                g = delta @ params[l][0]
                delta = pulled(g * (1 - a[l] ** 2), l - 1, g, z[l - 1])
        return grads
    return gradient


def rounded(function, dtype):
    """The same with a gradient rounded to that dtype at the end."""
    return lambda params, X, Y: jax.tree.map(lambda g: g.astype(dtype), function(params, X, Y))


def found(function, net=NET, params=PARAMS, **options):
    """(site, layer, cause) of every fault."""
    loss, targets = options.pop("loss", "quadratic"), options.pop("Y", Y)
    report = check_network(net, loss, params, X, targets, value_and_grad=function, **options)
    return {(fault.site, fault.layer, fault.cause) for fault in report.faults}
