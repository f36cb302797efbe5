"""Conversion of the leaves of a state to arrays on the host, and back to a pytree."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks

NUMBERS = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}


class Leaf(NamedTuple):
    """One leaf of a state.

    Attributes:
      name: its path in the state, such as `state[0]['w']`.
      kind: its dtype, such as `float32` or `key<fry>`, or its Python type, such as `Python int`.
      shape: its shape; that of a key array does not count the words of a key.
      values: its values, a contiguous array; for a key array its data.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    values: np.ndarray

    @property
    def bytes(self) -> np.ndarray:
        """The bytes of the values, uint8 (n,), without a copy."""
        return self.values.reshape(-1).view(np.uint8)


def snapshot(state: Any) -> list[Leaf]:
    """A copy of every leaf of `state` on the host, which later changes of `state` do not affect.

    Args:
      state: a pytree of arrays, typed keys and numbers. Its buffers may be donated afterwards.

    Raises:
      TypeError: a leaf is neither an array of numbers nor a key nor a number.
      ValueError: an array was donated before, or is spread over several hosts; or an integer does
        not fit 64 bits.

    >>> state = ({"w": jnp.ones((2, 3))}, 7, None, jax.random.key(0))
    >>> for leaf in snapshot(state):
    ...     print(leaf.name, leaf.kind, leaf.shape)
    state[0]['w'] float32 (2, 3)
    state[1] Python int ()
    state[3] key<fry> ()
    """
    named = [(*described(name, leaf), leaf) for name, leaf in flat("state", state).items()]
    for name, _, _, leaf in named:
        _present(name, leaf)
    arrays = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for *_, leaf in named]
    for array in arrays:
        if isinstance(array, jax.Array):
            array.copy_to_host_async()
    return [Leaf(name, kind, shape, _native(name, array))
            for (name, kind, shape, _), array in zip(named, arrays, strict=True)]


def flat(argument: str, tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by their paths, such as `state[0]['w']`.

    Args:
      argument: the first word of every path.
      tree: any pytree.

    Raises a ValueError if two leaves have the same path.

    >>> flat("state", ({"w": 1.0, "b": 2.0}, 3))
    {"state[0]['b']": 2.0, "state[0]['w']": 1.0, 'state[1]': 3}
    """
    pairs = jax.tree_util.tree_leaves_with_path(tree)
    named = {argument + jax.tree_util.keystr(path): leaf for path, leaf in pairs}
    if len(named) != len(pairs):
        raise ValueError(f"{argument} must name each leaf differently, got {len(pairs)} leaves and "
                         f"{len(named)} names; register its nodes with "
                         "jax.tree_util.register_pytree_with_keys")
    return named


def described(name: str, leaf: Any) -> tuple[str, str, tuple[int, ...]]:
    """The name, kind and shape of a leaf, as `Leaf` has them.

    Raises a TypeError if it is neither a concrete array of numbers nor a key nor a number.

    >>> described("state", jnp.zeros(3))
    ('state', 'float32', (3,))
    """
    if type(leaf) in NUMBERS:
        return name, f"Python {type(leaf).__name__}", ()
    if _is_key(leaf):
        return name, str(leaf.dtype), leaf.shape
    is_array = isinstance(leaf, jax.Array | np.ndarray | np.generic) and checks.is_concrete(leaf)
    if is_array and (jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool):
        return name, leaf.dtype.name, leaf.shape
    got = f"an array of {leaf.dtype}" if is_array else type(leaf).__name__
    raise TypeError(f"{name} must be an array of numbers, a key or a number, got {got}; "
                    "save outside jit, and put text into record")


def _is_key(leaf: Any) -> bool:
    return (isinstance(leaf, jax.Array) and checks.is_concrete(leaf)
            and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _present(name: str, leaf: Any) -> None:
    """Raise a ValueError if the values of a JAX array are not on this host's devices."""
    if not isinstance(leaf, jax.Array):
        return
    if leaf.is_deleted():
        raise ValueError(f"{name} must still be there, got an array that was donated; "
                         "save what the step returned")
    if not leaf.is_fully_addressable:
        raise ValueError(f"{name} must lie on this host's devices, got one spread over several "
                         "hosts; replicate it first")


def _native(name: str, array: Any) -> np.ndarray:
    """A copy of an array on the host, in C order and native byte order."""
    try:
        values = np.array(array, NUMBERS.get(type(array)), order="C", copy=True)
    except OverflowError:
        raise ValueError(f"{name} must fit 64 bits, got the integer {array}; "
                         "put it into record") from None
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def rebuilt(file: str, found: Mapping[str, tuple[str, tuple[int, ...], bytes]], like: Any) -> Any:
    """A pytree with the structure of `like` and the values of `found`.

    Args:
      file: the file that `found` was read from, for the error message.
      found: name of a leaf -> (kind, shape, bytes).
      like: the structure; each leaf of the result has the type, dtype, shape and devices of its
        leaf in `like`.

    Raises a ValueError if the leaves of `found` and `like` differ, or a leaf has another number of
    bytes than its shape takes. It names the first such leaf, with what is on both sides.
    """
    wanted = flat("state", like)
    fix = "make `like` as the saved run made its state"
    for name in [*(name for name in found if name not in wanted), *wanted]:
        has = _worded(*found[name][:2]) if name in found else "nothing"
        wants = _worded(*described(name, wanted[name])[1:]) if name in wanted else "nothing"
        if has != wants:
            raise ValueError(f"like must be a state such as {file} holds: {name} is {has} there, "
                             f"got {wants}; {fix}")
    return jax.tree.unflatten(jax.tree.structure(like), [
        _alike(leaf, _values(f"{file}: {name}", leaf, found[name][2]))
        for name, leaf in wanted.items()])


def _values(name: str, like: Any, data: bytes) -> np.ndarray:
    """The array of which `data` are the bytes, of the dtype and shape that `like` is saved with."""
    kept = (NUMBERS[type(like)]() if type(like) in NUMBERS
            else jax.eval_shape(jax.random.key_data, like) if _is_key(like) else like)
    dtype, shape = np.dtype(kept.dtype).newbyteorder("="), kept.shape
    if len(data) != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{name} must have {dtype.itemsize * math.prod(shape):,} bytes, got "
                         f"{len(data):,}; the file was not written by these checkpoints")
    return np.frombuffer(data, dtype).reshape(shape)


def _worded(kind: str, shape: tuple[int, ...]) -> str:
    """The kind and shape of a leaf in words, for an error message."""
    return kind if kind.startswith("Python") else f"{kind} of shape {shape}"


def _alike(like: Any, values: np.ndarray) -> Any:
    """`values` as an array, key or number with the type, dtype and devices of `like`."""
    if type(like) in NUMBERS:
        return values.item()
    if isinstance(like, np.ndarray | np.generic):
        own = values.astype(like.dtype)
        return own if isinstance(like, np.ndarray) else own[()]
    if _is_key(like):
        array = jax.random.wrap_key_data(jnp.array(values), impl=jax.random.key_impl(like))
    else:
        with jax.enable_x64(True):  # otherwise float64 would become float32
            array = jnp.array(values)
            if like.weak_type:
                array = jnp.zeros_like(like).at[...].set(array)
    return jax.device_put(array, like.sharding) if like.committed else array
