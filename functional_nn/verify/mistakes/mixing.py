"""Mistakes in batches that combine a part of a step of one example with parts of other examples.

A cause is a pair (cause, value). It is OPEN if the batch cannot tell, and None if no cause fits.
"""

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.hypothesis import multiple
from functional_nn.verify.mistakes.view import View

Cause = tuple[str, str]
OPEN = ("", "")
MUCH = 0.05  # relative to the largest entry: less may come from another mistake
EPSILONS = (1e-8, 1e-7, 1e-6, 1e-5)  # often added to a standard deviation


def leaf_cause(view: View, step) -> tuple[str, str] | None:
    """The cause of a wrong leaf in a batch, from the pairing of its δ and a.

    A weight's gradient Σ Mᵢⱼ δᵢ aⱼᵀ is solved for M, a bias's gradient Σ cᵢ δᵢ for c.
    """
    if not (np.isfinite(step.given).all() and np.isfinite(step.expected).all()):
        return ("not a number", "") if np.isfinite(step.expected).all() else OPEN
    made = {name: np.asarray(leaf) for name, leaf in view.expected.gradients[step.station].items()}
    place, given = view.places[step.station], step.given
    B, tiny = len(step.expected), max(1e-6, 8 * view.scene.unit)
    delta = made[place.bias].reshape(B, -1)
    if step.site == "bias" or given.ndim == 1:
        each = step.expected.reshape(B, -1)
        if each.shape[1] <= B or np.linalg.matrix_rank(each) < B:
            return OPEN
        c, *_ = np.linalg.lstsq(each.T, given.ravel(), rcond=None)
        if np.linalg.norm(each.T @ c - given.ravel()) <= tiny * np.linalg.norm(given):
            return pattern(np.diag(c), tiny)
        return _paired(view, step, delta, tiny) if step.site == "weight" else None
    a = view.input(step.station)
    if min(np.linalg.matrix_rank(delta), np.linalg.matrix_rank(a)) < B:
        return OPEN
    flat = given.reshape(-1, given.shape[-1])
    M = np.linalg.pinv(delta.T) @ flat @ np.linalg.pinv(a)
    fits = np.linalg.norm(flat - delta.T @ M @ a) <= tiny * np.linalg.norm(flat)
    found = pattern(M, max(1e-5, 8 * view.scene.unit)) if fits else None
    if fits and found is None and min(delta.shape[1], a.shape[1]) > B and _mixes(M):
        return "shuffled examples", "delta of each example meets a mixture of several a"
    return found or _other_factor(flat, delta, a, tiny)


def _other_factor(flat: np.ndarray, delta: np.ndarray, a: np.ndarray, tiny: float) -> Cause | None:
    """The cause if a or δ was normalised with statistics of the batch; else None.

    Σ δᵢ uᵢᵀ is solved for u, and Σ vᵢ aᵢᵀ for v.
    """
    u, v = np.linalg.pinv(delta.T) @ flat, (flat @ np.linalg.pinv(a)).T
    for found, right, product, units in ((u, a, delta.T @ u, delta.shape[1]), (v, delta, v.T @ a, a.shape[1])):
        if units > len(delta) and np.linalg.norm(flat - product) <= tiny * np.linalg.norm(flat):
            for text, of in over_the_batch(right):
                if np.linalg.norm(found - multiple(found, of) * of) <= tiny * np.linalg.norm(found):
                    return "normalised", text
    return None


def over_the_batch(v: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(description, value) of an array (examples, …) normalised with statistics of the batch."""
    centred, spread = v - v.mean(axis=0), v.std(axis=0)
    with np.errstate(all="ignore"):
        for text, of in (("its mean over the batch taken off", centred), ("standardised over the batch", centred / spread),
                         *(("standardised over the batch", centred / (spread + epsilon)) for epsilon in EPSILONS),
                         ("standardised over the batch", centred / np.sqrt(spread**2 + 1e-5)),
                         ("divided by its spread over the batch", v / spread),
                         ("divided by its norm over the batch", v / np.sqrt((v**2).sum(axis=0))),
                         ("divided by its largest over the batch", v / np.abs(v).max(axis=0))):
            if np.isfinite(of).all() and of.any():
                yield text, of


def _paired(view: View, step, delta, tiny: float) -> tuple[str, str] | None:
    """The cause of a wrong layer norm gain: δ meets x̂ of another example, or means meet."""
    B = len(delta)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_hat = np.where(delta == 0, 0, step.expected / delta)
    for order in (*itertools.permutations(range(B)), *([i] * B for i in range(B))):
        guess = (delta * x_hat[list(order)]).sum(axis=0)
        if np.linalg.norm(guess - step.given) <= tiny * np.linalg.norm(step.given):
            return "shuffled examples", f"a of examples {list(order)}"
    a = view.input(step.station)
    down = (a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + 1e-5)
    for cause, guess in (("averaged too early", delta.sum(axis=0) * x_hat.mean(axis=0)),
                         ("wrong axis", (delta * down).sum(axis=0))):
        if np.linalg.norm(guess - step.given) <= tiny * np.linalg.norm(step.given):
            return cause, ""
    return None


def pattern(M: np.ndarray, tiny: float) -> tuple[str, str] | None:
    """The cause that a pairing matrix M shows; the identity is right."""
    size = np.abs(M).max()
    if not size:
        return "zero", ""
    used = np.abs(M) > min(10 * tiny, 0.1) * size
    values = M[used]
    alike = np.allclose(values, values[0], rtol=min(20 * tiny, 0.2))
    diagonal = np.diag(M)
    if (used == np.eye(len(M), dtype=bool)).all() and alike:
        return "law", f"{np.mean(diagonal)}"
    if used.sum() == 1 and used.diagonal().any():
        i = int(np.argmax(used.diagonal()))
        last = "the last" if i == len(M) - 1 else f"example {i}"
        return "one example only", f"{last}, times {M[i, i]:.4g}"
    if not used[~np.eye(len(M), dtype=bool)].any():
        kept = diagonal[used.diagonal()]
        lost = len(kept) < len(M) and np.allclose(kept, kept[0], rtol=min(20 * tiny, 0.2))
        unequal = np.ptp(diagonal) > max(100 * tiny, 0.02) * np.abs(diagonal).max()
        cause = "examples left out" if lost else "examples weighted" if unequal else None
        return None if cause is None else (cause, f"weights {np.round(diagonal, 4).tolist()}")
    if (used.sum(axis=0) <= 1).all() and (used.sum(axis=1) <= 1).all():
        partners = [int(np.argmax(row)) if row.any() else None for row in used]
        return "shuffled examples", f"delta of example i meets a of {partners}"
    if used.all() and alike:
        return "averaged too early", ""
    for axis, text in ((0, "every delta meets a of example {}"), (1, "every a meets delta of example {}")):
        if (line := used.all(axis=axis)).sum() == used.any(axis=axis).sum() == 1 and alike:
            return "shuffled examples", text.format(int(np.argmax(line)))
    return None


def delta_cause(view: View, step) -> tuple[str, str] | None:
    """The cause of a wrong δ in a batch.

    The candidates are a factor (a law of the batch size), weights of the examples, and targets,
    derivatives or cotangents that are permuted or averaged over the examples.
    """
    given, expected, s, scene = step.given, step.expected, step.station, view.scene
    B, tiny = len(given), max(1e-6, 8 * scene.unit)
    if not np.isfinite(given).all():
        return "not a number", ""
    error = np.linalg.norm(given - expected)

    def fits(predicted) -> bool:
        return np.linalg.norm(given - predicted) <= min(tiny * np.linalg.norm(given), 0.1 * error)

    c = multiple(given, expected)
    if c and fits(c * expected):
        return "law", str(c)
    each = [multiple(given[i], expected[i]) for i in range(B)]
    if fits(np.array(each)[:, None] * expected):
        if ((expected != 0).sum(axis=1) < 2).any():  # one number is always a multiple of another
            return OPEN
        used = np.abs(each) > min(10 * tiny, 0.1) * np.abs(each).max()
        return pattern(np.diag(each), max(1e-6, 4 * scene.unit)) if used.any() else None
    for cause, what, predicted in (*mixed(view, s, step.site), *over_the_batch_of(view, s)):
        # two standardised examples are ±1: σ′ is constant, and any c would fit
        c = multiple(given, predicted) if cause != "derivative elsewhere" else 1.0
        if c and fits(c * predicted):
            return cause, what
    return _mixture(given, expected, tiny) or (_read_targets(view, s, given) if step.site == "head" else None)


def _mixture(given, expected, tiny: float) -> Cause | None:
    """The cause if each δ is a combination of several examples' right ones.

    The given δ is solved for M in M δ, if there are enough units.
    """
    B = len(expected)
    if expected.shape[1] <= B or np.linalg.matrix_rank(expected) < B:
        return None
    M = given @ np.linalg.pinv(expected)
    if np.linalg.norm(given - M @ expected) > tiny * np.linalg.norm(given):
        return None
    several = ("shuffled examples", "delta of each example is a mixture of several")
    return pattern(M, max(1e-5, 10 * tiny)) or (several if _mixes(M) else None)


def _mixes(M: np.ndarray) -> bool:
    """Whether M has a large entry off the diagonal, and none of its rows is nearly 0."""
    each, most = np.abs(M).max(axis=1).min(), np.abs(M).max()
    return bool(min(each, np.abs(M - np.diag(np.diag(M))).max()) > MUCH * most)


def _read_targets(view: View, s: int, given) -> Cause | None:
    """The cause if the targets of a head a − y are made from other examples' targets."""
    read, y, close = view.a(s) - given / view.scene.share, view.scene.y, max(1e-6, 64 * view.scene.unit)
    if all(any(np.abs(mine - other).max() <= close for other in y) for mine in read):
        return "shuffled examples", "targets"
    if _mixed_up(read, y, close):
        return "wrong target", "mixed with those of other examples"
    known = np.unique(y)
    if len(known) < y.size / 2 and np.abs(read.ravel()[:, None] - known).min(axis=1).max() <= close:
        return "wrong target", "of other examples too"
    return None


def _mixed_up(read: np.ndarray, y: np.ndarray, close: float) -> bool:
    """Whether every target is α y + (1 − α) y′ with another example's y′, with one α for all."""
    shares = []
    for mine, own in zip(read, y, strict=True):
        if np.abs(mine - own).max() > close:  # else both have one class
            told = [(multiple(mine - other, own - other), other) for other in y if (other != own).any()]
            shares.append({round(share, 3) for share, other in told
                           if np.abs(other + share * (own - other) - mine).max() <= close})
    return bool(shares) and any(set.intersection(*shares))


def mixed(view: View, s: int, site: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """(cause, what, δ) with one part taken from other examples, or averaged over the batch."""
    g, expected = view.cotangent(s), np.asarray(view.scene.right(view.deltas, s))
    z, B = view.z(s), len(expected)

    def slope(z, cotangent):
        return np.asarray(view.places[s].part.activation.pullback(jnp.asarray(z), jnp.asarray(cotangent)))

    orders = itertools.permutations(range(B)) if B < 4 else [*(np.roll(range(B), i) for i in (1, -1)), range(B)[::-1]]
    for order in [[int(i) for i in order] for order in (*orders, [0] * B, [B - 1] * B)]:
        if order != list(range(B)):
            yield "shuffled examples", f"delta of examples {order}", expected[order]
            yield "shuffled examples", f"derivatives of examples {order}", slope(z[order], g)
            yield "shuffled examples", f"cotangents of examples {order}", slope(z, g[order])
            if site == "head":
                yield "shuffled examples", f"targets of examples {order}", _head(view, s, view.scene.y[order])
            elif len(set(order)) == B:
                yield "shuffled examples", f"the layer above at examples {order}", slope(z, _crossed(view, s, order))

    def mean(v):
        return np.broadcast_to(v.mean(axis=0), v.shape)

    if site == "head":
        y, e = view.scene.y, np.exp(z - z.max(axis=0))
        yield "wrong axis", "softmax over the examples", view.scene.share * (e / e.sum(axis=0) - y)
        for text, of in (("its mean over batch and outputs taken off", y - y.mean()), *over_the_batch(y)):
            yield "wrong target", f"y, {text}", _head(view, s, of)
    for text, of in over_the_batch(z):
        yield "derivative elsewhere", f"z, {text}", slope(of, g)
    for what, averaged in (("delta", mean(expected)), ("cotangent", slope(z, mean(g))), ("z", slope(mean(z), g)),
                           ("derivative", g * mean(view.through(s, np.ones_like(g))))):
        yield "averaged too early", f"mean {what}", averaged


def _crossed(view: View, s: int, order: list[int]) -> np.ndarray:
    """The cotangent of station s if the layer above is evaluated at the examples `order`.

    The deltas are each example's own.
    """
    deltas = [delta[np.argsort(order)] for delta in view.deltas]
    return np.asarray(view.scene.expect(deltas).cotangents[s])[order]


def over_the_batch_of(view: View, s: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """(cause, what, δ) computed with statistics of the batch.

    Below a layer norm, also with its statistics over the batch; they belong to each example.
    """
    for text, of in over_the_batch(np.asarray(view.scene.right(view.deltas, s))):
        yield "normalised", text, of
    for text, of in over_the_batch(view.cotangent(s)):
        yield "normalised", f"what comes back, {text}", view.through(s, of)
    t = min(s + 1, len(view.places) - 1)
    gain = view.scene.params[t].get("gain")
    if t > s and gain is not None:
        a, v = view.input(t), gain * view.deltas[t]
        for spread in (np.sqrt(a.var() + 1e-5), a.std(), a.std() + 1e-5):
            x_hat = (a - a.mean(axis=1, keepdims=True)) / np.sqrt(a.var(axis=1, keepdims=True) + 1e-5)
            down = v - v.mean(axis=1, keepdims=True) - x_hat * (v * x_hat).mean(axis=1, keepdims=True)
            yield "wrong statistics", "one spread of the whole batch", view.through(s, down / spread)
        for spread, mean in ((a.std(axis=1, keepdims=True), a.mean(axis=1, keepdims=True)), (a.std(axis=0), a.mean(axis=0))):
            x_hat, spread = (a - mean) / np.sqrt(spread**2 + 1e-5), np.sqrt(spread**2 + 1e-5)
            down = (v - v.mean(axis=0) - x_hat * (v * x_hat).mean(axis=0)) / spread
            yield "wrong axis", "means over the examples", view.through(s, down)


def _head(view: View, s: int, y: np.ndarray) -> np.ndarray:
    """δ of the head with the targets y."""
    value = view.scene.problem.head.value
    return view.scene.share * np.asarray(jax.vmap(jax.grad(value))(jnp.asarray(view.z(s)), jnp.asarray(y)))
