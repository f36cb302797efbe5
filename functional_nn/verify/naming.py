"""Name the wrong steps of an explanation, and choose which explanation to believe."""

import itertools
from collections.abc import Sequence

import numpy as np

from functional_nn.verify.causes import Verdict, judge
from functional_nn.verify.locate import Located, Step
from functional_nn.verify.mistakes.head import head
from functional_nn.verify.mistakes.leaf import bias, weight
from functional_nn.verify.mistakes.parts import parts
from functional_nn.verify.mistakes.pullback import pullback
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.scene import Scene
from functional_nn.verify.stations import coming_back

SITES = {"head": head, "pullback": pullback, "weight": weight, "bias": bias}

# Causes whose fitted numbers, from this index on, are numbers of units:
OF_UNITS = {"dead unit": 1, "swapped entries": 0}


def formula(places, site: str, s: int) -> str:
    """The right formula of a step as text; layers count from 0."""
    place = places[s]
    derivative = f" * {place.part.activation.name}'(z{place.label})"
    if site == "pullback":
        return f"({coming_back(places, s)}){derivative}"
    return {"head": f"dL/da{derivative}", "weight": f"outer(d{place.label}, {place.fed})", "bias": f"d{place.label}"}[site]


def verdicts(scene: Scene, located: Located) -> list[tuple[Step, Verdict]]:
    """The wrong steps of one explanation, each with its verdict."""
    view = View(scene, located.deltas, scene.expect(located.deltas))

    def verdict(step: Step) -> Verdict:
        name = formula(scene.places, step.site, step.station)
        hypotheses = itertools.chain(SITES[step.site](view, step.station, step.given),
                                     parts(step.given, step.expected, name, scene.unit))
        return judge(step.given, step.expected, hypotheses, scene.unit, name, step.noise)

    return [(step, verdict(step)) for step in located.faults]


def believed(scene: Scene, explanations: Sequence[Located]) -> tuple[Located, list[tuple[Step, Verdict]]]:
    """The explanation to believe, with its verdicts, among equally likely ones.

    It has the fewest unexplained steps; then the fewest steps, solved-for causes, causes of single
    entries or units, and wrong deltas, in this order.
    """
    def worth(pair):
        missing = sum(verdict.cause == "unexplained" for _, verdict in pair[1])
        simple = [verdict.cause in ("single entry", "swapped entries", "dead unit") for _, verdict in pair[1]]
        deltas = [step.site in ("head", "pullback") for step, _ in pair[1]]
        solved = [verdict.value == "solved for" for _, verdict in pair[1]]
        return -missing, -len(pair[1]), -sum(solved), -sum(simple), -sum(deltas)

    return max(((located, verdicts(scene, located)) for located in explanations), key=worth)


def confirmed(first: list[tuple[Step, Verdict]], second: list[tuple[Step, Verdict]], unit: float
              ) -> list[tuple[Step, Verdict]]:
    """The steps with the causes that both looks agree on; the other causes become "unexplained"."""
    def alike(one: Verdict, other: Verdict) -> bool:
        if one.cause == other.cause and one.cause in OF_UNITS:  # some may be zero in one look
            n = OF_UNITS[one.cause]
            mine, theirs = set(one.fitted[n:]), set(other.fitted[n:])
            return np.allclose(one.fitted[:n], other.fitted[:n], rtol=1e-4) and (mine <= theirs or theirs <= mine)
        return other.cause == one.cause and len(other.fitted) == len(one.fitted) and np.allclose(
            other.fitted, one.fitted, rtol=max(1e-4, 64 * unit), atol=max(1e-9, 4 * unit))

    again = {(step.site, step.station): verdict for step, verdict in second}
    found = []
    for step, verdict in first:
        other = again.get((step.site, step.station))
        if verdict.cause != "unexplained" and other is not None:
            theirs = (other, *other.others)
            same = next((one for one in (verdict, *verdict.others) if any(alike(one, their) for their in theirs)), None)
            verdict = verdict._replace(cause="unexplained", closest=verdict.cause) if same is None else same
        found.append((step, verdict))
    return found
