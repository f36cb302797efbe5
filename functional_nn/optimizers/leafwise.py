"""The shared frame of the optimisers: `by_leaf` turns a rule for one leaf into an optimiser.

A rule reads like the equations of its paper. `by_leaf` applies it to every leaf of the
parameters, counts the steps, evaluates the schedules and keeps the memory. The result is an
`optax.GradientTransformation`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import checks
from functional_nn.schedules import Number, Schedule, as_schedule

__all__ = ["Leaf", "Mask", "State", "average", "by_leaf", "like", "share",
           "unbiased"]

# None: all leaves. "weights": the leaves with at least two axes. Otherwise as in optax: a tree of
# booleans, or a function from the parameters to such a tree.
Mask = Any
MASKS = {"weights": lambda params: jax.tree.map(lambda w: jnp.ndim(w) >= 2, params)}


class State(NamedTuple):
    """The state of an optimiser.

    Attributes:
      count: the number of steps taken, an int32 scalar.
      memory: name -> a pytree shaped like the parameters, in their dtypes.
    """

    count: jax.Array
    memory: dict[str, Any]


class Leaf(NamedTuple):
    """The input of a rule: one leaf at one step.

    Attributes:
      g: the gradient, or the output of the preceding transformation in an `optax.chain`.
      w: the parameters, of g's shape; None unless `by_leaf` has `needs_params`.
      t: the number of this step, from 1.
      gamma: the learning rate γ_t, a scalar in the dtype of g and the memory.
      lam: the weight decay λ_t, a scalar in the same dtype.
      chosen: whether the mask selects this leaf.
    """

    g: jax.Array
    w: jax.Array | None
    t: jax.Array
    gamma: jax.Array
    lam: jax.Array
    chosen: bool


def by_leaf(
    rule: Callable, *, learning_rate: Number | Schedule = 1.0,
    weight_decay: Number | Schedule = 0.0, mask: Mask = None, needs_params: bool = False,
    **memory: Number
) -> optax.GradientTransformationExtraArgs:
    """The gradient transformation that applies `rule` to every leaf.

    A leaf without a gradient (None) gets no step, and its memory is unchanged. The memory keeps
    the dtype of the parameters, so that `jit` does not retrace at the second step.

    Args:
        rule: (leaf, *memory) -> (step, new memory as a tuple), for one `Leaf`. The step replaces
            leaf.g and has its shape.
        learning_rate, weight_decay: numbers of at least 0, or schedules of the count of steps
            taken, from 0.
        mask: the leaves for which `chosen` is true. None: all; "weights": those with at least two
            axes; or a tree of booleans that is a prefix of the parameters, or a function from the
            parameters to such a tree. A mask needs the parameters too.
        needs_params: whether the rule uses `leaf.w`; `update` then needs the parameters.
        **memory: name = the number that the memory of that name is initially filled with.

    Raises a TypeError or ValueError that names the wrong argument; `update` raises a ValueError
    if it needs the parameters and does not get them.

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
    needs_params = needs_params or mask is not None
    gamma_of, lambda_of, choose = (
        as_schedule(learning_rate), as_schedule(weight_decay, "weight_decay"), _choice(mask))

    def init(params):
        return State(jnp.zeros((), jnp.int32), {
            name: jax.tree.map(functools.partial(_filled, value), params)
            for name, value in memory.items()})

    def update(gradients, state, params=None, **extra_args):
        del extra_args
        if needs_params and params is None:
            raise ValueError(
                "params must be given to this optimiser's update, got None: it depends on the "
                "parameters themselves; call update(gradients, state, params)")
        leaves, tree = jax.tree.flatten(gradients, is_leaf=_absent)
        columns = [leaves,
                   tree.flatten_up_to(params) if needs_params else [None] * len(leaves),
                   tree.flatten_up_to(choose(params)) if needs_params else [True] * len(leaves),
                   *(tree.flatten_up_to(part) for part in state.memory.values())]
        t, gamma, lam = _next(state.count), gamma_of(state.count), lambda_of(state.count)
        rows = [_at_leaf(rule, *row, t=t, gamma=gamma, lam=lam)
                for row in zip(*columns, strict=True)]
        steps, *after = [
            tree.unflatten([row[i] for row in rows]) for i in range(1 + len(state.memory))]
        return steps, State(t, dict(zip(state.memory, after, strict=True)))

    return optax.GradientTransformationExtraArgs(init, update)


def like(array: Any, value: Any) -> jax.Array:
    """The scalar `value` in the dtype of `array`.

    A hyper-parameter that is an array, to be swept, would otherwise widen bfloat16.
    """
    return jnp.asarray(value, jnp.result_type(array))


def average(beta: Number, mean: jax.Array, x: jax.Array) -> jax.Array:
    """The exponential moving average m ← (1 − β) x + β m, of the shape and dtype of `x`.

    >>> float(average(0.75, jnp.asarray(4.0), jnp.asarray(8.0)))
    5.0
    """
    return like(x, 1 - beta) * x + like(mean, beta) * mean


def unbiased(beta: Number, t: jax.Array, mean: jax.Array) -> jax.Array:
    """The bias-corrected average m / (1 − βᵗ), of the shape and dtype of `mean`.

    An average of t values that began at 0 gives these values the total weight 1 − βᵗ. That number
    is computed in JAX's default float and rounded last: in bfloat16, β = 0.999 rounds to 1, and
    1 − β would be 0.

    >>> float(unbiased(0.75, jnp.asarray(1), average(0.75, jnp.asarray(0.0), jnp.asarray(8.0))))
    8.0
    """
    return mean / like(mean, 1 - jnp.asarray(beta, float) ** t.astype(float))


def share(argument: str, value: Any) -> None:
    """Raise a TypeError or ValueError unless `value` is a number in [0, 1).

    Decays β and momenta μ are such numbers. Arrays are not checked.
    """
    checks.number(
        argument, value, low=0, high=math.nextafter(1, 0),
        wanted="a number of at least 0 and below 1")


def _at_leaf(
    rule: Callable, g: Any, w: Any, chosen: bool, *old: Any, t: Any, gamma: Any, lam: Any
) -> tuple:
    """(step, *new memory) of one leaf; the new memory has the dtype of the old."""
    if g is None:
        return (None, *old)
    gamma, lam = (jnp.asarray(rate, jnp.result_type(g, *old)) for rate in (gamma, lam))
    leaf = Leaf(jnp.asarray(g), None if w is None else jnp.asarray(w), t, gamma, lam, chosen)
    step, new = rule(leaf, *old)
    return (step, *(after.astype(before.dtype) for after, before in zip(new, old, strict=True)))


def _choice(mask: Mask) -> Callable:
    """The mask as a function from the parameters to a tree of booleans, one for each leaf."""
    if mask is None:
        mask = True
    if isinstance(mask, str):
        mask = checks.one_of("mask", mask, MASKS)

    def choose(params):
        chosen = mask(params) if callable(mask) else mask
        for leaf in jax.tree.leaves(chosen):
            if not isinstance(leaf, bool | np.bool_):
                raise TypeError(
                    f"mask must be None, 'weights', a tree of booleans or a function from the "
                    f"parameters to one; got {leaf!r} in it")
        return jax.tree.broadcast(chosen, params, is_leaf=_absent)

    return choose


def _filled(value: Number, w: Any) -> jax.Array:
    return jnp.full_like(w, value, dtype=jnp.result_type(w))


def _absent(node: Any) -> bool:
    return node is None


def _next(count: jax.Array) -> jax.Array:
    """count + 1, at most the largest integer: after an overflow a schedule would start again."""
    return jnp.minimum(count, np.iinfo(count.dtype).max - 1) + 1
