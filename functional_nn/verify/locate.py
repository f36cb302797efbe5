"""Locate the wrong steps of a backward pass.

The search goes from the loss down, station by station, and chooses the user's deltas so that the
fewest steps are wrong.
"""

from collections.abc import Iterator, Set
from typing import NamedTuple

import numpy as np

from functional_nn.verify.scene import Scene, differ, with_delta

SOLUTIONS, TRIES = 16, 200
SPREAD = 16.0  # an error may be this many times the twins' deviation
MENDED = 3  # the extra cost, in faults, of a mistake that cancels another one


class Step(NamedTuple):
    """One step of the backward pass at a station, beside a right step with the same cotangent.

    Attributes:
      site: "head", "pullback", "weight" or "bias".
      station: the station's index.
      given: the user's result, (examples, …).
      expected: the right result from the same cotangent, of the same shape.
      wrong: whether the two differ beyond rounding.
      noise: the norm of the error in `expected` due to rounding of the cotangent.
      mends: whether the step is wrong but its result is that of a pass without any mistake.
    """

    site: str
    station: int
    given: np.ndarray
    expected: np.ndarray
    wrong: bool
    noise: float = 0.0
    mends: bool = False


class Located(NamedTuple):
    """One explanation of a backward pass.

    Attributes:
      steps: all steps, from the head down.
      deltas: the δ of each station in the user's backward pass.
      chosen: for each station the source of its δ, such as "above" or "bias".
    """

    steps: tuple[Step, ...]
    deltas: tuple[np.ndarray, ...]
    chosen: tuple[str, ...]

    @property
    def faults(self) -> tuple[Step, ...]:
        """Return the wrong steps."""
        return tuple(step for step in self.steps if step.wrong)


def locate(scene: Scene, ignored: Set[tuple[str, int]] = frozenset(), own: bool = False) -> list[Located]:
    """Return the explanations with the fewest wrong steps.

    At each station there are several candidates for the user's δ: the right step from the δ above,
    the bias's gradient, and the δ in the weight's gradient. Once one of them is chosen, a candidate
    that disagrees is a mistake, and so is a step below that does not follow from it. If all agree,
    there is no choice. A mistake that turns a wrong δ into the right one is unlikely and costs
    more: it is likelier that the wrong δ was used only in that station's leaves.

    Args:
      scene: the user's gradients and the right steps.
      ignored: (site, station) of steps that are known to be wrong already, and do not count.
      own: whether, among explanations with equally many faults, those in which the leaves are
        right for a wrong δ come first.
    """
    found: list[tuple[int, Located]] = []
    tries = 0

    def descend(s: int, deltas, copies, steps, chosen, count: int) -> None:
        nonlocal tries
        if s < 0:
            found.append((count, Located(tuple(steps), tuple(deltas), tuple(reversed(chosen)))))
            return
        options = _options(scene, deltas, copies, s, ignored, truth)
        for option in sorted(options, key=lambda option: (option.cost, own and option.name == "above")):
            best = min((cost for cost, _ in found), default=len(scene.places) * 3)
            if count + option.cost <= best and len(found) < SOLUTIONS and tries < TRIES:
                tries += 1
                descend(s - 1, with_delta(deltas, s, option.delta), option.copies, [*steps, *option.steps],
                        [*chosen, option.name], count + option.cost)

    nothing, truth = [np.zeros_like(z) for z in scene.forward.z], scene.true_deltas()
    descend(len(scene.places) - 1, nothing, [nothing for _ in scene.twins], [], [], 0)
    fewest = min(count for count, _ in found)
    return [located for count, located in found if count == fewest]


class _Option(NamedTuple):
    """A choice of δ at a station.

    `copies` holds all deltas so far for each twin of the scene, each with other rounding errors.
    """

    cost: int
    name: str
    delta: np.ndarray
    copies: list[list[np.ndarray]]
    steps: list[Step]


def _options(scene: Scene, deltas, copies, s: int, ignored, truth) -> list[_Option]:
    """Return the choices of δ at station s, those with the fewest faults first.

    `truth` holds the deltas of a right backward pass.
    """
    place, right, options = scene.places[s], scene.right(deltas, s), []
    site = "head" if s == len(scene.places) - 1 else "pullback"
    rights = [twin.right(copy, s) for twin, copy in zip(scene.twins, copies, strict=True)]
    cotangent = 0.0
    if scene.twins:  # if the deltas above are 0, only twins show the size of the rounding
        some = zip(scene.twins[:2], copies, strict=False)
        cotangent = np.max([scene.cotangent(deltas, s), *(twin.cotangent(copy, s) for twin, copy in some)], axis=0)
    noise = float(np.linalg.norm(_deviation(rights, right) + SPREAD * scene.inner * cotangent))
    for name, delta in scene.candidates(s, right):
        if (name, s) in ignored:
            continue
        wrong = name != "above" and differ(delta, right, scene.tolerance, noise + scene.floor)
        # a step to be ignored may be nearly right here, so its δ stays a choice
        known = (site, s) not in ignored and (
            not wrong or any(not differ(delta, other.delta, scene.tolerance) for other in options))
        if name != "above" and (known or not np.isfinite(delta).all()):
            continue
        here, origins = with_delta(deltas, s, delta), rights if name == "above" else [delta] * len(copies)
        chosen = _shaken(scene, origins, s, scene.inner if name == "above" else scene.unit, cotangent)
        moved = [with_delta(copy, s, other) for copy, other in zip(copies, chosen, strict=True)]
        mends = wrong and not differ(delta, truth[s], scene.tolerance)
        steps = [Step(site, s, delta, right, wrong, noise, mends), *_leaves(scene, s, here, moved, truth)]
        cost = sum(step.wrong + MENDED * step.mends for step in steps if (step.site, s) not in ignored)
        options.append(_Option(cost, name, delta, moved, steps))
        if name == "above" and place.leaves and not any(step.wrong for step in steps):
            break
    return sorted(options, key=lambda option: option.cost)


def _leaves(scene: Scene, s: int, deltas, copies, truth) -> Iterator[Step]:
    """Yield the steps that compute the leaves of station s."""
    made, true = scene.made(deltas, s), None
    others = [twin.made(copy, s) for twin, copy in zip(scene.twins, copies, strict=True)]
    for site, leaf in scene.places[s].leaves.items():
        deviation = _deviation([other[leaf] for other in others], made[leaf])
        wrong = scene.wrong(s, leaf, made[leaf], deviation if scene.single else deviation.sum(axis=0))
        true = scene.made(truth, s) if wrong and true is None else true
        mends = wrong and not scene.wrong(s, leaf, true[leaf])
        yield Step(site, s, scene.gradients[s][leaf], made[leaf], wrong, float(np.linalg.norm(deviation)), mends)


def _shaken(scene: Scene, deltas: list[np.ndarray], s: int, unit: float, cotangent) -> list[np.ndarray]:
    """Return the twins' deltas, each with other random rounding errors.

    They include rounding of the cotangent, which matters where σ′ is almost 0.
    """
    if not deltas:
        return []
    room = (unit + 3 * scene.inner) * np.abs(deltas[0]) + 4 * scene.inner * cotangent
    if (unit != scene.inner or scene.loose) and scene.slack is not None and scene.single and scene.places[s].leaves:
        slack = scene.slack[s][scene.places[s].bias]
        room = room + (slack if slack.shape == room.shape else slack.sum(axis=1) if slack.ndim > room.ndim else 0)
    signs = np.random.default_rng(s).choice([-1.0, 1.0], size=(len(deltas), *room.shape))
    return [delta + room * sign for delta, sign in zip(deltas, signs, strict=True)]


def _deviation(copies, centre: np.ndarray) -> np.ndarray:
    """Return SPREAD times the root mean square deviation of the copies from `centre`."""
    if not copies:
        return np.zeros_like(centre)
    return SPREAD * np.sqrt(np.mean([(copy - centre) ** 2 for copy in copies], axis=0))
