"""A function on trial: where it is looked at, and what rounding may leave of it."""

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

SMALL = 0.01  # a move that leaves examples what they are
CANDIDATES, LOOKS = 24, 16  # examples among which those clear of kinks are looked for, and at how many pairs of parameters


@dataclass(frozen=True)
class Trial:
    """A function on trial: where it is looked at, and what rounding may leave of it.

    y: the targets as the loss takes them. penalty: the cost's own, (params) -> a scalar, or None. coarse: the rounding unit of
    the function, where `unit` is that of a mean.
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
    lenient: bool = False  # allow what rounding inside the function may do

    def rounded(self) -> "Trial":
        """The function as it is, with its rounding."""
        subject = copy.copy(self.subject)
        subject.mean = None
        return replace(self, subject=subject, unit=self.coarse, tolerance=16 * self.coarse)

    def singles(self, count: int) -> Scene:
        """The first examples, in a call each."""
        scene = observe.singles(self.problem, self.subject, self.X, self.Y, self.y, count, self.tolerance, self.unit)
        return self._twinned(scene, list(range(count)))

    def together(self, rows) -> Scene:
        """Some examples in one call."""
        scene = observe.together(self.problem, self.subject, self.X, self.Y, self.y, rows, self.tolerance, self.unit)
        return self._twinned(scene, list(rows))

    def _twinned(self, scene: Scene, rows: list[int]) -> Scene:
        if not self.lenient:
            return scene
        return observe.with_twins(scene, self.problem, self.subject, self.X[rows], self.y[rows], self.seed)

    @property
    def few(self) -> int:
        """How many single examples are enough to see that something is wrong."""
        return max(3, min(observe.FEW, len(self.X), observe.ENTRIES // self._size))

    @property
    def enough(self) -> int:
        """How many are enough to say what, where nothing has to be solved for."""
        return max(self.few, min(observe.NAMED, observe.ENTRIES // (2 * self._size)))

    @property
    def many(self) -> int:
        """How many are enough to say what, solving for unknown weights included."""
        own = self.subject.stationed(self.subject.params)
        widest = max(own[s][place.bias].size for s, place in enumerate(self.subject.places) if place.leaves)
        return max(self.enough, min(widest + 3, observe.MANY, observe.ENTRIES // (4 * self._size)))

    @property
    def _size(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.subject.params))

    def widened(self, count: int) -> "Trial":
        """With at least so many examples."""
        X, Y = observe.enough(self.X, self.Y, count, self.seed)
        return replace(self, X=X, Y=Y, y=targets(self.problem, self.subject, X, Y))

    def moved(self, size: float, afar: float = 1.0) -> "Trial":
        """At other parameters and, for a large move, other inputs and targets; inputs move `afar` times as far."""
        subject = self.subject.moved(self.seed, size)
        noise = np.random.default_rng(self.seed + 1).normal(size=self.X.shape) * (np.abs(self.X).mean() + 0.1)
        order = np.roll(np.arange(len(self.X)), 1) if size > SMALL else np.arange(len(self.X))  # other targets
        trial = replace(self, subject=subject, X=self.X + afar * size * noise, Y=self.Y[order], y=self.y[order])
        subject.added, subject.power = trial.cost_penalty(), 0.0
        subject.spare = None if subject.spare is None else trial.right
        return trial.clear()

    @property
    def kinked(self) -> bool:
        """Whether there are kinks to be minded."""
        return self._size <= observe.LARGE and kinks.has_kinks(self.problem.net)

    def clear(self) -> "Trial":
        """With examples that stand clear of kinks first, where the gradient is a mean over nearby parameters."""
        if self.subject.mean is None or not self.kinked:
            return self
        wide, rng = self.widened(CANDIDATES), np.random.default_rng(self.seed)
        params = jax.tree.map(np.asarray, self.subject.net_params)
        nearby = [each for _ in range(LOOKS) for each in either_side(params, self.coarse, rng)]
        centre, *there = kinks.sides_of(self.problem, [params, *nearby], self.problem.batch(
            jax.tree.map(jnp.asarray, params), jnp.asarray(wide.X), jnp.asarray(wide.Y)))
        order = np.argsort(sum((one != centre).sum(axis=1) for one in there), kind="stable")
        return replace(wide, X=wide.X[order], Y=wide.Y[order], y=wide.y[order])

    def cost_penalty(self) -> list[dict[str, np.ndarray]] | None:
        """The gradient of the cost's own penalty."""
        return None if self.penalty is None else self.subject.stationed(observe.slope_of(self.penalty)(self.subject.params))

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
        """The right one, without penalty."""
        params = jax.tree.map(jnp.asarray, self.subject.net_params)
        tree = observe.gradient_of(self.problem)(params, self.problem.batch(params, jnp.asarray(X), jnp.asarray(Y)))
        return [{leaf: np.asarray(g) for leaf, g in observe.at(tree, place).items()} for place in self.subject.places]


def targets(problem: Objective, subject: Subject, X, Y) -> np.ndarray:
    """The targets as the network's loss takes them; an error that says what does not fit."""
    return np.asarray(problem.batch(jax.tree.map(jnp.asarray, subject.net_params), jnp.asarray(X), jnp.asarray(Y)).y)
