"""A data set by its name is split once for all, with every class on both sides."""

import numpy as np
import pytest

from functional_nn.data import load


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
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
