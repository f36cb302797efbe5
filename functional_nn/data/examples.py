"""Data sets in memory: examples of one file, and data sets of training rows and test rows."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from functional_nn import checks
from functional_nn.data.values import as_float64


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set split into training rows and test rows, as NumPy arrays.

    Attributes:
      name: the name of the data set or of its file.
      x_train, x_test: the features, of shape (examples, features): float32, or float64 where
        rounding to float32 would lose what their values differ by, as for seconds since 1970.
      y_train, y_test: the targets, of shape (examples,): int32 labels from 0 that index
        `class_names`; in a regression float32 values, or float64 as for the features.
      feature_names: the names of the features.
      class_names: the names of the classes; () in a regression.
      image_shape: (height, width) where each row is an image, pixel row after pixel row,
        else None.
      decided: why the target was taken for classes or for numbers, in words.
      encoder: the mapping from new rows to features; None for rows of numbers.
      standardizer: the standardisation of new features, if any; see `encode`.
      target: the name of the target column; "" if it has none.
      dtype: the dtype of the features before they are standardised, "float32" or "float64".
      scale: in a regression (mean, deviation) of the target, where the network learns the target
        standardised: y = mean + deviation · output. None where it learns the target itself.
      notes: what was noticed in the columns of the file, a sentence each.
      gaps: where the values of `x_train` and of `x_test` were missing and have been filled in,
        two arrays of booleans of their shapes; None if nothing was missing.
      groups: the group of each training row, where the split keeps groups together.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    decided: str = ""
    encoder: Callable[[Any], np.ndarray] | None = None
    standardizer: Callable[[np.ndarray], np.ndarray] | None = None
    target: str = ""
    dtype: str = "float32"
    scale: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    gaps: tuple[np.ndarray, np.ndarray] | None = None
    groups: np.ndarray | None = None

    def encode(
        self, rows: ArrayLike | str | os.PathLike | Sequence[Mapping[str, Any]],
        unknown: str = "refuse"
    ) -> np.ndarray:
        """New rows as features, encoded and standardised like the training rows.

        Args:
            rows: for a table, the path of another file with the same columns (the target may be
                absent), a pandas DataFrame with these columns, or a list of mappings from column to
                value; for any other data set, numbers of shape (n, features), or a DataFrame with
                the columns `feature_names`.
            unknown: for a table, what becomes of rows with a category that was not in training:
                "refuse" raises an error, "ignore" takes it for none of them, and "skip" gives NaN
                for these rows and for those with missing values that are not filled in.

        Returns an array of shape (n, features), of the dtype of the training rows.

        Raises a ValueError for rows that cannot be encoded. For a missing value or a category
        that was not in training it names the row and column. For a CSV data set, raises a
        TypeError for `rows` of another type.

        >>> from functional_nn.data import load, standardize
        >>> iris = standardize(load("iris"))
        >>> print(iris.encode([[5.8, 3.0, 3.8, 1.2]]).round(1) + 0.0)
        [[-0.1 -0.1  0.   0. ]]
        """
        if self.encoder is not None:
            x = self.encoder(rows, unknown)
        elif hasattr(rows, "columns"):  # a DataFrame
            x = self._by_name(rows)
        else:
            x = np.asarray(checks.taken("rows", rows))
            if x.dtype.kind not in "biuf" or x.ndim != 2 or x.shape[1] != len(self.feature_names):
                raise ValueError(
                    f"rows must be numbers of shape (n, {len(self.feature_names)}), a column a "
                    f"feature, got {x.dtype} of shape {x.shape}; give one row as row[None]")
            x = as_float64("rows", x)
        x = x.astype(self.dtype)  # as the training rows were
        return x if self.standardizer is None else self.standardizer(x).astype(np.float32)

    def _by_name(self, frame) -> np.ndarray:
        lacking = [name for name in self.feature_names if name not in frame.columns]
        if lacking:
            raise ValueError(
                f"rows must have the columns {', '.join(self.feature_names[:6])} …, got a table "
                f"without {lacking[0]!r}; rename its columns, or pass rows.to_numpy()")
        return as_float64("rows", frame[list(self.feature_names)].to_numpy())

    def __str__(self) -> str:
        """A summary in one line: name, rows, features and kind of target; and a line a note."""
        kind = f"{len(self.class_names)} classes" if self.class_names else "a regression"
        why = f" ({self.decided})" if self.decided else ""
        return (
            f"{self.name}: {len(self.x_train)} training and {len(self.x_test)} test rows of "
            f"{self.x_train.shape[1]} features, {kind}{why}"
            + "".join(f"\nnote: {note}" for note in self.notes))


class Examples(NamedTuple):
    """The examples of one file before the split.

    Attributes:
      x: the features, of shape (n, features), as in `Dataset`.
      y: the targets, of shape (n,).
      test: (x, y) of the test rows where they are given apart, else None.
      groups: the group of each example, (n,), where the split keeps groups together.
      fill: how missing values, NaN in x, are filled in: "mean" or "most-frequent".

    The other attributes are those of `Dataset`.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    decided: str = ""
    encoder: Callable[[Any], np.ndarray] | None = None
    target: str = ""
    test: tuple[np.ndarray, np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    fill: str | None = None
