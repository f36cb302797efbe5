"""What a mistake is: the causes that can be named, and the rule for naming one.

A hypothesis predicts what the faulty step would have given. Its *residual* is ‖given − predicted‖ / ‖given − expected‖, the
share of the error that it leaves. A cause is named only when its residual is tiny (1e-8, or what rounding to the gradient's own
precision leaves) and every different hypothesis leaves much more; else the verdict is "unexplained", with the closest.
"""

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

CAUSES = MappingProxyType({
    "sign": "the sign is flipped",
    "factor": "multiplied by a constant",
    "sum for mean": "summed over the examples where the cost averages",
    "mean for sum": "averaged over the examples where the cost sums",
    "divided twice": "divided by the number of examples twice",
    "B - 1": "divided by B − 1 in place of B",
    "transposed": "the gradient is transposed",
    "untransposed weight": "pulled back through W, not Wᵀ",
    "another layer's weight": "pulled back through another layer's weight",
    "updated weight": "pulled back through a weight that has been updated already",
    "missing derivative": "the activation's derivative is missing",
    "doubled derivative": "the activation's derivative is applied twice",
    "another activation's derivative": "the derivative is another activation's",
    "derivative at a": "the derivative is taken at a = σ(z), not at z",
    "pre-activation for activation": "z stands where a = σ(z) should",
    "another layer's activation": "multiplied by another layer's activation",
    "another layer's delta": "made from another layer's δ",
    "shuffled examples": "the δ of one example meets the activation of another",
    "one example only": "only one example's gradient is there",
    "missing reduction": "not summed over the examples",
    "penalty added": "a penalty that the cost does not have",
    "penalty forgotten": "the cost's penalty is missing",
    "penalty doubled": "the cost's penalty counts twice",
    "zero": "it is zero",
    "dead unit": "all of one unit's entries are zero",
    "single entry": "one entry is wrong, all others are right",
    "swapped entries": "two entries have changed places",
    "clipped": "clipped entry by entry",
    "rounded": "rounded to a lower precision",
    "cotangent ignored": "it does not depend on what comes from above",
    "target ignored": "the target does not enter",
    "another loss": "the gradient of another loss",
    "skip connection forgotten": "the skip connection's part is missing",
    "not a number": "NaN or inf",
    "unexplained": "none of the known mistakes",
})
TINY, MARGIN = 1e-8, 1e3
CLEAR, CLEAR_OF_ROUNDING = 0.1, 4
"""Rounding may leave at most this share of the error, and a different hypothesis must leave this many times as much."""


class Hypothesis(NamedTuple):
    """cause: of `CAUSES`. predicted: what that mistake would give. formula: the step as yours. value: fitted."""

    cause: str
    predicted: np.ndarray
    formula: str
    value: str = ""


class Verdict(NamedTuple):
    """cause, with the residual of the best hypothesis, and the residual of the runner-up."""

    cause: str
    residual: float
    runner_up: float
    formula: str
    value: str
    closest: str


def judge(given: np.ndarray, expected: np.ndarray, hypotheses: Iterable[Hypothesis], unit: float, name: str) -> Verdict:
    """The verdict on a wrong step; hypotheses come from the simplest on, and the first of those that agree is taken.

    Args:
      given, expected: the same shape, examples first.
      unit: rounding unit of what was given. name: the step as expected, to write formulas with.
    """
    if not np.isfinite(given).all():
        return Verdict("not a number", 0.0, np.inf, name, "", "")
    error = np.linalg.norm(given - expected)
    left = []
    for guess in (*general(given, expected, name, unit), *hypotheses):
        if guess.predicted.shape == given.shape and np.isfinite(guess.predicted).all():
            left.append((float(np.linalg.norm(given - guess.predicted) / error), guess))
    tiny = max(TINY, 2 * unit * float(np.linalg.norm(given)) / float(error))
    named = [(residual, guess) for residual, guess in left if residual <= tiny]
    others = [residual for residual, guess in left if residual > tiny]
    runner_up = min(others, default=np.inf)
    if named and tiny < CLEAR and runner_up > max(MARGIN * TINY, CLEAR_OF_ROUNDING * tiny):
        residual, guess = named[0]
        return Verdict(guess.cause, residual, runner_up, guess.formula, guess.value, "")
    residual, guess = min(left, key=lambda pair: pair[0], default=(1.0, Hypothesis("unexplained", expected, name)))
    return Verdict("unexplained", residual, runner_up, name, "", guess.cause if residual < 0.5 else "")


def multiple(given: np.ndarray, direction: np.ndarray) -> float:
    """The c that brings c · direction nearest to `given`."""
    size = float(np.vdot(direction, direction))
    return float(np.vdot(direction, given)) / size if size else 0.0


def general(given: np.ndarray, expected: np.ndarray, name: str, unit: float) -> Iterator[Hypothesis]:
    """Mistakes that any step can have, in numbers rounded to `unit`."""
    yield Hypothesis("zero", np.zeros_like(expected), "0")
    yield Hypothesis("sign", -expected, f"-({name})")
    factor = multiple(given, expected)
    if given.size > 1:  # one number is always a multiple of another
        yield Hypothesis("factor", factor * expected, f"{factor:.6g} * ({name})", f"{factor:.6g}")
    yield from _entries(given, expected, name, unit)
    bound = np.abs(given).max()
    if np.isclose(np.abs(given), bound, rtol=1e-12).sum() > 1 or np.abs(expected).max() > bound:
        yield Hypothesis("clipped", np.clip(expected, -bound, bound), f"clip({name}, {-bound:.4g}, {bound:.4g})",
                         f"{bound:.4g}")
    for dtype, rounded in _roundings(expected):
        yield Hypothesis("rounded", rounded, f"({name}) in {dtype}", dtype)


def _entries(given: np.ndarray, expected: np.ndarray, name: str, unit: float) -> Iterator[Hypothesis]:
    """One entry, one row, or two entries, the same in every example. Examples come first."""
    scale = np.abs(expected).max()
    wrong = (np.abs(given - expected) > 1e-9 * scale + 4 * unit * np.abs(expected)).reshape(len(given), -1).any(axis=0)
    places = [tuple(int(i) for i in np.unravel_index(flat, expected.shape[1:])) for flat in np.flatnonzero(wrong)]
    total = wrong.size
    if total <= 2 or not places:
        return
    units = {place[0] for place in places}
    if len(units) == 1:
        (unit,) = units
        predicted = expected.copy()
        predicted[:, unit] = 0
        yield Hypothesis("dead unit", predicted, f"{name}, but 0 for unit {unit}", f"unit {unit}")
    predicted = expected.copy()
    if len(places) == 1:
        predicted[(slice(None), *places[0])] = given[(slice(None), *places[0])]
        yield Hypothesis("single entry", predicted, f"{name}, but for entry {list(places[0])}", str(list(places[0])))
    if len(places) == 2:
        first, second = ((slice(None), *place) for place in places)
        predicted[first], predicted[second] = expected[second], expected[first]
        yield Hypothesis("swapped entries", predicted, f"{name}, entries {list(places[0])} and {list(places[1])} swapped",
                         f"{list(places[0])}, {list(places[1])}")


def _roundings(expected: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    import ml_dtypes

    for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
        with np.errstate(over="ignore"):
            yield np.dtype(dtype).name, expected.astype(dtype).astype(np.float64)
