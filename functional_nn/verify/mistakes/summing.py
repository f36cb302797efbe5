"""Usual wrong sums over a batch: wrong weights, or δ and a of different examples."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from functional_nn.verify.scene import Scene

LAWS: Mapping[str, Callable[[int], float]] = {  # the batch's gradient over the right one
    "sum for mean": lambda B: B, "divided twice": lambda B: 1 / B, "B - 1": lambda B: B / (B - 1)}
DIVISORS: Mapping[str, Callable[[int], float]] = {
    "the root of B": lambda B: B**0.5, "B + 1": lambda B: B / (B + 1), "B - 2": lambda B: B / (B - 2) if B > 2 else np.inf}
REDUCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "the median": lambda g: np.median(g, axis=0), "the largest": lambda g: g.max(axis=0),
    "the smallest": lambda g: g.min(axis=0), "the product": lambda g: g.prod(axis=0),
    "the root of the mean square": lambda g: np.sqrt((g**2).mean(axis=0)),
    "the spread": lambda g: g.std(axis=0), "the variance": lambda g: g.var(axis=0),
    "the mean without sign": lambda g: np.abs(g).mean(axis=0),
    "the largest in size": lambda g: np.take_along_axis(g, np.abs(g).argmax(axis=0)[None], axis=0)[0]}
DISCOUNTS = (0.5, 0.9, 0.95, 0.99)

Summed = tuple[str, str, np.ndarray]  # cause, which, leaf


def sums(scene: Scene, leaves: Sequence[dict[str, np.ndarray]], s: int, leaf: str) -> Iterator[Summed]:
    """(cause, which, value) of a leaf of a batch for each usual wrong sum.

    `leaves` holds the leaves of each example times its share, one dict a station.
    """
    for found in (*_counted(scene, leaves[s][leaf]), *_met(scene, leaves, s, leaf)):
        if found[2].shape == leaves[s][leaf].shape[1:]:
            yield found


def _counted(scene: Scene, each: np.ndarray) -> Iterator[Summed]:
    """Sums with wrong weights of the examples, wrong reductions, and rounded sums."""
    B, share = len(each), scene.share
    sizes = np.linalg.norm(each.reshape(B, -1), axis=1)
    for cause, text, weights in _weights(B, scene.y, sizes):
        yield cause, text, np.tensordot(weights, each, axes=1)
    whole = each / share
    for text, of in REDUCTIONS.items():
        yield "wrong reduction", text, of(whole)
    total = each.sum(axis=0)
    yield "entries left out", "the smaller half", total * (np.abs(total) >= np.median(np.abs(total)))
    for kind in (np.float16, jnp.bfloat16):
        with np.errstate(over="ignore"):
            summed = whole.astype(kind).sum(axis=0)
            for text, rough in (("sums", summed), ("means", summed / np.asarray(B, kind))):
                scale = share if text == "sums" else share * B
                yield "rounded", f"{text} in {np.dtype(kind).name}", scale * rough.astype(np.float64)


def _weights(B: int, y: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """(cause, which, weights of the B examples); the right weights are 1."""
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


def _met(scene: Scene, leaves: Sequence[dict[str, np.ndarray]], s: int, leaf: str) -> Iterator[Summed]:
    """Sums in which δ of one example is multiplied by a of another, or means are multiplied."""
    place = scene.places[s]
    if leaf != place.weight:
        return
    each, delta = leaves[s][leaf], leaves[s][place.bias]
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
