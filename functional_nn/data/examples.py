"""What a data set is once it is read: rows to learn from and rows to be judged by, and how the one pile becomes two."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from functional_nn.data.values import as_float32


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from and rows to be judged by, as NumPy arrays.

    `x_train`, `x_test` are (examples, features) of float32; `y_train`, `y_test` are (examples,), int32 labels counting
    from 0 that index `class_names`, or float32 values in a regression, where `class_names` is (). `image_shape` is
    (height, width) where a row is a picture, read line by line, and None elsewhere. `decided` says in words why the target
    was taken for classes or for numbers. `encoder` and `standardizer` are what new rows go through, see `encode`.
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

    def encode(self, rows: ArrayLike | str | os.PathLike | Sequence[Mapping[str, Any]]) -> np.ndarray:
        """New rows as the network was shown those of training: categories mapped alike, then standardised alike.

        Args:
            rows: of a CSV data set, the path of another CSV file with the same columns (its target may be absent) or a list
                of mappings from column to value; of any other data set, numbers of shape (n, features).

        Returns float32 of shape (n, features). Raises a ValueError that names the row and the column of a missing value, of
        a category that was not there in training, or of anything else that cannot be mapped.

        >>> from functional_nn.data import load, standardize
        >>> iris = standardize(load("iris"))
        >>> print(iris.encode([[5.8, 3.0, 3.8, 1.2]]).round(1) + 0.0)
        [[-0.1 -0.1  0.   0. ]]
        """
        if self.encoder is not None:
            x = self.encoder(rows)
        else:
            x = np.asarray(rows)
            if x.dtype.kind not in "biuf" or x.ndim != 2 or x.shape[1] != len(self.feature_names):
                raise ValueError(f"rows must be numbers of shape (n, {len(self.feature_names)}), a column a feature, got "
                                 f"{x.dtype} of shape {x.shape}; give one row as row[None]")
            x = as_float32("rows", x)
        return x if self.standardizer is None else self.standardizer(x)

    def __str__(self) -> str:
        """What is there, in a line."""
        kind = f"{len(self.class_names)} classes" if self.class_names else "a regression"
        why = f" ({self.decided})" if self.decided else ""
        return (f"{self.name}: {len(self.x_train)} training and {len(self.x_test)} test rows of {self.x_train.shape[1]} "
                f"features, {kind}{why}")


class Examples(NamedTuple):
    """The rows of one file before the split: x float32 (n, features), y (n,); `test` holds (x, y) where they came split."""

    name: str
    x: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    decided: str = ""
    encoder: Callable[[Any], np.ndarray] | None = None
    test: tuple[np.ndarray, np.ndarray] | None = None


def split(examples: Examples, test_share: float | None, seed: int) -> Dataset:
    """Training and test rows: as they came, or shuffled by `seed` with every class in both in its share.

    `test_share` None is 0.2, or the share that the files themselves have. Raises a ValueError for a share of rows that came
    split, for a class of one example, and for a share that leaves too few rows on one side.
    """
    name, x, y, *described, test = examples
    if test is not None:
        if test_share is not None:
            raise ValueError(f"test_share is for data that is not split yet, got {test_share}, and {name} comes with test "
                             "rows of its own; leave test_share out")
        return Dataset(name, x, y, *test, *described)
    if len(x) < 2:
        raise ValueError(f"{name} must hold at least two examples, one to train and one to test, got {len(x)}")
    counts = np.bincount(y, minlength=1) if examples.class_names else np.array([2])
    if counts.min() < 2:
        raise ValueError(f"{name} must hold two examples of every class, one to train and one to test, got a single one of "
                         f"{examples.class_names[counts.argmin()]!r}; drop it, merge it with another class, or pass "
                         "task='regression' for numbers")
    from sklearn.model_selection import train_test_split  # takes two seconds to import, which `import functional_nn` need not

    share = 0.2 if test_share is None else test_share
    try:
        x_train, x_test, y_train, y_test = train_test_split(
            x, y, test_size=share, random_state=seed, stratify=y if examples.class_names else None)
    except ValueError as error:
        raise ValueError(f"test_share={share} leaves too few of {len(x)} examples on one side: {error}") from error
    return Dataset(name, x_train, y_train, x_test, y_test, *described)
