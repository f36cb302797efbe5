"""Reading MNIST and Fashion-MNIST from a folder with their four IDX files."""

from pathlib import Path

import numpy as np

from functional_nn import checks
from functional_nn.data.examples import Examples
from functional_nn.data.idx import read_idx

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot"),
}


def read_mnist(name: str, folder: Path) -> Examples:
    """The images and labels of `name`, with the published split.

    An image has 784 float32 pixels from 0 to 1, the bytes divided by 255. Each file may be gzipped
    or not, and be called `train-images-idx3-ubyte` or `train-images.idx3-ubyte`. Shape, magic
    number and range are checked; the hash is not.

    Args:
        name: `mnist` or `fashion_mnist`, which sets the names of the classes.
        folder: the folder with the four files.

    Raises a FileNotFoundError that names the missing files. Raises a ValueError unless the images
    are 28 by 28 bytes that use both halves of 0 to 255, with one label from 0 to 9 for each image.
    """
    paths = [find(folder, file) for file in FILES]
    lacking = [file for file, path in zip(FILES, paths, strict=True) if path is None]
    if lacking:
        raise checks.advice(
            f"{{data_dir}} must hold the files of {name}, got {str(folder)!r} without "
            f"{', '.join(lacking)}; put them there, with .gz or without",
            of=FileNotFoundError, data_dir=checks.NAME)
    x, y = _part(paths[0], paths[1])
    test = _part(paths[2], paths[3])
    names = tuple(f"pixel ({i}, {j})" for i in range(28) for j in range(28))
    return Examples(
        name, x, y, names, CLASS_NAMES[name], (28, 28), "classes, as published",
        test=test)


def find(folder: Path, file: str) -> Path | None:
    """The path of `file` in `folder`; None where there is none.

    Both spellings of its name are tried, and the plain file before the gzipped one.
    """
    spellings = (file, file.replace("-idx", ".idx"))
    paths = (folder / f"{spelling}{ending}" for ending in ("", ".gz") for spelling in spellings)
    return next((path for path in paths if path.is_file()), None)


def _part(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    x, y = read_idx(images), read_idx(labels)
    if x.dtype != np.uint8 or x.shape[1:] != (28, 28) or len(x) == 0:
        raise ValueError(
            f"{images.name} must hold pictures of shape (n, 28, 28) as bytes, "
            f"got {x.dtype} of shape {x.shape}")
    if x.max() < 128 or x.min() > 127:
        raise ValueError(
            f"{images.name} must hold pixels from 0 to 255, got {x.min()} to {x.max()}; "
            "give the bytes as published")
    if y.dtype != np.uint8 or y.shape != (len(x),):
        raise ValueError(
            f"{labels.name} must hold one byte for each of the {len(x)} pictures of {images.name}, "
            f"got {y.dtype} of shape {y.shape}; take both from one set")
    if y.max() > 9:
        raise ValueError(
            f"{labels.name} must hold labels from 0 to 9, got {y.max()} in place {int(y.argmax())}")
    scaled = x.reshape(len(x), -1).astype(np.float32)
    scaled /= 255
    return scaled, y.astype(np.int32)
