"""The templates that `functional-nn verify --init` writes, one for each kind of file."""

TEMPLATE = '''"""My gradient, to be checked with:  functional-nn verify {name}"""

import numpy as np                                # or JAX: import jax.numpy as jnp


def loss(params, x, y):
    """The scalar to be differentiated; params may be any tree of arrays."""
    prediction = np.tanh(params["w"] @ x + params["b"])
    return np.sum((prediction - y) ** 2)


def grad(params, x, y):
    """The gradient of loss with respect to params, by hand, in the shape of params.

    It is wrong here: the factor 2 is missing. Correct it and check again.
    """
    prediction = np.tanh(params["w"] @ x + params["b"])
    delta = (prediction - y) * (1 - prediction**2)           # times 2
    return {"w": np.outer(delta, x), "b": delta}


def example():
    """The arguments of loss and grad with which the gradient is checked."""
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}
    return params, rng.normal(size=3), rng.normal(size=2)
'''


NETWORK_TEMPLATE = '''"""My backpropagation, to be checked with:  functional-nn verify {name}"""

import numpy as np                                # or JAX: import jax.numpy as jnp

import functional_nn as fnn

# the network, the loss and the reduction that value_and_grad differentiates
network = fnn.mlp((4, 6, 5, 3), hidden="tanh", output="softmax")
loss = "cross_entropy"                            # one of fnn.losses.LOSSES
reduction = "mean"                                # "mean" or "sum" of the examples' losses


def value_and_grad(params, X, Y):
    """The cost of a batch and its gradient, by hand, in the shape of params.

    It is wrong in one place. Correct it and check again.
    """
    (W0, b0), (W1, b1), (W2, b2) = params         # W is (n_out, n_in); (n_in, n_out) works too
    a1 = np.tanh(X @ W0.T + b0)
    a2 = np.tanh(a1 @ W1.T + b1)
    z = a2 @ W2.T + b2
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    cost = -np.mean(np.log(p[np.arange(len(X)), Y]))

    d2 = (p - np.eye(3)[Y]) / len(X)              # the cost's derivative by z at the output
    d1 = d2 @ W2                                  # * (1 - a2**2)
    d0 = d1 @ W1 * (1 - a1**2)
    return cost, [(d0.T @ X, d0.sum(axis=0)), (d1.T @ a1, d1.sum(axis=0)),
                  (d2.T @ a2, d2.sum(axis=0))]


def example():
    """The arguments of value_and_grad: params, the inputs (B, 4), and B classes."""
    rng = np.random.default_rng(0)
    sizes = [(6, 4), (5, 6), (3, 5)]
    params = [(rng.normal(size=size), rng.normal(size=size[0])) for size in sizes]
    return params, rng.normal(size=(7, 4)), rng.integers(3, size=7)
'''
TEMPLATES = {"function": TEMPLATE, "network": NETWORK_TEMPLATE}
