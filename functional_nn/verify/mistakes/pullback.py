"""Hypotheses for the pullback (Wᵀδ) ⊙ σ′(z), which computes δ of a station from the one above."""

from collections.abc import Iterator

import ml_dtypes
import numpy as np

from functional_nn.verify.hypothesis import Hypothesis, multiple
from functional_nn.verify.mistakes.factors import of_pullback
from functional_nn.verify.mistakes.slopes import slopes
from functional_nn.verify.mistakes.special import cotangents, solved
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.stations import above, coming_back, ends_block

LIMITS = (1e-3, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)  # usual bounds for clipping
QUANTISED = (1, 2, 4, 8, 10, 16, 32, 64, 100, 128)  # usual steps per 1 for quantised weights


def pullback(view: View, s: int, given: np.ndarray) -> Iterator[Hypothesis]:
    """The hypotheses for δ of station s."""
    t, g, layer = above(view.places, s), view.cotangent(s), view.label(s)
    upper, activation = view.label(t), view.places[s].part.activation
    text, derivative, back = coming_back(view.places, s), f" * {activation.name}'(z{layer})", view.places[t].back
    inside = ends_block(view.places, s)  # no weights above

    def step(cause, cotangent, formula, value="", fitted=()):
        if cotangent.shape == g.shape:
            yield Hypothesis(cause, view.through(s, cotangent), f"({formula}){derivative}", value, fitted)

    yield from slopes(view, s, g, given, text)
    for cause, cotangent, formula in cotangents(view, s):
        yield from step(cause, cotangent, formula, formula)
    delta = view.deltas[t]
    yield from step("cotangent ignored", np.ones_like(g), "1")
    yield Hypothesis("cotangent ignored", np.ones_like(g), "1")
    if not inside:
        yield from step("weights forgotten", delta, f"d{upper}")
        yield Hypothesis("weights forgotten", delta, f"d{upper}")
    for total, of in ((delta.sum(axis=1, keepdims=True), "sum"), (delta.mean(axis=1, keepdims=True), "mean")):
        yield from step("wrong axis" if inside else "weights forgotten", np.broadcast_to(total, g.shape), f"d{upper}.{of}()")
    if view.places[t].weight is not None and view.cotangent(t).shape == delta.shape:
        for cause, other, name in (("doubled derivative", view.through(t, delta), f"(d{upper} * sigma'(z{upper}))"),
                                   ("missing derivative", view.cotangent(t), f"dL/da{upper}")):
            yield from step(cause, view.pulled(s, other), f"{back} @ {name}", f"layer {upper}'s")
    for cause, other, name in _changed(delta):
        yield from step(cause, view.pulled(s, other), f"{back} @ {name.format(f'd{upper}')}", name.format(f"d{upper}"))
    yield from _weights(view, s, given, step)
    for k, other in enumerate(view.deltas):
        if k > s and k != t and other.shape == delta.shape:
            yield from step("another layer's delta", view.pulled(s, other), f"{back} @ d{view.label(k)}",
                            f"layer {view.label(k)}")
        if k > s and other.shape == given.shape:
            right = view.through(s, g)
            share = multiple(given - right, other)
            for c, times in ((1.0, ""), (share, f"{share:.6g} * ")):
                yield Hypothesis("added to another", right + c * other, f"({text}){derivative} + {times}d{view.label(k)}",
                                 f"layer {view.label(k)}", (c,))
    for cause, of, name in (("cotangent ignored", np.ones_like(delta), "1"), ("activation for delta", view.a(t), f"a{upper}"),
                            ("activation for delta", view.z(t), f"z{upper}")):
        yield from step(cause, view.pulled(s, of), f"{back} @ {name}")
    yield from _added(view, s, given)
    yield from of_pullback(view, s, given)
    yield from solved(view, s, given)


def _changed(delta: np.ndarray) -> Iterator[tuple[str, np.ndarray, str]]:
    """(cause, value, formula) of a δ that is changed as a whole before it is pulled back."""
    sizes, e = np.abs(delta), np.exp(delta - delta.max(axis=1, keepdims=True))
    norm, largest = np.sqrt((delta**2).sum(axis=1, keepdims=True)), sizes.max(axis=1, keepdims=True)
    yield "rectified", sizes, "|{}|"
    yield "rectified", np.maximum(delta, 0), "max({}, 0)"
    yield "signs alone", np.sign(delta), "sign({})"
    yield "normalised", delta / np.where(norm == 0, 1, norm), "{} / norm"
    yield "normalised", delta - delta.mean(axis=1, keepdims=True), "({} - mean)"
    yield "normalised", e / e.sum(axis=1, keepdims=True), "softmax({})"
    yield "another power", delta**2, "{}**2"
    yield "clipped", np.tanh(delta), "tanh({})"
    yield "entries left out", delta * (sizes == largest), "the largest of {}"
    for limit in LIMITS:
        yield "clipped", np.clip(delta, -limit, limit), f"clip({{}}, {limit:g})"


def _added(view: View, s: int, given) -> Iterator[Hypothesis]:
    """Hypotheses that a term of the same layer is added: its activation's penalty, a, z, σ′, …"""
    z, a, layer = view.z(s), view.a(s), view.label(s)
    right, name = view.through(s, view.cotangent(s)), view.places[s].part.activation.name
    slope = view.through(s, np.ones_like(z))
    for cause, term, text in (
            ("penalty added", a * slope, f"a{layer} * {name}'(z{layer})"),
            ("penalty added", np.sign(a) * slope, f"sign(a{layer}) * {name}'(z{layer})"), ("term added", a, f"a{layer}"),
            ("term added", z, f"z{layer}"), ("term added", slope, f"{name}'(z{layer})"),
            ("term added", view.cotangent(s), f"dL/da{layer}"), ("term added", view.input(s), f"the input of layer {layer}")):
        if term.shape == right.shape == given.shape:
            rate = multiple(given - right, term)
            yield Hypothesis(cause, right + rate * term, f"right + {rate:.6g} * {text}", f"{rate:.6g} * {text}", (rate,))


def _weights(view: View, s: int, given, step) -> Iterator[Hypothesis]:
    """Hypotheses that other weights are used in the station directly above."""
    t, u, upper = above(view.places, s), s + 1, view.label(s + 1)
    W = view.scene.params[u].get(view.places[u].weight)
    if W is None:
        return
    delta, name = view.deltas[t], f"@ d{upper}"

    def through(V):
        if W.ndim == 3 and t == u:  # the largest pieces of the network's own weights
            return np.einsum("bpj,pjk->bk", np.asarray(view.expected.gradients[u][view.places[u].bias]), V)
        return view.pulled(s, delta, {u: V})

    if W.ndim > 1 and W.shape[-1] == W.shape[-2]:
        yield from step("untransposed weight", through(np.swapaxes(W, -1, -2)), f"W{upper} {name}")
    for k, other in enumerate(view.scene.params):
        V, layer = other.get(view.places[k].weight), view.label(k)
        if k != u and V is not None and V.shape == W.shape:
            yield from step("another layer's weight", through(V), f"W{layer}.T {name}", f"layer {layer}")
            if V.ndim > 1 and V.shape[-1] == V.shape[-2]:
                yield from step("another layer's weight", through(np.swapaxes(V, -1, -2)), f"W{layer} {name}",
                                f"layer {layer}, untransposed")
    right, none = view.pulled(s, delta), through(np.zeros_like(W))
    G = view.scene.gradients[u][view.places[u].weight]
    if view.scene.single:
        moved = np.stack([through(g)[i] for i, g in enumerate(G)]) if W.size < 100_000 else np.zeros_like(right)
    else:
        moved = through(G)
    moved = moved - none
    if np.isfinite(moved).all() and moved.any():
        rate = multiple(given - view.through(s, right), view.through(s, moved))
        if abs(rate) * np.linalg.norm(moved) > 1e-6 * np.linalg.norm(right):
            yield from step("updated weight", right + rate * moved, f"(W{upper} - {-rate:.6g} * dW{upper}).T {name}",
                            f"{-rate:.6g}", (rate,))
    others = [(np.abs(W), "|W|"), (np.sign(W), "sign(W)"), (np.flip(W), "W flipped"), (W - W.mean(), "W - its mean"),
              (W**2, "W**2"), *((W / np.maximum(norm, 1e-300), f"W / its {text}") for text, norm in (
                  ("norm", np.linalg.norm(W)), ("largest entry", np.abs(W).max()), ("spread", W.std()),
                  ("rows' norms", np.sqrt((W**2).sum(axis=-1, keepdims=True)))))]
    if W.ndim == 2:
        others += [(W.T.reshape(W.shape), "W in the transpose's order"), (W.reshape(W.T.shape).T, "W read in columns")]
    if W.ndim > 1:
        rows = np.arange(W.shape[-2])[:, None]
        others += [(np.where(rows == row, 0, W), f"W without its {which} row") for row, which in (
            (0, "first"), (W.shape[-2] - 1, "last"))]
    others += [(W.astype(kind).astype(W.dtype), f"W in {np.dtype(kind).name}")
               for kind in (np.float32, np.float16, ml_dtypes.bfloat16)]
    if W.size < 100_000:
        others += [(W * (np.abs(W) >= np.median(np.abs(W))), "the larger half of W"),
                   *((np.round(W * k) / k, f"round({k} W) / {k}") for k in QUANTISED)]
    for changed, text in others:
        yield from step("other weights", through(changed), f"{text} {name}", text)
