"""Every threshold of the debugger, each with its derivation, and the only comparison.

A computed number has a *noise*: a bound of its rounding error. Bounds are propagated through the
forward and the backward pass with the magnitudes of the terms, so that cancellation, saturation
and kinks widen them where they should.
"""

import jax.numpy as jnp
import numpy as np

UNITS = 8.0
"""Rounding units per operation. A sum of n terms errs by about √n units of its magnitude Σ|terms|,
an exponential by 2; 8 covers sums of up to 64 terms that all round the same way, and longer ones
at random."""

FINEST = 1e-12
"""The finest unit. Two formulas for one quantity, such as 1 − tanh² and 1/cosh², may differ by some
1e3 units of float64 (1e-13), and no mistake is so small: a factor of 1 + 1e-6 is 1e6 times it."""

KINK = 1e-10
"""A unit is at its kink if |z| is below this share of the terms that z is the sum of: ten FINEST,
since z is a sum of sums."""

CAP = 1e3
"""The largest slope of a loss that counts in a bound. −y / a grows without limit where a → 0, but
is multiplied by σ′ ≤ a there, so that its error does not."""

CLEAR = 8.0
"""A mistake is named only if its error is this many times the noise. With less, a tenth of the
entries would agree with any prediction whatever."""

FREE = 1.25
"""A mistake with k fitted numbers is named only if FREE · k numbers are reproduced: a quarter of
them is then no fit, and each agrees by chance with the share that its noise is of its size."""

TINY = 1e-8
"""A cause of any array leaves at most this share of the error in float64: its square root of eps,
what a least-squares fit of a number leaves at worst. A fitted number that is a plain one (2, 1/3,
0.01) within this share is written so."""

MOVED = 0.2
"""Relative move of parameters and inputs between looks: large enough that a coincidence of values
does not persist, small enough that saturation and dead units stay as they are."""

SINGLES = 5
"""Single examples that are looked at. A unit of ReLU is inactive in all of them with 1/32."""

ENTRIES = 20_000_000
"""The largest number of entries in all looks together, 160 MB in float64; larger networks get
fewer looks."""

ROOM = 8.0
"""An entry may be this many times the largest rounding seen in three moves: for a uniform error the
chance of an entry beyond it is nil, and for a normal one below 1e-9."""

ROUGH = 1e-3
"""A prediction that is off by this share of a leaf's largest entry is given up before its noise is
computed; half precision, whose rounding is larger, is in the noise of the look."""

NEAR = 0.5
"""The closest mistake is mentioned if it leaves less than this share of the error."""

def smallest(unit: float) -> float:
    """Return the smallest normal number of the arithmetic that has UNITS rounding units of `unit`.

    A smaller number may have become 0 in it.

    >>> smallest(UNITS * 2.0**-24) == float(np.finfo(np.float32).tiny)
    True
    """
    def distance(info) -> float:
        return abs(np.log(unit / (UNITS * max(float(info.eps) / 2, FINEST))))

    return float(min(map(jnp.finfo, ("float64", "float32", "bfloat16", "float16")), key=distance).tiny)


def agrees(given: np.ndarray, predicted: np.ndarray, noise) -> bool:
    """Return whether each entry of two arrays of one shape differs by at most its noise.

    What is no number agrees with what is none.
    """
    if given.shape != predicted.shape:
        return False
    with np.errstate(invalid="ignore"):
        gap = np.abs(given - predicted)
        near = (gap <= noise) & np.isfinite(gap)  # the noise of an infinite number is infinite
    return bool(near.all()) or bool((near | ~(np.isfinite(given) | np.isfinite(predicted))).all())

def left_over(given, predicted, expected) -> float:
    """Return the share of the error given − expected that a prediction leaves, over all looks."""
    gaps = [np.sum((g - p) ** 2) for g, p in zip(given, predicted, strict=True)]
    errors = [np.sum((g - e) ** 2) for g, e in zip(given, expected, strict=True)]
    return float(np.sqrt(sum(gaps) / max(sum(errors), 1e-300)))

def multiple(given, terms) -> float:
    """Return the least-squares c of given ≈ c · terms over lists of arrays; 0 for terms of 0."""
    squares = sum(float(np.vdot(t, t)) for t in terms)
    found = sum(float(np.vdot(t, g)) for t, g in zip(terms, given, strict=True))
    return found / squares if squares > 0 else 0.0

def plain_number(value: float, close: float = TINY) -> float:
    """Return a number of few digits, or a simple fraction, that is close; else the value itself.

    >>> plain_number(0.09999999999), plain_number(0.33333333331) == 1 / 3, plain_number(0.1013579)
    (0.1, True, 0.1013579)
    """
    if not np.isfinite(value) or value == 0:
        return float(value)
    short = float(f"{value:.2e}")
    inverse = 1 / float(f"{1 / value:.2e}")
    return next((one for one in (short, inverse) if abs(one - value) <= close * abs(value)), float(value))

SOLUTIONS, TRIES = 16, 200
"""Explanations that are compared, and choices of δ that are tried: with two wrong steps in ten
stations there are some 90."""

MENDED = 3
"""The cost, in wrong steps, of a mistake that turns a wrong δ into the right one: it is likelier that
the wrong δ was used in that station's leaves alone, which costs 2."""

INDEPENDENT = 1e-3
"""δ of each example is told from a sum over them only if the examples' inputs have a condition
number below 1e3: rounding then grows by at most that."""

SAME = 1e-5
"""Costs that agree so closely are of the same formula, in float32 too: a hundred of its units."""

ALL = 64
"""Up to this many examples are looked at one by one if the first few are right: 64 calls cost less
than the look for causes."""

MANY = 4096
"""Arrays with more entries are not searched for permutations, whose cost grows with the square."""
