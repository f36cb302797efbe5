"""From a network's backpropagation that is wrong to its faults: what to look at, in which order."""

import copy
import itertools
from dataclasses import dataclass, replace

import numpy as np

from functional_nn.verify.batches import BatchFault, Case, cases, law, off, uneven
from functional_nn.verify.bits import to_the_bit
from functional_nn.verify.causes import Verdict
from functional_nn.verify.finish import finished, take_exchanged, take_penalty
from functional_nn.verify.hypothesis import size
from functional_nn.verify.isolate import isolated, limited
from functional_nn.verify.kinks import conventions
from functional_nn.verify.locate import Located, Step, locate
from functional_nn.verify.naming import believed, confirmed
from functional_nn.verify.penalties import Penalty
from functional_nn.verify.scene import Scene
from functional_nn.verify.sums import sums_to_the_bit
from functional_nn.verify.together import batch_faults
from functional_nn.verify.trial import Trial
from functional_nn.verify.weighing import counts_otherwise

UNNAMED = Verdict("unexplained", 1.0, np.inf, "", "", "")
AFAR = 5.0  # how much further the inputs of the second look are than its parameters
OF_EACH = frozenset({  # what is true of a leaf of each example must be of their sum
    "dead unit", "transposed", "swapped entries", "missing derivative", "doubled derivative", "other derivative",
    "another layer's delta", "activation for delta", "other delta", "another layer's activation", "other activation",
    "pre-activation for activation", "activation twice", "cotangent ignored", "wrong axis", "wrong piece", "wrong statistics",
    "wrong product"})
ALONE = frozenset({  # what is said of the δ of each example by itself
    "another loss", "wrong target", "other derivative", "other delta", "other weights", "normalised", "wrong statistics"})
MOVED = 0.1  # by how much of their size the parameters of the second look differ


@dataclass(frozen=True)
class Diagnosis:
    """What was found: steps with their causes, mistakes of batches, a penalty; conventions at kinks that are no mistakes."""

    scene: Scene
    located: Located
    steps: list[tuple[Step, Verdict]]
    batches: list[BatchFault]
    penalty: Penalty | None
    lost: list[tuple[str, int]]
    swapped: list[tuple[int, str]]
    cases: list[Case]
    explanations: tuple[Located, ...] = ()
    kinks: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether something is wrong."""
        return bool(self.steps or self.batches or self.penalty or self.lost or self.swapped)

    @property
    def uneven(self) -> bool:
        """Whether batches are not the mean of single examples, even where no step of them can be blamed."""
        return uneven(self.scene, self.cases)


def diagnose(trial: Trial, suspicious: bool, least: int = 0) -> Diagnosis:
    """What is wrong; one quick look where nothing is.

    Args:
      suspicious: whether the gradient of the whole batch is known to be wrong.
      least: how many single examples to look at, and to put into one batch, if the usual few are not enough.
    """
    first = _look(trial, trial.few, named=False)
    suspicious = suspicious or (not first.any and _to_the_bit(trial, None, first, hidden=True).any)
    if not (suspicious or first.any):
        return first
    trial = replace(trial, subject=copy.copy(trial.subject), lenient=True)
    if not suspicious and not (first := _look(trial, trial.few, named=False)).any:
        return first
    if (whole := finished(trial)) is not None:
        return replace(first, steps=[], batches=[whole])
    lost = _not_finite(trial)
    penalty = take_penalty(trial)
    swapped = take_exchanged(trial)
    count = max(trial.enough, least)
    trial = trial.widened(count)
    found = _look(trial, count, whole=least)
    if any(step.site == "pullback" and verdict.cause == "unexplained" for step, verdict in found.steps):
        count = trial.many  # enough to solve for the weights it went through
        found = _look(trial.widened(count), count)
    found = replace(found, penalty=penalty, lost=lost, swapped=swapped)
    if not found.any:
        return _to_the_bit(trial, penalty, found, hidden=True)
    if (kinks := _excused(trial, penalty, found)) is not None:
        return replace(found, steps=[], batches=[], kinks=kinks)
    found = _reconciled(_named(trial, penalty, found, count, bool(least)), trial.unit)
    return _constant_terms(_clipped_alike(found), trial.unit)


def _excused(trial: Trial, penalty: Penalty | None, found: Diagnosis) -> tuple[str, ...] | None:
    """What the wrong steps do at kinks, in words, where that is all; None where it is not."""
    explanations = (*found.explanations, locate(found.scene, own=True)[0])
    told = (conventions(found.scene, each, trial.tolerance) for each in explanations)
    kinks = next((each for each in told if each is not None), None)
    aside = max(1e-5, 32 * max(trial.unit, trial.coarse))
    if kinks is None or _look(_elsewhere(trial, penalty, aside), trial.few, named=False).any:
        return None
    return kinks


def _named(trial: Trial, penalty: Penalty | None, found: Diagnosis, count: int, whole: bool) -> Diagnosis:
    """The causes that come out alike elsewhere, to the last bit, or of a step by itself; `whole`: only of a larger batch."""
    if found.steps:
        again = _look(_elsewhere(trial, penalty, afar=AFAR).widened(count), count, batches=False)
        steps = confirmed(found.steps, again.steps, trial.unit)
        found = replace(found, steps=steps if trial.subject.mean is None else _named_rounded(trial, penalty, steps))
    finer = _to_the_bit(trial, penalty, found)
    found = replace(finer, batches=found.batches) if whole and not finer.batches else finer
    steps = limited(trial, found.steps)
    if not found.batches:  # what mixes examples is nothing of one
        steps = _isolated(trial.widened(count), steps)
    return replace(found, steps=steps)


def _to_the_bit(trial: Trial, penalty: Penalty | None, found: Diagnosis, hidden: bool = False) -> Diagnosis:
    """The same as the bits tell it, of a gradient that is rounded at the end; `hidden`: where averages show nothing."""
    if trial.subject.rounds_to is None:
        return found
    steps = to_the_bit(trial, _elsewhere(trial, penalty), found.steps)
    sums = sums_to_the_bit(trial, {(step.site, step.station) for step, _ in steps}, hidden)
    if sums is None:
        return replace(found, steps=steps)
    steps = [(step, verdict) for step, verdict in steps
             if verdict.cause != "unexplained" or (step.site, step.station) not in sums.explained]
    return replace(found, steps=steps, batches=sums.faults)


def _look(trial: Trial, count: int, named: bool = True, batches: bool = True, whole: int = 0) -> Diagnosis:
    """Single examples, then batches; whether something is wrong and no more where it need not be named."""
    scene = trial.singles(count)
    explanations = locate(scene)
    located, steps = explanations[0], [(step, UNNAMED) for step in explanations[0].faults]
    if steps and named:
        located, steps = believed(scene, explanations)
    if not batches or (steps and not named):
        return Diagnosis(scene, located, steps, [], None, [], [], [], tuple(explanations))
    known, scene = {(step.site, step.station) for step, _ in steps}, scene.filled(located.deltas)
    if scene.twins:
        scene = scene._replace(left={(step.station, scene.places[step.station].leaves[step.site]): step.noise
                                     for step in located.steps if step.site in ("weight", "bias")})
    own = {s: located.deltas[s] for site, s in known if site in ("head", "pullback")}
    batches = cases(scene, trial.together, own, whole)
    faults = [fault._replace(cause="unexplained") if fault.cause == "zero" and not _is_zero(trial, fault) else fault
              for fault in batch_faults(scene, batches, known)]
    return Diagnosis(scene, located, steps, faults, None, [], [], batches, tuple(explanations))


def _is_zero(trial: Trial, fault: BatchFault) -> bool:
    """Whether a leaf that is zero for small batches is so for all examples."""
    leaf = trial.subject.places[fault.station].leaves.get(fault.site) if fault.station is not None else None
    return leaf is None or not trial.given(range(len(trial.X)))[fault.station][leaf].any()


def _elsewhere(trial: Trial, penalty: Penalty | None, far: float = MOVED, afar: float = 1.0) -> Trial:
    """The trial at other parameters, the penalty there taken off too."""
    moved = trial.moved(far, afar)
    if penalty is not None:
        take_penalty(moved)
    return moved


def _named_rounded(trial: Trial, penalty: Penalty | None, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The steps with the causes that the gradient shows as it is, rounded, where its mean over nearby points shows none."""
    looks = [_look(at, at.few, batches=False).steps for at in (trial.rounded(), _elsewhere(trial.rounded(), penalty))]
    if any(_deltas(look) != _deltas(steps) for look in looks):
        return steps  # what is said there of a leaf is said of it given another δ
    named = {(step.site, step.station): verdict for step, verdict in confirmed(*looks, trial.coarse)}
    return [(step, named.get((step.site, step.station), verdict) if verdict.cause == "unexplained" else verdict)
            for step, verdict in steps]


def _deltas(steps: list[tuple[Step, Verdict]]) -> set[tuple[str, int]]:
    """The wrong steps that make a δ."""
    return {(step.site, step.station) for step, _ in steps if step.site in ("head", "pullback")}


def _isolated(trial: Trial, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The steps with what those without a name show by themselves: with targets that repeat, with the rest held still."""
    if trial.subject.mean is None and any(step.site == "head" and verdict.cause == "unexplained" for step, verdict in steps):
        pairs = np.repeat(np.arange(len(trial.X)), 2)[:len(trial.X)]
        twice = replace(trial, Y=trial.Y[pairs], y=trial.y[pairs])
        looks = [_look(at, at.few, batches=False).steps for at in (twice, _elsewhere(twice, None))]
        told = {(step.site, step.station): verdict for step, verdict in confirmed(*looks, trial.unit)}
        steps = [(step, told.get((step.site, step.station), verdict) if verdict.cause == "unexplained" else verdict)
                 for step, verdict in steps]
    return [(step, verdict if verdict.cause != "unexplained" else isolated(trial, step) or verdict) for step, verdict in steps]


def _reconciled(found: Diagnosis, unit: float) -> Diagnosis:
    """A factor of single examples must be one of batches too: where it goes with B, the divisor is another number than B."""
    found = _of_single_examples(found)
    steps, batches = [], list(found.batches)
    sums = [fault for fault in batches if fault.site == "batch" and fault.cause in ("sum for mean", "wrong divisor")]
    alone = not any(fault.site in ("batch", "head", "pullback") for fault in batches)  # else all leaves below are off
    verdict = next((verdict for step, verdict in found.steps if step.site == "head"), None)
    unlike = ("unexplained", "examples weighted")
    whole = next((fault for fault in batches if fault.site == "batch" and fault.cause in unlike), None)
    if verdict is not None and whole is not None:  # one mistake, of how examples weigh
        others = [fault for fault in batches if fault is not whole]
        if verdict.cause == "factor":
            alone_too = f"{whole.value}; a single example {verdict.value} times".lstrip("; ")
            found = replace(found, steps=[pair for pair in found.steps if pair[0].site != "head"],
                            batches=[*others, whole._replace(value=alone_too)])
        elif verdict.cause in ("examples weighted", "another loss", "normalised", "clipped", "unexplained"):
            found = replace(found, batches=others)
        batches = list(found.batches)
    moving = max((step.station for step, verdict in found.steps if verdict.cause == "updated weight"), default=-1)
    for step, verdict in found.steps:  # what follows from an update by the batch's gradient is no mean of single ones
        leaf = found.scene.places[step.station].leaves.get(step.site) if step.station > moving else None
        if verdict.cause == "factor" and step.site == "head" and sums and 0 < verdict.fitted[0] < 1:
            divisor = f"by {1 / verdict.fitted[0]:.6g} where there is one example"
            batches = [BatchFault("batch", None, "wrong divisor", verdict.residual, divisor) if fault in sums else fault
                       for fault in batches]
            continue
        if verdict.cause == "cotangent ignored" and any(t > step.station for t, _ in found.scene.mute):
            verdict = verdict._replace(cause="unexplained", closest=verdict.cause)  # there is none, of one example
        if leaf is not None and any(fault.site == "batch" for fault in batches) and verdict.cause == "factor":
            own = counts_otherwise(found.scene, found.cases, step.site, step.station, verdict.fitted[0])
            if own is not None:
                batches.append(own)
                continue
        if alone and verdict.cause in ("factor", "sign") and leaf is not None:
            points = law(found.cases, step.station, leaf, unit)
            if points is None or not np.allclose([c for _, c in points], 1, rtol=max(1e-5, 64 * unit)):
                fixed = points is not None and all(np.isclose(c, d, rtol=max(1e-5, 64 * unit)) for (B, c), (D, d) in
                                                   itertools.combinations(points, 2) if B == D)
                verdict = verdict._replace(cause="wrong divisor" if fixed else "unexplained", closest="" if fixed else "factor")
        if alone and verdict.cause in OF_EACH and leaf is not None and any(
                off(case, found.scene, step.station, leaf) for case in found.cases):
            verdict = verdict._replace(cause="unexplained", closest=verdict.cause)
        steps.append((step, verdict))
    return _with_partners(replace(found, steps=steps, batches=batches))


def _of_single_examples(found: Diagnosis) -> Diagnosis:
    """A δ that a batch does not have as its single examples have it, where nothing says why, has no name."""
    if found.batches:
        return found

    def meets(step: Step) -> bool:
        leaves = found.scene.places[step.station].leaves
        return step.site in ("head", "pullback") and bool(leaves) and all(
            any(off(case, found.scene, step.station, leaf) for case in found.cases) for leaf in leaves.values())

    def only_said(step: Step, verdict: Verdict) -> Verdict:
        unknown = verdict.cause in ALONE and meets(step)
        return verdict._replace(cause="unexplained", closest=verdict.cause) if unknown else verdict

    return replace(found, steps=[(step, only_said(step, verdict)) for step, verdict in found.steps])


def _clipped_alike(found: Diagnosis) -> Diagnosis:
    """Several leaves of every example, cut to one length that no other exceeds: it is done to all of them."""
    cut = [(step, verdict) for step, verdict in found.steps if verdict.cause == "clipped" and verdict.value.startswith("norm")
           and step.site in ("weight", "bias")]
    if len(cut) < 2 or not np.allclose([verdict.fitted[0] for _, verdict in cut], cut[0][1].fitted[0], rtol=1e-2):
        return found
    limit, leaves = 1.01 * cut[0][1].fitted[0], [g for own in found.scene.gradients for g in own.values()]
    if any((np.linalg.norm(g.reshape(len(g), -1), axis=1) > limit).any() for g in leaves):
        return found
    rest = [(step, verdict) for step, verdict in found.steps if all(step is not each for each, _ in cut)]
    fault = BatchFault("batch", None, "clipped", cut[0][1].residual, f"every leaf of each example, to a {cut[0][1].value}")
    return replace(found, steps=rest, batches=[fault, *found.batches])


def _constant_terms(found: Diagnosis, unit: float) -> Diagnosis:
    """Weights that all have something added that no example changes: a penalty, where targets without any error show none."""
    def constant(step: Step) -> bool:
        more = step.given - step.expected
        rounding = 1e-8 * size(more) + 4 * unit * size(step.given) + step.noise
        return size(more - more.mean(axis=0)) <= rounding <= 0.1 * size(more)

    weights = [(step, verdict) for step, verdict in found.steps if step.site == "weight"]
    named = [(step, verdict) for step, verdict in weights if verdict.cause == "penalty added"]
    every = sum(place.weight is not None for place in found.scene.places)
    if len(named) == every and len({verdict.value for _, verdict in named}) == 1:
        same, verdict = [step for step, _ in named], named[0][1]
        form, rate = "sign(W)" if "sign" in verdict.formula else "W", verdict.fitted[0]
    else:
        same, form = [step for step, verdict in weights if verdict.cause == "unexplained" and constant(step)], ""
        rate = float(np.linalg.norm([size((step.given - step.expected).mean(axis=0)) for step in same]))
    if found.penalty is not None or len(same) < 2:
        return found
    return replace(found, steps=[pair for pair in found.steps if all(pair[0] is not step for step in same)],
                   penalty=Penalty("penalty added", form, rate, 0.0, []))


def _with_partners(found: Diagnosis) -> Diagnosis:
    """What weighs the examples of a bias weighs those of its weight; where that has another cause, it is no name for either."""
    named = {(step.site, step.station): verdict.cause for step, verdict in found.steps}
    named |= {(fault.site, fault.station): fault.cause for fault in found.batches}
    weighed = "examples weighted"

    def lonely(of) -> bool:
        return of.site == "bias" and named[of.site, of.station] == weighed != named.get(("weight", of.station), weighed)

    return replace(found, steps=[(step, verdict._replace(cause="unexplained", closest=weighed) if lonely(step) else verdict)
                                 for step, verdict in found.steps],
                   batches=[fault._replace(cause="unexplained") if lonely(fault) else fault for fault in found.batches])


def _not_finite(trial: Trial) -> list[tuple[str, int]]:
    """(site, station) of what is NaN or inf: a δ where all leaves from there down are. The right ones then stand for them."""
    subject, n = trial.subject, min(trial.few, len(trial.X))
    found = subject.gradients(trial.X[:n], trial.Y[:n])
    lost = [(s, site, leaf) for s, site, leaf in trial.leaves if not np.isfinite(found[s][leaf]).all()]
    if not lost:
        return []
    subject.spare = trial.right
    top = max(s for s, *_ in lost)
    if {(s, leaf) for s, _, leaf in lost} == {(s, leaf) for s, _, leaf in trial.leaves if s <= top} and len(lost) > 2:
        return [("head" if top == len(subject.places) - 1 else "pullback", top)]
    return [(site, s) for s, site, _ in lost]
