"""What all pictures share: the palette, a white canvas, short names, and a file that is whole or absent."""

import io
import os
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from functional_nn.records import beside

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")  # Okabe and Ito (2008)
MARKERS = "osD^v"
INK, FAINT = "#444444", "#DDDDDD"


def blank(width: float, height: float) -> Figure:
    """A white figure of so many inches, which lays itself out."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def restrain(axes: Axes) -> None:
    """Two spines, small ticks, a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(labelsize=8, color=INK)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)


def short(name: str, most: int = 24) -> str:
    """`name` in at most `most` characters, its middle left out.

    >>> short("layers/0/attention/query/kernel", 16)
    'layers/0…/kernel'
    """
    if len(name) <= most:
        return name
    return f"{name[:most // 2]}…{name[len(name) - (most - 1 - most // 2):]}"


def finite(values: np.ndarray) -> np.ndarray:
    """The finite values, or one zero when there are none."""
    kept = values[np.isfinite(values)]
    return kept if kept.size else np.zeros(1)


def png(figure: Figure, *, dpi: int = 150) -> bytes:
    """The picture as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Write the picture at 150 dots an inch, in the format of the suffix (.png, .svg, .pdf): whole, or not at all.

    Raises:
        ValueError: the suffix is no format that matplotlib writes.
        FileNotFoundError: the folder does not exist.
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    if (suffix := path.suffix.lower().lstrip(".")) not in known:
        raise ValueError(f"path must end in a picture format, got {path.name!r}; try {path.stem}.png "
                         f"(there are: {', '.join(known)})")
    with beside(path) as partial:
        if suffix == "png":
            partial.write_bytes(png(figure))
        else:
            figure.savefig(partial, format=suffix, dpi=150)
    return path
