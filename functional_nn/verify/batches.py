"""What goes wrong only when examples meet: a batch's gradient against the mean of the user's own single ones."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np

from functional_nn.verify.causes import TINY
from functional_nn.verify.hypothesis import multiple
from functional_nn.verify.locate import Step, locate
from functional_nn.verify.mistakes.mixing import OPEN, delta_cause, leaf_cause, mixed, over_the_batch_of, pattern
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.scene import Scene, differ, with_delta

BATCHES = ((0, 1), (2, 3), (0, 1, 2), (0, 1, 2, 3, 4))
LAWS: Mapping[str, Callable[[int], float]] = {  # the batch's gradient over the mean of the single ones
    "sum for mean": lambda B: B, "divided twice": lambda B: 1 / B, "B - 1": lambda B: B / (B - 1)}
DIVISORS: Mapping[str, Callable[[int], float]] = {
    "the root of B": lambda B: B**0.5, "B + 1": lambda B: B / (B + 1), "B - 2": lambda B: B / (B - 2) if B > 2 else np.inf}
COUNTED: Sequence[Callable[[int], np.ndarray]] = (  # which examples count
    lambda B: 1.0 * (np.arange(B) < B - 1), lambda B: 1.0 * (np.arange(B) > 0),
    lambda B: 1.0 * (np.arange(B) == B - 1), lambda B: 1.0 * (np.arange(B) == 0))

REDUCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "the median": lambda g: np.median(g, axis=0), "the largest": lambda g: g.max(axis=0),
    "the smallest": lambda g: g.min(axis=0), "the product": lambda g: g.prod(axis=0),
    "the root of the mean square": lambda g: np.sqrt((g**2).mean(axis=0)),
    "the mean without sign": lambda g: np.abs(g).mean(axis=0),
    "the largest in size": lambda g: np.take_along_axis(g, np.abs(g).argmax(axis=0)[None], axis=0)[0]}


TRIMMED: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {  # of each leaf another example
    "the largest of each leaf": lambda g: np.delete(g, _sizes(g).argmax(), axis=0).sum(axis=0) / len(g),
    "the smallest of each leaf": lambda g: np.delete(g, _sizes(g).argmin(), axis=0).sum(axis=0) / len(g),
    "the largest of each leaf, divided by the rest": lambda g: np.delete(g, _sizes(g).argmax(), axis=0).mean(axis=0)}


def _sizes(g: np.ndarray) -> np.ndarray:
    return np.linalg.norm(g.reshape(len(g), -1), axis=1)


class BatchFault(NamedTuple):
    """site and station (None for all) of a mistake in a batch; residual: share of the error it leaves."""

    site: str
    station: int | None
    cause: str
    residual: float
    value: str = ""


class Case(NamedTuple):
    """One batch: its scene, and what its leaves would be as the mean (sum) of the user's own single ones."""

    rows: tuple[int, ...]
    scene: Scene
    means: list[dict[str, np.ndarray]]


def cases(single: Scene, look: Callable[[tuple[int, ...]], Scene], own: Mapping[int, np.ndarray], whole: int = 0) -> list[Case]:
    """The batches of `BATCHES` that the examples suffice for, and that of the first `whole` ones.

    Args:
      look: makes the scene of a batch. own: deltas of single examples that are known to be wrong, by station.
    """
    found = []
    for rows in dict.fromkeys((*BATCHES, *([tuple(range(whole))] if whole > 1 else []))):
        if max(rows) < len(single.y):
            scene = look(rows)
            scene = scene._replace(own={s: scene.share * delta[list(rows)] for s, delta in own.items()})
            means = [{leaf: scene.share * g[list(rows)].sum(axis=0) for leaf, g in own.items()} for own in single.gradients]
            found.append(Case(rows, scene, means))
    return found


def batch_faults(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault]:
    """The faults that single examples do not show.

    Args:
      known: (site, station) of the mistakes that they do show.
    """
    if not uneven(single, batches):
        return []
    if (reduced := _reduced(single, batches, known)) is not None:
        return reduced
    leaves = _leaves(single)
    shared = [_shared(case, [_weights(case, single, s, leaf) for s, leaf in leaves], single.unit) for case in batches]
    shared = _lawful(batches, shared)
    if all(weights is None for weights in shared):
        found = _by_weights(single, batches, known)
        return _rest(single, batches, batches, known) if found is None else found
    told = [(len(case.rows), OPEN if weights is None else pattern(np.diag(weights), max(1e-6, 4 * single.unit)))
            for case, weights in zip(batches, shared, strict=True)]
    weighed = [case if weights is None else case._replace(scene=case.scene.weighed(weights))
               for case, weights in zip(batches, shared, strict=True)]
    rest = [fault for fault in _rest(single, weighed, batches, known) if not _is_right(batches, fault)]
    return [_agreed("batch", None, told, single.problem.reduction), *rest]


def _is_right(batches: Sequence[Case], fault: BatchFault) -> bool:
    """Whether a leaf is the right gradient of every batch, whatever became of the others."""
    if fault.site not in ("weight", "bias"):
        return False
    for case in batches:
        scene, leaf = case.scene, case.scene.places[fault.station].leaves[fault.site]
        right = scene.made(scene.true_deltas(), fault.station)[leaf].sum(axis=0)
        if differ(scene.gradients[fault.station][leaf], right, scene.tolerance, scene.floor):
            return False
    return True


def _reduced(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault] | None:
    """Wrong leaves that are the median, the largest, … of the user's own single ones, entry by entry, if all wrong ones are."""
    wrong = [(s, site, leaf) for s, place in enumerate(single.places) for site, leaf in place.leaves.items()
             if (site, s) not in known and any(off(case, single, s, leaf) for case in batches)]
    for text, of in (REDUCTIONS | TRIMMED).items():
        fits = [not differ(case.scene.gradients[s][leaf], of(single.gradients[s][leaf][list(case.rows)]),
                           max(1e-8, single.tolerance), single.floor) for s, _, leaf in wrong for case in batches]
        if fits and all(fits):
            steps = [("batch", None)] if len(wrong) == len(_leaves(single)) else [(site, s) for s, site, _ in wrong]
            cause = "wrong reduction" if text in REDUCTIONS else "examples left out"
            return [BatchFault(site, s, cause, 0.0, text) for site, s in steps]
    return None


def _leaves(single: Scene) -> list[tuple[int, str]]:
    return [(s, leaf) for s, place in enumerate(single.places) for leaf in place.leaves.values()]


def uneven(single: Scene, batches: Sequence[Case]) -> bool:
    """Whether some batch's gradient is not the mean (sum) of the user's own single ones."""
    return any(off(case, single, s, leaf) for s, leaf in _leaves(single) for case in batches)


def off(case: Case, single: Scene, s: int, leaf: str) -> bool:
    """Whether a leaf of the batch is not the mean (sum) of the single ones, beyond what rounding leaves of either."""
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
    """(B, c) where a leaf of every batch is c times the mean of the single ones; None where it is no multiple."""
    found = []
    for case in batches:
        given, mean = case.scene.gradients[s][leaf], case.means[s][leaf]
        c = multiple(given, mean)
        if not np.linalg.norm(given - c * mean) <= max(1e-6, 64 * unit) * np.linalg.norm(mean):
            return None
        found.append((len(case.rows), c))
    return found


def _weights(case: Case, single: Scene, s: int, leaf: str) -> np.ndarray | None:
    """How much of each example a leaf has: its c in Σ cᵢ gᵢ of the user's own gᵢ; NaN where it is no such sum, None where
    that cannot be told."""
    each = single.gradients[s][leaf][list(case.rows)].reshape(len(case.rows), -1)
    given = case.scene.gradients[s][leaf].ravel()
    if each.shape[1] < 2 or not (np.isfinite(each).all() and np.isfinite(given).all()):
        return None
    close = max(TINY, 8 * single.unit) * np.linalg.norm(given)
    common = multiple(given, each.sum(axis=0))
    if common and np.linalg.norm(common * each.sum(axis=0) - given) <= close:  # a simpler law is believed first
        return np.full(len(each), common / case.scene.share)
    sizes = np.linalg.svd(each, compute_uv=False)
    if each.shape[1] <= len(each) or sizes[-1] <= 1e-6 * sizes[0] or (each != 0).any(axis=0).sum() <= len(each):
        return None
    everyone = single.gradients[s][leaf].reshape(len(single.y), -1)
    if len(everyone) > len(each) == np.linalg.matrix_rank(everyone):
        return None  # whatever the sum is, it is one of these
    c, *_ = np.linalg.lstsq(each.T, given, rcond=None)
    fits = np.linalg.norm(each.T @ c - given) <= close
    return c / case.scene.share if fits else np.full(len(each), np.nan)


def _shared(case: Case, weights: Sequence[np.ndarray | None], unit: float) -> np.ndarray | None:
    """The weights that all leaves have but one at most, where those can be told, if they are not 1.

    Where the last leaves are right, the rest has it from a δ on the way.
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


def _lawful(batches: Sequence[Case], shared: list[np.ndarray | None]) -> list[np.ndarray | None]:
    """The weights of batches that tell them, and by the law of these, if there is one, those of the batches that do not."""
    told = [(len(case.rows), c) for case, c in zip(batches, shared, strict=True) if c is not None]
    for of in (*LAWS.values(), *DIVISORS.values(), *COUNTED):
        if len({B for B, _ in told}) > 1 and all(np.allclose(c, of(B), rtol=1e-4, atol=1e-4) for B, c in told):
            return [of(len(case.rows)) * np.ones(len(case.rows)) for case in batches]
    return shared


def _of_law(site: str, station: int | None, points: Sequence[tuple[int, float]], reduction: str, local: bool = False
            ) -> BatchFault:
    """The fault of a law c(B), given as (B, c), which two batches of the same size must share."""
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
    same &= np.allclose(1 / np.array(law), np.polyval(share, 1 / np.array(sizes)), rtol=1e-2) or np.allclose(
        law, np.array(sizes) ** power, rtol=1e-2)
    return BatchFault(site, station, "wrong divisor" if same else "unexplained", 0.0, seen)


def _by_weights(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault] | None:
    """Leaves that weigh the user's own single gradients otherwise; None where that does not explain every wrong leaf."""
    sums: dict[tuple[int, str], list[tuple[int, np.ndarray | None]]] = {}
    for s, place in enumerate(single.places):
        for site, leaf in place.leaves.items():
            if (site, s) not in known and any(off(case, single, s, leaf) for case in batches):
                sums[s, site] = [(len(case.rows), _weights(case, single, s, leaf)) for case in batches]
    told = {key: [(B, c) for B, c in found if c is not None] for key, found in sums.items()}
    close = max(1e-6, 16 * single.unit)
    if not told or any(not _telling(found, len(batches), close) for found in told.values()):
        return None
    top = max(s for s, _ in told)
    every = {(s, site) for s in range(top + 1) for site in single.places[s].leaves}
    first = next(iter(told.values()))
    alike = all([B for B, _ in found] == [B for B, _ in first] and all(
        np.allclose(c, d, rtol=close, atol=close) for (_, c), (_, d) in zip(found, first, strict=True))
        for found in told.values())
    steps = {(site, s): found for (s, site), found in told.items()}
    if alike and set(told) == every:
        steps = {("pullback", top): first}
    wrong = {key: [(B, c) for B, c in found if not np.allclose(c, 1, rtol=close)] for key, found in steps.items()}
    return [_agreed(*key, [(B, pattern(np.diag(c), max(1e-6, 4 * single.unit))) for B, c in wrong[key]],
                    single.problem.reduction, len(wrong[key]) < len(found)) for key, found in steps.items()]


def _telling(found: Sequence[tuple[int, np.ndarray]], batches: int, close: float) -> bool:
    """Whether a leaf's weights are known in all batches but one, and not all 1."""
    known = len(found) >= batches - 1 and not any(np.isnan(c).any() for _, c in found)
    return known and not all(np.allclose(c, 1, rtol=close) for _, c in found)


def _rest(single: Scene, batches: Sequence[Case], unweighed: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault]:
    """Mistakes of single steps: each batch is located by itself, and a cause must come out alike in all of them.

    Args:
      batches: with the weights that all leaves have. unweighed: the same without; a wrong leaf may be made by itself.
    """
    blind = {(site, s) for of, s in known for site in ("weight", "bias") if of in ("head", "pullback")
             and single.params[s].get(single.places[s].weight, np.zeros(0)).ndim < 2}  # δ of each example cannot be seen there
    known = {*known, *blind}
    by_step: dict[tuple[str, int], list[tuple[int, tuple[str, str] | None]]] = {}
    looked = 0  # batches
    for case, plain in zip(batches, unweighed, strict=True):
        if (len(case.rows) > 2 and not _seen_through(case.scene)) or np.count_nonzero(case.scene.share) == 1 < np.size(
                case.scene.share):
            continue  # of one example that counts nothing is seen that single ones do not show
        looked += 1
        located = _fewest(case.scene, known)
        view = View(case.scene, located.deltas, case.scene.expect(located.deltas))
        for step in located.faults:
            key = (step.site, step.station)
            if key not in known:
                of = delta_cause if step.site in ("head", "pullback") else leaf_cause
                cause = of(view, step)
                if cause in (None, OPEN) and case is not plain and of is leaf_cause:
                    cause = _by_itself(plain.scene, step) or cause
                by_step.setdefault(key, []).append((len(case.rows), cause))
    found = []
    below = [t for site, t in known if site in ("head", "pullback")]
    for (site, s), causes in by_step.items():
        weights = {cause[0] for _, cause in causes if cause is not None}
        if site == "head" and weights and weights <= {"examples left out", "examples weighted", "one example only", "law"}:
            site, s = "batch", None  # whatever weighs the examples weighs all leaves alike
        if s is not None and max(below, default=-1) > s and all(cause is None for _, cause in causes):
            continue  # below a δ that is wrong already
        found.append(_agreed(site, s, causes, single.problem.reduction, len(causes) < looked))
    return [fault for fault in _unseen(single, batches, found) if fault.cause != "unexplained" or fault.station is None
            or fault.station >= max((t for _, t in blind), default=-1)]  # below a δ that is wrong, and not seen


def _unseen(single: Scene, batches: Sequence[Case], found: list[BatchFault]) -> list[BatchFault]:
    """The faults with one of a δ that mixes examples, of a station that shows only its sums, where all below follow from it."""
    tops = {fault.station for fault in found if fault.site == "weight" and "gain" in single.params[fault.station]}
    if not tops:
        return found
    top, told = max(tops), []
    for case in batches:
        scene = case.scene

        def fits(s: int, leaf: str, made: np.ndarray, scene: Scene = scene) -> bool:
            return not differ(scene.gradients[s][leaf], made, scene.tolerance, scene.floor)

        told.append([cause for cause, _ in mixtures(scene, scene.true_deltas(), top, fits)])
    cause = next((cause for cause in told[-1] if all(cause in each for each in told)), None)
    rest = [fault for fault in found if fault.station is None or fault.station > top]
    return found if cause is None else [*rest, BatchFault("pullback", top, cause, 0.0)]


def mixtures(scene: Scene, deltas, top: int, fits: Callable[[int, str, np.ndarray], bool]) -> Iterator[tuple[str, str]]:
    """(cause, what) of a δ of station `top` that mixes examples, where every leaf from there down `fits` what it makes."""
    view = View(scene, tuple(deltas), scene.expect(deltas))
    site = "head" if top == len(scene.places) - 1 else "pullback"
    for cause, text, predicted in (*mixed(view, top, site), *over_the_batch_of(view, top)):
        follows = with_delta(deltas, top, predicted)
        for s in reversed(range(top)):
            follows = with_delta(follows, s, scene.right(follows, s))
        if all(fits(s, leaf, scene.made(follows, s)[leaf].sum(axis=0)) for s in range(top + 1)
               for leaf in scene.places[s].leaves.values()):
            yield cause, text


def _by_itself(scene: Scene, step: Step) -> tuple[str, str] | None:
    """What makes a leaf of right δ whose examples count alike."""
    deltas = scene.true_deltas()
    view = View(scene, tuple(deltas), scene.expect(deltas))
    leaf = scene.places[step.station].leaves[step.site]
    return leaf_cause(view, step._replace(expected=scene.made(deltas, step.station)[leaf]))


def _seen_through(scene: Scene) -> bool:
    """Whether every matrix shows the δ of each example: the inputs of its layer are independent."""
    inputs = [np.asarray(a) for place, a, p in zip(scene.places, scene.forward.inputs, scene.params, strict=True)
              if place.weight is not None and p[place.weight].ndim > 1]
    return all(np.linalg.matrix_rank(a, tol=1e-3 * np.linalg.norm(a)) == len(a) for a in inputs)


def _fewest(scene: Scene, known):
    """The explanation with the fewest wrong deltas."""
    return min(locate(scene, known), key=lambda located: sum(step.site in ("head", "pullback") for step in located.faults))


def _agreed(site: str, s: int | None, causes: Sequence[tuple[int, tuple[str, str] | None]], reduction: str,
            others: bool = False) -> BatchFault:
    """One cause for all batches; `others`: whether some are right, as none is that has one example only."""
    told = [(B, *cause) for B, cause in causes if cause is not None and cause != OPEN]
    names = {cause for _, cause, _ in told}
    if "examples left out" in names:
        names -= {"zero"}  # of a small batch, all are left out
    if "examples weighted" in names:
        names -= {"law", "examples left out", "one example only"}  # alike here, 0 there
    if names == {"one example only", "examples left out"}:  # of two examples, one is left when one is left out
        names = {"examples left out"}
    if names == {"one example only"} and (others or len({B for B, *_ in told}) < 2):
        names = set()
    if any(cause is None for _, cause in causes) or len(names) != 1:
        return BatchFault(site, s, "unexplained", 1.0)
    (cause,) = names
    if cause == "law":
        return _of_law(site, s, [(B, float(value)) for B, _, value in told], reduction, site in ("weight", "bias"))
    return BatchFault(site, s, cause, 0.0, told[-1][2])
