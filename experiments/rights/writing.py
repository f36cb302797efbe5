"""The ways a right gradient is written: by JAX or by NumPy, in other orders, layouts, precisions and conventions."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

import functional_nn as fnn
from experiments.rights.draws import JAX_STYLES, PRECISIONS, Architecture, Case
from experiments.rights.functions import FUNCTIONS, SLOPES, loss_slope
from functional_nn.activations import ACTIVATIONS, Activation
from functional_nn.layers import dense, layer_norm, maxout, residual
from functional_nn.losses import LOSSES


def _other_maxout(width: int) -> fnn.layers.Layer:
    """Of pieces that tie, the first one has the gradient."""
    right = maxout(width)

    def forward(params, a, key):
        z = params["w"] @ a + params["b"]
        return jnp.max(z, axis=0), (a, jax.nn.one_hot(jnp.argmax(z, axis=0), len(z), axis=0, dtype=z.dtype))

    return dataclasses.replace(right, forward=forward)


def _sided(r):
    """sign r, with 1 at 0."""
    return jnp.where(r >= 0, jnp.ones_like(r), -jnp.ones_like(r))


OTHER_ACTIVATIONS: dict[str, Callable] = {
    "relu": lambda z: (z >= 0).astype(z.dtype),
    "leaky_relu": lambda z: jnp.where(z > 0, jnp.ones_like(z), jnp.full_like(z, 0.1))}
OTHER_LOSSES: dict[str, Callable] = {
    "mae": lambda a, y: _sided(a - y) / a.size,
    "quantile": lambda a, y, tau: ((1 - tau) * (a >= y).astype(a.dtype) - tau * (a < y).astype(a.dtype)) / a.size,
    "epsilon_insensitive": lambda a, y, epsilon: jnp.sign(a - y) * (jnp.abs(a - y) >= epsilon).astype(a.dtype) / a.size,
    "hinge": lambda a, y: -y * (y * a <= 1).astype(a.dtype) / a.size}


class Compiled:
    """An architecture as a network, and the compiled functions that its eight cases share."""

    def __init__(self, shape: Architecture):
        self.architecture, self.net = shape, network(shape, False)
        self.shapes = jax.eval_shape(self.net.init, jax.random.key(0))
        self.outputs = jax.jit(jax.vmap(self.net.apply, in_axes=(None, 0)))
        self._functions: dict[tuple[str, bool], Callable] = {}

    def function(self, style: str, other: bool) -> Callable:
        """A compiled gradient."""
        if (style, other) not in self._functions:
            shape, loss = self.architecture, LOSSES[self.architecture.loss]
            net = network(shape, True) if other else self.net
            if other and shape.loss in OTHER_LOSSES:
                loss = dataclasses.replace(loss, slope=OTHER_LOSSES[shape.loss])
            made = (fnn.backprop.per_example_gradients(net, loss) if style == "per example" else
                    getattr(fnn, style).value_and_grad(net, loss, shape.reduction))
            self._functions[style, other] = jax.jit(made)
        return self._functions[style, other]


def network(shape: Architecture, other: bool) -> fnn.network.Network:
    """The network; `other` takes the derivative from the right at kinks, and of a maxout the first piece."""
    def activation(name: str) -> Activation:
        chosen = ACTIVATIONS[name]
        return dataclasses.replace(chosen, slope=lambda z, **_: OTHER_ACTIVATIONS[name](z)) if (
            other and name in OTHER_ACTIVATIONS) else chosen

    made, n = [], shape.n_in
    for kind, width, name in shape.parts:
        sigma = activation(name)
        if kind == "maxout":
            made.append(_other_maxout(width) if other else maxout(width))
        elif kind == "layer norm":
            made.append(layer_norm())
        elif kind == "dense":
            made.append(dense(width, sigma))
        else:
            made.append(residual(dense(width, sigma) if kind == "residual" else layer_norm(), dense(n, sigma)))
        n = width if kind in ("maxout", "dense") else n
    return fnn.sequential(shape.n_in, *made)


def answer(case: Case, compiled: Compiled):
    """What the function under test gives for its own batch."""
    with jax.enable_x64(True):
        given = under_test(case, compiled)(written(case.layout, case.params), case.X.copy(), case.Y.copy())
        return jax.tree.map(np.asarray, given[1] if case.cost else given)


def under_test(case: Case, compiled: Compiled) -> Callable:
    """(params, X, Y) -> (cost, gradient) or the gradient, right, as the case has it written."""
    inside, outside, _ = PRECISIONS[case.precision]
    inside, outside = (np.dtype(getattr(ml_dtypes, name, name)) for name in (inside, outside))
    gradient = by_jax if case.style in JAX_STYLES else by_numpy

    def value_and_grad(params, X, Y):
        params, X, Y = jax.tree.map(np.asarray, (params, X, Y))
        with np.errstate(all="ignore"):
            own = jax.tree.map(lambda leaf: leaf.astype(inside), read(case.layout, params))
            cost, grads = gradient(case, compiled, own, X.astype(inside), Y.astype(inside) if Y.dtype.kind == "f" else Y)
            if case.penalty is not None:
                grads = jax.tree.map(lambda g, p: np.asarray(g + penalty_slope(case.penalty, p), inside), grads, own)
            grads = written(case.layout, jax.tree.map(lambda leaf: np.asarray(leaf).astype(outside), grads))
        return (float(cost), grads) if case.cost else grads

    return value_and_grad


def by_jax(case: Case, compiled: Compiled, params, X, Y):
    """(cost, gradient) of this project's own functions, compiled."""
    result = compiled.function(case.style, case.other)(params, X, Y)
    if case.style != "per example":
        return result[0], jax.tree.map(np.asarray, result[1])
    share = X.dtype.type(1 / len(X) if case.architecture.reduction == "mean" else 1)
    return 0.0, jax.tree.map(lambda each: sum(share * g for g in np.asarray(each)[::-1]), result)


def by_numpy(case: Case, compiled: Compiled, params, X, Y):
    """(cost, gradient) of dense layers in plain NumPy: in one go, example by example, or backwards."""
    shape = case.architecture
    share = X.dtype.type(1 / len(X) if shape.reduction == "mean" else 1)
    Y = np.eye(shape.parts[-1].width, dtype=X.dtype)[Y] if Y.dtype.kind in "iu" else Y.reshape(len(X), -1)
    order = {"numpy, example by example": range(len(X)), "numpy, backwards": reversed(range(len(X)))}.get(case.style)
    batches = [slice(None)] if order is None else [slice(i, i + 1) for i in order]
    found = [_backprop(case, params, X[rows], Y[rows], share) for rows in batches]
    return float(len(X)), jax.tree.map(lambda *leaves: sum(leaves[1:], start=leaves[0]), *found)


def _backprop(case: Case, params, X, Y, share):
    shape, a, z = case.architecture, [X], []
    for p, part in zip(params, shape.parts, strict=True):
        z.append(a[-1] @ p["w"].T + p["b"])
        a.append(FUNCTIONS[part.activation](z[-1]))
    if (shape.parts[-1].activation, shape.loss) == ("softmax", "cross_entropy"):
        delta = a[-1] * Y.sum(axis=1, keepdims=True) - Y
    elif (shape.parts[-1].activation, shape.loss) == ("sigmoid", "binary_cross_entropy"):
        delta = a[-1] - Y
    else:
        delta = _pulled(case, -1, z, loss_slope(shape.loss, a[-1], Y, case.other))  # BP1
    delta, grads = share * delta, []
    for l in reversed(range(len(params))):
        grads.insert(0, {"b": delta.sum(axis=0), "w": delta.T @ a[l]})  # BP3, BP4
        if l:
            delta = _pulled(case, l - 1, z, delta @ params[l]["w"])  # BP2
    return tuple(grads)


def _pulled(case: Case, l: int, z, v):
    """v through the derivative of layer l's activation."""
    name = case.architecture.parts[l].activation
    if name == "softmax":
        s = FUNCTIONS["softmax"](z[l])
        return s * (v - np.sum(s * v, axis=1, keepdims=True))
    if case.style == "numpy, slopes from a" and name in ("sigmoid", "tanh"):
        out = FUNCTIONS[name](z[l])
        return v * (out * (1 - out) if name == "sigmoid" else 1 - out**2)
    if case.other and name in ("relu", "leaky_relu"):
        return v * (z[l] >= 0 if name == "relu" else np.where(z[l] > 0, 1, 0.1)).astype(v.dtype)
    return v * SLOPES[name](z[l]).astype(v.dtype)


def penalty_of(kind: str, params) -> jax.Array:
    """A hundredth of half the squares, or of the sizes, of some parameters."""
    leaves = [leaf for leaf in jax.tree.leaves(params) if kind == "L2 of all" or leaf.ndim > 1]
    return 0.01 * sum(jnp.sum(leaf * jnp.sign(leaf)) if kind == "L1 of W" else jnp.sum(leaf**2) / 2 for leaf in leaves)


def penalty_slope(kind: str, leaf) -> np.ndarray:
    """Its derivative by one leaf."""
    if kind != "L2 of all" and leaf.ndim < 2:
        return np.zeros_like(leaf)
    return (leaf.dtype.type(0.01) * (np.sign(leaf) if kind == "L1 of W" else leaf)).astype(leaf.dtype)


def written(layout: str, params):
    """Parameters, or gradients, in a layout."""
    if layout == "own":
        return params
    pairs = [(p["w"].T if layout in ("pairs in_out", "flax") else p["w"], p["b"]) for p in params]
    if layout == "flax":
        return {"params": {f"Dense_{l}": {"kernel": w, "bias": b} for l, (w, b) in enumerate(pairs)}}
    return pairs if layout != "named" else {f"{name}{l}": leaf for l, pair in enumerate(pairs, 1)
                                            for name, leaf in zip("Wb", pair, strict=True)}


def read(layout: str, params) -> tuple:
    """`written` undone."""
    if layout == "own":
        return params
    if layout == "flax":
        layers = params["params"]
        pairs = [(layers[f"Dense_{l}"]["kernel"], layers[f"Dense_{l}"]["bias"]) for l in range(len(layers))]
    else:
        pairs = params if layout != "named" else [(params[f"W{l}"], params[f"b{l}"]) for l in range(1, len(params) // 2 + 1)]
    return tuple({"w": w.T if layout in ("pairs in_out", "flax") else w, "b": b} for w, b in pairs)


def off(case: Case, compiled: Compiled) -> float:
    """How far the gradient is from jax.grad in float64, in rounding units of its own dtype, at most of all leaves."""
    unit = float(jnp.finfo(PRECISIONS[case.precision][1]).eps) / 2
    with jax.enable_x64(True):
        right = compiled.function("autodiff", False)(case.params, case.X, case.Y)[1]
        if case.penalty is not None:
            right = jax.tree.map(lambda g, p: g + penalty_slope(case.penalty, p), right, case.params)
        worst = 0.0
        for given, leaf in zip(jax.tree.leaves(read(case.layout, answer(case, compiled))), jax.tree.leaves(right), strict=True):
            given, leaf = np.asarray(given, np.float64), np.asarray(leaf)
            gap = np.linalg.norm(given - leaf)
            worst = max(worst, float(gap / max(np.linalg.norm(given), np.linalg.norm(leaf), 1e-300)) if gap else 0.0)
    return worst / unit
