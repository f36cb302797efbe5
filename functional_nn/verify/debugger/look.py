"""Looks: single calls of the user's function, each with what is right there and with its noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective
from functional_nn.verify.calls.given import UserFunction
from functional_nn.verify.debugger.forward import Forward, by_site, forward
from functional_nn.verify.debugger.simulate import Run
from functional_nn.verify.debugger.tolerance import (
    ENTRIES,
    FINEST,
    MOVED,
    ROOM,
    ROUGH,
    SINGLES,
    agrees,
)
from functional_nn.verify.debugger.where import Where
from functional_nn.verify.stations import at

Leaves = dict[Where, np.ndarray]


class Look(NamedTuple):
    """One call of the user's function.

    Attributes:
      forward: the right forward pass.
      leaves: the gradient that the user gave, by site and station.
      rounding: (relative, absolute) rounding at the end of each leaf's entries; what was measured
        besides is in the absolute one.
      own: the gradient of the cost's own penalty, or None.
      right: the right backward pass.
      inputs: (params, X, Y) of the call.
    """

    forward: Forward
    leaves: Leaves
    rounding: Mapping[Where, tuple[float, float]]
    own: Leaves | None
    right: Run
    inputs: tuple[Any, np.ndarray, np.ndarray]

    def noise(self, where: Where) -> np.ndarray:
        """Return the noise of the user's own rounding in a leaf."""
        relative, absolute = self.rounding[where]
        return relative * np.abs(self.leaves[where]) + absolute

    def room(self, where: Where, run: Run | None = None) -> np.ndarray:
        """Return the noise of given − predicted in a leaf, for the prediction of a pass."""
        return self.noise(where) + (run or self.right).noise[where]

    def wrong(self, run: Run | None = None) -> list[Where]:
        """Return the leaves that a pass, or the right one, does not reproduce."""
        run = run or self.right
        return [where for where, g in self.leaves.items()
                if not agrees(g, run.leaves[where], self.room(where, run))]

    def reproduced(self, changes: Mapping, early: bool, but: frozenset[Where] = frozenset()) -> bool:
        """Return whether a changed pass gives every leaf, but for some.

        It is first run without noise, down to a leaf that is far off.
        """
        run = Run(self.forward, changes, early, self.own, bounds=False)
        for where in run.steps():
            if where not in self.leaves:
                continue
            g = self.leaves[where]
            rough = ROOM * self.right.noise[where] + ROUGH * np.abs(g).max(initial=0)
            if where not in but and not agrees(g, run.leaves[where], self.noise(where) + rough):
                return False
        return not set(self.wrong(Run(self.forward, changes, early, self.own).finish())) - but


@dataclass(frozen=True)
class Subject:
    """The user's function with what is known of its arithmetic.

    Attributes:
      problem: the network and its loss.
      given: the function, on the network's own parameters.
      unit: the rounding unit of its arithmetic.
      penalty: (params, count) -> the gradient of the cost's own penalty, a tree; or None.
      measured: the noise of each leaf's entries that was measured, beyond rounding at the end.
    """

    problem: Objective
    given: UserFunction
    unit: float
    penalty: Callable | None = None
    measured: Mapping[Where, float] | None = None

    def sited(self, tree) -> Leaves:
        """Return a tree like the parameters by site and station."""
        own = by_site(tree, self.given.places)
        return {(site, s): own[s][site] for s, place in enumerate(self.given.places)
                for site in place.leaves}

    def held(self, tree) -> Leaves:
        """Return the same without the biases that the user does not have."""
        return {(site, s): g for (site, s), g in self.sited(tree).items()
                if not (site == "bias" and s in self.given.without)}

    def at(self, params, X: np.ndarray, Y: np.ndarray, y: np.ndarray) -> Look:
        """Return the look at some parameters and a batch; y has the targets as the loss does."""
        places = self.given.places
        tree = self.given.gradient(params, X, Y)
        run = forward(self.problem, places, by_site(params, places), X, y, self.unit)
        own = None if self.penalty is None else self.sited(self.penalty(params, len(X)))
        rounding = {(site, s): self._rounding((site, s), np.asarray(at(tree, place)[leaf]).dtype)
                    for s, place in enumerate(places) for site, leaf in place.leaves.items()}
        right = Run(run, own=own).finish()
        return Look(run, self.held(tree), rounding, own, right, (params, X, Y))

    def _rounding(self, where: Where, dtype) -> tuple[float, float]:
        """(relative, absolute) rounding of a leaf of that dtype: subnormal numbers lose digits."""
        info = jnp.finfo(dtype if jnp.issubdtype(dtype, jnp.floating) else float)
        absolute = float(1e3 * info.tiny if info.bits > 16 else 16 * info.smallest_subnormal)
        return (float(info.eps) / 2 * (1 + ROUGH),
                absolute + (0.0 if self.measured is None else self.measured.get(where, 0.0)))


class Looks(NamedTuple):
    """Looks at single examples and at batches, of which the first holds the first singles."""

    singles: tuple[Look, ...]
    batches: tuple[Look, ...]

    @property
    def all(self) -> tuple[Look, ...]:
        """Return all looks, batches first."""
        return (*self.batches, *self.singles)


def looks(subject: Subject, params, X, Y, y, seed: int, seen: Look) -> Looks:
    """Return looks at single examples and batches, at the given parameters and at moved ones.

    A function may answer nothing for a single example, such as one that divides by B − 1; it gets
    each example twice. `seen` is the look at the user's own batch.
    """
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    few = int(np.clip(ENTRIES // (3 * size), 2, SINGLES))
    X, Y, y = _enough(subject, X, Y, y, max(few, 3), seed)
    there, *far = moved(subject, params, X, Y, y, seed)

    def look(at, rows, data=(X, Y, y)):
        return subject.at(at, *(v[rows] for v in data))

    near = [look(params, [i]) for i in range(few)]
    mute = all(_mute(near[0].leaves[where], g) for where, g in seen.leaves.items())
    if mute:
        near = [look(params, [i, i]) for i in range(few)]
    others = [look(there, [i, i] if mute else [i], far) for i in range(max(2, few - 2))]
    others += [subject.at(params, *(v[[row] * (1 + mute)] for v, row in ((X, i), (Y, j), (y, j)))) for i, j in _twins(y)]
    batches = look(params, slice(few)), seen, look(there, slice(3), far), look(params, slice(1, 3))
    return Looks((*near, *others), batches)


def _twins(y: np.ndarray, count: int = 2) -> list[tuple[int, int]]:
    """(example, another one with another target) of the first examples that have one.

    What is made from an example without its target is the same under the other's target.
    """
    pairs = ((i, j) for i in range(len(y)) for j in range(len(y)) if (y[i] != y[j]).any())
    return list({i: (i, j) for i, j in pairs if i < count}.values())


def _mute(single: np.ndarray, batch: np.ndarray) -> bool:
    """Whether a single example's leaf is no number, or 0, while the batch's is not."""
    heard = np.isfinite(single).all() and single.any()
    return bool(np.isfinite(batch).all() and batch.any() and not heard)


def _enough(subject: Subject, X, Y, y, count: int, seed: int):
    """At least `count` examples: the given ones, then noisy copies with the same targets."""
    short = count - len(X)
    if short <= 0:
        return X, Y, y
    copies = np.resize(np.arange(len(X)), short)
    return np.concatenate([X, _beside(subject, X[copies], 1.0, np.random.default_rng(seed))]), *(np.concatenate([v, v[copies]]) for v in (Y, y))


def _beside(subject: Subject, X: np.ndarray, share: float, rng) -> np.ndarray:
    """Inputs beside some, a share of their size away; other tokens, where they are numbers of tokens."""
    if tokens := subject.problem.net.layers[0].tokens:
        return rng.integers(0, tokens, size=X.shape).astype(float)
    return X + share * rng.normal(size=X.shape) * (np.abs(X).mean() + 0.1)


def moved(subject: Subject, params, X, Y, y, seed: int):
    """Return (params, X, Y, y), moved at random by the share MOVED, with other targets."""
    rng = np.random.default_rng(seed)
    sizes = [np.sqrt(np.mean(leaf**2)) for leaf in jax.tree.leaves(params) if leaf.size]
    there = subject.given.settled(jax.tree.map(lambda leaf: leaf + MOVED * (
        np.sqrt(np.mean(leaf**2)) if leaf.any() else np.mean(sizes)) * rng.normal(size=leaf.shape),
        params))
    order = np.roll(np.arange(len(X)), 1)
    return there, _beside(subject, X, MOVED, rng), Y[order], y[order]


def arithmetic(given: UserFunction, params, X, Y, tree) -> float:
    """Return the rounding unit of the function's arithmetic.

    It is that of its gradient's coarsest dtype, unless that is a half precision to which the
    function rounds at the end: then float32's.
    """
    dtypes = {np.asarray(leaf).dtype for leaf in jax.tree.leaves(tree)}
    units = {float(jnp.finfo(dtype).eps) / 2: dtype for dtype in dtypes
             if jnp.issubdtype(dtype, jnp.floating)}
    unit, single = max(units, default=0.0), float(jnp.finfo(jnp.float32).eps) / 2
    late = unit > single and _rounds_late(given.gradient, params, X, Y, units[unit])
    return max(single if late else unit, FINEST)


def _rounds_late(function: Callable, params, X, Y, dtype, tries: int = 8) -> bool:
    """Whether a function notices moves of its inputs that their rounding to `dtype` would undo."""
    unit, rng = float(jnp.finfo(dtype).eps) / 2, np.random.default_rng(0)

    def held(leaf):
        return np.asarray(jnp.asarray(leaf).astype(dtype), dtype=np.float64)

    def shaken(leaf):
        return leaf * (1 + unit / 4 * rng.choice([-1.0, 1.0], size=leaf.shape))

    params, X = jax.tree.map(held, params), held(X)
    before = jax.tree.leaves(function(params, X, Y))

    def notices(way: Callable) -> bool:
        return any(not np.array_equal(a, b) for _ in range(tries)
                   for a, b in zip(before, jax.tree.leaves(way()), strict=True))

    return (notices(lambda: function(jax.tree.map(shaken, params), X, Y))
            and notices(lambda: function(params, shaken(X), Y)))


def measured(subject: Subject, look: Look, seed: int, tries: int = 3) -> dict[Where, float] | None:
    """Return the noise of the function that shows in how it moves; None if `unit` covers it.

    Parameters moved by a few rounding units move a gradient by as little. What the given gradient
    moves otherwise than the right one is its own rounding, whatever its mistakes: that of a
    difference of parameters, or of float32 inside a function of floats. However small it is beside
    the largest entry, it may be all of a small entry, or of a single example's gradient, and δ that
    is told from that entry has it too.
    """
    if subject.unit > FINEST:
        return None
    (params, X, Y), rng, y = look.inputs, np.random.default_rng(seed), look.forward.y
    eps = float(np.finfo(np.float64).eps)

    def shaken(leaf):
        return leaf * (1 + 4 * eps * rng.uniform(-1, 1, size=np.shape(leaf)))

    def error(at: Look) -> Leaves:
        return {where: g - at.right.leaves[where] for where, g in at.leaves.items()}

    first, found = error(look), {}
    others = [error(subject.at(jax.tree.map(shaken, params), X, Y, y)) for _ in range(tries)]
    for where, g in first.items():
        noise = float(max(np.abs(other[where] - g).max(initial=0) for other in others))
        found[where] = ROOM * noise if np.isfinite(noise) else 0.0
    return found if any(found.values()) else None


def coarse(noise: Mapping[Where, float], look: Look) -> bool:
    """Whether a leaf's measured noise is more than the rounding of a sum."""
    def size(where: Where) -> float:
        return max(np.abs(v[where]).max(initial=0) for v in (look.leaves, look.right.leaves))

    return any(room > FINEST * size(where) for where, room in noise.items())
