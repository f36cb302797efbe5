"""Sums over a batch that are rounded at the end, to the last bit: how do the examples count, and what meets what?

Where single examples come out to the last bit, their sum is known exactly. Each way of summing that people get wrong predicts
every entry of the batch's gradient, rounded; the one that fits every batch is believed.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from functional_nn.verify.batches import BATCHES, DIVISORS, LAWS, REDUCTIONS, BatchFault, mixtures
from functional_nn.verify.bits import KNOWN, SEEN, Bits, Key, Walk, walked
from functional_nn.verify.trial import Trial

DISCOUNTS = (0.5, 0.9, 0.95, 0.99)
MEETING = frozenset({"shuffled examples", "averaged too early"})  # of one leaf: not how the examples count

Cause = tuple[str, str]  # and a text: which of them


class Batch(NamedTuple):
    """One batch: its bits, and of each of its examples the right δ, with its share, and the user's own leaves."""

    bits: Bits
    deltas: list[np.ndarray]
    leaves: list[dict[str, np.ndarray]]

    def fits(self, s: int, leaf: str, predicted: np.ndarray) -> bool:
        """Whether a leaf comes out, rounded, as given."""
        return self.bits.fits(s, leaf, predicted, KNOWN, np.abs(self.leaves[s][leaf]).sum(axis=0))

    def distance(self, s: int, leaf: str) -> float:
        """By how much a leaf is off from the sum, in distances of two numbers."""
        bits, expected = self.bits, self.leaves[s][leaf].sum(axis=0)
        return bits.distance(bits.scene.gradients[s][leaf], expected, bits.noise[s][leaf])


class Sums(NamedTuple):
    """faults: of batches, which explain every bit. explained: (site, station) of leaves of which nothing else is wrong."""

    faults: list[BatchFault]
    explained: Set[Key]


def sums_to_the_bit(trial: Trial, known: Set[Key], hidden: bool = False) -> Sums | None:
    """What is wrong with the sums over batches; None where something is left that nothing explains.

    Args:
      known: (site, station) of the mistakes that single examples show.
      hidden: whether no average shows anything wrong: then some entry must be off by more than rounding twice.
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
    """What is wrong with the sums of the leaves that are off."""
    every = {(site, s): _common(batches, functools.partial(_of_leaf, s=s, leaf=leaf)) for (site, s), leaf in leaves.items()}
    told = {key: every[key] for key in off}
    shared = _shared(told)
    top = max(s for _, s in off)
    odd = [key for key, causes in told.items() if shared not in causes]
    rest = [key for key, causes in every.items() if key not in off and shared not in causes]
    if shared and not rest and len(odd) <= (len(off) > 2):
        return [BatchFault("batch", None, shared[0], 0.0, shared[1]),
                *(BatchFault(site, s, "unexplained", 1.0) for site, s in odd)]
    if shared and not odd and off == {(site, s) for site, s in leaves if s <= top} and len(off) > 1:
        return [BatchFault("pullback", top, shared[0], 0.0, shared[1])]
    if len(off) > 1 and (found := _of_deltas(batches, top, leaves)) is not None:
        return found
    if not all(told.values()):
        return None
    return [BatchFault(site, s, causes[0][0], 0.0, causes[0][1]) for (site, s), causes in sorted(told.items())]


def _shared(told: Mapping[Key, list[Cause]]) -> Cause | None:
    """How the examples count in every wrong leaf, or in all but one."""
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
    """The ways of summing that give this leaf."""
    found = [(cause, text) for cause, text, predicted in (*_counted(batch, s, leaf), *_met(batch, s, leaf))
             if predicted.shape == batch.leaves[s][leaf].shape[1:] and batch.fits(s, leaf, predicted)]
    return list(dict.fromkeys(found))


def _counted(batch: Batch, s: int, leaf: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """(cause, which, leaf): the examples count otherwise, or something else than their sum is taken."""
    each, B = batch.leaves[s][leaf], len(batch.leaves[s][leaf])
    sizes = np.linalg.norm(each.reshape(B, -1), axis=1)
    for cause, text, weights in _weights(B, batch.bits.scene.y, sizes):
        yield cause, text, np.tensordot(weights, each, axes=1)
    whole = each / batch.bits.scene.share
    for text, of in REDUCTIONS.items():
        yield "wrong reduction", text, of(whole)
    for kind in (kind for kind in (np.float16, jnp.bfloat16) if kind != batch.bits.dtype):  # its own is rounding, no mistake
        with np.errstate(over="ignore"):
            summed = whole.astype(kind).sum(axis=0)
            for text, total in (("sums", summed), ("means", summed / np.asarray(B, kind))):
                scale = batch.bits.scene.share if text == "sums" else batch.bits.scene.share * B
                yield "rounded", f"{text} in {np.dtype(kind).name}", scale * total.astype(np.float64)


def _weights(B: int, y: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """(cause, which, how often each of B examples counts)."""
    ones, places = np.ones(B), np.arange(B)
    for cause, of in LAWS.items():
        yield cause, "", of(B) * ones
    for text, of in DIVISORS.items():
        if np.isfinite(of(B)):
            yield "wrong divisor", text, of(B) * ones
    for text, i in (("the first", 0), ("the last", B - 1), ("the largest", int(sizes.argmax())),
                    ("the smallest", int(sizes.argmin()))):
        only = 1.0 * (places == i)
        yield "one example only", text, only
        yield "one example only", f"{text}, not divided", B * only
        yield "examples left out", f"{text}", 1 - only
        yield "examples left out", f"{text}, divided by the rest", B / (B - 1) * (1 - only)
    for text, weights in (("the first", B - places), ("the last", places + 1)):
        yield "examples weighted", f"{text} most often", 1.0 * weights
    for rate in DISCOUNTS:
        yield "examples weighted", f"discounted by {rate:g}, the first most", rate ** (B - 1.0 - places)
        yield "examples weighted", f"discounted by {rate:g}, the last most", rate ** (1.0 * places)
    often = (y[:, None] == y[None]).all(axis=-1).sum(axis=1)
    for text, weights in (("by how rare their class is", 1 / often), ("and divided by the classes", 1 / often / y.shape[1])):
        yield "examples weighted", text, B * weights


def _met(batch: Batch, s: int, leaf: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """(cause, which, leaf): δ of one example met a of another."""
    place, scene = batch.bits.scene.places[s], batch.bits.scene
    if leaf != place.weight:
        return
    each, delta = batch.leaves[s][leaf], batch.leaves[s][place.bias]
    B = len(each)
    a = np.asarray(scene.forward.inputs[s])
    if each.ndim == 2:
        a = (a - a.mean(axis=1, keepdims=True)) / np.sqrt(a.var(axis=1, keepdims=True) + 1e-5)

    def product(d, v):
        return d * v if each.ndim == 2 else np.einsum("...j,...k->...jk", d, v[(slice(None), *[None] * (d.ndim - 2))])

    if product(delta, a).shape != each.shape:
        return
    orders = [np.roll(range(B), 1), np.roll(range(B), -1), np.arange(B)[::-1], np.zeros(B, int), np.full(B, B - 1)]
    texts = ["the one before", "the one after", "those in reverse", "the first", "the last"]
    for text, order in zip(texts, orders, strict=True):
        if not np.array_equal(order, range(B)):
            yield "shuffled examples", f"delta of each example meets a of {text}", product(delta, a[order]).sum(axis=0)
    means = product(delta.sum(axis=0, keepdims=True), a.mean(axis=0, keepdims=True))[0]
    for text, times in (("means", 1), ("sums, divided once", B), ("sums", B**2)):
        yield "averaged too early", f"a product of {text}", times * means


def _of_deltas(batches: Sequence[Batch], top: int, leaves: Mapping[Key, str]) -> list[BatchFault] | None:
    """A δ of station `top` that mixes examples, where everything else follows from it."""
    site = "head" if top == len(batches[0].bits.scene.places) - 1 else "pullback"
    watched = {(s, leaf) for (_, s), leaf in leaves.items()}

    def of(batch: Batch) -> list[Cause]:
        def fits(s: int, leaf: str, made: np.ndarray) -> bool:
            return (s, leaf) not in watched or batch.fits(s, leaf, made)

        return [(cause, text.split(" of examples")[0]) for cause, text in mixtures(batch.bits.scene, batch.deltas, top, fits)]

    kinds = [of(batch) for batch in batches]
    common = [cause for cause in kinds[-1] if all(cause in kind for kind in kinds)]
    return [BatchFault(site, top, common[0][0], 0.0, common[0][1])] if common else None
