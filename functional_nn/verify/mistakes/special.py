"""Hypotheses for pullbacks through layer norm, maxout and residual blocks."""

import itertools
from collections.abc import Iterator

import numpy as np

from functional_nn.verify.hypothesis import SOLVED, Hypothesis
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.stations import above


def cotangents(view: View, s: int) -> Iterator[tuple[str, np.ndarray, str]]:
    """(cause, ∂L/∂σ(z) of station s, formula) for mistakes in the layer or block above."""
    t = above(view.places, s)
    delta, params = view.deltas[t], view.scene.params[t]
    if view.places[t].weight is None:
        whole = view.cotangent(s)  # computed from the user's deltas inside the block
        if whole.shape == delta.shape and s + 1 < t:
            yield "skip connection forgotten", whole - delta, "the block's part alone"
            yield "branch forgotten", delta, f"d{view.label(t)}"
            yield from _inside(view, s, t, delta)
    elif "gain" in params:
        yield from _norm(view.input(t), params["gain"], delta)
    elif params[view.places[t].weight].ndim == 3:
        yield from _pieces(view.input(t), params["w"], params["b"], delta)


def solved(view: View, s: int, given: np.ndarray) -> Iterator[Hypothesis]:
    """Hypotheses that the terms of δ of station s have other coefficients, which are fitted.

    Layer norm has three terms, a residual block two.
    """
    t = above(view.places, s)
    delta, slope, layer = view.deltas[t], view.through(s, np.ones_like(given)), view.label(s)
    if view.cotangent(s).shape != given.shape or slope.shape != given.shape:
        return
    if view.places[t].weight is None:
        branch = view.cotangent(s) - delta if delta.shape == given.shape and s + 1 < t else None
        if branch is not None:
            of = f"sigma'(z{layer})"
            yield Hypothesis("missing derivative", delta + slope * branch, f"d + {of} branch", "of the skip alone")
            yield Hypothesis("missing derivative", slope * delta + branch, f"{of} d + branch", "of the branch alone")
            for cause, more in (("skip connection weighted", []), ("missing derivative", [delta, branch])):
                shares, left = _fitted([slope * delta, slope * branch, *more], given)
                pairs = np.abs(shares.reshape(-1, 2))
                if pairs.min(axis=0).max() > 1e-6 * pairs.max() and more:
                    continue  # some term has σ′ and lacks it too
                text = " + ".join(f"{share:.4g} {of}" for share, of in zip(
                    shares, (f"sigma'(z{layer}) d", f"sigma'(z{layer}) branch", "d", "branch"), strict=False))
                yield Hypothesis(cause, left, text, "{:.4g} times the skip, {:.4g} times the branch".format(
                    *shares.reshape(-1, 2).sum(axis=0)), tuple(map(float, shares)), SOLVED)
    elif "gain" in view.scene.params[t]:
        yield from _norm_fitted(view.input(t), view.scene.params[t]["gain"], delta, slope, given)


def _norm_fitted(a, gain, delta: np.ndarray, slope: np.ndarray, given: np.ndarray) -> Iterator[Hypothesis]:
    """Hypotheses on layer norm: v, mean v and x̂ mean(v x̂), or usual wrong terms, are fitted."""
    v, centred = gain * delta, a - a.mean(axis=1, keepdims=True)
    spread = np.sqrt(a.var(axis=1, keepdims=True) + 1e-5)
    x_hat = centred / spread

    def mean(of: np.ndarray) -> np.ndarray:
        return np.broadcast_to(of.mean(axis=1, keepdims=True), v.shape)

    means = {"mean v": mean(v), "mean d": mean(delta)}
    right = x_hat * mean(v * x_hat)
    products = {"x mean(v x)": right, "x mean(v x) / spread": right / spread, "x mean(v x) / variance": right / spread**2,
                "x mean(d x)": x_hat * mean(delta * x_hat), "x mean(v a)": x_hat * mean(v * a), "x mean(v)": x_hat * mean(v),
                "mean(v x)": mean(v * x_hat), "v x**2": v * x_hat**2, "a mean(v a)": a * mean(v * a),
                "(a - mean a) mean(v (a - mean a))": centred * mean(v * centred)}
    for over, text in ((1 / spread, " / spread"), (np.ones_like(spread), "")):
        for (one, first), (two, second) in itertools.product(means.items(), products.items()):
            shares, left = _fitted([term * over * slope for term in (v, first, second)], given)
            yield Hypothesis("wrong statistics", left, f"({{:.4g}} v + {{:.4g}} {one} + {{:.4g}} {two}){text}".format(*shares),
                             "(v - mean v - x mean(v x)) / spread would be right", tuple(map(float, shares)), rank=SOLVED)


def _fitted(terms: list[np.ndarray], given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coefficients, fit): the least-squares fit of `given` by the terms."""
    design = np.stack([term.ravel() for term in terms], axis=1)
    shares, *_ = np.linalg.lstsq(design, given.ravel(), rcond=None)
    return shares, (design @ shares).reshape(given.shape)


def _inside(view: View, s: int, t: int, delta: np.ndarray) -> Iterator[tuple[str, np.ndarray, str]]:
    """(cause, cotangent, formula) if block t is pulled back with its last σ′ missing or doubled."""
    deltas = [np.zeros_like(d) for d in view.deltas]
    deltas[t] = delta
    for cause, last in (("missing derivative", delta), ("doubled derivative", view.through(t - 1, view.through(t - 1, delta)))):
        if last.shape == view.z(t - 1).shape:
            changed = [*deltas]
            changed[t - 1] = last
            for inner in reversed(range(s + 1, t - 1)):
                changed[inner] = np.asarray(view.scene.expect(changed).deltas[inner])
            yield cause, np.asarray(view.scene.expect(changed).cotangents[s]), f"W.T @ d{view.label(t)}, {cause} inside"


def _norm(a: np.ndarray, gain: np.ndarray, delta: np.ndarray) -> Iterator[tuple[str, np.ndarray, str]]:
    """(cause, cotangent, formula) for mistakes in the pullback of layer norm.

    The right one is (v − mean v − x̂ mean(v x̂)) / spread with v = γ ⊙ δ.
    """
    n = a.shape[1]
    centred, variance = a - a.mean(axis=1, keepdims=True), a.var(axis=1, keepdims=True)

    @np.errstate(all="ignore")
    def of(spread, mean=1.0, product=1.0, v=gain * delta):
        x_hat = centred / spread
        return (v - mean * v.mean(axis=1, keepdims=True) - product * x_hat * (v * x_hat).mean(axis=1, keepdims=True)) / spread

    spread = np.sqrt(variance + 1e-5)
    for mean, product, text in ((0, 0, "v / spread"), (1, 0, "(v - mean v) / spread"), (0, 1, "(v - x mean(v x)) / spread")):
        yield "statistics held constant", of(spread, mean, product), text
    for mean, product, text in ((1, -1, "the spread's own term added"), (-1, 1, "the mean added"), (-1, -1, "both added")):
        yield "wrong statistics", of(spread, mean, product), text
    yield "wrong statistics", of(spread) / spread, "divided by the variance"
    yield "wrong statistics", of(spread) * spread, "not divided by the spread"
    yield "wrong statistics", of(np.sqrt(variance)), "spread without epsilon"
    yield "wrong statistics", of(np.sqrt(variance) + 1e-5), "spread + epsilon"
    for epsilon in (1e-8, 1e-6, 1e-4, 1e-3, 1e-2):
        yield "wrong statistics", of(np.sqrt(variance + epsilon)), f"epsilon = {epsilon:g}"
    yield "wrong statistics", of(np.sqrt(variance * n / (n - 1) + 1e-5)), "spread over n - 1"
    yield "wrong statistics", of(np.sqrt(variance * n / (n - 1))), "spread over n - 1, without epsilon"
    yield "weights forgotten", of(spread, v=delta), "without the gain"
    yield "wrong statistics", gain * of(spread, v=delta), "the gain after them"
    root = np.sqrt((a**2).mean(axis=1, keepdims=True) + 1e-5)
    x, v = a / root, gain * delta
    yield "wrong statistics", (v - x * (v * x).mean(axis=1, keepdims=True)) / root, "the root of the mean square for the spread"
    yield "wrong axis", -((centred / spread) ** 2) * gain * delta / spread, "means over the examples, of one"


def _pieces(a, W, b, delta) -> Iterator[tuple[str, np.ndarray, str]]:
    """(cause, Σₚ Wₚᵀ (shareₚ ⊙ δ), formula) for wrong shares of the maxout's pieces p."""
    z = np.einsum("pjk,bk->bpj", W, a) + b
    for share, text in shares(z):
        yield "wrong piece", np.einsum("bpj,pjk->bk", share * delta[:, None], W), text


def shares(z: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """(shares, description): wrong shares of δ for the pieces, z being (examples, pieces, n)."""
    yield np.ones_like(z), "every piece"
    yield np.full_like(z, 1 / z.shape[1]), "the mean of the pieces"
    yield (z == z.min(axis=1, keepdims=True)).astype(z.dtype), "the piece that lost"
    yield (z == np.abs(z).max(axis=1, keepdims=True)).astype(z.dtype), "the largest |z|"
    for p in range(z.shape[1]):
        yield np.broadcast_to(np.eye(z.shape[1])[p][None, :, None], z.shape), f"piece {p}"
    soft = np.exp(z - z.max(axis=1, keepdims=True))
    yield soft / soft.sum(axis=1, keepdims=True), "softmax over the pieces"
