"""Every bundled data set arrives whole, split once for all, in the types the networks take."""

import numpy as np
import pytest
from sklearn import datasets as bundled

from functional_nn.data import load

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
    assert np.unique(data.y_train).tolist() == list(range(len(data.class_names))) if classes else data.class_names == ()
    assert image_shape is None or data.x_train.shape[1] == np.prod(image_shape)


@every_data_set
def test_holds_every_example_once_with_its_own_target(name):
    bunch, data = SOURCES[name][0](), load(name, test_share=0.3)
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])

    def rows(x, y):
        return sorted(map(tuple, np.column_stack([x.astype(np.float32), y.astype(np.float32)]).tolist()))

    assert rows(x, y) == rows(bunch.data, bunch.target)
    assert len(data.x_test) == int(np.ceil(0.3 * len(x)))


@pytest.mark.parametrize("name", [name for name, (_, classes, _) in SOURCES.items() if classes])
def test_every_class_is_in_both_parts_in_its_share(name):
    data = load(name, test_share=0.25)
    all_labels = np.concatenate([data.y_train, data.y_test])
    np.testing.assert_allclose(np.bincount(data.y_test), 0.25 * np.bincount(all_labels), atol=1)


def test_the_seed_makes_the_split():
    first, again, other = load("iris"), load("iris"), load("iris", seed=1)
    np.testing.assert_array_equal(first.x_train, again.x_train)
    assert (first.x_train != other.x_train).any()


def test_an_existing_data_dir_is_accepted(tmp_path):
    np.testing.assert_array_equal(load("iris", tmp_path).x_test, load("iris", str(tmp_path)).x_test)


@pytest.mark.parametrize(("arguments", "kind", "words"), [
    ({"name": "digit"}, ValueError,
     "unknown data set 'digit'; did you mean 'digits'? There are: digits, iris, wine, breast_cancer, diabetes, mnist, "
     "fashion_mnist, or the path of a .csv, .tsv, .txt, .npz, .npy file"),
    ({"data_dir": "/no/such/place"}, ValueError,
     "data_dir must be an existing directory, got '/no/such/place'; iris is bundled and needs none"),
    ({"data_dir": __file__}, ValueError,
     f"data_dir must be an existing directory, got {__file__!r}; iris is bundled and needs none"),
    ({"data_dir": 3}, TypeError, "data_dir must be the path of a directory, got 3; iris is bundled and needs none"),
    ({"target": "species"}, ValueError, "target is for files of your own, got it for iris; leave it out"),
    ({"ignore": [0]}, ValueError, "ignore is for files of your own, got it for iris; leave it out"),
    ({"test_share": 0}, ValueError, "test_share must be a number between 0 and 1, got 0"),
    ({"test_share": 1.0}, ValueError, "test_share must be a number between 0 and 1, got 1.0"),
    ({"test_share": "0.2"}, TypeError, "test_share must be a number between 0 and 1, got '0.2'"),
    ({"seed": -1}, ValueError, "seed must be an integer from 0 to 4294967295, got -1"),
    ({"seed": None}, TypeError, "seed must be an integer from 0 to 4294967295, got None"),
])
def test_names_the_bad_argument(arguments, kind, words):
    with pytest.raises(kind) as error:
        load(**{"name": "iris"} | arguments)
    assert str(error.value) == words


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_leaves_a_class_out_is_refused(share):
    with pytest.raises(ValueError, match=f"test_share={share} leaves too few of 150 examples on one side: "):
        load("iris", test_share=share)
