"""Backpropagation as one writes it in NumPy, a batch at a time, with named steps that a mistake can be put into.

The steps are `head` (δ of the last layer), `pullback` at layer l (δˡ out of what is above), `weight` and `bias` at layer l (the
leaves, given δˡ), `batch` (how the examples' contributions become one leaf), `penalty` and `structure` (the finished gradient).
Without mistakes it is right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from experiments.mutants.passes import (
    FUNCTIONS,
    SLOPES,
    Model,
    Spec,
    Tape,
    cost,
    factors,
    head,
    inner_delta,
    output,
    product,
    pull,
    run_forward,
)


@dataclass(frozen=True)
class Mutation:
    """A mistake put into one step; `layer` None means at every layer."""

    site: str
    layer: int | None
    change: Callable[["Step"], Any]


@dataclass
class Run:
    """One call: everything that is known so far, from the last layer down."""

    model: Model
    params: Any
    X: np.ndarray
    Y: np.ndarray
    tapes: tuple[Tape, ...]
    mutations: tuple[Mutation, ...]
    deltas: dict[int, np.ndarray] = field(default_factory=dict)
    grads: dict[int, Any] = field(default_factory=dict)

    def step(self, site: str, layer: int, right, **known):
        """The value of a step, after the mistakes made there."""
        for mutation in self.mutations:
            if mutation.site == site and (mutation.layer in (layer, None) or site == "structure"):
                right = mutation.change(Step(self, site, mutation.layer if site == "structure" else layer, right, **known))
        return right

    def reduce(self, each, name: str = "w"):
        """The examples' contributions as one leaf: their mean."""
        return self.step("batch", -1, each.sum(axis=0) / len(each), each=each, leaf=name)


@dataclass
class Step:
    """What a mistake can see: the step's right value, and what it is made from.

    Attributes:
      right: δ of shape (B, n) at head and pullback, the leaf at weight, bias, batch and penalty, the whole tree at structure.
      cotangent: at a pullback, ∂L/∂a before the activation's derivative.
      each: at weight, bias and batch, every example's contribution.
      spec, delta, a: at weight and bias, the (inner) layer and the factors of its gradient.
      leaf: "w" (also a gain) or "b".
      value: the parameter itself, at weight, bias and penalty.
    """

    run: Run
    site: str
    layer: int
    right: Any
    cotangent: np.ndarray | None = None
    each: np.ndarray | None = None
    spec: Spec | None = None
    delta: np.ndarray | None = None
    a: np.ndarray | None = None
    leaf: str = "w"
    value: np.ndarray | None = None

    @property
    def z(self):
        """This layer's z."""
        return self.run.tapes[self.layer].z

    @property
    def activated(self):
        """This layer's σ(z)."""
        return FUNCTIONS[self.activation](self.z)

    @property
    def activation(self) -> str:
        """This layer's activation."""
        return self.run.model.specs[self.layer].activation

    def above(self):
        """The layer above: (spec, parameters, tape, δ)."""
        l = self.layer + 1
        return self.run.model.specs[l], self.run.params[l], self.run.tapes[l], self.run.deltas[l]


def names_of(p) -> dict[str, str]:
    """The leaves of a plain layer by role."""
    return {"w": "gain", "b": "bias"} if "gain" in p else {"w": "w", "b": "b"}


def leaves(run: Run, l: int, spec: Spec, p, tape: Tape, delta, mutable: bool = True):
    """The gradient of one layer, given its δ. In a residual layer, mistakes are made in the first inner one."""
    if spec.kind == "residual":
        deltas = inner_delta(spec, p, tape, delta)
        return tuple(leaves(run, l, *part, mutable=i == 0)
                     for i, part in enumerate(zip(spec.inner, p, tape.inner, deltas, strict=True)))
    delta, a = factors(spec, tape, delta)
    found = {}
    for role, site, each in (("w", "weight", product(spec, delta, a)), ("b", "bias", delta)):
        name = names_of(p)[role]
        found[name] = run.reduce(each, role)
        if mutable:
            found[name] = run.step(site, l, found[name], each=each, spec=spec, delta=delta, a=a, leaf=role, value=p[name])
    return found


def penalise(run: Run, l: int, p, gradient):
    """The gradient of the penalty on one layer's parameters, which is none."""
    if isinstance(p, tuple | list):
        return tuple(penalise(run, l, *part) for part in zip(p, gradient, strict=True))
    return {name: run.step("penalty", l, gradient[name], leaf=role, value=p[name]) for role, name in names_of(p).items()}


def backward(run: Run):
    """The gradient, shaped like the parameters."""
    model, last = run.model, run.model.last
    a = output(model.specs, run.tapes)
    run.deltas[last] = run.step("head", last, head(model, run.tapes[-1].z, a, run.Y))
    for l in reversed(range(last + 1)):
        run.grads[l] = leaves(run, l, model.specs[l], run.params[l], run.tapes[l], run.deltas[l])
        if l > 0:
            cotangent = pull(model.specs[l], run.params[l], run.tapes[l], run.deltas[l])
            right = cotangent * SLOPES[model.specs[l - 1].activation](run.tapes[l - 1].z)
            run.deltas[l - 1] = run.step("pullback", l - 1, right, cotangent=cotangent)
    grads = tuple(penalise(run, l, run.params[l], run.grads[l]) for l in range(last + 1))
    return run.step("structure", -1, grads)


def as_arrays(tree, convert: Callable):
    """A tree of tuples, lists and dicts with its leaves converted."""
    if isinstance(tree, dict):
        return {name: as_arrays(leaf, convert) for name, leaf in tree.items()}
    return tuple(as_arrays(part, convert) for part in tree) if isinstance(tree, tuple | list) else convert(tree)


def leaf_dtype(tree) -> np.dtype:
    """The dtype of the first leaf."""
    while isinstance(tree, dict | tuple | list):
        tree = next(iter(tree.values())) if isinstance(tree, dict) else tree[0]
    return np.asarray(tree).dtype


def value_and_grad(model: Model, mutations: Sequence[Mutation] = (), precision: str = "as given"):
    """(params, X, Y) -> (cost, gradient), of the mean over the examples.

    Args:
      model: the network and its loss.
      mutations: the mistakes to make.
      precision: "as given" computes in what the parameters hold, float32 for less, and hands back the same; "float32" casts
        everything on entry; "bfloat16" rounds the finished gradient.
    """
    def enter(x):
        x = np.asarray(x)
        return x.astype(np.float32) if precision == "float32" or x.dtype.itemsize < 4 or x.dtype.kind not in "fV" else x

    def cost_and_gradient(params, X, Y):
        given = leaf_dtype(params)
        params = as_arrays(params, enter)
        X, Y = (np.asarray(x).astype(leaf_dtype(params)) for x in (X, Y))
        with np.errstate(all="ignore"):
            run = Run(model, params, X, Y, run_forward(model.specs, params, X), tuple(mutations))
            grads = backward(run)
            if precision == "bfloat16" or (precision == "as given" and given == ml_dtypes.bfloat16):
                grads = as_arrays(grads, lambda g: np.asarray(g).astype(ml_dtypes.bfloat16))
            return cost(model.loss, output(model.specs, run.tapes), Y), grads

    return cost_and_gradient
