"""Standardising the inputs (N20): each feature to mean 0 and standard deviation 1.

The mean and the deviation are those of the training rows.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from functional_nn import checks
from functional_nn.data.examples import Dataset

ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class Standardizer:
    """The standardisation x ↦ (x − mean) / deviation of each feature.

    The deviation is that of the population (divided by n). A feature that is constant in training
    has deviation 1, so that it becomes exactly 0 there, and x − constant elsewhere.

    Attributes:
      mean: float64 of shape (features,).
      deviation: float64 of shape (features,).
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, x: ArrayLike) -> "Standardizer":
        """The standardisation fitted to the training rows `x` of shape (examples, features).

        It uses sklearn's StandardScaler on 65,536 rows at a time, so that `x` may be a file
        opened with mmap_mode="r" that is larger than the memory. Raises a ValueError unless `x`
        has two axes and at least one row, and for a NaN or inf.

        >>> fitted = Standardizer.fit([[1.0, 7.0], [3.0, 7.0]])
        >>> fitted.mean.tolist(), fitted.deviation.tolist(), fitted([[5.0, 7.0]]).tolist()
        ([2.0, 7.0], [1.0, 1.0], [[3.0, 0.0]])
        """
        x = np.asarray(checks.taken("x", x))
        if x.ndim != 2 or len(x) == 0:
            raise ValueError(
                "x must be of shape (examples, features), with one example at least, "
                f"got {x.shape}; give one feature as x[:, None]")
        from sklearn.preprocessing import StandardScaler  # here, as in `examples.split`

        scaler, first = StandardScaler(), np.asarray(x[0], dtype=np.float64)
        # the mean of equal numbers may be off by a rounding, and they would not become exactly 0
        constant = np.ones(x.shape[1], dtype=bool)
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = np.asarray(x[start:start + ROWS_AT_ONCE], dtype=np.float64)
            checks.finite(f"x[{start}:]" if start else "x", rows)
            scaler.partial_fit(rows)
            constant &= (rows == first).all(axis=0)
        return cls(
            mean=np.where(constant, first, scaler.mean_),
            deviation=np.where(constant, 1.0, scaler.scale_))

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """`x` of shape (..., features) standardised, in float64 if `x` is float64, else in float32.

        Raises a ValueError unless the number of features is that of the training rows.
        """
        x = np.asarray(checks.taken("x", x))
        if x.shape[-1:] != self.mean.shape:
            raise ValueError(
                f"x must have {len(self.mean)} features, as in training, "
                f"got an array of shape {x.shape}")
        dtype = np.float64 if x.dtype == np.float64 else np.float32
        return ((x.astype(np.float64) - self.mean) / self.deviation).astype(dtype)


def standardize(dataset: Dataset, fitted: Standardizer | None = None) -> Dataset:
    """`dataset` with its features standardised by the mean and deviation of its training rows.

    With `fitted` they are standardised by that, as the features of other rows were.

    The test rows do not enter the mean, so their own mean is near 0 but not 0. The targets are
    unchanged. The result keeps the fitted `standardizer`, which `Dataset.encode` applies to new
    rows. Raises a ValueError for a NaN or inf in a training row, and for a data set that is
    already standardised.

    >>> from functional_nn.data.datasets import load
    >>> wine = standardize(load("wine"))
    >>> train, test = wine.x_train[:, 12], wine.x_test[:, 12]
    >>> print(f"{train.std():.3f} {abs(train.mean()):.3f} {test.mean():.3f}")
    1.000 0.000 -0.061
    """
    if dataset.standardizer is not None:
        raise ValueError(
            f"dataset must not be standardised yet, got {dataset.name}, which is; use it as it is")
    fitted = Standardizer.fit(dataset.x_train) if fitted is None else fitted
    return replace(
        dataset,
        x_train=fitted(dataset.x_train).astype(np.float32),
        x_test=fitted(dataset.x_test).astype(np.float32),
        standardizer=fitted)
