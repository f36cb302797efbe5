"""Find the weight with which each example enters a batch's leaves."""

from collections.abc import Callable, Sequence, Set

import numpy as np

from functional_nn.verify.batches import BatchFault, Case, agreed, leaves_of, of_law, off
from functional_nn.verify.causes import TINY
from functional_nn.verify.hypothesis import multiple
from functional_nn.verify.meetings import summed
from functional_nn.verify.mistakes.mixing import pattern
from functional_nn.verify.mistakes.summing import DIVISORS, LAWS
from functional_nn.verify.scene import Scene, differ

Law = list[np.ndarray | None]  # for each batch, the weights of its examples
COUNTED: Sequence[Callable[[int], np.ndarray]] = (  # which examples count
    lambda B: 1.0 * (np.arange(B) < B - 1), lambda B: 1.0 * (np.arange(B) > 0),
    lambda B: 1.0 * (np.arange(B) == B - 1), lambda B: 1.0 * (np.arange(B) == 0))


def weights_of(case: Case, single: Scene, s: int, leaf: str) -> np.ndarray | None:
    """The weights c of the examples in a leaf of a batch: share · Σ cᵢ gᵢ with the user's own gᵢ.

    NaN if the leaf is no such sum; None if the weights cannot be determined.
    """
    each = single.gradients[s][leaf][list(case.rows)].reshape(len(case.rows), -1)
    given = case.scene.gradients[s][leaf].ravel()
    if each.shape[1] < 2 or not (np.isfinite(each).all() and np.isfinite(given).all()):
        return None
    close = max(TINY, 8 * single.unit) * np.linalg.norm(given)
    common = multiple(given, each.sum(axis=0))
    # equal weights are believed first
    if common and np.linalg.norm(common * each.sum(axis=0) - given) <= close:
        return np.full(len(each), common / case.scene.share)
    sizes = np.linalg.svd(each, compute_uv=False)
    if each.shape[1] <= len(each) or sizes[-1] <= 1e-6 * sizes[0] or (each != 0).any(axis=0).sum() <= len(each):
        return None
    everyone = single.gradients[s][leaf].reshape(len(single.y), -1)
    if len(everyone) > len(each) == np.linalg.matrix_rank(everyone):
        return None  # any leaf could be such a sum
    c, *_ = np.linalg.lstsq(each.T, given, rcond=None)
    fits = np.linalg.norm(each.T @ c - given) <= close
    return c / case.scene.share if fits else np.full(len(each), np.nan)


def shared_weights(case: Case, weights: Sequence[np.ndarray | None], unit: float) -> np.ndarray | None:
    """The weights, not all 1, that all leaves or all but one share; None without them.

    None too if the last leaves are right: the wrong weights then come from a δ on the way.
    """
    known = [c for c in weights if c is not None]
    close = max(1e-6, 64 * unit)
    if any(np.allclose(c, 1, rtol=close) for c in weights[-2:] if c is not None):
        return None
    for c in known:
        same = [other for other in known if np.allclose(other, c, rtol=close, atol=close * np.abs(c).max())]
        if len(same) >= len(known) - 1 > 0 and 2 * len(same) > len(known) and not np.allclose(c, 1, rtol=close):
            return np.mean(same, axis=0)
    return None


def lawful(batches: Sequence[Case], shared: list[np.ndarray | None]) -> list[np.ndarray | None]:
    """The weights of every batch, completed by a law.

    If one law of B fits all known weights, it gives those of the other batches too.
    """
    told = [(len(case.rows), c) for case, c in zip(batches, shared, strict=True) if c is not None]
    for of in (*LAWS.values(), *DIVISORS.values(), *COUNTED):
        if len({B for B, _ in told}) > 1 and all(np.allclose(c, of(B), rtol=1e-4, atol=1e-4) for B, c in told):
            return [of(len(case.rows)) * np.ones(len(case.rows)) for case in batches]
    return shared


def by_weights(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault] | None:
    """The faults, if wrong weights of the user's own single gradients explain every wrong leaf.

    Else None. The search goes from the last layer down. Weights that most leaves from a station
    down share come from its δ, or from the whole batch. Other weights are one leaf's own.
    """
    laws: dict[tuple[int, str], Law] = {}
    close, right = max(1e-6, 16 * single.unit), [np.ones(len(case.rows)) for case in batches]
    for s, place in enumerate(single.places):
        for site, leaf in place.leaves.items():
            if (site, s) in known:
                continue
            wrong = any(off(case, single, s, leaf) for case in batches)
            laws[s, site] = [weights_of(case, single, s, leaf) for case in batches] if wrong else right
            if wrong and not _telling(laws[s, site], close):
                return None
    found, base, all_wrong = [], right, not any(_alike(law, right, close) for law in laws.values())
    for s in sorted({s for s, _ in laws}, reverse=True):
        mine = {site: law for (t, site), law in laws.items() if t == s}
        below = [law for (t, _), law in laws.items() if t <= s]
        shared, whole = next(iter(mine.values())), len(below) == len(laws)
        alike = sum(_alike(law, shared, close) for law in below)
        if not _alike(shared, base, close) and all(_alike(law, shared, close) for law in mine.values()) and (
                alike >= max(2, len(below) / 2 + 1) or (whole and all_wrong)):
            found.append(("batch", None, shared) if whole else ("pullback", s, _over(shared, base)))
            base = shared
        found += [(site, s, _over(law, base)) for site, law in mine.items() if not _alike(law, base, close)]
    if not found or any(law is None for *_, law in found):
        return None
    return [_of_law(single, site, s, law, close) for site, s, law in found]


def counts_otherwise(single: Scene, batches: Sequence[Case], site: str, s: int, factor: float) -> BatchFault | None:
    """The fault of a leaf in batches whose examples have wrong weights.

    None if the leaf has the weights that most other leaves have.

    Args:
      factor: the factor of the leaf in single examples.
    """
    leaf, close, points, alike = single.places[s].leaves[site], max(1e-6, 64 * single.unit), [], True
    for case in batches:
        told = [weights_of(case, single, *other) for other in leaves_of(single) if other != (s, leaf)]
        told = [c for c in told if c is not None and not np.isnan(c).any()]
        if not told:
            continue
        weights = max(told, key=lambda c: sum(np.allclose(c, d, rtol=close, atol=close) for d in told))
        each, given = single.gradients[s][leaf][list(case.rows)], case.scene.gradients[s][leaf]
        like_others = case.scene.share * np.tensordot(weights, each, axes=1)
        c = multiple(given, like_others)
        points.append((len(case.rows), factor * c))
        alike &= not differ(given, c * like_others, close, single.floor)
    if alike and np.allclose([c for _, c in points], factor, rtol=close):
        return None
    if not alike:
        return summed(single, batches, BatchFault(site, s, "unexplained", 1.0))
    return of_law(site, s, points, single.problem.reduction, True)


def _of_law(single: Scene, site: str, s: int | None, law: Law, close: float) -> BatchFault:
    """The fault of a step, from the weights of its examples in each batch."""
    told = [c for c in law if c is not None]
    wrong = [(len(c), pattern(np.diag(c), max(1e-6, 4 * single.unit))) for c in told if not np.allclose(c, 1, rtol=close)]
    return agreed(site, s, wrong, single.problem.reduction, len(wrong) < len(told))


def _alike(law: Law, other: Law, close: float) -> bool:
    """Whether two laws agree in every batch for which both are known; False without one."""
    pairs = [(c, d) for c, d in zip(law, other, strict=True) if c is not None and d is not None]
    return bool(pairs) and all(np.allclose(c, d, rtol=close, atol=close) for c, d in pairs)


def _over(law: Law, base: Law) -> Law | None:
    """The ratio of two laws; None if some weight in `base` is 0."""
    if any(d is not None and not d.all() for d in base):
        return None
    return [None if c is None or d is None else c / d for c, d in zip(law, base, strict=True)]


def _telling(law: Law, close: float) -> bool:
    """Whether a leaf's weights are known in all batches, or all but one, and are not all 1."""
    told = [c for c in law if c is not None]
    known = len(told) >= len(law) - 1 and not any(np.isnan(c).any() for c in told)
    return known and not all(np.allclose(c, 1, rtol=close) for c in told)
