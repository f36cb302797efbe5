"""Hypotheses that apply to any array. The first axis is the examples."""

import functools
from collections.abc import Callable, Iterator

import ml_dtypes
import numpy as np

from functional_nn.verify.hypothesis import DRAWN, PLAIN, Hypothesis, multiple, size, written

SORTED = 20_000  # most entries among which a permutation is sought
MATCHED = 256  # most units or entries that are all compared pairwise
LISTED = 4
LARGE = 16 * DRAWN  # from this size on, roundings are first tried on a sample of entries


def plain(given: np.ndarray, expected: np.ndarray, name: str) -> Iterator[Hypothesis]:
    """The simplest hypotheses for a step called `name`."""
    yield Hypothesis("zero", np.zeros_like(expected), "0", rank=PLAIN)
    yield Hypothesis("sign", -expected, f"-({name})", rank=PLAIN)
    factor = multiple(given, expected)
    if given.size > 1:  # one number is always a multiple of another
        yield Hypothesis("factor", factor * expected, f"{factor:.6g} * ({name})", f"{factor:.6g}", (factor,), PLAIN)
    if given[0].size > 1:
        offset = float(np.mean(given - expected))
        yield Hypothesis("offset", expected + offset, f"({name}) + {offset:.6g}", f"{offset:.6g}", (offset,), PLAIN)


def general(given: np.ndarray, expected: np.ndarray, name: str, unit: float) -> Iterator[Hypothesis]:
    """The hypotheses for when more specific ones do not fit; `unit`: the arrays' rounding unit."""
    yield Hypothesis("rectified", np.maximum(expected, 0), f"max({name}, 0)")
    yield Hypothesis("rectified", np.minimum(expected, 0), f"min({name}, 0)")
    yield Hypothesis("rectified", np.abs(expected), f"|{name}|")
    yield from dead(given, expected, name, unit)
    yield from left_out(given, expected, name, unit)
    yield from _wrong_axis(expected, name)
    yield from _single(given, expected, name, unit)
    yield from _transposed(expected, name)
    yield from _permuted(given, expected, name, unit)
    yield from _clipped(given, expected, name, unit)
    yield from _rounded(given, expected, name)


def dead(given, expected, name: str, unit: float) -> Iterator[Hypothesis]:
    """The hypothesis that some units are zero: entries of δ, or rows or columns of a matrix.

    The other units may be scaled by one factor, as in dropout.
    """
    none = 0.0 if unit < 1e-12 else 4 * unit * np.abs(expected).max()
    used = (np.abs(expected) > 4 * none).any(axis=0)
    dead = (np.abs(given) <= none).all(axis=0) & used
    if not dead.any() or (dead == used).all():
        return
    if dead.ndim == 1:
        whole, units = True, np.flatnonzero(dead)
    else:
        rows, columns = ((dead | ~used).all(axis=axis) & dead.any(axis=axis) for axis in (-1, -2))
        whole = (dead == (rows[..., None] & used)).all() or (dead == (columns[..., None, :] & used)).all()
        units = np.flatnonzero(rows if (dead == (rows[..., None] & used)).all() else columns)
    if whole:
        factor = multiple(given, expected * ~dead)
        scale = 1.0 if np.isclose(factor, 1, rtol=max(1e-6, 4 * unit)) else factor
        text = ", ".join(map(str, units[:LISTED])) + ("" if len(units) <= LISTED else f", … {len(units)} in all")
        times = "" if scale == 1 else f"{scale:.6g} * "
        yield Hypothesis("dead unit", scale * expected * ~dead, f"{times}({name}), 0 for unit {text}", f"unit {text}",
                         (scale, *map(float, units[:64])))


def left_out(given, expected, name: str, unit: float) -> Iterator[Hypothesis]:
    """The hypothesis that some examples are zero: uncertain ones, those already right, …"""
    sizes = [np.abs(v).reshape(len(v), -1).max(axis=1) for v in (given, expected)]
    none = 0.0 if unit < 1e-12 else 4 * unit * sizes[1].max()
    lost = (sizes[0] <= none) & (sizes[1] > 4 * none)
    if lost.any() and not lost.all():
        kept = ~lost.reshape(-1, *[1] * (expected.ndim - 1))
        factor = multiple(given, expected * kept)
        yield Hypothesis("examples left out", factor * expected * kept, f"{name}, 0 for some examples")


def _wrong_axis(expected, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that every entry is the sum or the mean over an axis that should stay."""
    for axis in range(1, expected.ndim):
        if expected.shape[axis] > 1:
            summed = np.broadcast_to(expected.sum(axis=axis, keepdims=True), expected.shape)
            yield Hypothesis("wrong axis", summed, f"({name}).sum({axis - 1})")
            yield Hypothesis("wrong axis", summed / expected.shape[axis], f"({name}).mean({axis - 1})")
    if expected.ndim > 2:
        total = np.broadcast_to(expected.sum(axis=tuple(range(1, expected.ndim)), keepdims=True), expected.shape)
        yield Hypothesis("wrong axis", total, f"({name}).sum()")
        yield Hypothesis("wrong axis", total / expected[0].size, f"({name}).mean()")


def _single(given, expected, name: str, unit: float) -> Iterator[Hypothesis]:
    """The hypothesis that one entry is wrong in every example in which it is not 0."""
    scale = np.abs(expected).max()
    off = np.abs(given - expected) > 1e-9 * scale + 4 * unit * np.abs(expected)
    wrong = off.any(axis=0)
    if wrong.sum() == 1 and wrong.size > 2 and (off | (np.abs(expected) <= 1e-9 * scale))[:, wrong].all():
        place = tuple(int(i[0]) for i in np.nonzero(wrong))
        predicted = expected.copy()
        predicted[(slice(None), *place)] = given[(slice(None), *place)]
        yield Hypothesis("single entry", predicted, f"{name}, but for entry {list(place)}", str(list(place)), place)


def _transposed(expected: np.ndarray, name: str) -> Iterator[Hypothesis]:
    if expected.ndim < 3:
        return
    turned = np.swapaxes(expected, -1, -2)
    yield Hypothesis("transposed", turned.reshape(expected.shape), f"({name}).T")
    if expected.ndim > 3:
        yield Hypothesis("transposed", expected.transpose(0, *range(expected.ndim - 1, 0, -1)).reshape(expected.shape),
                         f"({name}).T")


def _matched(mine: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The index in `right` of each item of `mine`, both (examples, items, …).

    It is the nearest item, if that gives a permutation. Else, or for many items, both are sorted.
    """
    if mine.shape[1] <= MATCHED:
        mine, right = (np.moveaxis(v, 1, 0).reshape(v.shape[1], -1) for v in (mine, right))
        nearest = ((mine**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * mine @ right.T).argmin(axis=1)
        if len(set(nearest)) == len(nearest):
            return nearest
        mine, right = mine.T[..., None], right.T[..., None]
    weights = np.sin(1.0 + np.arange(mine.shape[0] * mine.shape[2])).reshape(mine.shape[0], 1, -1)
    order = np.empty(mine.shape[1], int)
    order[np.argsort((mine * weights).sum(axis=(0, 2)), kind="stable")] = np.argsort(
        (right * weights).sum(axis=(0, 2)), kind="stable")
    return order


def _permuted(given, expected, name: str, unit: float) -> Iterator[Hypothesis]:
    """Hypotheses that entries, rows or columns are permuted; those that differ are matched."""
    if expected[0].size > SORTED or expected[0].size < 2:
        return
    shape, ways = expected.shape, {"entries": (len(expected), expected[0].size, 1)}
    views = {what: (given.reshape(form), expected.reshape(form)) for what, form in ways.items()}
    if expected.ndim > 2:
        for what, axis in (("rows", -2), ("columns", -1)):
            views[what] = tuple(np.moveaxis(v, axis, 1).reshape(len(v), shape[axis], -1) for v in (given, expected))
    for what, (mine, right) in reversed(views.items()):
        off = np.flatnonzero((np.abs(mine - right) > 2 * unit * np.abs(right)).any(axis=(0, 2)))
        if not off.size:
            continue
        order = np.arange(mine.shape[1])
        order[off] = off[_matched(mine[:, off], right[:, off])]
        moved = np.flatnonzero((right[:, order] != right).any(axis=(0, 2)))
        if not moved.size:
            continue
        predicted = right[:, order]
        if what != "entries":
            axis = -2 if what == "rows" else -1
            predicted = np.moveaxis(predicted.reshape(np.moveaxis(expected, axis, 1).shape), 1, axis)
        places = [list(map(int, np.unravel_index(i, shape[1:]))) if what == "entries" else int(i) for i in moved[:LISTED]]
        text = f"{what if what != 'entries' or expected.ndim > 2 else 'units'} {', '.join(map(str, places))}" + (
            "" if len(moved) <= LISTED else f", … {len(moved)} in all")
        yield Hypothesis("swapped entries", predicted.reshape(shape), f"{name}, {text} in another order", text,
                         tuple(map(float, moved[:64])))


def _clipped(given, expected, name: str, unit: float) -> Iterator[Hypothesis]:
    bound = float(np.abs(given).max())
    if np.isclose(np.abs(given), bound, rtol=1e-12).sum() > 1 or np.abs(expected).max() > bound:
        for limit in dict.fromkeys((written(bound, 4 * unit), bound)):
            yield Hypothesis("clipped", np.clip(expected, -limit, limit), f"clip({name}, {-limit:.4g}, {limit:.4g})",
                             f"{limit:.4g}", (limit,))
    for limit, cut, text in ((float(given.max()), np.minimum, "min"), (float(given.min()), np.maximum, "max")):
        if 1 < np.isclose(given, limit, rtol=1e-12).sum() < given.size:
            yield Hypothesis("clipped", cut(expected, limit), f"{text}({name}, {limit:.4g})", f"{limit:.4g}", (limit,))
    norms, right = (np.linalg.norm(v.reshape(len(v), -1), axis=1) for v in (given, expected))
    limit = float(norms.max())
    if is_limit(norms, limit, unit) and (right >= 0.999 * norms).all():
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(right > limit, limit / right, 1.0).reshape(-1, *[1] * (given.ndim - 1))
        yield Hypothesis("clipped", share * expected, f"({name}) * min(1, {limit:.4g} / norm)", f"norm {limit:.4g}", (limit,))


def is_limit(norms: np.ndarray, limit: float, unit: float) -> bool:
    """Whether norms are clipped at a limit.

    Several norms must equal the limit. If all do, the limit must be a plain number other than 1;
    otherwise the vectors were divided by their norms.
    """
    close = max(1e-6, 64 * unit)
    there = np.isclose(norms, limit, rtol=close)
    written = np.isclose(limit, float(f"{limit:.2g}"), rtol=close) and close < 1e-2 and not np.isclose(limit, 1, rtol=close)
    return bool(there.sum() > 1 and (written or not there.all()))


def _rounded(given: np.ndarray, expected: np.ndarray, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that the entries are rounded.

    For a large array, a rounding must first remove half of the error in a sample of entries.
    """
    some = slice(None) if expected.size < LARGE else np.random.default_rng(0).integers(expected.size, size=DRAWN)
    mine, right = given.reshape(-1)[some], expected.reshape(-1)[some]
    for how, formula, value in _roundings(name):
        with np.errstate(all="ignore"):
            near = expected.size < LARGE or size(mine - how(right)) < 0.5 * size(mine - right)
            predicted = how(expected) if near else None
        if near:
            yield Hypothesis("rounded", predicted, formula, value)


def _roundings(name: str) -> Iterator[tuple[Callable[[np.ndarray], np.ndarray], str, str]]:
    """(rounding function, formula, description) of each rounding."""
    for dtype in (np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2):
        kind = np.dtype(dtype).name
        yield lambda v, dtype=dtype: v.astype(dtype).astype(np.float64), f"({name}) in {kind}", kind
    for decimals in range(7):
        yield lambda v, decimals=decimals: np.round(v, decimals), f"round({name}, {decimals})", f"{decimals} decimals"
        for how, text in ((np.trunc, "cut"), (np.floor, "down"), (np.ceil, "up")):
            yield (lambda v, how=how, tens=10**decimals: how(v * tens) / tens, f"{how.__name__}({name}, {decimals})",
                   f"{text} to {decimals} decimals")
    for step in (*(2.0**-k for k in range(1, 13)), 0.2, 0.05, 0.02, 0.005, 0.002, 0.0005):
        yield lambda v, step=step: np.round(v / step) * step, f"round({name} / {step:g}) * {step:g}", f"to steps of {step:g}"
    for digits in range(1, 6):
        yield functools.partial(_to_digits, digits=digits), f"{name} to {digits} digits", f"{digits} digits"


def _to_digits(v: np.ndarray, digits: int) -> np.ndarray:
    """Every entry rounded to `digits` significant digits."""
    unit = 10.0 ** np.floor(np.log10(np.abs(np.where(v == 0, 1, v)))) / 10 ** (digits - 1)
    return np.round(v / unit) * unit
