"""The ways in which people hold a layer's weights and biases, and a batch's examples: as tables.

A record says how a form is recognised (by its shape), and how it is read into ours. Ours are W (n_out, n_in), b (n_out,), X (examples, n_in) and Y (examples, n_out).
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
      parts: the array -> (our W, our b); b is None if it is not in this array.
    """

    name: str
    shape: Callable[[int, int], tuple[int, int]]
    parts: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


WEIGHTS = (
    Weights("out_in", lambda i, o: (o, i), lambda a: (a, None)),
    Weights("in_out", lambda i, o: (i, o), lambda a: (a.T, None)),
    Weights("out_in, bias first", lambda i, o: (o, i + 1), lambda a: (a[:, 1:], a[:, 0])),
    Weights("out_in, bias last", lambda i, o: (o, i + 1), lambda a: (a[:, :-1], a[:, -1])),
    Weights("in_out, bias first", lambda i, o: (i + 1, o), lambda a: (a[1:].T, a[0])),
    Weights("in_out, bias last", lambda i, o: (i + 1, o), lambda a: (a[:-1].T, a[-1])),
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
