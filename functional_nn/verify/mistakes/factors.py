"""Which factor of a step is wrong, where what stands in its place is nothing known: solved for, the other factors being right.

A weight's gradient is δ aᵀ, a pullback (Wᵀδ) ⊙ σ′(z). Whatever stands for one factor leaves the others to be recognised, where
there are more numbers than unknowns. These are believed last.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from functional_nn.verify.hypothesis import ANY, SOLVED, Hypothesis, size
from functional_nn.verify.mistakes.general import general
from functional_nn.verify.mistakes.parts import parts
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.stations import Station, above

LEFT = 2e-12  # relative: what solving leaves of a 0
NEAR = 0.05  # share of a factor's error that a guess may leave, to be looked at


def recognised(found: np.ndarray, right: np.ndarray, name: str, unit: float) -> Iterator[Hypothesis]:
    """What a factor that was solved for may be: the right one, changed as any array can be."""
    unit = max(unit, LEFT)
    error = size(found - right)
    if error and np.isfinite(found).all():
        for guess in itertools.chain(general(found, right, name, unit), parts(found, right, name, unit)):
            held_down = guess.cause == "clipped" and guess.rank == ANY  # by a function that some activation is
            if size(found - guess.predicted) <= NEAR * error and np.ptp(guess.predicted) and not held_down:
                yield guess._replace(rank=max(guess.rank, ANY))


def of_product(delta: np.ndarray, a: np.ndarray, given: np.ndarray, place: Station, unit: float) -> Iterator[Hypothesis]:
    """δ ⊗ u for any u, and v ⊗ a for any v; and products that are none, entry by entry.

    Args:
      delta: (examples, …), given: (examples, …, n_in).
    """
    rows = delta.reshape(len(delta), -1)
    flat, layer, below = given.reshape(*rows.shape, a.shape[1]), place.label, place.fed
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
    u, v = np.where(rows.any(axis=1, keepdims=True), u, a), np.where(a.any(axis=1, keepdims=True), v, rows)
    for factor, right, name, cause, formula, product in (
            (u, a, below, "other activation", "outer(d{layer}, {of})", lambda of: np.einsum("ij,ik->ijk", rows, of)),
            (v, rows, f"d{layer}", "other delta", "outer({of}, {below})", lambda of: np.einsum("ij,ik->ijk", of, a))):
        if given[0].size > right.shape[1]:
            for guess in recognised(factor, right, name, unit):
                yield guess._replace(predicted=product(guess.predicted).reshape(given.shape),
                                     formula=formula.format(of=guess.formula, layer=layer, below=below))
            yield Hypothesis(cause, product(factor).reshape(given.shape), formula.format(of="u", layer=layer, below=below)
                             + f" with u[0] = {factor[0, 0]:.4g} in the first example", "solved for", rank=SOLVED)


def of_gain(delta: np.ndarray, x_hat: np.ndarray, given: np.ndarray, place: Station, unit: float) -> Iterator[Hypothesis]:
    """δ ⊙ x̂ with either of the two changed as any array can be."""
    layer = place.label
    for found, right, name in ((x_hat, delta, f"d{layer}"), (delta, x_hat, "x_hat")):
        with np.errstate(all="ignore"):
            factor = np.where(np.abs(found) > 1e-6 * np.abs(found).max(), given / found, right)
        for guess in recognised(factor, right, name, unit):
            yield guess._replace(predicted=found * guess.predicted, formula=f"({guess.formula}) in d{layer} * x_hat")


def of_pullback(view: View, s: int, given: np.ndarray) -> Iterator[Hypothesis]:
    """(Wᵀd) ⊙ σ′(z) for any d, and (Vᵀδ) ⊙ σ′(z) for any V."""
    t = above(view.places, s)
    W = view.scene.params[t].get(view.places[t].weight)
    yield from _other_cotangent(view, s, given)
    if view.a(s).shape == given.shape:
        if W is not None and W.ndim == 2:
            yield from _other_delta(view, s, t, W, given)
        yield from _other_weights(view, s, t, given)


def _other_cotangent(view: View, s: int, given) -> Iterator[Hypothesis]:
    """What comes back, changed as any array can be, before it meets σ′; an entry where σ′ is all but 0 is taken as right."""
    slope, g = view.through(s, np.ones_like(view.cotangent(s))), view.cotangent(s)
    if slope.shape == given.shape == g.shape:
        found = np.where(np.abs(slope) > 1e-3, given / np.where(slope == 0, 1, slope), g)
        formula = f"({{}}) * {view.places[s].part.activation.name}'(z{view.label(s)})"
        for guess in recognised(found, g, f"dL/da{view.label(s)}", view.scene.unit):
            yield guess._replace(predicted=guess.predicted * slope, formula=formula.format(guess.formula))


def _other_delta(view: View, s: int, t: int, W, given) -> Iterator[Hypothesis]:
    slope = view.through(s, np.ones_like(given))
    if (np.abs(slope) > 1e-3).sum(axis=1).min() <= W.shape[0]:
        return
    found = np.stack([np.linalg.lstsq(W.T * row[:, None], mine, rcond=None)[0]
                      for row, mine in zip(slope, given, strict=True)])
    upper = view.label(t)
    formula = f"(W{upper}.T @ {{}}) * {view.places[s].part.activation.name}'(z{view.label(s)})"
    for guess in recognised(found, view.deltas[t], f"d{upper}", view.scene.unit):
        yield guess._replace(predicted=guess.predicted @ W * slope, formula=formula.format(f"({guess.formula})"))
    yield Hypothesis("other delta", found @ W * slope, formula.format("d") + f" with d[0] = {found[0, 0]:.4g} in the first "
                     "example", "solved for", rank=SOLVED)


def _other_weights(view: View, s: int, t: int, given) -> Iterator[Hypothesis]:
    """Weights V that the user's δ went through, solved for where there are more examples than unknowns.

    In a block they are those of its first layer, whose part is added to the skip's; of a maxout, those of all pieces.
    """
    u, activation, layer, upper = s + 1, view.places[s].part.activation, view.label(s), view.label(s + 1)
    W = view.scene.params[u].get(view.places[u].weight)
    if W is None or W.ndim < 2:
        return
    delta = np.asarray(view.expected.gradients[u][view.places[u].bias]).reshape(len(given), -1)
    W = W.reshape(-1, W.shape[-1])
    if len(given) < len(W) + 2:
        return
    skip = view.deltas[t] if t != u else np.zeros_like(given)
    if skip.shape != given.shape:
        return
    for slope, text in ((view.through(s, np.ones_like(given)), f" * {activation.name}'(z{layer})"), (np.ones_like(given), "")):
        V = np.stack([np.linalg.lstsq(delta * slope[:, k:k + 1], (given - skip * slope)[:, k], rcond=None)[0]
                      for k in range(given.shape[1])], axis=1)
        if _scaled(V.T, W.T):  # the network's own weights: units of the δ above have another size, or none
            if t != u:
                continue  # of a block it is the branch that has another size
            shares = (V * W).sum(axis=1) / np.maximum((W**2).sum(axis=1), 1e-300)
            for guess in recognised(shares * delta, delta, f"d{upper}", view.scene.unit):
                yield guess._replace(predicted=guess.predicted @ W * slope,
                                     formula=f"(W{upper}.T @ ({guess.formula})){text}")
        elif not _scaled(V, W):  # else something is wrong with some units of this δ
            yield Hypothesis("other weights", (delta @ V + skip) * slope,
                             f"(V.T @ d{upper}){text} with V[0, 0] = {V[0, 0]:.4g}", "solved for", rank=SOLVED)


def _scaled(V: np.ndarray, W: np.ndarray) -> bool:
    """Whether every column of V is a multiple of that of W."""
    squares = (W**2).sum(axis=0)
    shares = (V * W).sum(axis=0) / np.where(squares == 0, 1, squares)
    return bool(np.linalg.norm(V - shares * W) <= 1e-2 * np.linalg.norm(V))
