"""The networks to make mistakes in, with parameters and examples: each kind at each depth."""

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import jax
import ml_dtypes
import numpy as np

import functional_nn as fnn
from experiments.mutants import reference
from experiments.mutants.passes import Model, Spec

BATCH = 7
DEPTHS = (2, 3, 4)
SIZES = {2: (5, 6, 6), 3: (4, 6, 6, 5), 4: (5, 8, 8, 8, 4)}  # square layers, and others
PRECISIONS = {"float64": ("float64", "as given"), "float32": ("float32", "as given"), "bfloat16": ("float32", "bfloat16"),
              "bfloat16 given": ("bfloat16", "as given"), "float32 inside": ("float64", "float32")}
"""Name -> (dtype of the parameters, precision of the function): "float32" and "bfloat16 given" follow their input, "bfloat16"
hands back gradients rounded to it whatever it was given, and "float32 inside" computes in float32 whatever it was given."""


def _chain(hidden: str, output: str, loss: str):
    return {depth: Model(n[0], tuple(Spec("dense", m, output if i == depth - 1 else hidden) for i, m in enumerate(n[1:])), loss)
            for depth, n in SIZES.items()}


def _dense(n: int, activation: str) -> Spec:
    return Spec("dense", n, activation)


def _block(*inner: Spec) -> Spec:
    return Spec("residual", inner=inner)


KINDS = {
    "sigmoid": _chain("sigmoid", "sigmoid", "quadratic"),
    "tanh": _chain("tanh", "linear", "quadratic"),
    "relu": _chain("relu", "softmax", "cross_entropy"),
    "softmax": _chain("sigmoid", "softmax", "cross_entropy"),
    "maxout": {
        2: Model(5, (Spec("maxout", 6), _dense(6, "softmax")), "cross_entropy"),
        3: Model(6, (Spec("maxout", 6), Spec("maxout", 6), _dense(4, "softmax")), "cross_entropy"),
        4: Model(5, (Spec("maxout", 8), _dense(8, "tanh"), Spec("maxout", 8), _dense(4, "softmax")), "cross_entropy")},
    "layer norm": {
        2: Model(6, (Spec("layer_norm"), _dense(5, "softmax")), "cross_entropy"),
        3: Model(5, (_dense(6, "linear"), Spec("layer_norm"), _dense(4, "softmax")), "cross_entropy"),
        4: Model(5, (_dense(6, "tanh"), Spec("layer_norm"), _dense(6, "tanh"), _dense(4, "softmax")), "cross_entropy")},
    "residual": {
        2: Model(6, (_block(_dense(6, "tanh")), _dense(4, "sigmoid")), "binary_cross_entropy"),
        3: Model(5, (_dense(6, "tanh"), _block(_dense(6, "tanh")), _dense(4, "sigmoid")), "binary_cross_entropy"),
        4: Model(5, (_dense(6, "tanh"), _block(_dense(8, "relu"), _dense(6, "linear")), _block(_dense(6, "tanh")),
                     _dense(4, "sigmoid")), "binary_cross_entropy")},
}


def _layer(spec: Spec):
    if spec.kind == "dense":
        return fnn.layers.dense(spec.n_out, spec.activation)
    if spec.kind == "maxout":
        return fnn.layers.maxout(spec.n_out)
    return fnn.layers.layer_norm() if spec.kind == "layer_norm" else fnn.layers.residual(*map(_layer, spec.inner))


@cache
def network(model: Model):
    """The network of a model, one object for all its mutants, so that what is compiled for it is compiled once."""
    return fnn.sequential(model.n_in, *map(_layer, model.specs))


@dataclass(frozen=True)
class Problem:
    """A network with parameters and a batch, in float64: where a gradient is checked. Its kind, depth and seed make it."""

    kind: str
    depth: int
    seed: int
    model: Model
    params: Any = field(compare=False)
    X: np.ndarray = field(compare=False)
    Y: np.ndarray = field(compare=False)

    @property
    def net(self):
        """The network."""
        return network(self.model)

    @cached_property
    def batches(self) -> tuple[tuple, ...]:
        """Its own batch, and others to tell mistakes apart: several sizes, one example among them."""
        others = (draw(self.model, size, np.random.default_rng([self.seed, size])) for size in (5, 2, 1))
        return self.inputs("float64"), *others

    def inputs(self, dtype: str):
        """(params, X, Y) of that dtype."""
        name = PRECISIONS[dtype][0]
        kind = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
        return reference.as_arrays(self.params, lambda p: p.astype(kind)), self.X.astype(kind), self.Y.astype(kind)


def draw(model: Model, batch: int, rng: np.random.Generator):
    """Parameters with no zero among them, inputs, and targets that suit the loss."""
    def leaf(path, shape):
        scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.3
        return (path[-1].key == "gain") + scale * rng.normal(size=shape)

    shapes = jax.tree.map(lambda p: p.shape, jax.eval_shape(network(model).init, jax.random.key(0)))
    params = jax.tree_util.tree_map_with_path(leaf, shapes, is_leaf=lambda s: isinstance(s, tuple) and all(
        isinstance(n, int) for n in s))
    X, n_out = rng.normal(size=(batch, model.n_in)), network(model).n_out
    if model.loss == "cross_entropy":
        return params, X, np.eye(n_out)[rng.integers(n_out, size=batch)]
    targets = rng.uniform(size=(batch, n_out))
    return params, X, targets if model.loss == "quadratic" else np.round(targets)


def problem(kind: str, depth: int, seed: int) -> Problem:
    """The problem of that name; the same seed gives the same one."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), depth])
    return Problem(kind, depth, seed, KINDS[kind][depth], *draw(KINDS[kind][depth], BATCH, rng))
