"""A wrong entry of a leaf too large to look at every entry: by halving a direction that sees the error.

Let S = d·e be what a ±1 direction d sees of the error e. Split its entries into halves, A and B: S = S_A + S_B, and the half
with the larger |S| holds wrong entries. After log₂ n splits one entry is left, at the price of 2 log₂ n derivatives.
"""

from collections.abc import Callable

import jax
import numpy as np

from functional_nn.verify.references import toward


def wrong_entry(along: Callable, params, i: int, manual: np.ndarray, direction: np.ndarray) -> tuple[int, float]:
    """(place, the reference's derivative) of an entry of leaf i that is probably wrong: its place in the flattened leaf.

    Args:
      along: (params, direction) -> the reference's derivative. manual: the gradient of leaf i, flat. direction: (size,) of ±1,
        along which the two disagree.

    >>> given = np.arange(8.0)                                                  # of f = Σ i pᵢ, but for one entry
    >>> given[5] = -1.0
    >>> wrong_entry(lambda p, d: float(d @ np.arange(8.0)), np.zeros(8), 0, given, np.ones(8))
    (5, 5.0)
    """
    tree = jax.tree.structure(params)
    low, high, reference = 0, manual.size, 0.0

    def seen(start, stop):
        """The reference's derivative along the direction's entries from start to stop, and what it sees of the error."""
        masked = np.zeros(manual.size)
        masked[start:stop] = direction[start:stop]
        theirs = float(along(params, tree.unflatten(toward(params, i, masked))))
        return theirs, abs(float(direction[start:stop] @ manual[start:stop]) - theirs)

    while high - low > 1:
        middle = (low + high) // 2
        first, second = seen(low, middle), seen(middle, high)
        if first[1] >= second[1]:
            high, reference = middle, first[0]
        else:
            low, reference = middle, second[0]
    return low, float(direction[low] * reference)
