"""Put a diagnosis into words: the faults and the remarks of the report."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from functional_nn.verify.causes import CAUSES
from functional_nn.verify.debugger.diagnosis import Diagnosis
from functional_nn.verify.debugger.explain import Finding, Named
from functional_nn.verify.debugger.look import Look, Subject
from functional_nn.verify.debugger.tolerance import UNITS
from functional_nn.verify.debugger.where import DELTAS, Where
from functional_nn.verify.report import Fault
from functional_nn.verify.stations import Station, above, coming_back

PLACES = {"head": "the head, delta{layer} at the output",
          "pullback": "the pullback to delta{layer}, given your own delta{upper}",
          "weight": "the weight gradient of layer {layer}, given your own delta{layer}",
          "bias": "the bias gradient of layer {layer}, given your own delta{layer}",
          "batch": "the batch's gradient, given that of single examples",
          "finish": "the finished gradient",
          "penalty": "the penalty, the same for every example"}
OTHER_LEAF = "the gradient of {leaf} of layer {layer}, given your own delta{layer}"
RIGHT = {"batch": "the mean over the examples", "penalty": "the cost's own penalty",
         "finish": "the gradient"}


def faults_of(found: Diagnosis, subject: Subject) -> tuple[Fault, ...]:
    """Return the faults of a diagnosis, in the order in which it found them."""
    return tuple(fault for finding in found.findings for fault in _faults(finding, subject))


def _faults(finding: Finding, subject: Subject) -> Iterator[Fault]:
    if finding.where[0] != "finish" or finding.cause != "exchanged leaves":
        yield _fault(finding, subject)
        return
    what = CAUSES[finding.cause]  # each of the leaves is a fault of its own
    for site, s in dict.fromkeys(where for pair in finding.named[0].numbers[0] for where in pair):
        place = subject.given.places[s]
        path = subject.given.path(s, place.leaves[site])
        yield Fault(site, place.layer, path, None, finding.cause, 0.0, f"{path}: {what}", path, what)


def _fault(finding: Finding, subject: Subject) -> Fault:
    (site, s), places = finding.where, subject.given.places
    where, right = place_of(finding.where, places), right_formula(places, finding.where)
    index, given, expected = _worst(finding) if s is not None and site not in DELTAS else (None, *_worst(finding)[1:])
    if index is not None:
        index = subject.given.index(s, places[s].leaves[site], index)
    named, closest = finding.named[0] if finding.named else None, finding.closest
    yours = "" if named is None else formula(places, finding.where, named)
    value = "" if named is None else value_of(named)
    what = CAUSES[finding.cause]
    if value:
        what += f" ({yours if s is None else value})"
    if closest is not None:
        what += (f"; closest: {CAUSES[closest.mistake.cause]} "
                 f"({formula(places, finding.where, closest)}), which leaves {closest.left:.0e} of the error")
    left = named.left if named else closest.left if closest else float("inf")
    message = f"{where}: {what}. {f'yours {yours}, ' * bool(yours)}expected {right} [residual {left:.0e}]"
    return Fault("batch" if site == "finish" else site, None if s is None else places[s].layer,
                 leaf_of(finding.where, subject), index, finding.cause, left, message, where, what,
                 yours, right, value, given=given, expected=expected)


def place_of(where: Where, places: Sequence[Station]) -> str:
    """Return the place of a step in words."""
    site, s = where
    if s is None:
        return PLACES[site]
    upper = places[above(places, s)].label if s < len(places) - 1 else None
    return PLACES.get(site, OTHER_LEAF).format(layer=places[s].label, upper=upper, leaf=site)


def leaf_of(where: Where, subject: Subject) -> str:
    """Return the path of the leaf that shows the fault; for a δ, the weight computed from it."""
    site, s = where
    if s is None:
        return ""
    s = next((t for t in range(s, -1, -1) if subject.given.places[t].leaves), s)
    leaves = subject.given.places[s].leaves
    return subject.given.path(s, leaves.get(site) or next(iter(leaves.values()))) if leaves else ""


def right_formula(places: Sequence[Station], where: Where) -> str:
    """Return the right formula of a step; layers count from 0."""
    site, s = where
    if s is None:
        return RIGHT[site]
    place = places[s]
    derivative = f" * {place.part.activation.name}'(z{place.label})"
    if site == "pullback":
        return f"({coming_back(places, s)}){derivative}"
    return {"head": f"dL/da{derivative}", "weight": f"outer(d{place.label}, {place.fed})",
            "bias": f"d{place.label}"}.get(site, f"vjp({place.part.kind}, {site})(d{place.label})")


def formula(places: Sequence[Station], where: Where, named: Named) -> str:
    """Return the formula of a mistake in a step; a number that is a station is its layer."""
    s, names = where[1], {"right": right_formula(places, where), "value": "p"}
    if s is not None:
        place = places[s]
        names |= {"z": f"z{place.label}", "a": f"a{place.label}", "delta": f"d{place.label}",
                  "input": place.fed, "sigma": place.part.activation.name, "back": names["right"],
                  "cotangent": coming_back(places, s) if s < len(places) - 1 else "dL/da"}
    numbers = ["…" if isinstance(n, np.ndarray | dict) else places[n].label if type(n) is int and n >= 0 else n
               for n in named.numbers]
    text = named.mistake.formula.format(*numbers, **names)
    return re.sub(r"(?<![\d.])1 \* ", "", text)


def value_of(named: Named) -> str:
    """Return the fitted numbers as text."""
    return ", ".join(f"{n:.6g}" if isinstance(n, float) else str(n) for n in named.numbers
                     if isinstance(n, float | str) and n != 1.0)


def _worst(finding: Finding) -> tuple[tuple[int, ...] | None, float | None, float | None]:
    """The index of the worst entry over all looks, and both values there."""
    found, gap = (None, None, None), 0.0
    for given, expected in zip(finding.given, finding.expected, strict=True):
        off = np.abs(given - expected)
        at = np.unravel_index(int(np.argmax(off)), off.shape)
        if off[at] > gap:
            gap, found = off[at], (tuple(map(int, at)), float(given[at]), float(expected[at]))
    return found


def remarks(found: Diagnosis, subject: Subject, look: Look, wrong: Sequence[str]) -> dict[str, Any]:
    """Return the report's fields hence, clear and cleared; `wrong` holds the wrong leaves' paths."""
    places, faulty = subject.given.places, {finding.where for finding in found.findings}
    if not faulty:
        return {}
    steps = [("head" if s == len(places) - 1 else "pullback", s) for s in range(len(places))]
    steps += [(site, s) for s, place in enumerate(places) for site in place.leaves
              if not (site == "bias" and s in subject.given.without)]
    clear = [f"{site} {places[s].label}" for site, s in sorted(steps, key=lambda step: -step[1])
             if (site, s) not in faulty]
    clear += ["the sum over the batch"] * found.even
    cleared = [f"rounding ({error / (UNITS * subject.unit):.0e} x bound)" for error in [_error(found)] if error]
    sizes = [np.abs(z).min() for place, z in zip(places, look.forward.z, strict=True)
             if place.part.activation.kink and z.size]
    cleared += [f"kink (min |z| {min(sizes):.0e})"] if sizes else []
    single = all(s is not None for _, s in faulty)
    hence = ""
    if single and found.even and wrong:
        several = "these steps are" if len(faulty) > 1 else "this step is"
        hence = f"{' '.join(wrong[:8])}{' …' * (len(wrong) > 8)} wrong; correct once {several} replaced"
    return {"clear": tuple(clear) if single else (), "cleared": tuple(cleared), "hence": hence}


def _error(found: Diagnosis) -> float:
    """The largest relative error of a wrong step."""
    pairs = [pair for finding in found.findings for pair in zip(finding.given, finding.expected, strict=True)]
    return max((float(np.abs(g - e).max() / max(np.abs(e).max(), np.abs(g).max(), 1e-300))
                for g, e in pairs if np.isfinite(g).all() and np.size(g)), default=0.0)
