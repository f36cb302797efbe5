"""The frame of every optimiser: one rule, for one leaf, and what it remembers there from step to step.

A rule reads like the equations of its paper. `by_leaf` runs it at every leaf of the parameters, counts the steps, evaluates
the schedules and keeps the memory, and is an `optax.GradientTransformation` that sits wherever one of optax's does.
"""

import functools
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import checks
from functional_nn.schedules import Number, Schedule, as_schedule

__all__ = ["Leaf", "Mask", "State", "average", "by_leaf", "like", "not_negative", "share", "unbiased"]

Mask = Any  # None: all leaves. "weights": those of two axes or more. Else as in optax: a tree of booleans, or a function to one
MASKS = {"weights": lambda params: jax.tree.map(lambda w: jnp.ndim(w) >= 2, params)}


class State(NamedTuple):
    """The steps taken, an int32 scalar, and the memory: name -> a pytree shaped like the parameters, in their dtypes."""

    count: jax.Array
    memory: dict[str, Any]


class Leaf(NamedTuple):
    """What a rule sees of one leaf at one step.

    g: the gradient, or what the transformation before made of it. w: the parameters, None unless asked for. t: the number
    of this step, from 1. gamma, lam: the learning rate γ_t and the weight decay λ_t, scalars of the leaf's dtype.
    chosen: whether the mask has this leaf.
    """

    g: jax.Array
    w: jax.Array | None
    t: jax.Array
    gamma: jax.Array
    lam: jax.Array
    chosen: bool


def by_leaf(rule: Callable, *, learning_rate: Number | Schedule = 1.0, weight_decay: Number | Schedule = 0.0,
            mask: Mask = None, needs_params: bool = False, **memory: Number) -> optax.GradientTransformationExtraArgs:
    """The gradient transformation that follows `rule` at every leaf.

    A leaf without a gradient (None) has no step, and its memory stays. The memory keeps the dtype of the parameters, so that
    a step never retraces.

    Args:
        rule: (leaf, *memory) -> (what becomes of leaf.g, the memory after it as a tuple), for one `Leaf`.
        learning_rate, weight_decay: numbers of at least 0, or schedules of the count of steps taken, from 0.
        mask: the leaves whose `chosen` is true: None for all, "weights" for those of at least two axes, a tree of booleans
            that begins like the parameters', or a function from the parameters to one.
        needs_params: whether the rule looks at `leaf.w`.
        **memory: name = the number that the rule's memory of that name is filled with to begin with.

    Raises a TypeError or ValueError that names the argument at fault.

    A rule that descends along the mean of all gradients so far:

    >>> def rule(leaf, total):
    ...     return -leaf.gamma * (total + leaf.g) / leaf.t.astype(float), (total + leaf.g,)
    >>> descent, w = by_leaf(rule, learning_rate=0.5, total=0.0), jnp.zeros(1)
    >>> state = descent.init(w)
    >>> for g in (4.0, 0.0):
    ...     step, state = descent.update(jnp.array([g]), state)
    ...     print(step, state.memory["total"])
    [-2.] [4.]
    [-1.] [4.]
    """
    gamma_of, lambda_of, choose = as_schedule(learning_rate), as_schedule(weight_decay, "weight_decay"), _choice(mask)

    def init(params):
        return State(jnp.zeros((), jnp.int32), {
            name: jax.tree.map(functools.partial(_filled, value), params) for name, value in memory.items()})

    def update(gradients, state, params=None, **extra_args):
        del extra_args
        if needs_params and params is None:
            raise ValueError("params must be given to this optimiser's update, got None: it depends on the parameters "
                             "themselves; call update(gradients, state, params)")
        leaves, tree = jax.tree.flatten(gradients, is_leaf=_absent)
        columns = [leaves,
                   tree.flatten_up_to(params) if needs_params else [None] * len(leaves),
                   tree.flatten_up_to(choose(params)) if needs_params else [True] * len(leaves),
                   *(tree.flatten_up_to(part) for part in state.memory.values())]
        t, gamma, lam = _next(state.count), gamma_of(state.count), lambda_of(state.count)
        rows = [_at_leaf(rule, *row, t=t, gamma=gamma, lam=lam) for row in zip(*columns, strict=True)]
        steps, *after = [tree.unflatten([row[i] for row in rows]) for i in range(1 + len(state.memory))]
        return steps, State(t, dict(zip(state.memory, after, strict=True)))

    return optax.GradientTransformationExtraArgs(init, update)


def like(array: Any, value: Any) -> jax.Array:
    """The scalar `value` in the dtype of `array`: a hyper-parameter that is swept as an array must not widen bfloat16."""
    return jnp.asarray(value, jnp.result_type(array))


def average(beta: Number, mean: jax.Array, x: jax.Array) -> jax.Array:
    """The exponential moving average  m ← (1 − β) x + β m,  shapes and dtype as `x`.

    >>> float(average(0.75, jnp.asarray(4.0), jnp.asarray(8.0)))
    5.0
    """
    return like(x, 1 - beta) * x + like(mean, beta) * mean


def unbiased(beta: Number, t: jax.Array, mean: jax.Array) -> jax.Array:
    """m / (1 − βᵗ): the average of t values without its start at 0, which has the share βᵗ of it.

    1 − βᵗ is made in JAX's default float and rounded at the end: in bfloat16 β = 0.999 is 1, and 1 − β would be 0.

    >>> float(unbiased(0.75, jnp.asarray(1), average(0.75, jnp.asarray(0.0), jnp.asarray(8.0))))
    8.0
    """
    return mean / like(mean, 1 - jnp.asarray(beta, float) ** t.astype(float))


def share(argument: str, value: Any) -> None:
    """A TypeError or ValueError unless `value` is at least 0 and below 1, as a decay β or a momentum μ; arrays pass."""
    checks.number(argument, value, low=0, high=math.nextafter(1, 0), wanted="a number of at least 0 and below 1")


def not_negative(argument: str, value: Any) -> None:
    """A TypeError or ValueError unless `value` is finite and at least 0; arrays pass."""
    checks.number(argument, value, low=0, high=sys.float_info.max, wanted="a finite number of at least 0")


def _at_leaf(rule: Callable, g: Any, w: Any, chosen: bool, *old: Any, t: Any, gamma: Any, lam: Any) -> tuple:
    """What becomes of the gradient g, and then of the memory."""
    if g is None:
        return (None, *old)
    gamma, lam = (jnp.asarray(rate, jnp.result_type(g, *old)) for rate in (gamma, lam))
    leaf = Leaf(jnp.asarray(g), None if w is None else jnp.asarray(w), t, gamma, lam, chosen)
    step, new = rule(leaf, *old)
    return (step, *(after.astype(before.dtype) for after, before in zip(new, old, strict=True)))


def _choice(mask: Mask) -> Callable:
    """params -> a tree of booleans, one for each of its leaves."""
    if mask is None:
        mask = True
    if isinstance(mask, str):
        mask = checks.one_of("mask", mask, MASKS)

    def choose(params):
        chosen = mask(params) if callable(mask) else mask
        for leaf in jax.tree.leaves(chosen):
            if not isinstance(leaf, bool | np.bool_):
                raise TypeError(f"mask must be None, 'weights', a tree of booleans or a function from the parameters to one; "
                                f"got {leaf!r} in it")
        return jax.tree.broadcast(chosen, params, is_leaf=_absent)

    return choose


def _filled(value: Number, w: Any) -> jax.Array:
    return jnp.full_like(w, value, dtype=jnp.result_type(w))


def _absent(node: Any) -> bool:
    return node is None


def _next(count: jax.Array) -> jax.Array:
    """One more, and at the largest integer no more: a count that wrapped round would start its schedule again."""
    return jnp.minimum(count, np.iinfo(count.dtype).max - 1) + 1
