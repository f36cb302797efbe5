"""Activations and losses by hand in NumPy, for right gradients that share no code with the library.

Only what is written here is drawn, so that a new activation or loss does not change what a seed draws.
"""

import math
from collections.abc import Callable

import numpy as np

LOSSES = ("quadratic", "squared_error", "mse", "mae", "huber", "log_cosh", "quantile", "epsilon_insensitive",
          "binary_cross_entropy", "cross_entropy", "hinge")


def _logistic(z):
    t = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, t) / (1 + t)


def _logistic_slope(z):
    t = np.exp(-np.abs(z))
    return t / (1 + t) ** 2


def _normal_cdf(z):
    return (np.vectorize(math.erfc, otypes=[float])(-z * math.sqrt(0.5)) / 2).astype(z.dtype)


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


FUNCTIONS: dict[str, Callable] = {
    "linear": lambda z: z, "step": lambda z: (z >= 0).astype(z.dtype), "sigmoid": _logistic, "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0), "leaky_relu": lambda z: np.maximum(z, 0.1 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), "softplus": lambda z: np.logaddexp(z, 0),
    "gelu": lambda z: z * _normal_cdf(z), "silu": lambda z: z * _logistic(z), "softmax": _softmax}
SLOPES: dict[str, Callable] = {
    "linear": np.ones_like, "step": np.zeros_like, "sigmoid": _logistic_slope, "tanh": lambda z: 4 * _logistic_slope(2 * z),
    "relu": lambda z: z > 0, "leaky_relu": lambda z: np.where(z >= 0, 1, 0.1),
    "elu": lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))), "softplus": _logistic,
    "gelu": lambda z: _normal_cdf(z) + z * np.exp(-z**2 / 2) / math.sqrt(2 * math.pi),
    "silu": lambda z: _logistic(z) * (1 + z * _logistic(-z))}


def loss_slope(loss: str, a, y, other: bool):
    """∇ₐL of every example; `other` is the derivative from the right at kinks."""
    r, n = a - y, a.shape[1]
    sign = np.where(r >= 0, 1, -1).astype(a.dtype) if other else np.sign(r)
    hinged = y * a <= 1 if other else y * a < 1
    outside = np.abs(r) >= 1 if other else np.abs(r) > 1
    return {"quadratic": lambda: r, "squared_error": lambda: 2 * r, "mse": lambda: 2 * r / n, "mae": lambda: sign / n,
            "huber": lambda: np.clip(r, -1, 1) / n, "log_cosh": lambda: np.tanh(r) / n, "quantile": lambda: sign / 2 / n,
            "epsilon_insensitive": lambda: np.sign(r) * outside / n, "hinge": lambda: -y * hinged / n}[loss]()
