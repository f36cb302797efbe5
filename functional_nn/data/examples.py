"""Data sets in memory: training rows and test rows, and the split of examples into the two."""

import math
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

    def encode(
        self, rows: ArrayLike | str | os.PathLike | Sequence[Mapping[str, Any]]
    ) -> np.ndarray:
        """New rows as features, encoded and standardised like the training rows.

        Args:
            rows: for a CSV data set, the path of another CSV file with the same columns (the target
                may be absent), a pandas DataFrame with these columns, or a list of mappings from
                column to value; for any other data set, numbers of shape (n, features), or a
                DataFrame with the columns `feature_names`.

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
            x = self.encoder(rows)
        elif hasattr(rows, "columns"):  # a DataFrame is read by the names of its columns
            x = self._by_name(rows)
        else:
            x = np.asarray(rows)
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
        """A summary in one line: name, rows, features and kind of target."""
        kind = f"{len(self.class_names)} classes" if self.class_names else "a regression"
        why = f" ({self.decided})" if self.decided else ""
        return (
            f"{self.name}: {len(self.x_train)} training and {len(self.x_test)} test rows of "
            f"{self.x_train.shape[1]} features, {kind}{why}")


class Examples(NamedTuple):
    """The examples of one file before the split.

    Attributes:
      x: the features, of shape (n, features), as in `Dataset`.
      y: the targets, of shape (n,).
      test: (x, y) of the test rows where the file is already split, else None.

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


def split(examples: Examples, test_share: float | None, seed: int) -> Dataset:
    """The examples split into training and test rows.

    Examples that come split stay so. Others are shuffled by `seed`, with the same share of each
    class in both parts.

    Args:
        examples: the examples of one file.
        test_share: the share of the test rows, between 0 and 1. None means 0.2, or the split that
            the file has.
        seed: an integer from 0 to 2³² − 1.

    Raises a ValueError for a `test_share` of examples that come split, for a class with a single
    example, and for a share that leaves too few rows in one part.
    """
    name, x, y, *described, target, test = examples
    if test is not None:
        if test_share is not None:
            raise ValueError(
                f"test_share is for data that is not split yet, got {test_share}, "
                f"and {name} comes with test rows of its own; leave test_share out")
        return Dataset(name, x, y, *test, *described, target=target, dtype=str(x.dtype))
    if len(x) < 2:
        raise ValueError(
            f"{name} must hold at least two examples, one to train and one to test, got {len(x)}")
    counts = np.bincount(y, minlength=1) if examples.class_names else np.array([2])
    if counts.min() < 2:
        raise ValueError(
            f"{name} must hold two examples of every class, one to train and one to test, "
            f"got a single one of {examples.class_names[counts.argmin()]!r}; "
            "drop it, merge it with another class, or pass task='regression' for numbers")
    # takes two seconds, which `import functional_nn` avoids
    from sklearn.model_selection import train_test_split

    share = 0.2 if test_share is None else test_share
    tests, classes = math.ceil(share * len(x)), len(examples.class_names)
    if test_share is None and classes > min(tests, len(x) - tests):
        number = all(label.lstrip("-").isdigit() for label in examples.class_names)
        quantity = "{task} if the target is a quantity, or " if number else ""
        raise checks.advice(
            f"{name} was taken for {classes} {examples.decided or 'classes'}: test_share={share} "
            f"leaves too few of its {len(x)} rows to have every class among the {tests} of the "
            f"test; pass {quantity}{{test_share}}",
            task="regression", test_share=round(min(0.5, (classes + 1) / len(x)), 2))
    try:
        x_train, x_test, y_train, y_test = train_test_split(
            x, y, test_size=share, random_state=seed, stratify=y if examples.class_names else None)
    except ValueError as error:
        raise ValueError(
            f"test_share={share} leaves too few of {len(x)} examples on one side: "
            f"{error}") from error
    return Dataset(name, x_train, y_train, x_test, y_test, *described, target=target,
                   dtype=str(x.dtype))
