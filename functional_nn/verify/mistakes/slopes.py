"""Hypotheses that σ′ is wrong in δ = g ⊙ σ′(z), with g the cotangent."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from functional_nn.activations import ACTIVATIONS, leaky_relu
from functional_nn.verify.hypothesis import Hypothesis, multiple
from functional_nn.verify.mistakes.view import View

OTHERS = {  # usual wrong σ′(z), of activations that this library does not have
    "hard sigmoid": lambda z: 0.2 * (np.abs(z) < 2.5), "hard sigmoid / 6": lambda z: (np.abs(z) < 3) / 6,
    "hard tanh": lambda z: 1.0 * (np.abs(z) < 1), "relu6": lambda z: 1.0 * ((z > 0) & (z < 6)),
    "softsign": lambda z: 1 / (1 + np.abs(z)) ** 2, "arctan": lambda z: 1 / (1 + z**2), "gaussian": lambda z: np.exp(-z**2),
    "exp": np.exp, "-relu": lambda z: 1.0 * (z < 0), "sin": np.cos, "square": lambda z: 2 * z, "|z|": np.sign}
STEPS = (0.1, 0.01, 1e-3, 1e-4, 1e-5)  # steps of difference quotients used for σ′
OF_VALUE = {"sigmoid": lambda v: v * (1 - v), "tanh": lambda v: 1 - v**2}  # σ′ as a function of a


def slopes(view: View, s: int, g: np.ndarray, given: np.ndarray, text: str) -> Iterator[Hypothesis]:
    """The hypotheses on σ′ at station s, the likelier first; `text` is the formula of g."""
    z, a, activation, layer = view.z(s), view.a(s), view.places[s].part.activation, view.label(s)
    name = activation.name

    def pull(act, point, cotangent) -> np.ndarray:
        return np.asarray(act.pullback(jnp.asarray(point), jnp.asarray(cotangent)))

    right = pull(activation, z, g)
    yield Hypothesis("missing derivative", g, text)
    yield Hypothesis("doubled derivative", pull(activation, z, right), f"({text}) * {name}'(z{layer})**2")
    yield Hypothesis("derivative at a", pull(activation, a, g), f"({text}) * {name}'(a{layer})")
    for other in (*ACTIVATIONS.values(), *(leaky_relu.configure(slope=slope) for slope in (0.01, 0.2, 0.3))):
        if other.name != name or other.name == "leaky_relu":
            yield Hypothesis("another activation's derivative", pull(other, z, g), f"({text}) * {other}'(z{layer})", str(other))
            yield Hypothesis("another activation's derivative", pull(other, a, g), f"({text}) * {other}'(a{layer})", str(other))
    for other, of in OF_VALUE.items():
        if other != name:
            yield Hypothesis("another activation's derivative", g * of(a), f"({text}) * {other}' of a{layer}", other)
        yield Hypothesis("pre-activation for activation", g * of(z), f"({text}) * {other}' with z{layer} for a{layer}")
    for other, of in OTHERS.items():
        for point, at in ((z, f"z{layer}"), (a, f"a{layer}")):
            if other not in ("square", "exp") or at[0] == "z":
                with np.errstate(all="ignore"):
                    yield Hypothesis("another activation's derivative", g * of(point), f"({text}) * {other}'({at})", other)
    yield Hypothesis("activation for derivative", g * a, f"({text}) * a{layer}")
    yield Hypothesis("another activation's derivative", g * (1 - a), f"({text}) * (1 - a{layer})", "half of a sigmoid's")
    yield Hypothesis("pre-activation for activation", g * z, f"({text}) * z{layer}")
    slope = pull(activation, z, np.ones_like(g))
    yield Hypothesis("wrong product", g + slope, f"({text}) + {name}'(z{layer})", "a sum")
    yield Hypothesis("derivative elsewhere", pull(activation, g, np.ones_like(g)), f"{name}'({text})", "the cotangent, alone")
    offset = multiple(given - right, g)
    yield Hypothesis("offset", right + offset * g, f"({text}) * ({name}'(z{layer}) + {offset:.6g})", f"{offset:.6g}", (offset,))
    jacobian = np.asarray(activation.derivative(jnp.asarray(z)))
    if jacobian.ndim > z.ndim:
        yield Hypothesis("cross terms forgotten", g * np.diagonal(jacobian, axis1=-2, axis2=-1),
                         f"({text}) * diagonal of {name}'(z{layer})")
    yield from _elsewhere(view, s, g, text, pull)


def _elsewhere(view: View, s: int, g, text: str, pull) -> Iterator[Hypothesis]:
    """Hypotheses that σ′ is taken at another point than z, or is a difference quotient."""
    activation, layer, place = view.places[s].part.activation, view.label(s), view.places[s]
    if activation.derivative(jnp.zeros(1)).ndim == 1:
        for h in STEPS:
            for before, after, which in ((0.0, h, "forward"), (h, 0.0, "backward"), (h, h, "central")):
                ends = (np.asarray(activation(jnp.asarray(view.z(s) + shift))) for shift in (after, -before))
                slope = np.subtract(*ends) / (before + after)
                yield Hypothesis("derivative elsewhere", g * slope, f"({text}) * a {which} difference of {activation.name}",
                                 f"{which}, h = {h:g}")
    bias = view.scene.params[s].get(place.bias)
    points = {}
    if bias is not None and bias.shape == view.z(s).shape[1:]:
        points = {f"z{layer} - b{layer}": view.z(s) - bias, f"z{layer} + b{layer}": view.z(s) + bias}
    for k in range(len(view.places)):
        if k != s:
            points[f"z{view.label(k)}"] = view.z(k)
            points[f"a{view.label(k)}"] = view.a(k)
    z = view.z(s)
    points |= {"x": view.input(0), f"-z{layer}": -z, f"the input of layer {layer}": view.input(s), "0": np.zeros_like(z),
               f"2 z{layer}": 2 * z, f"z{layer} / 2": z / 2, f"|z{layer}|": np.abs(z), f"z{layer} + 1": z + 1,
               f"z{layer} - 1": z - 1, f"z{layer}**2": z**2, f"z{layer} - its mean": z - z.mean(axis=1, keepdims=True),
               f"the mean of z{layer}": np.broadcast_to(z.mean(axis=1, keepdims=True), z.shape), "the cotangent": g,
               f"round(z{layer})": np.round(z), f"round(z{layer}, 1)": np.round(z, 1), f"round(z{layer}, 2)": np.round(z, 2)}
    for name, point in points.items():
        if point.shape == g.shape:
            yield Hypothesis("derivative elsewhere", pull(activation, point, g), f"({text}) * {activation.name}'({name})", name)
