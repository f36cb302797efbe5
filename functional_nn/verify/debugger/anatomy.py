"""What the kinds of layers are made of: their pieces, their pullback, and how a leaf is made.

Each kind is one record. A layer of another kind is differentiated by `jax.vjp` as a whole: its
steps are located as any other, and only mistakes in its insides have no name.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Leaves = dict[str, np.ndarray]


class Kind(NamedTuple):
    """A kind of layer, for batches: arrays have a leading axis of examples.

    `p` holds the parameters by site, "weight" and "bias".

    Attributes:
      forward: (layer, p, a, noise of a, unit) -> (z, noise of z, pieces): `pieces` holds what the
        backward pass needs besides.
      pull: (layer, p, pieces, δ) -> ∂L/∂a.
      bound: (layer, p, pieces, noise of δ, |δ|, unit) -> the noise of ∂L/∂a.
      factors: (pieces, a, δ) -> (δ, a), in the form in which they enter the leaves; None for a
        layer whose leaves are not made from factors.
      product: (δ, a) -> Σ over the examples of the weight's gradient.
      loose: pieces -> the share of δ whose way through the layer is undecided, such as that of
        maxout pieces that tie.
    """

    forward: Callable[..., tuple[np.ndarray, np.ndarray, Any]]
    pull: Callable[..., np.ndarray]
    bound: Callable[..., np.ndarray]
    factors: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None
    product: Callable[..., np.ndarray] | None = None


def kind_of(layer) -> Kind:
    """Return the anatomy of a layer."""
    return KINDS.get(layer.kind, WHOLE)


# dense: z = W a + b


def _dense(layer, p, a, noise, unit):
    W = np.abs(p["weight"])
    z = a @ p["weight"].T + p["bias"]
    return z, (noise + unit * np.abs(a)) @ W.T + unit * np.abs(p["bias"]), {"noise": noise}


def _dense_bound(layer, p, pieces, noise, delta, unit):
    return (noise + unit * delta) @ np.abs(p["weight"])


def _matrix(delta, a):
    return np.tensordot(delta, a, axes=(0, 0))


DENSE = Kind(_dense, lambda layer, p, pieces, delta: delta @ p["weight"], _dense_bound,
             lambda pieces, a, delta: (delta, a), _matrix)


# maxout: z = max over p of Wₚ a + bₚ


def _through(W, delta):
    """Σ over pieces and units of δ W, for δ (examples, pieces, units)."""
    return np.tensordot(delta, W, axes=((1, 2), (0, 1)))


def _maxout(layer, p, a, noise, unit):
    W = p["weight"]
    each = np.tensordot(a, W, axes=(1, 2)) + p["bias"]
    room = np.tensordot(noise + unit * np.abs(a), np.abs(W), axes=(1, 2)) + unit * np.abs(p["bias"])
    z = each.max(axis=1)
    won = (each == z[:, None]).astype(float)
    near = each + room >= (z - room.max(axis=1))[:, None]
    share = won / won.sum(axis=1, keepdims=True)
    tied = near & (near.sum(axis=1, keepdims=True) > 1)  # such a piece may have any share from 0 to 1
    pieces = {"share": share, "tied": tied * np.maximum(share, 1 - share), "noise": noise}
    return z, room.max(axis=1), pieces


def _maxout_bound(layer, p, pieces, noise, delta, unit):
    room = pieces["share"] * (noise + unit * delta)[:, None] + pieces["tied"] * delta[:, None]
    return _through(np.abs(p["weight"]), room)


MAXOUT = Kind(_maxout, lambda layer, p, pieces, delta: _through(p["weight"], pieces["share"] * delta[:, None]),
              _maxout_bound, lambda pieces, a, delta: (pieces["share"] * delta[:, None], a), _matrix)


# layer norm: z = g ⊙ x̂ + b, x̂ = (a − mean a) / √(var a + ε)


def _normed(layer, p, a, noise, unit):
    spread = np.sqrt(a.var(axis=1, keepdims=True) + layer.arguments["epsilon"])
    x_hat = (a - a.mean(axis=1, keepdims=True)) / spread
    room = noise + unit * np.abs(a).max(axis=1, keepdims=True)
    room = (room + room.max(axis=1, keepdims=True) * (1 + np.abs(x_hat))) / spread + unit * np.abs(x_hat)
    pieces = {"x_hat": x_hat, "spread": spread, "noise": room, "epsilon": layer.arguments["epsilon"]}
    return p["weight"] * x_hat + p["bias"], np.abs(p["weight"]) * room + unit * np.abs(p["bias"]), pieces


def norm_pull(v, x_hat, spread):
    """∂L/∂a of a layer norm, for v = g ⊙ δ."""
    return (v - v.mean(axis=1, keepdims=True) - x_hat * (v * x_hat).mean(axis=1, keepdims=True)) / spread


def _normed_bound(layer, p, pieces, noise, delta, unit):
    size, room, spread = np.abs(pieces["x_hat"]), pieces["noise"], pieces["spread"]

    def through(v, x_hat):
        return v + v.mean(axis=1, keepdims=True) + x_hat * (v * x_hat).mean(axis=1, keepdims=True)

    v, more = np.abs(p["weight"]) * delta, np.abs(p["weight"]) * (noise + 3 * unit * delta)
    moved = room.max(axis=1, keepdims=True) * (v.mean(axis=1, keepdims=True) + v) * (2 + size)
    return (through(more, size) + moved) / spread


LAYER_NORM = Kind(_normed, lambda layer, p, pieces, delta: norm_pull(p["weight"] * delta, pieces["x_hat"], pieces["spread"]),
                  _normed_bound, lambda pieces, a, delta: (delta, pieces["x_hat"]), lambda delta, a: (delta * a).sum(axis=0))


# any other layer, as a whole


def most(v: np.ndarray) -> np.ndarray:
    """The largest entry of each example."""
    return v.reshape(len(v), -1).max(axis=1, initial=0)


def along(each: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A number of each example, beside an array of examples."""
    return each.reshape(-1, *[1] * (v.ndim - 1))


@functools.lru_cache(maxsize=16)
def _compiled(layer):
    def forward(p, a):
        return layer.forward(p, a, None)[0]

    def back(p, a, delta):
        return jax.vjp(forward, p, a)[1](delta)

    return jax.jit(jax.vmap(forward, (None, 0))), jax.jit(jax.vmap(back, (None, 0, 0)))


def _whole(layer, p, a, noise, unit):
    z = np.asarray(_compiled(layer)[0](p["own"], jnp.asarray(a)))
    size = most(noise) + unit * (1 + most(np.abs(a)))
    return z, along(size, z) * (1 + np.abs(z)), {"a": a, "noise": noise}


def whole_leaves(layer, p, pieces, delta):
    """The gradients of each example's leaves for any layer, by their own names."""
    return jax.tree.map(np.asarray, _compiled(layer)[1](p["own"], jnp.asarray(pieces["a"]), jnp.asarray(delta))[0])


def _whole_pull(layer, p, pieces, delta):
    return np.asarray(_compiled(layer)[1](p["own"], jnp.asarray(pieces["a"]), jnp.asarray(delta))[1])


def _whole_bound(layer, p, pieces, noise, delta, unit):
    room = noise + unit * delta
    pulled = [np.abs(_whole_pull(layer, p, pieces, room * np.random.default_rng(i).choice([-1.0, 1.0], room.shape)))
              for i in range(4)]
    return 4 * along(np.max([most(v) for v in pulled], axis=0), pulled[0]) * np.ones_like(pulled[0])


WHOLE = Kind(_whole, _whole_pull, _whole_bound)

KINDS = {"dense": DENSE, "maxout": MAXOUT, "layer_norm": LAYER_NORM}
"""Kind of a layer -> its anatomy."""
