"""Parts that all figures share: colours, an empty canvas, shortened names, and output as a file."""

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from functional_nn.writing import file_beside

# The palette of Okabe and Ito (2008), which colour-blind readers can tell apart
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "osD^v"
INK, FAINT = "#444444", "#DDDDDD"


def blank(width: float, height: float) -> Figure:
    """An empty white figure of `width` × `height` inches with matplotlib's constrained layout."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def panels(count: int, *, columns: int = 3, width: float = 3.6, height: float = 3.1,
           **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure with `count` empty axes in the common style, and these axes as a list.

    Args:
        count: the number of axes, at least 1.
        columns: the number of axes in a full row.
        width, height: the size of one of them in inches.
        **options: for `matplotlib.figure.Figure.subplots`, such as `sharey=True`.

    >>> figure, axes = panels(5, columns=2)
    >>> len(axes), figure.get_size_inches().tolist()
    (5, [7.2, 9.3])
    """
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = blank(columns * width, rows * height)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.03)
    grid = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for axes in grid[count:]:
        axes.remove()
    for axes in grid[:count]:
        restrain(axes)
    return figure, list(grid[:count])


def restrain(axes: Axes) -> None:
    """Give `axes` the common style: two spines, small ticks, a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(labelsize=8, color=INK)
    axes.tick_params(which="minor", labelsize=6, length=2, color=INK)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)


def plain_log(axis: Axis) -> None:
    """Label a log axis of a few decades at 1, 2 and 5 of each with plain numbers.

    matplotlib labels the minor ticks of such an axis, 6 × 10⁻¹ and the like, too small to read.

    >>> axes = blank(3, 2).subplots()
    >>> axes.set(yscale="log", ylim=(0.15, 3))
    [None, (0.15, 3)]
    >>> plain_log(axes.yaxis)
    >>> [tick.get_text() for tick in axes.get_yticklabels()][1:-1]
    ['0.2', '0.5', '1', '2']
    """
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def short(name: str, most: int = 24) -> str:
    r"""`name` as a picture shows it, in at most `most` characters; … replaces its middle.

    Characters that the font cannot draw become a replacement character, and a dollar begins no
    formula.

    >>> short("layers/0/attention/query/kernel", 16), short("5\a $")
    ('layers/0…/kernel', '5� \\$')
    """
    name = "".join(c if c.isprintable() and c < "⺀" else "�" for c in name)
    if len(name) > most:
        name = f"{name[:most // 2]}…{name[len(name) - (most - 1 - most // 2):]}"
    return name.replace("$", r"\$")


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits at most, and a true minus, as on the axes.

    >>> number(-0.12345), number(2.22e-16)
    ('−0.123', '2.22e−16')
    """
    return f"{value:.{digits}g}".replace("-", "−")


def finite(values: np.ndarray) -> np.ndarray:
    """The finite entries of `values` as a 1-D array, or `[0.]` if there are none.

    >>> finite(np.array([1.0, np.nan, 2.0])), finite(np.array([np.inf]))
    (array([1., 2.]), array([0.]))
    """
    kept = values[np.isfinite(values)]
    return kept if kept.size else np.zeros(1)


def png(figure: Figure, *, dpi: int = 150) -> bytes:
    """The bytes of a PNG file of `figure`; the same figure always gives the same bytes.

    Args:
        figure: any matplotlib figure.
        dpi: resolution in dots per inch.

    >>> figure = blank(2, 2)
    >>> axes = figure.subplots()
    >>> png(figure)[1:4], png(figure) == png(figure)
    (b'PNG', True)
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Write `figure` to the file `path` at 150 dots per inch and return the path.

    The suffix (.png, .svg, .pdf, …) selects the format. The file is written under another name
    and then renamed, so a failure leaves no partial file.

    Raises:
        ValueError: matplotlib cannot write the format of the suffix.
        FileNotFoundError: the folder of `path` does not exist.

    >>> import tempfile
    >>> figure = blank(2, 2)
    >>> axes = figure.subplots()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(figure, Path(folder) / "empty.png").name
    'empty.png'
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    if (suffix := path.suffix.lower().lstrip(".")) not in known:
        raise ValueError(f"path must end in a picture format, got {path.name!r}; "
                         f"try {path.stem}.png (there are: {', '.join(known)})")
    with file_beside(path) as partial:
        if suffix == "png":
            partial.write_bytes(png(figure))
        else:
            figure.savefig(partial, format=suffix, dpi=150)
    return path
