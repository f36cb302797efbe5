"""From looks to findings: penalties, whole gradients, single steps, and where examples meet."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from functional_nn.verify.catalogue.records import of_site
from functional_nn.verify.debugger.explain import (
    Finding,
    Named,
    accepted,
    explained,
    named_steps,
    parts_of,
    reproduced,
    simulated,
    together,
    wrong_in,
)
from functional_nn.verify.debugger.locate import Located, locate
from functional_nn.verify.debugger.look import Look, Looks
from functional_nn.verify.debugger.simulate import Run
from functional_nn.verify.debugger.step import Step
from functional_nn.verify.debugger.tolerance import agrees
from functional_nn.verify.debugger.where import DELTAS, Where


class Diagnosis(NamedTuple):
    """The wrong steps, and the located explanation of the single examples, if one was needed."""

    findings: tuple[Finding, ...]
    located: Located | None = None
    even: bool = True


def diagnose(looks: Looks) -> Diagnosis:
    """Return what is wrong in some looks."""
    lost = _not_numbers(looks)
    mute = frozenset(finding.where for finding in lost)
    if any(finding.where[0] in DELTAS for finding in lost):
        return Diagnosis(lost)
    known: dict = {}
    findings: list[Finding] = list(lost)
    for found in (_exchanged(looks), _penalty(looks, {})):
        if found is not None:
            findings.append(found)
            known[found.where] = found.named[0].change
    if findings and not lost and reproduced(looks.all, known):
        return Diagnosis(tuple(findings))
    if not mute and (one := together(looks.all, known)) is not None:
        return Diagnosis((*findings, one))
    singles = _telling(_without_penalty(looks.singles, known))
    batches = _without_penalty(looks.batches, known)
    silent = mute | _silent(looks)
    steps, located = named_steps(singles, locate(singles, {}, silent))
    done = _settled(steps, [*batches, *singles], mute)
    if len(steps) > 1 and not known and not mute:
        done = _beside_a_penalty(steps, looks) or done
    if done is not None:
        return Diagnosis((*findings, *done), located)
    if steps and not mute and (beside := _beside_a_batch(singles, batches, silent)) is not None:
        return Diagnosis((*findings, *beside[0]), beside[1], False)
    changes = {finding.where: finding.named[0].change for finding in steps if finding.named}
    more, steps = _meeting(steps, singles, batches, changes, mute)
    return Diagnosis((*findings, *steps, *more), located, not more)


def _settled(steps: list[Finding], looks: Sequence[Look], mute) -> list[Finding] | None:
    """The steps, if the mistakes named reproduce all that they can be asked to."""
    if not steps:
        return None
    if (all_of_it := accepted(steps, looks, {})) is not None and not mute:
        return all_of_it
    return None


def _beside_a_penalty(steps: list[Finding], looks: Looks) -> list[Finding] | None:
    """The wrong deltas and one penalty, where these explain the wrong leaves together, or None."""
    deltas = [finding for finding in steps if finding.where[0] in DELTAS and finding.named]
    changes = {finding.where: finding.named[0].change for finding in deltas}
    heard = Looks(*(tuple(look for look in of if simulated(look, changes)) for of in looks))
    found = _penalty(heard, changes) if 0 < len(deltas) < len(steps) and all(heard) else None
    if found is None or not reproduced(looks.all, {**changes, found.where: found.named[0].change}):
        return None
    return [*deltas, found]


def _beside_a_batch(singles, batches, silent) -> tuple[list[Finding], Located] | None:
    """A mistake of the whole sum over the batch and the fewest steps that are wrong beside it, or None."""
    best, every = None, [*batches, *singles]
    wrong = set().union(*(wrong_in(look, {}) for look in every))
    for other in _others(wrong):
        one = together(every, {}, other)
        changes = {} if one is None else {one.where: one.named[0].change}
        if ("batch", None) not in changes or not all(simulated(look, changes) for look in singles):
            continue
        steps, located = named_steps(singles, locate(singles, changes, silent))
        if not all(finding.named for finding in steps):
            continue
        changes |= {finding.where: finding.named[0].change for finding in steps}
        more, steps = _meeting(steps, singles, batches, changes, frozenset())
        changes |= {finding.where: finding.named[0].change for finding in more if finding.named}
        found = [one, *steps, *more]
        if all(finding.named for finding in found) and reproduced(every, changes) and (best is None or len(found) < len(best[0])):
            best = found, located
        if best is not None and len(best[0]) == 2:
            break
    return best


def _meeting(steps, singles, batches, changes: Mapping, mute) -> tuple[list[Finding], list[Finding]]:
    """The steps in which examples meet, beside those wrong for single examples."""
    singles, batches = ([look for look in of if simulated(look, changes)] for of in (singles, batches))
    if not batches:
        return [], steps
    blind = frozenset(where for look in batches for where in look.leaves if _below(where, [
        finding.where for finding in steps if not finding.named])) | mute
    wrong = set().union(*(wrong_in(look, changes) for look in batches)) - blind
    also = set().union(*(wrong_in(look, changes, True) for look in batches)) - blind
    if not wrong or not also:
        return [], steps
    for again in (None, *(finding.where for finding in steps if finding.named)):  # a step may be another mistake in a batch
        rest = {where: change for where, change in changes.items() if where != again}
        one = together([*batches, *singles], rest, blind)
        if one is not None and again in (None, one.where):
            return [one], [finding for finding in steps if finding.where != one.where]
    for other in _others(wrong):  # the batch's mistake beside another one
        one = together([*batches, *singles], changes, blind | other)
        if one is not None and one.where[1] is None:
            rest, steps = _meeting(steps, singles, batches, {**changes, one.where: one.named[0].change}, mute)
            return [one, *rest], steps
    few = [look for look in batches if 1 < len(look.forward.x) <= 3]
    explanations = locate(few, changes, blind)
    found, _ = named_steps(few, explanations, True)
    if not found and not steps:
        return [Finding(where) for where in _blamed(wrong, batches[0])], steps
    made = {**changes, **{finding.where: finding.named[0].change for finding in found if finding.named}}
    still = set().union(*(wrong_in(look, made) for look in batches)) - blind
    steps = [finding._replace(named=(), closest=finding.named[0]) if finding.named and any(  # a name that does not
        _below(where, [finding.where]) for where in still) else finding for finding in steps]  # hold in a batch is none
    everywhere = {where for look in batches for where in look.leaves}
    if len(found) > 1 and {finding.where for finding in found} >= everywhere:
        return [Finding(("batch", None))], steps
    taken = {finding.where for finding in steps}
    return [finding for finding in found if finding.where not in taken], steps


def _others(wrong: set[Where]) -> Iterator[frozenset[Where]]:
    """The leaves that another mistake may spoil: one leaf, or all from a station down."""
    if len(wrong) > 1:
        yield from (frozenset({where}) for where in sorted(wrong))
        yield from (frozenset(where for where in wrong if where[1] <= s) for s in sorted({s for _, s in wrong})[:-1])


def _blamed(wrong: set[Where], look: Look) -> list[Where]:
    """The steps that spoil these leaves of a batch, as far as the leaves alone can tell."""
    top = max(s for _, s in wrong)
    if wrong == {where for where in look.leaves if where[1] <= top} and len(wrong) > 1:
        return [("batch", None) if len(wrong) == len(look.leaves) else ("pullback", top)]
    return sorted(wrong, key=lambda where: -where[1])


def _below(where: Where, faults: Sequence[Where]) -> bool:
    """Whether a leaf is made from a wrong step."""
    return any(where == fault or (fault[0] in DELTAS and where[1] <= fault[1]) for fault in faults)


def _without_penalty(looks: Sequence[Look], known: Mapping) -> list[Look]:
    """The looks without the terms of penalties, and with exchanged leaves put back."""
    def of(look: Look) -> Look:
        run = Run(look.forward, {}, own=look.own).finish()
        leaves = dict(look.leaves)
        if ("finish", None) in known:
            leaves = {(site, s): known["finish", None](Step(run, "finish", s, g, site, leaves)) for (site, s), g in leaves.items()}
        for (site, s), g in leaves.items():
            own = np.zeros_like(g) if look.own is None else look.own[site, s]
            term = own if ("penalty", None) not in known else known["penalty", None](Step(run, "penalty", s, own, site, leaves))
            leaves[site, s] = g - term
        return look._replace(leaves=leaves, own=None)

    return [of(look) for look in looks]


def _telling(singles: list[Look]) -> list[Look]:
    """The single examples that tell δ of layers without a bias: their inputs there are not all 0."""
    def tells(look: Look) -> bool:
        return all(look.forward.a[s].any() for s, place in enumerate(look.forward.places)
                   if "bias" in place.leaves and ("bias", s) not in look.leaves)

    told = [look for look in singles if tells(look)]
    return told if len(told) > 1 else singles


def _silent(looks: Looks) -> frozenset[Where]:
    """The leaves that show nothing in single examples although they do in a batch."""
    batch = looks.batches[0]
    return frozenset(where for where, g in batch.leaves.items() if g.any() and batch.right.leaves[where].any() and (
        not any(look.leaves[where].any() for look in looks.singles)
        or not all(np.isfinite(look.leaves[where]).all() for look in looks.singles)))


def _not_numbers(looks: Looks) -> tuple[Finding, ...]:
    """The steps that give NaN or inf: the highest one that explains all."""
    look = next((look for look in looks.batches if not all(np.isfinite(g).all() for g in look.leaves.values())), None)
    if look is None:
        return ()
    lost = {where for where, g in look.leaves.items() if not np.isfinite(g).all()}
    named = (Named(NOT_A_NUMBER, (), 0.0),)
    top = max(s for _, s in lost)
    whole = all(where in lost for where in look.leaves if where[1] == top)
    below = all(where in lost for where in look.leaves if where[1] < top)
    if whole and below:
        return (Finding(("head" if top == look.forward.last else "pullback", top), named),)
    return tuple(Finding(where, named) for where in sorted(lost, key=lambda where: -where[1]))


def _exchanged(looks: Looks) -> Finding | None:
    """The leaves that have changed places, if every look says so."""
    first, pairs = looks.batches[0], []
    wrong = [where for where in first.wrong() if all(np.isfinite(look.leaves[where]).all() for look in looks.all)]
    for i, one in enumerate(wrong):
        for other in wrong[i + 1:]:
            if all(_is_leaf(look, one, other) and _is_leaf(look, other, one) for look in looks.all):
                pairs.append((one, other))
    if not pairs:
        return None
    mistake = next(one for one in of_site("finish", False) if one.cause == "exchanged leaves")
    return Finding(("finish", None), (Named(mistake, (tuple(pairs),), 0.0),))


def _is_leaf(look: Look, mine: Where, theirs: Where) -> bool:
    g, other = look.leaves[mine], look.right.leaves[theirs]
    return g.any() and g.shape == other.shape and agrees(g, other, look.noise(mine) + look.right.noise[theirs])


def _penalty(looks: Looks, changes: Mapping) -> Finding | None:
    """The penalty whose term stands in several leaves beside changed steps, alike for every example."""
    near = [look for look in looks.singles if look.inputs[0] is looks.singles[0].inputs[0]]
    steady = [where for where in near[0].leaves if _steady(near, where, changes)]
    if not steady:
        return None
    steps, given, rooms = _terms_of(looks.singles, steady, changes)
    fitting = []
    for mistake in of_site("penalty", False):
        for numbers, values in mistake.tried(steps, given):
            if all(agrees(g, v, room + 4 * step.f.unit * np.abs(v)) for g, v, room, step in zip(
                    given, values, rooms, steps, strict=True)) and (len(steady) > 1 or reproduced(
                        looks.all, {**changes, ("penalty", None): mistake.change(*numbers)})):
                fitting.append((mistake, numbers))
    if not fitting:
        return None
    batched = _terms_of(looks.batches, steady, changes)

    def holds(fit) -> int:  # single examples do not tell whether a term is divided by their number
        return sum(agrees(g, v, room + 4 * step.f.unit * np.abs(v))
                   for step, g, room in zip(*batched, strict=True)
                   for v in [fit[0].value(step, *fit[1])])

    named = (Named(*max(fitting, key=holds), 0.0),)
    return Finding(("penalty", None), named, None, given, [step.right for step in steps])


def _terms_of(looks: Sequence[Look], leaves: Sequence[Where], changes: Mapping) -> tuple[list, list, list]:
    """The penalty's steps in some leaves of each look, the user's terms there, and their noise."""
    steps, given, rooms = [], [], []
    for look in looks:
        run = _run(look, changes)
        for site, s in leaves:
            own = np.zeros_like(look.leaves[site, s]) if look.own is None else look.own[site, s]
            steps.append(Step(run, "penalty", s, own, site))
            given.append(look.leaves[site, s] - run.leaves[site, s] + own)
            rooms.append(look.room((site, s), run))
    return steps, given, rooms


def _run(look: Look, changes: Mapping) -> Run:
    return Run(look.forward, changes, own=look.own).finish() if changes else look.right


def _steady(near: Sequence[Look], where: Where, changes: Mapping) -> bool:
    """Whether given − simulated is the same for every example, and not 0."""
    runs = [_run(look, changes) for look in near]
    terms = [look.leaves[where] - run.leaves[where] for look, run in zip(near, runs, strict=True)]
    rooms = [look.room(where, run) for look, run in zip(near, runs, strict=True)]
    same = all(agrees(term, terms[0], room + rooms[0]) for term, room in zip(terms[1:], rooms[1:], strict=True))
    return same and not agrees(terms[0], np.zeros_like(terms[0]), 2 * rooms[0])


NOT_A_NUMBER = next(one for one in of_site("finish", False) if one.cause == "not a number")
__all__ = ["Diagnosis", "diagnose", "explained", "parts_of"]
