"""What is drawn: an architecture, and cases of it with parameters, examples, a precision, a style and a layout."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.rights import functions
from functional_nn.losses import LOSSES

PRECISIONS = {  # name -> what it computes in, what it hands back, how often
    "float64": ("float64", "float64", 0.35), "float32": ("float32", "float32", 0.2),
    "float64, gives float32": ("float64", "float32", 0.15), "bfloat16": ("bfloat16", "bfloat16", 0.1),
    "float32, gives bfloat16": ("float32", "bfloat16", 0.1), "float64, gives bfloat16": ("float64", "bfloat16", 0.1)}
JAX_STYLES = ("backprop", "autodiff", "per example")
NUMPY_STYLES = ("numpy", "numpy, example by example", "numpy, backwards", "numpy, slopes from a")
LAYOUTS = ("own", "pairs", "pairs in_out", "flax", "named")
PENALTIES = ("L2 of W", "L2 of all", "L1 of W")


class Part(NamedTuple):
    """One layer: dense, maxout, layer norm, or a residual block of two layers (its first is `width` wide, or a layer norm)."""

    kind: str
    width: int
    activation: str


class Architecture(NamedTuple):
    """What eight networks share."""

    n_in: int
    parts: tuple[Part, ...]
    loss: str
    reduction: str

    @property
    def plain(self) -> bool:
        """Whether every layer is dense."""
        return all(part.kind == "dense" for part in self.parts)


@dataclasses.dataclass(frozen=True)
class Case:
    """One right gradient: what is differentiated where, and how the function that does it is written."""

    index: int
    architecture: Architecture
    params: tuple
    X: np.ndarray
    Y: np.ndarray
    precision: str
    style: str
    layout: str
    cost: bool
    other: bool
    penalty: str | None
    features: tuple[str, ...]
    redrawn: int = 0


def architecture(rng: np.random.Generator) -> Architecture:
    """Layers, loss and reduction at random."""
    depth, plain = int(rng.integers(1, 7)), rng.random() < 0.6
    one = str(rng.choice(list(functions.FUNCTIONS))) if rng.random() < 0.4 else None
    loss = LOSSES[str(rng.choice(functions.LOSSES))]
    output = loss.output or ("linear" if rng.random() < 0.4 else str(rng.choice(list(functions.FUNCTIONS))))

    def width(least: int = 1) -> int:
        return 32 if rng.random() < 0.06 else int(rng.integers(least, 9))

    parts = []
    for _ in range(depth - 1):
        kind = "dense" if plain else str(rng.choice(["dense", "maxout", "layer norm", "residual", "residual of layer norm"],
                                                    p=[0.45, 0.2, 0.15, 0.12, 0.08]))
        parts.append(Part(kind, width(), one or str(rng.choice(list(functions.FUNCTIONS)))))
    parts.append(Part("dense", width(2 if output == "softmax" else 1), output))
    return Architecture(width(), tuple(parts), loss.name, "sum" if rng.random() < 0.25 else "mean")


def draw(rng: np.random.Generator, index: int, compiled: Any, featured: bool) -> Case:
    """One draw; `featured` allows what is out of the ordinary."""
    shape, B = compiled.architecture, 1 if rng.random() < 0.2 else int(rng.integers(2, 10))
    features = []

    def chance(name: str, p: float) -> bool:
        if featured and rng.random() < p:
            features.append(name)
        return name in features

    integers = chance("small integers", 0.12)
    params = parameters(rng, compiled, chance, integers)
    X = inputs(rng, (B, shape.n_in), chance, integers)
    names = list(PRECISIONS)
    precision = names[rng.choice(len(names), p=[PRECISIONS[name][2] for name in names])]
    style = str(rng.choice([*JAX_STYLES, *NUMPY_STYLES] if shape.plain and precision != "bfloat16" else JAX_STYLES))
    layout = str(rng.choice(LAYOUTS)) if shape.plain and rng.random() < 0.6 else "own"
    penalty = str(rng.choice(PENALTIES)) if chance("penalty", 0.15) else None
    other = style != "autodiff" and chance("other convention", 0.3)
    Y = targets(rng, compiled, params, X, chance)
    return Case(index, shape, params, X, Y, precision, style, layout, style != "per example" and rng.random() < 0.6, other,
                penalty, tuple(features))


def parameters(rng, compiled: Any, chance, integers: bool) -> tuple:
    """Weights and biases, with what was drawn of: zero biases, saturation, dead rows, ties between pieces."""
    biased, scale = not chance("zero biases", 0.35), 30.0 if chance("saturated", 0.12) else 1.0
    dead, tied = chance("dead rows", 0.12), chance("ties", 0.1)

    def leaf(path, like):
        name, shape = path[-1].key, like.shape
        if integers:
            value = rng.integers(-2, 3, size=shape).astype(np.float64)
            return value if biased or name in ("w", "gain") else 0 * value
        if name in ("b", "bias"):
            return 0.5 * rng.normal(size=shape) if biased else np.zeros(shape)
        return 1 + 0.3 * rng.normal(size=shape) if name == "gain" else scale * rng.normal(size=shape) / shape[-1] ** 0.5

    params = jax.tree_util.tree_map_with_path(leaf, compiled.shapes)

    def spoilt(path, value):
        name = path[-1].key
        if dead and name in ("w", "b") and value.ndim < 3 and value.shape[-1 if name == "b" else -2] > 1:
            value = value.copy()
            value[0] = 0.0  # neuron 0 of a dense layer; the first piece of a maxout
        return np.broadcast_to(value[:1], value.shape).copy() if tied and _piecewise(compiled, path, value) else value

    return jax.tree_util.tree_map_with_path(spoilt, params)


def _piecewise(compiled: Any, path, value) -> bool:
    """Whether a leaf has an axis of a maxout's pieces."""
    return compiled.architecture.parts[path[0].idx].kind == "maxout" and value.ndim > 1


def inputs(rng, shape, chance, integers: bool) -> np.ndarray:
    """Examples, with what was drawn of: zeros, tiny and huge ones, examples that are alike."""
    X = rng.integers(-2, 3, size=shape).astype(np.float64) if integers else rng.normal(size=shape)
    if chance("inputs all zero", 0.05):
        return np.zeros(shape)
    if chance("some inputs zero", 0.08):
        X[rng.random(len(X)) < 0.5] = 0.0
    if chance("examples alike", 0.04):
        X[:] = X[:1]
    return X * (1e-6 if chance("inputs 1e-6", 0.07) else 1e3 if chance("inputs 1e3", 0.07) else 1.0)


def targets(rng, compiled: Any, params, X, chance) -> np.ndarray:
    """What the loss takes: labels, unit vectors or probabilities, signs, or any numbers, some equal to the predictions."""
    shape, B, n = compiled.architecture, len(X), compiled.net.n_out
    kind = LOSSES[shape.loss].targets
    if kind == "distribution":
        labels, way = rng.integers(0, n, size=B), rng.integers(3)
        return labels if way == 0 else np.eye(n)[labels] if way == 1 else rng.dirichlet(np.ones(n), size=B)
    if kind == "shares":
        Y = rng.random((B, n)) if rng.random() < 0.4 else rng.integers(0, 2, size=(B, n)).astype(np.float64)
    elif kind == "signs":
        Y = rng.choice([-1.0, 1.0], size=(B, n))
    else:
        Y = rng.normal(size=(B, n))
        if chance("targets predicted", 0.12):
            with jax.enable_x64(True):
                met = rng.random(Y.shape) < (1.0 if rng.random() < 0.3 else 0.5)
                Y = np.where(met, np.asarray(compiled.outputs(params, X)), Y)
                Y = np.where(np.isfinite(Y), Y, 0.0)
    return Y[:, 0] if n == 1 and rng.random() < 0.4 else Y


