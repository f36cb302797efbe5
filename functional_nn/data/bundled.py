"""The data sets that come with scikit-learn; they need no network."""

from typing import NamedTuple

import numpy as np

from functional_nn.data.examples import Examples


class _Source(NamedTuple):
    """The name of a scikit-learn loader, and the shape (height, width) of its images, if any."""

    loader: str
    image_shape: tuple[int, int] | None = None


SOURCES = {
    "digits": _Source("load_digits", image_shape=(8, 8)),
    "iris": _Source("load_iris"),
    "wine": _Source("load_wine"),
    "breast_cancer": _Source("load_breast_cancer"),
    "diabetes": _Source("load_diabetes"),
}


def read_bundled(name: str) -> Examples:
    """The examples of the data set `name`, with the features as scikit-learn gives them.

    Args:
        name: `digits`, `iris`, `wine`, `breast_cancer` or `diabetes`. Raises a KeyError for
            another name.

    >>> read_bundled("wine").x.shape
    (178, 13)
    """
    from sklearn import datasets  # takes two seconds, which `import functional_nn` avoids

    source = SOURCES[name]
    bunch = getattr(datasets, source.loader)()
    class_names = tuple(str(label) for label in bunch.get("target_names", ()))
    y = bunch.target.astype(np.int32 if class_names else np.float32)
    features = tuple(str(feature) for feature in bunch.feature_names)
    return Examples(
        name, bunch.data.astype(np.float32), y, features, class_names, source.image_shape)
