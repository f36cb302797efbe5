"""The mistakes people make at one step of a network's backward pass, each as what it would have given."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.activations import ACTIVATIONS
from functional_nn.losses import LOSSES
from functional_nn.objective import Objective
from functional_nn.verify.causes import Hypothesis, multiple
from functional_nn.verify.locate import Located
from functional_nn.verify.stations import Forward, Station


class Scene(NamedTuple):
    """All that a hypothesis may need: arrays have examples first."""

    problem: Objective
    places: tuple[Station, ...]
    params: list[dict[str, np.ndarray]]  # one dict a station
    forward: Forward
    located: Located
    gradients: list[dict[str, np.ndarray]]  # the user's, of each example
    y: np.ndarray
    expect: object  # deltas -> Expected


def formulas(scene: Scene, site: str, s: int) -> str:
    """The right step, written out; layers count from 0."""
    layer, above = scene.places[s].layer, scene.places[min(s + 1, len(scene.places) - 1)].layer
    derivative = f" * {scene.places[s].part.activation.name}'(z{layer})"
    return {"head": f"dL/da{derivative}", "pullback": f"(W{above}.T @ d{above}){derivative}",
            "weight": f"outer(d{layer}, a{layer - 1})" if layer else "outer(d0, x)", "bias": f"d{layer}"}[site]


def of_step(scene: Scene, site: str, s: int) -> Iterator[Hypothesis]:
    """The hypotheses for the step `site` of station `s`, the simplest first."""
    yield from {"head": _head, "pullback": _pullback, "weight": _weight, "bias": _bias}[site](scene, s)


def _derivatives(scene: Scene, s: int, g: np.ndarray, text: str) -> Iterator[Hypothesis]:
    """Mistakes with σ′ at station `s`, whose cotangent before σ′ is g."""
    z, activation, layer = jnp.asarray(scene.forward.z[s]), scene.places[s].part.activation, scene.places[s].layer
    a = activation(z)
    pull = jax.vmap(activation.pullback)
    yield Hypothesis("missing derivative", g, text)
    right = pull(z, jnp.asarray(g))
    yield Hypothesis("doubled derivative", np.asarray(pull(z, right)), f"({text}) * {activation.name}'(z{layer})**2")
    yield Hypothesis("derivative at a", np.asarray(pull(a, jnp.asarray(g))), f"({text}) * {activation.name}'(a{layer})")
    for other in ACTIVATIONS.values():
        if other.name != activation.name:
            yield Hypothesis("another activation's derivative", np.asarray(jax.vmap(other.pullback)(z, jnp.asarray(g))),
                             f"({text}) * {other.name}'(z{layer})", other.name)
    for name, of in (("sigmoid", lambda v: v * (1 - v)), ("tanh", lambda v: 1 - v**2)):
        if name != activation.name:
            yield Hypothesis("another activation's derivative", np.asarray(g * of(a)), f"({text}) * {name}' of a{layer}", name)
        yield Hypothesis("pre-activation for activation", np.asarray(g * of(z)), f"({text}) * {name}' with z{layer} for a")


def _head(scene: Scene, s: int) -> Iterator[Hypothesis]:
    problem, y = scene.problem, jnp.asarray(scene.y)
    z, activation = jnp.asarray(scene.forward.z[s]), scene.places[s].part.activation
    a, right = activation(z), jnp.asarray(scene.located.steps[0].expected)
    pull = jax.vmap(activation.pullback)
    raw = jax.vmap(problem.loss.gradient)(a, y)
    yield from _derivatives(scene, s, np.asarray(raw), "dL/da")
    yield Hypothesis("doubled derivative", np.asarray(pull(z, right)), f"(a - y) * {activation.name}'(z)")
    for part, text in ((a, "a"), (z, "z"), (jax.vmap(problem.loss.gradient)(a, jnp.zeros_like(y)), "dL/da at y = 0")):
        yield Hypothesis("target ignored", np.asarray(part), text)
        yield Hypothesis("target ignored", np.asarray(pull(z, part)), f"({text}) * {activation.name}'(z)")
    yield Hypothesis("pre-activation for activation", np.asarray(z - y), "z - y")
    yield Hypothesis("pre-activation for activation", np.asarray(pull(z, z - y)), f"(z - y) * {activation.name}'(z)")
    for loss in LOSSES.values():
        if loss.name != problem.loss.name:
            other = jax.vmap(loss.gradient)(a, y)
            yield Hypothesis("another loss", np.asarray(pull(z, other)), f"{loss.name}'(a) * {activation.name}'(z)", loss.name)
            yield Hypothesis("another loss", np.asarray(other), f"{loss.name}'(a)", loss.name)


def _pullback(scene: Scene, s: int) -> Iterator[Hypothesis]:
    places, deltas, located = scene.places, scene.located.deltas, scene.located
    place, layer = places[s], places[s].layer
    g = np.asarray(located.expected.cotangents[s])
    pull = jax.vmap(place.part.activation.pullback)

    def through(cotangent):
        return np.asarray(pull(jnp.asarray(scene.forward.z[s]), jnp.asarray(cotangent)))

    above = places[s + 1]
    text, derivative = f"W{above.layer}.T @ d{above.layer}", f" * {place.part.activation.name}'(z{layer})"
    yield from _derivatives(scene, s, g, text)
    alone = {t: [d if t == u else np.zeros_like(d) for u, d in enumerate(deltas)] for t in range(s + 1, len(places))}
    parts = {t: np.asarray(scene.expect(only).deltas[s]) for t, only in alone.items()}
    if sum(bool(part.any()) for part in parts.values()) > 1:
        for t, part in parts.items():
            yield Hypothesis("skip connection forgotten", part, f"only the part by way of layer {places[t].layer}")
    yield Hypothesis("cotangent ignored", through(np.ones_like(g)), derivative.removeprefix(" * "))
    yield Hypothesis("cotangent ignored", np.ones_like(g), "1")
    W = scene.params[s + 1].get("w")
    if W is None or W.ndim != 2 or len(places[s + 1].path) != len(place.path):
        return
    delta = deltas[s + 1]
    if W.shape[0] == W.shape[1]:
        yield Hypothesis("untransposed weight", through(delta @ W.T), f"(W{above.layer} @ d{above.layer}){derivative}")
    for k, other in enumerate(scene.params):
        V = other.get("w")
        if k != s + 1 and V is not None and V.shape == W.shape:
            yield Hypothesis("another layer's weight", through(delta @ V),
                             f"(W{places[k].layer}.T @ d{above.layer}){derivative}", f"layer {places[k].layer}")
    step = through(np.einsum("ij,ijk->ik", delta, scene.gradients[s + 1]["w"]))
    rate = multiple(located_step(located, "pullback", s) - through(g), step)
    yield Hypothesis("updated weight", through(g) + rate * step,
                     f"((W{above.layer} - {-rate:.6g} * dW{above.layer}).T @ d{above.layer}){derivative}", f"{-rate:.6g}")
    for k, other in enumerate(deltas):
        if k != s + 1 and other.shape == delta.shape:
            yield Hypothesis("another layer's delta", through(other @ W),
                             f"(W{above.layer}.T @ d{places[k].layer}){derivative}", f"layer {places[k].layer}")
    yield Hypothesis("cotangent ignored", through(np.ones_like(delta) @ W), f"W{above.layer}.sum(0){derivative}")


def located_step(located: Located, site: str, s: int) -> np.ndarray:
    """What the user's step gave."""
    return next(step.given for step in located.steps if step.site == site and step.station == s)


def _weight(scene: Scene, s: int) -> Iterator[Hypothesis]:
    place, layer = scene.places[s], scene.places[s].layer
    W, given = scene.params[s][place.weight], scene.gradients[s][place.weight]
    expected = np.asarray(scene.located.expected.gradients[s][place.weight])
    rate = multiple(given - expected, np.broadcast_to(W, given.shape))
    yield Hypothesis("penalty added", expected + rate * W, f"{formulas(scene, 'weight', s)} + {rate:.6g} * W{layer}",
                     f"{rate:.6g}")
    if place.weight != "w":
        return
    delta = np.asarray(scene.located.expected.gradients[s][place.bias])  # δ, routed to the pieces of a maxout
    a = np.asarray(scene.forward.inputs[s])

    def outer(d, a):
        return np.einsum("i...,ik->i...k", d, a)

    for turned in (np.swapaxes(expected, -1, -2), expected.transpose(0, *range(expected.ndim - 1, 0, -1))):
        yield Hypothesis("transposed", turned.reshape(expected.shape), f"outer(a{layer - 1}, d{layer})")
    if W.ndim == 2:
        yield from _wrong_deltas(scene, s, lambda d: outer(d, a), f"outer({{}}, a{layer - 1})")
    for k, (z, out) in enumerate(zip(scene.forward.z, scene.forward.outputs, strict=True)):
        if z.shape == a.shape:
            cause = "pre-activation for activation" if k == s - 1 else "another layer's activation"
            yield Hypothesis(cause, outer(delta, np.asarray(z)), f"outer(d{layer}, z{scene.places[k].layer})")
            if k != s - 1:
                yield Hypothesis("another layer's activation", outer(delta, np.asarray(out)),
                                 f"outer(d{layer}, a{scene.places[k].layer})", f"layer {scene.places[k].layer}")
    x = np.asarray(scene.forward.inputs[0])
    if s and x.shape == a.shape:
        yield Hypothesis("another layer's activation", outer(delta, x), f"outer(d{layer}, x)", "the input")
    yield Hypothesis("cotangent ignored", outer(np.ones_like(delta), a), f"outer(1, a{layer - 1})")


def _bias(scene: Scene, s: int) -> Iterator[Hypothesis]:
    place, layer = scene.places[s], scene.places[s].layer
    b, given = scene.params[s][place.bias], scene.gradients[s][place.bias]
    expected = np.asarray(scene.located.expected.gradients[s][place.bias])
    rate = multiple(given - expected, np.broadcast_to(b, given.shape))
    yield Hypothesis("penalty added", expected + rate * b, f"d{layer} + {rate:.6g} * b{layer}", f"{rate:.6g}")
    if given.ndim == 2:
        yield from _wrong_deltas(scene, s, lambda d: d, "{}")
    yield Hypothesis("cotangent ignored", np.ones_like(given), "1")


def _wrong_deltas(scene: Scene, s: int, use, text: str) -> Iterator[Hypothesis]:
    """A leaf made from a δ without σ′, with it twice, or from another layer's δ."""
    place, deltas, layer = scene.places[s], scene.located.deltas, scene.places[s].layer
    z, pull = jnp.asarray(scene.forward.z[s]), jax.vmap(place.part.activation.pullback)
    g = np.asarray(scene.located.expected.cotangents[s])
    if s < len(scene.places) - 1:
        yield Hypothesis("missing derivative", use(g), text.format(f"(W.T @ d{layer + 1})"))
    twice = np.asarray(pull(z, jnp.asarray(deltas[s])))
    yield Hypothesis("doubled derivative", use(twice), text.format(f"(d{layer} * {place.part.activation.name}'(z{layer}))"))
    for k, other in enumerate(deltas):
        if k != s and other.shape == deltas[s].shape:
            yield Hypothesis("another layer's delta", use(other), text.format(f"d{scene.places[k].layer}"),
                             f"layer {scene.places[k].layer}")
