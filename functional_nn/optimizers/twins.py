"""Every optimiser beside its optax equivalent, for the tests and the experiments that compare them.

>>> list(TWINS)
['sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'rmsprop with momentum', 'adadelta',
 'adam', 'adamw', 'nadam', 'amsgrad', 'lion', 'clipped by value', 'clipped by norm',
 'coupled decay', 'decoupled decay']
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from functional_nn.optimizers.adaptive import adadelta, adagrad, rmsprop
from functional_nn.optimizers.moments import adam, adamw, amsgrad, lion, nadam
from functional_nn.optimizers.momentum import sgd
from functional_nn.optimizers.transforms import (
    clip_by_global_norm,
    clip_by_value,
    decoupled_decay,
    l2,
)

__all__ = ["TWINS", "Twin"]


class Twin(NamedTuple):
    """Two functions learning_rate -> optimiser whose optimisers take the same steps.

    Attributes:
      ours: the optimiser of this package.
      optax: the optimiser of optax.
      rate: a learning rate to compare them at.
      make: the function of this package that makes the optimiser; None for a chain of several.
    """

    ours: Callable[..., optax.GradientTransformation]
    optax: Callable[..., optax.GradientTransformation]
    rate: float
    make: Callable[..., optax.GradientTransformation] | None = None


def twins(ours: Callable, theirs: Callable, rate: float, **hyper_parameters: Any) -> Twin:
    """The `Twin` of two optimisers with the same hyper-parameters."""
    return Twin(
        functools.partial(ours, **hyper_parameters),
        functools.partial(theirs, **hyper_parameters),
        rate,
        ours)


def before(ours: Callable, theirs: Callable, rate: float) -> Twin:
    """The `Twin` of two gradient transformations, each followed by SGD with momentum."""
    return Twin(
        lambda learning_rate: optax.chain(ours(), sgd(learning_rate, momentum=0.9)),
        lambda learning_rate: optax.chain(theirs(), optax.sgd(learning_rate, momentum=0.9)),
        rate)


TWINS = {
    "sgd": twins(sgd, optax.sgd, 0.5),
    "momentum": twins(sgd, optax.sgd, 0.1, momentum=0.9),
    "nesterov": twins(sgd, optax.sgd, 0.1, momentum=0.9, nesterov=True),
    "adagrad": twins(adagrad, optax.adagrad, 0.05),
    "rmsprop": twins(rmsprop, optax.rmsprop, 0.003),
    "rmsprop with momentum": twins(rmsprop, optax.rmsprop, 0.001, momentum=0.9, nesterov=True),
    "adadelta": twins(adadelta, optax.adadelta, 1.0),
    "adam": twins(adam, optax.adam, 0.01),
    "adamw": twins(adamw, optax.adamw, 0.01, weight_decay=0.1),
    "nadam": twins(nadam, optax.nadam, 0.01),
    "amsgrad": twins(amsgrad, optax.amsgrad, 0.01),
    "lion": twins(lion, optax.lion, 0.003, weight_decay=0.1),
    "clipped by value": before(lambda: clip_by_value(0.01), lambda: optax.clip(0.01), 0.1),
    "clipped by norm": before(
        lambda: clip_by_global_norm(0.5), lambda: optax.clip_by_global_norm(0.5), 0.1),
    "coupled decay": before(
        lambda: l2(0.01, mask=None), lambda: optax.add_decayed_weights(0.01), 0.1),
    "decoupled decay": Twin(
        lambda learning_rate: optax.chain(
            sgd(learning_rate, momentum=0.9), decoupled_decay(learning_rate, 0.01, mask=None)),
        lambda learning_rate: optax.chain(
            optax.trace(0.9),
            optax.add_decayed_weights(0.01),
            optax.scale_by_learning_rate(learning_rate)),
        0.1),
}
