"""Data sets by name, by path or from memory, split into training and test rows."""

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn import checks
from functional_nn.data.archives import Part, from_parts, from_table, read_archive
from functional_nn.data.bundled import SOURCES, read_bundled
from functional_nn.data.cells import Format
from functional_nn.data.columns import examples_of, labelled
from functional_nn.data.download import fetch
from functional_nn.data.examples import Dataset, Examples
from functional_nn.data.files import existing
from functional_nn.data.mnist import CLASS_NAMES, read_mnist
from functional_nn.data.rows import ENDINGS, as_table, ending_of, is_frame, of_frame
from functional_nn.data.splits import split as split_examples

__all__ = ["Dataset", "load"]

ARCHIVES = (".npz", ".npy")
OF_FORMAT = {"header": "header", "encoding": "encoding", "separator": "separator",
             "decimal": "decimal", "thousands": "thousands", "missing_values": "missing"}
OF_ARCHIVES = ("target", "task")


def load(
    name: Any, data_dir: str | os.PathLike | None = None, *,
    target: str | int | None = None, task: str | None = None,
    categories: Sequence[str | int] = (), ignore: Sequence[str | int] = (),
    keep: Sequence[str | int] = (), missing: str = "refuse",
    missing_values: Sequence[str] | None = None, header: bool | None = None,
    encoding: str = "utf-8", separator: str | None = None, decimal: str = ".",
    thousands: str = "", test: Any = None, groups: str | int | None = None,
    split: str = "random", test_share: float | None = None, seed: int = 0,
) -> Dataset:
    """A data set by its name, by the path of its file, or from memory, split into two parts.

    The split is random and reproducible by `seed`. For classes it is stratified: each class has
    the same share of the training rows and of the test rows.

    Args:
        name: `digits`, `iris`, `wine`, `breast_cancer` (classes) or `diabetes` (regression), which
            are bundled; `mnist` or `fashion_mnist`, from `data_dir` or downloaded, with pixels from
            0 to 1; the path of a `.csv`, `.tsv`, `.txt` or `.data` file (each also compressed,
            `.csv.gz`), of a `.parquet`, `.feather` or `.xlsx` file, which pandas reads (extra
            `[tables]`), or of an `.npz` or `.npy` file; a DataFrame; or arrays (X, y).
        data_dir: the directory with the four IDX files of MNIST, or the directory that a relative
            path starts from.
        target: the target column, by name or index; the last if None. It does not apply to X and y.
        task: "classification" or "regression". None decides by the target: text is classes; so are
            whole numbers of at most 20 kinds with two rows each on average; any other target is a
            regression. `decided` of the result says which, and why.
        categories: columns that are categories although they hold numbers, such as postcodes;
            columns of text always are. Each category becomes one feature (one-hot).
            `Dataset.encode` encodes new rows in the same way.
        ignore: columns to leave out.
        keep: columns to keep that would be left out by their looks: they number the rows, or hold
            dates, or texts of which most are different. `notes` of the result names them.
        missing: what becomes of missing values: "refuse" counts them and raises an error,
            "drop" leaves their rows out, "mean" fills in the mean of the training rows and
            "most-frequent" their most frequent value; categories are always filled in with the most
            frequent one. Rows without a target are left out. New rows are filled in alike.
        missing_values: the texts that stand for a missing value, in any case. None means
            `functional_nn.data.cells.MISSING`, and among numbers `PLACEHOLDERS`. In `categories`
            only an empty cell is missing, unless this is given.
        header: whether the first line of a CSV file holds the names of its columns. None takes it
            for such a line, but refuses one that looks like a row. False names the columns
            `column 0`, `column 1`, ….
        encoding: the encoding of a CSV file; a byte-order mark comes first.
        separator: the character between cells, " " for blanks; found if None.
        decimal: the character before the fraction of a number.
        thousands: the character between groups of three digits; "" for none.
        test: the test rows, given like `name`; then nothing is split off.
        groups: a column whose values mark rows that belong together, such as a patient: all of a
            group are on the same side of the split. It is no feature.
        split: "random", or "time" for rows in the order of time: the last ones are the test.
        test_share: the share of the examples that become test rows, between 0 and 1; 0.2 if None.
            It does not apply to data that come split, such as MNIST.
        seed: an integer from 0 to 2³² − 1; the same seed gives the same split.

    Returns a `Dataset`. The features are not rescaled (`digits` from 0 to 16, `diabetes` already
    centred and scaled); use `standardize` for that.

    Raises a FileNotFoundError for a file that does not exist, and a ValueError or TypeError that
    names the wrong argument, or the file, row and column.

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
    about = {"target": target, "task": task, "categories": categories, "ignore": ignore,
             "keep": keep, "missing": missing, "missing_values": missing_values, "header": header,
             "encoding": encoding, "separator": separator, "decimal": decimal,
             "thousands": thousands, "groups": groups}
    usual = {"missing": "refuse", "encoding": "utf-8", "decimal": ".", "thousands": ""}
    given = {argument: value for argument, value in about.items()
             if value is not None and value != usual.get(argument)
             and (argument == "missing_values" or value not in ((), []))}
    examples = _read(name, data_dir, given)
    if test is not None:
        examples = examples._replace(test=_test_rows(test, examples, data_dir, given))
    return split_examples(examples, test_share, seed, split)


def _read(name, data_dir, given: dict) -> Examples:
    """The examples of a data set, however it is named."""
    if is_frame(name):
        return _of_table(of_frame("DataFrame", name, Format()), given)
    if isinstance(name, tuple | list | np.ndarray) or hasattr(name, "__array__"):
        return _of_arrays(name, given)
    if _is_path(name):
        return _of_file(_path(name, data_dir), given)
    return _of_name(name, data_dir, given)


def _is_path(name) -> bool:
    """Whether `name` means a file: a path object, or text with a folder or a file ending."""
    return isinstance(name, os.PathLike) or (
        isinstance(name, str) and bool(Path(name).suffix or os.sep in name or "/" in name))


def _path(name, data_dir) -> Path:
    path = Path(name)
    return path if data_dir is None else _directory(
        data_dir, f"{path} is looked for in it") / path


def _of_file(path: Path, given: dict) -> Examples:
    ending = ending_of(path)
    if ending in ARCHIVES:
        return read_archive(existing(path), **_for_arrays(given, path.name))
    if ending not in ENDINGS:
        if path.is_dir():
            existing(path)
        raise ValueError(
            f"name must be a data set or a file that ends in {', '.join((*ENDINGS, *ARCHIVES))}, "
            f"got {str(path)!r}; save it as one of these")
    text = None if "categories" in given else ()  # the text of numbers matters for them alone
    return _of_table(as_table(path, _format(given), text, least=2), given)


def _format(given: dict) -> Format:
    options = {OF_FORMAT[name]: value for name, value in given.items() if name in OF_FORMAT}
    if "missing" in options:
        texts = options["missing"]
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"missing_values must be a list of texts, got {texts!r}")
        options["missing"] = tuple(texts)
    return Format(**options)


def _of_table(table, given: dict) -> Examples:
    return examples_of(table, _format(given), **{
        name: value for name, value in given.items() if name not in OF_FORMAT})


def _of_arrays(arrays, given: dict) -> Examples:
    """The examples of (X, y), or of one array with a target column."""
    given = {**given}
    if isinstance(arrays, tuple | list) and len(arrays) == 2 and is_frame(arrays[0]):
        return _of_table(_joined(*arrays), {"target": -1, **given})
    if isinstance(arrays, tuple) and len(arrays) == 2:
        x, y = (np.asarray(checks.taken(*given)) for given in zip("Xy", arrays, strict=True))
        options = _for_arrays(given, "arrays")
        if "target" in options:
            raise ValueError(f"target is for a table, got {options['target']!r} beside X and y; "
                             "leave it out")
        return from_parts("the arrays", [Part("X", "y", x, y)], options.get("task"))
    options = _for_arrays(given, "arrays")
    table = np.asarray(checks.taken("the array", arrays))
    return from_table(
        "the array", "the array", table, options.get("target"), options.get("task"))


def _joined(frame, y):
    """A DataFrame X and its target y as one table, with the target as the last column."""
    y_name = str(getattr(y, "name", None) or "y")
    table = of_frame("DataFrame", frame, Format())
    if y_name in table.columns or len(y) != len(table):
        raise ValueError(
            f"y must have a value for each of the {len(table)} rows of X and a name of its own, "
            f"got {len(y)} values named {y_name!r}")
    import pandas

    target = of_frame("y", pandas.DataFrame({y_name: np.asarray(y)}), Format())
    return dataclasses.replace(table, columns=table.columns | target.columns)


def _for_arrays(given: dict, name: str) -> dict:
    """The arguments that arrays take. Raises a ValueError for others."""
    others = [argument for argument in given if argument not in OF_ARCHIVES]
    if others:
        raise checks.advice(f"{{{others[0]}}} is for the columns of a table, got it for {name}; "
                            "leave it out", **{others[0]: checks.NAME})
    return given


def _test_rows(test, examples: Examples, data_dir, given: dict) -> tuple[np.ndarray, np.ndarray]:
    """The features and targets of the test rows, as those of `examples`."""
    if examples.test is not None:
        raise checks.advice(f"{{test}} is for data that come without test rows, got it for "
                            f"{examples.name}, which has some; leave it out", test=checks.NAME)
    if examples.encoder is None:
        other = _read(test, data_dir, given)
        if other.feature_names != examples.feature_names:
            raise checks.advice(
                f"{{test}} must have the features of {examples.name}, got "
                f"{len(other.feature_names)} beside {len(examples.feature_names)}",
                test=checks.NAME)
        if other.class_names != examples.class_names:
            raise checks.advice(
                f"{{test}} must have the classes of {examples.name}, got "
                f"{', '.join(other.class_names)} beside {', '.join(examples.class_names)}",
                test=checks.NAME)
        return other.x.astype(examples.x.dtype), other.y
    rows = _path(test, data_dir) if _is_path(test) else test
    table = as_table(rows, examples.encoder.format, text=examples.encoder.categories)
    x, y = labelled(table, examples.encoder, examples.target, examples.class_names)
    if examples.fill is None:
        examples.encoder(table)  # refuses missing values in the words of new rows
    return x.astype(examples.x.dtype), y if examples.class_names else y.astype(examples.y.dtype)


def _of_name(name: str, data_dir, given: dict) -> Examples:
    known = {**dict.fromkeys(SOURCES, read_bundled), **dict.fromkeys(CLASS_NAMES, read_mnist)}
    try:
        reader = checks.one_of("data set", name, known)
    except ValueError as error:
        raise ValueError(f"{error}, or the path of a {', '.join((*ENDINGS, *ARCHIVES))} file"
                         ) from None
    if given:
        first = next(iter(given))
        raise checks.advice(f"{{{first}}} is for files of your own, got it for {name}; leave it "
                            "out", **{first: checks.NAME})
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
        raise checks.advice(f"{{data_dir}} must be an existing directory, got {str(data_dir)!r}; "
                            f"{why}", data_dir=checks.NAME)
    return Path(data_dir)
