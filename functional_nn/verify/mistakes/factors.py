"""Which factor of a step is wrong, where what stands in its place is nothing known: solved for, the other factors being right.

A weight's gradient is δ aᵀ, a pullback (Wᵀδ) ⊙ σ′(z). Whatever stands for one factor leaves the others to be recognised, where
there are more numbers than unknowns. These are believed last.
"""

from collections.abc import Iterator

import numpy as np

from functional_nn.verify.hypothesis import Hypothesis
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.stations import above


def of_product(delta: np.ndarray, a: np.ndarray, given: np.ndarray, layer: int) -> Iterator[Hypothesis]:
    """δ ⊗ u for any u, and v ⊗ a for any v; and products that are none, entry by entry.

    Args:
      delta: (examples, …), given: (examples, …, n_in).
    """
    rows = delta.reshape(len(delta), -1)
    flat, below = given.reshape(*rows.shape, a.shape[1]), f"a{layer - 1}" if layer else "x"
    if rows.shape == a.shape:
        entries = (rows * a)[:, None, :]
        for value, text in ((np.broadcast_to(entries, flat.shape), "in every row"),
                            (np.broadcast_to(np.swapaxes(entries, 1, 2), flat.shape), "in every column"),
                            (entries * np.eye(a.shape[1]), "on the diagonal")):
            yield Hypothesis("wrong product", value.reshape(given.shape), f"d{layer} * {below}, {text}", text)
    sums = rows[:, :, None] + a[:, None, :]
    yield Hypothesis("wrong product", sums.reshape(given.shape), f"d{layer}[:, None] + {below}", "a sum")
    with np.errstate(all="ignore"):
        u = np.einsum("ij,ijk->ik", rows, flat) / (rows**2).sum(axis=1, keepdims=True)
        v = np.einsum("ijk,ik->ij", flat, a) / (a**2).sum(axis=1, keepdims=True)
    if rows.shape[1] > 1:
        yield Hypothesis("other activation", np.einsum("ij,ik->ijk", rows, u).reshape(given.shape),
                         f"outer(d{layer}, u) with u[0] = {u[0, 0]:.4g} in the first example", "solved for", loose=True)
    if a.shape[1] > 1:
        yield Hypothesis("other delta", np.einsum("ij,ik->ijk", v, a).reshape(given.shape),
                         f"outer(v, {below}) with v[0] = {v[0, 0]:.4g} in the first example", "solved for", loose=True)


def of_pullback(view: View, s: int, given: np.ndarray) -> Iterator[Hypothesis]:
    """(Wᵀd) ⊙ σ′(z) for any d, and (Vᵀδ) ⊙ σ′(z) for any V."""
    t = above(view.places, s)
    W = view.scene.params[t].get(view.places[t].weight)
    if W is None or W.ndim != 2 or view.a(s).shape != given.shape:
        return
    yield from _other_delta(view, s, t, W, given)
    if len(given) >= W.shape[0] + 2:
        yield from _other_weights(view, s, t, W, given)


def _other_delta(view: View, s: int, t: int, W, given) -> Iterator[Hypothesis]:
    slope = view.through(s, np.ones_like(given))
    if (np.abs(slope) > 1e-3).sum(axis=1).min() <= W.shape[0]:
        return
    found = [np.linalg.lstsq(W.T * row[:, None], mine, rcond=None)[0] for row, mine in zip(slope, given, strict=True)]
    layer, upper = view.number(s), view.number(t)
    yield Hypothesis("other delta", np.stack(found) @ W * slope,
                     f"(W{upper}.T @ d) * {view.places[s].part.activation.name}'(z{layer}) with d[0] = {found[0][0]:.4g} in "
                     "the first example", "solved for", loose=True)


def _other_weights(view: View, s: int, t: int, W, given) -> Iterator[Hypothesis]:
    """Weights V that the user's δ went through, solved for where there are more examples than unknowns."""
    delta, activation = view.deltas[t], view.places[s].part.activation
    layer, upper = view.number(s), view.number(t)
    for slope, text in ((view.through(s, np.ones_like(given)), f" * {activation.name}'(z{layer})"), (np.ones_like(given), "")):
        predicted = np.empty_like(given)
        V = np.zeros((delta.shape[1], given.shape[1]))
        for k in range(given.shape[1]):
            V[:, k], *_ = np.linalg.lstsq(delta * slope[:, k:k + 1], given[:, k], rcond=None)
            predicted[:, k] = (delta * slope[:, k:k + 1]) @ V[:, k]
        if _scaled(V, W) or _scaled(V.T, W.T):
            continue  # the network's own weights after all: something else is wrong with some units
        yield Hypothesis("other weights", predicted, f"(V.T @ d{upper}){text} with V[0, 0] = {V[0, 0]:.4g}",
                         "solved for", loose=True)


def _scaled(V: np.ndarray, W: np.ndarray) -> bool:
    """Whether every column of V is a multiple of that of W."""
    size = (W**2).sum(axis=0)
    shares = (V * W).sum(axis=0) / np.where(size == 0, 1, size)
    return bool(np.linalg.norm(V - shares * W) <= 1e-2 * np.linalg.norm(V))
