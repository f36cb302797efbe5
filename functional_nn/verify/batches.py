"""What goes wrong only when examples meet: the batch's gradient against the mean of the user's own single ones."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from functional_nn.verify.causes import TINY, multiple
from functional_nn.verify.locate import differ
from functional_nn.verify.stations import Station


class BatchFault(NamedTuple):
    """site and station (None for all) of a mistake in a batch; residual: share of the error it leaves."""

    site: str
    station: int | None
    cause: str
    residual: float
    value: str


LAWS = {  # c(B): the batch's gradient over the mean of the single ones
    "sum for mean": lambda B: B,
    "divided twice": lambda B: 1 / B,
    "B - 1": lambda B: B / (B - 1),
}


def batch_faults(places: tuple[Station, ...], singles, batches: Sequence[tuple[int, list]], factors, reduction: str,
                 tolerance: float, unit: float) -> list[BatchFault]:
    """The faults that single examples do not show.

    Args:
      singles: one dict a station, each leaf (examples, …): the user's gradient of each example.
      batches: (B, the user's gradient of the first B examples as one dict a station), several B.
      factors: for each station (δ, a) of each example, to see which δ met which a; None for what is no matrix.
      reduction: what the cost does over examples.
    """
    share = (lambda B: 1 / B) if reduction == "mean" else (lambda B: 1.0)
    wrong = {}  # (station, leaf) -> [(B, given, expected)]
    for B, gradients in batches:
        for s, place in enumerate(places):
            for leaf in (place.weight, place.bias):
                expected = singles[s][leaf][:B].sum(axis=0) * share(B)
                if differ(gradients[s][leaf], expected, tolerance):
                    wrong.setdefault((s, leaf), []).append((B, gradients[s][leaf], expected))
    if not wrong:
        return []
    verdicts = {(s, leaf): _verdict(cases, singles[s][leaf], factors[s] if leaf == places[s].weight else None, reduction, unit)
                for (s, leaf), cases in wrong.items()}
    return _grouped(places, verdicts)


def _verdict(cases, single: np.ndarray, factors, reduction: str, unit: float) -> tuple[str, float, str]:
    """(cause, residual, value) of one leaf, rounded to `unit`."""
    tiny = max(TINY, *(4 * unit * np.linalg.norm(given) / np.linalg.norm(given - expected) for _, given, expected in cases))
    scales = [(B, multiple(given, expected)) for B, given, expected in cases]
    error = max(np.linalg.norm(given - c * expected) / np.linalg.norm(given - expected)
                for (_, c), (_, given, expected) in zip(scales, cases, strict=True))
    if error <= tiny:
        for cause, law in LAWS.items():
            name = "mean for sum" if reduction == "sum" and cause == "divided twice" else cause
            if all(np.isclose(c, law(B), rtol=max(1e-7, 4 * unit)) for B, c in scales):
                return name, error, ""
        if np.allclose([c for _, c in scales], 0):
            return "zero", error, ""
        return "factor", error, ", ".join(f"{c:.4g} at B = {B}" for B, c in scales)
    B, given, expected = cases[-1]
    for i in range(B):
        c = multiple(given, single[i])
        left = np.linalg.norm(given - c * single[i]) / np.linalg.norm(given - expected)
        if left <= tiny:
            return "one example only", float(left), f"example {i}, times {c:.4g}"
    return _pairing(cases, factors, max(1e-6, tiny)) if factors is not None else ("unexplained", 1.0, "")


def _pairing(cases, factors, tiny: float) -> tuple[str, float, str]:
    """Which δ met which a: Σ Mᵢⱼ δᵢ aⱼᵀ solved for M; a permutation is a shuffle."""
    delta, a = factors
    for B, given, expected in cases:
        d, x = delta[:B], a[:B]
        if min(np.linalg.matrix_rank(d), np.linalg.matrix_rank(x)) < B:
            continue
        M = np.linalg.pinv(d.T) @ given @ np.linalg.pinv(x)
        left = np.linalg.norm(given - d.T @ M @ x) / np.linalg.norm(given - expected)
        used = np.abs(M) > 10 * tiny * np.abs(M).max()
        if left <= tiny and (used.sum(axis=1) == 1).all():
            return "shuffled examples", float(left), f"delta of example i meets a of {np.argmax(used, axis=1).tolist()}"
    return "unexplained", 1.0, ""


def _grouped(places, verdicts) -> list[BatchFault]:
    """One fault for what all leaves share, or all below a station; else one a leaf."""
    leaves = [(s, leaf) for s, place in enumerate(places) for leaf in (place.weight, place.bias)]
    causes = {verdict[0] for verdict in verdicts.values()}
    top = max(s for s, _ in verdicts)
    if set(verdicts) == {key for key in leaves if key[0] <= top}:
        cause, residual, value = next(iter(verdicts.values())) if len(causes) == 1 else ("unexplained", 1.0, "")
        if top == len(places) - 1:
            return [BatchFault("batch", None, cause, residual, value)]
        return [BatchFault("pullback", top, cause, residual, value)]
    found = []
    for (s, leaf), (cause, residual, value) in verdicts.items():
        cause = "mean for sum" if cause == "divided twice" else cause  # of one leaf: its δ have been divided already
        found.append(BatchFault("bias" if leaf == places[s].bias else "weight", s, cause, residual, value))
    return found


def shuffled(batches, a: np.ndarray, deltas_if, unit: float) -> tuple[str, float] | None:
    """How the examples' parts were shuffled in a pullback, or None where a permutation does not explain it.

    Args:
      batches: (B, the weight's gradient of the first B examples), for a weight that is a matrix.
      a: (examples, n_in), the layer's input.
      deltas_if: an order of the examples -> {what was shuffled: δ (B, n_out)}.
    """
    for B, given in batches:
        for order in itertools.permutations(range(B)):
            for what, delta in deltas_if(list(order)).items():
                residual = np.linalg.norm(given - delta.T @ a[:B]) / np.linalg.norm(given)
                if residual <= max(TINY, 4 * unit):
                    return f"{what} of examples {list(order)}", float(residual)
    return None
