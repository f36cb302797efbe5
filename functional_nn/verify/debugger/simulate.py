"""The backward pass, with any of its steps changed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from functional_nn.verify.debugger.anatomy import kind_of, most, whole_leaves
from functional_nn.verify.debugger.forward import Forward, pulled_back
from functional_nn.verify.debugger.step import Step
from functional_nn.verify.debugger.where import Where, only_if
from functional_nn.verify.stations import above


@dataclass
class Run:
    """One backward pass, from the last station down.

    Attributes:
      f: the forward pass.
      changes: the changed steps: {(site, station): function of a `Step` that returns its value}.
      early: whether the head's δ, and not the sum over the batch, has the share of an example.
      deltas, cotangents: δ and ∂L/∂σ(z) of each station; `noise_…` their noise.
      leaves: the gradient by station and site; `noise` its noise.
      own: the gradient of the cost's own penalty by station and site, or None.
      bounds: whether noise is computed; else it is 0.
    """

    f: Forward
    changes: Mapping[Where, Callable[["Step"], np.ndarray]] = field(default_factory=dict)
    early: bool = False
    own: Any = None
    bounds: bool = True
    deltas: dict[int, np.ndarray] = field(default_factory=dict)
    noise_deltas: dict[int, np.ndarray] = field(default_factory=dict)
    cotangents: dict[int, np.ndarray] = field(default_factory=dict)
    noise_cotangents: dict[int, np.ndarray] = field(default_factory=dict)
    leaves: dict[Where, np.ndarray] = field(default_factory=dict)
    noise: dict[Where, np.ndarray] = field(default_factory=dict)

    def finish(self) -> "Run":
        """Run all steps, and return the pass."""
        for _ in self.steps():
            pass
        return self

    def steps(self) -> Iterator[Where]:
        """Run all steps from the loss down, and yield each leaf once it is as it will be."""
        whole = self.own is not None or ("penalty", None) in self.changes or ("finish", None) in self.changes
        for s in reversed(range(len(self.f.places))):
            self.down(s)
            for site in self.f.places[s].leaves:
                self.leaf(site, s)
                if not whole:
                    yield site, s
        if whole:
            for site in ("penalty", "finish"):
                self._everywhere(site)
            yield from self.leaves

    def down(self, s: int) -> None:
        """Make δ of station s from the deltas above."""
        site = "head" if s == self.f.last else "pullback"
        right, noise = self.delta(s)
        self.deltas[s], self.noise_deltas[s] = self._changed((site, s), right, noise)

    def delta_of(self, s: int) -> np.ndarray:
        """Return δ of a station, also of one below that is not reached yet."""
        for t in range(min(self.deltas) - 1, s - 1, -1):
            self.down(t)
        return self.deltas[s]

    def delta(self, s: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the right δ of station s from the deltas above, and its noise."""
        f = self.f
        if s == f.last:
            share = f.share if self.early else 1.0
            self.cotangents[s], self.noise_cotangents[s] = share * f.loss_slope, share * f.noise_head
            return share * f.head, share * f.noise_head
        parts = self.parts(s)
        cotangent, room = sum(part for part, _ in parts), sum(noise for _, noise in parts)
        self.cotangents[s], self.noise_cotangents[s] = cotangent, room
        if not self.bounds:
            return Step(self, "pullback", s, cotangent).through(cotangent), room
        if f.slope[s] is None:
            a, size = f.out[s], np.abs(cotangent)
            noise = a * (room + (a * room).sum(axis=1, keepdims=True)) + f.noise_slope[s] * (
                size + (a * size).sum(axis=1, keepdims=True)) + a * (f.noise_slope[s] * size).sum(axis=1, keepdims=True)
            return pulled_back(f.places[s].part.activation, f.z[s], cotangent), noise
        return cotangent * f.slope[s], room * np.abs(f.slope[s]) + np.abs(cotangent) * f.noise_slope[s]

    def parts(self, s: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return (term, noise) for each term of ∂L/∂σ(z) of station s: one for each use of σ(z)."""
        places = self.f.places
        t = above(places, s)
        if len(places[t].path) < len(places[s].path):  # the last layer of block t
            return [(self.deltas[t], self.noise_deltas[t])]
        return self._into(t, s + 1)

    def _into(self, t: int, first: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The terms of ∂L/∂a of the item whose station is t and whose first station is `first`."""
        f, place = self.f, self.f.places[t]
        if not place.part.parts:
            return [self.pull(t, self.deltas[t], self.noise_deltas[t] if self.bounds else None)]
        depth = len(place.path) + 1
        inner = next(u for u in range(first, t) if len(f.places[u].path) == depth)
        return [(self.deltas[t], self.noise_deltas[t]), *self._into(inner, first)]

    def pull(self, t: int, delta, noise=None, weight=None) -> tuple[np.ndarray, np.ndarray]:
        """Return ∂L/∂a of station t from its δ, and its noise, also through another weight."""
        f, kind = self.f, kind_of(self.f.places[t].part)
        p = f.params[t] if weight is None else {**f.params[t], "weight": weight}
        pulled = kind.pull(f.places[t].part, p, f.pieces[t], delta)
        if noise is None:
            return pulled, 0.0
        return pulled, kind.bound(f.places[t].part, p, f.pieces[t], noise, np.abs(delta), f.unit)

    def weights(self) -> np.ndarray:
        """Return the weight of each example in the sum over the batch."""
        return np.full(len(self.f.x), 1.0 if self.early else self.f.share)

    def made(self, site: str, s: int, delta, a=None, weights=None) -> np.ndarray:
        """Return the gradient of a leaf from δ, and from another a or other weights of examples."""
        f, kind = self.f, kind_of(self.f.places[s].part)
        weights = self.weights() if weights is None else weights
        if kind.factors is None:
            only_if(a is None)
            own = whole_leaves(f.places[s].part, f.params[s], f.pieces[s], delta)[f.places[s].leaves[site]]
            return np.tensordot(weights, own, axes=(0, 0))
        delta, known = kind.factors(f.pieces[s], f.a[s], delta)
        return self.product(site, s, delta, known if a is None else a, weights)

    def product(self, site: str, s: int, delta, a, weights) -> np.ndarray:
        """Return the gradient of a leaf from both factors."""
        delta = delta * weights.reshape(-1, *[1] * (delta.ndim - 1))
        return delta.sum(axis=0) if site == "bias" else kind_of(self.f.places[s].part).product(delta, a)

    def leaf(self, site: str, s: int) -> None:
        """Make the gradient of one leaf of station s from its δ."""
        where = site, s
        self.leaves[where], self.noise[where] = self._changed(where, self.summed(site, s), self._leaf_noise(site, s))

    def summed(self, site: str, s: int) -> np.ndarray:
        """Return the gradient of a leaf as the sum over the batch gives it, right or changed."""
        right = self.made(site, s, self.deltas[s])
        if ("batch", None) not in self.changes:
            return right
        return self.changes["batch", None](Step(self, "batch", s, right, site))

    def _leaf_noise(self, site: str, s: int) -> np.ndarray | float:
        if not self.bounds:
            return 0.0
        f, kind, weights = self.f, kind_of(self.f.places[s].part), self.weights()
        delta, noise = np.abs(self.deltas[s]), self.noise_deltas[s]
        if kind.factors is None:
            size = float((most(noise + f.unit * delta) * (1 + most(np.abs(f.a[s]))) * weights).sum())
            return np.full(np.shape(f.params[s][site]), 8 * size)
        delta, a = kind.factors(f.pieces[s], f.a[s], delta)
        noise, _ = kind.factors(f.pieces[s], f.a[s], noise)
        if "tied" in f.pieces[s]:
            noise = noise + f.pieces[s]["tied"] * np.abs(self.deltas[s])[:, None]
        if site == "bias":
            return self.product(site, s, noise + f.unit * delta, a, weights)
        room = f.pieces[s].get("noise", f.noise_a[s])
        return self.product(site, s, noise + f.unit * delta, np.abs(a), weights) + self.product(site, s, delta, room, weights)

    def _changed(self, where: Where, right, noise):
        if where not in self.changes:
            return right, noise
        value = np.asarray(self.changes[where](Step(self, *where, right, where[0])), dtype=np.float64)
        if not self.bounds:
            return value, 0.0
        with np.errstate(all="ignore"):
            size, new = (np.abs(v).max(initial=0) for v in (right, value))
            share = new / size if size > 0 and np.isfinite(new) else 1.0
        if value.shape != noise.shape:
            return value, np.full(value.shape, noise.max(initial=0) * max(1.0, share))
        rough = self.noise_cotangents[where[1]] if where[0] == "pullback" else 0.0
        return value, noise * max(1.0, share) + self.f.unit * np.abs(value) + rough

    def _everywhere(self, site: str) -> None:
        """Add the penalty, or change the finished gradient."""
        before, change = dict(self.leaves), self.changes.get((site, None))
        for (leaf, s), g in before.items():
            right = g if site == "finish" else self.own[leaf, s] if self.own is not None else np.zeros_like(g)
            value = right if change is None else change(Step(self, site, s, right, leaf, before))
            self.leaves[leaf, s] = value if site == "finish" else g + value
            if not self.bounds:
                continue
            room = self.noise[leaf, s] * (max(1.0, _share(value, right)) if site == "finish" else 1.0)
            self.noise[leaf, s] = room + self.f.unit * np.abs(value if site == "penalty" else value - right)


def _share(value, right) -> float:
    size = np.abs(right).max(initial=0)
    share = np.abs(value).max(initial=0) / size if size > 0 else 1.0
    return float(share) if np.isfinite(share) else 1.0
