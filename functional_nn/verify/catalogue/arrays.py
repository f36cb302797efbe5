"""Mistakes of any array: they need nothing but the right value of the step."""

import ml_dtypes
import numpy as np
import scipy.optimize

from functional_nn.verify.catalogue.mistake import (
    SIMPLE,
    SOLVED,
    USUAL,
    Room,
    choices,
    plus,
    right,
    times,
)
from functional_nn.verify.debugger.tolerance import MANY, TINY, plain_number
from functional_nn.verify.debugger.where import DELTAS, LEAVES, Silent, only_if

ARRAYS = Room()
ANY = (*DELTAS, *LEAVES)


def of_several(step):
    """The right value, where it is more than one number."""
    only_if(step.right.size > 1)
    return step.right


def _times(step, c):
    only_if(step.right.any() and abs(c) != 1)
    return c * step.right


ARRAYS.add("zero", ANY, lambda s: np.zeros_like(s.right), "0", rank=SIMPLE)
ARRAYS.add("sign", ANY, lambda s: -s.right, "-({right})", rank=SIMPLE)
ARRAYS.add("factor", ANY, _times, "{0:.6g} * ({right})", times(right), (3.0,), SIMPLE)

# values


def decimals(v, n):
    """An array rounded to n decimals, where something is left of it."""
    only_if(np.round(v, n).any())
    return np.round(v, n)


OF_VALUES = {
    "divided by its size + 1e-8": ("signs alone", lambda v: v / (np.abs(v) + 1e-8)),
    "positive part": ("rectified", lambda v: np.maximum(v, 0)), "abs": ("rectified", np.abs),
    "negative part": ("rectified", lambda v: np.minimum(v, 0)), "-abs": ("rectified", lambda v: -np.abs(v)),
    "rounded down": ("rounded", np.floor), "bfloat16": ("rounded", lambda v: v.astype(ml_dtypes.bfloat16).astype(float)),
    "float16": ("rounded", lambda v: v.astype(np.float16).astype(float)),
    **{f"{n} decimals": ("rounded", lambda v, n=n: decimals(v, n)) for n in range(5)}}
NORMALISED = {
    "its mean taken off": lambda v: v - v.mean(),
    "its rows' means taken off": lambda v: v - v.mean(axis=-1, keepdims=True),
    "its columns' means taken off": lambda v: v - v.mean(axis=0) if v.ndim > 1 else v,
    "divided by its norm": lambda v: v / np.linalg.norm(v),
    "divided by its norm + 1e-8": lambda v: v / (np.linalg.norm(v) + 1e-8),
    "divided by its norm + 1e-12": lambda v: v / (np.linalg.norm(v) + 1e-12),
    "divided by its largest entry": lambda v: v / np.abs(v).max(),
    "divided by its spread": lambda v: v / v.std(),
    "standardised": lambda v: (v - v.mean()) / v.std()}


def normalised(step, of):
    """The right value, normalised."""
    only_if(step.right.size > 2)
    with np.errstate(all="ignore"):
        return np.nan_to_num(of(step.right))


def signs(step, c):
    """c times the signs of an array whose entries differ in size."""
    size = np.abs(of_several(step))
    only_if(np.ptp(size) > 0.1 * size.max())
    return c * np.sign(step.right)


def root(step):
    """Every entry's root, with its sign."""
    return np.sign(step.right) * np.sqrt(np.abs(of_several(step)))


ARRAYS.table(OF_VALUES, ANY, lambda s, of: of(s.right), "{right}, {0}")
ARRAYS.table({name: ("normalised", of) for name, of in NORMALISED.items()}, LEAVES, normalised,
             "{right}, {0}")
ARRAYS.add("offset", ANY, lambda s, c: of_several(s) + c, "{right} + {0:.6g}",
           plus(lambda s: np.ones_like(s.right)), (0.01,))
ARRAYS.add("signs alone", ANY, signs, "{0:.6g} * sign({right})",
           times(lambda s: np.sign(s.right)), (1.0,))
ARRAYS.add("another power", ANY, lambda s, c: c * of_several(s)**2, "{0:.6g} * ({right})**2",
           times(lambda s: s.right**2), (1.0,))
ARRAYS.add("another power", ANY, lambda s, c: c * root(s), "{0:.6g} * root of {right}",
           times(root), (1.0,))


def _limit(steps, given):
    bound = float(max(np.abs(g).max(initial=0) for g in given))
    return [(plain_number(bound),)] if bound else []


def _norm_limit(steps, given):
    sizes = [(np.linalg.norm(g), np.linalg.norm(s.right)) for g, s in zip(given, steps, strict=True)]
    cut = [float(mine) for mine, whole in sizes if mine < (1 - 1e-6) * whole]
    bound = max(cut, default=0.0)
    known = len(cut) < len(sizes) or abs(bound - float(f"{bound:.2g}")) <= 1e-6 * bound
    return [(plain_number(bound),)] if cut and known else []  # all of it, at a number people write


def to_norm(step, bound):
    """The right value, clipped to a norm."""
    norm = np.linalg.norm(step.right)
    return step.right * min(1.0, bound / norm) if norm else step.right


ARRAYS.add("clipped", ANY, lambda s, c: np.clip(s.right, -c, c),
           "clip({right}, -{0:.6g}, {0:.6g})", _limit, (0.01,))


def _each_unit(steps, given):
    """A factor of each unit, along one axis, that is the same in all looks."""
    only_if(len({step.right.shape[1:] for step in steps}) == 1 and steps[0].right.ndim > 1)
    for axis in range(-1, -1 - min(2, steps[0].right.ndim), -1):
        own, mine = (np.concatenate([np.moveaxis(v, axis, -1).reshape(-1, v.shape[axis]) for v in each])
                     for each in ([step.right for step in steps], given))
        size = (own**2).sum(axis=0)
        yield axis, np.where(size > 0, (own * mine).sum(axis=0) / np.where(size > 0, size, 1), 1.0)


def by_unit(step, axis, factors):
    """The right value with a factor of each unit."""
    only_if(step.right.ndim >= -axis and step.right.shape[axis] == len(factors))
    return step.right * np.expand_dims(factors, tuple(range(1, -axis)))


ARRAYS.add("factor", ANY, by_unit, "{right} * a factor of each unit", _each_unit, (-1, np.arange(1.0, 6.0)), SOLVED)


def _row_limit(steps, given):
    """The length to which the δ of each example is cut."""
    sizes = [np.linalg.norm(v, axis=-1).max(initial=0) for v in given]
    return [(plain_number(float(max(sizes))),)] if max(sizes) else []


def rows_to_norm(step, bound):
    """δ, each example's cut to a norm."""
    sizes = np.linalg.norm(step.right, axis=-1, keepdims=True)
    return step.right * np.minimum(1, bound / np.where(sizes > 0, sizes, 1))


ARRAYS.add("clipped", DELTAS, rows_to_norm, "{right} * min(1, {0:.6g} / its norm)", _row_limit, (0.2,))
ARRAYS.add("clipped", LEAVES, to_norm, "{right} * min(1, {0:.6g} / its norm)", _norm_limit, (0.02,))

# entries and units


def dead_units(steps, given):
    """Units, along one axis, that are 0 in all looks; the others have a common factor."""
    for axis in range(-1, -1 - min(2, given[0].ndim), -1):
        others = tuple(i for i in range(given[0].ndim) if i != given[0].ndim + axis)
        empty, none = (np.all([~np.any(v, axis=others) for v in each], axis=0)
                       for each in (given, [step.right for step in steps]))
        lost = empty & ~none
        if 0 < lost.sum() < lost.size:
            units = tuple(int(i) for i in np.nonzero(lost)[0])
            kept = times(lambda step, axis=axis, units=units: dead(step, axis, units, 1.0))
            for c in dict.fromkeys([1.0, *(c for (c,) in kept(steps, given))]):
                yield axis, units, c


def dead(step, axis, units, c):
    """The right value, where units are 0 and the others c times as much."""
    wrong = c * step.right
    only_if(wrong.ndim >= -axis)
    np.moveaxis(wrong, axis, 0)[list(units)] = 0
    return wrong


def _entry(steps, given):
    """The one entry that is wrong: always b, or c times the right one, or the right one plus b."""
    only_if(given[0].size > 1)
    gaps = np.sum([np.abs(g - step.right) / (np.abs(step.right).max(initial=0) or 1)
                   for g, step in zip(given, steps, strict=True)], axis=0)
    index = tuple(int(n) for n in np.unravel_index(int(np.argmax(gaps)), gaps.shape))
    mine, own = (np.array([v[index] for v in each])
                 for each in (given, [step.right for step in steps]))
    yield index, 0.0, float(mine[0]) if np.ptp(mine) == 0 else 0.0
    yield index, plain_number(float(mine @ own / (own @ own or 1))), 0.0
    yield index, 1.0, plain_number(float(np.mean(mine - own)))


def _with_entry(step, index, c, b):
    wrong = step.right.copy()
    index = tuple(index) + (0,) * (wrong.ndim - len(index))
    wrong[index] = c * wrong[index] + b
    return wrong


def _one_entry(steps, given):
    """The one entry that is wrong, whatever stands there, and what does."""
    off = np.any([np.abs(g - step.right) > TINY * np.abs(step.right).max(initial=0)
                  for g, step in zip(given, steps, strict=True)], axis=0)
    only_if(off.sum() == 1 and off.size > 2)
    index = tuple(int(i[0]) for i in np.nonzero(off))
    yield index, {step.right.tobytes(): g[index] for g, step in zip(given, steps, strict=True)}


def _with_value(step, index, values):
    if step.right.tobytes() not in values:
        raise Silent
    wrong = step.right.copy()
    wrong[index] = values[step.right.tobytes()]
    return wrong


def _order(steps, given):
    """The permutation of entries (of units, in δ) that gives the given array in every look."""
    leaf = steps[0].site in LEAVES
    only_if((given[0].size if leaf else given[0].shape[-1]) <= MANY)
    mine, own = (np.concatenate([np.atleast_2d(v.reshape(-1) if leaf else v) for v in each])
                 for each in (given, [step.right for step in steps]))
    scale = np.abs(own).max(axis=1, keepdims=True)
    mine, own = (v / np.where(scale > 0, scale, 1) for v in (mine, own))
    moved = np.nonzero(np.abs(mine - own).max(axis=0) > 1e-6)[0]
    only_if(2 <= len(moved) <= 512)
    distance = np.abs(mine[:, moved, None] - own[:, None, moved]).max(axis=0)
    order = np.arange(mine.shape[1])
    order[moved] = moved[scipy.optimize.linear_sum_assignment(distance)[1]]
    yield (order,)


def _ordered(step, order):
    leaf = step.site in LEAVES
    full = np.arange(step.right.size if leaf else step.right.shape[-1])
    only_if(len(full) >= len(order))
    full[:len(order)] = order
    return step.right.reshape(-1)[full].reshape(step.right.shape) if leaf else step.right[..., full]


TURNED = {"T": lambda g: np.swapaxes(g, -1, -2), "symmetric": lambda g: (g + TURNED["T"](g)) / 2,
          "T.reshape": lambda g: TURNED["T"](g).reshape(g.shape),
          "reshape.T": lambda g: np.swapaxes(g.reshape(TURNED["T"](g).shape), -1, -2)}
LEFT_OUT = {"the upper triangle": np.tril, "the lower triangle": np.triu,
            "the smaller half": lambda g: g * (np.abs(g) >= np.median(np.abs(g)))}


def _turned(step, how):
    only_if(step.right.ndim > 1 and min(step.right.shape[-2:]) > 1)
    only_if(step.right.shape[-1] == step.right.shape[-2] or "reshape" in how)
    return TURNED[how](step.right)


def _left_out(step, which):
    only_if(step.right.ndim == 2 or which == "the smaller half")
    return LEFT_OUT[which](step.right)


def _mask(steps, given):
    kept = np.any([g != 0 for g in given], axis=0)
    only_if(0 < kept.sum() < kept.size)
    yield (kept.astype(float),)


ARRAYS.add("transposed", "weight", _turned, "({right}).{0}", choices(*TURNED), ("T.reshape",), USUAL)
ARRAYS.add("entries left out", LEAVES, _left_out, "{right} without {0}", choices(*LEFT_OUT),
           ("the upper triangle",), USUAL)
def _units(step, axis, units, c):
    only_if(c == 1 or step.site in DELTAS)  # in a leaf, it is the input that is masked
    return dead(step, axis, units, c)


ARRAYS.add("dead unit", ANY, _units, "{right}, where units {1} are 0", dead_units, (-1, (1,), 1.0))
ARRAYS.add("single entry", LEAVES, _with_entry,
           "{right}, where entry {0} is {1:.6g} times as much, plus {2:.6g}", _entry,
           ((0,), -1.0, 0.0))
ARRAYS.add("single entry", LEAVES, _with_value, "{right}, but for entry {0}", _one_entry, rank=SOLVED)
ARRAYS.add("swapped entries", ANY, _ordered, "{right}, its entries in another order", _order,
           (np.array([1, 0]),))
ARRAYS.add("entries left out", LEAVES, lambda s, mask: s.right * mask, "{right} * mask", _mask,
           rank=SOLVED)
