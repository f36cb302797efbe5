"""Classes with forward and backward, as functions of their parameters that can be checked."""

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functional_nn.losses import LOSSES
from functional_nn.verify.calls import objects
from functional_nn.verify.calls.arrays import plain
from functional_nn.verify.calls.names import simplified
from functional_nn.verify.calls.pairs import answer

UPSTREAM = ("grad", "dout", "delta", "dy", "dz", "da", "upstream", "dnext", "cotangent", "chain")
COSTS = ("loss", "cost", "compute_loss", "compute_cost", "criterion", "objective", "cost_function",
         "calculate_loss", "loss_function", "mse", "cross_entropy")


def is_layer(model: Any) -> bool:
    """Return whether an object's `backward` takes the gradient by its output, as layers do."""
    backward = getattr(model, "backward", None)
    return backward is not None and hasattr(model, "forward") and says_layer(
        ["self", *inspect.signature(backward).parameters])


def says_layer(names: Sequence[str]) -> bool:
    """Return whether the arguments of `backward`, `self` first, are those of a layer.

    >>> says_layer(["self", "dout"]), says_layer(["self", "X", "y"])
    (True, False)
    """
    return len(names) > 1 and any(word in simplified(names[1]) for word in UPSTREAM)


def of_layer(model: Any, X: Any) -> tuple[Callable, Callable, Any]:
    """Return (f, manual, params) of a layer: f is the sum of its output times a random array.

    params holds the layer's parameters, and its inputs under the name `inputs`.
    """
    held = objects.Held.of(model, required=False)
    out = plain(copy.deepcopy(model).forward(X))
    g = np.random.default_rng(0).normal(size=np.shape(out))

    def f(params):
        return np.sum(g * np.asarray(plain(held.holding(params).forward(params["inputs"]))))

    def manual(params):
        own = held.holding(params)
        own.forward(params["inputs"])
        result = plain(own.backward(g.copy()))
        parts = list(result) if isinstance(result, tuple | list) else [result]
        if len(parts) == 1 + len(held.tree):  # (dx, dW, db)
            return {"inputs": parts[0], **dict(zip(held.tree, parts[1:], strict=True))}
        return {"inputs": parts[0], **(held.gradients(own) if held.tree else {})}

    return f, manual, {"inputs": np.asarray(plain(X), dtype=np.float64), **held.tree}


def of_network(model: Any, loss: Callable | None) -> tuple[Callable, Callable, Any] | None:
    """Return (f, manual, params) of a network: functions (params, X, Y); None if a loss lacks.

    Args:
      model: an object with a method of `objects.METHODS`, or one that takes a training step.
      loss: (prediction, Y) or (Y, prediction) -> the cost; None takes a method of the object.
    """
    method = next((name for name in objects.METHODS if callable(getattr(model, name, None))), None)
    step = next((name for name in objects.STEPS if callable(getattr(model, name, None))), None)
    rate = next((getattr(model, name) for name in objects.RATES if hasattr(model, name)), None)
    stepped = method is None and step is not None and rate is not None
    tree, function = objects.of_object(model, None, None, None if stepped else method,
                                       step if stepped else None, rate if stepped else None)
    held = objects.Held.of(model)
    own = next((name for name in COSTS if callable(getattr(model, name, None))), None)
    forward = next((name for name in objects.FORWARD if callable(getattr(model, name, None))), None)
    if loss is None and own is None:
        return None

    def f(params, X, Y):
        now = held.holding(params)
        output = getattr(now, forward)(X) if forward else None
        cost = getattr(now, own) if loss is None else loss
        value = cost(*objects.arguments(cost, {"X": X, "Y": Y, "output": output}))
        return answer(plain(value), tree).value if isinstance(value, tuple) else value

    return f, function, tree


def loss_of(own: Callable | None, name: str) -> Callable | None:
    """Return the loss (prediction, Y) -> cost: the file's own, or the mean of one of `LOSSES`."""
    if own is not None or name not in LOSSES:
        return own

    def mean(prediction, Y):
        return np.mean([float(LOSSES[name](p, y)) for p, y in zip(prediction, Y, strict=True)])

    return mean
