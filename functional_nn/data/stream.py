"""Data larger than the memory of the device: an epoch in chunks of whole mini-batches.

The mini-batches are the same, and in the same order, as with all data on the device.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np

from functional_nn import checks
from functional_nn.data.batches import batch_size as checked_batch_size
from functional_nn.data.batches import epoch_indices


@dataclass(frozen=True, eq=False)
class Stream:
    """Examples in memory or on disk that go to the device one chunk at a time; made by `stream`.

    Attributes:
      X: the inputs, of shape (n, …).
      Y: the targets, of shape (n, …).
      chunk_bytes: the size of a chunk on the device, in bytes.
      transform: the function applied to each block of rows of X, or None.
    """

    X: np.ndarray
    Y: np.ndarray
    chunk_bytes: int
    transform: Callable[[np.ndarray], np.ndarray] | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.X)

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The given rows of X and Y, in the given order, with X transformed.

        The rows are read in ascending order, which is faster from a disk. Raises a ValueError that
        names the row of a NaN or inf, and for a transform that changes the number of rows.
        """
        rows = np.asarray(rows)
        ascending, back = np.unique(rows, return_inverse=True)
        x = checks.real("X", self.X[ascending])[back]
        y = checks.real("Y", self.Y[ascending])[back]
        x = x if self.transform is None else checks.real("X", self.transform(x))
        x = x if x.dtype.kind == "f" else x.astype(np.float32)
        if len(x) != len(rows):
            raise ValueError(
                f"transform must return one row for each it is given, got {len(x)} for {len(rows)}")
        for name, array in (("X", x), ("Y", y)):
            bad = ~np.isfinite(array).reshape(len(rows), -1).all(axis=1)
            if bad.any():
                raise ValueError(
                    f"{name} must be finite, got a NaN or inf in row {rows[bad][0]}; "
                    "drop or impute those rows first")
        return x, y

    def chunks(self, key: jax.Array | None, batch_size: int | None = 32, *, shuffle: bool = True
               ) -> Iterator[tuple[jax.Array, jax.Array]]:
        """One epoch as pairs (X, Y) on the device.

        A pair has the shapes (batches, batch_size, …), and is ready for `jax.lax.scan`. The
        remaining examples follow as one pair of shapes (1, rest, …). The mini-batches and their
        order are those of `epoch_indices` for the same key, so that training gives the same as
        with all data on the device. A chunk holds as many batches as fit into `chunk_bytes`, and
        at least one. Two chunks can be on the device at once: one in use, and the next.

        Args:
            key: a typed key, a new one for each epoch; None without shuffling.
            batch_size: the number of examples of a step, 1 to n; None takes all of them.
            shuffle: whether to permute the examples.

        Raises a TypeError or ValueError that names the wrong argument or row.

        >>> data = stream(np.arange(14.0).reshape(7, 2), np.arange(7), chunk_bytes=100)
        >>> [(X.shape, Y.tolist()) for X, Y in data.chunks(None, 2, shuffle=False)]
        [((2, 2, 2), [[0, 1], [2, 3]]), ((1, 2, 2), [[4, 5]]), ((1, 1, 2), [[6]])]
        """
        size = checked_batch_size(batch_size, len(self))
        full, rest = (
            np.asarray(rows) for rows in epoch_indices(key, len(self), size, shuffle=shuffle))
        return self._put(full, rest[None], size)

    def _put(
        self, full: np.ndarray, rest: np.ndarray, size: int
    ) -> Iterator[tuple[jax.Array, jax.Array]]:
        x, y = self.read(np.arange(1))
        batches = max(1, self.chunk_bytes // (size * (x.nbytes + y.nbytes)))
        parts = [full[i:i + batches] for i in range(0, len(full), batches)]
        for rows in [*parts, rest] if rest.size else parts:
            x, y = self.read(rows.ravel())
            yield (checks.as_jax("X", x.reshape(*rows.shape, *x.shape[1:])),
                   checks.as_jax("Y", y.reshape(*rows.shape, *y.shape[1:])))


def stream(
    X: np.ndarray, Y: np.ndarray, *, chunk_bytes: int = 2**28, transform: Callable | None = None
) -> Stream:
    """The examples X and Y as a `Stream`, which goes to the device one chunk at a time.

    Args:
        X, Y: as for `fit`, but NumPy arrays of n examples; they may be files opened with
            mmap_mode="r". Integers in X become float32.
        chunk_bytes: the size of a chunk on the device, in bytes; 256 MiB by default.
        transform: the function applied to each block of rows of X, such as a fitted `Standardizer`
            or `lambda x: x / 255`.

    Raises a TypeError for anything but NumPy arrays of numbers, and a ValueError for arrays that
    differ in length or are empty, and for an X with a single axis.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "X.npy", np.eye(1000, dtype=np.uint8))
    ...     X = np.load(Path(folder) / "X.npy", mmap_mode="r")
    ...     data = stream(X, np.arange(1000), chunk_bytes=10**6)
    ...     [X.shape for X, Y in data.chunks(jax.random.key(0), 64)]
    [(3, 64, 1000), (3, 64, 1000), (3, 64, 1000), (3, 64, 1000), (3, 64, 1000), (1, 40, 1000)]
    """
    for name, array in (("X", X), ("Y", Y)):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or array.ndim == 0:
            got = (
                f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray)
                else type(array).__name__)
            raise TypeError(
                f"{name} must be a NumPy array of numbers, such as np.load(path, mmap_mode='r'), "
                f"got {got}")
    if X.ndim < 2 or len(X) != len(Y) or not len(X):
        raise ValueError(
            "X and Y must be of shapes (n, features) and (n, …), with one example at least, "
            f"got {X.shape} and {Y.shape}; give one feature as X[:, None]")
    checks.integer("chunk_bytes", chunk_bytes)
    if transform is not None and not callable(transform):
        raise TypeError(
            "transform must be a function of rows of X, such as a fitted Standardizer, "
            f"got {transform!r}")
    return Stream(X, Y, chunk_bytes, transform)
