"""The right forward pass of a batch, with a bound of the rounding error of each number."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.activations import ACTIVATIONS
from functional_nn.objective import Objective
from functional_nn.verify.debugger.anatomy import kind_of
from functional_nn.verify.debugger.tolerance import CAP, KINK, ROUGH, UNITS, smallest
from functional_nn.verify.stations import Station, at

Params = tuple[dict[str, Any], ...]
TINIEST = float(np.finfo(np.float64).tiny)


class Forward(NamedTuple):
    """The forward pass; arrays have a leading axis of examples, tuples an entry per station.

    Attributes:
      problem, places: the network with its loss, and its stations.
      params: the parameters by site, "weight" and "bias"; "own" holds them by their own names.
      x, y: the inputs and targets.
      share: the weight of an example in the cost.
      unit: UNITS rounding units of the function's arithmetic, relative.
      a, z, out: the input, the pre-activation and σ(z) of each station.
      noise_a, noise_z: the noise of a and z.
      slope: σ′(z); None where σ is no function of each entry.
      noise_slope: the noise of σ′(z), the jump at a kink included.
      pieces: what the layer's kind needs for the backward pass.
      head: ∂L/∂zᴸ of each example; `noise_head` is its noise.
      loss_slope: ∇ₐL of each example.
      memo: what mistakes have computed of it.
    """

    problem: Objective
    places: tuple[Station, ...]
    params: Params
    x: np.ndarray
    y: np.ndarray
    share: float
    unit: float
    a: tuple[np.ndarray, ...]
    z: tuple[np.ndarray, ...]
    out: tuple[np.ndarray, ...]
    noise_a: tuple[np.ndarray, ...]
    noise_z: tuple[np.ndarray, ...]
    slope: tuple[np.ndarray | None, ...]
    noise_slope: tuple[np.ndarray, ...]
    pieces: tuple[Any, ...]
    head: np.ndarray
    noise_head: np.ndarray
    loss_slope: np.ndarray
    memo: dict[Any, Any]

    @property
    def last(self) -> int:
        """Return the index of the last station."""
        return len(self.places) - 1

    @property
    def kinked(self) -> bool:
        """Return whether some unit stands at a kink, or pieces of a maxout tie."""
        jumps = any(place.part.activation.kink and (np.abs(z) <= noise).any()
                    for place, z, noise in zip(self.places, self.z, self.noise_z, strict=True))
        ties = any(piece["tied"].any() for piece in self.pieces if "tied" in piece)
        return bool(jumps or ties or (self.noise_head > 1e3 * self.unit * (np.abs(self.head) + 1)).any())


def by_site(tree, places: Sequence[Station]) -> Params:
    """Return a tree like the network's parameters as a dict by site for each station."""
    def of(place):
        own = at(tree, place)
        named = {site: np.asarray(own[leaf], np.float64) for site, leaf in place.leaves.items()}
        return {**named, "own": own} if not place.part.parts and kind_of(place.part).factors is None else named

    return tuple(map(of, places))


def forward(problem: Objective, places, params: Params, x: np.ndarray, y: np.ndarray, unit: float) -> Forward:
    """Return the forward pass of a batch x, y (examples, units) at parameters by site.

    `unit` is the rounding unit of the function's arithmetic.
    """
    unit = UNITS * unit
    found: list[list] = []
    _, _, noise_out = _run(problem.net.layers, 0, places, params, x, np.zeros_like(x), unit, found)
    a, z, out, noise_a, noise_z, slope, noise_slope, pieces = (tuple(column) for column in zip(*found, strict=True))
    head, noise_head, loss_slope = _head(problem, z[-1], out[-1], y, noise_z[-1], noise_out, unit)
    share = 1 / len(x) if problem.reduction == "mean" else 1.0
    return Forward(problem, places, params, x, y, share, unit, a, z, out, noise_a, noise_z, slope, noise_slope, pieces, head,
                   noise_head, loss_slope, {})


def _run(layers, s: int, places, params, a, noise, unit: float, found: list) -> tuple[int, Any, Any]:
    """Run layers from station s on; append a row per station; return (next station, output, noise)."""
    for layer in layers:
        before, before_noise, pieces = a, noise, {}
        if layer.parts:
            s, branch, branch_noise = _run(layer.parts, s, places, params, a, noise, unit, found)
            z, noise_z = a + branch, noise + branch_noise + unit * np.abs(branch)
        elif s == len(places) or places[s].part is not layer:  # dropout, which does nothing without a key
            continue
        else:
            z, noise_z, pieces = kind_of(layer).forward(layer, params[s], a, noise, unit)
        a, noise, slope, noise_slope = _activated(layer.activation, z, noise_z, unit)
        found.append([before, z, a, before_noise, noise_z, slope, noise_slope, pieces])
        s += 1
    return s, a, noise


def _activated(activation, z, noise_z, unit: float):
    """Return σ(z), its noise, σ′(z) and its noise, from the values on either side of z."""
    if not activation.elementwise:
        low, mid, high = (rowwise(activation, z + side * noise_z) for side in (-1, 0, 1))
        noise = np.maximum(np.abs(low - mid), np.abs(high - mid)) + noise_z.max(axis=1, keepdims=True) * mid + unit * np.abs(mid)
        return mid, noise, None, noise
    wide = _over_the_kink(activation, z, noise_z)
    (_, down), (_, up) = (elementwise(activation, z + side * wide) for side in (-1, 1))
    (low, mid, high), (_, here, _) = elementwise(activation, np.stack([z - noise_z, z, z + noise_z]))
    noise = np.maximum(np.abs(low - mid), np.abs(high - mid)) + unit * np.abs(mid) + smallest(unit)
    slack = 0.0 if activation.straight else unit
    return mid, noise, here, np.maximum(np.abs(down - here), np.abs(up - here)) + slack


def _over_the_kink(activation, z, noise_z):
    """How far z may be off: across the kink where it is beside one, whatever its noise."""
    return noise_z + KINK * np.abs(z).max(axis=1, keepdims=True, initial=0) + TINIEST if activation.kink else noise_z


def elementwise(activation, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (σ(z), σ′(z)) of an activation of each entry.

    The array is padded to a power of two entries, so that few programs are compiled.
    """
    padded = np.zeros(max(256, 1 << (max(z.size, 1) - 1).bit_length()))
    padded[:z.size] = z.ravel()
    value, slope = _elementwise(activation)(jnp.asarray(padded))
    return tuple(np.asarray(v)[:z.size].reshape(z.shape) for v in (value, slope))


def known_slopes(z: np.ndarray) -> dict[str, np.ndarray]:
    """Return σ′(z) of each known activation of single entries, by its name."""
    padded = np.zeros(max(256, 1 << (max(z.size, 1) - 1).bit_length()))
    padded[:z.size] = z.ravel()
    return {name: np.asarray(v)[:z.size].reshape(z.shape) for name, v in _known_slopes(jnp.asarray(padded)).items()}


@jax.jit
def _known_slopes(z):
    return {name: jax.vjp(each, z)[1](jnp.ones_like(z))[0] for name, each in ACTIVATIONS.items() if each.elementwise}


def rowwise(activation, z: np.ndarray) -> np.ndarray:
    """Return σ(z) of an activation of each row."""
    return np.asarray(_rowwise(activation)[0](_padded(z)))[:len(z)]


def pulled_back(activation, z: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the product of v and the Jacobian of σ at z, row by row."""
    return np.asarray(_rowwise(activation)[1](_padded(z), _padded(v)))[:len(z)]


@functools.lru_cache(maxsize=64)
def _elementwise(activation):
    def both(z):
        value, pull = jax.vjp(activation, z)
        return value, pull(jnp.ones_like(z))[0]

    return jax.jit(both)


@functools.lru_cache(maxsize=16)
def _rowwise(activation):
    return jax.jit(activation), jax.jit(lambda z, v: jax.vjp(activation, z)[1](v)[0])


def _padded(v: np.ndarray) -> jax.Array:
    """The rows, padded to a multiple of 8 with copies of the first."""
    return jnp.asarray(v[np.concatenate([np.arange(len(v)), np.zeros(-len(v) % 8, int)])])


@functools.lru_cache(maxsize=32)
def _slopes(problem: Objective):
    return jax.jit(jax.vmap(jax.grad(problem.head.value))), jax.jit(jax.vmap(jax.grad(problem.loss)))


def slope_of_head(problem: Objective, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ∂L/∂z of each row."""
    return np.asarray(_slopes(problem)[0](_padded(z), _padded(y)))[:len(z)]


def slope_of_loss(problem: Objective, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ∇ₐL of each row."""
    return np.asarray(_slopes(problem)[1](_padded(a), _padded(y)))[:len(a)]


def _head(problem: Objective, z, a, y, noise_z, noise_a, unit: float):
    """Return (∂L/∂z, its noise, ∇ₐL) of each example."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(2, *z.shape))
    wide = _over_the_kink(problem.net.output, z, noise_z)
    sides = [z, z - wide, z + wide, *(z + sign * wide for sign in signs)]
    middle, *others = np.split(slope_of_head(problem, np.concatenate(sides), np.concatenate([y] * len(sides))), len(sides))
    slope = slope_of_loss(problem, a, y)
    size = np.minimum(np.abs(np.nan_to_num(slope, posinf=CAP, neginf=CAP)), CAP)
    size = np.maximum(size, size.max(axis=1, keepdims=True)) if not problem.net.output.elementwise else size
    most = np.max(np.abs([middle, *others]), axis=0)
    noise = np.max([np.abs(other - middle) for other in others], axis=0) + unit * (most + np.minimum(size, 1 + np.abs(y)))
    return middle, noise if problem.net.output.elementwise else noise + _jumps(problem, z, a, y, noise_a, slope), slope


def _jumps(problem: Objective, z, a, y, noise_a, slope):
    """How far ∂L/∂z may be off where slopes of the loss jump, each entry's on its own."""
    jump = np.max([np.abs(slope_of_loss(problem, a + side * noise_a, y) - slope) for side in (-1, 1)], axis=0)
    jump = np.nan_to_num(jump, posinf=0.0)
    return sum((np.abs(pulled_back(problem.net.output, z, jump * (np.arange(z.shape[1]) == j)))
                for j in np.nonzero((jump > ROUGH).any(axis=0))[0]), np.zeros_like(z))
