"""Recognise kinks: a function has two one-sided derivatives there, L and R.

Any number between them is a valid convention for the derivative: relu'(0) is 0 for JAX and may be
1 elsewhere. Such a convention is excused if three conditions hold: R − L does not shrink with the
step, the gradient lies between L and R, and the gradient is right a little away from the point.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from functional_nn.verify.case import Case
from functional_nn.verify.comparison import along
from functional_nn.verify.debugger.tolerance import ROUGH, UNITS
from functional_nn.verify.entries import listed
from functional_nn.verify.limits import AWAY, DIFFERENCES, MOST, RELATIVE, SHRUNK, STEP, UNIT
from functional_nn.verify.noise import rounding_of
from functional_nn.verify.references import TITLES, Probe, toward

STEPS = (STEP, STEP / SHRUNK, STEP / SHRUNK**2)


class Kink(NamedTuple):
    """A row of a probe, that is an entry or a direction, along which f has a kink.

    Attributes:
      row: the row's index.
      left, right: the one-sided derivatives.
      given: the derivative by the gradient under test.
      reference: the derivative by the reference.
      between: whether `given` lies between the one-sided derivatives.
    """

    row: int
    left: float
    right: float
    given: float
    reference: float
    between: bool


def three_digits(value: float) -> str:
    """Return the number in three digits; below the rounding of differences it prints as 0."""
    return f"{0.0 if abs(value) < DIFFERENCES else value:.3g}"


def excused(case: Case, i: int, name: str, probe: Probe) -> tuple[Probe, list[str], list[Kink]]:
    """Correct a probe of leaf i at kinks and bends.

    Returns (the corrected probe, notes for the report, the kinks at which the given gradient lies
    outside both one-sided derivatives).
    """
    given, kinks, notes = along(case.given[i], probe), [], []
    if name == "complex" or case.unit > UNIT / 2 or not (np.isfinite(given).all() and np.isfinite(probe.derivatives).all()):
        return probe, [], []
    rows = _suspicious(given, probe, name)
    if name != "fd":
        if not _right_away(case, i, name, probe, []):
            return probe, [], []
        kinks = _from_both_sides(rows, given, probe, *(values[i] for values in case.around(name)))
        rows = rows[~np.isin(rows, [kink.row for kink in kinks])]
    rows, unseen = np.split(rows, [MOST if name == "fd" else case.looks])
    corrected, closely, bends = _look_closely(case, i, rows, given, probe, name)
    case.looks -= 0 if name == "fd" else len(rows)
    if bends:
        notes.append(f"{case.labels[i]}: where central differences reached over a kink or round a bend, they were taken again "
                     f"with smaller steps ({bends} of {len(given)})")
    if name == "fd" and not (closely and _right_away(case, i, name, probe, closely)):
        return corrected, notes, []
    kinks, outside = [*kinks, *(kink for kink in closely if kink.between)], [kink for kink in closely if not kink.between]
    if outside or len(closely) < len(rows):
        unseen = []  # the rows examined do not excuse the others
    right = [*(kink.row for kink in kinks), *unseen]
    corrected.derivatives[right] = given[right]
    if kinks:
        first, places = kinks[0], [case.place(i, probe, row) for row in right]
        notes.append(f"kink at {listed(places)}: one-sided derivatives {three_digits(min(first.left, first.right))} and "
                     f"{three_digits(max(first.left, first.right))}, yours {three_digits(first.given)}, {TITLES[name]} "
                     f"{three_digits(first.reference)}{' (at the first)' * (len(right) > 1)}: a convention, not a mistake")
    return corrected, notes, outside


def _suspicious(given: np.ndarray, probe: Probe, name: str) -> np.ndarray:
    """The rows of the probe that may be wrong, the worst first."""
    with np.errstate(all="ignore"):
        gap = np.abs(given - probe.derivatives)
        allowed = (RELATIVE[name] * float(np.linalg.norm(given)) + probe.noise) / max(len(given), 1) ** 0.5
    rows = np.flatnonzero(np.isfinite(gap) & (gap > 0.3 * allowed))
    return rows[np.argsort(-gap[rows], kind="stable")]


def _from_both_sides(rows: np.ndarray, given: np.ndarray, probe: Probe, ahead: np.ndarray, behind: np.ndarray) -> list[Kink]:
    """The kinks among the rows, found from the reference's derivatives at two nearby points.

    Let g be the reference at the point, g₊ a jitter ahead of it and g₋ a jitter behind it. A unit
    at its kink is on at one of the two sides only. So in g₊ + g₋ − g each such unit has the
    convention that g does not have. A gradient with either convention, or one in between, lies
    within the range of g, g₊, g₋ and g₊ + g₋ − g.

    >>> both = Probe(None, np.array([0.0, 2.0]), 0.0), np.array([1.0, 2.0]), np.array([0.0, 2.0])             # relu at 0; 2p
    >>> [kink.row for kink in _from_both_sides(np.array([0, 1]), np.array([0.5, 3.0]), *both)]
    [0]
    """
    here = probe.derivatives
    four = np.stack([ahead, behind, here, ahead + behind - here])
    low, high = four.min(axis=0), four.max(axis=0)
    slack = ROUGH * (high - low) + UNITS * AWAY * probe.change / len(here) ** 0.5
    inside = (low - slack <= given) & (given <= high + slack)
    return [Kink(int(row), float(min(ahead[row], behind[row])), float(max(ahead[row], behind[row])), float(given[row]),
                 float(here[row]), True) for row in rows if inside[row]]


def _look_closely(case: Case, i: int, rows: np.ndarray, given: np.ndarray, probe: Probe, name: str) -> tuple[Probe, list[Kink], int]:
    """Measure rows of leaf i again, by one-sided derivatives of f at two or three steps.

    Returns (the probe, with new derivatives where a bend made the old ones inaccurate; the kinks;
    the number of rows with a bend).
    """
    found, kinks, bends, noise = probe.derivatives.copy(), [], 0, 0.0
    steps = STEPS if name == "fd" else STEPS[1:]
    for row in rows:
        left, right = _sides(case.quick, case.value, case.params, i, row, probe, steps)
        central, jump = (left + right) / 2, np.abs(right - left)
        rough = np.array([max(rounding_of(case.value, step), probe.rounding * STEP / step) for step in steps])
        rough = rough + UNITS * UNIT * np.maximum(np.abs(left), np.abs(right))
        low, high = sorted((left[-1], right[-1]))
        if jump[-1] > max(0.5 * jump[-2], 4 * rough[-1]):
            slack = 2 * rough[-1] + jump[-1] * ROUGH
            kinks.append(Kink(int(row), float(left[-1]), float(right[-1]), float(given[row]), float(probe.derivatives[row]),
                              bool(low - slack <= given[row] <= high + slack)))
        # the first step crossed a kink or a bend
        elif name == "fd" and abs(central[0] - central[-1]) > 2 * rough[-1]:
            # there may be a kink within the last step
            unresolved = jump[-1] > 4 * rough[-1] and low <= given[row] <= high
            found[row], bends, noise = given[row] if unresolved else central[-1], bends + 1, np.hypot(noise, rough[-1])
    return probe._replace(derivatives=found, noise=float(np.hypot(probe.noise, noise))), kinks, bends


def _sides(f: Callable, value: float, params, i: int, row: int, probe: Probe, steps) -> np.ndarray:
    """The one-sided derivatives (L, R) of f along one row, each with one entry per step."""
    leaves, tree = jax.tree.flatten(params)
    along = np.eye(1, leaves[i].size, row)[0] if probe.directions is None else probe.directions[row]
    direction = toward(params, i, along)
    return np.array([[(float(f(tree.unflatten([p + step * d for p, d in zip(leaves, direction, strict=True)]))) - value) / step
                      for step in np.multiply(sign, steps)] for sign in (-1, 1)])


def _right_away(case: Case, i: int, name: str, probe: Probe, kinks: Sequence[Kink]) -> bool:
    """Whether the gradient of leaf i is right at the point `away`.

    Central differences would reach back to the kink: they are taken with the last step, on the
    rows of the kinks alone.
    """
    if case.away is None or case.away[1][i] is None:
        return False
    there, given = case.away[0], along(case.away[1][i], probe)
    if name != "fd":
        values = case.around(name)[0][i]
        size = max(np.linalg.norm(given), np.linalg.norm(values))
        return bool(np.linalg.norm(given - values) <= RELATIVE[name] * size + probe.noise)
    value = float(case.quick(there))
    for kink in kinks:
        left, right = _sides(case.quick, value, there, i, kink.row, probe, STEPS[2:])[:, 0]
        rough = rounding_of(value, STEPS[2]) + RELATIVE[name] * (abs(left) + abs(right))
        if not abs(given[kink.row] - (left + right) / 2) <= 2 * rough + abs(kink.right - kink.left) * ROUGH:
            return False
    return True
