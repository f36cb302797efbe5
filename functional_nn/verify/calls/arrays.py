"""Leaves of other people's trees, read as NumPy arrays and written back in their own kind."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

NUMBERS = (bool, int, float, np.number)


class Kind(NamedTuple):
    """One kind of leaf.

    Attributes:
      name: its name in messages.
      is_one: whether an object is of this kind.
      read: (object) -> a NumPy array.
      write: (array, the object that it replaces) -> an object of this kind.
    """

    name: str
    is_one: Callable[[Any], bool]
    read: Callable[[Any], np.ndarray]
    write: Callable[[np.ndarray, Any], Any]


def is_array(leaf: Any) -> bool:
    """Return whether `leaf` is an array of numbers; a random key is not."""
    return isinstance(leaf, np.ndarray) or (
        isinstance(leaf, jax.Array) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def is_float(leaf: Any) -> bool:
    """Return whether `leaf` is a number or an array of floats."""
    return isinstance(leaf, float) or (
        (is_array(leaf) or isinstance(leaf, np.generic)) and jnp.issubdtype(leaf.dtype, jnp.floating))


def in_float64(tree: Any) -> Any:
    """Return the tree with its floats in float64: in JAX where they were, else in NumPy."""
    def widened(leaf: Any) -> Any:
        if not is_float(leaf):
            return leaf
        return (jnp if isinstance(leaf, jax.Array) else np).asarray(leaf, dtype=np.float64)

    return jax.tree.map(widened, tree)


def by_path(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by their paths."""
    return {jax.tree_util.keystr(path): leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def is_real(leaf: Any) -> bool:
    """Return whether an array holds real numbers, of half precisions too."""
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _is_numbers(leaf: Any) -> bool:
    """Whether `leaf` is a list of numbers, or a list of equally long lists of numbers."""
    if not (isinstance(leaf, list) and leaf):
        return False
    if all(isinstance(each, NUMBERS) for each in leaf):
        return True
    rows = all(isinstance(each, list) and each and all(isinstance(one, NUMBERS) for one in each) for each in leaf)
    return rows and len({len(each) for each in leaf}) == 1


def _of_torch(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # NumPy has no such dtype of its own
        return tensor.float().numpy().astype(jnp.bfloat16)
    return tensor.numpy()


def _to_torch(array: np.ndarray, like: Any) -> Any:
    import torch  # it is there, since the user's leaf is one of its tensors

    return torch.as_tensor(np.array(array)).to(like.dtype)


def _is_torch(leaf: Any) -> bool:
    return type(leaf).__module__.split(".")[0] == "torch" and hasattr(leaf, "detach")


def is_value(leaf: Any) -> bool:
    """Return whether `leaf` is a number of a graph, such as micrograd's Value: data beside grad."""
    return (hasattr(leaf, "grad") and isinstance(getattr(leaf, "data", None), NUMBERS)
            and not isinstance(leaf, np.generic))


def slopes_of(tree: Any) -> Any:
    """Return the tree with the gradient of every number of a graph in its place."""
    return jax.tree.map(lambda leaf: leaf.grad if is_value(leaf) else leaf, tree, is_leaf=is_value)


def _native(array: Any) -> Any:
    """An array in the byte order of the machine, the only one that JAX has."""
    other = isinstance(array, np.ndarray) and not array.dtype.isnative
    return array.astype(array.dtype.newbyteorder("=")) if other else array


def _to_number(array: Any, like: Any) -> Any:
    """A number of the kind it was; a traced one stays traced."""
    return array if isinstance(array, jax.Array) else type(like)(array) if isinstance(like, int) else float(array)


def _listed(array: Any) -> Any:
    """An array as nested lists; a traced one as lists of traced numbers."""
    if not isinstance(array, jax.Array):
        return np.asarray(array).tolist()
    return [_listed(row) if row.ndim else row for row in array]


KINDS = (
    Kind("matrix", lambda leaf: isinstance(leaf, np.matrix), np.asarray, lambda array, like: np.asmatrix(np.asarray(array))),
    Kind("torch tensor", _is_torch, _of_torch, _to_torch),
    Kind("tensor", lambda leaf: callable(getattr(leaf, "numpy", None)), lambda leaf: np.asarray(leaf.numpy()),
         lambda array, like: array),
    Kind("number of a graph", is_value, lambda leaf: np.asarray(leaf.data, np.float64),
         lambda array, like: type(like)(float(array))),
    Kind("list of numbers", _is_numbers, np.asarray, lambda array, like: _listed(array)),
    Kind("number", lambda leaf: isinstance(leaf, NUMBERS), np.asarray, _to_number),
    Kind("array", is_array, lambda leaf: _native(leaf), lambda array, like: array),
)


def kind_of(leaf: Any) -> Kind | None:
    """Return the kind of a leaf; None for what holds no numbers.

    >>> kind_of([[1.0, 2.0]]).name, kind_of(np.ones(2)).name, kind_of("relu")
    ('list of numbers', 'array', None)
    """
    return next((kind for kind in KINDS if kind.is_one(leaf)), None)


def _foreign(leaf: Any) -> bool:
    return any(kind.is_one(leaf) for kind in KINDS[:5])


def plain(tree: Any) -> Any:
    """Return the tree with every leaf that holds numbers read as an array; keys keep their order.

    >>> plain({"w": [1.0, 2.0], "name": "relu"})
    {'w': array([1., 2.]), 'name': 'relu'}
    """
    if type(tree) is dict:
        return {key: plain(value) for key, value in tree.items()}
    if type(tree) in (list, tuple) and not _foreign(tree):
        return type(tree)(map(plain, tree))
    return jax.tree.map(lambda leaf: leaf if (kind := kind_of(leaf)) is None else kind.read(leaf), tree, is_leaf=_foreign)


def writer(tree: Any) -> Callable[[Any], Any]:
    """Return the function that writes a tree of arrays back in the kinds and the order of this tree.

    >>> writer({"w": [1.0, 2.0], "b": 0.5})({"b": np.array(1.0), "w": np.array([3.0, 4.0])})
    {'w': [3.0, 4.0], 'b': 1.0}
    """
    def written(like: Any, arrays: Any) -> Any:
        if type(like) is dict:
            return {key: written(value, arrays[key]) for key, value in like.items()}
        if type(like) in (list, tuple) and not _foreign(like):
            return type(like)(written(one, other) for one, other in zip(like, arrays, strict=True))
        likes, structure = jax.tree.flatten(like, is_leaf=_foreign)
        return structure.unflatten([leaf if (kind := kind_of(one)) is None else kind.write(leaf, one)
                                    for one, leaf in zip(likes, structure.flatten_up_to(arrays), strict=True)])

    return lambda arrays: written(tree, arrays)
