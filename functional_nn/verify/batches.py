"""Compare gradients of small batches with the mean (sum) of the user's own single gradients."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from functional_nn.verify.hypothesis import multiple
from functional_nn.verify.mistakes.mixing import OPEN
from functional_nn.verify.mistakes.summing import DIVISORS, LAWS
from functional_nn.verify.scene import Scene, differ

BATCHES = ((0, 1), (2, 3), (0, 1, 2), (0, 1, 2, 3, 4))

EXACT = 1e-6  # relative: batches of one size that agree this well establish a law without formula


class BatchFault(NamedTuple):
    """A mistake that batches show, at a site and station (None: all of them).

    `residual` is the share of the error that the cause leaves.
    """

    site: str
    station: int | None
    cause: str
    residual: float
    value: str = ""


class Case(NamedTuple):
    """One batch: its rows, its scene, and the means (sums) of the user's own single gradients."""

    rows: tuple[int, ...]
    scene: Scene
    means: list[dict[str, np.ndarray]]


def cases(single: Scene, look: Callable[[tuple[int, ...]], Scene], own: Mapping[int, np.ndarray], whole: int = 0) -> list[Case]:
    """The cases of `BATCHES` for which there are enough examples, and one of the first `whole`.

    Args:
      look: rows -> the scene of that batch.
      own: the deltas of single examples that are known to be wrong, by station.
    """
    found = []
    for rows in dict.fromkeys((*BATCHES, *([tuple(range(whole))] if whole > 1 else []))):
        if max(rows) < len(single.y):
            scene = look(rows)
            scene = scene._replace(own={s: scene.share * delta[list(rows)] for s, delta in own.items()})
            means = [{leaf: scene.share * g[list(rows)].sum(axis=0) for leaf, g in own.items()} for own in single.gradients]
            found.append(Case(rows, scene, means))
    return found


def leaves_of(single: Scene) -> list[tuple[int, str]]:
    """(station, leaf) of every leaf, from the inputs to the outputs."""
    return [(s, leaf) for s, place in enumerate(single.places) for leaf in place.leaves.values()]


def uneven(single: Scene, batches: Sequence[Case]) -> bool:
    """Whether some batch's gradient is not the mean (sum) of the user's own single gradients."""
    return any(off(case, single, s, leaf) for s, leaf in leaves_of(single) for case in batches)


def off(case: Case, single: Scene, s: int, leaf: str) -> bool:
    """Whether a leaf of the batch differs, beyond rounding, from the single ones' mean (sum)."""
    each = single.gradients[s][leaf][list(case.rows)]
    largest = max(float(np.linalg.norm(g)) for own in case.scene.gradients for g in own.values())
    noise = 1e-3 * single.tolerance * largest + 16 * single.inner * case.scene.share * float(np.abs(each).sum(axis=0).max())
    if single.slack is not None:
        noise += case.scene.share * float(np.linalg.norm(single.slack[s][leaf][list(case.rows)].sum(axis=0)))
    if single.left is not None:
        noise += case.scene.share * single.left[s, leaf]
    if case.scene.slack is not None:
        noise += float(np.linalg.norm(np.broadcast_to(case.scene.slack[s][leaf], each.shape[1:])))
    return differ(case.scene.gradients[s][leaf], case.means[s][leaf], single.tolerance, noise + single.floor)


def law(batches: Sequence[Case], s: int, leaf: str, unit: float) -> list[tuple[int, float]] | None:
    """(B, c) of each batch, if the leaf is c times the single ones' mean (sum); else None."""
    found = []
    for case in batches:
        given, mean = case.scene.gradients[s][leaf], case.means[s][leaf]
        c = multiple(given, mean)
        if not np.linalg.norm(given - c * mean) <= max(1e-6, 64 * unit) * np.linalg.norm(mean):
            return None
        found.append((len(case.rows), c))
    return found


def agreed(site: str, s: int | None, causes: Sequence[tuple[int, tuple[str, str] | None]], reduction: str,
            others: bool = False) -> BatchFault:
    """The fault whose cause all batches agree on; "unexplained" if they do not.

    Args:
      causes: (B, cause) of each wrong batch.
      others: whether some batches are right.
    """
    told = [(B, *cause) for B, cause in causes if cause is not None and cause != OPEN]
    names = {cause for _, cause, _ in told}
    if "examples left out" in names:
        names -= {"zero"}  # a small batch may lose all examples
    if "examples weighted" in names:
        # the weights may be equal, or 0, in some batches
        names -= {"law", "examples left out", "one example only"}
    # two examples sharing all have their mean
    if names == {"averaged too early", "shuffled examples"}:
        names -= {"averaged too early"} if all(B == 2 for B, cause, _ in told if cause == "averaged too early") else set()
    if names == {"one example only", "examples left out"}:  # of two examples, one remains
        names = {"examples left out"}
    if names == {"one example only"} and (others or len({B for B, *_ in told}) < 2):
        names = set()
    if any(cause is None for _, cause in causes) or len(names) != 1:
        return BatchFault(site, s, "unexplained", 1.0)
    (cause,) = names
    if cause == "law" and others:  # a law of the batch size holds in all batches
        return BatchFault(site, s, "unexplained", 1.0)
    if cause == "law":
        return of_law(site, s, [(B, float(value)) for B, _, value in told], reduction, site in ("weight", "bias"))
    return BatchFault(site, s, cause, 0.0, told[-1][2])


def of_law(site: str, station: int | None, points: Sequence[tuple[int, float]], reduction: str, local: bool = False
            ) -> BatchFault:
    """The fault for a law c(B), given as points (B, c); batches of one size must have one c."""
    sizes, law = zip(*points, strict=True)
    seen = ", ".join(f"{c:.4g} at B = {B}" for B, c in zip(sizes, law, strict=True))
    same = all(np.isclose(c, d, rtol=1e-2) for (B, c), (D, d) in itertools.combinations(points, 2) if B == D)
    for cause, of in LAWS.items():
        if np.allclose(law, [of(B) for B in sizes], rtol=1e-2):
            if cause == "divided twice" and (reduction == "sum" or local):
                cause = "mean for sum"
            return BatchFault(site, station, cause, 0.0)
    for text, of in DIVISORS.items():
        if np.allclose(law, [of(B) for B in sizes], rtol=1e-2):
            return BatchFault(site, station, "wrong divisor", 0.0, text)
    if np.allclose(law, law[0], rtol=1e-2):
        return BatchFault(site, station, "unexplained", 1.0, f"{law[0]:.4g} times, but once for a single example")
    share = np.polyfit(1 / np.array(sizes), 1 / np.array(law), 1)  # c = α B / (B + k)
    power = np.log(np.abs(law)).sum() / np.log(sizes).sum()
    exact = len(set(sizes)) < len(sizes) and all(
        np.isclose(c, d, rtol=EXACT) for (B, c), (D, d) in itertools.combinations(points, 2) if B == D)
    same &= exact or np.allclose(1 / np.array(law), np.polyval(share, 1 / np.array(sizes)), rtol=1e-2) or np.allclose(
        law, np.array(sizes) ** power, rtol=1e-2)
    return BatchFault(site, station, "wrong divisor" if same else "unexplained", 0.0, seen)
