"""Confusion matrix of a classifier, with examples that it misclassified."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from functional_nn.plots.canvas import FAINT, blank, short

DRAWN = 20  # at most this many misclassified examples are drawn


def confusion(matrix: Any, class_names: Sequence[str], misread_images: Any = None,
              misread_true: Sequence[int] = (), misread_predicted: Sequence[int] = ()) -> Figure:
    """Figure of a confusion matrix with its counts, beside images of misclassified examples.

    Correct counts are blue and errors are orange. Each has its own colour scale, so that a few
    errors stay visible beside many correct examples.

    Args:
        matrix: (classes, classes), counts; rows are true classes, columns predicted classes.
        class_names: one name per class.
        misread_images: (n, height, width), or (n, pixels) where each row is a flattened square
            image of at least 8 × 8 pixels. The first 20 are drawn. For arrays of another shape,
            as for None, the figure shows the matrix alone.
        misread_true: (n,), the index of the true class of each misclassified example.
        misread_predicted: (n,), the index of its predicted class.

    Raises:
        ValueError: `matrix` does not fit `class_names`, or the last three arguments do not fit
            together.

    >>> print(confusion([[5, 0], [2, 3]], ["cat", "dog"]).axes[0].get_title())
    8 of 10 right (80%);
    most often dog read as cat (2)
    """
    counts, names = np.asarray(matrix), [str(name) for name in class_names]
    if counts.shape != (len(names), len(names)):
        raise ValueError(f"matrix must be of shape {(len(names), len(names))} for {len(names)} "
                         f"class_names, got {counts.shape}")
    pictures = _as_pictures(misread_images)
    truths, guesses = np.asarray(misread_true, dtype=int), np.asarray(misread_predicted, dtype=int)
    if not len(pictures) <= len(truths) == len(guesses):
        raise ValueError(f"misread_images, misread_true and misread_predicted must be of one "
                         f"length, got {len(pictures)}, {len(truths)} and {len(guesses)}")
    side = float(np.clip(0.45 * len(names), 4.6, 10))
    figure = blank(side + 5.4 * (len(pictures) > 0), side + 0.5)
    if not len(pictures):
        _matrix(figure.subplots(), counts, names)
        return figure
    left, right = figure.subfigures(1, 2, width_ratios=(side, 5.4), wspace=0.04)
    _matrix(left.subplots(), counts, names)
    misread = max(len(pictures), int(counts.sum() - np.trace(counts)))
    drawn = min(DRAWN, len(pictures))
    right.suptitle(
        f"{drawn} of the {misread} misread" if drawn < misread else f"The {misread} misread",
        fontsize=10)
    for axes, picture, true, guess in zip(
            _cells(right, len(pictures)), pictures, truths, guesses, strict=False):
        axes.imshow(picture, cmap="gray_r", interpolation="nearest")
        says = f"{short(names[true], 14)} read as {short(names[guess], 14)}"
        axes.set_title(says if len(says) <= 12 else says.replace(" read as ", "\nread as\n"),
                       fontsize=8, pad=3)
    return figure


def _as_pictures(images: Any) -> np.ndarray:
    """`images` as floats (n, height, width); n = 0 if they do not have the shape of images."""
    array = np.zeros((0,)) if images is None else np.asarray(images)
    side = math.isqrt(array.shape[1]) if array.ndim == 2 else 0
    if side >= 8 and side * side == array.shape[1]:
        array = array.reshape(-1, side, side)
    return array.astype(float) if array.ndim == 3 else np.zeros((0, 1, 1))


def _cells(figure: Any, count: int) -> Iterator[Axes]:
    """Axes without ticks for at most `DRAWN` images, in a grid whose unused cells are hidden."""
    columns = 5 if count > 12 else 4 if count > 6 else 3
    rows = max(3, math.ceil(min(count, DRAWN) / columns))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, axes in enumerate(grid):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FAINT)
        axes.set_visible(index < count)
    return iter(grid[:DRAWN])


def _matrix(axes: Axes, counts: np.ndarray, names: Sequence[str]) -> None:
    right = np.eye(len(names), dtype=bool)
    colours = np.ones((*counts.shape, 3))
    for cells, scale in ((right, "Blues"), (~right & (counts > 0), "Oranges")):
        if cells.any() and (most := counts[cells].max()) > 0:
            colours[cells] = colormaps[scale](0.15 + 0.6 * counts[cells] / most)[:, :3]
    axes.imshow(colours, aspect="equal")
    if len(names) <= 30:
        inches = axes.get_figure(root=True).get_figheight() * 0.75 / len(names)
        size = min(9, inches * 72 / (0.75 * len(str(counts.max()))))
        for row, column in zip(*np.nonzero(counts), strict=True):
            axes.text(column, row, f"{counts[row, column]:.6g}", ha="center", va="center",
                      fontsize=size,
                      color="white" if colours[row, column] @ (0.3, 0.6, 0.1) < 0.5 else "black")
    ticks = np.arange(0, len(names), math.ceil(len(names) / 30))
    labels = [short(names[tick], 16) for tick in ticks]
    axes.set_xticks(ticks, labels, fontsize=8, rotation=90 if max(map(len, labels)) > 2 else 0)
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.set_xlabel("predicted class (blue: right; orange: wrong)")
    axes.set_ylabel("true class")
    axes.spines[:].set_color(FAINT)
    axes.tick_params(length=0)
    axes.set_title(_confusion_finding(counts, names), fontsize=10)


def _confusion_finding(counts: np.ndarray, names: Sequence[str]) -> str:
    total, right = counts.sum(), np.trace(counts)
    if not total:
        return "No examples"
    if right == total:
        return f"All {total} right"
    wrong = counts - np.diag(np.diag(counts))
    true, guess = np.unravel_index(np.argmax(wrong), wrong.shape)
    return (f"{right} of {total} right ({100 * right / total:.4g}%);\n"
            f"most often {short(names[true], 14)} read as {short(names[guess], 14)} "
            f"({wrong[true, guess]})")
