"""Call a function under test: with copies, as NumPy first, and as JAX only if it is JAX.

JAX never sees what is not JAX: a tracer that reaches an object stays behind in it, and the next
call of that object fails.
"""

import contextlib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls.arrays import is_array

SEEN_THROUGH = (jax.errors.TracerArrayConversionError, jax.errors.TracerIntegerConversionError)


@contextlib.contextmanager
def proof() -> Iterator[None]:
    """A context for a check: float64, in which a NaN or inf is a finding and raises no error."""
    with jax.enable_x64(True), jax.debug_nans(False), jax.debug_infs(False):
        yield


def called(function: Callable, arguments: tuple, name: str, names: tuple[str, ...] = (),
           write: Callable[[tuple], tuple] = lambda arguments: arguments) -> Any:
    """Return `function(*arguments)`, called with copies of the arguments.

    The copies are NumPy arrays. If the function fails with these, they are JAX arrays; if it fails
    with both, the error is that of NumPy.

    Args:
      function: the function to call.
      arguments: its arguments, trees of arrays and other objects.
      name: the function's name in error messages.
      names: the arguments' names in error messages.
      write: turns a tuple of copied arguments into what the function takes.

    Raises:
      ValueError: the function fails with both kinds of array, or changes an argument in place.
    """
    failed = None
    for wrap in (np.array, jnp.array):
        copies = jax.tree.map(lambda leaf, wrap=wrap: wrap(leaf) if is_array(leaf) else leaf, arguments)
        try:
            result = function(*write(copies))
        except (AttributeError, TypeError, ValueError, IndexError, jax.errors.JAXTypeError) as error:
            failed = failed or error
            continue
        for i, (now, before) in enumerate(zip(copies, arguments, strict=True)):
            pairs = zip(jax.tree.leaves(now), jax.tree.leaves(before), strict=True)
            if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs if is_array(b)):
                which = names[i] if i < len(names) else i
                raise ValueError(f"{name} changed its argument {which} in place; compute with a copy")
        return result
    raise ValueError(f"{name} failed: {type(failed).__name__}: {_first_line(failed)}") from failed


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0] if lines else "no message"


def is_jax(function: Callable, arguments: tuple) -> bool:
    """Return whether JAX can see through `function`: whether it answers in JAX and can be traced.

    The function is first called with its arguments as they are. What then comes is JAX if it holds
    a JAX array; only such a function is traced, so that no object of a NumPy user meets a tracer.

    >>> is_jax(lambda x: jnp.sum(x**2), (np.ones(2),)), is_jax(lambda x: np.sum(np.tanh(x)), (jnp.ones(2),))
    (True, False)
    """
    try:
        answer = function(*arguments)
    except Exception:
        if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(arguments)):
            return False
        arguments = jax.tree.map(lambda leaf: jnp.asarray(leaf) if is_array(leaf) else leaf, arguments)
        try:
            answer = function(*arguments)
        except Exception:
            return False
    if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(answer)):
        return False
    try:
        # the arguments that are no arrays, such as names, stay what they are
        leaves, tree = jax.tree.flatten(arguments)
        moving = [i for i, leaf in enumerate(leaves) if is_array(leaf) or isinstance(leaf, float)]

        def moved(values):
            held = list(leaves)
            for i, value in zip(moving, values, strict=True):
                held[i] = value
            return function(*tree.unflatten(held))

        jax.eval_shape(moved, [leaves[i] for i in moving])
    except SEEN_THROUGH:
        return False
    except jax.errors.JAXTypeError:
        return True  # it branches on values, and can be differentiated without being compiled
    except Exception:  # whatever fails only where it is traced is no JAX
        return False
    return True


def as_jax(function: Callable, *arguments: Any) -> Callable:
    """Return `function` in a form that JAX can differentiate.

    A function that calls NumPy is rebuilt to call `jax.numpy`, and so are the functions of its
    module that it calls.

    Raises:
      ValueError: JAX cannot differentiate the function in either form.

    >>> slope = jax.grad(as_jax(lambda p: np.sum(p**2), jnp.ones(2)))
    >>> slope(jnp.array([1.0, 3.0])).tolist()
    [2.0, 6.0]
    """
    failed = None
    for form in (function, _through_jax(function)):
        try:
            jax.eval_shape(form, *arguments)
        except jax.errors.ConcretizationTypeError:
            return form
        except Exception as error:
            failed = failed or error
            continue
        return form
    name = getattr(function, "__name__", repr(function))
    raise ValueError(f"{name} cannot be differentiated by JAX ({type(failed).__name__}: {_first_line(failed)}); "
                     "write it with jax.numpy") from failed


def _through_jax(function: Callable) -> Callable:
    """The function with `jax.numpy` in NumPy's place, in its module's functions too."""
    done: dict[int, Any] = {}

    def changed(value: Any, home: dict) -> Any:
        if value is np:
            return jnp
        if isinstance(value, types.FunctionType) and value.__globals__ is home:
            return rebuilt(value)
        return value

    def rebuilt(function: types.FunctionType) -> types.FunctionType:
        if id(function) in done:
            return done[id(function)]
        home: dict[str, Any] = {}
        new = types.FunctionType(function.__code__, home, function.__name__, function.__defaults__, tuple(
            types.CellType(changed(cell.cell_contents, function.__globals__)) for cell in function.__closure__ or ()))
        new.__kwdefaults__ = function.__kwdefaults__
        done[id(function)] = new
        used = set(_names(function.__code__))
        home.update({name: changed(value, function.__globals__) if name in used else value
                     for name, value in function.__globals__.items()})
        return new

    if isinstance(function, types.MethodType):
        return types.MethodType(rebuilt(function.__func__), function.__self__)
    return rebuilt(function) if isinstance(function, types.FunctionType) else function


def _names(code: types.CodeType):
    """The names that a piece of code, or one inside it, looks up."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def takes(function: Callable) -> int:
    """Return how many positional arguments a function can take; 99 if any number."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return 99
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


def needed(function: Callable) -> list[str]:
    """Return the names of the arguments that a function cannot do without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [each.name for each in parameters if each.default is each.empty
            and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
