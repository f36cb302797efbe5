"""Random numbers in the order of older programs: NumPy's legacy generator and Python 2's shuffle.

The seeded figures of Nielsen's book and micrograd's demo were made with `random.seed` and
`np.random.seed`. Both generators still give the same numbers. Only `random.shuffle` has changed.
"""

import itertools
import random
from collections.abc import Sequence

import numpy as np

__all__ = ["gaussian", "shuffle", "uniform"]


def gaussian(numbers: np.random.RandomState, sizes: Sequence[int], *, large: bool) -> tuple:
    """The initial parameters of Nielsen's network2.py: all biases first, then all weights.

    Biases are drawn from N(0, 1), and weights from N(0, 1/n_in), or N(0, 1) if `large`.

    Args:
      numbers: NumPy's legacy generator.
      sizes: the numbers of units, those of the input first.
      large: whether it is Nielsen's `large_weight_initializer`.

    Returns the parameters of an `fnn.mlp` of these sizes, in float64.

    >>> gaussian(np.random.RandomState(12345678), (2, 1), large=True)[0]["b"].round(3)
    array([0.554])
    """
    pairs = list(itertools.pairwise(sizes))
    biases = [numbers.randn(n_out, 1)[:, 0] for _, n_out in pairs]
    weights = [numbers.randn(n_out, n_in) / (1.0 if large else np.sqrt(n_in))
               for n_in, n_out in pairs]
    return tuple({"w": w, "b": b} for w, b in zip(weights, biases, strict=True))


def uniform(numbers: random.Random, sizes: Sequence[int]) -> tuple:
    """The initial parameters of micrograd's MLP: weights from U(−1, 1) row by row, biases 0.

    >>> uniform(random.Random(1337), (2, 1))[0]["w"].round(3)
    array([[0.236, 0.067]])
    """
    return tuple({"w": np.array([[numbers.uniform(-1, 1) for _ in range(n_in)]
                                 for _ in range(n_out)]), "b": np.zeros(n_out)}
                 for n_in, n_out in itertools.pairwise(sizes))


def shuffle(numbers: random.Random, items: list) -> None:
    """Shuffle `items` in place as `random.shuffle` of Python 2 does.

    For i = n − 1, …, 1 it exchanges items i and j = ⌊u · (i + 1)⌋ with u from U(0, 1). Python 3
    draws j from random bits instead, so the same seed gives another order.

    >>> items = ["list", "elements", "go", "here"]
    >>> shuffle(random.Random(448), items)
    >>> items
    ['here', 'go', 'list', 'elements']
    """
    for i in range(len(items) - 1, 0, -1):
        j = int(numbers.random() * (i + 1))
        items[i], items[j] = items[j], items[i]
