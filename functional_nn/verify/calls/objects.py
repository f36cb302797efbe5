"""Objects that hold their parameters and gradients, as functions of the parameters."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nn.verify.calls.arrays import kind_of, plain
from functional_nn.verify.calls.names import belongs, says_bias, says_weight, simplified
from functional_nn.verify.calls.pairs import HELD, answer, pairs

DEPTH = 5  # how deep parameters may lie in an object
METHODS = ("value_and_grad", "gradient", "loss_and_grad", "loss_and_gradients", "gradients",
           "compute_gradients", "backprop", "backpropagation", "backward", "back_propagate",
           "backward_pass", "backpropagate", "loss")
STEPS = ("train_step", "train_on_batch", "update", "step", "train", "fit_batch", "update_weights")
RATES = ("learning_rate", "lr", "eta", "alpha", "rate", "learningrate")
FORWARD = ("forward", "feedforward", "feed_forward", "forward_pass", "predict", "__call__")
ARGUMENTS = {  # what a method's argument is, by its name
    "X": ("x", "xs", "inputs", "input", "data", "xb", "xtrain", "images", "features"),
    "Y": ("y", "ys", "targets", "target", "labels", "label", "t", "yb", "ytrue", "ytrain", "truth"),
    "output": ("o", "out", "output", "outputs", "yhat", "ypred", "pred", "preds", "prediction",
               "predictions", "probs", "scores", "a", "a2", "al"),
}
Place = tuple[tuple[str, Any], ...]  # the way to a leaf: ("attribute", name) or ("item", key), …


def is_object(model: Any) -> bool:
    """Whether `model` is an object that may hold parameters, and no tree of arrays."""
    leaves = jax.tree.leaves(model)
    return (len(leaves) == 1 and leaves[0] is model and kind_of(model) is None
            and hasattr(model, "__dict__"))


class Held(NamedTuple):
    """An object and the places of its parameters.

    Attributes:
      model: the object; it is copied and never changed.
      places: the way to each parameter.
      tree: the parameters by name, in float64.
    """

    model: Any
    places: tuple[Place, ...]
    tree: dict[str, np.ndarray]

    @classmethod
    def of(cls, model: Any, params: Any = None, required: bool = True) -> "Held":
        """Return the parameters of an object: those that `params` names, or that names tell.

        Raises:
          ValueError: there are none, and `required`.
        """
        places = _weights(model) if params is None else _chosen(model, params, "params")
        if required and not places:
            raise ValueError(
                f"params must say where {type(model).__name__} holds its parameters, such as "
                f"params=['W1', 'b1']; it has {', '.join([*vars(model)][:12]) or 'no attributes'}")
        return cls(model, tuple(places), {_name(place): np.array(plain(_get(model, place)), np.float64)
                                          for place in places})

    def holding(self, values: Mapping[str, Any]) -> Any:
        """Return a copy of the object that holds these parameters."""
        own = copy.deepcopy(self.model)
        for place in self.places:
            _set(own, place, values[_name(place)])
        return own

    def stepped(self, own: Any, before: Mapping[str, Any], rate: float) -> dict[str, Any]:
        """Return the gradient (before − after) / rate of an object that took a step."""
        return {_name(place): (before[_name(place)] - np.asarray(plain(_get(own, place)))) / rate
                for place in self.places}

    def gradients(self, own: Any, spec: Any = None) -> dict[str, Any]:
        """Return the gradients that an object holds, by its parameters' names.

        Raises:
          ValueError: it holds none.
        """
        there = [*_walk(own)] if spec is None else _chosen(own, spec, "grads")
        found = {}
        for i, place in enumerate(self.places):
            theirs = [other for other in there if other != place and _goes_with(other, place)]
            if not theirs and spec is not None and len(there) == len(self.places):
                theirs = [there[i]]
            if theirs:
                found[_name(place)] = plain(_get(own, theirs[0]))
        if not found:
            raise ValueError(f"grads must say where {type(own).__name__} holds its gradients; it has "
                             f"{', '.join([*vars(own)][:16])}")
        return found

    def named(self, gradient: Any) -> dict[str, Any] | None:
        """Return a gradient by the parameters' names, by the last parts of these, or in turn.

        It is None if the gradient fits in none of these ways.
        """
        last = [name.rsplit(".", 1)[-1] for name in self.tree]
        for names in ([*self.tree], last if len({*last}) == len(last) else []):
            tree = dict(zip(names, self.tree.values(), strict=bool(names)))
            if tree and not (found := pairs(tree, gradient)).missing:
                return {own: found.found[f"[{name!r}]"]
                        for own, name in zip(self.tree, names, strict=True)}
        leaves = jax.tree.leaves(gradient)
        fits = [np.shape(leaf) for leaf in leaves] == [leaf.shape for leaf in self.tree.values()]
        return dict(zip(self.tree, leaves, strict=True)) if fits else None


def of_object(model: Any, params: Any, grads: Any, call: Any, update: Any, rate: float | None
              ) -> tuple[Any, Callable]:
    """Return (the parameters by name, a function of them) of an object that holds its parameters.

    Every call works on a copy of the object, which gets the parameters first.
    """
    held = Held.of(model, params)
    method = _method(model, call if update is None else update)

    def function(given: Mapping[str, Any], X: Any, Y: Any) -> Any:
        own = held.holding(given)
        result = plain(_opened(method(own, X, Y)))
        found = None if result is None else answer(result, given)
        value = None if found is None else found.value
        if update is not None:
            gradient = held.stepped(own, given, rate)
        else:
            gradient = None if found is None or (grads is not None and pairs(
                held.tree, found.gradient).missing) else held.named(found.gradient)
            if gradient is None:
                gradient = held.gradients(own, grads)
                value = float(np.asarray(result)) if np.size(result or ()) == 1 else None
        return gradient if value is None else (value, gradient)

    return held.tree, function


def _opened(result: Any) -> Any:
    """A result whose objects, such as dataclasses, are dictionaries of their attributes."""
    if isinstance(result, tuple) and not hasattr(result, "_fields"):
        return tuple(map(_opened, result))
    return dict(vars(result)) if is_object(result) and not callable(result) else result


def _walk(thing: Any, place: Place = (), numbers: bool = False) -> Iterator[Place]:
    """The places of all arrays in an object, its lists, dictionaries and inner objects.

    `numbers`: those of single numbers too.
    """
    kind = kind_of(thing)
    if kind is not None:
        if (numbers or np.ndim(kind.read(thing))) and place:
            yield place
    elif len(place) < DEPTH:
        how, parts = "item", ()
        if isinstance(thing, Mapping):
            parts = thing.items()
        elif isinstance(thing, list | tuple):
            parts = enumerate(thing)
        elif hasattr(thing, "__dict__") and not (inspect.isroutine(thing) or inspect.isclass(thing)):
            how, parts = "attribute", vars(thing).items()
        for key, value in parts:
            yield from _walk(value, (*place, (how, key)), numbers)


def _get(thing: Any, place: Place) -> Any:
    for kind, key in place:
        thing = getattr(thing, key) if kind == "attribute" else thing[key]
    return thing


def _set(thing: Any, place: Place, value: Any) -> None:
    """Put numbers at a place, as an object of the kind that is there."""
    old = _get(thing, place)
    _put(thing, place, kind_of(old).write(np.array(value), old))


def _put(thing: Any, place: Place, new: Any) -> None:
    *way, (kind, key) = place
    holder = _get(thing, tuple(way))
    if kind == "attribute":
        setattr(holder, key, new)
    elif isinstance(holder, tuple):
        _put(thing, tuple(way), tuple(new if i == key else each for i, each in enumerate(holder)))
    else:
        holder[key] = new


def _name(place: Place) -> str:
    """The name of a place as it is written: `layers[0].W`, `params.W1`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for _, key in place
                   ).removeprefix(".")


def _words(place: Place) -> list[str]:
    return [str(key) for _, key in place if not isinstance(key, int)]


def _chosen(model: Any, spec: Any, argument: str) -> list[Place]:
    """The places that an argument such as "params", "layers.W" or ["W1", "b1"] names."""
    found = []
    for name in [spec] if isinstance(spec, str) else spec:
        wanted = name.split(".")
        here = [place for place in _walk(model, numbers=True)
                if _words(place)[:len(wanted)] == wanted]
        if not here:
            there = ", ".join(dict.fromkeys(_name(place) for place in [*_walk(model)][:12]))
            raise ValueError(f"{argument} names {name!r}, where {type(model).__name__} holds no "
                             f"array; it holds {there or 'none'}")
        found += here
    return found


def _weights(model: Any) -> list[Place]:
    """The places whose names say that they hold weights or biases, and not their gradients."""
    places = [place for place in _walk(model)
              if not {simplified(word) for word in _words(place)[:-1]} & {*HELD}]
    named = [place for place in places if says_weight(f"['{_words(place)[-1]}']")
             or says_bias(f"['{_words(place)[-1]}']")]
    # such as lists `weights` and `biases`, or a dictionary `params`
    return named or [place for place in places if _words(place)[0] in ("params", "parameters")]


def _goes_with(gradient: Place, parameter: Place) -> bool:
    """Whether one place is that of the other's gradient: `l.dW` of `l.W`, `grads.W1` of `params.W1`."""
    apart = [(a, b) for (_, a), (_, b) in zip(gradient, parameter, strict=False) if a != b]
    return bool(apart) and len(gradient) == len(parameter) and all(
        isinstance(a, str) and isinstance(b, str) and (belongs(a, b) or simplified(a) in HELD)
        for a, b in apart)


def _method(model: Any, call: Any) -> Callable:
    """(object, X, Y) -> what the method returns; a forward pass comes first if there is one."""
    if call is not None and not isinstance(call, str):
        if not callable(call):
            raise TypeError("call must be the name of a method or a function (object, X, Y), got "
                            f"{type(call).__name__}")
        return call
    name = call or next((name for name in METHODS if callable(getattr(model, name, None))), None)
    if name is None or not callable(getattr(model, name, None)):
        there = [key for key in dir(model) if not key.startswith("_") and callable(getattr(model, key))]
        wanted = f"has no method {name!r}" if name else "has no method that is known to give gradients"
        raise ValueError(f"{type(model).__name__} {wanted}; call names one of "
                         f"{', '.join(there) or 'its methods (it has none)'}")

    def run(own: Any, X: Any, Y: Any) -> Any:
        forward = next((each for each in FORWARD if each != name
                        and callable(getattr(own, each, None))), None)
        output = getattr(own, forward)(X) if forward else None
        method = getattr(own, name)
        return method(*arguments(method, {"X": X, "Y": Y, "output": output}))

    return run


def arguments(method: Callable, known: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of a method or function by their names; unknown names are X, then Y.

    >>> arguments(lambda y_hat, y: None, {"X": 1, "Y": 2, "output": 3})
    [3, 2]
    """
    wanted = [each for each in inspect.signature(method).parameters.values()
              if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    found = []
    for each in wanted:
        what = next((what for what, names in ARGUMENTS.items() if simplified(each.name) in names), None)
        if what is None and each.default is not each.empty:
            break
        if what is None:
            what = "Y" if len(wanted) == 1 else next((name for name in ("X", "Y")
                                                      if name not in found), None)
        if what is None:
            raise ValueError(f"{method.__name__} takes {each.name}, which cannot be told from X and "
                             "Y; give call as a function (object, X, Y)")
        found.append(what)
    return [known[what] for what in found]
