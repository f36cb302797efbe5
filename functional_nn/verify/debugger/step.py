"""One step of a backward pass: what a mistake sees, and how the step could be made again.

A *step* is (site, station): the head, the pullback to a station, the gradient of its weight or its
bias; and, with None for the station, the sum over the batch, the penalty and the finished gradient.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from functional_nn.verify.debugger.anatomy import kind_of
from functional_nn.verify.debugger.forward import Forward, pulled_back
from functional_nn.verify.debugger.where import only_if
from functional_nn.verify.stations import above


@dataclass
class Step:
    """What a mistake sees: the right value of its step, and all that it could be made from.

    Attributes:
      run: the pass so far.
      site, s: the step.
      right: its right value: δ (examples, units) at the head and at a pullback, else the leaf.
      leaf: "weight" or "bias", for a leaf and for the sum over the batch.
      gradient: at the end, the gradient so far.
    """

    run: Any
    site: str
    s: int
    right: np.ndarray
    leaf: str = "weight"
    gradient: Any = None

    @property
    def f(self) -> Forward:
        """Return the forward pass."""
        return self.run.f

    @property
    def part(self):
        """Return the layer."""
        return self.f.places[self.s].part

    @property
    def count(self) -> int:
        """Return the number of examples."""
        return len(self.f.x)

    @property
    def z(self) -> np.ndarray:
        """Return z."""
        return self.f.z[self.s]

    @property
    def out(self) -> np.ndarray:
        """Return σ(z)."""
        return self.f.out[self.s]

    @property
    def a(self) -> np.ndarray:
        """Return the factor that the weight's gradient has beside δ: the input, or x̂."""
        kind = kind_of(self.part)
        only_if(kind.factors is not None)
        return kind.factors(self.f.pieces[self.s], self.f.a[self.s], self.run.deltas[self.s])[1]

    @property
    def delta(self) -> np.ndarray:
        """Return δ of the station."""
        return self.run.deltas[self.s]

    @property
    def value(self) -> np.ndarray:
        """Return the parameter."""
        return self.f.params[self.s][self.leaf]

    @property
    def cotangent(self) -> np.ndarray:
        """Return ∂L/∂σ(z), with which σ′ is multiplied."""
        return self.run.cotangents[self.s]

    @property
    def slope(self) -> np.ndarray:
        """Return σ′(z)."""
        only_if(self.f.slope[self.s] is not None)
        return self.f.slope[self.s]

    @property
    def share(self) -> float:
        """Return the weight of an example that is in the deltas already."""
        return self.f.share if self.run.early else 1.0

    @property
    def upper(self) -> int:
        """Return the station whose weights pull back to this one: in a block, its first layer."""
        only_if(self.site == "pullback")
        t = above(self.f.places, self.s)
        only_if(len(self.f.places[t].path) == len(self.f.places[self.s].path))
        while self.f.places[t].part.parts:
            depth = len(self.f.places[t].path) + 1
            t = next(u for u in range(self.s + 1, t) if len(self.f.places[u].path) == depth)
        return t

    @property
    def skip(self) -> np.ndarray | float:
        """Return the terms of ∂L/∂σ(z) that come back through skip connections."""
        return sum(part for part, _ in self.run.parts(self.s)[:-1])

    def through(self, v: np.ndarray) -> np.ndarray:
        """Return v pulled back through σ."""
        if self.f.slope[self.s] is None:
            return pulled_back(self.part.activation, self.z, v)
        return v * self.slope

    def pulled(self, weight=None, delta=None, pieces=None) -> np.ndarray:
        """Return δ again, through another weight of the layer above, or from another δ above."""
        t = self.upper
        delta = self.run.deltas[t] if delta is None else delta
        if pieces is None:
            branch = self.run.pull(t, delta, None, weight)[0]
        else:
            part = self.f.places[t].part
            branch = kind_of(part).pull(part, self.f.params[t], {**self.f.pieces[t], **pieces}, delta)
        return self.through(self.skip + branch)

    def remade(self, delta=None, a=None, weights=None) -> np.ndarray:
        """Return the leaf again, from another δ, another a or other weights of the examples."""
        delta = self.delta if delta is None else delta
        only_if(delta.shape == self.delta.shape)
        if a is not None:
            only_if(a.shape == self.a.shape)
        return self.run.made(self.leaf, self.s, delta, a, weights)

    def each(self) -> np.ndarray:
        """Return the share of each example in the leaf, (examples, *leaf)."""
        weights = self.run.weights()
        units = np.eye(self.count)
        return np.stack([self.run.made(self.leaf, self.s, self.delta, weights=row * weights) for row in units])
