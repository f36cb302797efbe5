"""Reading `.npz` archives of X and y, and `.npy` tables with a target column.

No pickle is ever loaded: it would run code from the file.
"""

import contextlib
import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from functional_nn import checks
from functional_nn.data.compressed import check_unpacked, read_up_to
from functional_nn.data.examples import Examples
from functional_nn.data.files import listed, read_bytes
from functional_nn.data.values import as_floats, as_target

WHOLE, TRAIN, TEST = ("x", "y"), ("x_train", "y_train"), ("x_test", "y_test")
MOST_INFLATED = 1032  # the largest ratio of inflated to compressed bytes that deflate can reach
LONGEST_HEADER = 2**17  # bytes of an .npy header, of which NumPy reads at most 2**16
MOST_FEATURES = 2**20  # the pixels of a picture of 1024 x 1024


def read_archive(path: Path, *, target: int | None = None, task: str | None = None) -> Examples:
    """The examples of an `.npz` or `.npy` file.

    An archive holds X and y; or x_train, y_train, x_test and y_test; or one table. The names
    may be in upper or lower case. A `.npy` file holds one table. A table has shape (n, columns),
    and one of its columns is the target. X has shape (n, features), or (n, height, width) for
    images, and y has shape (n,) or (n, 1).

    Args:
        path: the file; a name that ends in `.npz` is an archive.
        target: the index of the target column of a table; the last one if None.
        task: "classification", "regression" or None, see `functional_nn.data.load`.

    Raises a ValueError for a NaN or inf (naming the array and index), an array of objects, arrays
    whose shapes do not match, and a `target` that is no column.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "line.npz"
    ...     np.savez(path, X=np.arange(40.0)[:, None], y=0.5 * np.arange(40))
    ...     read_archive(path).decided
    "a regression, as 'y' is fractional numbers"
    """
    arrays = read_npz(path) if path.suffix.lower() == ".npz" else {
        path.name: read_npy(path.name, read_bytes(path))}
    named = {name.lower(): name for name in arrays}
    if len(arrays) == 1 and "x" not in named:
        [(name, table)] = arrays.items()
        return from_table(path.name, name, table, target, task)
    if target is not None:
        raise checks.advice(
            "{target} is for one table with a target column, got "
            f"{target!r} and {path.name} with the arrays {listed(arrays)}; leave {{target}} out",
            target=checks.NAME)
    parts = [part for part in (WHOLE, TRAIN, TEST) if all(name in named for name in part)]
    if len(arrays) != len(named) or parts not in ([WHOLE], [TRAIN, TEST]):
        raise ValueError(
            f"{path.name} must hold X and y, or x_train, y_train, x_test and y_test, or one table, "
            f"got the arrays {listed(sorted(arrays))}; save it with np.savez(path, X=X, y=y)")
    pairs = [[named[name] for name in part] for part in parts]
    return from_parts(path.name, [Part(x, y, arrays[x], arrays[y]) for x, y in pairs], task)


def from_table(
    file: str, name: str, table: np.ndarray, target: int | None, task: str | None
) -> Examples:
    """The examples of one array, with column `target` as their target."""
    if table.ndim != 2 or table.shape[1] < 2 or not len(table) or table.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be a table of numbers (n, columns), "
            f"with two columns and one row at least, got {table.dtype} of shape {table.shape}; "
            "save X and y together with np.savez(path, X=X, y=y)")
    columns = table.shape[1]
    _check_features(name, columns - 1)
    column = -1 if target is None else target
    if isinstance(column, bool) or not isinstance(column, int) or not -columns <= column < columns:
        raise checks.advice(
            f"{{target}} must be the index of one of the {columns} columns of {name}, "
            f"from {-columns} to {columns - 1}, got {target!r}", target=checks.NAME)
    column %= columns
    kept = [j for j in range(columns) if j != column]
    x = as_floats(
        name, table[:, kept], lambda index: f"{name}[{index[0]}][{kept[index[1]]}]")
    label = f"column {column}"
    y, class_names, decided = as_target(
        label, table[:, column], task, lambda index: f"{name}[{index[0]}][{column}]")
    return Examples(file, x, y, tuple(f"column {j}" for j in kept), class_names, None, decided)


class Part(NamedTuple):
    """X and y of the training rows or of the test rows, with their names in the archive.

    `_checked` gives y the shape (n,).
    """

    x_name: str
    y_name: str
    x: np.ndarray
    y: np.ndarray


def from_parts(file: str, parts: list[Part], task: str | None) -> Examples:
    """The examples of X and y, or of the training part and the test part."""
    parts = [_checked(file, part, parts[0]) for part in parts]
    whole, *rest = parts
    xs = [as_floats(part.x_name, part.x).reshape(len(part.x), -1) for part in parts]
    xs = [x.astype(np.result_type(*xs)) for x in xs]  # one dtype for training and test rows
    y, class_names, decided = as_target(whole.y_name, whole.y, task)
    test = (
        xs[1], _test_target(rest[0].y_name, rest[0].y, whole.y, bool(class_names))
    ) if rest else None
    image_shape = whole.x.shape[1:] if whole.x.ndim == 3 else None
    features = [f"pixel ({i}, {j})" for i, j in np.ndindex(image_shape)] if image_shape else [
        f"column {j}" for j in range(whole.x.shape[1])]
    return Examples(file, xs[0], y, tuple(features), class_names, image_shape, decided, None,
                    test=test)


def _checked(file: str, part: Part, first: Part) -> Part:
    """`part` with y of shape (n,).

    Raises a ValueError where X and y do not match each other or those of the first part.
    """
    x_name, y_name, x, y = part
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(
            f"{x_name} of {file} must be numbers of shape (n, features), or (n, height, width) for "
            f"pictures, got {x.dtype} of shape {x.shape}; give one feature as X[:, None]")
    _check_features(f"{x_name} of {file}", math.prod(x.shape[1:]))
    if y.dtype.kind not in "biufU" or y.shape not in ((len(x),), (len(x), 1)):
        raise ValueError(
            f"{y_name} of {file} must be numbers or text of shape ({len(x)},), "
            f"one for each row of {x_name}, got {y.dtype} of shape {y.shape}; "
            "turn one-hot rows into classes with y.argmax(axis=1)")
    if x.shape[1:] != first.x.shape[1:] or (y.dtype.kind == "U") != (first.y.dtype.kind == "U"):
        raise ValueError(
            f"{x_name} and {y_name} of {file} must be like {first.x_name} and {first.y_name}, "
            f"got {x.shape} and {y.dtype} beside {first.x.shape} and {first.y.dtype}; "
            "save both parts alike")
    return part._replace(y=y.reshape(len(y)))


def _check_features(name: str, features: int) -> None:
    if features > MOST_FEATURES:
        raise ValueError(
            f"{name} must have at most {MOST_FEATURES:,} features, got {features:,}; give one row "
            "for each example")


def _test_target(name: str, values: np.ndarray, training: np.ndarray, classes: bool) -> np.ndarray:
    """The target of the test rows: class labels as numbered in the training rows, or float32."""
    if not classes:
        return as_floats(name, values)
    kinds = np.unique(training)
    labels = np.minimum(np.searchsorted(kinds, values), len(kinds) - 1)
    unseen = kinds[labels] != values
    if unseen.any():
        i = int(unseen.argmax())
        raise ValueError(
            f"{name} must hold classes of the training rows, "
            f"{kinds[:10].tolist()}, got {name}[{i}] = {values[i].item()!r}; "
            "drop those rows, or add the class to the training rows")
    return labels.astype(np.int32)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` archive by name, all in memory.

    Raises a ValueError for arrays of objects, for two arrays of one name, for a damaged archive,
    and for one that unpacks to more than `functional_nn.data.compressed.limit` allows.
    """
    data = read_bytes(path)
    with _damage_said(path.name):
        if data[:2] != b"PK":  # otherwise zipfile would search the file for an archive
            raise zipfile.BadZipFile("no archive begins like this")
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = {member.filename.removesuffix(".npy"): _possible(member)
                   for member in archive.infolist()}
    names = [member.filename for member in archive.infolist()]
    if not names or len(members) < len(names) or not all(name.isprintable() for name in names):
        raise ValueError(
            f"{path.name} must hold arrays, each under a name of its own, got {names[:20]}; "
            "save it again with np.savez")
    check_unpacked(path.name, len(data), sum(member.file_size for member in members.values()))
    return {name: read_npy(name, _unpacked(path.name, archive, member))
            for name, member in members.items()}


def _possible(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """`member` itself, if it is as np.savez writes it and its bytes can hold its size."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{member.filename} is packed by another method")
    if member.file_size > MOST_INFLATED * (member.compress_size + 1):
        raise zipfile.BadZipFile(f"{member.compress_size} bytes cannot hold {member.file_size:,}")
    if member.comment:  # a damaged length turns later members into a comment
        raise zipfile.BadZipFile(f"{member.filename} has a comment")
    return member


def _unpacked(file: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytearray:
    """The bytes of a member, as many as the directory says, checked by its CRC."""
    with _damage_said(file), archive.open(member) as packed:
        return read_up_to(packed, member.file_size)


@contextlib.contextmanager
def _damage_said(file: str) -> Iterator[None]:
    """A context in which every error is a ValueError that `file` is no archive of NumPy."""
    try:
        yield
    except Exception as error:  # damage can raise errors of zipfile, zlib, struct and others
        raise ValueError(
            f"{file} must be an .npz archive as np.savez writes it, "
            f"got {type(error).__name__} on opening it; save it again") from error


def read_npy(name: str, data: bytes | bytearray) -> np.ndarray:
    """The array in the bytes of an `.npy` file.

    Args:
        name: the name of the array in errors.
        data: the bytes of the file.

    Returns the array in the machine's byte order. Raises a ValueError for a damaged header, for
    more or fewer bytes than the header says, and for objects and other types that are neither
    numbers nor text.

    >>> file = io.BytesIO()
    >>> np.save(file, np.eye(2, dtype=int))
    >>> read_npy("X", file.getvalue()).tolist()
    [[1, 0], [0, 1]]
    >>> read_npy("X", file.getvalue()[:-1])
    Traceback (most recent call last):
        ...
    ValueError: X must hold 32 bytes, as its header's shape (2, 2) of int64 says, got 31; it is ...
    """
    file = io.BytesIO(data[:LONGEST_HEADER])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = npy.read_magic(file)
            shape, by_columns, dtype = {
                (1, 0): npy.read_array_header_1_0,
                (2, 0): npy.read_array_header_2_0}[version](file)
    except Exception as error:  # the header is Python text: damage can raise any parser error
        raise ValueError(
            f"{name} must be an array as np.save writes it, "
            f"got {type(error).__name__} from its header; save it again") from error
    if dtype.kind not in "biufU" or not dtype.itemsize:
        fix = (
            "save numbers, as objects need pickle, which runs what it reads"
            if dtype.hasobject else "convert it with astype")
        raise ValueError(f"{name} must hold numbers, or text for a target, got {dtype}; {fix}")
    held, wanted = len(data) - file.tell(), math.prod(shape) * dtype.itemsize
    if held != wanted or any(length < 0 for length in shape) or len(shape) > 32:
        raise ValueError(
            f"{name} must hold {wanted:,} bytes, as its header's shape {shape[:8]} of {dtype} "
            f"says, got {held:,}; it is damaged, so save it again")
    array = np.frombuffer(data, dtype, offset=file.tell()).reshape(
        shape, order="F" if by_columns else "C") if wanted else np.empty(shape, dtype)
    if dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(
            f"{name} must hold booleans of 0 and 1, got a byte of {array.view(np.uint8).max()}; "
            "it is damaged, so save it again")
    if (dtype.kind == "U" and array.size
            and np.ascontiguousarray(array).view(_code_points(dtype)).max() > 0x10FFFF):
        raise ValueError(
            f"{name} must hold text, got bytes that are no characters; "
            "it is damaged, so save it again")
    return np.require(array, dtype.newbyteorder("="), "AW")


def _code_points(dtype: np.dtype) -> np.dtype:
    return np.dtype("u4").newbyteorder(dtype.byteorder)
