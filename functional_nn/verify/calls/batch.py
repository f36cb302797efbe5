"""How the user holds the inputs and targets of a batch, found from their shapes."""

from typing import NamedTuple

import numpy as np

from functional_nn.verify.calls.forms import CLASSES, EXAMPLES, Examples


class Batch(NamedTuple):
    """How the user holds inputs and targets: the forms, and the shapes that were given."""

    x: Examples
    y: Examples
    shapes: tuple[tuple[int, ...], tuple[int, ...]]

    def read(self, X: np.ndarray, Y: np.ndarray, sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return X and Y as (examples, units)."""
        return self.x.read(X, sizes[0]), self.y.read(Y, sizes[1])

    def write(self, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return our X and Y in the user's forms."""
        return self.x.write(X, self.shapes[0]), self.y.write(Y, self.shapes[1])


def batches(X: np.ndarray, Y: np.ndarray, sizes: tuple[int, int], classes: bool, columns: bool | None) -> list[Batch]:
    """Return the forms that the shapes of X and Y allow, the likeliest first.

    Args:
      sizes: the numbers of inputs and outputs of the network.
      classes: whether Y may hold integer classes.
      columns: whether an example is a column; None leaves it to the shapes.

    >>> [(b.x.name, b.y.name) for b in batches(np.ones((3, 8)), np.ones((1, 8)), (3, 1), False, None)]
    [('columns', 'columns')]
    """
    shapes = X.shape, Y.shape
    labels = classes and sizes[1] > 1 and Y.dtype.kind in "iu" and 1 in (Y.ndim, *Y.shape)
    allowed = {None: ("rows", "columns"), True: ("columns",), False: ("rows",)}[columns]
    own = [form for form in EXAMPLES if form.name not in ("rows", "columns") or form.name in allowed]
    theirs = [*(CLASSES if labels else ()), *own]
    found = [Batch(x, y, shapes) for x in own if x.fits(shapes[0], sizes[0])
             for y in theirs if y.fits(shapes[1], sizes[1]) and x.count(shapes[0]) == y.count(shapes[1])]
    alike = [one for one in found if one.x.name == one.y.name or {one.x.name, one.y.name} != {"rows", "columns"}]
    return [*alike, *(one for one in found if one not in alike)]
