"""A model that was handed over answers as the network does on the standardised features, in the words of its data set."""

import csv
import dataclasses

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import handover
from functional_nn.data import standardize
from functional_nn.handover import model as rooms


def drawn(net, seed=0):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(net.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def handed_over(folder, data, net, loss, params=None):
    params = drawn(net) if params is None else params
    return handover.load(handover.save(folder / "model", net, params, loss, data)), params


def applied(net, params, x):
    return np.asarray(jax.jit(jax.vmap(net.apply, in_axes=(None, 0)))(params, x))


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_classes_are_those_of_the_network_by_name(tmp_path, name):
    raw = fnn.data.load(name)
    data = standardize(raw)
    net = fnn.mlp((data.x_train.shape[1], 6, 3), hidden="tanh", output="softmax")
    model, params = handed_over(tmp_path, data, net, "cross_entropy")
    a = applied(net, params, data.x_test)
    np.testing.assert_array_equal(model.encode(raw.x_test), data.x_test)
    np.testing.assert_array_equal(model.outputs(raw.x_test), a)
    assert model.predict(raw.x_test).tolist() == [data.class_names[i] for i in a.argmax(axis=1)]
    assert len(set(model.predict(raw.x_test))) > 1 and model.task == "classification"


def test_a_regression_gives_numbers(tmp_path):
    raw = fnn.data.load("diabetes")
    data, net = standardize(raw), fnn.mlp((10, 1))
    model, params = handed_over(tmp_path, data, net, fnn.losses.huber.configure(delta=3.0))
    np.testing.assert_array_equal(model.predict(raw.x_test), applied(net, params, data.x_test)[:, 0])
    assert model.task == "regression" and repr(model.loss) == "huber(delta=3.0)"


def test_a_regression_not_standardised_of_two_outputs(tmp_path):
    model, params = handed_over(tmp_path, None, fnn.mlp((3, 2)), "mse")
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_allclose(model.predict(x), x @ params[0]["w"].T + params[0]["b"], rtol=1e-6)
    assert model.feature_names == ("column 0", "column 1", "column 2") and model.class_names == ()


@pytest.mark.parametrize(("output", "loss", "threshold"), [
    ("sigmoid", "binary_cross_entropy", 0.5), ("linear", "quadratic", 0.5), ("tanh", "hinge", 0.0)])
def test_one_output_tells_two_classes(tmp_path, output, loss, threshold):
    raw = fnn.data.load("breast_cancer")
    data, net = standardize(raw), fnn.mlp((30, 1), output=output)
    model, params = handed_over(tmp_path, data, net, loss)
    a = applied(net, params, data.x_test)[:, 0]
    assert model.predict(raw.x_test).tolist() == [data.class_names[int(value > threshold)] for value in a]
    assert set(model.predict(raw.x_test)) == set(data.class_names)


@pytest.mark.parametrize(("sizes", "output", "loss", "names"), [
    ((2, 3), "softmax", "cross_entropy", ("0", "1", "2")), ((2, 1), "sigmoid", "binary_cross_entropy", ("0", "1")),
    ((2, 3), "sigmoid", "binary_cross_entropy", ())])
def test_without_a_data_set_classes_are_numbered(tmp_path, sizes, output, loss, names):
    model, _ = handed_over(tmp_path, None, fnn.mlp(sizes, output=output), loss)
    assert model.class_names == names
    assert not names or model.predict([[1.0, 2.0]])[0] in names


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 24])
def test_the_size_of_the_chunks_makes_no_difference(n, tmp_path, monkeypatch):
    net = fnn.mlp((4, 3), output="softmax")
    model, _ = handed_over(tmp_path, None, net, "cross_entropy")
    x = np.random.default_rng(0).normal(size=(24, 4))
    whole = model.outputs(x)
    monkeypatch.setattr(rooms, "CHUNK", 8)
    assert model.outputs(x[:n]).shape == (n, 3) and model.predict(x[:n]).shape == (n,)
    np.testing.assert_allclose(model.outputs(x[:n]), whole[:n], rtol=1e-6)


def written(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def trees(n, seed):
    rng = np.random.default_rng(seed)
    return [{"height": f"{rng.normal(9, 4):.3f}", "place": str(rng.choice(["ridge", "wood, deep", "größe"])),
             "zone": str(rng.integers(3)), "kind": str(rng.choice(["elm", "oak"]))} for _ in range(n)]


def test_a_csv_file_with_categories_from_end_to_end(tmp_path):
    raw = fnn.data.load(written(tmp_path / "trees.csv", trees(40, 0)), categories=["zone"])
    data = standardize(raw)
    net = fnn.mlp((7, 5, 2), hidden="relu", output="softmax")
    model, params = handed_over(tmp_path, data, net, "cross_entropy")
    new = trees(30, 1)
    path = written(tmp_path / "new.csv", [{name: row[name] for name in ("zone", "place", "height")} for row in new])
    expected = [data.class_names[i] for i in applied(net, params, data.encode(new)).argmax(axis=1)]
    assert set(expected) == {"elm", "oak"}
    for rows in (new, path, str(path), raw.encode(new)):  # the last one are features, one-hot and not standardised
        np.testing.assert_array_equal(model.encode(rows), data.encode(new))
        assert model.predict(rows).tolist() == expected


def test_numbers_may_come_from_a_csv_file_of_the_feature_names(tmp_path):
    raw = fnn.data.load("iris")
    model, _ = handed_over(tmp_path, standardize(raw), fnn.mlp((4, 3), output="softmax"), "cross_entropy")
    rows = [dict(zip(reversed(raw.feature_names), map(repr, map(float, reversed(x))), strict=True)) for x in raw.x_test]
    np.testing.assert_array_equal(model.encode(written(tmp_path / "a.csv", rows)), model.encode(raw.x_test))


NAN, HUGE = np.ones((3, 4)), np.ones((3, 4), np.float32)
NAN[1, 2], HUGE[2, 0] = np.nan, 3e38


@pytest.mark.parametrize(("rows", "kind", "words"), [
    (np.ones((3, 5)), ValueError, "rows must be numbers of shape (n, 4), a column a feature, got float64 of shape (3, 5); "
     "give one row as row[None]"),
    (np.ones(4), ValueError, "rows must be numbers of shape (n, 4), a column a feature, got float64 of shape (4,); give one "
     "row as row[None]"),
    ([["a"] * 4], ValueError, "rows must be numbers of shape (n, 4), a column a feature, got <U1 of shape (1, 4); give one "
     "row as row[None]"),
    (NAN, ValueError, "rows[1][2] is nan, one of 1 values that are NaN, infinite or too large for float32; drop or mend those "
     "rows first"),
    (HUGE, ValueError, "rows, once standardised, must be finite, got 1 NaN or inf of 12 values, the first rows, once "
     "standardised,[2][0] = inf; drop or impute those values first"),
    ("none.csv", FileNotFoundError, "there is no file 'none.csv' in '.'"),
    ([{"petal width (cm)": 1}], ValueError, "rows, row 1 must have a value for every column, got none for 'sepal length (cm)'"),
])
def test_rows_that_cannot_be_used_are_named(rows, kind, words, tmp_path, monkeypatch):
    model, _ = handed_over(tmp_path, standardize(fnn.data.load("iris")), fnn.mlp((4, 3), output="softmax"), "cross_entropy")
    monkeypatch.chdir(tmp_path)
    for call in (model.encode, model.outputs, model.predict):
        with pytest.raises(kind) as error:
            call(rows)
        assert str(error.value) == words


def test_an_output_that_overflows_is_no_answer(tmp_path):
    params = ({"w": np.full((3, 2), 1e30, np.float32), "b": np.zeros(3, np.float32)},)
    model, _ = handed_over(tmp_path, None, fnn.mlp((2, 3)), "mse", params)
    with pytest.raises(ValueError, match=r"^rows\[1\] must give finite outputs, got \[inf, inf, inf\]; its values are far from "
                                         r"those of training, so look for a wrong unit$"):
        model.predict([[1.0, 1.0], [1e20, 1e20]])


def test_classes_of_an_autoencoder_are_left_out(tmp_path):
    data = fnn.data.load("iris")
    with pytest.raises(ValueError, match=r"^dataset must have a class for each of the network's 4 outputs"):
        handed_over(tmp_path, data, fnn.mlp((4, 4)), "mse")
    model, _ = handed_over(tmp_path, dataclasses.replace(data, class_names=()), fnn.mlp((4, 4)), "mse")
    assert model.predict(data.x_test).shape == (30, 4)


def test_a_data_frame_is_read_by_the_names_of_its_columns(tmp_path):
    pandas = pytest.importorskip("pandas")
    iris = standardize(fnn.data.load("iris"))
    net = fnn.mlp((4, 3), output="softmax")
    params = net.init(jax.random.key(0))
    model = handover.load(handover.save(tmp_path / "m", net, params, "cross_entropy", iris))
    raw = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
    frame = pandas.DataFrame(raw, columns=model.feature_names)
    for other in (frame, frame[list(frame.columns[::-1])], frame.assign(more="x")):
        np.testing.assert_array_equal(model.outputs(other), model.outputs(raw))
        np.testing.assert_array_equal(iris.encode(other), iris.encode(raw))
    for wrong in (frame.rename(columns={"petal width (cm)": "width"}), frame.iloc[:, :3]):
        with pytest.raises(ValueError, match="must have the columns of the training file, got none "
                                             r"called 'petal width \(cm\)'"):
            model.predict(wrong)


def test_a_data_frame_with_categories_is_read_as_its_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "trees.csv"
    path.write_text("height,kind,old\n" + "3.5,oak,yes\n9,elm,no\n" * 10)
    trees = standardize(fnn.data.load(path))
    net = fnn.mlp((3, 2), output="softmax")
    params = net.init(jax.random.key(0))
    model = handover.load(handover.save(tmp_path / "m", net, params, "cross_entropy", trees))
    frame = pandas.read_csv(path)
    np.testing.assert_array_equal(model.outputs(frame), model.outputs(path))
    with pytest.raises(ValueError, match="must be one of the categories elm, oak, got 'fir'"):
        model.predict(frame.assign(kind="fir"))


def test_a_frame_of_numbered_columns_is_read_as_the_array_that_it_is(tmp_path):
    pandas = pytest.importorskip("pandas")
    net = fnn.mlp((3, 4, 2), hidden="tanh", output="softmax")
    model, _ = handed_over(tmp_path, None, net, "cross_entropy")
    rows = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(model.outputs(pandas.DataFrame(rows)), model.outputs(rows))
    with pytest.raises(ValueError, match="column 2"):
        model.outputs(pandas.DataFrame(rows[:, :2]))
    with pytest.raises(ValueError, match="column 0"):
        model.outputs(pandas.DataFrame(rows, columns=[1, 2, 3]))
