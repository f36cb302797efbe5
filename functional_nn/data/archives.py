"""NumPy's own files: `.npz` archives that hold X and y, and `.npy` tables with a target column. No pickle is ever opened."""

import io
import math
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from functional_nn.data.examples import Examples
from functional_nn.data.files import listed, read_bytes
from functional_nn.data.values import as_float32, as_target

WHOLE, TRAIN, TEST = ("x", "y"), ("x_train", "y_train"), ("x_test", "y_test")
MOST_INFLATED = 1032  # deflate makes no more than so many bytes out of one


def read_archive(path: Path, *, target: int | None = None, task: str | None = None) -> Examples:
    """The examples of an `.npz` or `.npy` file.

    An archive holds X and y, or x_train, y_train, x_test and y_test (in any case), or one table (n, columns); a `.npy` file
    holds such a table, whose column `target` (default the last) is the target. X is (n, features), or (n, height, width) for
    pictures. Raises a ValueError that names the array and index of a NaN, an array of objects, and shapes that do not fit.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "line.npz"
    ...     np.savez(path, X=np.arange(40.0)[:, None], y=0.5 * np.arange(40))
    ...     read_archive(path).decided
    "a regression, as 'y' is fractional numbers"
    """
    arrays = read_npz(path) if path.suffix.lower() == ".npz" else {path.name: read_npy(path.name, read_bytes(path))}
    named = {name.lower(): name for name in arrays}
    if len(arrays) == 1 and "x" not in named:
        [(name, table)] = arrays.items()
        return _from_table(path.name, name, table, target, task)
    if target is not None:
        raise ValueError(f"target is for one table with a target column, got {target!r} and {path.name} with the arrays "
                         f"{listed(arrays)}; leave target out")
    parts = [part for part in (WHOLE, TRAIN, TEST) if all(name in named for name in part)]
    if len(arrays) != len(named) or parts not in ([WHOLE], [TRAIN, TEST]):
        raise ValueError(f"{path.name} must hold X and y, or x_train, y_train, x_test and y_test, or one table, got the arrays "
                         f"{listed(sorted(arrays))}; save it with np.savez(path, X=X, y=y)")
    pairs = [[named[name] for name in part] for part in parts]
    return _from_parts(path.name, [_Part(x, y, arrays[x], arrays[y]) for x, y in pairs], task)


def _from_table(file: str, name: str, table: np.ndarray, target: int | None, task: str | None) -> Examples:
    """Examples of one array whose column `target` is the target."""
    if table.ndim != 2 or table.shape[1] < 2 or not len(table) or table.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be a table of numbers (n, columns), with two columns and one row at least, got "
                         f"{table.dtype} of shape {table.shape}; save X and y together with np.savez(path, X=X, y=y)")
    columns = table.shape[1]
    column = -1 if target is None else target
    if isinstance(column, bool) or not isinstance(column, int) or not -columns <= column < columns:
        raise ValueError(f"target must be the index of one of the {columns} columns of {name}, from {-columns} to "
                         f"{columns - 1}, got {target!r}")
    column %= columns
    kept = [j for j in range(columns) if j != column]
    x = as_float32(name, table[:, kept], lambda index: f"{name}[{index[0]}][{kept[index[1]]}]")
    label = f"column {column}"
    y, class_names, decided = as_target(label, table[:, column], task, lambda index: f"{name}[{index[0]}][{column}]")
    return Examples(file, x, y, tuple(f"column {j}" for j in kept), class_names, None, decided)


class _Part(NamedTuple):
    """Examples and their target as the archive names them; y is (n,) once checked."""

    x_name: str
    y_name: str
    x: np.ndarray
    y: np.ndarray


def _from_parts(file: str, parts: list[_Part], task: str | None) -> Examples:
    """Examples of X and y, or of the training rows and then the test rows."""
    parts = [_checked(file, part, parts[0]) for part in parts]
    whole, *rest = parts
    xs = [as_float32(part.x_name, part.x).reshape(len(part.x), -1) for part in parts]
    y, class_names, decided = as_target(whole.y_name, whole.y, task)
    test = (xs[1], _test_target(rest[0].y_name, rest[0].y, whole.y, bool(class_names))) if rest else None
    image_shape = whole.x.shape[1:] if whole.x.ndim == 3 else None
    features = [f"pixel ({i}, {j})" for i, j in np.ndindex(image_shape)] if image_shape else [
        f"column {j}" for j in range(whole.x.shape[1])]
    return Examples(file, xs[0], y, tuple(features), class_names, image_shape, decided, None, test)


def _checked(file: str, part: _Part, first: _Part) -> _Part:
    """`part` with a flat y, or a ValueError where it does not fit itself or the first part."""
    x_name, y_name, x, y = part
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(f"{x_name} of {file} must be numbers of shape (n, features), or (n, height, width) for pictures, "
                         f"got {x.dtype} of shape {x.shape}; give one feature as X[:, None]")
    if y.dtype.kind not in "biufU" or y.shape not in ((len(x),), (len(x), 1)):
        raise ValueError(f"{y_name} of {file} must be numbers or text of shape ({len(x)},), one for each row of {x_name}, "
                         f"got {y.dtype} of shape {y.shape}; turn one-hot rows into classes with y.argmax(axis=1)")
    if x.shape[1:] != first.x.shape[1:] or (y.dtype.kind == "U") != (first.y.dtype.kind == "U"):
        raise ValueError(f"{x_name} and {y_name} of {file} must be like {first.x_name} and {first.y_name}, got {x.shape} and "
                         f"{y.dtype} beside {first.x.shape} and {first.y.dtype}; save both parts alike")
    return part._replace(y=y.reshape(len(y)))


def _test_target(name: str, values: np.ndarray, training: np.ndarray, classes: bool) -> np.ndarray:
    """The test rows' target by the training rows' classes."""
    if not classes:
        return as_float32(name, values)
    kinds = np.unique(training)
    labels = np.minimum(np.searchsorted(kinds, values), len(kinds) - 1)
    unseen = kinds[labels] != values
    if unseen.any():
        i = int(unseen.argmax())
        raise ValueError(f"{name} must hold classes of the training rows, {kinds[:10].tolist()}, got {name}[{i}] = "
                         f"{values[i].item()!r}; drop those rows, or add the class to the training rows")
    return labels.astype(np.int32)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` archive by name, in full; objects are refused, and so is an archive that is damaged."""
    members = _members(path.name, read_bytes(path))
    names = [name for name, _ in members]
    if not names or len(set(names)) != len(names) or not all(name.isprintable() for name in names):
        raise ValueError(f"{path.name} must hold arrays, each under a name of its own, got {names[:20]}; save it again with "
                         "np.savez")
    return {name: read_npy(name, data) for name, data in members}


def _members(file: str, data: bytes) -> list[tuple[str, bytes]]:
    """The name and the bytes of every file in a zip archive; each is checked by its CRC as it is read."""
    try:
        if data[:2] != b"PK":  # zipfile would look for an archive further on
            raise zipfile.BadZipFile("no archive begins like this")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.file_size > MOST_INFLATED * (member.compress_size + 1):
                    raise zipfile.BadZipFile(f"{member.compress_size} bytes cannot hold {member.file_size:,}")
                if member.comment:  # np.savez writes none: a damaged length makes one of the members that follow
                    raise zipfile.BadZipFile(f"{member.filename} has a comment")
            return [(member.filename.removesuffix(".npy"), archive.read(member)) for member in archive.infolist()]
    except Exception as error:  # a damaged archive fails as zipfile, zlib, struct, … please
        raise ValueError(f"{file} must be an .npz archive as np.savez writes it, got {type(error).__name__} on opening it; "
                         "save it again") from error


def read_npy(name: str, data: bytes) -> np.ndarray:
    """The array that the bytes of an `.npy` file hold, called `name` in errors; as many bytes as its header says, no objects.

    >>> file = io.BytesIO()
    >>> np.save(file, np.eye(2, dtype=int))
    >>> read_npy("X", file.getvalue()).tolist()
    [[1, 0], [0, 1]]
    >>> read_npy("X", file.getvalue()[:-1])
    Traceback (most recent call last):
        ...
    ValueError: X must hold 32 bytes, as its header's shape (2, 2) of int64 says, got 31; it is damaged, so save it again
    """
    file = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = npy.read_magic(file)
            shape, by_columns, dtype = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version](file)
    except Exception as error:  # the header is Python text, and a damaged one fails as the parser pleases
        raise ValueError(f"{name} must be an array as np.save writes it, got {type(error).__name__} from its header; "
                         "save it again") from error
    if dtype.kind not in "biufU" or not dtype.itemsize:
        fix = "save numbers, as objects need pickle, which runs what it reads" if dtype.hasobject else "convert it with astype"
        raise ValueError(f"{name} must hold numbers, or text for a target, got {dtype}; {fix}")
    body = data[file.tell():]
    wanted = math.prod(shape) * dtype.itemsize
    if len(body) != wanted or any(length < 0 for length in shape) or len(shape) > 32:
        raise ValueError(f"{name} must hold {wanted:,} bytes, as its header's shape {shape[:8]} of {dtype} says, got "
                         f"{len(body):,}; it is damaged, so save it again")
    array = np.frombuffer(body, dtype).reshape(shape, order="F" if by_columns else "C")
    if dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{name} must hold booleans of 0 and 1, got a byte of {array.view(np.uint8).max()}; it is damaged, so "
                         "save it again")
    if dtype.kind == "U" and array.size and np.ascontiguousarray(array).view(_code_points(dtype)).max() > 0x10FFFF:
        raise ValueError(f"{name} must hold text, got bytes that are no characters; it is damaged, so save it again")
    return array.astype(dtype.newbyteorder("="))


def _code_points(dtype: np.dtype) -> np.dtype:
    return np.dtype("u4").newbyteorder(dtype.byteorder)
