"""What NumPy saved is read back to the bit; no pickle is opened; what does not fit is named by array and index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from functional_nn.data import load
from functional_nn.data.archives import read_archive, read_npz

X, Y = np.arange(24.0).reshape(8, 3), np.array([0, 1] * 4)
dtypes = st.sampled_from(["?", "i1", "u2", ">i4", "<i8", "f2", ">f4", "f8", "U3"])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.data(), st.booleans())
def test_what_is_saved_is_read(tmp_path_factory, data, compressed):
    any_array = hnp.arrays(dtypes.map(np.dtype), hnp.array_shapes(min_dims=0, min_side=0))
    arrays = {"a": data.draw(any_array), "b c": data.draw(any_array)}
    arrays["b c"] = np.asfortranarray(arrays["b c"])
    path = tmp_path_factory.getbasetemp() / "round.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    found = read_npz(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("names", [("X", "y"), ("x", "Y")])
def test_an_archive_holds_x_and_y(tmp_path, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (X, Y), strict=True)))
    data = load(tmp_path / "a.npz")
    assert sorted(np.concatenate([data.x_train, data.x_test]).tolist()) == X.tolist()
    assert data.class_names == ("0", "1") and data.feature_names == ("column 0", "column 1", "column 2")
    assert data.decided == f"classes, as {names[1]!r} is whole numbers of 2 kinds"


def test_an_archive_may_come_split_and_hold_pictures(tmp_path):
    pictures = np.arange(48, dtype=np.uint8).reshape(8, 2, 3)
    words = np.array(["oak", "elm"] * 4)
    np.savez(tmp_path / "a.npz", x_train=pictures, y_train=words, x_test=pictures[:3], y_test=words[:3, None])
    data = load(tmp_path / "a.npz")
    assert data.image_shape == (2, 3) and data.feature_names[4] == "pixel (1, 1)"
    np.testing.assert_array_equal(data.x_train, pictures.reshape(8, 6))
    assert data.y_test.tolist() == [1, 0, 1] and data.class_names == ("elm", "oak") and data.y_test.dtype == np.int32
    with pytest.raises(ValueError, match=r"^test_share is for data that is not split yet, got 0.5, and a.npz comes with test "
     "rows"):
        load(tmp_path / "a.npz", test_share=0.5)


def test_a_table_has_its_target_in_a_column(tmp_path):
    np.save(tmp_path / "a.npy", np.column_stack([X, Y]))
    np.savez(tmp_path / "a.npz", table=np.column_stack([X, Y]))
    for name in ("a.npy", "a.npz"):
        examples = read_archive(tmp_path / name)
        assert examples.x.tolist() == X.tolist() and examples.y.tolist() == Y.tolist()
        second = read_archive(tmp_path / name, target=1, task="regression")
        assert second.y.tolist() == X[:, 1].tolist() and second.feature_names == ("column 0", "column 2", "column 3")


class Evil:
    def __reduce__(self):
        raise AssertionError("a pickle was opened")


def nan(*index):
    array = np.column_stack([X, Y]).astype(float)
    array[index] = np.nan
    return array


FAULTY = "; drop or mend those rows first"
MUST = "a.npz must hold X and y, or x_train, y_train, x_test and y_test, or one table, got the arrays"
SAVE = "save it with np.savez(path, X=X, y=y)"


@pytest.mark.parametrize(("arrays", "options", "words"), [
    ({"X": nan(2, 1), "y": Y}, {}, f"X[2][1] is nan, one of 1 values that are NaN, infinite or too large for float32{FAULTY}"),
    ({"X": X, "y": nan(5, 0)[:, 0]}, {}, f"y[5] is nan, one of 1 values that are NaN, infinite or too large for "
     f"float32{FAULTY}"),
    ({"t": nan(4, 2)}, {"target": 0}, f"t[4][2] is nan, one of 1 values that are NaN, infinite or too large for "
     f"float32{FAULTY}"),
    ({"t": nan(4, 2)}, {"target": 2}, f"t[4][2] is nan, one of 1 values that are NaN, infinite or too large for "
     f"float32{FAULTY}"),
    ({"X": X, "y": Y[:5]}, {}, "y of a.npz must be numbers or text of shape (8,), one for each row of X, got int64 of shape "
     "(5,); turn one-hot rows into classes with y.argmax(axis=1)"),
    ({"X": X, "y": np.eye(8)}, {}, "y of a.npz must be numbers or text of shape (8,), one for each row of X, got float64 of "
     "shape (8, 8); turn one-hot rows into classes with y.argmax(axis=1)"),
    ({"X": X[:, 0], "y": Y}, {}, "X of a.npz must be numbers of shape (n, features), or (n, height, width) for pictures, got "
     "float64 of shape (8,); give one feature as X[:, None]"),
    ({"X": X.astype(str), "y": Y}, {}, "X of a.npz must be numbers of shape (n, features), or (n, height, width) for pictures, "
     "got <U32 of shape (8, 3); give one feature as X[:, None]"),
    ({"X": X.astype(complex), "y": Y}, {}, "X must hold numbers, or text for a target, got complex128; convert it with astype"),
    ({"X": np.array([Evil()]), "y": Y}, {}, "X must hold numbers, or text for a target, got object; save numbers, as objects "
     "need pickle, which runs what it reads"),
    ({"X": X, "z": Y}, {}, f"{MUST} X, z; {SAVE}"),
    ({"X": X, "x": X, "y": Y}, {}, f"{MUST} X, x, y; {SAVE}"),
    ({"x_train": X, "y_train": Y}, {}, f"{MUST} x_train, y_train; {SAVE}"),
    ({"X": X, "y": Y, "x_train": X, "y_train": Y}, {}, f"{MUST} X, x_train, y, y_train; {SAVE}"),
    ({"x_train": X, "y_train": Y, "x_test": X[:, :2], "y_test": Y}, {}, "x_test and y_test of a.npz must be like x_train and "
     "y_train, got (8, 2) and int64 beside (8, 3) and int64; save both parts alike"),
    ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1}, {}, "y_test must hold classes of the training rows, [0, 1], "
     "got y_test[1] = 2; drop those rows, or add the class to the training rows"),
    ({"X": X, "y": Y}, {"target": 1}, "target is for one table with a target column, got 1 and a.npz with the arrays X, y; "
     "leave target out"),
    ({"X": X}, {}, "a.npz must hold X and y, or x_train, y_train, x_test and y_test, or one table, got the arrays X; save it "
     "with np.savez(path, X=X, y=y)"),
    ({"t": X}, {"target": 3}, "target must be the index of one of the 3 columns of t, from -3 to 2, got 3"),
    ({"t": X}, {"target": "label"}, "target must be the index of one of the 3 columns of t, from -3 to 2, got 'label'"),
    ({"t": X[:, :1]}, {}, "t must be a table of numbers (n, columns), with two columns and one row at least, got float64 of "
     "shape (8, 1); save X and y together with np.savez(path, X=X, y=y)"),
    ({"X": X, "y": Y}, {"ignore": [1]}, "ignore is for the columns of a table, got it for a.npz; leave it out"),
])
def test_names_the_array_at_fault(arrays, options, words, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Evil, "__reduce__", lambda self: (Evil, ()))
        np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError) as error:
        load(tmp_path / "a.npz", **options)
    assert str(error.value) == words
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(("name", "data", "words"), [
    ("a.npz", b"", "a.npz must be an .npz archive as np.savez writes it, got BadZipFile on opening it; save it again"),
    ("a.npz", b"PK\x05\x06" + bytes(18), "a.npz must hold arrays, each under a name of its own, got []; save it again with "
     "np.savez"),
    ("a.npy", b"", "a.npy must be an array as np.save writes it, got ValueError from its header; save it again"),
    ("a.npy", header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999, 999999999)}\n"),
     "a.npy must hold 7,999,999,984,000,000,008 bytes, as its header's shape (999999999, 999999999) of float64 says, got 0; it "
     "is damaged, so save it again"),
    ("a.npy", header(b"{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2)}\n") + b"\1\7",
     "a.npy must hold booleans of 0 and 1, got a byte of 7; it is damaged, so save it again"),
    ("a.npy", header(b"{'descr': '<U1', 'fortran_order': False, 'shape': (1, 1)}\n") + b"\0\0\x11\0",
     "a.npy must hold text, got bytes that are no characters; it is damaged, so save it again"),
])
def test_damaged_files_are_refused(name, data, words, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError) as error:
        load(tmp_path / name)
    assert str(error.value) == words


def test_a_member_lost_to_a_damaged_directory_is_missed(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, t=X, y=Y)
    whole = path.read_bytes()
    place = whole.index(b"PK\x01\x02")
    rest = len(whole) - 22 - (place + 46 + len("t.npy"))  # the second member's entry, made the first one's comment
    path.write_bytes(whole[:place + 32] + rest.to_bytes(2, "little") + whole[place + 34:])
    with pytest.raises(ValueError, match=r"^a\.npz must be an \.npz archive as np\.savez writes it, got BadZipFile"):
        load(path)
