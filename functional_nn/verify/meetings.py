"""Find mistakes of single steps that only batches show.

Either a part of one example is combined with another example's part, or a leaf is summed wrongly.
"""

from collections.abc import Callable, Iterator, Sequence, Set

import numpy as np

from functional_nn.verify.batches import BatchFault, Case, agreed, off
from functional_nn.verify.causes import TINY, judge
from functional_nn.verify.hypothesis import SOLVED, written
from functional_nn.verify.locate import Located, Step, locate
from functional_nn.verify.mistakes.mixing import (
    OPEN,
    Cause,
    delta_cause,
    leaf_cause,
    mixed,
    over_the_batch_of,
)
from functional_nn.verify.mistakes.parts import masked
from functional_nn.verify.mistakes.summing import sums
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.naming import SITES, formula
from functional_nn.verify.scene import Scene, differ, with_delta

COUNTING = frozenset({"one example only", "examples left out", "examples weighted", "sum for mean", "divided twice", "B - 1",
                      "wrong divisor", "wrong reduction"})  # causes that all leaves share

TRIES = 4  # how many explanations of a batch are tried


def of_single_steps(single: Scene, batches: Sequence[Case], unweighed: Sequence[Case], known: Set[tuple[str, int]]
                    ) -> list[BatchFault]:
    """The faults of single steps, from batches located one by one, with causes that agree.

    Args:
      batches: the batches, weighted as all leaves are weighted.
      unweighed: the same batches without these weights, for a leaf that is wrong on its own.
    """
    blind = {(site, s) for of, s in known for site in single.places[s].leaves if of in ("head", "pullback")
             # these leaves do not show δ of each example
             and single.params[s][single.places[s].weight].ndim < 2}
    seen = [(case, plain) for case, plain in zip(batches, unweighed, strict=True) if _tells(case, known)]
    by_step: dict[tuple[str, int], list[tuple[int, Cause | None]]] = {}
    for case, plain in seen:
        for (site, s), cause in _causes(single, case, plain, {*known, *blind}):
            by_step.setdefault((site, s), []).append((len(case.rows), cause))
    below, found = [t for site, t in known if site in ("head", "pullback")], []
    for (site, s), causes in by_step.items():
        weights = {cause[0] for _, cause in causes if cause is not None}
        if site == "head" and weights and weights <= {"examples left out", "examples weighted", "one example only", "law"}:
            site, s = "batch", None  # weights in the head reach all leaves alike
        if s is not None and max(below, default=-1) > s and all(cause is None for _, cause in causes):
            continue  # a wrong δ above explains it
        fault = agreed(site, s, causes, single.problem.reduction, len(causes) < len(seen))
        if fault.cause == "unexplained" and s is not None and (constant := _constant(single, s, causes)) is not None:
            fault = BatchFault(site, s, "sign" if constant == -1 else "factor", 0.0, f"{constant:.6g}")
        found.append(summed(single, unweighed, fault) if fault.cause == "unexplained" else fault)
    if batches is unweighed and not found:
        found = _of_leaves(single, batches, known)
    return [fault for fault in _unseen(single, batches, found) if fault.cause != "unexplained" or fault.station is None
            # else below an unseen wrong δ
            or fault.station >= max((t for _, t in blind), default=-1)]


def _causes(single: Scene, case: Case, plain: Case, known: Set[tuple[str, int]]) -> list[tuple[tuple[str, int], Cause | None]]:
    """The wrong steps of one batch, ((site, station), cause).

    They are those of the first explanation with a cause for every step, or else of the first one.
    Explanations with fewer wrong deltas come first. `plain`: the batch without weights.
    """
    first = None
    for located in sorted(locate(case.scene, known), key=_deltas)[:TRIES]:
        found = _hidden(case.scene, [((step.site, step.station), _cause(single, case, plain, located, step))
                                     for step in located.faults if (step.site, step.station) not in known])
        if all(cause is not None for _, cause in found):
            return found
        first = found if first is None else first
    return first


def _hidden(scene: Scene, found: list[tuple[tuple[str, int], Cause | None]]) -> list[tuple[tuple[str, int], Cause | None]]:
    """The wrong steps, with two wrong leaves of one station merged into one wrong δ.

    They are merged where the station does not show the δ of each example.
    """
    wrong = {key for key, _ in found}
    for s in range(len(scene.places)):
        if {("weight", s), ("bias", s)} <= wrong and not _seen_through(scene, s):
            site = "head" if s == len(scene.places) - 1 else "pullback"
            found = [(key, cause) for key, cause in found if key not in {("weight", s), ("bias", s), ("pullback", s - 1)}]
            found = [*found, ((site, s), OPEN)]
    return found


def _cause(single: Scene, case: Case, plain: Case, located: Located, step: Step) -> Cause | None:
    """The cause of a wrong step in one batch; None if it is unknown."""
    view = View(case.scene, located.deltas, case.scene.expect(located.deltas))
    of = delta_cause if step.site in ("head", "pullback") else leaf_cause
    cause = of(view, step)
    if cause in (None, OPEN) and case is not plain and of is leaf_cause:
        cause = _by_itself(plain.scene, step) or cause
    if cause is None and any(t >= step.station for t, _ in single.mute):
        cause = _like_a_single_one(view, step)
    return cause


def _tells(case: Case, known: Set[tuple[str, int]]) -> bool:
    """Whether a batch can show more than single examples do.

    At least two of its examples must count, and its leaves must show the δ of each example. In a
    batch of two, only the δ that are `known` to be wrong must be shown.
    """
    scene, shares = case.scene, np.asarray(case.scene.share)
    needed = {s for site, s in known if site in ("head", "pullback")} if len(case.rows) == 2 else range(len(scene.places))
    return (shares.size == 1 or np.count_nonzero(shares) > 1) and all(_seen_through(scene, s) for s in needed)


def _seen_through(scene: Scene, s: int) -> bool:
    """Whether the weight matrix shows the δ of each example: its inputs are linearly independent.

    True for a station without a matrix.
    """
    weight = scene.params[s].get(scene.places[s].weight)
    if weight is None or weight.ndim < 2:
        return True
    a = np.asarray(scene.forward.inputs[s])
    return np.linalg.matrix_rank(a, tol=max(1e-3, 64 * scene.unit) * np.linalg.norm(a)) == len(a)


def _deltas(located: Located) -> int:
    """The number of wrong steps that compute a δ."""
    return sum(step.site in ("head", "pullback") for step in located.faults)


def _by_itself(scene: Scene, step: Step) -> Cause | None:
    """The cause of a wrong leaf, if every δ is right and all examples count alike."""
    deltas = scene.true_deltas()
    view = View(scene, tuple(deltas), scene.expect(deltas))
    leaf = scene.places[step.station].leaves[step.site]
    return leaf_cause(view, step._replace(expected=scene.made(deltas, step.station)[leaf]))


def _constant(single: Scene, s: int, causes: Sequence[tuple[int, Cause | None]]) -> float | None:
    """The common factor of all batches, if single examples do not show the station; else None."""
    if not _is_mute(single, s):
        return None
    factors = [float(cause[1]) for _, cause in causes if cause is not None and cause[0] == "law"]
    alike = len(factors) == len(causes) and np.allclose(factors, factors[0], rtol=max(1e-5, 32 * single.unit))
    return written(factors[0], max(1e-5, 32 * single.unit)) if alike else None


def _of_leaves(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault]:
    """The faults of the wrong leaves, without locating any δ.

    A single wrong leaf is reported in any case, several only if each has a cause.
    """
    wrong = [(site, s) for s, place in enumerate(single.places) for site, leaf in place.leaves.items()
             if (site, s) not in known and any(off(case, single, s, leaf) for case in batches)]
    found = [summed(single, batches, BatchFault(site, s, "unexplained", 1.0)) for site, s in wrong]
    return found if len(found) == 1 or all(fault.cause != "unexplained" for fault in found) else []


def _is_mute(single: Scene, s: int) -> bool:
    """Whether single examples show no leaf of a station."""
    leaves = {(s, leaf) for leaf in single.places[s].leaves.values()}
    return bool(leaves) and leaves <= single.mute


def _like_a_single_one(view: View, step: Step) -> Cause | None:
    """The cause that the hypotheses for single examples give for a batch, if one fits.

    A δ is compared example by example, a leaf by its sum over the examples.
    """
    site, s, unit = step.site, step.station, view.scene.unit
    given, expected, name = step.given, step.expected, formula(view.places, site, s)
    if site in ("weight", "bias"):
        each = (guess for guess in SITES[site](view, s, expected) if guess.rank < SOLVED)
        guesses = (guess._replace(predicted=guess.predicted.sum(axis=0, keepdims=True)) for guess in each
                   if guess.predicted.shape == expected.shape)
        given, expected = given[None], expected.sum(axis=0, keepdims=True)
    else:
        guesses = SITES[site](view, s, given)
    verdict = judge(given, expected, guesses, unit, name, step.noise)
    return None if verdict.cause == "unexplained" else (verdict.cause, verdict.value)


def summed(single: Scene, batches: Sequence[Case], fault: BatchFault) -> BatchFault:
    """The fault of a leaf, with the way of summing the user's own single gradients as its cause.

    One way must explain every batch; else the fault is returned unchanged.
    """
    if fault.site not in ("weight", "bias"):
        return fault
    ways = _ways(single, batches, fault.station, single.places[fault.station].leaves[fault.site])
    return BatchFault(fault.site, fault.station, ways[0][0], 0.0, ways[0][1]) if ways else fault


def summed_alike(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault] | None:
    """The one wrong way of summing that explains every leaf in every batch; None without one."""
    every = [_ways(single, batches, s, leaf) for s, place in enumerate(single.places) for site, leaf in place.leaves.items()
             if (site, s) not in known]
    common = [way for way in (every or [[]])[0] if way[0] in COUNTING and all(way in ways for ways in every)]
    return [BatchFault("batch", None, common[0][0], 0.0, common[0][1])] if common else None


def _ways(single: Scene, batches: Sequence[Case], s: int, leaf: str) -> list[Cause]:
    """The ways of summing the user's own single gradients that give this leaf in every batch."""
    told = []
    for case in batches:
        each = [{name: case.scene.share * g[list(case.rows)] for name, g in own.items()} for own in single.gradients]
        given = case.scene.gradients[s][leaf]
        mean, close = case.means[s][leaf], max(TINY, case.scene.tolerance)
        lost = [(guess.cause, "", guess.predicted[0]) for guess in masked(given[None], mean[None], leaf, single.unit)]
        # right here
        none = [] if lost or off(case, single, s, leaf) else [("entries left out", "", mean)]
        told.append([(cause, text) for cause, text, predicted in (*sums(case.scene, each, s, leaf), *lost, *none)
                     if not differ(given, predicted, close, case.scene.floor)])
    return [way for way in told[-1] if all(way in other for other in told)]


def _unseen(single: Scene, batches: Sequence[Case], found: list[BatchFault]) -> list[BatchFault]:
    """The faults, merged into one δ that mixes examples, if that δ explains them.

    The station is a layer norm, whose leaves show only sums over the examples. All leaves from
    there down must follow from the mixed δ.
    """
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
    """(cause, what) of each mixed δ of station `top` from which every leaf down there `fits`."""
    view = View(scene, tuple(deltas), scene.expect(deltas))
    site = "head" if top == len(scene.places) - 1 else "pullback"
    for cause, text, predicted in (*mixed(view, top, site), *over_the_batch_of(view, top)):
        follows = with_delta(deltas, top, predicted)
        for s in reversed(range(top)):
            follows = with_delta(follows, s, scene.right(follows, s))
        if all(fits(s, leaf, scene.made(follows, s)[leaf].sum(axis=0)) for s in range(top + 1)
               for leaf in scene.places[s].leaves.values()):
            yield cause, text
