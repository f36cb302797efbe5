"""Data sets by name, split into training and test rows; those here come with scikit-learn and need no network."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from functional_nn import checks


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from and rows to be judged by, as NumPy arrays.

    `x_train`, `x_test` are (examples, features) of float32; `y_train`, `y_test` are (examples,), int32 labels counting
    from 0 that index `class_names`, or float32 values in a regression, where `class_names` is (). `image_shape` is
    (height, width) where a row is a picture, read line by line, and None elsewhere.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None


class _Source(NamedTuple):
    """Where a data set comes from: the name of a scikit-learn loader, and the shape of its pictures if it holds any."""

    loader: str
    image_shape: tuple[int, int] | None = None


_SOURCES = {
    "digits": _Source("load_digits", image_shape=(8, 8)),
    "iris": _Source("load_iris"),
    "wine": _Source("load_wine"),
    "breast_cancer": _Source("load_breast_cancer"),
    "diabetes": _Source("load_diabetes"),
}


def load(
    name: str, data_dir: str | os.PathLike | None = None, *, test_share: float = 0.2, seed: int = 0
) -> Dataset:
    """The data set called `name`, split once and for all by `seed`, with every class in both parts in its share.

    Args:
        name: `digits`, `iris`, `wine`, `breast_cancer` (classes) or `diabetes` (regression).
        data_dir: the directory that holds the files of a data set that is not bundled. None of these needs one.
        test_share: the share of the examples that is kept for the test, between 0 and 1.
        seed: an integer from 0 to 2³² − 1; the same seed gives the same split.

    The features are as scikit-learn gives them (`digits` from 0 to 16, `diabetes` already centred and scaled):
    `standardize` is a step of its own. Raises a ValueError that names the nearest data set when there is none called
    `name`, and a TypeError or ValueError that names any other argument at fault.

    >>> iris = load("iris")
    >>> iris.x_train.shape, np.bincount(iris.y_test).tolist(), iris.class_names
    ((120, 4), [10, 10, 10], ('setosa', 'versicolor', 'virginica'))
    """
    source = checks.one_of("data set", name, _SOURCES)
    checks.integer("seed", seed, low=0, high=2**32 - 1)
    checks.number("test_share", test_share, low=math.nextafter(0, 1), high=math.nextafter(1, 0),
                  wanted="a number between 0 and 1")
    if data_dir is not None and not Path(data_dir).is_dir():
        raise ValueError(
            f"data_dir must be an existing directory, got {str(data_dir)!r}; {name} is bundled and needs none")

    from sklearn import datasets, model_selection  # takes two seconds to import, which `import functional_nn` need not

    bunch = getattr(datasets, source.loader)()
    class_names = tuple(str(label) for label in bunch.get("target_names", ()))
    x = bunch.data.astype(np.float32)
    y = bunch.target.astype(np.int32 if class_names else np.float32)
    try:
        x_train, x_test, y_train, y_test = model_selection.train_test_split(
            x, y, test_size=test_share, random_state=seed, stratify=y if class_names else None)
    except ValueError as error:
        raise ValueError(f"test_share={test_share} leaves too few of {len(x)} examples on one side: {error}") from error
    features = tuple(str(feature) for feature in bunch.feature_names)
    return Dataset(name, x_train, y_train, x_test, y_test, features, class_names, source.image_shape)
