"""Hypotheses for the leaves: δ aᵀ of a weight (δ ⊙ x̂ of layer norm's gain), δ of a bias."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from functional_nn.verify.hypothesis import Hypothesis, multiple
from functional_nn.verify.mistakes.factors import of_gain, of_product
from functional_nn.verify.mistakes.special import shares
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.stations import above, coming_back


def weight(view: View, s: int, given: np.ndarray) -> Iterator[Hypothesis]:
    """The hypotheses for the weight's gradient at station s."""
    place, layer = view.places[s], view.label(s)
    expected, delta = (np.asarray(view.expected.gradients[s][leaf]) for leaf in (place.weight, place.bias))
    below = place.fed
    matrix = expected.ndim > 2
    a = view.input(s) if matrix else _x_hat(view, s)

    def product(d, a):
        return np.einsum("i...,ik->i...k", d, a) if matrix else d * a

    yield from _penalties(view, s, place.weight, given, expected, f"W{layer}")
    yield from _masked_by(np.asarray(view.scene.params[s][place.weight]), given, expected, f"W{layer}")
    for text, cause, other in _deltas(view, s, delta):
        yield Hypothesis(cause, product(other, a), f"outer({text}, {below})", text)
    for text, cause, other in _activations(view, s, a):
        yield Hypothesis(cause, product(delta, other), f"outer(d{layer}, {text})", text)
    yield Hypothesis("cotangent ignored", product(np.ones_like(delta), a), f"outer(1, {below})")
    yield from (of_product if matrix else of_gain)(delta, a, given, place, view.scene.unit)
    yield from _added(view, s, place.weight, given, expected)


def bias(view: View, s: int, given: np.ndarray) -> Iterator[Hypothesis]:
    """The hypotheses for the bias's gradient at station s."""
    place, layer = view.places[s], view.label(s)
    expected = np.asarray(view.expected.gradients[s][place.bias])
    yield from _penalties(view, s, place.bias, given, expected, f"b{layer}")
    for text, cause, other in _deltas(view, s, expected):
        yield Hypothesis(cause, other, text, text)
    yield Hypothesis("cotangent ignored", np.ones_like(given), "1")
    yield from _added(view, s, place.bias, given, expected)


def _penalties(view: View, s: int, leaf: str, given, expected, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that the leaf holds a penalty or is the updated parameter.

    The penalties are λ p, λ sign p, both together, λ p³ and λ (p − mean p).
    """
    p = np.asarray(view.scene.params[s][leaf])
    gap = (given - expected).mean(axis=0)  # p is the same in every example: fit the mean
    for other, of in view.scene.params[s].items():
        if of.shape == given.shape[1:]:
            yield Hypothesis("wrong product", expected * of, f"right * {name if other == leaf else other}", f"times {other}")
    for of, text in ((p, name), (np.sign(p), f"sign({name})"), (p**3, f"{name}**3"), (p - p.mean(), f"({name} - mean)")):
        rate = multiple(gap, of)
        if text == name:
            step = multiple(given - p, expected)
            yield Hypothesis("update for gradient", p + step * expected, f"{name} + {step:.6g} * right", f"{-step:.6g}",
                             (step,))
        yield Hypothesis("penalty added", expected + rate * of, f"right + {rate:.6g} * {text}", f"{rate:.6g}", (rate,))
    design = np.stack([p.ravel(), np.sign(p).ravel()], axis=1)
    if np.isfinite(given).all() and p.any():
        (l2, l1), *_ = np.linalg.lstsq(design, gap.ravel(), rcond=None)
        yield Hypothesis("penalty added", expected + l2 * p + l1 * np.sign(p),
                         f"right + {l2:.6g} * {name} + {l1:.6g} * sign({name})", f"{l2:.6g} and {l1:.6g}",
                         (float(l2), float(l1)))


def _masked_by(W: np.ndarray, given, expected, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that the gradient is 0 where the weight is small, large, or of one sign.

    At least two entries must be 0, since one entry alone can always be the smallest.
    """
    lost = (given == 0).all(axis=0) & expected.any(axis=0)
    for value, text in ((np.abs(W), f"|{name}| is small"), (-np.abs(W), f"|{name}| is large"), (W, f"{name} is negative"),
                        (-W, f"{name} is positive")):
        if lost.sum() > 1 and not lost.all() and value[lost].max() < value[~lost].min():
            yield Hypothesis("entries left out", expected * ~lost, f"right, 0 where {text}", f"where {text}")


def _x_hat(view: View, s: int) -> np.ndarray:
    """The normalised input x̂ of layer norm, z = γ ⊙ x̂ + b."""
    a = view.input(s)
    return (a - a.mean(axis=1, keepdims=True)) / np.sqrt(a.var(axis=1, keepdims=True) + 1e-5)


def _deltas(view: View, s: int, right: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """(formula, cause, value) of arrays that may replace δ, in the bias's shape."""
    layer, z, place = view.label(s), view.z(s), view.places[s]
    pull, delta = place.part.activation.pullback, view.deltas[s]
    if right.ndim > 2:  # maxout: δ goes to the largest piece
        a, params = view.input(s), view.scene.params[s]
        for share, text in shares(np.einsum("pjk,bk->bpj", params["w"], a) + params["b"]):
            yield f"d{layer} to {text}", "wrong piece", share * delta[:, None]
        return
    last = s == len(view.places) - 1
    if view.cotangent(s).shape == right.shape:
        yield "dL/da" if last else f"({coming_back(view.places, s)})", "missing derivative", view.cotangent(s)
        block = s if last else above(view.places, s)
        if view.places[block].weight is None and len(place.path) > 1 and s == block - 1:
            below = next((k for k in reversed(range(s)) if len(view.places[k].path) < len(place.path)), None)
            if below is not None and view.cotangent(below).shape == z.shape:
                yield f"d{layer} after the skip is added", "another layer's delta", view.through(s, view.cotangent(below))
    yield f"(d{layer} * {place.part.activation.name}'(z{layer}))", "doubled derivative", np.asarray(
        pull(jnp.asarray(z), jnp.asarray(delta)))
    for k, other in enumerate(view.deltas):
        if k != s and other.shape == right.shape:
            yield f"d{view.label(k)}", "another layer's delta", other
        if k < s and view.cotangent(k).shape == right.shape:
            yield f"dL/da{view.label(k)}", "another layer's delta", view.cotangent(k)
        for text, cause, value in ((f"a{view.label(k)}", "activation for delta", view.a(k)),
                                   (f"z{view.label(k)}", "activation for delta", view.z(k))):
            if value.shape == right.shape:
                yield text, cause, value
    if view.input(s).shape == right.shape:
        yield "its input", "activation for delta", view.input(s)


def _activations(view: View, s: int, right: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """(formula, cause, value) of arrays that may replace the input a."""
    yield "1", "other activation", np.ones_like(right)
    if s and view.z(s - 1).shape == right.shape:
        place = view.places[s - 1]
        slope = view.through(s - 1, np.ones_like(right))
        yield f"{place.part.activation.name}'(z{view.label(s - 1)})", "other activation", slope
    elif not s and view.places[0].part.activation.name != "linear":
        activation = view.places[0].part.activation
        yield f"{activation.name}(x)", "other activation", np.asarray(activation(jnp.asarray(view.input(0))))
    for k in range(len(view.places)):
        if view.z(k).shape == right.shape:
            below = k == s - 1
            cause = "pre-activation for activation" if below else "another layer's activation"
            yield f"z{view.label(k)}", cause, view.z(k)
            if not below:
                yield f"a{view.label(k)}", cause, view.a(k)
            else:
                twice = np.asarray(view.places[k].part.activation(jnp.asarray(view.a(k))))
                yield f"{view.places[k].part.activation.name}(a{view.label(k)})", "activation twice", twice
    x, a = view.input(0), view.input(s)
    if s and x.shape == right.shape:
        yield "x", "another layer's activation", x
    if view.scene.params[s][view.places[s].weight].ndim == 1:
        centred, variance = a - a.mean(axis=1, keepdims=True), a.var(axis=1, keepdims=True)
        n = a.shape[1]
        yield "a, not normalised", "pre-activation for activation", a
        for text, spread in (("variance", variance + 1e-5), ("no epsilon", np.sqrt(variance)), ("no spread", 1.0),
                             ("n - 1", np.sqrt(variance * n / (n - 1) + 1e-5)), ("+ epsilon", np.sqrt(variance) + 1e-5)):
            with np.errstate(all="ignore"):
                yield f"x_hat ({text})", "wrong statistics", centred / spread
        for epsilon in (1e-5, 0.0):
            with np.errstate(all="ignore"):
                yield "x_hat (mean kept)", "wrong statistics", a / np.sqrt(variance + epsilon)
        yield "a, centred", "wrong statistics", centred


def _added(view: View, s: int, leaf: str, given, expected: np.ndarray) -> Iterator[Hypothesis]:
    """Hypotheses that another leaf of the same shape, or a multiple of it, is added."""
    for k, (place, mine) in enumerate(zip(view.places, view.expected.gradients, strict=True)):
        for name in place.leaves.values():
            if (k, name) != (s, leaf) and mine[name].shape == expected.shape:
                other = np.asarray(mine[name])
                text, value = f"the gradient of {name} in layer {place.label}", f"layer {place.label}"
                yield Hypothesis("added to another", expected + other, f"right + {text}", value)
                share = multiple(given - expected, other)
                yield Hypothesis("added to another", expected + share * other, f"right + {share:.6g} * {text}", value, (share,))
