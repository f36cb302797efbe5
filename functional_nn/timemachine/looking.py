"""What is recorded of one step: the passes of its examples, its weights, and who moved them."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import layers
from functional_nn.explanation.formulas import sections
from functional_nn.explanation.notation import Symbol
from functional_nn.explanation.numbers import of_example, rests
from functional_nn.explanation.plan import Plan
from functional_nn.objective import Objective

__all__ = ["PUSHERS", "Layout", "Look", "layout", "looker"]

OF_PASSES = {"a", "z", "σ′", "δ", "∂a", "y", "L", "more z", "more δ"}
PUSHERS = 3  # so many of the examples that move a weight most are recorded


@dataclasses.dataclass(frozen=True)
class Layout:
    """The order of the recorded numbers.

    Attributes:
      plan: the nodes of each layer that are recorded.
      passes: the symbols of one example at one step.
      weights: the symbols "w" and "b" of the weights and biases.
    """

    plan: Plan
    passes: tuple[Symbol, ...]
    weights: tuple[Symbol, ...]


class Look(NamedTuple):
    """The record of one step, or of all with an axis in front.

    Attributes:
      cost: C of the mini-batch before the step.
      batch: the number of examples of the mini-batch.
      rows: the rows of the recorded examples, (E,).
      passes: the numbers of `Layout.passes` for every recorded example, (E, P).
      before, after: the weights before the step and after it, (W,).
      gradient: ∂C/∂w, (W,).
      penalty: the gradient of the penalty, (W,).
      step: the update, (W,).
      memory: the update that the optimiser would make with the gradient 0, (W,).
      fresh: what is left of the update without the memory, (W,).
      pushers: the places among the recorded examples of those with the largest terms of ∂C/∂w,
        (W, PUSHERS).
      pushes: their terms of ∂C/∂w, (W, PUSHERS).
      others: the sum of the terms of all other examples, (W,).
    """

    cost: Any
    batch: Any
    rows: Any
    passes: Any
    before: Any
    after: Any
    gradient: Any
    penalty: Any
    step: Any
    memory: Any
    fresh: Any
    pushers: Any
    pushes: Any
    others: Any


def layout(plan: Plan) -> Layout:
    """The `Layout` of a plan: all that its formulas are made of."""
    inputs = [Symbol("a", 1, (k,)) for k in plan.shown[0]]
    outputs = [Symbol("y", plan.last, (j,)) for j in plan.shown[-1]]
    written = [symbol for section in sections(plan) for formula in section.formulas
               for symbol in (formula.symbol, *formula.parts) if isinstance(symbol, Symbol)]
    passes = [symbol for symbol in (*inputs, *outputs, *written)
              if symbol.letter in OF_PASSES and (symbol.index or not symbol.layer)]
    weights = []
    for l in _affine(plan):
        nodes = plan.shown[l - 1]
        weights += [Symbol("w", l, (j, k)) for j in nodes for k in plan.shown[l - 2]]
        weights += [Symbol("b", l, (j,)) for j in nodes]
    return Layout(plan, tuple(dict.fromkeys(passes)), tuple(weights))


def looker(
    given: Layout, problem: Objective, update: Callable, optimizer, penalty, times: Callable,
    examples: int
) -> Callable[..., Look]:
    """The compiled function that records a step.

    Args:
      given: what is recorded.
      problem: the network and the loss, perhaps with a mistake in its backward pass.
      update: the next step of the optimiser, as `training.steps.update_function` returns it.
      optimizer: the optimiser.
      penalty: the penalty, or None.
      times: the number of examples -> by what the gradient is multiplied.
      examples: how many examples of the mini-batch are recorded at most.

    Returns (params, state, key, rows, count, X, Y[, W]) -> a `Look`. The arguments are those of
    `update`, but `count` is no array.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    factors_of = layers.factors_of(problem.net.layers)
    plan = given.plan

    def look(params, state, key, rows, count, X, Y, *W) -> Look:
        n = rows.size if count is None else count
        batch = problem.batch(params, X[rows], Y[rows], key=key if problem.net.random else None)
        found, factors = jax.tree.map(lambda part: part[:n], jax.vmap(
            lambda *one: of_example(problem, params, *one))(batch.x, batch.y, batch.keys))
        # the cost is Σ wᵢ Lᵢ / n, as in `training.steps.gradient_function`
        weights = times(n) / n * (W[0][rows[:n]] if W else jnp.ones(n, batch.x.dtype))
        size = jnp.abs(weights) * jnp.sqrt(jax.vmap(factors_of.squared_norm)(factors))
        picked = jnp.sort(jax.lax.top_k(size, min(examples, n))[1])
        cost, slope, step, _ = update(params, state, key, rows, count, X, Y, *W)
        extra = {"value": cost, "grad": slope, "value_fn": lambda params: cost}
        still, _ = optimizer.update(jax.tree.map(jnp.zeros_like, slope), state, params, **extra)
        drag = jax.tree.map(jnp.zeros_like, slope) if penalty is None else penalty.gradient(params)
        plain = factors_of.weighted_sum(factors, weights)
        found |= {("w", l): params[l - 2]["w"] for l in _affine(plan)}
        found |= {("b", l): params[l - 2]["b"] for l in _affine(plan)}
        found |= rests(problem, found, plan.shown)
        total = _weights(given, plain)
        places, pushes = _pushers(_terms(given, found, weights)[picked])
        return Look(
            cost, jnp.asarray(n), rows[picked], _passes(given, found)[picked],
            _weights(given, params),
            _weights(given, optax.apply_updates(params, step)), total, _weights(given, drag),
            _weights(given, step), _weights(given, still),
            _weights(given, optax.tree.sub(step, still)), places, pushes,
            total - jnp.sum(pushes, axis=-1))

    return jax.jit(look, static_argnums=4)


def _affine(plan: Plan) -> list[int]:
    return [l for l in range(2, plan.last + 1) if plan.layer(l).equations.affine]


def _passes(given: Layout, found) -> jax.Array:
    """The numbers of `given.passes` for every example of the batch, (B, P)."""
    return jnp.stack([found[s.letter, s.layer][(slice(None), *s.index)] for s in given.passes], 1)


def _weights(given: Layout, tree) -> jax.Array:
    """The entries of a tree like params that are recorded, (W,)."""
    return jnp.concatenate([
        block.ravel() for l in _affine(given.plan)
        for block in (tree[l - 2]["w"][_block(given.plan, l)],
                      tree[l - 2]["b"][np.array(given.plan.shown[l - 1])])])


def _block(plan: Plan, l: int) -> tuple:
    return np.ix_(plan.shown[l - 1], plan.shown[l - 2])


def _terms(given: Layout, found, weights) -> jax.Array:
    """The term of every example in ∂C/∂w: its weight times δ a, (B, W)."""
    terms = []
    for l in _affine(given.plan):
        delta = weights[:, None] * found["δ", l][:, np.array(given.plan.shown[l - 1])]
        a = found["a", l - 1][:, np.array(given.plan.shown[l - 2])]
        terms += [jnp.einsum("bj,bk->bjk", delta, a).reshape(len(delta), -1), delta]
    return jnp.concatenate(terms, axis=1)


def _pushers(terms: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The places and values of the largest terms of every weight, (W, PUSHERS) each."""
    count = min(PUSHERS, len(terms))
    places = jax.lax.top_k(jnp.abs(terms.T), count)[1]
    return places, jnp.take_along_axis(terms.T, places, axis=1)
