"""What a hypothesis works from: a scene with the deltas of the user's backward pass."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.scene import Scene
from functional_nn.verify.stations import Expected, Station, above


class View(NamedTuple):
    """A located scene; `expected` holds what the right steps compute from `deltas`."""

    scene: Scene
    deltas: tuple[np.ndarray, ...]
    expected: Expected

    @property
    def places(self) -> tuple[Station, ...]:
        """All stations."""
        return self.scene.places

    def z(self, s: int) -> np.ndarray:
        """z of station s, (examples, n)."""
        return np.asarray(self.scene.forward.z[s])

    def a(self, s: int) -> np.ndarray:
        """σ(z) of station s."""
        return np.asarray(self.scene.forward.outputs[s])

    def input(self, s: int) -> np.ndarray:
        """The input of station s, (examples, n_in)."""
        return np.asarray(self.scene.forward.inputs[s])

    def cotangent(self, s: int) -> np.ndarray:
        """The cotangent ∂L/∂σ(z) of station s, computed rightly from the deltas above."""
        if s < len(self.places) - 1:
            return np.asarray(self.expected.cotangents[s])
        slope = jax.vmap(self.scene.problem.loss.gradient)
        return self.scene.share * np.asarray(slope(jnp.asarray(self.a(s)), jnp.asarray(self.scene.y)))

    def through(self, s: int, cotangent) -> np.ndarray:
        """δ = σ′(z) ⊙ cotangent at station s."""
        pull = self.places[s].part.activation.pullback
        return np.asarray(pull(jnp.asarray(self.z(s)), jnp.asarray(cotangent)))

    def pulled(self, s: int, delta, weights=None) -> np.ndarray:
        """The cotangent ∂L/∂σ(z) of station s if the next layer or whole block had `delta`.

        All steps in between are right.

        Args:
          weights: {station: the array to use instead of its weights}.
        """
        t = above(self.places, s)
        deltas = [np.zeros_like(d) for d in self.deltas]
        deltas[t] = delta
        for inner in reversed(range(s + 1, t)):
            deltas[inner] = np.asarray(self.scene.expect(deltas, weights).deltas[inner])
        return np.asarray(self.scene.expect(deltas, weights).cotangents[s])

    def label(self, s: int) -> str:
        """The number of station s in formulas."""
        return self.places[s].label
