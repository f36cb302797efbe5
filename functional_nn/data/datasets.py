"""Data sets by name or by path, split into training and test rows."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from functional_nn import checks
from functional_nn.data.archives import read_archive
from functional_nn.data.bundled import SOURCES, read_bundled
from functional_nn.data.columns import read_csv
from functional_nn.data.download import fetch
from functional_nn.data.examples import Dataset, Examples, split
from functional_nn.data.files import existing
from functional_nn.data.mnist import CLASS_NAMES, read_mnist

__all__ = ["Dataset", "load"]

READERS = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".npz": read_archive,
    ".npy": read_archive,
}


def load(
    name: str | os.PathLike, data_dir: str | os.PathLike | None = None, *,
    target: str | int | None = None, task: str | None = None,
    categories: Sequence[str | int] = (), ignore: Sequence[str | int] = (),
    header: bool | None = None, test_share: float | None = None, seed: int = 0,
) -> Dataset:
    """A data set by its name or the path of its file, split into training and test rows.

    The split is random and reproducible by `seed`. For classes it is stratified: each class has
    the same share of the training rows and of the test rows.

    Args:
        name: `digits`, `iris`, `wine`, `breast_cancer` (classes) or `diabetes` (regression), which
            are bundled; `mnist` or `fashion_mnist`, from `data_dir` or downloaded, with pixels from
            0 to 1; or the path of a `.csv`, `.tsv`, `.txt`, `.npz` or `.npy` file.
        data_dir: the directory with the four IDX files of MNIST, or the directory that a relative
            path starts from.
        target: the target column of a file, by name or index; the last if None. It does not apply
            to archives that hold X and y.
        task: "classification" or "regression". None decides by the target: text is classes; so are
            whole numbers of at most 20 kinds with two rows each on average; any other target is a
            regression. `decided` of the result says which, and why.
        categories: columns of a CSV file that are categories although they hold numbers, such as
            postcodes; columns of text always are. Each category becomes one feature (one-hot).
            `Dataset.encode` encodes new rows in the same way.
        ignore: columns of a CSV file to leave out, such as one that numbers the rows.
        header: whether the first line of a CSV file holds the names of its columns. None takes it
            for such a line, but refuses one that looks like a row. False names the columns
            `column 0`, `column 1`, ….
        test_share: the share of the examples that become test rows, between 0 and 1; 0.2 if None.
            It does not apply to data that come split, such as MNIST.
        seed: an integer from 0 to 2³² − 1; the same seed gives the same split.

    Returns a `Dataset`. The features are not rescaled (`digits` from 0 to 16, `diabetes` already
    centred and scaled); use `standardize` for that.

    Raises a FileNotFoundError for a file that does not exist, and a ValueError or TypeError that
    names the wrong argument, or the file, row and column. Missing and infinite values are errors;
    they are never filled in.

    >>> iris = load("iris")
    >>> iris.x_train.shape, iris.y_test.shape, iris.class_names
    ((120, 4), (30,), ('setosa', 'versicolor', 'virginica'))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "trees.csv"
    ...     _ = path.write_text("height,kind,old\\n" + "3.5,oak,yes\\n9,elm,no\\n" * 10)
    ...     trees = load(path)
    >>> print(trees)
    trees.csv: 16 training and 4 test rows of 3 features, 2 classes (classes, as 'old' is text)
    >>> trees.feature_names, trees.encode([{"height": 4, "kind": "elm"}]).tolist()
    (('height', 'kind=elm', 'kind=oak'), [[4.0, 1.0, 0.0]])
    """
    checks.integer("seed", seed, low=0, high=2**32 - 1)
    if test_share is not None:
        checks.number("test_share", test_share, low=math.nextafter(0, 1), high=math.nextafter(1, 0),
                      wanted="a number between 0 and 1")
    about_files = {"target": target, "task": task, "categories": categories, "ignore": ignore,
                   "header": header}
    given = {
        argument: value for argument, value in about_files.items()
        if value is not None and value not in ((), [])}
    if _is_path(name):
        return split(_read_file(Path(name), data_dir, given), test_share, seed)
    return split(_read_named(name, data_dir, given), test_share, seed)


def _is_path(name) -> bool:
    """Whether `name` means a file: a path object, or text with a folder or a file ending."""
    return isinstance(name, os.PathLike) or (
        isinstance(name, str) and bool(Path(name).suffix or os.sep in name or "/" in name))


def _read_file(path: Path, data_dir, given: dict) -> Examples:
    if data_dir is not None:
        path = _directory(data_dir, f"{path} is looked for in it") / path
    if path.suffix.lower() not in READERS:
        raise ValueError(
            f"name must be a data set or a file that ends in {', '.join(READERS)}, "
            f"got {str(path)!r}; save it as one of these")
    reader = READERS[path.suffix.lower()]
    if reader is read_archive and {"categories", "ignore", "header"} & set(given):
        raise ValueError(
            f"{'header is' if 'header' in given else 'categories and ignore are'} for the columns "
            f"of a CSV file, got them for {path.name}; leave them out")
    return reader(existing(path), **given)


def _read_named(name: str, data_dir, given: dict) -> Examples:
    known = {**dict.fromkeys(SOURCES, read_bundled), **dict.fromkeys(CLASS_NAMES, read_mnist)}
    try:
        reader = checks.one_of("data set", name, known)
    except ValueError as error:
        raise ValueError(f"{error}, or the path of a {', '.join(READERS)} file") from None
    if given:
        raise ValueError(
            f"{next(iter(given))} is for files of your own, got it for {name}; leave it out")
    if reader is read_bundled:
        if data_dir is not None:
            _directory(data_dir, f"{name} is bundled and needs none")
        return read_bundled(name)
    return read_mnist(name, fetch(name) if data_dir is None else _directory(
        data_dir, f"the files of {name} are read from it"))


def _directory(data_dir, why: str) -> Path:
    if not isinstance(data_dir, str | os.PathLike):
        raise TypeError(f"data_dir must be the path of a directory, got {data_dir!r}; {why}")
    if not Path(data_dir).is_dir():
        raise ValueError(f"data_dir must be an existing directory, got {str(data_dir)!r}; {why}")
    return Path(data_dir)
