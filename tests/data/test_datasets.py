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
     "fashion_mnist, or the path of a .csv, .tsv, .txt, .data, .parquet, .feather, .xlsx, .npz, .npy file"),
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


TREES = "height,kind,old\n" + "".join(f"{i / 4},{'oak' if i % 3 else 'elm'},{'yes' if i % 2 else 'no'}\n" for i in range(40))


def same(one, other):
    assert (one.feature_names, one.class_names, one.target) == (other.feature_names, other.class_names, other.target)
    for part in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_a_frame_and_its_file_are_one_data_set(tmp_path):
    pandas = pytest.importorskip("pandas")
    (tmp_path / "trees.csv").write_text(TREES)
    frame = pandas.read_csv(tmp_path / "trees.csv")
    same(load(frame), load(tmp_path / "trees.csv"))
    same(load(frame, target="height"), load(tmp_path / "trees.csv", target="height"))
    same(load((frame[["height", "kind"]], frame["old"])), load(frame))
    assert load(frame).encode(frame).shape == (40, 3)


def test_arrays_are_loaded_as_their_archive_is(tmp_path):
    x, y = np.arange(60.0).reshape(20, 3) / 7, np.arange(20) % 2
    np.savez(tmp_path / "a.npz", X=x, y=y)
    same(load((x, y)), load(tmp_path / "a.npz"))
    same(load((x.tolist(), y.tolist())), load((x, y)))
    np.save(tmp_path / "t.npy", np.column_stack([x, y]))
    same(load(np.column_stack([x, y])), load(tmp_path / "t.npy"))


def test_test_rows_may_be_given_apart(tmp_path):
    lines = TREES.splitlines(keepends=True)
    (tmp_path / "train.csv").write_text("".join(lines[:31]))
    (tmp_path / "test.csv").write_text("old,kind,height\nyes,oak,1.5\nno,elm,2\n")
    data = load("train.csv", tmp_path, test="test.csv", target="old")
    assert len(data.x_train) == 30 and data.x_test.tolist() == [[1.5, 0, 1], [2, 1, 0]] and data.y_test.tolist() == [1, 0]
    x, y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
    apart = load((x[:15], y[:15]), test=(x[15:], y[15:]))
    assert apart.x_train.tolist() == x[:15].tolist() and apart.x_test.tolist() == x[15:].tolist()


def test_gaps_in_test_rows_are_filled_by_the_training_rows(tmp_path):
    (tmp_path / "train.csv").write_text("a,b,t\n1,2,x\n,3,y\n3,5,x\n4,1,y\n")
    (tmp_path / "test.csv").write_text("a,b,t\n,9,x\n")
    data = load("train.csv", tmp_path, test="test.csv", missing="mean")
    assert data.x_test.tolist() == [[np.float32(8 / 3), 9]] and data.gaps[1].tolist() == [[True, False]]
    with pytest.raises(ValueError, match=r"^test\.csv: 1 of 1 rows miss a value"):
        load("train.csv", tmp_path, test="test.csv", missing="drop")


@pytest.mark.parametrize(("call", "words"), [
    (lambda folder: load("iris", test="wine"), "test must have the features of iris, got 13 beside 4"),
    (lambda folder: load(folder / "trees.csv", test="iris", test_share=0.3), "there is no file 'iris' in '.'"),
    (lambda folder: load(folder), "the path must be a file, got the folder"),
    (lambda folder: load(folder / "a.json"), "name must be a data set or a file that ends in .csv, .tsv"),
    (lambda folder: load((np.eye(4), np.arange(4) % 2), ignore=["a"]), "ignore is for the columns of a table, got it for arrays"),
    (lambda folder: load((np.eye(4), np.arange(4) % 2), target=1), "target is for a table, got 1 beside X and y; leave it out"),
    (lambda folder: load(folder / "trees.csv", missing="zero"), "unknown value of missing 'zero'"),
    (lambda folder: load(folder / "trees.csv", missing_values="NA"), "missing_values must be a list of texts, got 'NA'"),
    (lambda folder: load(folder / "trees.csv", groups="x"), "groups must be one of the 3 columns of trees.csv, got 'x'"),
    (lambda folder: load(folder / "trees.csv", test=folder / "trees.csv", groups="kind"), "split and groups are for data that is "
     "not split yet")])
def test_what_cannot_be_loaded_is_said(call, words, tmp_path):
    (tmp_path / "trees.csv").write_text(TREES)
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as error:
        call(tmp_path)
    assert str(error.value).startswith(words), str(error.value)
