"""The surroundings in which a derivative rule is used: a rule that is right alone may be wrong in them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from functional_nn.verify.limits import NEARBY

COPIES = 3  # examples in a vmap, steps of a scan


class Composed(NamedTuple):
    """One way to use a function of several leaves.

    Attributes:
      name: its name.
      where: "under vmap".
      build: (function, number of leaves) -> the function in these surroundings, of the leaves that
        `leaves` makes.
      leaves: (leaves) -> the leaves that it is called with.
      applies: (leaves) -> whether the function can be used so at all.
    """

    name: str
    where: str
    build: Callable
    leaves: Callable[[Sequence], list]
    applies: Callable[[Sequence], bool] = lambda leaves: True

    def names(self, names: Sequence[str]) -> list[str]:
        """Return the names of the leaves that it is called with."""
        return [names[0]] if self.name == "aliasing" else list(names)

    def pulled(self, function: Callable, at: Sequence[np.ndarray], cotangents) -> list[np.ndarray]:
        """Return the gradients by its leaves; every copy of the function gets the same cotangents."""
        out, pull = jax.vjp(self.build(function, len(at)), [jnp.asarray(leaf) for leaf in self.leaves(at)])
        return [np.asarray(leaf) for leaf in pull([jnp.broadcast_to(jnp.asarray(g), o.shape).astype(o.dtype)
                                                   for g, o in zip(cotangents, out, strict=True)])[0]]


def _stacked(leaves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """COPIES of the leaves, each a little different."""
    return [np.stack([leaf * (1 + NEARBY * i) for i in range(COPIES)]) for leaf in leaves]


def _scanned(function: Callable, _: int) -> Callable:
    return lambda leaves: jax.lax.scan(lambda carry, each: (carry, function(each)), 0.0, leaves)[1]


def _sharded(function: Callable, _: int) -> Callable:
    mesh = jax.make_mesh((1,), ("copies",), devices=jax.devices()[:1], axis_types=(jax.sharding.AxisType.Auto,))
    spec = PartitionSpec("copies")
    return jax.jit(jax.shard_map(lambda leaves: [out[None] for out in function([leaf[0] for leaf in leaves])], mesh=mesh,
                                 in_specs=(spec,), out_specs=spec))


def _twins(leaves: Sequence[np.ndarray]) -> bool:
    return len(leaves) > 1 and all(leaf.shape == leaves[0].shape for leaf in leaves)


COMPOSED = (
    Composed("jit", "under jit", lambda function, _: jax.jit(function), list),
    Composed("vmap", "under vmap", lambda function, _: jax.vmap(function), _stacked),
    Composed("scan", "inside scan", _scanned, _stacked),
    Composed("remat", "under remat", lambda function, _: jax.checkpoint(function), list),
    Composed("shard_map", "inside shard_map", _sharded, lambda leaves: [leaf[None] for leaf in leaves]),
    Composed("aliasing", "where one array is passed for all arguments",
             lambda function, count: lambda leaves: function([leaves[0]] * count), lambda leaves: [leaves[0]], _twins),
)
