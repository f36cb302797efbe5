"""What a verdict is worth against the truth, and shares of many of them, as drawn and weighted."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from experiments.mutants.checkers import Verdict
from experiments.mutants.mutant import PUBLIC, Mutant, Part
from experiments.mutants.places import DELTAS, LEAVES

NAMELESS = "unexplained"
IMPLIED = {  # what is not wrong to say of a mistake that has the name, though it says less
    "other derivative": frozenset({"another activation's derivative", "derivative at a", "derivative elsewhere",
                                   "activation for derivative", "missing derivative", "doubled derivative"}),
    "other activation": frozenset({"another layer's activation", "pre-activation for activation", "activation twice"}),
    "other delta": frozenset({"another layer's delta", "activation for delta", "missing derivative", "doubled derivative",
                              "wrong piece"}),
    "other weights": frozenset({"updated weight", "another layer's weight", "untransposed weight", "weights forgotten"}),
    "another loss": frozenset({"wrong target", "target ignored"}),
    "term added": frozenset({"penalty added", "added to another", "offset"}),
    "wrong divisor": frozenset({"B - 1", "divided twice", "sum for mean", "mean for sum"}),
    "examples weighted": frozenset({"examples left out", "one example only"}),
}


@dataclass(frozen=True)
class Score:
    """One verdict on one wrong gradient.

    Attributes:
      caught: it objects.
      placed: it blames the steps where the mistakes were made and no other; None where the tool cannot say.
      named: for every mistake it gives a cause that is right; None where the tool names nothing.
      misnamed: it gives a cause that is wrong, "unexplained" not being one.
    """

    caught: bool
    placed: bool | None
    named: bool | None
    misnamed: bool | None


def score(mutant: Mutant, verdict: Verdict, last: int) -> Score:
    """The verdict against the truth; `last` is the last layer."""
    if verdict.places is None:
        placed = None if verdict.layers is None else verdict.caught and verdict.layers == layers_of(mutant, last)
        return Score(verdict.caught, placed, None, None)
    if not verdict.caught:
        return Score(False, False, False, False)
    truths = {frozenset().union(*chosen) for chosen in product(*(part.where for part in mutant.parts))}
    wrong = any(cause not in allowed(mutant, place) for place, cause in verdict.causes)
    named = all(any(right(part, mutant, place, cause) for place, cause in verdict.causes) for part in mutant.parts)
    return Score(True, verdict.places in truths, named and not wrong, wrong)


def covers(part: Part, place) -> bool:
    """Whether a place is one where this mistake may be reported."""
    return any(place in where for where in part.where)


def allowed(mutant: Mutant, place) -> frozenset[str]:
    """The causes that are right at a place: those of the mistake made there, or of all where none was."""
    there = [part for part in mutant.parts if covers(part, place)] or mutant.parts
    causes = frozenset().union(*(part.causes for part in there))
    if place[0] in LEAVES and any(site in DELTAS for part in there for site, _ in part.where[0]):
        causes |= {"other delta"}  # leaves of a wrong δ are made of another δ
    return causes | {NAMELESS} | {weaker for weaker, names in IMPLIED.items() if causes & names}


def right(part: Part, mutant: Mutant, place, cause: str) -> bool:
    """Whether a fault names this mistake: of two mistakes, the one made at its place."""
    return cause != NAMELESS and cause in part.causes and (len(mutant.parts) == 1 or covers(part, place))


def layers_of(mutant: Mutant, last: int) -> frozenset[int]:
    """The layers that the mistakes belong to; all of them for one that belongs to none."""
    layers = {layer for part in mutant.parts for _, layer in part.where[0]}
    return frozenset(range(last + 1)) if None in layers else frozenset(layers)


@dataclass(frozen=True)
class Row:
    """One verdict, as it is recorded; `families` are those of its mistakes."""

    checker: str
    operator: str
    families: tuple[str, ...]
    unseen: bool
    nameable: bool
    place: str
    kind: str
    depth: int
    dtype: str
    seed: int
    score: Score
    said: tuple
    seconds: float

    @property
    def double(self) -> bool:
        """Whether there are two mistakes."""
        return len(self.families) > 1

    @property
    def missed(self) -> bool:
        """Whether anything is left to wish for."""
        s = self.score
        unnamed = s.named is False and self.nameable
        return not s.caught or s.placed is False or unnamed or bool(s.misnamed)


MEASURES = ("caught", "placed", "named", "misnamed")


def share(rows: Iterable[Row], what: str) -> float | None:
    """The share of the rows whose score says so; None where the tool cannot."""
    values = [getattr(row.score, what) for row in rows]
    return None if not values or values[0] is None else float(np.mean(values))


def weighted(rows: Iterable[Row], what: str) -> float | None:
    """The same, each family weighing as much as `PUBLIC` says; of two mistakes, both weigh."""
    found = {}
    for families, of in grouped(rows, lambda row: tuple(sorted(row.families))).items():
        found[families] = share(of, what)
    if not found or None in found.values():
        return None
    weights = {families: math.prod(PUBLIC[name] for name in families) for families in found}
    return sum(weights[of] * found[of] for of in found) / sum(weights.values())


def summary(rows: Sequence[Row]) -> dict:
    """The shares of some rows, with their number, how many were missed, and the median seconds."""
    return {"mutants": len(rows), "missed": sum(row.missed for row in rows),
            **{what: share(rows, what) for what in MEASURES},
            "weighted": {what: weighted(rows, what) for what in MEASURES},
            "named_of_nameable": share([row for row in rows if row.nameable], "named"),
            "seconds": float(np.median([row.seconds for row in rows])) if rows else None}


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Rows by a key, in order of appearance."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
