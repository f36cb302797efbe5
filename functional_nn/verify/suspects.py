"""Name the mistake in a wrong gradient of any function, without knowing the function.

`causes.judge` names a cause from the gradient at several points at once. A factor, a decay or an
exchange that fits at the given point must fit at the others too. The first axis of an array is the
points.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from functional_nn.verify.catalogue.judging import Hypothesis, Verdict, judge, multiple
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.report import Fault

NEARBY = 0.1  # relative distance of the other points from the given one
_EXACT = 1e-9  # relative: closer values of a leaf of the wrong shape equal the reference's
NEARLY = 1e-3  # share of the error that a rare mistake may leave to be considered
_SAME = 0.01  # relative: closer 1-norms over 2-norms may come from a permutation
_ALIKE = 1e-5  # relative: closer fitted numbers of two leaves are equal


def named(given: np.ndarray, expected: np.ndarray, hypotheses: Sequence[Hypothesis], unit: float, name: str) -> Verdict:
    """The verdict of `causes.judge` on one leaf at several points.

    It is "unexplained" if the numbers at hand are too few for the fitted ones.

    Args:
      given, expected: (points, *shape), shape at least (1,).
      unit: the rounding unit of both.
      name: the name of the derivative in formulas.

    >>> expected = np.array([[1.0, -2.0, 4.0], [3.0, 0.5, 1.0]])
    >>> verdict = named(-0.5 * expected, expected, (), 2.0**-53, "df/dw")
    >>> verdict.cause, verdict.formula
    ('factor', '-0.5 * (df/dw)')
    """
    if not np.isfinite(expected).all() or (given == expected).all():
        return Verdict("unexplained", 1.0, np.inf, name, "", "")
    verdict = judge(given, expected, hypotheses, unit, name)
    if verdict.cause == "swapped entries":  # a transpose swaps entries too
        for guess in hypotheses:
            residual = float(np.linalg.norm(given - guess.predicted) / np.linalg.norm(given - expected))
            if guess.cause == "transposed" and residual <= max(verdict.residual, _EXACT):
                return verdict._replace(cause=guess.cause, residual=residual, formula=guess.formula, value=guess.value)
    if given[0].size == 1 and verdict.cause == "another leaf's gradient" and verdict.fitted:
        return Verdict("unexplained", 1.0, np.inf, name, "", "")  # a multiple of any number
    constant = given.size < 2 or np.ptp(np.abs(given)) == 0
    if constant and verdict.cause not in (
            "sign", "zero", "not a number", "unexplained", "exchanged leaves", "share forgotten"):
        return Verdict("unexplained", 1.0, np.inf, name, "", "")  # one number fits any of these
    return verdict


def of_entries(given: np.ndarray, expected: np.ndarray, params: np.ndarray, others: Sequence[tuple[str, np.ndarray]],
               name: str, more: Sequence[tuple] = ()) -> Iterator[Hypothesis]:
    """The hypotheses for a leaf with every entry known.

    `others` holds (name, derivatives) of the leaves with which it may be exchanged, `more` further
    (cause, formula, prediction, fitted numbers in words).
    """
    for other, values in others:
        yield Hypothesis("exchanged leaves", values, other, other)
    for cause, of, values, *fitted in more:
        yield Hypothesis(cause, values, of, *(fitted or [of]))
    if expected.ndim == 3:
        yield from _transposed(expected, name)
    yield from _offset(given, expected, np.ones_like(expected), name)
    yield from _penalties(given, expected, params, np.sign(params), name)
    rare = [*_chained(expected, params, name), *_in_some(given, expected, params, name)]
    error = np.linalg.norm(given - expected)  # these are named or not said at all
    yield from (guess for guess in rare if np.linalg.norm(given - guess.predicted) <= NEARLY * error)
    if expected[0].size > 1:
        yield from _permuted(given, expected, name)


def of_directions(given: np.ndarray, expected: np.ndarray, params: np.ndarray, signs: np.ndarray, ones: np.ndarray,
                  others: Sequence[tuple[str, np.ndarray]], name: str) -> Iterator[Hypothesis]:
    """The hypotheses for a leaf known only along directions: those linear in the leaf.

    All arrays are (points, directions): the derivatives, and the parameters, their signs and a
    vector of ones along the same directions.
    """
    for other, values in others:
        yield Hypothesis("exchanged leaves", values, other, other)
    yield from _offset(given, expected, ones, name)
    yield from _penalties(given, expected, params, signs, name)


def _transposed(expected: np.ndarray, name: str) -> Iterator[Hypothesis]:
    turned = np.swapaxes(expected, 1, 2)
    if turned.shape == expected.shape:
        yield Hypothesis("transposed", turned, f"({name}).T")
    elif 1 not in expected.shape[1:]:
        back = expected.reshape(len(expected), *expected.shape[:0:-1])
        yield Hypothesis("transposed", turned.reshape(expected.shape), f"({name}).T.reshape{expected.shape[1:]}")
        yield Hypothesis("transposed", np.swapaxes(back, 1, 2), f"({name}).reshape{expected.shape[:0:-1]}.T")


def _offset(given, expected, ones, name: str) -> Iterator[Hypothesis]:
    constant = multiple(given - expected, ones)
    yield Hypothesis("offset", expected + constant * ones, f"{name} + {constant:.6g}", f"{constant:.6g}")


def _penalties(given, expected, params, signs, name: str) -> Iterator[Hypothesis]:
    for of, text in ((params, "p"), (signs, "sign(p)")):
        rate = multiple(given - expected, of)
        cause, sign = ("penalty added", "+") if rate > 0 else ("penalty forgotten", "-")  # nobody adds a negative one
        yield Hypothesis(cause, expected + rate * of, f"{name} {sign} {abs(rate):.6g} * {text}", f"{abs(rate):.6g} * {text}")


def _chained(expected: np.ndarray, params: np.ndarray, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that the chain rule's factor of a transformed parameter is missing, or inverted."""
    with np.errstate(all="ignore"):
        a = 1 / (1 + np.exp(-params))
        for text, factor in (("exp(p)", np.exp(params)), ("exp(2 * p)", np.exp(2 * params)), ("p", params),
                             ("σ(p)", a), ("σ(p) * (1 - σ(p))", a * (1 - a)), ("(1 - tanh(p)²)", 1 - np.tanh(params)**2)):
            for sign, predicted in (("/", expected / factor), ("*", expected * factor)):
                if np.isfinite(predicted).all():
                    yield Hypothesis("chain rule forgotten", predicted, f"{name} {sign} {text}", f"{sign} {text}")


def _in_some(given, expected, params, name: str) -> Iterator[Hypothesis]:
    """Hypotheses of one factor, or one decay, in the wrong entries alone."""
    wrong = np.abs(given - expected) > _EXACT * np.abs(expected).max(initial=0.0)
    if expected[0].size < 2 or wrong.all() or min(wrong.reshape(len(wrong), -1).sum(axis=1)) < 2:
        return
    mine, right, p = given[wrong], expected[wrong], params[wrong]
    times = multiple(mine, right)
    cause = "sign" if abs(times + 1) < _EXACT else "factor"
    yield Hypothesis(cause, np.where(wrong, times * expected, expected), f"{times:.6g} * ({name}) in those entries",
                     f"{times:.6g}" if cause == "factor" else "")
    for of, text in ((params, "p"), (np.sign(params), "sign(p)")):
        rate = multiple(mine - right, p if of is params else np.sign(p))
        cause, sign = ("penalty added", "+") if rate > 0 else ("penalty forgotten", "-")
        what = f"{abs(rate):.6g} * {text} in those entries"
        yield Hypothesis(cause, np.where(wrong, expected + rate * of, expected), f"{name} {sign} {what}", what)


def _permuted(given: np.ndarray, expected: np.ndarray, name: str) -> Iterator[Hypothesis]:
    """The hypothesis that the entries are permuted, in the same way at every point.

    Sorting both sides by their values at the points gives the permutation.
    """
    mine, theirs = given.reshape(len(given), -1), expected.reshape(len(expected), -1)
    one, other = (np.abs(v).sum(axis=1) / np.maximum(np.sqrt((v**2).sum(axis=1)), 1e-300) for v in (mine, theirs))
    if not np.allclose(one, other, rtol=_SAME):  # a permutation keeps this ratio; sorting is slow
        return
    order = np.empty(mine.shape[1], dtype=int)
    order[np.lexsort(mine)] = np.lexsort(theirs)
    moved = int(np.count_nonzero(order != np.arange(order.size)))
    if len(given) > 1 and moved:
        text = "in reverse order" if (order == np.arange(order.size)[::-1]).all() else f"{moved} of {order.size} entries moved"
        yield Hypothesis("swapped entries", theirs[:, order].reshape(expected.shape), f"{name}, {text}", text)


def misshapen(given: np.ndarray, expected: np.ndarray, name: str) -> tuple[str, str]:
    """(cause, formula) of a leaf of the wrong shape at one point: reshaped, transposed or summed.

    >>> rows = np.array([[1.0, 2.0], [3.0, 4.5]])
    >>> misshapen(rows, rows.sum(0), "df/db"), misshapen(rows.sum(0)[None], rows.sum(0), "df/db")[0]
    (('missing reduction', 'df/db before .sum(axis=0)'), 'wrong shape')
    """
    if not expected.any() or not np.isfinite(given).all() or not np.isfinite(expected).all():
        return "unexplained", ""

    def same(a, b):
        return a.shape == b.shape and bool(np.linalg.norm(a - b) <= _EXACT * np.linalg.norm(b))

    if given.ndim > 1 and min(given.shape) > 1 and same(given.T, expected):
        return "transposed", f"({name}).T"
    if same(given.ravel(), expected.ravel()):
        return "wrong shape", f"({name}).reshape{given.shape}"
    for how in ("sum", "mean"):
        for axis in range(given.ndim):
            if same(getattr(given, how)(axis=axis), expected):
                return "missing reduction", f"{name} before .{how}(axis={axis})"
        for axis in [*range(expected.ndim), None]:
            if same(getattr(expected, how)(axis=axis).ravel(), given.ravel()):
                return "wrong axis", f"({name}).{how}({'' if axis is None else f'axis={axis}'})"
    return "unexplained", ""


def told_together(faults: Sequence[Fault], leaves: int) -> tuple[str, ...]:
    """Notes that leaves share a mistake: their order, or the same cause with the same number."""
    causes = {fault.cause for fault in faults}
    if len(faults) > 1 and causes <= {"exchanged leaves", "another leaf's gradient"}:
        order = ", ".join(f"{fault.yours} at {fault.leaf}" for fault in faults[:6])
        return (f"the leaves stand in another order than the parameters: {order}{', …' if len(faults) > 6 else ''}",)
    if leaves < 2 or len(faults) != leaves or len(causes) > 1 or causes & {"unexplained", "not a number", "single entry"}:
        return ()
    if not all(_alike(faults[0].value, fault.value) for fault in faults):
        return ()
    value = f" ({faults[0].value})" if faults[0].value else ""
    return (f"all {leaves} leaves share it: {CAUSES[faults[0].cause]}{value}; one mistake, made before their ways part",)


def _alike(a: str, b: str) -> bool:
    if a == b:
        return True
    try:
        (first, *rest), (second, *others) = a.split(), b.split()
        return rest == others and bool(np.isclose(float(first), float(second), rtol=_ALIKE, atol=0))
    except ValueError:
        return False
