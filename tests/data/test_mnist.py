"""MNIST out of a folder: either spelling, gzipped or not, checked for shape, magic number and range."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from functional_nn.data import load
from functional_nn.data.mnist import FILES

PUBLISHED = Path(__file__).resolve().parents[2] / "../shared/data/mnist"


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


PICTURES = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
LABELS = np.arange(30) % 10
CONTENTS = dict(zip(FILES, map(idx, (PICTURES, LABELS, PICTURES[:10], LABELS[:10])), strict=True))


def write(folder, dotted=False, zipped=False, **changed):
    """The four files, each of them changed by a part of its name."""
    for file, data in CONTENTS.items():
        for part, other in changed.items():
            data = other if part in file.replace("-", "_") else data
        path = folder / (file.replace("-idx", ".idx") if dotted else file)
        if data is not None:
            (path.with_name(f"{path.name}.gz") if zipped else path).write_bytes(gzip.compress(data) if zipped else data)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_four_files_are_read(tmp_path, name, dotted, zipped):
    write(tmp_path, dotted, zipped)
    data = load(name, data_dir=str(tmp_path))
    np.testing.assert_array_equal(data.x_train, PICTURES.reshape(30, 784).astype(np.float32) / 255)
    np.testing.assert_array_equal(data.x_test, data.x_train[:10])
    assert data.y_train.tolist() == LABELS.tolist() and data.y_test.dtype == np.int32 and data.x_test.dtype == np.float32
    assert data.image_shape == (28, 28) and len(data.class_names) == 10 and len(data.feature_names) == 784
    assert data.class_names[9] == {"mnist": "9", "fashion_mnist": "Ankle boot"}[name]


@pytest.mark.parametrize(("changed", "kind", "words"), [
    ({"t10k": None}, FileNotFoundError, "data_dir must hold the files of mnist, got {folder!r} without t10k-images-idx3-ubyte, "
     "t10k-labels-idx1-ubyte; put them there, with .gz or without"),
    ({"train_labels": idx(LABELS[:29])}, ValueError, "train-labels-idx1-ubyte must hold one byte for each of the 30 pictures "
     "of train-images-idx3-ubyte, got uint8 of shape (29,); take both from one set"),
    ({"train_labels": idx(LABELS + 1)}, ValueError, "train-labels-idx1-ubyte must hold labels from 0 to 9, got 10 in place 9"),
    ({"train_images": CONTENTS[FILES[1]]}, ValueError, "train-images-idx3-ubyte must hold pictures of shape (n, 28, 28) as "
     "bytes, got uint8 of shape (30,)"),
    ({"t10k_images": idx(PICTURES[:10, :14])}, ValueError, "t10k-images-idx3-ubyte must hold pictures of shape (n, 28, 28) as "
     "bytes, got uint8 of shape (10, 14, 28)"),
    ({"train_images": idx(PICTURES // 255)}, ValueError, "train-images-idx3-ubyte must hold pixels from 0 to 255, got 0 to 1; "
     "give the bytes as published"),
    ({"train_images": CONTENTS[FILES[0]][:-1]}, ValueError, "train-images-idx3-ubyte must hold 23,520 bytes, as its header's "
     "shape (30, 28, 28) says, got 23,519; it is damaged, so fetch it again"),
    ({"train_images": b"\0\0\x08\x02" + CONTENTS[FILES[0]][4:]}, ValueError, "train-images-idx3-ubyte must hold 840 bytes, as "
     "its header's shape (30, 28) says, got more; it is damaged, so fetch it again"),
])
def test_names_the_file_at_fault(tmp_path, changed, kind, words):
    write(tmp_path, **changed)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(kind) as error:
        load("mnist", data_dir=tmp_path)
    assert str(error.value) == words.format(folder=str(tmp_path)) and sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("arguments", "words"), [
    ({"test_share": 0.5}, "test_share is for data that is not split yet, got 0.5, and mnist comes with test rows of its own; "
     "leave test_share out"),
    ({"task": "regression"}, "task is for files of your own, got it for mnist; leave it out"),
    ({"data_dir": "/no/such/place"}, "data_dir must be an existing directory, got '/no/such/place'; the files of mnist are "
     "read from it"),
])
def test_names_the_argument_at_fault(tmp_path, arguments, words):
    write(tmp_path)
    with pytest.raises(ValueError) as error:
        load("mnist", **{"data_dir": tmp_path} | arguments)
    assert str(error.value) == words


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published files in ../shared/data/mnist")
def test_the_published_files_are_mnist(tmp_path):
    data = load("mnist", data_dir=PUBLISHED)
    assert data.x_train.shape == (60000, 784) and data.x_test.shape == (10000, 784)
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert f"{data.x_train.mean():.4f} {data.x_train.std():.4f}" == "0.1307 0.3082"
    for file in FILES[1:]:  # and a folder that lacks one file of them
        shutil.copy(PUBLISHED / f"{file}.gz", tmp_path)
    with pytest.raises(FileNotFoundError, match="without train-images-idx3-ubyte; put them there"):
        load("mnist", data_dir=tmp_path)
