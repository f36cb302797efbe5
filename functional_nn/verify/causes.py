"""The causes of mistakes that can be named, and the rule that decides whether one is named.

A hypothesis is one possible mistake; it predicts the output of the faulty step. Its *residual* is
‖given − predicted‖ / ‖given − expected‖, the share of the error that it does not explain. A cause
is named only if its residual is tiny (1e-8, or the rounding of the gradient's dtype) and the
residual of each different hypothesis is much larger. Otherwise the verdict is "unexplained", with
the closest cause.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from functional_nn.verify.hypothesis import DRAWN, SOLVED, Hypothesis, multiple, size
from functional_nn.verify.mistakes.general import general, plain

CAUSES = MappingProxyType({
    "sign": "the sign is flipped",
    "factor": "multiplied by a constant",
    "offset": "a constant is added to every entry",
    "sum for mean": "summed over the examples where the cost averages",
    "mean for sum": "averaged over the examples where the cost sums, or what is averaged already",
    "divided twice": "divided by the number of examples twice",
    "B - 1": "divided by B − 1 in place of B",
    "wrong divisor": "divided by another number than that of the examples: its root, a fixed one, B + 1",
    "one example only": "only one example's gradient is there",
    "examples left out": "some of the examples are left out",
    "examples weighted": "the examples count unequally",
    "shuffled examples": "one part is of one example, its partner of another: a, δ, σ′ or the target",
    "wrong reduction": "the examples' median, largest, … is taken where they are averaged",
    "averaged too early": "a product of means over the examples stands for the mean of products",
    "missing reduction": "not summed over the examples",
    "wrong axis": "summed over another axis than the examples'",
    "transposed": "the gradient is transposed, or its numbers are in the transpose's order",
    "wrong shape": "the numbers are right, and their shape is not",
    "gradient of the inputs": "the gradient for the layer's inputs stands where that for its parameters should",
    "another leaf's gradient": "it is the gradient of another leaf",
    "exchanged leaves": "two leaves of the gradient have changed places",
    "untransposed weight": "pulled back through W, not Wᵀ",
    "another layer's weight": "pulled back through another layer's weight",
    "updated weight": "pulled back through a weight that has been updated already",
    "other weights": "pulled back through weights that are none of the network's",
    "weights forgotten": "not pulled back through any weights",
    "other derivative": "the derivative is another function of z, none of those known",
    "missing derivative": "the activation's derivative is missing",
    "doubled derivative": "the activation's derivative is applied twice",
    "another activation's derivative": "the derivative is another activation's",
    "derivative at a": "the derivative is taken at a = σ(z), not at z",
    "derivative elsewhere": "the derivative is taken at another z: another layer's, without its bias, …",
    "activation for derivative": "σ(z) stands where σ′(z) should",
    "cross terms forgotten": "only the diagonal of a Jacobian, such as the softmax's, is there",
    "pre-activation for activation": "z stands where a = σ(z) should",
    "another layer's activation": "multiplied by another layer's activation",
    "other activation": "multiplied by what is no activation of the network's; the δ in it is right",
    "another layer's delta": "made from another layer's δ",
    "other delta": "made from what is no δ of the network's; what it is multiplied with is right",
    "activation for delta": "an activation stands where δ should",
    "wrong product": "multiplied entry by entry, or added, where another product or none belongs",
    "added to another": "another layer's δ or gradient is added",
    "term added": "a term of another kind is added",
    "penalty added": "a penalty that the cost does not have",
    "update for gradient": "the parameter after a step stands where its gradient should",
    "penalty forgotten": "the cost's penalty is missing, or part of it",
    "penalty doubled": "the cost's penalty counts twice",
    "chain rule forgotten": "the chain rule's factor of a transformed parameter is missing, or inverted",
    "second derivative": "the second derivative stands where the first should",
    "zero": "it is zero",
    "dead unit": "all entries of some units are zero",
    "single entry": "one entry is wrong, all others are right",
    "entries left out": "some entries are zero: a triangle, the small ones, those of a mask",
    "swapped entries": "entries, or whole rows or columns, have changed places",
    "clipped": "clipped, entry by entry or by its norm",
    "signs alone": "only the sign of every entry is left",
    "rectified": "entries of one sign are zero, or all have lost their sign",
    "normalised": "its mean is taken off, or it is divided by its own norm, spread or largest entry",
    "another power": "every entry is squared, or its root taken",
    "rounded": "rounded to a lower precision",
    "cotangent ignored": "it does not depend on what comes from above",
    "cotangent passed on": "the cotangent is passed on unchanged, as by a straight-through estimator",
    "target ignored": "the target does not enter",
    "wrong target": "compared with another target: another class, smoothed, −1 for 0",
    "another loss": "the gradient of another loss",
    "loss for derivative": "the loss stands where its derivative should",
    "activation twice": "the activation is applied twice",
    "skip connection forgotten": "the skip connection's part is missing",
    "skip connection weighted": "the skip connection or the branch beside it counts otherwise than once",
    "branch forgotten": "only the skip connection's part is there",
    "share forgotten": "the share that comes back through one of its uses is missing",
    "share weighted": "the share that comes back through one of its uses counts otherwise than once",
    "statistics held constant": "layer norm's mean, its spread or both are taken for constants",
    "wrong statistics": "layer norm's mean or spread enters wrongly: the variance, without ε, over n − 1, another share",
    "wrong piece": "maxout: pieces that did not win have a share",
    "not a number": "NaN or inf",
    "not repeatable": "called twice, it gives two answers",
    "unexplained": "none of the known mistakes",
})
TINY, MARGIN = 1e-8, 1e3
CLEAR, CLEAR_OF_ROUNDING = 0.1, 4
"""A cause is named only if rounding is below the share CLEAR of the error, and each different
hypothesis leaves more than CLEAR_OF_ROUNDING times the rounding."""
# The WORST entries of a large step, and some drawn at random, are tested first. A hypothesis with
# a larger share than NEAR of the error there is not tested on the whole step.
WORST, NEAR = 64, 0.1
NOTHING = 1e-3  # no hypothesis with solved factors is named for a step below this share of expected
CLEAR_FOR_SOLVED = 0.01  # CLEAR for hypotheses with many free numbers

_SEEN = np.zeros(0)


class Verdict(NamedTuple):
    """The cause of a wrong step.

    Attributes:
      cause: a key of `CAUSES`.
      residual: the residual of the best hypothesis.
      runner_up: the smallest residual of a different hypothesis.
      formula: the formula that fits the given step.
      value: the fitted numbers as text.
      closest: the cause with the smallest residual, if none is named.
      fitted: the fitted numbers of the hypothesis.
      others: further verdicts whose residual is tiny too.
      near: the closest cause's formula, if none is named.
    """

    cause: str
    residual: float
    runner_up: float
    formula: str
    value: str
    closest: str
    fitted: tuple[float, ...] = ()
    others: tuple["Verdict", ...] = ()
    near: str = ""

    @property
    def nearest(self) -> str:
        """Return the closest cause with its formula and with what it leaves; "" without one."""
        if not self.closest:
            return ""
        formula = f" ({self.near})" if self.near else ""
        return f"{CAUSES[self.closest]}{formula}, which leaves {self.residual:.0e} of the error"


def judge(given: np.ndarray, expected: np.ndarray, hypotheses: Iterable[Hypothesis], unit: float, name: str,
          noise: float = 0.0) -> Verdict:
    """Return the verdict on a wrong step.

    Hypotheses are ordered from the simplest on, and the first one that fits is named.

    Args:
      given, expected: the step's output and the right output, of one shape, examples first.
      hypotheses: the hypotheses for this kind of step. Each is tested as it is and times a
        constant.
      unit: the rounding unit of `given`.
      name: the right step as a formula, from which other formulas are written.
      noise: the norm of further rounding errors in given − expected.
    """
    if not np.isfinite(given).all():
        return Verdict("not a number", 0.0, np.inf, name, "", "")
    error = max(size(given - expected), 1e-300)
    rounding = (2 * unit * size(given) + noise / 4) / error
    tiny = max(TINY, rounding)
    measure = _Measure.of(given, expected, error, tiny)
    simple, (known, times), others = (measure.residuals(guesses) for guesses in (
        plain(given, expected, name), hypotheses, general(given, expected, name, unit)))
    left = sorted((*simple[0], *known, *others[0], *times), key=lambda pair: pair[1].rank)
    solvable = size(given) > NOTHING * size(expected)
    named = [(residual, guess) for residual, guess in left if residual <= tiny and (solvable or guess.rank < SOLVED)]
    # a hypothesis of a higher rank is no rival
    rank = named[0][1].rank if named else SOLVED
    runner_up = min((residual for residual, guess in left if residual > tiny and guess.rank <= rank
                     and not (named and guess.cause == named[0][1].cause)), default=np.inf)
    best = min(max(named[0][0], 1e-13), TINY) if named else TINY
    clear = CLEAR if rank < SOLVED else CLEAR_FOR_SOLVED
    if named and tiny < clear and runner_up > max(MARGIN * best, CLEAR_OF_ROUNDING * rounding):
        first, *others = (Verdict(guess.cause, residual, runner_up, guess.formula, guess.value, "", guess.fitted)
                          for residual, guess in named if guess.rank < SOLVED or tiny < CLEAR_FOR_SOLVED)
        return first._replace(others=tuple(others))
    residual, guess = min(left, key=lambda pair: pair[0])
    near = residual < 0.5
    return Verdict("unexplained", residual, runner_up, name, "", guess.cause if near else "", guess.fitted,
                   near=guess.formula if near else "")


class _Measure(NamedTuple):
    """Computes residuals of hypotheses, for a large step first on a few of its entries.

    These entries are the worst ones and some drawn at random. A hypothesis cannot be named if it
    leaves more than the share `tiny` of the whole error on them alone. Then its residual is
    computed from these entries only.
    """

    given: np.ndarray
    expected: np.ndarray
    error: float
    tiny: float
    some: np.ndarray | None = None

    @classmethod
    def of(cls, given: np.ndarray, expected: np.ndarray, error: float, tiny: float) -> "_Measure":
        """Return the measure of a step; for a large step it draws `some`, flat indices."""
        if given.size < 16 * DRAWN:
            return cls(given, expected, error, tiny)
        worst = np.argpartition(-np.abs(given - expected).ravel(), WORST)[:WORST]
        return cls(given, expected, error, tiny, np.union1d(worst, np.random.default_rng(0).integers(given.size, size=DRAWN)))

    def residuals(self, guesses: Iterable[Hypothesis]) -> tuple[list, list]:
        """Return two lists of (residual, hypothesis): as they are, and times a fitted constant.

        A hypothesis that predicts the right step is not multiplied. Predictions may be large, so
        they are made one at a time and not kept.
        """
        found, times = [], []
        for guess in guesses:
            if guess.predicted.shape != self.given.shape:
                continue
            left, _, differs = self._left(guess.predicted, scaled=False)
            if not np.isfinite(left):
                continue
            found.append((left, guess._replace(predicted=_SEEN)))
            if self.given.size > 1 and guess.cause != "wrong target" and differs:
                left, factor, _ = self._left(guess.predicted, scaled=True)
                if factor and np.isfinite(left):
                    times.append((left, guess._replace(
                        predicted=_SEEN, formula=f"{factor:.6g} * ({guess.formula})", fitted=(*guess.fitted, factor))))
        return found, times

    def _left(self, predicted: np.ndarray, scaled: bool) -> tuple[float, float, bool]:
        """Return (residual, factor, whether the prediction differs from the right step)."""
        def of(given, expected, predicted, error):
            factor = multiple(given, predicted) if scaled else 1.0
            left = size(given - factor * predicted) if scaled else size(given - predicted)
            return left / error, factor, not scaled and size(predicted - expected) > 1e-6 * error

        if self.some is not None:
            given, expected, there = (v.reshape(-1)[self.some] for v in (self.given, self.expected, predicted))
            error = max(size(given - expected), 1e-300)
            found = of(given, expected, there, error)
            if not found[0] * error <= max(self.tiny * self.error, NEAR * error):
                return found
        return of(self.given, self.expected, predicted, self.error)
