"""Judge one leaf of a gradient: right, wrong with a cause, or excused by a kink or by rounding."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.beside import copied, cut_together, exchanged
from functional_nn.verify.catalogue.judging import Verdict
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.comparison import along, compare, structure_faults, threshold
from functional_nn.verify.entries import origin, wrong_entries
from functional_nn.verify.excuses import (
    AWAY,
    FEW,
    LOOKS,
    Kink,
    from_both_sides,
    jittered,
    look_closely,
    right_nearby,
    rounding_allowed,
    suspicious,
    unit_of,
)
from functional_nn.verify.halves import wrong_entry
from functional_nn.verify.references import RELATIVE, TITLES, Probe, Reference, compiled
from functional_nn.verify.report import Fault, Leaf
from functional_nn.verify.suspects import NEARBY, misshapen, named, of_directions, of_entries

LINEAR = ("zero", "sign", "factor", "offset", "penalty added", "penalty forgotten", "exchanged leaves")
"""The causes that derivatives along directions suffice to name."""
ROUNDINGS = 8  # roundings to a low precision that accumulate in a gradient
DIFFERENCES = 1e-7  # relative error of central differences along a direction; one entry: less
UNKNOWN = Verdict("unexplained", 1.0, np.inf, "", "", "")
_NAMED = 3  # how many kinks a note lists


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


class Case:
    """A function f and the gradient to check at one point; nearby values are computed lazily.

    Attributes:
      paths, leaves: the paths and values of the parameters, in order.
      given: the gradient's leaves in float64; None where a leaf is missing or has another shape.
      units: the rounding unit of each gradient leaf's own dtype.
      references: the references by name.
      probes: by reference name, the probe of every leaf; excused derivatives are corrected in it.
      value, coarse, unit: f(params), its dtype, and the rounding unit of that dtype.
      sizes: by name, the arrays among parameters and arguments.
      looks: how many more rows may be examined closely.
    """

    def __init__(self, f: Callable, by_hand: Callable, params, gradient, references: Mapping[str, Reference],
                 numpy: bool, value: float, coarse: str, seed: int, sizes: Mapping[str, np.ndarray]):
        self.params, self.by_hand, self.references, self.value, self.seed = params, by_hand, references, value, seed
        self.looks, self.coarse, self.sizes = FEW, coarse, sizes
        self.unit = float(jnp.finfo(coarse).eps) / 2
        self.quick = f if numpy else compiled(f)
        self.paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        self.leaves = jax.tree.leaves(params)
        self.raw = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)}
        self.given = self._values(gradient)
        self.units = [unit_of(self.raw[path]) if path in self.raw else 2.0**-53 for path in self.paths]
        self.probes = {name: list(reference.probes) for name, reference in references.items()}
        self._expected: dict[tuple[str, str], list] = {}

    def _values(self, gradient) -> list[np.ndarray | None]:
        wrong = {fault.leaf for fault in structure_faults(self.params, gradient)}
        raw = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)}
        return [None if path in wrong else np.asarray(raw[path], dtype=np.float64) for path in self.paths]

    def _moved(self, size: float, number: int):
        """(parameters, gradient) at a random nearby point; None if the gradient raises there."""
        params = jittered(self.params, jax.random.fold_in(jax.random.key(self.seed), number), size)
        try:
            return params, self._values(self.by_hand(params))
        except Exception:  # the point may lie where the function is not defined
            return None

    @functools.cached_property
    def away(self):
        """(parameters, gradient) at a point a jitter away, off any kink of the given point."""
        return self._moved(AWAY, 0)

    @property
    def behind(self):
        """The parameters at the mirror image of the point `away`."""
        return jax.tree.map(lambda here, there: 2 * here - there, self.params, self.away[0])

    @functools.cached_property
    def beside(self) -> list:
        """(parameters, gradient) at up to two nearby points, where a cause must be confirmed."""
        return [point for point in (self._moved(NEARBY, 1), self._moved(NEARBY, 2)) if point is not None]

    def expected(self, name: str, where: str) -> list:
        """The derivatives of every leaf by reference `name` at several points.

        `where` is "beside" (the points of `beside`) or "away" (the points `away` and `behind`).
        """
        if (name, where) not in self._expected:
            points = [params for params, _ in self.beside] if where == "beside" else [self.away[0], self.behind]
            self._expected[name, where] = [self.references[name].at(params) for params in points]
        return self._expected[name, where]

    def label(self, i: int) -> str:
        return self.paths[i] or "params"

    def misshapen(self, fault: Fault, i: int) -> Fault:
        """The fault of a leaf of the wrong shape; with a cause if a sum or a turn explains it."""
        path, name = self.paths[i], next((name for name, probes in self.probes.items() if probes[i].directions is None), None)
        if path not in self.raw or name is None or np.asarray(self.raw[path]).dtype.kind not in "fiub":
            return fault
        given = np.asarray(self.raw[path], dtype=np.float64)
        expected = self.probes[name][i].derivatives.reshape(np.shape(self.leaves[i]))
        cause, yours = misshapen(given, expected, f"df/d{self.label(i)}")
        if cause == "unexplained":
            return fault
        wanted = f"df/d{self.label(i)}"
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
    if max(case.units[i], case.unit) > 2.0**-53:
        plain = leaf
        probes = {name: _widened(case, i, probe) for name, probe in probes.items()}
        leaf = compare(path, given, probes, bounds)
        if all(leaf.right.values()):
            share = max(plain.errors[name] * float(np.linalg.norm(along(given, probe))) / probe.noise
                        for name, probe in probes.items() if not plain.right[name])
            whose = f"f came in {case.coarse}" if case.unit > case.units[i] else f"the gradient came in {case.raw[path].dtype}"
            return Outcome(leaf, rounded=(whose, share))
    outside: list[Kink] = []
    for name in [name for name in probes if not leaf.right[name]]:
        probes[name], said, beyond = _excused(case, i, name, probes[name])
        notes, outside = [*notes, *said], [*outside, *beyond]
    leaf = compare(path, given, probes, bounds)
    for name, probe in probes.items():
        case.probes[name][i] = probe
    fault = None if all(leaf.right.values()) else _fault(case, i, leaf, probes, outside)
    return Outcome(leaf, fault, tuple(notes))


def _widened(case: Case, i: int, probe: Probe) -> Probe:
    """The probe, its noise raised by the rounding of f or of the gradient to less than float64."""
    size = float(np.linalg.norm(probe.derivatives))
    return probe._replace(noise=probe.noise + rounding_allowed(max(case.units[i], case.unit), size, probe))


def _excused(case: Case, i: int, name: str, probe: Probe) -> tuple[Probe, list[str], list[Kink]]:
    """Correct the probe at kinks and bends.

    Returns (the corrected probe, notes for the report, the kinks at which the given gradient lies
    outside both one-sided derivatives).
    """
    given, kinks, notes = along(case.given[i], probe), [], []
    if name == "complex" or case.unit > 2.0**-53 or not (np.isfinite(given).all() and np.isfinite(probe.derivatives).all()):
        return probe, [], []
    rows = suspicious(given, probe, name)
    if name != "fd":
        if not _right_away(case, i, name, probe, []):
            return probe, [], []
        kinks = from_both_sides(rows, given, probe, *(values[i] for values in case.expected(name, "away")))
        rows = rows[~np.isin(rows, [kink.row for kink in kinks])]
    rows, unseen = np.split(rows, [LOOKS.get(name, case.looks)])
    seen = look_closely(case.quick, case.value, case.params, i, rows, given, probe, name)
    case.looks -= 0 if name == "fd" else len(rows)
    if seen.bends:
        notes.append(f"{case.label(i)}: where central differences reached over a kink or round a bend, they were taken again "
                     f"with smaller steps ({seen.bends} of {len(given)})")
    if name == "fd" and not (seen.kinks and _right_away(case, i, name, probe, seen.kinks)):
        return seen.probe, notes, []
    kinks, outside = [*kinks, *(kink for kink in seen.kinks if kink.between)], [kink for kink in seen.kinks if not kink.between]
    if outside or len(seen.kinks) < len(rows):
        unseen = []  # the rows examined do not excuse the others
    right = [*(kink.row for kink in kinks), *unseen]
    seen.probe.derivatives[right] = given[right]
    if kinks:
        notes.append(_kink_note(case, i, name, probe, kinks, len(right)))
    return seen.probe, notes, outside


def _right_away(case: Case, i: int, name: str, probe: Probe, kinks: list[Kink]) -> bool:
    """Whether the gradient of leaf i is right at the point `away`."""
    if case.away is None or case.away[1][i] is None:
        return False
    params, given = case.away
    values = None if name == "fd" else case.expected(name, "away")[0][i]  # ahead
    return right_nearby(case.quick, params, i, along(given[i], probe), kinks, probe, name, values)


def _kink_note(case: Case, i: int, name: str, probe: Probe, kinks: Sequence[Kink], count: int) -> str:
    kink = kinks[0]
    places = [_place(case, i, probe, kink.row) for kink in kinks[:_NAMED]]
    more = f" and {count - len(places)} more" if count > len(places) else ""
    low, high = sorted((kink.left, kink.right))
    first = " (at the first)" if count > 1 else ""
    return (f"kink at {', '.join(places)}{more}: one-sided derivatives {_number(low)} and {_number(high)}, yours "
            f"{_number(kink.given)}, {TITLES[name]} {_number(kink.reference)}{first}: a convention, not a mistake")


def _number(value: float) -> str:
    """The number in three digits; below 1e-7, the rounding of differences, it prints as 0."""
    return f"{0.0 if abs(value) < 1e-7 else value:.3g}"


def _place(case: Case, i: int, probe: Probe, row: int) -> str:
    if probe.directions is not None:
        return f"{case.label(i)} along direction {row}"
    return f"{case.label(i)}{list(_index(case, i, row)) or ''}"


def _index(case: Case, i: int, flat: int) -> tuple[int, ...]:
    return tuple(int(n) for n in np.unravel_index(flat, np.shape(case.leaves[i])))


@np.errstate(all="ignore")
def _fault(case: Case, i: int, leaf: Leaf, probes: Mapping[str, Probe], outside: Sequence[Kink]) -> Fault:
    """The fault of leaf i, from the first reference that disagrees with it."""
    name = next(name for name in leaf.right if not leaf.right[name])
    probe, label, manual = probes[name], case.label(i), case.given[i]
    where = f"{label}: relative error {leaf.errors[name]:.1e} against {TITLES[name]}"
    unknown = ": f is not differentiable there or overflows, and nothing can be said of this leaf"
    for values, whose, hint in ((manual, "manual", ""), (probe.derivatives, TITLES[name], unknown)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            entries = whose == "manual" or probe.directions is None
            index = _index(case, i, bad[0]) if entries else None
            at = f"{label}{list(index) or ''}" if entries else f"{label} along direction {bad[0]}"
            what = f"{whose} is {values.ravel()[bad[0]]} at {at}, the first of {bad.size} in {values.size}{hint}"
            return Fault(None, None, leaf.path, index, "not a number", 0.0, f"{label}: {what}", where=label, what=what)
    index, given, expected, verdict = _located(case, i, name, probe, not outside)
    what, more = CAUSES[verdict.cause], {}
    if outside:
        verdict = UNKNOWN
        kink = outside[0]
        what = (f"wrong at a kink only: one-sided derivatives {_number(kink.left)} and {_number(kink.right)} at "
                f"{_place(case, i, probe, kink.row)}, yours {_number(kink.given)}, outside both")
    elif verdict.cause == "unexplained":
        where_from = origin(verdict.fitted[-1], case.sizes, max(1e-6, min(0.01, 2 * verdict.residual))) if verdict.closest and verdict.fitted else ""
        what += f"; closest: {verdict.nearest}" if verdict.closest else ""
        what += f" ({where_from})" if where_from else ""
    else:
        more = {"yours": verdict.formula, "wanted": f"df/d{label}", "value": verdict.value}
        from_size = origin(float(verdict.value), case.sizes) if verdict.cause == "factor" else ""
        what += f" ({verdict.value}; {from_size})" if from_size else ""
    if probe.directions is None and (which := _which(case, i, probe, label)):
        what += f"; {which}"
    known = f" ({verdict.value})" if more and verdict.value and verdict.value not in what else ""
    formulas = f"; yours {more['yours']}, expected {more['wanted']}" if more else ""
    kind = "worst" if probe.directions is None else "wrong"
    at = f"; {kind} at {label}{list(index) or ''}: manual {given:.6g}, reference {expected:.6g}" if index is not None else ""
    residual = leaf.errors[name] if verdict.cause == "unexplained" and not verdict.closest else verdict.residual
    return Fault(None, None, leaf.path, index, verdict.cause, residual, f"{where}: {what}{known}{formulas}{at}",
                 where=f"{label}, against {TITLES[name]}", what=what,
                 runner_up=verdict.runner_up if more else np.inf, given=given, expected=expected, **more)


def _which(case: Case, i: int, probe: Probe, label: str) -> str:
    """Which entries of leaf i are wrong, and what they share."""
    shape = np.shape(case.leaves[i])
    given, expected = (np.reshape(v, shape) for v in (case.given[i], probe.derivatives))
    allowed = 1e-6 * float(np.abs(expected).max(initial=0.0)) + probe.noise
    known = {f"df/d{label}": expected, label: np.asarray(case.leaves[i], dtype=np.float64)}
    beside = {name: array for name, array in case.sizes.items() if array.shape == shape and array.dtype.kind == "f" and name != label}
    known |= beside | {f"{label} - {name}": known[label] - array for name, array in beside.items()}
    return wrong_entries(given, expected, allowed, known) if shape else ""


def _located(case: Case, i: int, name: str, probe: Probe, judge: bool):
    """(index, manual, reference, verdict) of the worst entry, or of one found by bisection.

    The verdict is UNKNOWN unless `judge` is true: it may cost many calls of f.
    """
    verdict, manual = _verdict(case, i, name, probe) if judge else UNKNOWN, case.given[i].ravel()
    if probe.directions is None:
        place = int(np.argmax(np.abs(manual - probe.derivatives)))
        return _index(case, i, place), float(manual[place]), float(probe.derivatives[place]), verdict
    gap = np.abs(along(manual, probe) - probe.derivatives)
    direction = np.asarray(probe.directions[int(np.argmax(gap))], dtype=np.float64)
    place, expected = wrong_entry(case.references[name].along, case.params, i, manual, direction)
    slack = RELATIVE[name] * max(abs(manual[place]), abs(expected)) + probe.noise / len(gap) ** 0.5
    if not abs(manual[place] - expected) > slack:
        return None, None, None, verdict
    left = np.abs(along(manual, probe) - probe.directions[:, place] * (manual[place] - expected) - probe.derivatives)
    index = _index(case, i, place)
    if verdict.cause == "unexplained" and left.max() <= threshold(manual, probe, RELATIVE[name]):
        verdict = Verdict("single entry", float(np.linalg.norm(left) / np.linalg.norm(gap)), np.inf,
                          f"df/d{case.label(i)}, but for entry {list(index)}", str(list(index)), "")
    return index, float(manual[place]), float(expected), verdict


def _verdict(case: Case, i: int, name: str, probe: Probe) -> Verdict:
    """The cause, from the gradient at the point and at those beside it."""
    beside = [(params, given, right) for (params, given), right in zip(case.beside, case.expected(name, "beside"), strict=True)
              if given[i] is not None and np.isfinite(given[i]).all() and np.isfinite(right[i]).all()]
    points = [(case.params, case.given, [p.derivatives for p in case.probes[name]]), *beside]
    points[0][2][i] = probe.derivatives
    shape = (np.shape(case.leaves[i]) or (1,)) if probe.directions is None else (len(probe.derivatives),)

    def stacked(values):
        return np.stack([np.asarray(value, dtype=np.float64).reshape(shape) for value in values])

    given, expected = stacked(along(mine[i], probe) for _, mine, _ in points), stacked(right[i] for _, _, right in points)
    unit = max(case.units[i], case.unit)
    unit = ROUNDINGS * unit if unit > 2.0**-53 else unit
    if name == "fd":  # within the differences' error, all is right
        unit = max(unit, DIFFERENCES, probe.noise / (4 * (float(np.linalg.norm(expected)) or 1.0)))
        expected = np.where(np.abs(given - expected) <= probe.noise / len(probe.derivatives) ** 0.5, given, expected)
    more = [] if probe.directions is not None else [*copied(case, i, points, stacked), *cut_together(case, i, points, stacked)]
    others = [(f"df/d{case.label(j)}", stacked(right[j] for _, _, right in points)) for j in exchanged(case, i, points[0])]
    own = [np.asarray(jax.tree.leaves(params)[i], dtype=np.float64) for params, _, _ in points]
    wanted = f"df/d{case.label(i)}"
    if probe.directions is None:
        return named(given, expected, list(of_entries(given, expected, stacked(own), others, wanted, more)), unit, wanted)
    parts = [stacked(along(value, probe) for value in values) for values in (own, map(np.sign, own), map(np.ones_like, own))]
    verdict = named(given, expected, list(of_directions(given, expected, *parts, others, wanted)), unit, wanted)
    return verdict if verdict.cause in LINEAR else verdict._replace(cause="unexplained", closest="")


def inconsistencies(case: Case, bounds: Mapping[str, float]) -> list[str]:
    """Notes on references that disagree: f has a wrong custom rule, a stop_gradient or a kink."""
    names, found = list(bounds), []
    for other in names[1:]:
        wrong = []
        for i in range(len(case.paths)):
            first, second = (case.probes[name][i] for name in (names[0], other))
            if first.directions is None:
                mine = first.derivatives.reshape(np.shape(case.leaves[i]))
                second = second._replace(noise=second.noise + first.noise)
            elif second.directions is None:
                mine, second = second.derivatives.reshape(np.shape(case.leaves[i])), first
            else:
                mine, second = first.derivatives, second._replace(directions=None)
            allowed = max(bounds[names[0]], bounds[other])
            leaf = compare(case.paths[i], mine, {other: second}, {other: allowed})
            wrong += [] if leaf.right[other] else [f"{case.label(i)} (by {leaf.errors[other]:.1e})"]
        if wrong:
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            found.append(f"{TITLES[names[0]]} and {TITLES[other]} disagree at {', '.join(wrong[:_NAMED])}{more}: f holds a "
                         "wrong custom rule, a stop_gradient or a kink, so one of the two references is no measure")
    return found
