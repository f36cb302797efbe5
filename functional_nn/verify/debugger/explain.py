"""Explain wrong steps: fit the catalogue's mistakes, simulate, and accept what reproduces every look.

A diagnosis is a set of changed steps. It is accepted if the whole backward pass with them gives
every leaf that the user gave, at every look, with the same fitted numbers.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from functional_nn.verify.catalogue.mistake import Mistake
from functional_nn.verify.catalogue.records import of_site
from functional_nn.verify.debugger.locate import Located
from functional_nn.verify.debugger.look import Look
from functional_nn.verify.debugger.simulate import Run
from functional_nn.verify.debugger.step import Step
from functional_nn.verify.debugger.tolerance import (
    CLEAR,
    FREE,
    NEAR,
    ROUGH,
    SOLUTIONS,
    agrees,
    left_over,
)
from functional_nn.verify.debugger.where import DELTAS, Inapplicable, Silent, Where


class Named(NamedTuple):
    """A mistake with its numbers, and the share of the error that it leaves."""

    mistake: Mistake
    numbers: tuple
    left: float

    @property
    def change(self):
        """Return the changed step, as `Run` takes it."""
        return self.mistake.change(*self.numbers)


class Finding(NamedTuple):
    """A wrong step.

    Attributes:
      where: the step.
      named: the mistakes that reproduce it, the likeliest first; empty for "unexplained".
      closest: the mistake that comes closest, if none is named.
      given, expected: the user's value and the right one in each look.
    """

    where: Where
    named: tuple[Named, ...] = ()
    closest: Named | None = None
    given: Sequence[np.ndarray] = ()
    expected: Sequence[np.ndarray] = ()

    @property
    def cause(self) -> str:
        """Return a key of `CAUSES`."""
        return self.named[0].mistake.cause if self.named else "unexplained"


class Part(NamedTuple):
    """One step in one look: what it is, what the user gave, and its noise."""

    step: Step
    given: np.ndarray
    noise: np.ndarray


def parts_of(where: Where, looks: Sequence[Look], runs: Sequence[Run]) -> list[Part]:
    """Return a step in each look, beside the user's own δ above."""
    site, s = where
    found = []
    for look, run in zip(looks, runs, strict=True):
        if site not in DELTAS:
            right, room = run.summed(site, s), run._leaf_noise(site, s)
            found.append(Part(Step(run, site, s, right, site), look.leaves[where], look.noise(where) + room))
        else:
            right, room = run.delta(s)
            found.append(Part(Step(run, site, s, right), run.deltas[s], run.noise_deltas[s] + room))
    return found


def explained(where: Where, parts: Sequence[Part], mixes: bool = False) -> Finding:
    """Return the finding on one located step."""
    steps, given = [part.step for part in parts], [part.given for part in parts]
    expected = [step.right for step in steps]
    named, closest, rank = [], None, None
    clear = any((np.abs(part.given - part.step.right) > CLEAR * part.noise).any() for part in parts)
    for mistake in of_site(where[0], mixes):
        if rank is not None and mistake.rank > rank:
            break
        for numbers, values in mistake.tried(steps, given, _promising):
            if not _possible(values, given, numbers):
                continue
            left = left_over(given, values, expected)
            if clear and _reproduces(parts, values):
                named.append(Named(mistake, numbers, left))
                rank = mistake.rank
            elif left < NEAR and (closest is None or left < closest.left):
                closest = Named(mistake, numbers, left)
    return Finding(where, tuple(named), None if named else closest, given, expected)


def _promising(step: Step, given: np.ndarray, value: np.ndarray) -> bool:
    """Whether a prediction leaves less of one look's error than would be worth mentioning."""
    return value.shape == given.shape and bool(np.sum((given - value) ** 2) <= NEAR * np.sum((given - step.right) ** 2) + (
        ROUGH * np.abs(given).max(initial=0)) ** 2 * given.size)


def _possible(values, given, numbers) -> bool:
    """Whether a prediction has the right shapes, is finite, and has fewer numbers than the data."""
    tables = (n.values() if isinstance(n, dict) else [n] for n in numbers)
    free = sum(n.size for table in tables for n in table if isinstance(n, np.ndarray))
    return all(v.shape == g.shape and np.isfinite(v).all() for v, g in zip(values, given, strict=True)) and (
        free * FREE <= sum(g.size for g in given))


def _reproduces(parts: Sequence[Part], values) -> bool:
    """Whether a prediction agrees with the given step in every look."""
    def room(part: Part, value):
        size, right = (np.abs(v).max(initial=0) for v in (value, part.step.right))
        more = part.noise * max(1.0, size / right if right else 1.0) + part.step.f.unit * np.abs(value)
        return more + (part.step.run.noise_cotangents[part.step.s] if part.step.site == "pullback" else 0)

    return all(agrees(part.given, value, room(part, value)) for part, value in zip(parts, values, strict=True))


# acceptance


def reproduced(looks: Sequence[Look], changes: Mapping, but: frozenset[Where] = frozenset()) -> bool:
    """Return whether a changed backward pass gives every leaf of every look, but for some.

    The examples' share may stand in the head's δ or in the sum over the batch, alike in all looks.
    """
    def one(look: Look, early: bool) -> bool:
        try:
            return look.reproduced(changes, early, but)
        except Silent:
            return True

    try:
        return any(all(one(look, early) for look in looks) for early in (False, True))
    except Inapplicable:
        return False


def wrong_in(look: Look, changes: Mapping, early: bool = False) -> list[Where]:
    """Return the leaves of a look that a changed pass does not give."""
    try:
        return look.wrong(Run(look.forward, changes, early, look.own).finish())
    except Inapplicable:
        return list(look.leaves)
    except Silent:
        return []


def simulated(look: Look, changes: Mapping) -> bool:
    """Return whether the changed steps say what they give in a look."""
    try:
        Run(look.forward, changes, own=look.own, bounds=False).finish()
    except (Inapplicable, Silent):
        return False
    return True


def accepted(findings: Sequence[Finding], looks: Sequence[Look], changes: Mapping) -> list[Finding] | None:
    """Return the findings with the mistakes that together reproduce all looks, or None."""
    if not all(finding.named for finding in findings):
        return None
    for chosen in itertools.islice(itertools.product(*(finding.named for finding in findings)), SOLUTIONS):
        made = {finding.where: named.change for finding, named in zip(findings, chosen, strict=True)}
        if reproduced(looks, {**changes, **made}):
            return [finding._replace(named=(named,)) for finding, named in zip(findings, chosen, strict=True)]
    return None


# steps in which examples meet, and steps of the whole gradient


def together(looks: Sequence[Look], changes: Mapping, but: frozenset[Where] = frozenset()) -> Finding | None:
    """Return the one further changed step that reproduces all looks, but for some leaves, or None.

    It is a step in which examples meet, or one of all leaves at once.
    """
    wrong = set().union(*(wrong_in(look, changes) for look in looks)) - but
    if not wrong:
        return None
    runs = [Run(look.forward, changes, False, look.own).finish() for look in looks]
    order = sorted(looks, key=lambda look: (-len(look.wrong()), len(look.forward.x)))
    for where in _places(looks[0], wrong):
        steps, given = _parts_of_all(where, looks, runs, but)
        for mistake in [*of_site(where[0], True), *(of_site(where[0], False) if where[1] is None else ())]:
            for numbers in mistake.fits(steps, given):
                if reproduced(order, {**changes, where: mistake.change(*numbers)}, but):
                    return Finding(where, (Named(mistake, numbers, 0.0),), None, given, [step.right for step in steps])
    return None


def _places(look: Look, wrong: set[Where]) -> list[Where]:
    """The steps that may spoil all the wrong leaves, and them alone."""
    places = look.forward.places
    top = max(s for _, s in wrong)
    found: list[Where] = list(wrong) if len(wrong) == 1 else []
    if len({s for _, s in wrong}) > 1 or len(wrong) == len(look.leaves):
        found += [("batch", None), ("finish", None), *([("penalty", None)] if look.own is not None else [])]
    deltas = [s for s in range(top, len(places)) if not any(places[t].leaves for t in range(top + 1, s + 1))]
    return [*found, *(("head" if s == len(places) - 1 else "pullback", s) for s in deltas)]


def _parts_of_all(where: Where, looks, runs, but) -> tuple[list[Step], list[np.ndarray]]:
    site, s = where
    steps, given = [], []
    for look, run in zip(looks, runs, strict=True):
        for leaf, t in [each for each in look.leaves if each not in but] if s is None else [where]:
            if site in ("head", "pullback"):
                right = run.delta(s)[0]
                steps.append(Step(run, site, s, right))
                given.append(right)
                continue
            right = run.leaves[leaf, t]
            value = look.leaves[leaf, t]
            if site == "penalty":
                own = np.zeros_like(right) if look.own is None else look.own[leaf, t]
                right, value = own, value - right + own
            steps.append(Step(run, site, t, right, leaf, run.leaves))
            given.append(value)
    return steps, given


def named_steps(looks: Sequence[Look], explanations: Sequence[Located], mixes: bool = False) -> tuple[list[Finding], Located]:
    """Return the findings of the explanation of which the most steps are named, and that explanation."""
    best = None
    for located in explanations:
        findings = [explained(where, parts_of(where, looks, located.runs), mixes) for where in located.wrong]
        score = sum(bool(finding.named) for finding in findings), -sum(
            finding.named[0].mistake.rank for finding in findings if finding.named)
        if best is None or score > best[0]:
            best = score, findings, located
    return best[1], best[2]
