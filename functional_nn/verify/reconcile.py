"""Merge single-example and batch findings.

A cause found in single examples must also hold in batches, and equal findings are one mistake.
"""

import itertools
from dataclasses import replace

import numpy as np

from functional_nn.verify.batches import BatchFault, Case, law, leaves_of, off
from functional_nn.verify.causes import Verdict
from functional_nn.verify.diagnosis import Diagnosis
from functional_nn.verify.hypothesis import multiple, size
from functional_nn.verify.locate import Step
from functional_nn.verify.meetings import of_single_steps
from functional_nn.verify.mistakes.summing import LAWS
from functional_nn.verify.penalties import Penalty
from functional_nn.verify.together import batch_faults
from functional_nn.verify.weighing import counts_otherwise

OF_EACH = frozenset({  # causes that, if true of a leaf of each example, are true of the sum
    "dead unit", "transposed", "swapped entries", "missing derivative", "doubled derivative", "other derivative",
    "another layer's delta", "activation for delta", "other delta", "another layer's activation", "other activation",
    "pre-activation for activation", "activation twice", "cotangent ignored", "wrong axis", "wrong piece", "wrong statistics",
    "wrong product"})
ALONE = frozenset({  # causes in the δ of one example, whatever its share of the cost
    "another loss", "wrong target", "target ignored", "activation twice", "loss for derivative", "other delta", "other weights",
    "other derivative", "missing derivative", "doubled derivative", "another activation's derivative", "derivative at a",
    "derivative elsewhere", "activation for derivative", "pre-activation for activation", "cross terms forgotten",
    "another layer's delta", "wrong axis", "normalised", "wrong statistics", "unexplained"})
Points = list[tuple[int, float]]  # (batch size B, factor c) of each batch
ROUGHLY = 0.1  # relative part of a leaf that may differ from a multiple of the mean


def reconciled(found: Diagnosis, unit: float) -> Diagnosis:
    """The diagnosis with one finding per mistake; `unit`: rounding unit of the single gradients."""
    found = _of_weights(_lawful(_of_single_examples(_said_once(found))))
    found = _with_partners(_true_of_batches(found, unit))
    return _updated(_constant_terms(_of_every_leaf(_clipped_alike(found)), unit))


def _updated(found: Diagnosis) -> Diagnosis:
    """Merge a penalty of rate 1 and a gradient times −η into one "update for gradient".

    Their sum is θ − η ∇C, the parameters after a step.
    """
    verdict = next((verdict for step, verdict in found.steps if (step.site, verdict.cause) == ("head", "factor")), None)
    biases = any(p[place.bias].any() for place, p in zip(found.scene.places, found.scene.params, strict=True) if place.leaves)
    forms = ("W and b",) if biases else ("W", "W and b")
    if found.penalty is None or found.penalty.form not in forms or not np.isclose(found.penalty.rate, 1, rtol=1e-3):
        return found
    if verdict is None or verdict.fitted[0] >= 0:
        return found
    fault = BatchFault("batch", None, "update for gradient", verdict.residual, f"with the step {-verdict.fitted[0]:.4g}")
    return replace(found, steps=[pair for pair in found.steps if pair[1] is not verdict], penalty=None, batches=[fault])


def _lawful(found: Diagnosis) -> Diagnosis:
    """Drop the name of a lone law of the batch size that fits no leaf.

    Some leaf must be, roughly, a multiple of the mean in every batch.
    """
    if len(found.batches) != 1 or found.batches[0].cause not in (*LAWS, "wrong divisor") or found.batches[0].site != "batch":
        return found

    def holds(case: Case, s: int, leaf: str) -> bool:
        given, mean = case.scene.gradients[s][leaf], case.means[s][leaf]
        return size(given - multiple(given, mean) * mean) <= ROUGHLY * size(given)

    held = any(all(holds(case, *leaf) for case in found.cases) for leaf in leaves_of(found.scene))
    return found if held else replace(found, batches=[found.batches[0]._replace(cause="unexplained")])


def _said_once(found: Diagnosis) -> Diagnosis:
    """Drop batch faults that repeat a step's cause in single examples, or only weigh examples."""
    known = {(step.site, step.station): (verdict.cause, "examples weighted", "unexplained") for step, verdict in found.steps}
    return replace(found, batches=[fault for fault in found.batches
                                   if fault.cause not in known.get((fault.site, fault.station), ())])


def _of_weights(found: Diagnosis) -> Diagnosis:
    """Merge wrong weights of a batch's examples with a related fault of the head, if any."""
    verdict = next((verdict for step, verdict in found.steps if step.site == "head"), None)
    whole = next((fault for fault in found.batches if fault.site == "batch"
                  and fault.cause in ("unexplained", "examples weighted")), None)
    if verdict is None or whole is None:
        return found
    others = [fault for fault in found.batches if fault is not whole]
    if verdict.cause == "factor":
        alone_too = f"{whole.value}; a single example {verdict.value} times".lstrip("; ")
        return replace(found, steps=[pair for pair in found.steps if pair[0].site != "head"],
                       batches=[*others, whole._replace(value=alone_too)])
    one = verdict.cause in ("examples weighted", "another loss", "normalised", "clipped", "unexplained")
    return replace(found, batches=others) if one else found


def _true_of_batches(found: Diagnosis, unit: float) -> Diagnosis:
    """Check the causes of single examples against the batches.

    A factor must be the same in batches. If it changes with B, the divisor is wrong instead.
    """
    steps, batches = [], list(found.batches)
    sums = [fault for fault in batches if fault.site == "batch" and fault.cause in ("sum for mean", "wrong divisor")]
    # else all leaves below are wrong
    alone = not any(fault.site in ("batch", "head", "pullback") for fault in batches)
    moving = max((step.station for step, verdict in found.steps if verdict.cause == "updated weight"), default=-1)
    for step, verdict in found.steps:  # below an update by the batch, batches are no means
        leaf = found.scene.places[step.station].leaves.get(step.site) if step.station > moving else None
        own = None
        if verdict.cause == "factor" and step.site == "head" and sums and 0 < verdict.fitted[0] < 1:
            divisor = f"by {1 / verdict.fitted[0]:.6g} where there is one example"
            batches = [BatchFault("batch", None, "wrong divisor", verdict.residual, divisor) if fault in sums else fault
                       for fault in batches]
            continue
        if verdict.cause == "cotangent ignored" and any(t > step.station for t, _ in found.scene.mute):
            own = _of_batches(found, step)  # a single example shows no cotangent
            verdict = verdict._replace(cause="unexplained", closest=verdict.cause)
        elif leaf is not None and verdict.cause == "factor" and any(fault.site == "batch" for fault in batches):
            own = counts_otherwise(found.scene, found.cases, step.site, step.station, verdict.fitted[0])
        if own is not None:
            batches.append(own)
            continue
        steps.append((step, _borne_out(found, step, verdict, leaf, unit) if alone and leaf is not None else verdict))
    return replace(found, steps=steps, batches=batches)


def _borne_out(found: Diagnosis, step: Step, verdict: Verdict, leaf: str, unit: float) -> Verdict:
    """The verdict on a leaf of each example; another cause if it does not hold for the sum."""
    if verdict.cause in ("factor", "sign"):
        return _as_law(found, step, verdict, leaf, unit)
    if verdict.cause in OF_EACH and any(off(case, found.scene, step.station, leaf) for case in found.cases):
        return verdict._replace(cause="unexplained", closest=verdict.cause)
    return verdict


def _as_law(found: Diagnosis, step: Step, verdict: Verdict, leaf: str, unit: float) -> Verdict:
    """The verdict on a factor of each example, if every batch has the same factor.

    The factor may also hold relative to the law that most other leaves share. Else the cause
    becomes "wrong divisor" or "unexplained".
    """
    points, close = law(found.cases, step.station, leaf, unit), max(1e-5, 64 * unit)
    if points is None:
        return verdict._replace(cause="unexplained", closest="factor")
    if any(np.allclose([c for _, c in each], 1, rtol=close) for each in (points, _beside_others(found, points, step, unit))):
        return verdict
    fixed = all(np.isclose(c, d, rtol=close) for (B, c), (D, d) in itertools.combinations(points, 2) if B == D)
    return verdict._replace(cause="wrong divisor" if fixed else "unexplained", closest="" if fixed else "factor")


def _beside_others(found: Diagnosis, points: Points, step: Step, unit: float) -> Points:
    """The law of a leaf, divided by the law that most other leaves share (1 in right batches)."""
    mine = step.station, found.scene.places[step.station].leaves[step.site]
    others = [law(found.cases, *other, unit) for other in leaves_of(found.scene) if other != mine]
    told = [[c for _, c in other] for other in others if other is not None]
    if len(told) < max(2, len(others) / 2):
        return points
    return [(B, c / most) for (B, c), most in zip(points, np.median(told, axis=0), strict=True)]


def _of_single_examples(found: Diagnosis) -> Diagnosis:
    """Replace the cause of a δ that batches contradict.

    The δ gets the cause that batches find, or else becomes "unexplained".
    """
    if found.batches:
        return found
    steps, batches = [], []
    for step, verdict in found.steps:
        if verdict.cause in ALONE and _meets(found, step):
            if (fault := _of_batches(found, step)) is not None:
                batches.append(fault)
                continue
            verdict = verdict._replace(cause="unexplained", closest=verdict.cause)
        steps.append((step, verdict))
    return replace(found, steps=steps, batches=batches)


def _meets(found: Diagnosis, step: Step) -> bool:
    """Whether a leaf made from a wrong δ differs in batches from the single ones' mean (sum)."""
    leaves = found.scene.places[step.station].leaves.values()
    return step.site in ("head", "pullback") and any(
        off(case, found.scene, step.station, leaf) for case in found.cases for leaf in leaves)


def _of_batches(found: Diagnosis, step: Step) -> BatchFault | None:
    """The fault that batches alone show in a δ, without single examples; None without one."""
    def blank(case: Case) -> Case:
        own = {s: delta for s, delta in (case.scene.own or {}).items() if s != step.station}
        return case._replace(scene=case.scene._replace(own=own))

    batches, others = [blank(case) for case in found.cases], {(other.site, other.station) for other, _ in found.steps}
    told = of_single_steps(found.scene, batches, batches, others - {(step.site, step.station)})
    return next((fault for fault in told if (fault.site, fault.station) == (step.site, step.station)
                 and fault.cause != "unexplained"), None)


def _clipped_alike(found: Diagnosis) -> Diagnosis:
    """Merge several leaves clipped to one bound into a clip of every leaf.

    No other leaf may exceed the bound, which is that of the norm or of each entry.
    """
    cut = [(step, verdict) for step, verdict in found.steps if verdict.cause == "clipped" and len(verdict.fitted) == 1
           and step.site in ("weight", "bias")]
    if len(cut) < 2 or not np.allclose([verdict.fitted[0] for _, verdict in cut], cut[0][1].fitted[0], rtol=1e-2):
        return found
    limit, value = 1.01 * cut[0][1].fitted[0], cut[0][1].value
    of = np.linalg.norm if value.startswith("norm") else lambda g, axis: np.abs(g).max(axis=axis)
    if any((of(g.reshape(len(g), -1), axis=1) > limit).any() for own in found.scene.gradients for g in own.values()):
        return found
    rest = [(step, verdict) for step, verdict in found.steps if all(step is not each for each, _ in cut)]
    text = f"every leaf of each example, to {'a ' if value.startswith('norm') else ''}{value}"
    return replace(found, steps=rest, batches=[BatchFault("batch", None, "clipped", cut[0][1].residual, text), *found.batches])


def _of_every_leaf(found: Diagnosis) -> Diagnosis:
    """Merge one cause that every leaf has into one fault of the whole gradient.

    If batches name one cause for every leaf, that cause is taken.
    """
    leaves, of = leaves_of(found.scene), ("weight", "bias")
    if any(fault.site == "batch" for fault in found.batches) and len(leaves) == sum(
            fault.site in of and fault.cause == "unexplained" for fault in found.batches):
        return replace(found, batches=[fault for fault in found.batches if fault.site not in of])
    # their numbers differ
    said = {(verdict.cause, verdict.value if verdict.cause != "examples weighted" else "")
            for step, verdict in found.steps if step.site in of}
    rest = [(step, verdict) for step, verdict in found.steps if step.site not in of]
    if len(said) != 1 or ("unexplained", "") in said or len(found.steps) - len(rest) < len(leaves):
        return found
    ((cause, value),) = said
    fault = BatchFault("batch", None, cause, 0.0, f"every leaf of each example, {value}".rstrip(", "))
    if found.uneven and len(told := batch_faults(found.scene, found.cases, set())) == 1 and told[0].cause != "unexplained":
        (fault,) = told
    return replace(found, steps=rest, batches=[fault, *found.batches])


def _constant_terms(found: Diagnosis, unit: float) -> Diagnosis:
    """Merge terms in two or more weights that are the same for all examples into a penalty.

    It is used where the search at targets equal to the predictions has found no penalty.
    """
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
    """Drop "examples weighted" from a bias whose weight has another cause.

    Both leaves come from one δ, so the weights of the examples would be the same in both.
    """
    named = {(step.site, step.station): verdict.cause for step, verdict in found.steps}
    named |= {(fault.site, fault.station): fault.cause for fault in found.batches}
    weighed = "examples weighted"

    def lonely(of) -> bool:
        return of.site == "bias" and named[of.site, of.station] == weighed != named.get(("weight", of.station), weighed)

    return replace(found, steps=[(step, verdict._replace(cause="unexplained", closest=weighed) if lonely(step) else verdict)
                                 for step, verdict in found.steps],
                   batches=[fault._replace(cause="unexplained") if lonely(fault) else fault for fault in found.batches])
