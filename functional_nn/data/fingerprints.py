"""Fingerprints of rows: which examples a run was trained on, whatever order a file has them in."""

import hashlib
from collections import Counter
from collections.abc import Iterable

import numpy as np

__all__ = ["find", "fingerprints"]


def fingerprints(x: np.ndarray, y: np.ndarray, class_names: tuple[str, ...] = ()) -> np.ndarray:
    """The fingerprint of every example, uint64 of shape (n,): a hash of its features and target.

    Equal examples have equal fingerprints. A class enters by its name, so that it does not matter
    how classes are numbered.

    Args:
      x: the features, (n, features), as they are in the file and not standardised.
      y: the targets, (n,): labels that index `class_names`, or values.
      class_names: the names of the classes; () in a regression.

    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1])
    >>> one, other = fingerprints(x, y, ("elm", "oak")), fingerprints(x[::-1], y, ("oak", "elm"))
    >>> one.tolist() == other[::-1].tolist()
    True
    """
    rows = np.ascontiguousarray(x, dtype=np.float64) + 0.0  # −0 and 0 are one number
    targets = ([class_names[label].encode("utf-8", "surrogatepass") for label in y] if class_names
               else [value.tobytes() for value in np.asarray(y, np.float64) + 0.0])
    digests = (hashlib.blake2b(row.tobytes() + target, digest_size=8).digest()
               for row, target in zip(rows, targets, strict=True))
    return np.frombuffer(b"".join(digests), dtype="<u8")


def find(wanted: Iterable[int], among: Iterable[int]) -> np.ndarray:
    """The places of the fingerprints `wanted` in `among`, in order; each place is used once.

    A fingerprint that is wanted more often than it is there is found as often as it is there.

    >>> find([7, 5, 7], among=[5, 6, 7, 5]).tolist()
    [0, 2]
    """
    left = Counter(map(int, wanted))
    places = []
    for place, fingerprint in enumerate(map(int, among)):
        if left[fingerprint] > 0:
            left[fingerprint] -= 1
            places.append(place)
    return np.array(places, dtype=int)
