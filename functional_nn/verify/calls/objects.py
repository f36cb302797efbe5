"""Objects that hold their parameters and gradients, as functions of the parameters."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from functional_nn.verify.calls.arrays import kind_of, plain
from functional_nn.verify.calls.names import belongs, says_bias, says_weight, simplified
from functional_nn.verify.calls.pairs import HELD, answer, pairs

DEPTH = 5  # how deep parameters may lie in an object
METHODS = ("value_and_grad", "gradient", "loss_and_grad", "loss_and_gradients", "gradients", "compute_gradients", "backprop",
           "backpropagation", "backward", "loss")
FORWARD = ("forward", "feedforward", "feed_forward", "predict", "__call__")
ARGUMENTS = {  # what a method's argument is, by its name
    "X": ("x", "xs", "inputs", "input", "data", "xb", "xtrain", "images"),
    "Y": ("y", "ys", "targets", "target", "labels", "label", "t", "yb", "ytrue", "ytrain", "truth"),
    "output": ("o", "out", "output", "outputs", "yhat", "ypred", "pred", "preds", "prediction", "predictions", "probs", "scores",
               "a", "a2"),
}
Place = tuple[tuple[str, Any], ...]  # the way to a leaf: ("attribute", name) or ("item", key), …


def is_object(model: Any) -> bool:
    """Whether `model` is an object that may hold parameters, and no tree of arrays."""
    leaves = jax.tree.leaves(model)
    return len(leaves) == 1 and leaves[0] is model and kind_of(model) is None and hasattr(model, "__dict__")


def of_object(model: Any, params: Any, grads: Any, call: Any, update: Any, rate: float | None) -> tuple[Any, Callable]:
    """Return (the parameters by name, a function of them) of an object that holds its parameters.

    Every call works on a copy of the object, which gets the parameters first.
    """
    places = _chosen(model, params, "params") if params is not None else _weights(model)
    if not places:
        raise ValueError(f"params must say where {type(model).__name__} holds its parameters, such as params=['W1', 'b1']; it "
                         f"has {', '.join(list(vars(model))[:12]) or 'no attributes'}")
    tree = {_name(place): np.array(plain(_get(model, place)), dtype=np.float64) for place in places}
    method = _method(model, call if update is None else update)

    def function(given: Mapping[str, Any], X: Any, Y: Any) -> Any:
        own = copy.deepcopy(model)
        for place in places:
            _set(own, place, given[_name(place)])
        result = plain(_opened(method(own, X, Y)))
        found = answer(result, given) if result is not None else None
        value = None if found is None else found.value
        if update is not None:
            gradient = {_name(place): (given[_name(place)] - np.asarray(plain(_get(own, place)))) / rate for place in places}
        elif found is not None and not pairs(tree, found.gradient).missing:
            gradient = found.gradient
        elif found is not None and grads is None and not pairs(_short(tree), found.gradient).missing:
            short = pairs(_short(tree), found.gradient).found
            gradient = {name: short[f"[{last!r}]"] for name, last in zip(tree, _short(tree), strict=True)}
        elif found is not None and grads is None and (turn := _in_turn(tree, found.gradient)) is not None:
            gradient = turn
        else:
            gradient = _gradients(own, places, grads)
            value = float(np.asarray(result)) if result is not None and np.size(result) == 1 else None
        return gradient if value is None else (value, gradient)

    return tree, function


def _in_turn(tree: Mapping[str, Any], gradient: Any) -> dict[str, Any] | None:
    """The leaves of a gradient by the parameters' names, if the shapes in their order are theirs."""
    leaves = jax.tree.leaves(gradient)
    fits = [np.shape(leaf) for leaf in leaves] == [np.shape(leaf) for leaf in tree.values()]
    return dict(zip(tree, leaves, strict=True)) if fits else None


def _opened(result: Any) -> Any:
    """A result whose objects, such as dataclasses, are dictionaries of their attributes."""
    if isinstance(result, tuple) and not hasattr(result, "_fields"):
        return tuple(map(_opened, result))
    return dict(vars(result)) if is_object(result) and not callable(result) else result


def _short(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters under the last part of their names, where these differ."""
    names = [name.rsplit(".", 1)[-1] for name in tree]
    return dict(zip(names if len(set(names)) == len(names) else tree, tree.values(), strict=True))


def _walk(thing: Any, place: Place = (), numbers: bool = False) -> Iterator[Place]:
    """The places of all arrays in an object, its lists, dictionaries and inner objects.

    `numbers`: those of single numbers too.
    """
    kind = kind_of(thing)
    if kind is not None:
        if (numbers or np.ndim(kind.read(thing))) and place:
            yield place
    elif len(place) < DEPTH:
        if isinstance(thing, Mapping):
            parts = [(("item", key), value) for key, value in thing.items()]
        elif isinstance(thing, list | tuple):
            parts = [(("item", i), value) for i, value in enumerate(thing)]
        elif hasattr(thing, "__dict__") and not inspect.isroutine(thing) and not inspect.isclass(thing):
            parts = [(("attribute", key), value) for key, value in vars(thing).items()]
        else:
            parts = []
        for step, value in parts:
            yield from _walk(value, (*place, step), numbers)


def _get(thing: Any, place: Place) -> Any:
    for kind, key in place:
        thing = getattr(thing, key) if kind == "attribute" else thing[key]
    return thing


def _set(thing: Any, place: Place, value: Any) -> None:
    *way, (kind, key) = place
    holder, old = _get(thing, tuple(way)), _get(thing, place)
    new = kind_of(old).write(np.array(value), old)
    if kind == "attribute":
        setattr(holder, key, new)
    elif isinstance(holder, tuple):
        _set_all(thing, tuple(way), tuple(new if i == key else each for i, each in enumerate(holder)))
    else:
        holder[key] = new


def _set_all(thing: Any, place: Place, value: tuple) -> None:
    *way, (kind, key) = place
    holder = _get(thing, tuple(way))
    if kind == "attribute":
        setattr(holder, key, value)
    else:
        holder[key] = value


def _name(place: Place) -> str:
    """The name of a place as it is written: `layers[0].W`, `params.W1`."""
    text = ""
    for _, key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def _words(place: Place) -> list[str]:
    return [str(key) for _, key in place if not isinstance(key, int)]


def _chosen(model: Any, spec: Any, argument: str) -> list[Place]:
    """The places that an argument such as "params", "layers.W" or ["W1", "b1"] names."""
    found = []
    for name in [spec] if isinstance(spec, str) else spec:
        wanted = name.split(".")
        here = [place for place in _walk(model, numbers=True) if _words(place)[:len(wanted)] == wanted]
        if not here:
            raise ValueError(f"{argument} names {name!r}, where {type(model).__name__} holds no array; it holds "
                             f"{', '.join(dict.fromkeys(_name(place) for place in list(_walk(model))[:12])) or 'none'}")
        found += here
    return found


def _weights(model: Any) -> list[Place]:
    """The places whose names say that they hold weights or biases, and not their gradients."""
    places = [place for place in _walk(model) if not {simplified(word) for word in _words(place)[:-1]} & {*HELD}]
    last = [_words(place)[-1] for place in places]
    named = [place for place, name in zip(places, last, strict=True)
             if says_weight(f"['{name}']") or says_bias(f"['{name}']")]
    if not named:  # such as lists `weights` and `biases`, or a dictionary `params`
        named = [place for place in places if _words(place)[0] in ("params", "parameters")]
    return named


def _gradients(model: Any, places: list[Place], spec: Any) -> dict[str, Any]:
    """The gradient of every place, found in the object after its method was called."""
    there = _chosen(model, spec, "grads") if spec is not None else list(_walk(model))
    found = {}
    for i, place in enumerate(places):
        own = [other for other in there if other != place and _goes_with(other, place)]
        if not own and spec is not None and len(there) == len(places):
            own = [there[i]]
        if own:
            found[_name(place)] = plain(_get(model, own[0]))
    if not found:
        raise ValueError(f"grads must say where {type(model).__name__} holds its gradients; it has "
                         f"{', '.join(list(vars(model))[:16])}")
    return found


def _goes_with(gradient: Place, parameter: Place) -> bool:
    """Whether one place is that of the other's gradient: `l.dW` of `l.W`, `grads.W1` of `params.W1`."""
    if len(gradient) != len(parameter):
        return False
    apart = [(a, b) for a, b in zip(gradient, parameter, strict=True) if a != b]
    return bool(apart) and all(
        isinstance(a[1], str) and isinstance(b[1], str) and (belongs(a[1], b[1]) or simplified(a[1]) in HELD) for a, b in apart)


def _method(model: Any, call: Any) -> Callable:
    """(object, X, Y) -> what the method returns; a forward pass comes first if there is one."""
    if call is not None and not isinstance(call, str):
        if not callable(call):
            raise TypeError(f"call must be the name of a method or a function (object, X, Y), got {type(call).__name__}")
        return call
    name = call or next((name for name in METHODS if callable(getattr(model, name, None))), None)
    if name is None or not callable(getattr(model, name, None)):
        there = [key for key in dir(model) if not key.startswith("_") and callable(getattr(model, key))]
        wanted = f"has no method {name!r}" if name else "has no method that is known to give gradients"
        raise ValueError(f"{type(model).__name__} {wanted}; call names one of {', '.join(there) or 'its methods (it has none)'}")

    def run(own: Any, X: Any, Y: Any) -> Any:
        forward = next((each for each in FORWARD if each != name and callable(getattr(own, each, None))), None)
        output = getattr(own, forward)(X) if forward else None
        method = getattr(own, name)
        return method(*_arguments(method, {"X": X, "Y": Y, "output": output}))

    return run


def _arguments(method: Callable, known: Mapping[str, Any]) -> list[Any]:
    """The arguments of a method, by their names; unknown names are X, then Y."""
    wanted = [each for each in inspect.signature(method).parameters.values()
              if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    found, rest = [], ["X", "Y"]
    for each in wanted:
        what = next((what for what, names in ARGUMENTS.items() if simplified(each.name) in names), None)
        if what is None and each.default is not each.empty:
            break
        if what is None:
            what = next((name for name in rest if name not in found), None)
            if len(wanted) == 1:
                what = "Y"
        if what is None:
            raise ValueError(f"{method.__name__} takes {each.name}, which cannot be told from X and Y; give call as a function "
                             "(object, X, Y)")
        found.append(what)
    return [known[what] for what in found]
