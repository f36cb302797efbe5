"""Reading large CSV files with pyarrow; `functional_nn.data.tables` reads the others."""

import importlib.util
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from functional_nn.data.cells import CODE, Column, Format
from functional_nn.data.cells import column as column_of
from functional_nn.data.tables import (
    BLANK,
    LOOKED_AT,
    Table,
    decoded,
    first_records,
    separator_of,
    split_header,
)

HEAD = 2**22  # bytes that show the separator and the header


def parsed(file: str, data: bytes, format: Format, least: int,
           text: Collection[str] | None) -> Table | None:
    """The bytes of a CSV file as a `Table`, as `tables.parsed` returns it; lines are not known.

    Returns None where pyarrow is not installed, and where the file needs the other reader: it is
    not UTF-8, is separated by blanks, or is damaged, which the other reader can say in a sentence.
    """
    if importlib.util.find_spec("pyarrow") is None or b"\0" in data:
        return None
    if format.encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "ascii"):
        return None
    import pyarrow

    try:
        head = decoded(file, data[:data.rfind(b"\n", 0, HEAD) + 1] if len(data) > HEAD else data)
        separator = format.separator or separator_of(file, head, least)
        if separator == BLANK:
            return None
        records = first_records(file, head, separator, LOOKED_AT + 1)
        names, _, dropped = split_header(file, records, format)
        columns = _columns(data, separator, len(names), format.header is not False)
    except (ValueError, pyarrow.ArrowException):
        return None
    with ThreadPoolExecutor() as pool:  # pyarrow reads numbers without the lock of Python
        kept = [j in dropped or text is None or name in text for j, name in enumerate(names)]
        read = list(pool.map(lambda cells, keep: _column(cells, format, keep), columns, kept))
    found = {}
    for j, (name, column) in enumerate(zip(names, read, strict=True)):
        if column is None or not len(column.missing):
            return None
        if j not in dropped:
            found[name] = column
        elif not column.missing.all():  # a column without a name has a value after all
            return None
    return Table(file, found, (), separator)


def _columns(data: bytes, separator: str, width: int, header: bool) -> list:
    """The columns of the file as arrays of text, without the header."""
    import pyarrow
    from pyarrow import csv

    names = [str(j) for j in range(width)]
    start = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    table = csv.read_csv(
        pyarrow.BufferReader(pyarrow.py_buffer(data).slice(start)),
        read_options=csv.ReadOptions(column_names=names),
        parse_options=csv.ParseOptions(  # the file is cut at any line where no cell is quoted
            delimiter=separator, newlines_in_values=b'"' in data),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False))
    return (table.slice(1) if header else table).columns


def _column(cells, format: Format, keep: bool) -> Column | None:
    """The `Column` of an array of text; None if a quote is not read as the other reader reads it.

    Numbers without missing values are the usual case, which pyarrow reads by itself. A column with
    anything else in it is read as in small files.
    """
    import pyarrow
    import pyarrow.compute as compute

    if not keep and format.decimal == "." and not format.thousands:
        try:
            numbers = compute.cast(cells, pyarrow.float64()).to_numpy()
            if _holds_codes(cells, numbers):
                keep = True
            elif np.isfinite(numbers).all() and not _marked(numbers, format):
                return Column(None, numbers, np.zeros(len(numbers), bool))
        except pyarrow.ArrowInvalid:
            pass
    texts = [cell.strip() for cell in cells.to_pylist()]
    if any(cell.startswith('"') for cell in texts):
        return None
    made = column_of(texts, format)
    return made if keep or made.numbers is None else made._replace(cells=None)


def _holds_codes(cells, numbers: np.ndarray) -> bool:
    """Whether a column of whole numbers has one that begins with a zero, as a postcode does."""
    import pyarrow.compute as compute

    return bool((numbers == np.floor(numbers)).all()) and compute.any(
        compute.match_substring_regex(cells, CODE.pattern)).as_py()


def _marked(numbers: np.ndarray, format: Format) -> bool:
    """Whether one of the texts that are missing values is a number that is there."""
    return any(format.number.fullmatch(text) and (numbers == float(text)).any()
               for text in format.everywhere)
