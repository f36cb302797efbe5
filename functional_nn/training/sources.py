"""The examples of a run: arrays on the device, or a stream that goes there chunk by chunk."""

import functools
import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.data import Stream
from functional_nn.data.batches import random_order
from functional_nn.data.shuffled import shuffled_split
from functional_nn.losses import Loss
from functional_nn.training.room import padded, room

__all__ = ["Arrays", "Piece", "Streamed", "check_ranges", "examples"]


BLOCK = 65_536  # the targets of a stream are checked in blocks of so many
ROOMY = 2**24  # bytes of examples up to which room is left, so that programs are shared


class Piece(NamedTuple):
    """Consecutive steps of an epoch that one compiled call can take.

    Attributes:
      before: the number of the epoch's steps before this piece.
      rows: (at least `steps`, batch), integers; rows[i] are the indices of the mini-batch of step
        `before` + i in the arrays `examples`.
      count: the number of examples in each mini-batch, of which the first so many indices of
        rows[i] are; None if all are.
      examples: the arrays (X, Y), or (X, Y, W) with the weights W of the examples.
      steps: the number of steps; the rows after them are not used.
    """

    before: int
    rows: jax.Array
    count: int | None
    examples: tuple
    steps: int


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _batches(
    key, n: int, size: int, shuffle: bool, whole: int
) -> tuple[jax.Array, jax.Array]:
    """The full batches of an epoch, (whole // size, size), and the smaller one of the rest.

    The examples are the first `n` of `whole` rows. The full batches after the first n // size are
    not used. The rest, (1, size), is filled up with the first of its own examples, so that a loss
    that overflows is one of its own.
    """
    order = random_order(key, n, whole) if shuffle else jnp.arange(whole)
    rest = jax.lax.dynamic_slice(jnp.pad(order, (0, size)), (n - n % size,), (size,))
    rest = jnp.where(jnp.arange(size) < n % size, rest, rest[0])
    return order[:whole // size * size].reshape(-1, size), rest[None]


@dataclass(frozen=True, eq=False)
class Arrays:
    """Examples in arrays.

    Attributes:
      examples: (X, Y), or (X, Y, W) with the weights W (n,) of the examples.
      taken: the same arrays as the steps take them: on the device, with `room` for more rows if
        they are not large.
    """

    examples: tuple
    taken: tuple = ()

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.examples[0])

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of X."""
        return self.examples[0].dtype

    def on_device(self) -> "Arrays":
        """The same examples as JAX arrays on the device."""
        examples = tuple(map(checks.as_jax, "XYW", self.examples))
        small = sum(array.nbytes for array in examples) <= ROOMY
        return Arrays(examples, tuple(padded(array, room(len(self))) for array in examples)
                      if small else examples)

    def some(self, count: int) -> tuple:
        """X and Y of `count` evenly spaced rows, or of all rows if there are fewer."""
        rows = np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)
        return tuple(np.asarray(array)[rows] for array in self.examples[:2])

    def epoch(self, key, size: int, shuffle: bool, pads: bool) -> Iterator[Piece]:
        """One epoch: a piece with the full batches, then one with the smaller batch of the rest.

        Args:
          key: a typed key, a new one for each epoch.
          size: the batch size.
          shuffle: whether to permute the examples.
          pads: whether the steps take weights, so that indices of weight 0 may fill up the rest.
        """
        steps, left = divmod(len(self), size)
        full, rest = _batches(key, len(self), size, shuffle, len(self.taken[0]))
        weighted = len(self.taken) == 3  # such runs have one program for both pieces
        yield Piece(0, full, size if weighted else None, self.taken, steps)
        if left and pads:
            yield Piece(steps, rest, left, self.taken, 1)
        elif left:
            yield Piece(steps, rest[:, :left], None, self.taken, 1)


@dataclass(frozen=True, eq=False)
class Streamed:
    """Examples in a `Stream`, whose chunks consist of whole batches in the epoch's order.

    Attributes:
      stream: the stream.
    """

    stream: Stream

    def on_device(self) -> "Streamed":
        """The same object: each chunk goes to the device when its steps are due."""
        return self

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.stream)

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of X."""
        return self.some(1)[0].dtype

    def some(self, count: int) -> tuple:
        """X and Y of `count` evenly spaced rows, or of all rows if there are fewer.

        Raises a ValueError for a feature whose values cannot be told apart once they are rounded.
        """
        rows = np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)
        X, Y = self.stream.read(rows)
        read = X if self.stream.transform is not None else self.stream.X[rows]
        X = checks.as_jax("X", X)
        checks.told_apart("X", checks.taken("X", read), X.dtype)
        return X, checks.as_jax("Y", Y)

    def targets(self) -> Iterator[np.ndarray]:
        """All targets Y, in blocks of at most `BLOCK` rows."""
        for start in range(0, len(self), BLOCK):
            yield np.asarray(self.stream.Y[start:start + BLOCK])

    def epoch(self, key, size: int, shuffle: bool, pads: bool) -> Iterator[Piece]:
        """One epoch: a piece for each chunk of the stream; the arguments are those of `Arrays`."""
        before = 0
        for X, Y in self.stream.chunks(key, size, shuffle=shuffle):
            steps, batch = X.shape[:2]
            rows = jnp.arange(steps * batch).reshape(steps, batch)
            yield Piece(before, rows, None, tuple(
                array.reshape(steps * batch, *array.shape[2:]) for array in (X, Y)), steps)
            before += steps


def examples(
    data, validation, sample_weights, class_weights, key, *, regression: bool = False
) -> tuple[Arrays | Streamed, tuple | None]:
    """The training examples and the validation data of a run.

    Neither is checked against the network yet. Weights are scaled to a mean of 1.

    Args:
      data, validation, sample_weights, class_weights: as for `fit`.
      key: a typed key for the random choice of a share of the examples for validation.
      regression: whether integer targets are values; else they are classes, and each class keeps
        its share among the validation examples.

    Returns `(source, validation)`; the second is a pair (X, Y), or None. Raises a TypeError or
    ValueError that names the wrong argument.
    """
    share = validation if isinstance(validation, numbers.Real) else None
    validation = (None if validation is None or share is not None
                  else _pair("validation", validation))
    if isinstance(data, Stream):
        for name, given in {"sample_weights": sample_weights, "class_weights": class_weights,
                            "validation": share}.items():
            if given is not None:
                wanted = "must be a pair (X, Y)" if name == "validation" else "must be left out"
                raise ValueError(f"{name} {wanted} where data is a stream, got {given!r}")
        return Streamed(data), validation
    X, Y = _pair("data", data)
    asked = any(given is not None for given in (share, sample_weights, class_weights))
    if asked and Y.shape[:1] != X.shape[:1]:
        raise ValueError(
            f"Y must have one target for each of the {len(X)} examples of X, got shape {Y.shape}")
    weights = _weights(Y, len(X), X.dtype, sample_weights, class_weights)
    if share is not None:
        (X, Y, weights), validation = _held_out(key, share, X, Y, weights, regression)
    return Arrays((X, Y) if weights is None else (X, Y, weights / weights.mean())), validation


def check_ranges(loss: Loss, source: Arrays | Streamed, validation: tuple | None) -> None:
    """Raise a ValueError for a target of the run that is not of the kind that the loss takes."""
    for Y in source.targets() if isinstance(source, Streamed) else [source.examples[1]]:
        loss.check_range("Y", checks.real("Y", Y))
    if validation is not None:
        try:
            loss.check_range("Y", validation[1])
        except ValueError as error:
            raise ValueError(f"in validation: {error}") from error


def _pair(argument: str, data) -> tuple[jax.Array, Any]:
    """`data` as (X, Y), with X as a JAX array of floats.

    Raises a TypeError for anything but a pair, and for an X that does not hold real floats.
    """
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(
            f"{argument} must be a pair (X, Y) of arrays, got {type(data).__name__}; write "
            f"({argument}.x_train, {argument}.y_train) for a data set")
    X, Y = data
    taken = checks.features if argument == "data" else checks.floating
    return taken("X", X), checks.real("Y", Y)


def _held_out(key, share: float, X, Y, weights, regression: bool) -> tuple:
    """The examples, split at random: ((X, Y, weights) for training, (X, Y) for validation).

    The second part holds `share` of the rows. Integer classes keep their shares in both parts.
    """
    checks.number("validation", share, low=np.nextafter(0, 1), high=np.nextafter(1, 0),
                  wanted="a pair (X, Y), or the share of the examples to keep for it, "
                         "between 0 and 1")
    X, labels = np.asarray(X), np.asarray(Y)  # on the host, where nothing is compiled
    classes = labels.ndim == 1 and labels.dtype.kind in "iub" and not regression
    seed = int(jax.random.bits(key, dtype=jnp.uint32))  # whatever the mode, 32 bits
    try:
        rows, kept = shuffled_split(len(labels), float(share), seed, labels if classes else None)
    except ValueError as error:
        raise checks.advice(
            f"{{validation}} leaves too few of {len(labels)} examples on one side to have every "
            "class on both; give a larger or a smaller share, or 0 for none" if classes else
            f"{{validation}} leaves too few of {len(labels)} examples on one side",
            validation=share) from error
    return ((X[rows], labels[rows], None if weights is None else weights[rows]),
            (X[kept], labels[kept]))


def _weights(Y, n: int, dtype, sample_weights, class_weights) -> np.ndarray | None:
    """The weight of each example, (n,): its own times that of its class; None without weights.

    They are known up to a factor, and their largest is between ½ and 1.
    """
    weights = np.ones(n) if sample_weights is None else np.asarray(
        checks.sample_weights("sample_weights", sample_weights, n), np.float64)
    if class_weights is not None:
        weights = checks.bounded(weights) * _of_classes(np.asarray(Y), n, class_weights)
        if not weights.any():
            raise ValueError(
                "class_weights must leave some example a weight above 0, got "
                f"{dict(class_weights)}")
    elif sample_weights is None:
        return None
    return checks.bounded(weights).astype(dtype)


def _of_classes(labels: np.ndarray, n: int, class_weights) -> np.ndarray:
    """The weight of the class of each label, (n,), as float32 holds it, in float64.

    "balanced" gives n / (number of classes · examples of the class). A class that the mapping
    `class_weights` does not name has weight 1.
    """
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"class_weights needs Y to hold integer classes, shape ({n},), got {labels.dtype} of "
            f"shape {labels.shape}; use sample_weights")
    classes, places = np.unique(labels, return_inverse=True)
    if isinstance(class_weights, str):
        # here: `import functional_nn` should not take 2 s longer
        from sklearn.utils.class_weight import compute_class_weight

        checks.one_of("class_weights", class_weights, {"balanced": None})
        by_class = compute_class_weight(class_weights, classes=classes, y=labels)
        return by_class.astype(np.float32).astype(np.float64)[places]
    if not isinstance(class_weights, Mapping):
        raise TypeError(
            "class_weights must be 'balanced' or a mapping from class to weight, got "
            f"{class_weights!r}")
    for label, weight in class_weights.items():
        checks.integer("a class of class_weights", label, low=0)
        checks.number(f"class_weights[{label}]", weight,
                      low=0, high=float(np.finfo(np.float32).max),
                      wanted="a finite number of at least 0")
    by_class = np.array([class_weights.get(int(label), 1) for label in classes], np.float32)
    return by_class.astype(np.float64)[places]
