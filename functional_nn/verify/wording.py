"""Put a diagnosis into words: the faults and the other texts of the report."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nn.verify.batches import BatchFault
from functional_nn.verify.causes import CAUSES, Verdict
from functional_nn.verify.diagnosis import Diagnosis
from functional_nn.verify.kinks import nearest
from functional_nn.verify.locate import Step
from functional_nn.verify.naming import formula
from functional_nn.verify.report import Fault
from functional_nn.verify.stations import above
from functional_nn.verify.subject import Subject

SITES = {"head": "the head, delta{layer} at the output",
         "pullback": "the pullback to delta{layer}, given your own delta{upper}",
         "weight": "the weight gradient of layer {layer}, given your own delta{layer}",
         "bias": "the bias gradient of layer {layer}, given your own delta{layer}"}


def faults_of(found: Diagnosis, subject: Subject) -> tuple[Fault, ...]:
    """The faults of a diagnosis, the loss's end first."""
    return (*_penalty(found), *_lost(found, subject), *_swapped(found, subject),
            *(_step(subject, step, verdict) for step, verdict in found.steps),
            *(_batch(subject, fault) for fault in found.batches))


def _where(subject: Subject, site: str, s: int) -> str:
    places = subject.places
    upper = places[above(places, s)].label if s < len(places) - 1 else None
    return SITES[site].format(layer=places[s].label, upper=upper)


def _leaf(subject: Subject, site: str, s: int) -> str:
    """The path of the leaf that shows the fault; for a δ, the weight computed from it."""
    while subject.places[s].weight is None:
        s -= 1
    return subject.path(s, subject.places[s].bias if site == "bias" else subject.places[s].weight)


def _step(subject: Subject, step: Step, verdict: Verdict) -> Fault:
    place, where = subject.places[step.station], _where(subject, step.site, step.station)
    gap = np.abs(step.given - step.expected)
    worst = np.unravel_index(int(np.argmax(gap)), gap.shape)
    index = tuple(int(i) for i in worst[1:]) if step.site in ("weight", "bias") else None
    if index is not None:
        index = subject.given.index(step.station, place.leaves[step.site], index)
    right = formula(subject.places, step.site, step.station)
    closest = f"; closest: {verdict.nearest}" if verdict.closest else ""
    what = CAUSES[verdict.cause] + (f" ({verdict.value})" if verdict.value else "") + closest
    named = verdict.cause != "unexplained"
    message = (f"{where}: {what}. yours {verdict.formula}, expected {right} "
               f"[residual {verdict.residual:.0e}, runner-up {verdict.runner_up:.0e}]") if named else (
        f"{where}: {what}. expected {right} [smallest residual {verdict.residual:.0e}]")
    return Fault(step.site, place.layer, _leaf(subject, step.site, step.station), index, verdict.cause, verdict.residual,
                 message, where, what, verdict.formula if named else "", right, verdict.value, verdict.runner_up,
                 float(step.given[worst]), float(step.expected[worst]))


def _batch(subject: Subject, found: BatchFault) -> Fault:
    s = found.station
    where = "the batch's gradient, given that of single examples" if s is None else _where(
        subject, found.site, s) + ", where examples meet"
    what = CAUSES[found.cause] + (f" ({found.value})" if found.value else "")
    return Fault(found.site, None if s is None else subject.places[s].layer, "" if s is None else _leaf(subject, found.site, s),
                 None, found.cause, found.residual, f"{where}: {what}", where, what, value=found.value)


def _penalty(found: Diagnosis) -> Iterator[Fault]:
    if found.penalty is not None:
        what = f"{CAUSES[found.penalty.cause]} ({found.penalty.formula})"
        where = "the penalty, where every delta is zero"
        yield Fault("penalty", None, "", None, found.penalty.cause, found.penalty.residual, f"{where}: {what}", where, what,
                    value=f"{found.penalty.rate:.6g}")


def _lost(found: Diagnosis, subject: Subject) -> Iterator[Fault]:
    for site, s in found.lost:
        where = _where(subject, site, s)
        yield Fault(site, subject.places[s].layer, _leaf(subject, site, s), None, "not a number", 0.0,
                    f"{where}: {CAUSES['not a number']}", where, CAUSES["not a number"])


def _swapped(found: Diagnosis, subject: Subject) -> Iterator[Fault]:
    for s, leaf in found.swapped:
        place, path = subject.places[s], subject.path(s, leaf)
        site = "bias" if leaf == place.bias else "weight"
        where, what = f"{path}", CAUSES["exchanged leaves"]
        yield Fault(site, place.layer, path, None, "exchanged leaves", 0.0, f"{where}: {what}", where, what)


def summary(found: Diagnosis, subject: Subject, leaves, elsewhere: str) -> dict[str, Any]:
    """The report's fields hence, clear, cleared and notes."""
    notes = [*found.kinks, *([elsewhere] if elsewhere else [])]
    if not found.any:
        return {"notes": tuple(notes)}
    wrong = {(step.site, step.station) for step, _ in found.steps} | {(fault.site, fault.station) for fault in found.batches}
    clear = [name for step in found.located.steps if (step.site, step.station) not in wrong
             and not (step.site == "bias" and step.station in subject.given.without)
             for name in [f"{step.site} {subject.places[step.station].label}"]]
    if not (found.batches or found.uneven):
        clear.append("the sum over the batch")
    error = max((float(np.abs(step.given - step.expected).max() / max(np.abs(step.expected).max(), np.abs(step.given).max()))
                 for step, _ in found.steps), default=0.0)
    cleared = [f"rounding ({error / found.scene.tolerance:.0e} x bound)"] if error else []
    if np.isfinite(kink := nearest(found.scene)):
        cleared.append(f"kink (min |z| {kink:.0e})")
    return {"clear": tuple(dict.fromkeys(clear)), "cleared": tuple(cleared), "notes": tuple(notes),
            "hence": _hence(found, leaves)}


def _hence(found: Diagnosis, leaves) -> str:
    """A sentence: the wrong leaves, and whether replacing the faulty steps corrects them.

    The other steps stay as the user computes them.
    """
    paths = [leaf.path for leaf in leaves if not all(leaf.right.values())]
    if not found.steps or found.batches or not paths:
        return ""
    scene, places = found.scene, found.scene.places
    faulty = {(step.site, step.station): step for step, _ in found.steps}
    deltas, made = list(found.located.deltas), True
    for s in reversed(range(len(places))):  # only faulty steps lose their deviation
        site = "head" if s == len(places) - 1 else "pullback"
        own = found.located.deltas[s] - scene.right(found.located.deltas, s)
        deltas[s] = scene.right(deltas, s) + (0 if (site, s) in faulty else own)
    truth = scene.true_deltas()
    for s, place in enumerate(places):
        mended, right, mine = scene.made(deltas, s), scene.made(truth, s), scene.made(found.located.deltas, s)
        for site, leaf in place.leaves.items():
            rest = 0 if (site, s) in faulty else scene.gradients[s][leaf] - mine[leaf]
            gap = np.linalg.norm(mended[leaf] + rest - right[leaf])
            made &= bool(gap <= 10 * scene.tolerance * max(np.linalg.norm(right[leaf]), 1e-12))
    several = "these steps are" if len(faulty) > 1 else "this step is"
    return f"{' '.join(paths[:8])}{' …' if len(paths) > 8 else ''} wrong; " + (
        f"correct once {several} replaced" if made else "something else is wrong as well")
