"""Every threshold of the checks of single functions, each with its derivation.

Those of networks stand in `debugger.tolerance`, from which these checks take what they share.
"""

import numpy as np

UNIT = float(np.finfo(np.float64).eps)
"""u, the spacing of float64 at 1; a rounding errs by half of it."""

ROUNDINGS = 16.0
"""Units that a sum of products may be off by: √n of n terms, for n up to 256."""

RELATIVE = {"autodiff": 1e-12, "forward": 1e-12, "fd": 1e-6, "complex": 1e-12}
"""The largest relative error of a right leaf in float64, beyond the reference's own noise: of two
formulas for one number (1e-13), and of central differences (DIFFERENCES), with room."""

STEP = 2.0**-17
"""h ≈ ∛u of central differences, where truncation h² and rounding u/h are alike. As a power of two
it makes p ± h exact, so that the size of p does no harm."""

DIFFERENCES = 1e-7
"""Relative error of central differences: some 1e3 h², or as many roundings u/h."""

WIDE = 2.0**-7
"""The step of second derivatives: their error is some WIDE⁴ / 90, and u / WIDE²."""

TINIEST = 1e-30
"""The step of the complex step: its square is nothing beside 1."""

NEARBY = 0.1
"""Relative distance of the points where a cause is confirmed: chance does not persist so far, and
functions are mostly defined there."""

OFF = 1e-3
"""Relative distance from a point where the derivative is NaN: hundreds of steps."""

AWAY = 1e-6
"""The jitter off a kink, relative to the parameters: far more than the last step of differences."""

SHRUNK = 8.0
"""From one step to the next where a kink is told from a bend: at a bend the gap of the one-sided
derivatives shrinks with the step, so that at a kink it keeps more than half."""

ENTRIES, MEASURED, SMALL = 4096, 512, 64
"""Entries of a leaf up to which every derivative is measured: in one compiled program, one by one,
and where each takes several more."""

COVERED = 4.0
"""The smallest ‖e‖/τ that one random direction misses with probability at most 1/2: see `references`."""

FEWEST, MISS = 16, 1e-9
"""The least number of random directions, and the probability that sets it: to find a wrong entry
takes 2 log₂ n more anyway."""

MOST = 1024
"""Rows of a leaf that central differences measure again: some 6 calls each, as many as its entries took."""

LINE, SHORT, FINE, WIDER = 6, 2.0**-42, 2.0**-26, 64
"""A short line has 2 LINE steps, of SHORT or FINE of the parameters' size. Over SHORT ones a kink shows
no more than differences may err. What grows when FINE ones are WIDER is a bend, and no rounding."""

NOISY, HALF = 1e-10, 1e-5
"""A function strays from a parabola by some 1e-15 of its value in float64, 1e-8 in float32, 1e-4 in
half precision; these lie between."""
