"""The function under test, the points at which it is evaluated, and its rounding."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective
from functional_nn.verify import kinks, observe
from functional_nn.verify.dither import either_side
from functional_nn.verify.scene import Scene
from functional_nn.verify.subject import Subject

SMALL = 0.01  # up to this move the examples keep their targets
# Examples searched for those clear of kinks, and pairs of nearby parameters for that search:
CANDIDATES, LOOKS = 24, 16


@dataclass(frozen=True)
class Trial:
    """The function under test, the points at which it is evaluated, and its rounding.

    Attributes:
      y: the targets in the form that the loss takes.
      penalty: the gradient of the cost's own penalty, (params) -> a tree like them; or None.
      unit: the rounding unit of the gradients that are compared.
      coarse: the rounding unit of the function itself, if `unit` is that of a mean.
    """

    problem: Objective
    subject: Subject
    X: np.ndarray
    Y: np.ndarray
    y: np.ndarray
    penalty: Any
    tolerance: float
    unit: float
    seed: int
    coarse: float = 0.0
    lenient: bool = False  # allow for rounding inside the function

    def rounded(self) -> "Trial":
        """The trial of the rounded function itself, without averaging."""
        subject = copy.copy(self.subject)
        subject.mean = None
        return replace(self, subject=subject, unit=self.coarse, tolerance=16 * self.coarse)

    def singles(self, count: int) -> Scene:
        """The scene of the first `count` examples, one call each."""
        scene = observe.singles(self.problem, self.subject, self.X, self.Y, self.y, count, self.tolerance, self.unit)
        return self._twinned(scene, list(range(count)))

    def together(self, rows) -> Scene:
        """The scene of some examples in one call."""
        scene = observe.together(self.problem, self.subject, self.X, self.Y, self.y, rows, self.tolerance, self.unit)
        return self._twinned(scene, list(rows))

    def _twinned(self, scene: Scene, rows: list[int]) -> Scene:
        if not self.lenient:
            return scene
        return observe.with_twins(scene, self.problem, self.subject, self.X[rows], self.y[rows], self.seed)

    @property
    def few(self) -> int:
        """The number of single examples that suffices to see a mistake."""
        return max(3, min(observe.FEW, len(self.X), observe.ENTRIES // self._size))

    @property
    def enough(self) -> int:
        """The number of single examples that suffices to name a mistake, if nothing is solved."""
        return max(self.few, min(observe.NAMED, observe.ENTRIES // (2 * self._size)))

    @property
    def many(self) -> int:
        """The number of single examples that suffices to name a mistake and solve for weights."""
        own = self.subject.stationed(self.subject.params)
        widest = max(own[s][place.bias].size for s, place in enumerate(self.subject.places) if place.leaves)
        return max(self.enough, min(widest + 3, observe.MANY, observe.ENTRIES // (4 * self._size)))

    @property
    def _size(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.subject.params))

    def widened(self, count: int) -> "Trial":
        """The trial with at least `count` examples."""
        X, Y = observe.enough(self.X, self.Y, count, self.seed)
        return replace(self, X=X, Y=Y, y=targets(self.problem, self.subject, X, Y))

    def moved(self, size: float, afar: float = 1.0) -> "Trial":
        """The trial at other parameters and inputs and, for a large move, with other targets.

        `size` is the relative move of the parameters; inputs move `afar` times as far.
        """
        subject = self.subject.moved(self.seed, size)
        noise = np.random.default_rng(self.seed + 1).normal(size=self.X.shape) * (np.abs(self.X).mean() + 0.1)
        order = np.roll(np.arange(len(self.X)), 1) if size > SMALL else np.arange(len(self.X))  # other targets
        trial = replace(self, subject=subject, X=self.X + afar * size * noise, Y=self.Y[order], y=self.y[order])
        subject.own, subject.added, subject.power = trial.cost_penalty(), None, 0.0
        subject.spare = None if subject.spare is None else trial.right
        return trial.clear()

    @property
    def kinked(self) -> bool:
        """Whether the network has kinks and is small enough to check for them."""
        return self._size <= observe.LARGE and kinks.has_kinks(self.problem.net)

    def clear(self) -> "Trial":
        """The trial with examples clear of kinks first, if gradients are averaged; else itself."""
        if self.subject.mean is None or not self.kinked:
            return self
        wide, rng = self.widened(CANDIDATES), np.random.default_rng(self.seed)
        params = jax.tree.map(np.asarray, self.subject.params)
        nearby = [each for _ in range(LOOKS) for each in either_side(params, self.coarse, rng)]
        centre, *there = kinks.sides_of(self.problem, [params, *nearby], self.problem.batch(
            jax.tree.map(jnp.asarray, params), jnp.asarray(wide.X), jnp.asarray(wide.Y)))
        order = np.argsort(sum((one != centre).sum(axis=1) for one in there), kind="stable")
        return replace(wide, X=wide.X[order], Y=wide.Y[order], y=wide.y[order])

    def cost_penalty(self) -> list[dict[str, np.ndarray]] | None:
        """The gradient of the cost's own penalty for a batch of one example, as `Subject.own`."""
        return None if self.penalty is None else self.subject.stationed(self.penalty(self.subject.params))

    @property
    def leaves(self) -> Iterator[tuple[int, str, str]]:
        """(station, site, name) of every leaf."""
        for s, place in enumerate(self.subject.places):
            for site, leaf in place.leaves.items():
                yield s, site, leaf

    def given(self, rows) -> list[dict[str, np.ndarray]]:
        """The user's gradient of some examples in one call, one dict a station."""
        return self.subject.gradients(self.X[rows], self.Y[rows])

    def right(self, X, Y) -> list[dict[str, np.ndarray]]:
        """The right gradient of the loss, without penalty, one dict a station."""
        params = jax.tree.map(jnp.asarray, self.subject.params)
        tree = observe.gradient_of(self.problem)(params, self.problem.batch(params, jnp.asarray(X), jnp.asarray(Y)))
        return [{leaf: np.asarray(g) for leaf, g in observe.at(tree, place).items()} for place in self.subject.places]


def targets(problem: Objective, subject: Subject, X, Y) -> np.ndarray:
    """The targets in the form that the loss takes. Raises what `Objective.batch` raises."""
    return np.asarray(problem.batch(jax.tree.map(jnp.asarray, subject.params), jnp.asarray(X), jnp.asarray(Y)).y)
