"""Gates: how far a replayed curve may lie from the published one."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

__all__ = ["Gate", "Verdict", "in_band", "in_range", "within"]

Curves = Mapping[str, np.ndarray]  # published: (epochs,); ours: (runs, epochs)


class Verdict(NamedTuple):
    """What a gate says of a replay.

    Attributes:
      published: the published value.
      ours: our value in the same place.
      found: what was compared, in words.
      met: whether our values pass the gate.
    """

    published: float
    ours: float
    found: str
    met: bool


class Gate(NamedTuple):
    """What must hold between our curve and the published one.

    Attributes:
      curve: the curve, in words.
      says: the condition, in words.
      needs: the number of epochs that the condition is about; 0 for all of the published ones.
      judge: (published, ours) -> the verdict, where each of them is curve -> values.
    """

    curve: str
    says: str
    needs: int
    judge: Callable[[Curves, Curves], Verdict]


def within(curve: str, most: float, unit: str = "", *, first: int = 0, last: int = 0) -> Gate:
    """The gate |ours − published| ≤ `most` at the `first` epochs, at the `last` ones, or at all.

    The verdict is about the epoch with the largest difference.
    """
    part = slice(0, first) if first else slice(-last, None) if last else slice(None)
    where = f"over the first {first} epochs" if first else (
        "at the end" if last == 1 else "everywhere")

    def judge(published: Curves, ours: Curves) -> Verdict:
        theirs = np.asarray(published[curve])
        mine = ours[curve][0]
        theirs, mine = theirs[:len(mine)][part], mine[part]
        worst = int(np.argmax(np.abs(mine - theirs)))
        apart = float(np.abs(mine - theirs)[worst])
        return Verdict(float(theirs[worst]), float(mine[worst]), f"{apart:.2g}{unit}", apart <= most)

    return Gate(curve, f"within {most:g}{unit} {where}", first or (0 if last else 1), judge)


def in_range(curve: str) -> Gate:
    """The gate for a run that rounding alone makes another: it stays in the published range."""
    def judge(published: Curves, ours: Curves) -> Verdict:
        theirs, mine = np.asarray(published[curve]), ours[curve][0]
        low, high = float(theirs.min()), float(theirs.max())
        return Verdict(float(theirs.mean()), float(mine.mean()),
                       f"{mine.min():.3f} to {mine.max():.3f}",
                       bool(low <= mine.min() and mine.max() <= high))

    return Gate(f"{curve}, mean", "within the published range everywhere", 0, judge)


def in_band(first: str, last: str, low: float, high: float, share: float = 0.95) -> Gate:
    """The gate for what was drawn without a seed: the ratio of two curves before training.

    For a share of our seeds, the ratio of the curve `last` to `first` lies from `low` to `high`.
    """
    def judge(published: Curves, ours: Curves) -> Verdict:
        ratios = ours[last][:, 0] / ours[first][:, 0]
        inside = (ratios >= low) & (ratios <= high)
        return Verdict(float(published[last][0] / published[first][0]), float(np.median(ratios)),
                       f"{inside.sum()} of {len(inside)} seeds", bool(inside.mean() >= share))

    return Gate(f"{last} over {first}, ratio of ‖mean δ‖ before training",
                f"{low:g} to {high:g} for {share:.0%} of the seeds", 1, judge)
