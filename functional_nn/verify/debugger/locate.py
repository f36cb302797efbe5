"""Locate the wrong steps: the same-cotangent method.

At each station the user's δ shows in the gradient of its leaves. A right step takes the user's own
δ above; where its result differs from theirs, that step is wrong, and the steps after it, which
only carry its error on, are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from functional_nn.verify.debugger.anatomy import kind_of
from functional_nn.verify.debugger.look import Look
from functional_nn.verify.debugger.simulate import Run
from functional_nn.verify.debugger.tolerance import (
    INDEPENDENT,
    MENDED,
    SOLUTIONS,
    TRIES,
    agrees,
    multiple,
)
from functional_nn.verify.debugger.where import Where

Deltas = list[tuple[np.ndarray, np.ndarray]]
"""δ of a station in each look, with its noise."""


class Located(NamedTuple):
    """One explanation of all looks.

    Attributes:
      wrong: the wrong steps, from the loss down.
      runs: the user's backward pass in each look: every δ as chosen.
      chosen: the source of each station's δ: "above", "bias", "weight" or "inside".
    """

    wrong: tuple[Where, ...]
    runs: tuple[Run, ...]
    chosen: tuple[str, ...]


class _Option(NamedTuple):
    cost: int
    source: str
    wrong: tuple[Where, ...]
    deltas: Deltas


def locate(looks: Sequence[Look], changes: Mapping, mute: frozenset[Where] = frozenset()) -> list[Located]:
    """Return the explanations with the fewest wrong steps.

    At each station δ is the right one from above, or the one that the bias or the weight shows.
    Once it is chosen, a leaf that does not follow from it is a mistake.

    Args:
      looks: the looks, without the terms of penalties. Their examples are few enough to tell δ.
      changes: steps that are known to be changed, as `Run` takes them.
      mute: leaves that show nothing in these looks.
    """
    found: list[tuple[int, Located]] = []
    tries = 0

    def descend(s: int, runs: list[Run], wrong: tuple[Where, ...], chosen: tuple[str, ...], count: int) -> None:
        nonlocal tries
        if s < 0:
            found.append((count, Located(wrong, tuple(runs), chosen)))
            return
        for option in _options(looks, runs, s, mute):
            best = min((other for other, _ in found), default=np.inf)
            if count + option.cost <= best and len(found) < SOLUTIONS and tries < TRIES:
                tries += 1
                below = [_with(run, s, pair) for run, pair in zip(runs, option.deltas, strict=True)]
                descend(s - 1, below, (*wrong, *option.wrong), (option.source, *chosen), count + option.cost)

    descend(looks[0].forward.last, [Run(look.forward, changes, early=True) for look in looks], (), (), 0)
    fewest = min(count for count, _ in found)
    return [located for count, located in found if count == fewest]


def _with(run: Run, s: int, pair: tuple[np.ndarray, np.ndarray]) -> Run:
    return replace(run, deltas={**run.deltas, s: pair[0]}, noise_deltas={**run.noise_deltas, s: pair[1]},
                   cotangents=dict(run.cotangents), noise_cotangents=dict(run.noise_cotangents), leaves={}, noise={})


def _options(looks: Sequence[Look], runs: list[Run], s: int, mute) -> list[_Option]:
    """The choices of δ at station s, the ones with the fewest wrong steps first."""
    step = "head" if s == looks[0].forward.last else "pullback", s
    for run in runs:
        run.down(s)
    above = [(run.deltas[s], run.noise_deltas[s]) for run in runs]
    faults = _wrong_leaves(looks, runs, s, above, mute)
    alone = sum(where[1] == s for where in looks[0].leaves) == 1  # then a wrong δ above the leaf is likelier
    options = [_Option(_cost(looks, runs, faults) + (alone and bool(faults)), "above", faults, above)]
    if not faults and looks[0].forward.places[s].leaves:
        return options
    for source in ("bias", "weight", "inside"):
        shown = [shown_by(source, look, run, s, mute) for look, run in zip(looks, runs, strict=True)]
        if any(one is None for one in shown) or any(_alike(shown, option.deltas) for option in options):
            continue
        faults = _wrong_leaves(looks, runs, s, shown, mute)
        mends = _alike(shown, [(look.forward.share * look.right.deltas[s], look.right.noise_deltas[s]) for look in looks])
        options.append(_Option(1 + MENDED * mends + _cost(looks, runs, faults), source, (step, *faults), shown))
    return sorted(options, key=lambda option: option.cost)


def _cost(looks: Sequence[Look], runs: Sequence[Run], faults: Sequence[Where]) -> int:
    """The cost of wrong leaves: one that a right pass gives is unlikely, unless the sum is wrong too."""
    summed = ("batch", None) not in runs[0].changes
    return sum(1 + MENDED * (summed and all(agrees(look.leaves[where], look.right.leaves[where], look.room(where)) for look in looks))
               for where in faults)


def _alike(some: Deltas, others: Deltas) -> bool:
    return all(agrees(one, other, noise + room) for (one, noise), (other, room) in zip(some, others, strict=True))


def _wrong_leaves(looks, runs, s: int, deltas: Deltas, mute) -> tuple[Where, ...]:
    """The leaves of station s that do not follow from its δ."""
    def follows(look: Look, run: Run, pair, where: Where) -> bool:
        made = _with(run, s, pair)
        made.leaf(*where)
        return agrees(look.leaves[where], made.leaves[where], look.room(where, made))

    return tuple(where for where in looks[0].leaves if where[1] == s and where not in mute and not all(
        follows(look, run, pair, where) for look, run, pair in zip(looks, runs, deltas, strict=True)))


def shown_by(source: str, look: Look, run: Run, s: int, mute=frozenset()) -> tuple[np.ndarray, np.ndarray] | None:
    """Return δ of each example, as a leaf shows it, and its noise; None where it shows none."""
    f = look.forward
    if source == "inside":
        return _inside(look, run, s, mute)
    kind, where = kind_of(f.places[s].part), (source, s)
    if where in mute or where not in look.leaves or kind.factors is None or not np.isfinite(look.leaves[where]).all():
        return None
    g, noise, alike = look.leaves[where], look.noise(where), all((f.x[0] == row).all() for row in f.x)
    if ("batch", None) in run.changes:  # how often the examples count in the changed sum
        probe = _with(run, s, (look.right.deltas[s], look.right.noise_deltas[s]))
        total = multiple([probe.summed(*where)], [probe.made(*where, probe.deltas[s])])
        if not total or not np.isfinite(total):
            return None
        g, noise = g / total, noise / abs(total)
    if source == "bias":
        return tuple(_units(v / len(f.x), f.z[s]) for v in (g, noise)) if alike else None
    a = f.a[s]
    if g.ndim < 2 or not a.any(axis=1).all():
        return None
    sizes = np.linalg.svd(a, compute_uv=False)
    if not alike and (len(a) > a.shape[1] or sizes[-1] < INDEPENDENT * sizes[0]):
        return None
    back = np.linalg.pinv(a)
    return tuple(_units(v @ of, f.z[s]) for v, of in ((g, back), (noise, np.abs(back))))


def _units(v: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A δ of leaves, with the examples last or none, as (examples, units): pieces are added."""
    v = np.moveaxis(v, -1, 0) if v.shape[-1] == len(z) and v.ndim > 1 and v.shape[-2] == z.shape[1] else np.stack([v] * len(z))
    return v.sum(axis=tuple(range(1, v.ndim - 1)))


def _inside(look: Look, run: Run, s: int, mute) -> tuple[np.ndarray, np.ndarray] | None:
    """δ of a block from that of its last layer, δ ⊙ σ′, where σ′ is not 0."""
    f = look.forward
    if not f.places[s].part.parts or f.slope[s - 1] is None:
        return None
    found = next((pair for source in ("bias", "weight") if (pair := shown_by(source, look, run, s - 1, mute)) is not None), None)
    if found is None:
        return None
    slope = f.slope[s - 1]
    lost = np.abs(slope) <= INDEPENDENT
    noise = (found[1] + np.abs(found[0] / np.where(lost, 1, slope)) * f.noise_slope[s - 1]) / np.where(lost, 1, np.abs(slope))
    return np.where(lost, run.deltas[s], found[0] / np.where(lost, 1, slope)), np.where(lost, run.noise_deltas[s], noise)
