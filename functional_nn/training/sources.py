"""Where the examples come from: arrays that live on the device, or a stream that is put there a chunk at a time."""

import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.data import Stream, epoch_indices

__all__ = ["Arrays", "Piece", "Streamed", "examples"]


BLOCK = 65_536  # targets held against the network at once


class Piece(NamedTuple):
    """Steps that one compiled call can take: rows[i], rows of the examples (X, Y[, W]), are those of step `before` + i."""

    before: int
    rows: jax.Array
    examples: tuple


_indices = jax.jit(lambda key, n, size, shuffle: epoch_indices(key, n, size, shuffle=shuffle), static_argnums=(1, 2, 3))


@dataclass(frozen=True, eq=False)
class Arrays:
    """X, Y and the weights W, if any."""

    examples: tuple

    def __len__(self) -> int:
        return len(self.examples[0])

    def on_device(self) -> "Arrays":
        """The same, there once and for all."""
        return Arrays(tuple(map(jnp.asarray, self.examples)))

    def some(self, count: int) -> tuple:
        """X and Y of about `count` rows, evenly apart."""
        rows = np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)
        return tuple(array[rows] for array in self.examples[:2])

    def epoch(self, key, size: int, shuffle: bool) -> Iterator[Piece]:
        """The whole batches, and then the smaller one of what is left over."""
        full, rest = _indices(key, len(self), size, shuffle)
        yield Piece(0, full, self.examples)
        if len(rest):
            yield Piece(len(full), rest[None], self.examples)


@dataclass(frozen=True, eq=False)
class Streamed:
    """A `Stream`, whose chunks hold whole batches in the order of the epoch."""

    stream: Stream

    def on_device(self) -> "Streamed":
        """Its chunks go there when their turn comes."""
        return self

    def __len__(self) -> int:
        return len(self.stream)

    def some(self, count: int) -> tuple:
        """X and Y of about `count` rows, evenly apart."""
        return tuple(map(jnp.asarray, self.stream.read(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int))))

    def targets(self) -> Iterator[np.ndarray]:
        """All of Y, a block at a time."""
        for start in range(0, len(self), BLOCK):
            yield np.asarray(self.stream.Y[start:start + BLOCK])

    def epoch(self, key, size: int, shuffle: bool) -> Iterator[Piece]:
        """A piece a chunk."""
        before = 0
        for X, Y in self.stream.chunks(key, size, shuffle=shuffle):
            steps, batch = X.shape[:2]
            rows = jnp.arange(steps * batch).reshape(steps, batch)
            yield Piece(before, rows, tuple(array.reshape(steps * batch, *array.shape[2:]) for array in (X, Y)))
            before += steps


def examples(data, validation, sample_weights, class_weights, key) -> tuple[Arrays | Streamed, tuple | None]:
    """What is learnt from, and the pair (X, Y) to validate on, if any; both yet to be held against the network.

    Weights are scaled to a mean of 1. Raises a TypeError or ValueError that names the argument at fault.
    """
    share = validation if isinstance(validation, numbers.Real) else None
    validation = None if validation is None or share is not None else _pair("validation", validation)
    if isinstance(data, Stream):
        for name, given in {"sample_weights": sample_weights, "class_weights": class_weights, "validation": share}.items():
            if given is not None:
                wanted = "must be a pair (X, Y)" if name == "validation" else "must be left out"
                raise ValueError(f"{name} {wanted} where data is a stream, got {given!r}")
        return Streamed(data), validation
    X, Y = _pair("data", data)
    Y = Y if hasattr(Y, "dtype") else np.asarray(Y)
    asked = any(given is not None for given in (share, sample_weights, class_weights))
    if asked and Y.shape[:1] != X.shape[:1]:
        raise ValueError(f"Y must have one target for each of the {len(X)} examples of X, got shape {Y.shape}")
    weights = _weights(Y, len(X), sample_weights, class_weights)
    if share is not None:
        (X, Y, weights), validation = _held_out(key, share, X, Y, weights)
    return Arrays((X, Y) if weights is None else (X, Y, weights / jnp.mean(weights))), validation


def _pair(argument: str, data) -> tuple[jax.Array, Any]:
    """`data` as (X, Y), X floats on the device; a TypeError for anything else."""
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(f"{argument} must be a pair (X, Y) of arrays, got {type(data).__name__}; write ({argument}.x_train, "
                        f"{argument}.y_train) for a data set")
    X, Y = data
    return checks.floating("X", X), Y


def _held_out(key, share: float, X, Y, weights) -> tuple:
    """((X, Y, weights) to learn from, (X, Y) to validate on): that share of the rows, every class in both in its share."""
    checks.number("validation", share, low=np.nextafter(0, 1), high=np.nextafter(1, 0),
                  wanted="a pair (X, Y), or the share of the examples to keep for it, between 0 and 1")
    from sklearn.model_selection import train_test_split  # takes two seconds to import, which `import functional_nn` need not

    labels = np.asarray(Y)
    classes = labels.ndim == 1 and labels.dtype.kind in "iub"
    seed = int(jax.random.bits(key))
    try:
        rows, kept = train_test_split(np.arange(len(labels)), test_size=float(share), random_state=seed,
                                      stratify=labels if classes else None)
    except ValueError as error:
        raise ValueError(f"validation={share} leaves too few of {len(labels)} examples on one side: {error}") from error
    return (X[rows], labels[rows], None if weights is None else weights[rows]), (X[kept], labels[kept])


def _weights(Y, n: int, sample_weights, class_weights) -> jax.Array | None:
    """The weight of every example, (n,): its own times its class's; None where neither is given."""
    weights = None if sample_weights is None else checks.sample_weights("sample_weights", sample_weights, n)
    if class_weights is None:
        return weights
    labels = np.asarray(Y)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(f"class_weights needs Y to hold integer classes, shape ({n},), got {labels.dtype} of shape "
                         f"{labels.shape}; use sample_weights")
    by_class = jnp.asarray(_by_class(labels, class_weights)[labels])
    return by_class if weights is None else weights * by_class.astype(weights.dtype)


def _by_class(labels: np.ndarray, class_weights) -> np.ndarray:
    """Class -> weight, as float32: n / (classes · examples of the class) where "balanced"."""
    by_class = np.ones(labels.max() + 1, np.float32)
    if isinstance(class_weights, str):
        from sklearn.utils.class_weight import compute_class_weight  # takes two seconds to import

        checks.one_of("class_weights", class_weights, {"balanced": None})
        there = np.unique(labels)
        by_class[there] = compute_class_weight(class_weights, classes=there, y=labels)
        return by_class
    if not isinstance(class_weights, Mapping):
        raise TypeError(f"class_weights must be 'balanced' or a mapping from class to weight, got {class_weights!r}")
    for label, weight in class_weights.items():
        checks.integer("a class of class_weights", label, low=0)
        checks.number(f"class_weights[{label}]", weight, low=0, high=float(np.finfo(np.float32).max),
                      wanted="a finite number of at least 0")
        if label < len(by_class):
            by_class[label] = weight
    if not by_class[labels].any():
        raise ValueError(f"class_weights must leave some example a weight above 0, got {dict(class_weights)}")
    return by_class
