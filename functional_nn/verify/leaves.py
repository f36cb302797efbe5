"""Judge one leaf of a gradient: right, wrong with a cause, or excused by a kink or by rounding."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from functional_nn.verify.case import Case
from functional_nn.verify.catalogue.judging import UNKNOWN, Verdict
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.comparison import along, compare, misshapen, threshold
from functional_nn.verify.debugger.tolerance import UNITS
from functional_nn.verify.entries import listed, wrong_entries
from functional_nn.verify.excuses import Kink, excused, three_digits
from functional_nn.verify.faults import fault_of, told
from functional_nn.verify.limits import DIFFERENCES, RELATIVE, UNIT
from functional_nn.verify.naming import DIRECTIONS, ENTRIES, named
from functional_nn.verify.references import TITLES, Probe, toward
from functional_nn.verify.report import Fault, Leaf
from functional_nn.verify.suspects import SUSPECTS


class Outcome(NamedTuple):
    """The judgement of one leaf.

    Attributes:
      leaf: the leaf's row in the report.
      fault: what is wrong with the leaf; None if it is right.
      notes: sentences for the report.
      rounded: (which value came in which dtype, the share of the allowed rounding that the error
        reaches), if only rounding makes the leaf right; else None.
    """

    leaf: Leaf
    fault: Fault | None = None
    notes: tuple[str, ...] = ()
    rounded: tuple[str, float] | None = None


def of_wrong_shape(case: Case, fault: Fault, i: int) -> Fault:
    """Return the fault of a leaf of the wrong shape; with a cause if a sum or a turn explains it."""
    path, wanted = case.paths[i], f"df/d{case.labels[i]}"
    right = next((probes[i].derivatives for probes in case.probes.values() if probes[i].directions is None), None)
    if path not in case.raw or right is None or np.asarray(case.raw[path]).dtype.kind not in "fiub":
        return fault
    cause, yours = misshapen(np.asarray(case.raw[path], dtype=np.float64), right.reshape(np.shape(case.leaves[i])), wanted)
    if cause == "unexplained":
        return fault
    return Fault("structure", None, path, None, cause, 0.0,
                 f"{fault.message}: {CAUSES[cause]}; yours {yours}, expected {wanted}",
                 where=fault.message, what=CAUSES[cause], yours=yours, wanted=wanted)


def judged(case: Case, i: int, bounds: Mapping[str, float]) -> Outcome:
    """Compare leaf i with every reference and judge it."""
    path, given, notes = case.paths[i], case.given[i], []
    probes = {name: probes[i] for name, probes in case.probes.items()}
    leaf = compare(path, given, probes, bounds)
    if all(leaf.right.values()):
        return Outcome(leaf)
    if (unit := max(case.units[i], case.unit)) > UNIT / 2:
        plain = leaf
        probes = {name: _widened(probe, unit) for name, probe in probes.items()}
        leaf = compare(path, given, probes, bounds)
        if all(leaf.right.values()):
            share = max(plain.errors[name] * float(np.linalg.norm(along(given, probe))) / probe.noise
                        for name, probe in probes.items() if not plain.right[name])
            whose = f"f came in {case.coarse}" if case.unit > case.units[i] else f"the gradient came in {case.raw[path].dtype}"
            return Outcome(leaf, rounded=(whose, share))
    outside: list[Kink] = []
    for name in [name for name in probes if not leaf.right[name]]:
        probes[name], said, beyond = excused(case, i, name, probes[name])
        notes, outside = [*notes, *said], [*outside, *beyond]
    leaf = compare(path, given, probes, bounds)
    for name, probe in probes.items():
        case.probes[name][i] = probe
    fault = None if all(leaf.right.values()) else _fault(case, i, leaf, probes, outside)
    return Outcome(leaf, fault, tuple(notes))


def _widened(probe: Probe, unit: float) -> Probe:
    """The probe, its noise raised by the rounding of f or of the gradient to less than float64.

    It is 16 units of the leaf and of the terms whose sum is the leaf, and 2 units of the largest
    leaf, since terms of that size may have cancelled.
    """
    size = float(np.linalg.norm(probe.derivatives))
    return probe._replace(noise=probe.noise + unit * 2 * (UNITS * (size + probe.change) + probe.largest))


@np.errstate(all="ignore")
def _fault(case: Case, i: int, leaf: Leaf, probes: Mapping[str, Probe], outside: Sequence[Kink]) -> Fault:
    """The fault of leaf i, from the first reference that disagrees with it."""
    name = next(name for name in leaf.right if not leaf.right[name])
    probe, label = probes[name], case.labels[i]
    if (what := _no_number(case, i, name, probe)) is not None:
        return what
    worst, verdict = _located(case, i, name, probe, not outside)
    what = told(verdict, case.sizes)
    if outside:
        low, high = sorted((outside[0].left, outside[0].right))
        verdict = UNKNOWN
        what = (f"wrong at a kink only: one-sided derivatives {three_digits(low)} and {three_digits(high)} at "
                f"{case.place(i, probe, outside[0].row)}, yours {three_digits(outside[0].given)}, outside both")
    if probe.directions is None and (which := _which(case, i, probe, label)):
        what += f"; {which}"
    return fault_of(leaf, f"{label}, against {TITLES[name]}", verdict, f"df/d{label}", what, worst,
                    "worst" if probe.directions is None else "wrong")


def _no_number(case: Case, i: int, name: str, probe: Probe) -> Fault | None:
    """The fault of a leaf that holds NaN or inf, or of which the reference does."""
    label, unknown = case.labels[i], ": f is not differentiable there or overflows, and nothing can be said of this leaf"
    for values, whose, hint, rows in ((case.given[i].ravel(), "manual", "", probe._replace(directions=None)),
                                      (probe.derivatives, TITLES[name], unknown, probe)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            what = (f"{whose} is {values[bad[0]]} at {case.place(i, rows, bad[0])}, the first of {bad.size} in {values.size}{hint}")
            index = case.index(i, bad[0]) if rows.directions is None else None
            return Fault(None, None, case.paths[i], index, "not a number", 0.0, f"{label}: {what}", where=label, what=what)
    return None


def _which(case: Case, i: int, probe: Probe, label: str) -> str:
    """Which entries of leaf i are wrong, and what they share."""
    shape = np.shape(case.leaves[i])
    given, expected = (np.reshape(v, shape) for v in (case.given[i], probe.derivatives))
    allowed = RELATIVE["fd"] * float(np.abs(expected).max(initial=0.0)) + probe.noise
    known = {f"df/d{label}": expected, label: np.asarray(case.leaves[i], dtype=np.float64)}
    beside = {name: array for name, array in case.sizes.items() if array.shape == shape and array.dtype.kind == "f" and name != label}
    known |= beside | {f"{label} - {name}": known[label] - array for name, array in beside.items()}
    return wrong_entries(given, expected, allowed, known) if shape else ""


def _located(case: Case, i: int, name: str, probe: Probe, judge: bool):
    """((index, manual, reference), verdict) of the worst entry, or of one found by bisection.

    The verdict is UNKNOWN unless `judge` is true: it may cost many calls of f.
    """
    verdict, manual = _verdict(case, i, name, probe) if judge else UNKNOWN, case.given[i].ravel()
    if probe.directions is None:
        place = int(np.argmax(np.abs(manual - probe.derivatives)))
        return (case.index(i, place), float(manual[place]), float(probe.derivatives[place])), verdict
    gap = np.abs(along(manual, probe) - probe.derivatives)
    direction = np.asarray(probe.directions[int(np.argmax(gap))], dtype=np.float64)
    place, expected = wrong_entry(case.references[name].along, case.params, i, manual, direction)
    slack = RELATIVE[name] * max(abs(manual[place]), abs(expected)) + probe.noise / len(gap) ** 0.5
    if not abs(manual[place] - expected) > slack:
        return (None, None, None), verdict
    left = np.abs(along(manual, probe) - probe.directions[:, place] * (manual[place] - expected) - probe.derivatives)
    index = case.index(i, place)
    if verdict.cause == "unexplained" and left.max() <= threshold(manual, probe, RELATIVE[name]):
        verdict = Verdict("single entry", float(np.linalg.norm(left) / np.linalg.norm(gap)), np.inf,
                          f"df/d{case.labels[i]}, but for entry {list(index)}", str(list(index)), "")
    return (index, float(manual[place]), float(expected)), verdict


def _verdict(case: Case, i: int, name: str, probe: Probe) -> Verdict:
    """The cause, from the gradient at the point and at those beside it."""
    points = case.points(i, name, probe)
    unit = max(case.units[i], case.unit)
    unit = UNITS * unit if unit > UNIT / 2 else unit
    if name == "fd":
        size = float(np.linalg.norm([np.linalg.norm(point.right) for point in points])) or 1.0
        unit = max(unit, DIFFERENCES, probe.noise / (4 * size))
    return named(points, unit, f"df/d{case.labels[i]}", SUSPECTS, ENTRIES if probe.directions is None else DIRECTIONS)


def wrong_entry(along: Callable, params, i: int, manual: np.ndarray, direction: np.ndarray) -> tuple[int, float]:
    """Return (place, the reference's derivative) of an entry of leaf i that is probably wrong.

    Let S = d·e for a ±1 direction d and the gradient's error e. Split the entries into halves A
    and B. Then S = S_A + S_B, and the half with the larger |S| holds wrong entries. After log₂ n
    splits one entry remains; the search costs 2 log₂ n derivatives.

    Args:
      along: (params, direction) -> the reference's derivative.
      manual: the gradient of leaf i, flat. The returned place is an index into it.
      direction: (size,) of ±1, along which the two disagree.

    >>> given = np.arange(8.0)                                                  # of f = Σ i pᵢ, but for one entry
    >>> given[5] = -1.0
    >>> wrong_entry(lambda p, d: float(d @ np.arange(8.0)), np.zeros(8), 0, given, np.ones(8))
    (5, 5.0)
    """
    tree, places, reference = jax.tree.structure(params), np.arange(manual.size), 0.0

    def seen(places: np.ndarray) -> tuple[float, float, np.ndarray]:
        """(|S| of these entries, the reference's derivative along them, the entries)."""
        masked = np.zeros(manual.size)
        masked[places] = direction[places]
        theirs = float(along(params, tree.unflatten(toward(params, i, masked))))
        return abs(float(masked @ manual) - theirs), theirs, places

    while places.size > 1:
        middle = places.size // 2
        _, reference, places = max(map(seen, (places[:middle], places[middle:])), key=lambda half: half[0])
    return int(places[0]), float(direction[places[0]] * reference)


def inconsistencies(case: Case, bounds: Mapping[str, float]) -> list[str]:
    """Notes on references that disagree: f has a wrong custom rule, a stop_gradient or a kink."""
    names, found = list(bounds), []
    for other in names[1:]:
        wrong = [f"{label} (by {leaf.errors[other]:.1e})" for i, label in enumerate(case.labels)
                 if not (leaf := _between(case, i, names[0], other, bounds)).right[other]]
        if wrong:
            found.append(f"{TITLES[names[0]]} and {TITLES[other]} disagree at {listed(wrong)}: f holds a "
                         "wrong custom rule, a stop_gradient or a kink, so one of the two references is no measure")
    return found


def _between(case: Case, i: int, one: str, other: str, bounds: Mapping[str, float]) -> Leaf:
    """The comparison of two references with one another."""
    first, second = (case.probes[name][i] for name in (one, other))
    if first.directions is not None and second.directions is None:
        first, second = second, first
    elif first.directions is not None:
        second = second._replace(directions=None)  # both are seen along the same ones
    else:
        second = second._replace(noise=second.noise + first.noise)
    mine = first.derivatives if first.directions is not None else first.derivatives.reshape(np.shape(case.leaves[i]))
    return compare(case.paths[i], mine, {other: second}, {other: max(bounds[one], bounds[other])})
