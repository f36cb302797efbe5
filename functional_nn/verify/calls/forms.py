"""The ways in which people hold a layer's weights and biases, and a batch's examples: as tables.

A record says how a form is recognised (by its shape), how it is read into ours, and how it is
written back. Ours are W (n_out, n_in), b (n_out,), X (examples, n_in) and Y (examples, n_out).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ORIENTATIONS = ("out_in", "in_out")


class Weights(NamedTuple):
    """A form of a layer's weights, which may hold its bias as one more column or row.

    Attributes:
      name: "out_in" or "in_out", and where the bias is, if it is in the same array.
      shape: (n_in, n_out) -> the array's shape.
      turned: whether the array is the transpose of ours.
      bias: the column of ours, once turned, that is the bias: 0 or -1; None if there is none.
    """

    name: str
    shape: Callable[[int, int], tuple[int, int]]
    turned: bool
    bias: int | None = None

    def read(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return (W, b), b being None if it is not in this array."""
        array = array.T if self.turned else array
        if self.bias is None:
            return array, None
        return (array[:, 1:], array[:, 0]) if self.bias == 0 else (array[:, :-1], array[:, -1])

    def write(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the array that holds W, and b if its place is here.

        >>> WEIGHTS[2].write(np.zeros((1, 2)), np.ones(1)).tolist()
        [[1.0, 0.0, 0.0]]
        """
        if self.bias is not None:
            W = np.concatenate([b[:, None], W] if self.bias == 0 else [W, b[:, None]], axis=1)
        return np.ascontiguousarray(W.T if self.turned else W)

    def index(self, place: tuple[int, ...], leaf: str) -> tuple[int, ...]:
        """Return the index in the user's array of an entry of W or b."""
        row, column = place if leaf == "weight" else (*place, -1)
        if leaf == "bias":
            column = self.bias or -1 if self.bias != 0 else 0
        elif self.bias == 0:
            column += 1
        return (column, row) if self.turned else (row, column)


WEIGHTS = (
    Weights("out_in", lambda i, o: (o, i), False),
    Weights("in_out", lambda i, o: (i, o), True),
    Weights("out_in, bias first", lambda i, o: (o, i + 1), False, 0),
    Weights("out_in, bias last", lambda i, o: (o, i + 1), False, -1),
    Weights("in_out, bias first", lambda i, o: (i + 1, o), True, 0),
    Weights("in_out, bias last", lambda i, o: (i + 1, o), True, -1),
)

BIASES = {  # name -> n_out -> shape
    "flat": lambda o: (o,),
    "column": lambda o: (o, 1),
    "row": lambda o: (1, o),
    "number": lambda o: () if o == 1 else None,
}

ORDERS = {  # name -> number of layers -> the leaves in order, as (weight or bias, layer)
    "W, b, W, b, …": lambda n: [(kind, l) for l in range(n) for kind in ("weight", "bias")],
    "b, W, b, W, …": lambda n: [(kind, l) for l in range(n) for kind in ("bias", "weight")],
    "W, W, …, b, b, …": lambda n: [(kind, l) for kind in ("weight", "bias") for l in range(n)],
    "b, b, …, W, W, …": lambda n: [(kind, l) for kind in ("bias", "weight") for l in range(n)],
    "W, W, …": lambda n: [("weight", l) for l in range(n)],
}


class Examples(NamedTuple):
    """A form of a batch of inputs or targets.

    Attributes:
      name: what it is called in the report.
      fits: (shape, n), with n the number of units -> whether an array of this shape is of this form.
      count: shape -> the number of examples.
      read: (array, n) -> our array.
      write: (our array, the shape of the array that was read) -> an array of this form.
    """

    name: str
    fits: Callable[[tuple[int, ...], int], bool]
    count: Callable[[tuple[int, ...]], int]
    read: Callable[[np.ndarray, int], np.ndarray]
    write: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))


EXAMPLES = (
    Examples("rows", lambda shape, n: len(shape) == 2 and shape[1] == n, lambda shape: shape[0],
             lambda array, n: array, lambda ours, shape: ours),
    Examples("columns", lambda shape, n: len(shape) == 2 and shape[0] == n, lambda shape: shape[1],
             lambda array, n: np.ascontiguousarray(array.T), lambda ours, shape: np.ascontiguousarray(ours.T)),
    Examples("column vectors or images", lambda shape, n: len(shape) > 2 and _product(shape[1:]) == n,
             lambda shape: shape[0], lambda array, n: array.reshape(len(array), n),
             lambda ours, shape: ours.reshape(len(ours), *shape[1:])),
    Examples("numbers", lambda shape, n: len(shape) == 1 and n == 1, lambda shape: shape[0],
             lambda array, n: array.reshape(-1, 1), lambda ours, shape: ours.reshape(-1)),
)

CLASSES = (  # integer classes, one for each example; ours is (examples,)
    Examples("classes", lambda shape, n: len(shape) == 1, lambda shape: shape[0],
             lambda array, n: array, lambda ours, shape: ours),
    Examples("a column of classes", lambda shape, n: len(shape) == 2 and shape[1] == 1, lambda shape: shape[0],
             lambda array, n: array[:, 0], lambda ours, shape: ours[:, None]),
    Examples("a row of classes", lambda shape, n: len(shape) == 2 and shape[0] == 1, lambda shape: shape[1],
             lambda array, n: array[0], lambda ours, shape: ours[None, :]),
)
