"""Functions that remember the call that made them.

Schedules, optimisers, penalties and stopping rules are functions that other functions make. Python
cannot pickle such a function, cannot tell that two of them are equal, and cannot change a number
inside of it. A function decorated with `recipe` returns `Made` functions instead, which

- are equal where their calls are equal, so that equal optimisers share what is compiled;
- can be pickled and copied: the call is stored, and made again;
- are pytrees whose leaves are the numbers that may be swept, such as a learning rate. A compiled
  function takes these numbers as arguments, so another number needs no compilation.

>>> @recipe("rate")
... def line(rate, shift=0.0):
...     return lambda x: rate * x + shift
>>> line(2.0)(3.0), line(2.0) == line(2.0), line(2.0) == line(4.0)
(6.0, True, False)
>>> structure, numbers = split(line(2.0))
>>> numbers, join(structure, [5.0])(3.0), structure == split(line(7.0))[0]
((2.0,), 15.0, True)
"""

import copyreg
import dataclasses
import functools
import inspect
import numbers as kinds
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

__all__ = ["Call", "Made", "by_name", "canonical", "is_made", "join", "recipe", "split"]


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A call of a function decorated with `recipe`, without the values that may be swept.

    Attributes:
      make: the decorated function.
      part: the attribute of its result that is meant; None for the result itself.
      fixed: the arguments that stay as they are, (name, value) pairs.
      swept: the names of the other arguments.
    """

    make: Callable
    part: str | None
    fixed: tuple[tuple[str, Any], ...]
    swept: tuple[str, ...]

    def __call__(self, values: Sequence) -> Any:
        """The part of the result of the call with the swept arguments `values`."""
        arguments = dict(self.fixed) | dict(zip(self.swept, values, strict=True))
        bound = inspect.BoundArguments(inspect.signature(self.make), arguments)
        made = self.make.__wrapped__(*bound.args, **bound.kwargs)
        return made if self.part is None else getattr(made, self.part)

    def __hash__(self) -> int:
        return _hash((self.make, self.part, self.fixed), self)

    def __eq__(self, other: Any) -> bool:
        return self is other or (isinstance(other, Call) and _equal(
            (self.make, self.part, self.fixed), (other.make, other.part, other.fixed)))


class Made:
    """A function, with the call that made it.

    Attributes:
      call: the call.
      values: the values of its arguments that may be swept.
    """

    def __init__(self, call: Call, values: Sequence, function: Callable | None = None):
        self.call, self.values, self._function = call, tuple(values), function

    @property
    def __wrapped__(self) -> Callable:
        """The function itself, whose source and signature `inspect` finds."""
        if self._function is None:
            self._function = self.call(self.values)
        return self._function

    @property
    def __name__(self) -> str:
        return self.call.part or self.call.make.__name__

    def __call__(self, *args, **kwargs) -> Any:
        return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> tuple:
        return Made, (self.call, self.values)

    def __hash__(self) -> int:
        return _hash((self.call, self.values), self)

    def __eq__(self, other: Any) -> bool:
        return self is other or (isinstance(other, Made) and _equal(
            (self.call, self.values), (other.call, other.values)))

    def __repr__(self) -> str:
        values = dict(self.call.fixed) | dict(zip(self.call.swept, self.values, strict=True))
        arguments = ", ".join(f"{name}={value!r}" for name, value in values.items())
        part = "" if self.call.part is None else f".{self.call.part}"
        return f"{self.call.make.__name__}({arguments}){part}"


jax.tree_util.register_pytree_node(
    Made, lambda made: (made.values, made.call), lambda call, values: Made(call, values))


def recipe(*swept: str) -> Callable:
    """A decorator of a function that makes a function, or a record of functions.

    Args:
      *swept: the names of the arguments that may be swept. Their values are numbers, scalar
        arrays, or things made by other recipes. The numbers must be rounded to the dtype of the
        arrays that they meet before they enter any arithmetic, as a compiled function gets them
        already rounded.
    """
    def decorate(make: Callable) -> Callable:
        signature = inspect.signature(make)

        @functools.wraps(make)
        def remembered(*args, **kwargs):
            made = make(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            fixed = tuple((name, value) for name, value in bound.arguments.items()
                          if name not in swept)
            values = tuple(bound.arguments[name] for name in swept)

            def kept(part: str | None, function: Callable) -> Made:
                return Made(Call(remembered, part, fixed, swept), values, function)

            if callable(made):
                return kept(None, made)
            fields = getattr(made, "_fields", None) or [
                field.name for field in dataclasses.fields(made)]
            parts = {name: getattr(made, name) for name in fields}
            return type(made)(**{name: kept(name, part) if callable(part) else part
                                 for name, part in parts.items()})

        return remembered

    return decorate


def split(tree: Any) -> tuple[tuple, tuple]:
    """`(structure, numbers)`: a pytree of `Made` functions without its numbers, and the numbers.

    Functions that no recipe made belong to the structure. Two structures are equal if the things
    differ in their numbers alone. A structure can be hashed if these functions can.
    """
    leaves, treedef = jax.tree.flatten(
        tree, is_leaf=lambda node: callable(node) and not isinstance(node, Made))
    fixed = tuple(None if _is_number(leaf) else leaf for leaf in leaves)
    return ((treedef, fixed),
            tuple(leaf if isinstance(leaf, jax.Array | np.ndarray) else float(leaf)
                  for leaf in leaves if _is_number(leaf)))


def join(structure: tuple, numbers: Sequence) -> Any:
    """The inverse of `split`, with these numbers, which may be traced."""
    treedef, fixed = structure
    numbers = iter(numbers)
    return jax.tree.unflatten(
        treedef, [next(numbers) if leaf is None else leaf for leaf in fixed])


def is_made(tree: Any) -> bool:
    """Whether recipes made all functions of the pytree `tree`."""
    (_, fixed), _ = split(tree)
    return all(leaf is None for leaf in fixed)


def by_name(kind: type, table: Mapping[str, Any]) -> None:
    """Pickle and copy the records `kind` that `table` holds by their names.

    A record has a `name`, a `function`, `parameters` and `configure`, as activations and losses
    have. Equal names and parameters give the same object again. A record that is not in the table
    is pickled as any object is.
    """
    def reduced(part: Any) -> tuple:
        ours = (part.name in table and table[part.name].function is part.function
                and all(isinstance(value, float | int) for value in part.parameters.values()))
        return ((_known, (kind, part.name, tuple(sorted(part.parameters.items()))))
                if ours else part.__reduce_ex__(2))

    TABLES[kind] = table
    copyreg.pickle(kind, reduced)


TABLES: dict[type, Mapping[str, Any]] = {}
"""The tables given to `by_name`."""


def canonical(part: Any) -> Any:
    """The one object for all records that are equal to `part`, a record of a kind in `by_name`.

    A record that is not in its table is returned as it is.
    """
    if type(part) not in TABLES:
        return part
    remade, arguments, *_ = copyreg.dispatch_table[type(part)](part)
    return remade(*arguments) if remade is _known else part


@functools.lru_cache(maxsize=128)
def _known(kind: type, name: str, parameters: tuple) -> Any:
    part = TABLES[kind][name]
    return part if dict(parameters) == dict(part.parameters) else (
        part.configure(**dict(parameters)))


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray) or (
        isinstance(leaf, kinds.Real) and not isinstance(leaf, bool))


def _hash(key: tuple, thing: Any) -> int:
    """The hash of `key`; that of the identity of `thing` where an array is in the key."""
    try:
        return hash(key)
    except TypeError:
        return id(thing)


def _equal(key: tuple, other: tuple) -> bool:
    """Whether two keys are equal; False where an array is in them."""
    try:
        hash(key), hash(other)
    except TypeError:
        return False
    return key == other
