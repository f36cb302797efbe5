"""Standardising the inputs (N20): zero mean and unit deviation for every feature, as the training rows have them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from functional_nn import checks
from functional_nn.data.examples import Dataset

ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class Standardizer:
    """x ↦ (x − mean) / deviation, a feature at a time, with `mean` and `deviation` float64 of shape (features,).

    The deviation is the population's (divided by n). A feature that is constant in training has deviation 1, so it
    becomes exactly 0 there, and elsewhere the distance from that constant.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, x: ArrayLike) -> "Standardizer":
        """The standardizer of the training rows `x`, (examples, features): a thin layer on sklearn's StandardScaler.

        Rows are taken 65,536 at a time, so `x` may be a file opened with mmap_mode="r" that is larger than the memory.
        Raises a ValueError when `x` is not two-dimensional, has no rows, or holds a NaN or inf.

        >>> fitted = Standardizer.fit([[1.0, 7.0], [3.0, 7.0]])
        >>> fitted.mean.tolist(), fitted.deviation.tolist(), fitted([[5.0, 7.0]]).tolist()
        ([2.0, 7.0], [1.0, 1.0], [[3.0, 0.0]])
        """
        x = x if isinstance(x, np.ndarray) else np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or len(x) == 0:
            raise ValueError(f"x must be of shape (examples, features), with one example at least, got {x.shape}; "
                             "give one feature as x[:, None]")
        from sklearn.preprocessing import StandardScaler  # late, as in `examples.split`

        scaler, first = StandardScaler(), np.asarray(x[0], dtype=np.float64)
        constant = np.ones(x.shape[1], dtype=bool)  # the mean of equal numbers may be off by a rounding, and their 0 with it
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = np.asarray(x[start:start + ROWS_AT_ONCE], dtype=np.float64)
            checks.finite(f"x[{start}:]" if start else "x", rows)
            scaler.partial_fit(rows)
            constant &= (rows == first).all(axis=0)
        return cls(mean=np.where(constant, first, scaler.mean_), deviation=np.where(constant, 1.0, scaler.scale_))

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """`x` of shape (..., features) standardised: float64 stays float64, and all else becomes float32.

        Raises a ValueError when the features are not as many as in training.
        """
        x = np.asarray(x)
        if x.shape[-1:] != self.mean.shape:
            raise ValueError(f"x must have {len(self.mean)} features, as in training, got an array of shape {x.shape}")
        dtype = np.float64 if x.dtype == np.float64 else np.float32
        return ((x.astype(np.float64) - self.mean) / self.deviation).astype(dtype)


def standardize(dataset: Dataset) -> Dataset:
    """`dataset` with its features standardised by the mean and deviation of its training rows alone.

    The test rows are never looked at, so their mean is near 0 but not 0. The targets stay as they are. The result keeps the
    fitted `standardizer`, which `Dataset.encode` applies to new rows. Raises a ValueError when a training row holds a NaN or
    inf, and when the data set is standardised already.

    >>> from functional_nn.data.datasets import load
    >>> wine = standardize(load("wine"))
    >>> print(f"{wine.x_train[:, 12].std():.3f} {abs(wine.x_train[:, 12].mean()):.3f} {wine.x_test[:, 12].mean():.3f}")
    1.000 0.000 -0.061
    """
    if dataset.standardizer is not None:
        raise ValueError(f"dataset must not be standardised yet, got {dataset.name}, which is; use it as it is")
    fitted = Standardizer.fit(dataset.x_train)
    return replace(dataset, x_train=fitted(dataset.x_train), x_test=fitted(dataset.x_test), standardizer=fitted)
