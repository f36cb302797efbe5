"""One batch with its forward and backward pass, from which every quantity is computed.

What two quantities share, such as the gradient, is computed once: it is a cached property here.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from functional_nn import layers
from functional_nn.backprop.equations import Pass, every_example
from functional_nn.layers import Factors
from functional_nn.objective import Batch, Objective

__all__ = ["Quantity", "Scene", "quantity"]

COLUMNS = 16  # columns of the loss's square root that are propagated at a time, to bound the memory


class Scene:
    """One batch with its passes, and the options of the call.

    Attributes:
      problem, params, batch: the objective, the parameters, and the checked examples with weights
        1/B.
      clip, direction, key: the options of `quantities`.
      factors: the `Factors` of the network's layers.
    """

    def __init__(self, problem: Objective, params, batch: Batch, *, clip=None, direction=None,
                 key=None):
        self.problem, self.params, self.batch = problem, params, batch
        self.clip, self.direction, self.key = clip, direction, key
        self.factors: Factors = layers.factors_of(problem.net.layers)

    @property
    def size(self) -> int:
        """The number of examples, B."""
        return self.batch.weights.shape[0]

    @functools.cached_property
    def run(self) -> Pass:
        """The forward and backward pass of every example."""
        return every_example(self.problem, self.params, self.batch)

    @functools.cached_property
    def gradient(self):
        """The gradient ḡ of the mean cost."""
        return self.factors.weighted_sum(self.run.factors, self.batch.weights)

    @functools.cached_property
    def squared_norms(self) -> jax.Array:
        """|gᵢ|² of every example, (B,)."""
        return jax.vmap(self.factors.squared_norm, axis_size=self.size)(self.run.factors)

    @functools.cached_property
    def second_moment(self):
        """The mean of gᵢ², entry by entry."""
        return self.factors.squares(self.one_column, self.batch.weights)

    @property
    def one_column(self):
        """The factors of the gradient, in one column."""
        errors, inputs = self.run.factors
        return jax.tree.map(lambda e: e[:, None], errors), inputs

    def dots(self, direction) -> jax.Array:
        """gᵢ · direction of every example, (B,)."""
        return jax.vmap(lambda factors: self.factors.dot(factors, direction),
                        axis_size=self.size)(self.run.factors)

    @functools.cached_property
    def tangents(self) -> tuple:
        """R{tape} of every example, along the direction."""
        def one(tape):
            return layers.forward_tangent(
                self.problem.net.layers, self.params, tape, self.direction)[1]

        return jax.vmap(one)(self.run.tape)

    def root_squares(self, along: jax.Array):
        """Σᵢ weightsᵢ Σ_c (Jᵢᵀ Sᵢ u_c)², entry by entry, where SSᵀ is the loss's Gauss–Newton part.

        Args:
          along: the vectors u_c, (B, C, n_out). They are propagated `COLUMNS` at a time.
        """
        layers_, head = self.problem.net.layers, self.problem.head

        def of_example(tape, y, u):
            def column(u):
                return layers.backward(
                    layers_, self.params, tape, head.root(tape[-1].z, y, u))[1]
            return jax.vmap(column, out_axes=(0, None))(u)

        def squares(u):
            return self.factors.squares(
                jax.vmap(of_example)(self.run.tape, self.batch.y, u), self.batch.weights)

        return _in_chunks(squares, along)


def _in_chunks(function: Callable, along: jax.Array):
    """The sum of function(along[:, chunk]) over chunks of at most `COLUMNS` columns."""
    size, columns, n = along.shape
    if columns <= COLUMNS:
        return function(along)
    chunks = -(-columns // COLUMNS)
    padded = jnp.pad(along, ((0, 0), (0, chunks * COLUMNS - columns), (0, 0)))
    each = jnp.moveaxis(padded.reshape(size, chunks, COLUMNS, n), 1, 0)
    first = function(each[0])
    return jax.lax.scan(
        lambda total, u: (jax.tree.map(jnp.add, total, function(u)), None), first, each[1:])[0]


@dataclass(frozen=True)
class Quantity:
    """A quantity of the backward pass.

    Attributes:
      name: the name under which `quantities` computes it.
      of: what it has an entry for: "parameters", a pytree like params; "examples", an array (B,);
        "batch", one number; "layers", a dict of arrays (layers,); "blocks", a dict of matrices for
        each layer.
      compute: `Scene` -> the value.
      options: the options that it needs: "clip", "direction", "key".
      needs: the functions of `Factors`, `Layer`, `Activation` and `Head` that it needs.
      text: its equation and source.
    """

    name: str
    of: str
    compute: Callable[[Scene], Any] = field(repr=False)
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = field(default=(), repr=False)
    text: str = field(default="", repr=False)


def quantity(of: str, *, options: tuple[str, ...] = (), needs: tuple[str, ...] = ()) -> Callable:
    """A decorator: the `Quantity` whose name, equation and value are those of a function."""
    def made(compute: Callable[[Scene], Any]) -> Quantity:
        return Quantity(compute.__name__, of, compute, options, needs, compute.__doc__)
    return made
