"""Where a backward pass goes wrong, station by station from the loss down, on single examples."""

from typing import Any, NamedTuple

import numpy as np

from functional_nn.verify.stations import Expected, Forward, Station


class Step(NamedTuple):
    """One step of the backward pass at a station: what it gave, and what a right one gives from the same cotangent.

    site: head, pullback, weight or bias. given, expected: (examples, …). wrong: whether they differ beyond rounding.
    """

    site: str
    station: int
    given: np.ndarray
    expected: np.ndarray
    wrong: bool


class Located(NamedTuple):
    """steps: every step, from the head down. deltas: the δ of every station as the user's backward pass has it.

    expected: what right steps make of those deltas.
    """

    steps: tuple[Step, ...]
    deltas: tuple[np.ndarray, ...]
    expected: Expected


def differ(given: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays differ by more than `tolerance` of the larger; NaN always does."""
    gap, size = np.linalg.norm(given - expected), max(np.linalg.norm(given), np.linalg.norm(expected))
    return not gap <= tolerance * size


def product_differs(given: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """As `differ`, and for a matrix δ aᵀ of each example row by row: an entry is compared with the largest of its row."""
    if given.ndim < 3:
        return differ(given, expected, tolerance)
    rows = np.abs(expected).max(axis=-1, keepdims=True)
    floor = np.finfo(np.float64).eps * np.abs(expected).max(initial=0.0)
    return not (np.abs(given - expected) <= tolerance * rows + floor).all()


def locate(places: tuple[Station, ...], forward: Forward, expect, gradients: list[dict[str, np.ndarray]],
           tolerance: float) -> Located:
    """The steps of every station, given the user's gradient of each example.

    At each station the user's δ is known more than once: as the bias's gradient, within the weight's, and as what a right step
    makes of the δ above. Whichever of them the rest agrees with is taken, so that the other one is the mistake.

    Args:
      expect: deltas of every station -> Expected.
      gradients: one dict a station, each leaf (examples, …).
    """
    deltas = [np.zeros_like(z) for z in forward.z]
    steps: list[Step] = []
    for s in reversed(range(len(places))):
        place, mine = places[s], gradients[s]
        right = np.asarray(expect(deltas).deltas[s])
        candidates = {"above": right, "bias": _of_bias(mine[place.bias], right.shape),
                      "weight": _of_weight(mine[place.weight], forward.inputs[s], right.shape)}
        fits = {}
        for name, delta in candidates.items():
            if delta is not None:
                made = _with(expect, deltas, s, delta).gradients[s]
                fits[name] = {leaf: not product_differs(mine[leaf], np.asarray(made[leaf]), tolerance) for leaf in mine}
        chosen = _choose(place, fits, lambda name, s=s, candidates=candidates: _below(
            places, expect, gradients, deltas, s, candidates[name], tolerance))
        deltas[s] = candidates[chosen]
        made = _with(expect, deltas, s, deltas[s]).gradients[s]
        last = s == len(places) - 1
        steps.append(Step("head" if last else "pullback", s, deltas[s], right, differ(deltas[s], right, tolerance)))
        for leaf, site in ((place.weight, "weight"), (place.bias, "bias")):
            expected = np.asarray(made[leaf])
            steps.append(Step(site, s, mine[leaf], expected, product_differs(mine[leaf], expected, tolerance)))
    return Located(tuple(steps), tuple(deltas), expect(deltas))


def _with(expect, deltas, s: int, delta) -> Expected:
    return expect([delta if i == s else other for i, other in enumerate(deltas)])


def _choose(place: Station, fits: dict[str, dict[str, bool]], agrees_below) -> str:
    """Which δ the user's backward pass has at this station."""
    count = {name: sum(fit.values()) for name, fit in fits.items()}
    if count["above"] == 2 or (count["above"] and all(n < 2 for n in count.values())):
        return "above"  # no fault here, or one leaf's rule
    if count["bias"] == 2:
        return "bias"  # both leaves agree on a δ that does not follow from above
    return next((name for name in fits if agrees_below(name)), "bias" if any(fits["bias"].values()) else "above")


def _below(places, expect, gradients, deltas, s: int, delta, tolerance: float) -> bool:
    """Whether a right step from this δ gives the δ of a station below as its leaves have it."""
    if s == 0:
        return False
    below = np.asarray(_with(expect, deltas, s, delta).deltas[s - 1])
    seen = _of_bias(gradients[s - 1][places[s - 1].bias], below.shape)
    return seen is not None and not differ(seen, below, tolerance)


def _of_bias(gradient: np.ndarray, shape) -> np.ndarray | None:
    """δ from the bias's gradient, which it is, or for a maxout's pieces their sum."""
    extra = tuple(range(1, 1 + gradient.ndim - len(shape)))
    return gradient.sum(axis=extra) if gradient.ndim >= len(shape) else None


def _of_weight(gradient: np.ndarray, a: Any, shape) -> np.ndarray | None:
    """δ within δ aᵀ: (δ aᵀ) a / |a|²; None where the weight is no matrix or a is 0."""
    a = np.asarray(a)
    if gradient.ndim <= len(shape):
        return None
    size = np.einsum("ik,ik->i", a, a)
    if not size.all():
        return None
    delta = np.einsum("i...k,ik->i...", gradient, a) / size.reshape(-1, *[1] * (gradient.ndim - 2))
    return _of_bias(delta, shape)
