"""Three independent derivatives of a scalar function, along directions: reverse mode, forward mode, central differences.

A *direction* moves one leaf of the parameters. A leaf of at most `ENTRIES` entries is probed along every coordinate, so that
the derivative of each entry is known; a larger one along `DIRECTIONS` random ±1 vectors.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ENTRIES = 4096
DIRECTIONS = 32
_CHUNK = 64  # directions evaluated side by side


class Probe(NamedTuple):
    """A reference's derivatives of one leaf: along `directions` (k, size), or of every entry where that is None."""

    directions: np.ndarray | None
    derivatives: np.ndarray
    noise: float  # the rounding error to be expected in the norm of `derivatives`


def autodiff(f: Callable, params, key) -> list[Probe]:
    """Reverse mode, `jax.grad`: every entry of every leaf."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(jax.grad(f)(params))]
    return [Probe(None, leaf.ravel(), _rounding(leaves)) for leaf in leaves]


def forward(f: Callable, params, key) -> list[Probe]:
    """Forward mode, `jax.jvp`."""
    def along(params, tangent):
        return jax.jvp(f, (params,), (tangent,))[1]

    probes = _probe(along, params, key)
    noise = _rounding([probe.derivatives for probe in probes])
    return [probe._replace(noise=noise) for probe in probes]


def differences(f: Callable, params, key) -> list[Probe]:
    """Central differences (f(p + hd) − f(p − hd)) / 2h with h = ∛u: truncation O(h²), rounding u|f|/h."""
    eps = float(jnp.finfo(jnp.result_type(*jax.tree.leaves(params))).eps)
    h = eps ** (1 / 3)

    def along(params, tangent):
        ahead = f(jax.tree.map(lambda p, d: p + h * d, params, tangent))
        behind = f(jax.tree.map(lambda p, d: p - h * d, params, tangent))
        return (ahead - behind) / (2 * h)

    size = abs(float(f(params)))
    return [probe._replace(noise=8 * eps * size / h * len(probe.derivatives) ** 0.5) for probe in _probe(along, params, key)]


REFERENCES = {"autodiff": autodiff, "forward": forward, "fd": differences}
RELATIVE = {"autodiff": 1e-12, "forward": 1e-12, "fd": 1e-6}
"""The largest relative error of a right leaf in float64, beyond the reference's own noise."""
TITLES = {"autodiff": "jax.grad", "forward": "forward mode", "fd": "central differences"}


def _rounding(leaves) -> float:
    """A leaf whose true gradient is 0 comes out at the rounding of the others: a few u times the largest norm."""
    return 16 * float(np.finfo(np.float64).eps) * max((float(np.linalg.norm(leaf)) for leaf in leaves), default=0.0)


def _probe(along: Callable, params, key) -> list[Probe]:
    leaves, tree = jax.tree.flatten(params)
    probes = []
    for i, (leaf, k) in enumerate(zip(leaves, jax.random.split(key, max(len(leaves), 1)), strict=False)):
        whole = leaf.size <= ENTRIES
        directions = jnp.eye(leaf.size, dtype=leaf.dtype) if whole else jax.random.rademacher(k, (DIRECTIONS, leaf.size), leaf.dtype)

        def one(direction, i=i, leaf=leaf):
            tangent = [jnp.zeros_like(other) for other in leaves]
            tangent[i] = direction.reshape(leaf.shape)
            return along(params, jax.tree.unflatten(tree, tangent))

        derivatives = jax.jit(lambda d, one=one: jax.lax.map(one, d, batch_size=_CHUNK))(directions)
        probes.append(Probe(None if whole else np.asarray(directions), np.asarray(derivatives), 0.0))
    return probes
