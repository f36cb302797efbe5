"""Diagnose a network's wrong backpropagation: which checks run, and in which order."""

import copy
from dataclasses import replace

import numpy as np

from functional_nn.verify.batches import BatchFault, cases
from functional_nn.verify.bits import to_the_bit
from functional_nn.verify.causes import Verdict
from functional_nn.verify.diagnosis import Diagnosis
from functional_nn.verify.finish import finished, take_exchanged, take_penalty
from functional_nn.verify.hypothesis import size
from functional_nn.verify.isolate import isolated, limited
from functional_nn.verify.kinks import conventions
from functional_nn.verify.locate import Step, locate
from functional_nn.verify.mistakes.summing import LAWS
from functional_nn.verify.naming import believed, confirmed
from functional_nn.verify.penalties import Penalty
from functional_nn.verify.reconcile import ROUGHLY, reconciled
from functional_nn.verify.scene import Scene
from functional_nn.verify.sums import sums_to_the_bit
from functional_nn.verify.together import batch_faults
from functional_nn.verify.trial import Trial

UNNAMED = Verdict("unexplained", 1.0, np.inf, "", "", "")
AFAR = 5.0  # how many times further the second look moves its inputs than its parameters
MANY = 256  # examples in the batch in which a leaf called zero must be zero
MOVED = 0.1  # relative distance of the second look's parameters from the first look's


def diagnose(trial: Trial, suspicious: bool, least: int = 0) -> Diagnosis:
    """The diagnosis of a trial; a right gradient costs one quick look.

    Args:
      suspicious: whether the gradient of the whole batch is known to be wrong.
      least: the least number of single examples to look at, and the size of one extra batch;
        0 for the usual few.
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
        count = trial.many  # enough to solve for the weights used
        found = _look(trial.widened(count), count)
    found = replace(found, penalty=penalty, lost=lost, swapped=swapped)
    if not found.any:
        return _to_the_bit(trial, penalty, found, hidden=True)
    if (kinks := _excused(trial, penalty, found)) is not None:
        return replace(found, steps=[], batches=[], kinks=kinks)
    return reconciled(_named(trial, penalty, found, count, bool(least)), trial.unit)


def _excused(trial: Trial, penalty: Penalty | None, found: Diagnosis) -> tuple[str, ...] | None:
    """Notes on the kinks, if conventions at kinks explain every wrong step; else None."""
    explanations = (*found.explanations, locate(found.scene, own=True)[0])
    told = (conventions(found.scene, each, trial.tolerance) for each in explanations)
    kinks = next((each for each in told if each is not None), None)
    aside = max(1e-5, 32 * max(trial.unit, trial.coarse))
    if kinks is None or _look(_elsewhere(trial, penalty, aside), trial.few, named=False).any:
        return None
    return kinks


def _named(trial: Trial, penalty: Penalty | None, found: Diagnosis, count: int, whole: bool) -> Diagnosis:
    """The diagnosis with confirmed causes only.

    A cause is confirmed at other parameters, by the exact bits, or by a step studied in isolation.
    `whole`: the batch faults come from one larger batch too, and stay if the exact bits show none.
    """
    if found.steps:
        again = _look(_elsewhere(trial, penalty, afar=AFAR).widened(count), count, batches=False)
        steps = [(step, _if_zero(trial, step.site, step.station, verdict))
                 for step, verdict in confirmed(found.steps, again.steps, trial.unit)]
        found = replace(found, steps=steps if trial.subject.mean is None else _named_rounded(trial, penalty, steps))
    finer = _to_the_bit(trial, penalty, found)
    found = replace(finer, batches=found.batches) if whole and not finer.batches else finer
    steps = limited(trial, found.steps)
    if not found.batches:  # a mistake that mixes examples cannot be isolated in one
        steps = _isolated(trial.widened(count), steps)
    return replace(found, steps=steps)


def _to_the_bit(trial: Trial, penalty: Penalty | None, found: Diagnosis, hidden: bool = False) -> Diagnosis:
    """The diagnosis refined by exact bits, if the gradient is rounded at the end.

    `hidden`: the averages over nearby points show no mistake.
    """
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
    """One look at single examples, then at batches.

    Args:
      named: whether to name causes. Without it, a wrong step of a single example ends the look.
      batches: whether to look at batches.
      whole: the size of one extra batch.
    """
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
    faults = [_if_zero(trial, fault.site, fault.station, fault) for fault in batch_faults(scene, batches, known)]
    if all(fault.site in ("weight", "bias") for fault in faults):
        faults = [_if_lawful(trial, scene, fault) for fault in faults]
    return Diagnosis(scene, located, steps, faults, None, [], [], batches, tuple(explanations))


def _if_zero(trial: Trial, site: str, station: int | None, said: Verdict | BatchFault) -> Verdict | BatchFault:
    """The verdict, or "unexplained" if it says "zero" and the leaf is not zero in a large batch.

    The batch holds all examples, in `MANY` rows or more. Without a station, every leaf counts.
    """
    leaf = None if station is None else trial.subject.places[station].leaves.get(site)
    if said.cause != "zero" or (station is not None and leaf is None):
        return said
    given = trial.given(np.arange(max(MANY, len(trial.X))) % len(trial.X))
    leaves = [given[station][leaf]] if leaf else [g for own in given for g in own.values()]
    return said._replace(cause="unexplained") if any(g.any() for g in leaves) else said


def _if_lawful(trial: Trial, single: Scene, fault: BatchFault) -> BatchFault:
    """The fault of a leaf; "unexplained" if its law of the batch size fails for all examples.

    The law must hold roughly, for all examples in one batch.
    """
    B = min(len(trial.X), len(single.y))
    of = LAWS.get({"mean for sum": "divided twice"}.get(fault.cause, fault.cause))
    if of is None or B < 3:
        return fault
    leaf, whole = single.places[fault.station].leaves[fault.site], trial.together(tuple(range(B)))
    predicted = of(B) * whole.share * single.gradients[fault.station][leaf][:B].sum(axis=0)
    given = whole.gradients[fault.station][leaf]
    return fault if size(given - predicted) <= ROUGHLY * size(given) else fault._replace(cause="unexplained")


def _elsewhere(trial: Trial, penalty: Penalty | None, far: float = MOVED, afar: float = 1.0) -> Trial:
    """The trial at other parameters, with the penalty taken off there too."""
    moved = trial.moved(far, afar)
    if penalty is not None:
        take_penalty(moved)
    return moved


def _named_rounded(trial: Trial, penalty: Penalty | None, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The steps; an unexplained one gets the cause that the rounded gradient itself confirms."""
    looks = [_look(at, at.few, batches=False).steps for at in (trial.rounded(), _elsewhere(trial.rounded(), penalty))]
    if any(_deltas(look) != _deltas(steps) for look in looks):
        return steps  # there the leaves were judged from other deltas
    named = {(step.site, step.station): verdict for step, verdict in confirmed(*looks, trial.coarse)}
    return [(step, named.get((step.site, step.station), verdict) if verdict.cause == "unexplained" else verdict)
            for step, verdict in steps]


def _deltas(steps: list[tuple[Step, Verdict]]) -> set[tuple[str, int]]:
    """(site, station) of the wrong steps that compute a δ."""
    return {(step.site, step.station) for step, _ in steps if step.site in ("head", "pullback")}


def _isolated(trial: Trial, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The steps; an unexplained one gets a cause from looks that isolate it.

    One look repeats the targets; the other holds the rest of the network still.
    """
    if trial.subject.mean is None and any(step.site == "head" and verdict.cause == "unexplained" for step, verdict in steps):
        pairs = np.repeat(np.arange(len(trial.X)), 2)[:len(trial.X)]
        twice = replace(trial, Y=trial.Y[pairs], y=trial.y[pairs])
        looks = [_look(at, at.few, batches=False).steps for at in (twice, _elsewhere(twice, None))]
        told = {(step.site, step.station): verdict for step, verdict in confirmed(*looks, trial.unit)}
        steps = [(step, told.get((step.site, step.station), verdict) if verdict.cause == "unexplained" else verdict)
                 for step, verdict in steps]
    return [(step, verdict if verdict.cause != "unexplained" else isolated(trial, step) or verdict) for step, verdict in steps]


def _not_finite(trial: Trial) -> list[tuple[str, int]]:
    """(site, station) of the steps that are NaN or inf.

    If no leaf from a station down is finite, its δ is the step. The right leaves then replace the
    given ones.
    """
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
