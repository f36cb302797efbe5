"""A random split of rows in two parts, with the same share of every class in both.

The rows are those of scikit-learn's `train_test_split` to the last one, for the same seed. They
are drawn here because importing `sklearn.model_selection` takes two seconds.
"""

import math

import numpy as np

__all__ = ["shuffled_split"]


def shuffled_split(
    n: int, share: float, seed: int, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the two parts of `n` rows, in a random order.

    Args:
        n: the number of rows.
        share: the share of the second part, between 0 and 1; its rows are ⌈share · n⌉.
        seed: an integer from 0 to 2³² − 1.
        labels: the class of each row, (n,), to keep the share of every class in both parts (as
            nearly as whole rows can); None splits without regard to classes.

    Raises a ValueError if a part has no row, or fewer rows than there are classes.

    >>> labels = np.repeat([0, 1], [30, 10])
    >>> train, test = shuffled_split(40, 0.2, seed=0, labels=labels)
    >>> np.bincount(labels[train]).tolist(), np.bincount(labels[test]).tolist()
    ([24, 8], [6, 2])
    """
    random = np.random.RandomState(seed)
    tests = math.ceil(share * n)
    sizes = n - tests, tests
    if labels is None:
        _check(sizes, 1, "row")
        order = random.permutation(n)
        return order[tests:], order[:tests]
    _, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
    _check(sizes, len(counts), "row of every class")
    rows = np.split(np.argsort(at, kind="stable"), np.cumsum(counts)[:-1])
    firsts = _shares(counts, sizes[0], random)
    seconds = _shares(counts - firsts, sizes[1], random)
    parts = [], []
    for of_class, first, last in zip(rows, firsts, firsts + seconds, strict=True):
        drawn = of_class[random.permutation(len(of_class))]
        parts[0].append(drawn[:first])
        parts[1].append(drawn[first:last])
    first, second = (random.permutation(np.concatenate(part)) for part in parts)
    return first, second


def _check(sizes: tuple[int, int], least: int, what: str) -> None:
    if min(sizes) < least:
        raise ValueError(f"a part of {min(sizes)} rows cannot hold a {what}, which are {least}")


def _shares(counts: np.ndarray, draws: int, random: np.random.RandomState) -> np.ndarray:
    """How many of `draws` rows each class gets, in proportion to `counts`.

    Every class gets its share rounded down. The rows that are left go to the classes with the
    largest remainders, and `random` decides among equal ones.
    """
    exact = counts / counts.sum() * draws
    given = np.floor(exact)
    remainders, left = exact - given, int(draws - given.sum())
    for remainder in np.unique(remainders)[::-1]:
        if left <= 0:
            break
        tied, = np.nonzero(remainders == remainder)
        chosen = random.choice(tied, size=min(len(tied), left), replace=False)
        given[chosen] += 1
        left -= len(chosen)
    return given.astype(int)
