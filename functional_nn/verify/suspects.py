"""The mistakes in any gradient, a record each, in the order in which they are believed."""

from collections.abc import Sequence

import numpy as np

from functional_nn.verify.catalogue.mistake import SIMPLE, SOLVED, TABLED, USUAL, plus
from functional_nn.verify.debugger.where import only_if
from functional_nn.verify.naming import (
    DIRECTIONS,
    ENTRIES,
    Point,
    Suspect,
    close,
    each,
    known,
    number,
    suspect,
)

BOTH = (ENTRIES, DIRECTIONS)


def of_part(cause: str, c: float, said: str) -> Suspect:
    """Return the record that a part of f counts 1 + c times."""
    def fits(point, part):
        return bool(part.any()) and not close(part, point.right) and close(point.given - point.right, c * part)

    return suspect(cause, lambda point, name: point.right + c * point.known("parts")[name],
                   f"{{right}} {'+-'[c < 0]} {abs(c):g} * ({{0}})", each("parts", fits), said)


def measured(kind: str) -> Suspect:
    """Return the record that the leaf holds what is known of a kind, up to the error of measuring it."""
    return suspect(kind, lambda point, name: point.given, "{0}",
                   each(kind, lambda point, value: close(point.given, value)))


def _limit(points, given):
    """The norm to which all leaves are clipped together, if it binds anywhere."""
    norms = [point.known("norms") for point in points]
    only_if(all(norms))
    limit = max(float(norm["given"]) for norm in norms)
    return [(limit,)] if any(limit < norm["right"] for norm in norms) else []


def _some(points: Sequence[Point]) -> list[np.ndarray]:
    """Where each point is wrong, if some entries are right and at least two wrong."""
    masks = [point.wrong for point in points]
    only_if(not all(mask.all() for mask in masks) and min(mask.sum() for mask in masks) > 1)
    return masks


def _in(masks: Sequence, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [array[mask] for mask, array in zip(masks, arrays, strict=True)]


def penalty(cause: str, sign: int, of: str, some: bool) -> Suspect:
    """Return the record of a penalty, in all entries or in the wrong ones; nobody adds a negative one."""
    def fit(points, given):
        where = _some(points) if some else [...] * len(points)
        c = number(_in(where, [point.of(of) for point in points]),
                   _in(where, [point.given - point.right for point in points]))
        return [(abs(c),)] if c * sign > 0 else []

    said = f"{{0:.6g}} * {of}{' in those entries' * some}"
    return suspect(cause, lambda point, c: point.right + sign * c * point.of(of) * (point.wrong if some else 1),
                   f"{{right}} {'+-'[sign < 0]} {said}", fit, said, (ENTRIES,) if some else BOTH, TABLED if some else USUAL)


def _multiple(points, given):
    where = _some(points)
    return [(number(_in(where, [point.right for point in points]), _in(where, given)),)]


def sigmoid(p: np.ndarray) -> np.ndarray:
    """σ(p)."""
    return 1 / (1 + np.exp(-p))


CHAIN = {  # the chain rule's factors of parameters that f transforms
    "exp(p)": np.exp, "exp(2 * p)": lambda p: np.exp(2 * p), "p": lambda p: p, "σ(p)": sigmoid,
    "σ(p) * (1 - σ(p))": lambda p: sigmoid(p) * (1 - sigmoid(p)), "(1 - tanh(p)²)": lambda p: 1 - np.tanh(p) ** 2}


def _chained(point: Point, sign: str, factor: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        values = CHAIN[factor](point.of("p"))
        return point.right / values if sign == "/" else point.right * values


def _order(points, given):
    """The order of the entries in which all points agree: sorting both sides by their values gives it."""
    mine, theirs = (np.stack([np.ravel(v) for v in each]) for each in (given, [point.right for point in points]))
    norms = [np.abs(v).sum(axis=1) / np.maximum(np.linalg.norm(v, axis=1), np.finfo(float).tiny) for v in (mine, theirs)]
    only_if(len(points) > 1 and close(*norms))  # a permutation keeps these; sorting is slow
    order = np.empty(mine.shape[1], dtype=int)
    order[np.lexsort(mine)] = np.lexsort(theirs)
    moved = int(np.count_nonzero(order != np.arange(order.size)))
    reverse = (order == np.arange(order.size)[::-1]).all()
    yield "in reverse order" if reverse else f"{moved} of {order.size} entries moved", order


# of a leaf

CLIPPED = "{right} * min(1, {0:.4g} / norm of all leaves)"
SUSPECTS = (
    suspect("exchanged leaves", known("exchanged"), "{0}", each("exchanged"), "{0}", BOTH),
    suspect("another leaf's gradient", known("leaves"), "{0}", each("leaves"), "{0}"),
    of_part("penalty forgotten", -1, "{0}"),
    of_part("penalty forgotten", -0.5, "half of {0}"),
    of_part("sign", -2, "of {0}"),
    of_part("penalty doubled", 1, "{0}"),
    measured("second derivative"),
    measured("cross terms forgotten"),
    suspect("clipped", lambda point, limit: point.right * min(1.0, limit / (point.known("norms")["right"] or limit)),
            CLIPPED, _limit, CLIPPED),
    suspect("offset", lambda point, c: point.right + c * point.of("1"), "{right} + {0:.6g}",
            plus(lambda point: point.of("1")), "{0:.6g}", BOTH),
    *(penalty(cause, sign, of, some) for some in (False, True) for of in ("p", "sign(p)")
      for cause, sign in (("penalty added", 1), ("penalty forgotten", -1))),
    suspect("sign", lambda point: np.where(point.wrong, -point.right, point.right),
            "-1 * ({right}) in those entries", lambda points, given: _some(points) and [()], rank=TABLED),
    suspect("factor", lambda point, c: np.where(point.wrong, c * point.right, point.right),
            "{0:.6g} * ({right}) in those entries", _multiple, "{0:.6g}", rank=TABLED),
    suspect("chain rule forgotten", _chained, "{right} {0} {1}",
            lambda points, given: [(sign, factor) for factor in CHAIN for sign in "/*"], "{0} {1}", rank=TABLED),
    suspect("swapped entries", lambda point, said, order: np.ravel(point.right)[order].reshape(point.right.shape),
            "{right}, {0}", _order, "{0}", rank=SOLVED),
)

# of a derivative rule: what is seen is the cotangent g, the gradient for a g of ones, and the diagonal of the Jacobian


def _largest(points, given):
    return [(float(max(np.abs(g).max(initial=0.0) for g in given)),)]


OF_RULES = (  # what a rule may do in place of the derivative
    suspect("cotangent passed on", lambda point: point.of("g"), "g", rank=SIMPLE),  # an identity says it best
    suspect("cotangent ignored", lambda point: point.of("the gradient of ones"), "does not use its cotangent"),
    suspect("clipped", lambda point, c: np.clip(point.of("g"), -c, c), "clip(g, {0:.4g})", _largest, "the cotangent, to {0:.4g}"),
    suspect("cross terms forgotten", lambda point: point.of("diagonal") * point.of("g"), "diagonal of the Jacobian * g"),
)

# of a value between, whose gradient is the sum of the shares that come back through its uses


def _share_weights(points, given):
    for (use,) in each("shares", _is_share)(points, given):
        yield use, 1 + number([point.known("shares")[use] for point in points], [point.given - point.right for point in points])


def _is_share(point: Point, share: np.ndarray) -> bool:
    """Whether what comes back through a use is some of the gradient, and not all of it."""
    return bool(share.any()) and not close(share, point.right)


OF_USES = (  # what comes back through one use of a value is missing, or counts otherwise than once
    suspect("share forgotten", lambda point, use: point.right - point.known("shares")[use],
            "{right} without that through {0}", each("shares", _is_share), "that through {0}", BOTH),
    suspect("share weighted", lambda point, use, c: point.right + (c - 1) * point.known("shares")[use],
            "{right} with {1:.6g} times that through {0}", _share_weights, "that through {0}, {1:.6g} times", BOTH),
)
