"""Every bundled data set arrives whole, in the types and with the names that it promises."""

import numpy as np
import pytest
from sklearn import datasets as bundled

from functional_nn.data import load
from functional_nn.data.bundled import read_bundled

# One row a data set: (scikit-learn's loader, whether it has classes, image shape).
SOURCES = {
    "digits": (bundled.load_digits, True, (8, 8)),
    "iris": (bundled.load_iris, True, None),
    "wine": (bundled.load_wine, True, None),
    "breast_cancer": (bundled.load_breast_cancer, True, None),
    "diabetes": (bundled.load_diabetes, False, None),
}
every_data_set = pytest.mark.parametrize("name", SOURCES)


@every_data_set
def test_has_the_types_and_names_it_promises(name):
    _, classes, image_shape = SOURCES[name]
    data = load(name)
    assert data.name == name and data.image_shape == image_shape
    assert data.x_train.dtype == data.x_test.dtype == np.float32
    assert data.y_train.dtype == data.y_test.dtype == (np.int32 if classes else np.float32)
    assert data.x_train.shape[1] == data.x_test.shape[1] == len(data.feature_names)
    assert data.x_train.ndim == 2 and data.y_train.shape == data.x_train.shape[:1]
    assert all(type(text) is str for text in data.feature_names + data.class_names)
    if classes:
        assert np.unique(data.y_train).tolist() == list(range(len(data.class_names)))
    else:
        assert data.class_names == ()
    assert image_shape is None or data.x_train.shape[1] == np.prod(image_shape)


@every_data_set
def test_holds_every_example_once_with_its_own_target(name):
    bunch, data = SOURCES[name][0](), load(name, test_share=0.3)
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])

    def rows(x, y):
        return sorted(map(tuple, np.column_stack(
            [x.astype(np.float32), y.astype(np.float32)]).tolist()))

    assert rows(x, y) == rows(bunch.data, bunch.target)
    assert len(data.x_test) == int(np.ceil(0.3 * len(x)))


@every_data_set
def test_names_are_those_of_scikit_learn(name):
    loader, classes, image_shape = SOURCES[name]
    bunch, examples = loader(), read_bundled(name)
    assert examples.name == name and examples.image_shape == image_shape
    assert list(examples.feature_names) == list(bunch.feature_names)
    assert list(examples.class_names) == (
        list(map(str, bunch.target_names)) if classes else [])
