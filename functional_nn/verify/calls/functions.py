"""What is handed to a check, as one function (params, X, Y) -> gradient: steps and objects too."""

import copy
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from functional_nn.verify.calls.arrays import by_path, kind_of, plain
from functional_nn.verify.calls.calling import needed, takes
from functional_nn.verify.calls.objects import is_object, of_object
from functional_nn.verify.calls.pairs import answer, pairs

# names of arguments, and what they say
CACHE = {"cache", "caches", "ctx", "context", "saved", "res", "residual", "residuals", "memory", "state"}
TOGETHER = {"params", "parameters", "theta", "thetas", "p", "model", "net", "network"}
FIRST = {"x", "xs", "x_train", "x_batch", "inputs", "input", "data", "features", "images"}


def taken(model: Any, function: Callable | None, *, params: Any, grads: Any, call: Any, update: Any, rate: float | None
          ) -> tuple[Any, Callable]:
    """Return (the parameters' tree, a function (params, X, Y) -> what `pairs.answer` takes).

    The arguments are those of `check_network`.

    Raises:
      TypeError, ValueError: they do not say what the function is, or an object lacks what they name.
    """
    if params is not None and not _is_spec(params):  # the parameters given by the name `params`
        if model is not None:
            raise TypeError("params given by name must be the name of the attribute that holds an object's parameters; the "
                            "parameters themselves are the third argument")
        model, params = params, None
    if update is not None and rate is None:
        raise ValueError("update needs rate, the learning rate of its step: the gradient is (before − after) / rate")
    if rate is not None and update is None:
        raise ValueError("rate is that of update; without update the function returns gradients")
    if update is not None and function is not None:
        raise ValueError("give value_and_grad or update, not both")
    if rate is not None and not (np.ndim(rate) == 0 and np.isfinite(rate) and rate != 0):
        raise ValueError(f"rate must be a number other than 0, got {rate!r}")
    if is_object(model):
        return of_object(model, params, grads, call if function is None else function, update, rate)
    if params is not None or grads is not None or call is not None:
        raise TypeError(f"params, grads and call are for an object that holds its parameters; got {type(model).__name__} and "
                        "a function" if function is not None else
                        f"params, grads and call are for an object that holds its parameters, got {type(model).__name__}")
    function = update if function is None else function
    if function is None:
        raise TypeError("value_and_grad is missing: the function (params, X, Y) -> (cost, gradient) to check")
    if not callable(function):
        raise TypeError(f"{'update' if update is not None else 'value_and_grad'} must be a function (params, X, Y), got "
                        f"{type(function).__name__}")
    function = spread(function, model)
    return model, function if update is None else stepped(function, float(rate))


def spread(function: Callable, params: Any) -> Callable:
    """Return a function (params, X, Y) of one that takes each parameter as an argument of its own.

    Such a function needs two arguments more than there are parameters: X and Y, before or after
    them. The parameters of a dictionary go by their names.

    >>> spread(lambda X, Y, W, b: (X, Y, W, b), ("W", "b"))(("W", "b"), "X", "Y")
    ('X', 'Y', 'W', 'b')
    """
    if not isinstance(params, tuple | list | dict) or len(params) < 2:
        return function
    names = needed(function)
    if len(names) != len(params) + 2 or names[0].lower() in TOGETHER:
        return function
    if isinstance(params, dict) and set(params) <= set(names):
        x, y = (name for name in names if name not in params)
        return lambda params, X, Y: function(**{**params, x: X, y: Y})
    first = names[0].lower() in FIRST
    return lambda params, X, Y: function(X, Y, *_values(params)) if first else function(*_values(params), X, Y)


def uncached(forward: Callable, backward: Callable, args: tuple) -> tuple[Callable, Callable]:
    """Return (forward, backward) as functions of the arguments, where forward keeps what backward needs.

    Either it returns (output, cache), and backward takes (cotangent, cache) or, as JAX's rules do,
    (cache, cotangent): the names of its arguments tell, or that there are two where `args` are more.
    Or an object keeps it, and backward takes the cotangent alone.
    """
    names = [name.lower() for name in needed(backward)]
    if len(names) == takes(backward) == 1:
        return forward, lambda g, *args: (forward(*args), backward(g))[1]
    if len(names) != 2 or not (CACHE & set(names) or (len(args) > 1 and takes(backward) == 2)):
        return forward, backward
    try:
        result = forward(*args)
    except Exception:  # which the check says in its own words
        return forward, backward
    if not (isinstance(result, tuple) and len(result) == 2):
        return forward, backward

    def back(g, *args):
        kept = forward(*args)[1]
        return backward(kept, g) if names[0] in CACHE else backward(g, kept)

    return lambda *args: forward(*args)[0], back


def _values(params: Any) -> list:
    return list(params.values() if isinstance(params, dict) else params)


def stepped(update: Callable, rate: float) -> Callable:
    """Return the gradient (before − after) / rate of a function that takes one step.

    The step changes the parameters in place, or returns new ones, alone or after the cost.

    >>> def step(params, X, Y):
    ...     params["w"] -= 0.1 * 2 * params["w"]
    >>> stepped(step, 0.1)({"w": np.array([1.0, 3.0])}, None, None)["w"].round(12).tolist()
    [2.0, 6.0]
    """
    def gradient(params: Any, X: Any, Y: Any) -> Any:
        before, own = plain(params), copy.deepcopy(params)
        result = update(own, X, Y)
        found = answer(plain(result), before)
        after = pairs(before, found.gradient).found if result is not None else {}
        here = by_path(before)
        if not any(path in after and not np.array_equal(leaf, after[path]) for path, leaf in here.items()):
            after = pairs(before, plain(own)).found
        change = jax.tree.unflatten(jax.tree.structure(before), [
            (np.asarray(leaf) - np.asarray(after[path])) / rate if path in after and kind_of(leaf) else leaf
            for path, leaf in here.items()])
        return change if found.value is None else (found.value, change)

    return gradient


def _is_spec(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and bool(value) and all(
        isinstance(each, str) for each in value))
