"""Find a wrong entry of a large leaf by bisection.

Let S = d·e for a ±1 direction d and the gradient's error e. Split the entries into halves A and B.
Then S = S_A + S_B, and the half with the larger |S| holds wrong entries. After log₂ n splits one
entry remains; the search costs 2 log₂ n derivatives.
"""

from collections.abc import Callable

import jax
import numpy as np

from functional_nn.verify.references import toward


def wrong_entry(along: Callable, params, i: int, manual: np.ndarray, direction: np.ndarray) -> tuple[int, float]:
    """(place, the reference's derivative) of an entry of leaf i that is probably wrong.

    Args:
      along: (params, direction) -> the reference's derivative.
      manual: the gradient of leaf i, flat. The returned place is an index into it.
      direction: (size,) of ±1, along which the two disagree.

    >>> given = np.arange(8.0)                                                  # of f = Σ i pᵢ, but for one entry
    >>> given[5] = -1.0
    >>> wrong_entry(lambda p, d: float(d @ np.arange(8.0)), np.zeros(8), 0, given, np.ones(8))
    (5, 5.0)
    """
    tree = jax.tree.structure(params)
    low, high, reference = 0, manual.size, 0.0

    def seen(start, stop):
        """(the reference's derivative along the entries start to stop, |S| of these entries)."""
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
