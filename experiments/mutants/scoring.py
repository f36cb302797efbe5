"""What a verdict is worth against the truth, counted and laid out in 80 columns."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from experiments.mutants.checkers import Verdict
from experiments.mutants.mutant import Mutant, Part

NAMELESS = "unexplained"
IMPLIED = {  # what is not wrong to say of a mistake that has the name, though it says less
    "other derivative": frozenset({"another activation's derivative", "derivative at a", "derivative elsewhere",
                                   "activation for derivative", "missing derivative", "doubled derivative"}),
    "other activation": frozenset({"another layer's activation", "pre-activation for activation", "activation twice"}),
    "other delta": frozenset({"another layer's delta", "activation for delta", "missing derivative", "doubled derivative",
                              "wrong piece"}),
    "another loss": frozenset({"wrong target", "target ignored"}),
    "examples weighted": frozenset({"examples left out", "one example only"}),
}


@dataclass(frozen=True)
class Score:
    """One verdict on one wrong gradient.

    Attributes:
      caught: it objects.
      exact: it blames the steps where the mistakes were made and no other; None where the tool cannot say.
      named: for every mistake it gives a cause that is right; None where the tool names nothing.
      misnamed: it gives a cause that is wrong, "unexplained" not being one.
    """

    caught: bool
    exact: bool | None
    named: bool | None
    misnamed: bool | None


def score(mutant: Mutant, verdict: Verdict, last: int) -> Score:
    """The verdict against the truth; `last` is the last layer."""
    if verdict.places is None:
        exact = None if verdict.layers is None else verdict.caught and verdict.layers == layers_of(mutant, last)
        return Score(verdict.caught, exact, None, None)
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
    """One verdict, as it is recorded."""

    checker: str
    operator: str
    unseen: bool
    double: bool
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
    def missed(self) -> bool:
        """Whether anything is left to wish for."""
        s = self.score
        return not s.caught or s.exact is False or (s.named is False and self.nameable) or bool(s.misnamed)


def share(rows: Iterable[Row], what: str) -> float | None:
    """The share of the rows whose score says so; None where the tool cannot."""
    values = [getattr(row.score, what) for row in rows]
    return None if not values or values[0] is None else float(np.mean(values))


def summary(rows: Sequence[Row]) -> dict:
    """The shares of some rows, with their number and the median seconds."""
    return {"mutants": len(rows), **{what: share(rows, what) for what in ("caught", "exact", "named", "misnamed")},
            "named_of_nameable": share([row for row in rows if row.nameable], "named"),
            "seconds": float(np.median([row.seconds for row in rows])) if rows else None}


def per_cent(value: float | None) -> str:
    """A share to read: all is 100 %, and nothing else is."""
    if value is None:
        return "-"
    text = f"{100 * value:.1f}"
    return "100" if value == 1 else "99.9" if text == "100.0" else "0" if value == 0 else "<0.1" if text == "0.0" else text


COLUMNS = ("caught", "exact", "named", "misnamed")


def table(title: str, groups: dict[str, Sequence[Row]], extra: Callable[[str], str] = lambda name: "") -> str:
    """One line a group: its shares in per cent, and milliseconds a check."""
    lines = [f"{title:<28}{'mutants':>8}" + "".join(f"{name:>9}" for name in COLUMNS) + f"{'ms':>8}"]
    for name, rows in groups.items():
        found = summary(rows)
        time = "-" if found["seconds"] is None else f"{1000 * found['seconds']:.1f}"
        lines.append(f"{name:<28}{len(rows):>8}" + "".join(f"{per_cent(found[what]):>9}" for what in COLUMNS) + f"{time:>8}"
                     + extra(name))
    return "\n".join(lines)


def grouped(rows: Iterable[Row], key: Callable[[Row], object]) -> dict[str, list[Row]]:
    """Rows by a key, in order of appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(key(row)), []).append(row)
    return groups
