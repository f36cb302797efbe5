"""Text for a terminal or a file: tables, set by rich without lines or colour."""

import io
from collections.abc import Sequence

__all__ = ["table"]


def table(rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = (), gap: int = 2) -> str:
    """`rows` as aligned columns, one line a row; the first row holds the column names.

    Args:
      rows: cells as text, as many in every row.
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

    grid = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
    for column in range(len(rows[0])):
        grid.add_column(justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*map(Text, row))
    output = io.StringIO()
    width = sum(max(len(row[column]) for row in rows) + gap for column in range(len(rows[0])))
    Console(file=output, width=2 * width, color_system=None, legacy_windows=False).print(grid)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())
