"""A gradient beside its parameters: which leaf of the one belongs to which leaf of the other."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nn.verify.calls.arrays import is_real
from functional_nn.verify.calls.names import matched, simplified

HELD = ("grads", "grad", "gradients", "gradient")  # names under which a result may hold its gradient


class Answer(NamedTuple):
    """What a function under test returned.

    Attributes:
      value: the cost or f that came with the gradient; None if the gradient came alone.
      gradient: the gradient's tree, its leaves arrays.
    """

    value: float | None
    gradient: Any


class Pairs(NamedTuple):
    """The leaves of a gradient.

    Attributes:
      found: from a parameter's path to its gradient.
      missing: the parameters' paths that have no gradient.
      extra: the paths of the gradient that are no parameter's.
    """

    found: dict[str, Any]
    missing: list[str]
    extra: list[str]


def answer(result: Any, params: Any) -> Answer:
    """Split the result of a function into a value and a gradient of `params`.

    The result may be the gradient, alone or with one number before or after it; its leaves may be
    what follows the number; it may be held under a name of `HELD`; and a second derivative may
    follow it. The first of these readings is taken in which every parameter has its gradient.

    >>> answer((0.5, [np.ones(2)]), [np.zeros(2)]).value
    0.5
    """
    readings = [*_readings(result)]
    for same in (True, False):  # first those in which the shapes agree too
        for value, gradient in readings:
            found = pairs(params, gradient)
            if not found.missing and (not same or _same_shapes(params, found)):
                return Answer(value, gradient)
    return Answer(*readings[-1])


def _readings(result: Any) -> Iterator[tuple[float | None, Any]]:
    """The ways to read a result as (value, gradient); the last holds if none fits the parameters."""
    yield None, result
    if isinstance(result, Mapping):
        held = [key for key in result if simplified(key) in HELD]
        numbers = [_number(value) for key, value in result.items() if key not in held and _is_value(value)]
        if len(held) == 1:
            yield numbers[0] if len(numbers) == 1 else None, result[held[0]]
    elif isinstance(result, tuple | list) and len(result) == 1:
        yield None, result[0]
    elif isinstance(result, tuple | list) and len(result) > 1:
        if _is_value(result[0]):
            yield _number(result[0]), result[1]
            yield _number(result[0]), tuple(result[1:])
            yield _number(result[0]), tuple(result[1:-1])  # Karpathy's, with the last state behind
        elif _is_value(result[-1]):
            yield _number(result[-1]), result[0]
            yield _number(result[-1]), tuple(result[:-1])
        yield None, result[0]
    if isinstance(result, tuple) and len(result) == 2 and _is_value(result[0]) and np.ndim(result[0]) == 0:
        yield _number(result[0]), result[1]
    else:
        yield None, result


def _is_value(part: Any) -> bool:
    """Whether a part of a result may be one number; an array (1, 1) may be one too."""
    return _is_leaf(part) and not isinstance(part, str) and np.size(part) == 1


def _same_shapes(params: Any, found: "Pairs") -> bool:
    return all(np.shape(found.found[jax.tree_util.keystr(path)]) == np.shape(leaf)
               for path, leaf in jax.tree_util.tree_leaves_with_path(params))


def _number(value: Any) -> float | None:
    try:
        return float(np.asarray(value, dtype=np.float64).reshape(()))
    except (TypeError, ValueError):
        return None


def pairs(params: Any, gradient: Any) -> Pairs:
    """Return which leaf of `gradient` is that of which leaf of `params`; both hold arrays.

    Keys go together by `names.belongs`. A list of leaves goes with a dictionary in its order, if
    the shapes fit.

    >>> found = pairs({"W1": np.ones(2)}, {"dW1": np.zeros(2), "dZ1": np.zeros(3)})
    >>> list(found.found), found.extra
    (["['W1']"], ["['dZ1']"])
    """
    found: dict[str, Any] = {}
    extra: list[str] = []
    _walk(params, gradient, (), (), found, extra)
    wanted = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    return Pairs(found, [path for path in wanted if path not in found], extra)


def _walk(like: Any, given: Any, path: tuple, theirs: tuple, found: dict, extra: list) -> None:
    if jax.tree.structure(like) == jax.tree.structure(given):
        for (key, _), leaf in zip(jax.tree_util.tree_leaves_with_path(like), jax.tree.leaves(given), strict=True):
            found[jax.tree_util.keystr((*path, *key))] = leaf
    elif _is_leaf(like):
        array = _as_array(given)
        if array is None:
            extra += _paths(given, theirs)
        else:
            found[jax.tree_util.keystr(path)] = array
    elif isinstance(like, Mapping) and isinstance(given, Mapping):
        names = matched(list(given), list(like))
        for own, key in names.items():
            _walk(like[own], given[key], (*path, jax.tree_util.DictKey(own)), (*theirs, jax.tree_util.DictKey(key)), found, extra)
        for key in given:
            if key not in names.values():
                extra += _paths(given[key], (*theirs, jax.tree_util.DictKey(key)))
    elif isinstance(like, list | tuple) and isinstance(given, list | tuple) and len(like) != len(given):
        for i, (own, part) in enumerate(zip(like, given, strict=False)):
            _walk(own, part, (*path, jax.tree_util.SequenceKey(i)), (*theirs, jax.tree_util.SequenceKey(i)), found, extra)
        for i in range(len(like), len(given)):
            extra += _paths(given[i], (*theirs, jax.tree_util.SequenceKey(i)))
    elif isinstance(like, list | tuple | Mapping) and (parts := _in_order(like, given)) is not None:
        keyed = [(jax.tree_util.DictKey(key), value) for key, value in like.items()] if isinstance(like, Mapping) else [
            (jax.tree_util.SequenceKey(i), value) for i, value in enumerate(like)]
        for i, ((key, own), part) in enumerate(zip(keyed, parts, strict=True)):
            _walk(own, part, (*path, key), (*theirs, jax.tree_util.SequenceKey(i)), found, extra)
    else:
        extra += _paths(given, theirs)


def _is_leaf(tree: Any) -> bool:
    leaves = jax.tree.leaves(tree)
    return len(leaves) == 1 and leaves[0] is tree


def _as_array(given: Any) -> Any:
    """`given` as one array, if it is one or a list of equal ones; else None."""
    if _is_leaf(given):
        return given
    if isinstance(given, list | tuple):
        try:
            array = np.asarray([np.asarray(each) for each in given])
        except ValueError:
            return None
        return array if is_real(array) and array.size else None
    return None


def _in_order(like: Any, given: Any) -> list | None:
    """The parts of `given`, one for each part of `like`, if their order says which is which."""
    parts = list(like.values()) if isinstance(like, Mapping) else list(like)
    if isinstance(given, list | tuple) and len(given) == len(parts):
        if not isinstance(like, Mapping):
            return list(given)
        shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (parts, list(given))]
        return list(given) if shapes[0] == shapes[1] else None
    if _is_leaf(given) and np.ndim(given) and len(given) == len(parts) and all(
            _shape(part) == np.shape(given)[1:] for part in parts):
        return list(given)
    return None


def _shape(tree: Any) -> tuple[int, ...] | None:
    """The shape of an array, or of a list of equal arrays; None if there is none."""
    if _is_leaf(tree):
        return np.shape(tree)
    inner = {_shape(part) for part in tree} if isinstance(tree, list | tuple) else {None}
    return None if None in inner or len(inner) != 1 else (len(tree), *inner.pop())


def _paths(tree: Any, path: tuple) -> Iterator[str]:
    for key, _ in jax.tree_util.tree_leaves_with_path(tree):
        yield jax.tree_util.keystr((*path, *key))
