"""The record of a mistake, and the fits from which records are made.

A mistake is a changed step: a function that can be run anywhere. Its record also plants it in a
right backward pass, which is how the catalogue is tested.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from functional_nn.verify.debugger.tolerance import multiple, plain_number
from functional_nn.verify.debugger.where import Inapplicable, Silent, only_if

SIMPLE, USUAL, FITTED, SOLVED, TABLED = range(5)
"""Ranks: a sign or a factor; a usual mistake; one with fitted numbers; one with fitted arrays; one with
an array for each example."""

Numbers = tuple[Any, ...]
UNFIT = (ValueError, IndexError, np.linalg.LinAlgError)  # what NumPy raises for shapes that do not fit
Term = Callable[..., np.ndarray]
Fit = Callable[[Sequence[Any], Sequence[np.ndarray]], Iterable[Numbers]]


@dataclass(frozen=True)
class Mistake:
    """One way to get a step wrong.

    Attributes:
      cause: a key of `CAUSES`, whose sentence describes it.
      sites: the steps in which it is made.
      apply: (step, *numbers) -> the step's wrong value; raises Inapplicable where it makes no
        sense.
      formula: the wrong step written out; {right} is the right one, {0}, {1}, … are the numbers.
      fit: (steps, given values) -> the tuples of numbers that are worth trying.
      rank: the order of belief.
      mixes: whether examples meet, so that a batch shows it and a single example does not.
      planted: the numbers with which the tests plant it.
    """

    cause: str
    sites: tuple[str, ...]
    apply: Term
    formula: str
    fit: Fit
    rank: int
    mixes: bool
    planted: Numbers

    def fits(self, steps: Sequence[Any], given: Sequence[np.ndarray]) -> Iterator[Numbers]:
        """Yield the numbers that are worth trying; none where the mistake makes no sense."""
        try:
            yield from self.fit(steps, given)
        except (Inapplicable, *UNFIT):
            return

    def tried(self, steps: Sequence[Any], given: Sequence[np.ndarray],
              promising: Callable = lambda *one: True) -> Iterator[tuple[Numbers, list[np.ndarray]]]:
        """Yield (numbers, values in each look) of the fits that can be applied.

        A fit is given up at the first look where promising(step, given, value) is False. Where a
        mistake says nothing, the given value stands.
        """
        for numbers in self.fits(steps, given):
            values = []
            try:
                for step, g in zip(steps, given, strict=True):
                    try:
                        value = np.asarray(self.value(step, *numbers), np.float64)
                    except Silent:
                        value = g
                    if not promising(step, g, value):
                        break
                    values.append(value)
            except Inapplicable:
                continue
            if len(values) == len(steps):
                yield numbers, values

    def value(self, step, *numbers) -> np.ndarray:
        """Return the step's wrong value; raises Inapplicable where shapes do not allow it."""
        try:
            return self.apply(step, *numbers)
        except UNFIT as error:
            raise Inapplicable from error

    def change(self, *numbers) -> Callable[[Any], np.ndarray]:
        """Return the changed step, as `Run` takes it."""
        return lambda step: self.value(step, *numbers)


class Room(list):
    """The records of one room of the catalogue, in the order in which they are believed."""

    def add(self, cause: str, sites: str | Sequence[str], apply: Term, formula: str,
            fit: Fit | None = None, planted: Numbers = (), rank: int | None = None,
            mixes: bool = False) -> None:
        """Enter a record."""
        sites = (sites,) if isinstance(sites, str) else tuple(sites)
        level = rank if rank is not None else USUAL if fit is None else FITTED
        self.append(Mistake(cause, sites, apply, formula, fit or as_it_is, level, mixes, planted))

    def table(self, rows: dict[str, tuple[str, Term]], sites, apply: Term, formula: str,
              **options) -> None:
        """Enter a record for each cause of a table: row -> (cause, what `apply` needs of it)."""
        for cause in dict.fromkeys(cause for cause, _ in rows.values()):
            names = [name for name, (of, _) in rows.items() if of == cause]
            self.add(cause, sites, lambda step, name: apply(step, rows[name][1]), formula,
                     choices(*names), names[:1], USUAL, **options)


def as_it_is(steps, given) -> list[Numbers]:
    """A fit without numbers."""
    return [()]


def choices(*values) -> Fit:
    """Return the fit that tries each of some values as the one number."""
    return lambda steps, given: [(value,) for value in values]


def right(step) -> np.ndarray:
    """The right value of a step."""
    return step.right


def times(term: Term) -> Fit:
    """Return the fit of c in given = c · term."""
    return lambda steps, given: _number(given, [term(step) for step in steps])


def plus(term: Term, base: Term = right) -> Fit:
    """Return the fit of c in given = base + c · term."""
    def fit(steps, given):
        return _number([g - base(step) for g, step in zip(given, steps, strict=True)],
                       [term(step) for step in steps])

    return fit


def each_of(options: Callable | Sequence, term: Term, base: Term | None = None) -> Fit:
    """Return the fit of (option, c) in given = c · term(step, option), or base + c · term.

    For a multiple, c = 1 is tried too.
    """
    def fit(steps, given):
        for option in options(steps, given) if callable(options) else options:
            def of(step, option=option):
                return term(step, option)

            try:
                found = (times(of) if base is None else plus(of, base))(steps, given)
            except Inapplicable:
                continue
            known = [(option, 1.0)] if base is None else []
            yield from dict.fromkeys([*known, *((option, c) for (c,) in found)])

    return fit


class Table(dict):
    """An array for each example; `by` says what an example is known by: rows of a forward pass."""

    def __init__(self, by: Callable) -> None:
        super().__init__()
        self.by = by

    def keys_of(self, step) -> list[bytes]:
        """Return the keys of the step's examples."""
        return [b"".join(row.tobytes() for row in rows) for rows in zip(*self.by(step.f), strict=True)]


def row_by_row(solve: Callable, by: Callable = lambda f: (f.x,)) -> Fit:
    """Return the fit of a table: example -> the array that a factor of the step is there.

    solve([(step, given), …]) finds it from all looks at one example; `by` tells examples apart.
    """
    def fit(steps, given):
        only_if(all(step.count == 1 for step in steps))
        table, seen = Table(by), {}
        for step, g in zip(steps, given, strict=True):
            seen.setdefault(table.keys_of(step)[0], []).append((step, g))
        table.update((key, solve(pairs)) for key, pairs in seen.items())
        yield (table,)

    return fit


def term_of_input(steps, given) -> Iterator[Numbers]:
    """The fit of a table: example -> what is added to the right value, whatever the target is.

    It is told from the examples that are looked at with several targets.
    """
    targets: dict[bytes, set] = {}
    for step in steps:
        targets.setdefault(step.f.x.tobytes(), set()).add(step.f.y.tobytes())
    pairs = [(step, g) for step, g in zip(steps, given, strict=True) if len(targets[step.f.x.tobytes()]) > 1]
    only_if(bool(pairs))
    fit = row_by_row(lambda of: np.mean([g - step.right for step, g in of], axis=0))
    yield from fit(*zip(*pairs, strict=True))


def looked_up(step, table: Table) -> np.ndarray:
    """Return the rows of a table for the step's examples. Raises Silent if it lacks one."""
    keys = table.keys_of(step)
    if not all(key in table for key in keys):
        raise Silent
    return np.stack([table[key] for key in keys])


def _number(given, terms) -> list[Numbers]:
    terms = [np.broadcast_to(term, g.shape) for term, g in zip(terms, given, strict=True)]
    value = multiple(given, terms)
    return [(plain_number(value),)] if np.isfinite(value) and value != 0 else []
