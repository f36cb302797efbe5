"""Text for a terminal or a file: tables without lines or colour, and `print`.

The words of a file, such as the names of its columns, may hold characters that a terminal obeys.
Whatever the library prints goes through `print`, which writes them as escapes.
"""

import builtins
import io
import sys
from collections.abc import Sequence
from typing import TextIO

from functional_nn.writing import printable

__all__ = ["print", "table"]


def print(*parts: object, end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    r"""Print like the built-in function, with all that is not printable but line ends escaped.

    >>> print("class", "oak\x1b]0;title\x07")
    class oak\x1b]0;title\x07
    """
    text = printable(" ".join(map(str, parts)), keep="\n")
    builtins.print(text, end=end, file=sys.stdout if file is None else file, flush=flush)


def table(rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = (), gap: int = 2) -> str:
    """`rows` as aligned columns, one line a row; the first row holds the column names.

    Args:
      rows: cells as text, as many in every row; what is not printable is escaped.
      numbers: the columns that are set to the right.
      gap: spaces between two columns.

    >>> print(table([("layer", "size"), ("dense", "30"), ("softmax", "1,024")], numbers=[1]))
    layer     size
    dense       30
    softmax  1,024
    """
    from rich.console import (
        Console,  # takes a while to import, which `import functional_nn` need not
    )
    from rich.table import Table
    from rich.text import Text

    rows = [[printable(cell) for cell in row] for row in rows]
    grid = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
    for column in range(len(rows[0])):
        grid.add_column(justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*map(Text, row))
    output = io.StringIO()
    width = sum(max(len(row[column]) for row in rows) + gap for column in range(len(rows[0])))
    Console(file=output, width=2 * width, color_system=None, legacy_windows=False).print(grid)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())
