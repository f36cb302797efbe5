"""The mathematics of each kind of layer in NumPy, a batch at a time: forward, and back step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spec:
    """One layer: dense, maxout, layer_norm or residual, with the activation and the layers inside a residual one."""

    kind: str
    n_out: int = 0
    activation: str = "linear"
    inner: tuple["Spec", ...] = ()


@dataclass(frozen=True)
class Model:
    """What the backward pass knows of a network."""

    n_in: int
    specs: tuple[Spec, ...]
    loss: str

    @property
    def last(self) -> int:
        """The last layer."""
        return len(self.specs) - 1


@dataclass
class Tape:
    """What the forward pass of one layer leaves: its input a, its output z, and what its kind needs besides."""

    a: np.ndarray
    z: np.ndarray
    share: np.ndarray | None = None  # maxout: 1 for the piece that won
    x_hat: np.ndarray | None = None  # layer norm
    spread: np.ndarray | None = None
    inner: tuple["Tape", ...] = ()   # residual


def sigmoid(z):
    """1 / (1 + e⁻ᶻ)."""
    return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))))


def softmax(z):
    """Over the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


FUNCTIONS = {"linear": lambda z: z, "sigmoid": sigmoid, "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "softmax": softmax}
SLOPES = {"linear": np.ones_like, "sigmoid": lambda z: sigmoid(z) * sigmoid(-z), "tanh": lambda z: 1 - np.tanh(z) ** 2,
          "relu": lambda z: (z > 0).astype(z.dtype)}


def forward(spec: Spec, p, a) -> Tape:
    """One layer, (B, n_in) -> a Tape with z (B, n_out)."""
    if spec.kind == "dense":
        return Tape(a, a @ p["w"].T + p["b"])
    if spec.kind == "maxout":
        z = np.einsum("pjk,bk->bpj", p["w"], a) + p["b"]
        won = (z == z.max(axis=1, keepdims=True)).astype(z.dtype)
        return Tape(a, z.max(axis=1), share=won / won.sum(axis=1, keepdims=True))
    if spec.kind == "layer_norm":
        spread = np.sqrt(a.var(axis=1, keepdims=True) + 1e-5)
        x_hat = (a - a.mean(axis=1, keepdims=True)) / spread
        return Tape(a, p["gain"] * x_hat + p["bias"], x_hat=x_hat, spread=spread)
    inner = run_forward(spec.inner, p, a)
    return Tape(a, a + output(spec.inner, inner), inner=inner)


def run_forward(specs: Sequence[Spec], params, a) -> tuple[Tape, ...]:
    """The tapes of a chain of layers."""
    tapes = []
    for spec, p in zip(specs, params, strict=True):
        tapes.append(forward(spec, p, a))
        a = FUNCTIONS[spec.activation](tapes[-1].z)
    return tuple(tapes)


def output(specs, tapes):
    """The chain's last activation."""
    return FUNCTIONS[specs[-1].activation](tapes[-1].z)


def inner_delta(spec: Spec, p, tape: Tape, delta):
    """Residual: δ of its first inner layer, and of all of them."""
    deltas = [delta * SLOPES[spec.inner[-1].activation](tape.inner[-1].z)]
    for i in reversed(range(len(spec.inner) - 1)):
        below = pull(spec.inner[i + 1], p[i + 1], tape.inner[i + 1], deltas[0])
        deltas.insert(0, below * SLOPES[spec.inner[i].activation](tape.inner[i].z))
    return deltas


def pull(spec: Spec, p, tape: Tape, delta):
    """∂L/∂a of the layer's input, out of its δ."""
    if spec.kind == "dense":
        return delta @ p["w"]
    if spec.kind == "maxout":
        return np.einsum("bpj,pjk->bk", tape.share * delta[:, None], p["w"])
    if spec.kind == "layer_norm":
        v = p["gain"] * delta
        inside = v - v.mean(axis=1, keepdims=True) - tape.x_hat * (v * tape.x_hat).mean(axis=1, keepdims=True)
        return inside / tape.spread
    return delta + pull(spec.inner[0], p[0], tape.inner[0], inner_delta(spec, p, tape, delta)[0])


def factors(spec: Spec, tape: Tape, delta):
    """(δ, a), whose `product` is the gradient of the weights and whose δ is the gradient of the biases."""
    if spec.kind == "maxout":
        return tape.share * delta[:, None], tape.a
    return delta, tape.x_hat if spec.kind == "layer_norm" else tape.a


def product(spec: Spec, delta, a):
    """Each example's gradient of the weights (of the gain)."""
    return delta * a if spec.kind == "layer_norm" else np.einsum("b...j,bk->b...jk", delta, a)


def loss_slope(loss: str, a, y):
    """∇ₐL."""
    if loss == "quadratic":
        return a - y
    return -y / a if loss == "cross_entropy" else (1 - y) / (1 - a) - y / a


def head(model: Model, z, a, y):
    """δ of the last layer: a − y for the pairs that cancel, else ∇ₐL ⊙ σ′(z)."""
    if model.specs[-1].activation in ("softmax", "linear") or model.loss == "binary_cross_entropy":
        return a - y
    return loss_slope(model.loss, a, y) * SLOPES[model.specs[-1].activation](z)


def cost(loss: str, a, y):
    """The mean over the examples."""
    if loss == "quadratic":
        return np.sum((a - y) ** 2) / 2 / len(y)
    other = (1 - y) * np.log1p(-a) if loss == "binary_cross_entropy" else 0
    return -np.sum(y * np.log(a) + other) / len(y)
