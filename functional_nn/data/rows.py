"""Rows as they come, as a table: files of several kinds, DataFrames, and mappings."""

import contextlib
import importlib.util
import os
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from functional_nn.data import arrow, tables
from functional_nn.data.cells import Format, of_numbers, of_values
from functional_nn.data.compressed import check_unpacked, opened
from functional_nn.data.files import existing, listed
from functional_nn.data.tables import Table

LARGE = 2**20  # bytes above which the time to import pyarrow is worth it


def _of_parquet(path: Path) -> int:
    """The bytes of the table in a Parquet file, 8 a cell, however often a value is repeated."""
    from pyarrow import parquet

    about = parquet.read_metadata(path)
    return max(8 * about.num_rows * about.num_columns,
               sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups)))


def _of_zip(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())


CSV = (".csv", ".tsv", ".txt", ".data")
# the reader of pandas, the package that it needs, and path -> the bytes that the file unpacks to
FRAMES = {".parquet": ("read_parquet", "pyarrow", _of_parquet),
          ".feather": ("read_feather", "pyarrow", lambda path: 0),  # which its header does not say
          ".xlsx": ("read_excel", "openpyxl", _of_zip)}
ENDINGS = (*CSV, *FRAMES)


def ending_of(path: Path) -> str:
    """The ending of a file's name in lower case; what compressed it does not count.

    >>> ending_of(Path("trees.CSV.gz")), ending_of(Path("trees.v2.parquet"))
    ('.csv', '.parquet')
    """
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def is_frame(rows) -> bool:
    """Whether `rows` is a DataFrame, of pandas or like those of pandas."""
    return hasattr(rows, "columns") and hasattr(rows, "to_dict")


def has_named_columns(rows) -> bool:
    """Whether `rows` name their columns: a table, a file's path, a DataFrame, or mappings."""
    return isinstance(rows, Table | str | os.PathLike) or is_frame(rows) or (
        isinstance(rows, Sequence) and len(rows) > 0
        and all(isinstance(row, Mapping) for row in rows))


def as_table(rows, format: Format, text: Collection[str] | None = (), least: int = 1,
             names: Sequence[str] | None = None) -> Table:
    """`rows` as a table.

    Args:
        rows: a table, the path of a file that ends in one of `ENDINGS`, a pandas DataFrame, or a
            list of mappings from column to value.
        format: how a file writes its cells.
        text: the columns whose text is kept although it may be numbers; None keeps that of all.
        least: the least number of columns of a CSV file.
        names: the columns that mappings must have; those of the first if None.

    Raises a TypeError for `rows` of another type, and a ValueError for rows that are no table.
    """
    if isinstance(rows, Table):
        return rows
    if isinstance(rows, str | os.PathLike):
        return _of_file(Path(rows), format, text, least)
    if is_frame(rows):
        return of_frame("rows", rows, format)
    if (not isinstance(rows, Sequence) or not rows
            or not all(isinstance(row, Mapping) for row in rows)):
        raise TypeError(
            "rows must be the path of a file, a DataFrame, or a list of mappings from column to "
            f"value, with one at least, got {str(rows)[:60]}")
    names = tuple(rows[0]) if names is None else names
    for i, row in enumerate(rows):
        lacking = [name for name in names if name not in row]
        if lacking:
            raise ValueError(
                f"rows, row {i + 1} must have a value for every column, "
                f"got none for {lacking[0]!r}")
    return Table("rows", {
        name: of_values([row[name] for row in rows], format) for name in names})


def _of_file(path: Path, format: Format, text: Collection[str] | None, least: int) -> Table:
    ending = ending_of(existing(path))
    if ending in FRAMES:
        return of_frame(path.name, _read_frame(path, *FRAMES[ending]), format)
    with opened(path) as file:
        return parsed(path.name, file.read(), format, least, text)


def parsed(file: str, data: bytes, format: Format, least: int = 1,
           text: Collection[str] | None = ()) -> Table:
    """The bytes of a CSV file as a `Table`; a large one is read by pyarrow, if it is installed."""
    table = arrow.parsed(file, data, format, least, text) if len(data) > LARGE else None
    return tables.parsed(file, data, format, least) if table is None else table


def _read_frame(path: Path, reader: str, package: str, unpacked: Callable[[Path], int]):
    for needed in ("pandas", package):
        if importlib.util.find_spec(needed) is None:
            raise ModuleNotFoundError(
                f"{path.name} needs {needed} to be read; install it with: "
                "pip install 'functional_nn[tables]', or save the file as CSV")
    import pandas

    size = 0
    with contextlib.suppress(Exception):  # of a damaged file, of which the reader says more
        size = unpacked(path)
    check_unpacked(path.name, path.stat().st_size, size)
    try:
        return getattr(pandas, reader)(path)
    except Exception as error:  # each reader raises errors of its own for damaged files
        raise ValueError(f"{path.name} must be a {path.suffix} file that pandas can read, got "
                         f"{type(error).__name__} on reading it; save it again") from error


def of_frame(file: str, frame, format: Format) -> Table:
    """A DataFrame as a table; its columns are known by the text of their names.

    >>> import pandas
    >>> frame = pandas.DataFrame({"height": [3.5, None], "kind": ["oak", "elm"]})
    >>> table = of_frame("rows", frame, Format())
    >>> table.columns["height"].numbers.tolist(), list(table.columns["kind"].cells)
    ([3.5, nan], ['oak', 'elm'])
    """
    names = tuple(map(str, frame.columns))
    if len(set(names)) < len(names):
        raise ValueError(f"{file} must name every column once, got {listed(names)}; rename one")
    if not names or not len(frame):
        raise ValueError(f"{file} must hold columns and rows, got {len(names)} columns and "
                         f"{len(frame)} rows")
    return Table(file, {name: _of_series(frame[given], format)
                        for name, given in zip(names, frame.columns, strict=True)})


def _of_series(series, format: Format):
    array = series.to_numpy()
    if array.dtype.kind in "iuf":
        return of_numbers(array)
    return of_values(array.tolist() if array.dtype.kind == "O" else list(array), format)
