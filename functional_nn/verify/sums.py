"""Name wrong sums over a batch from the exact bits of a gradient that is rounded at the end.

If single examples are reproduced to the last bit, their sum is known exactly. Each usual wrong way
of summing predicts every entry of the batch's gradient, rounded. A way that fits every batch is
believed.
"""

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np

from functional_nn.verify.batches import BATCHES, BatchFault
from functional_nn.verify.bits import KNOWN, SEEN, Bits, Key, Walk, walked
from functional_nn.verify.meetings import mixtures
from functional_nn.verify.mistakes.mixing import Cause
from functional_nn.verify.mistakes.summing import sums
from functional_nn.verify.trial import Trial

# causes in one leaf, not in the weights of the examples
MEETING = frozenset({"shuffled examples", "averaged too early"})


class Batch(NamedTuple):
    """One batch: its bits, and the deltas and leaves of its examples, times their share.

    They are the deltas and leaves of the walk over single examples, known mistakes included.
    """

    bits: Bits
    deltas: list[np.ndarray]
    leaves: list[dict[str, np.ndarray]]

    def fits(self, s: int, leaf: str, predicted: np.ndarray) -> bool:
        """Whether a predicted leaf, rounded, equals the given one."""
        return self.bits.fits(s, leaf, predicted, KNOWN, np.abs(self.leaves[s][leaf]).sum(axis=0))

    def distance(self, s: int, leaf: str) -> float:
        """The largest error of a leaf against the sum, in spacings of adjacent numbers."""
        bits, expected = self.bits, self.leaves[s][leaf].sum(axis=0)
        return bits.distance(bits.scene.gradients[s][leaf], expected, bits.noise[s][leaf])


class Sums(NamedTuple):
    """The faults of the batches, and the leaves they explain.

    Attributes:
      faults: they explain every bit.
      explained: (site, station) of the leaves with no other mistake.
    """

    faults: list[BatchFault]
    explained: Set[Key]


def sums_to_the_bit(trial: Trial, known: Set[Key], hidden: bool = False) -> Sums | None:
    """What is wrong with the sums over batches; None if some bits remain unexplained.

    Args:
      known: (site, station) of the mistakes that single examples show.
      hidden: whether the averages show no mistake. Some entry must then be off by more than `SEEN`.
    """
    walk = walked(trial, known)
    if walk is None or not walk.whole:
        return None
    rows = [*BATCHES, tuple(range(min(len(trial.X), len(walk.bits.scene.y))))]
    batches = [_batch(trial, walk, each) for each in dict.fromkeys(rows) if max(each) < len(trial.X)]
    leaves = {(site, s): leaf for s, place in enumerate(trial.subject.places) for site, leaf in place.leaves.items()
              if (site, s) not in walk.found}
    off = {(site, s) for (site, s), leaf in leaves.items()
           if not all(batch.fits(s, leaf, batch.leaves[s][leaf].sum(axis=0)) for batch in batches)}
    far = max((batch.distance(s, leaves[site, s]) for site, s in off for batch in batches), default=0.0)
    if not off or (hidden and far <= SEEN):
        return Sums([], set())
    found = _explained(batches, leaves, off)
    return None if found is None else Sums(found, set(leaves))


def _explained(batches: Sequence[Batch], leaves: Mapping[Key, str], off: Set[Key]) -> list[BatchFault] | None:
    """The faults of the leaves that are off; None if some are unexplained."""
    every = {(site, s): _common(batches, functools.partial(_of_leaf, s=s, leaf=leaf)) for (site, s), leaf in leaves.items()}
    told = {key: every[key] for key in off}
    shared = _shared(told)
    top = max(s for _, s in off)
    odd = [key for key, causes in told.items() if shared not in causes]
    rest = [key for key, causes in every.items() if key not in off and shared not in causes]
    if shared and not rest and len(odd) <= (len(off) > 2):
        return [BatchFault("batch", None, shared[0], 0.0, shared[1]),
                *(BatchFault(site, s, "unexplained", 1.0) for site, s in odd)]
    alike = off - set(odd)
    below = max((s for _, s in alike), default=-1)
    if shared and len(alike) > 1 and alike == {(site, s) for site, s in leaves if s <= below} and all(told[key] for key in odd):
        return [BatchFault("pullback", below, shared[0], 0.0, shared[1]),
                *(BatchFault(site, s, told[site, s][0][0], 0.0, told[site, s][0][1]) for site, s in sorted(odd))]
    if len(off) > 1 and (found := _of_deltas(batches, top, leaves)) is not None:
        return found
    if not all(told.values()):
        return None
    return [BatchFault(site, s, causes[0][0], 0.0, causes[0][1]) for (site, s), causes in sorted(told.items())]


def _shared(told: Mapping[Key, list[Cause]]) -> Cause | None:
    """The wrong weights shared by every wrong leaf, or by all but one; else None."""
    counts = Counter(cause for causes in told.values() for cause in causes if cause[0] not in MEETING)
    return next((cause for cause, count in counts.most_common(1) if count >= len(told) - (len(told) > 2)), None)


def _batch(trial: Trial, walk: Walk, rows: Sequence[int]) -> Batch:
    bits, rows = Bits.of(trial.rounded(), rows, single=False), list(rows)
    share = bits.scene.share
    return Batch(bits, [share * delta[rows] for delta in walk.deltas],
                 [{leaf: share * g[rows] for leaf, g in own.items()} for own in walk.leaves])


def _common(batches: Sequence[Batch], of: Callable[[Batch], list[Cause]]) -> list[Cause]:
    """The causes that fit every batch, the likeliest first."""
    first, *others = map(of, batches)
    return [cause for cause in first if all(cause in other for other in others)]


def _of_leaf(batch: Batch, s: int, leaf: str) -> list[Cause]:
    """The causes whose way of summing gives this leaf."""
    made = [(cause, text, predicted) for cause, text, predicted in sums(batch.bits.scene, batch.leaves, s, leaf)
            # rounding to its own dtype is no mistake
            if (cause, text.split(" in ")[-1]) != ("rounded", np.dtype(batch.bits.dtype).name)]
    return list(dict.fromkeys((cause, text) for cause, text, predicted in made if batch.fits(s, leaf, predicted)))


def _of_deltas(batches: Sequence[Batch], top: int, leaves: Mapping[Key, str]) -> list[BatchFault] | None:
    """The fault of a δ of station `top` that mixes examples, if all leaves below follow from it."""
    site = "head" if top == len(batches[0].bits.scene.places) - 1 else "pullback"
    watched = {(s, leaf) for (_, s), leaf in leaves.items()}

    def of(batch: Batch) -> list[Cause]:
        def fits(s: int, leaf: str, made: np.ndarray) -> bool:
            return (s, leaf) not in watched or batch.fits(s, leaf, made)

        return [(cause, text.split(" of examples")[0]) for cause, text in mixtures(batch.bits.scene, batch.deltas, top, fits)]

    kinds = [of(batch) for batch in batches]
    common = [cause for cause in kinds[-1] if all(cause in kind for kind in kinds)]
    return [BatchFault(site, top, common[0][0], 0.0, common[0][1])] if common else None
