"""Observe the function under test on single examples and on small batches."""

import functools
from collections import Counter
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective
from functional_nn.verify.hypothesis import multiple, written
from functional_nn.verify.scene import Scene, differ
from functional_nn.verify.stations import at, passes
from functional_nn.verify.subject import Subject, replaced

# The largest number of entries in all single-example gradients together, so that large networks get
# fewer examples.
ENTRIES = 20_000_000
FEW, NAMED, MANY, EIGHT = 5, 8, 32, 8
TWINS, LARGE = 8, 1_000_000  # the number of twins of a scene, and the parameters that get fewer
NEARLY = 0.1  # the relative error of a leaf that has a mistake besides a constant factor
# Below this number of parameters, a few more examples cost less than another compilation.
PADDED = 100_000


def enough(X: np.ndarray, Y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at least `count` examples: the given ones, then noisy copies with the same targets."""
    short = count - len(X)
    if X.ndim != 2 or len(X) == 0 or short <= 0:
        return X, Y
    copies = np.resize(np.arange(len(X)), short)
    noise = np.random.default_rng(seed).normal(size=(short, X.shape[1])) * (np.abs(X).mean() + 0.1)
    return np.concatenate([X, X[copies] + noise]), np.concatenate([Y, Y[copies]])


def singles(problem: Objective, subject: Subject, X, Y, y, count: int, tolerance: float, unit: float) -> Scene:
    """Return the scene of the first `count` examples, with one call per example.

    A leaf is mute if its gradient is zero or NaN for one example but not for a batch. So it is in
    functions that divide by B − 1, or that centre something over the batch. If all leaves are mute,
    each call gets its example twice. The result is a multiple of the example's gradient, and is
    divided by that factor.

    Args:
      problem: the network and its loss.
      subject: the function under test.
      X, Y: the inputs and targets that the function takes.
      y: the targets as the network's loss takes them.
      count: the number of examples.
      tolerance: the relative error that rounding may cause.
      unit: the rounding unit of the user's gradients.
    """
    found, room = _one_by_one(subject, X, Y, count, unit)
    rounding = 16 * unit if subject.coarse is None else 8 * subject.coarse
    # the relative size of a zero after rounding
    none = 0.0 if unit < 1e-12 and subject.known(1) is None else rounding
    batch = subject.gradients(X[:count], Y[:count])
    mute = [(s, leaf) for s, own in enumerate(found) for leaf, g in own.items() if count > 1
            and np.isfinite(batch[s][leaf]).all() and batch[s][leaf].any()
            and not (np.isfinite(g).all() and np.abs(g).max(initial=0.0) > none * np.abs(batch[s][leaf]).max())]
    scene = _scene(problem, subject, X[:count], y[:count], found, True, 1.0, tolerance, unit, room)
    if len(mute) == sum(len(own) for own in found):
        twice, more = _one_by_one(subject, X, Y, count, unit, 2)
        if any(np.any(g) for own in twice for g in own.values()):
            # NaN means a division by B − 1 = 0; zeros mean that one example is left out
            by_zero = not all(np.isfinite(g).all() for own in found for g in own.values())
            times = _multiple(scene, twice) or (2.0 if by_zero else 0.5 if problem.reduction == "mean" else 1.0)
            return scene._replace(gradients=[{leaf: g / times for leaf, g in own.items()} for own in twice], slack=more)
    return scene._replace(mute=frozenset(mute))


def _one_by_one(subject: Subject, X, Y, count: int, unit: float, times: int = 1):
    """Return the gradients of single examples, and their rounding errors.

    Each call gets one example, repeated `times` times.
    """
    each, slack = [], []
    for i in range(count):
        rows = [i] * times
        each.append(subject.gradients(X[rows], Y[rows]))
        slack.append(subject.slack(unit))
    found = [{leaf: np.stack([one[s][leaf] for one in each]) for leaf in each[0][s]} for s in range(len(subject.places))]
    room = None if slack[0] is None else [
        {leaf: np.nan_to_num(np.stack([np.broadcast_to(one[s][leaf], found[s][leaf].shape[1:]) for one in slack]))
         for leaf in own}
        for s, own in enumerate(found)]
    return found, room


def _multiple(scene: Scene, given) -> float | None:
    """Return the commonest factor between given and right leaves, rounded to a plain number.

    If no leaf is an exact multiple, near multiples count; the result is None without either.
    """
    deltas = scene.true_deltas()
    pairs = [(g, right) for s, own in enumerate(given) for right in [scene.made(deltas, s)]
             for g, right in [(g, right[leaf]) for leaf, g in own.items()]]
    for close in (max(1e-6, 16 * scene.unit), NEARLY):
        times = [written(multiple(g, right), close) for g, right in pairs]
        found = Counter(c for c, (g, right) in zip(times, pairs, strict=True) if c and not differ(g, c * right, close))
        if found:
            return found.most_common(1)[0][0]
    return None


def together(problem: Objective, subject: Subject, X, Y, y, rows: Sequence[int], tolerance: float, unit: float) -> Scene:
    """Return the scene of one batch, which holds the examples `rows`."""
    rows = list(rows)
    share = 1 / len(rows) if problem.reduction == "mean" else 1.0
    found = subject.gradients(X[rows], Y[rows])
    return _scene(problem, subject, X[rows], y[rows], found, False, share, tolerance, unit, subject.slack(unit))


@functools.lru_cache(maxsize=8)
def gradient_of(problem: Objective):
    """Return the compiled function (parameters, batch) -> `jax.grad` of the cost."""
    return jax.jit(jax.grad(problem.cost))


@functools.lru_cache(maxsize=8)
def _at_many(problem: Objective):
    return jax.jit(jax.vmap(jax.grad(problem.cost), in_axes=(0, None)))


def _eights(count: int) -> np.ndarray:
    """Return row numbers, padded by repetition to a multiple of EIGHT: few sizes are compiled."""
    return np.resize(np.arange(count), -(-count // EIGHT) * EIGHT)


def full(batch):
    """Return the batch, padded with examples of weight 0 to a multiple of EIGHT."""
    rows = _eights(len(batch.x))
    whole = jax.tree.map(lambda leaf: leaf[rows], batch)
    return whole._replace(weights=jnp.where(np.arange(len(rows)) < len(batch.x), whole.weights, 0))


def gradients_of(problem: Objective, several: Sequence, batch) -> list:
    """Return `jax.grad` of the cost at several parameters, as NumPy arrays, in one call."""
    if sum(leaf.size for leaf in jax.tree.leaves(several[0])) < PADDED:
        batch = full(batch)
    if len(several) == 1:
        return [jax.tree.map(np.asarray, gradient_of(problem)(jax.tree.map(jnp.asarray, several[0]), batch))]
    found = _at_many(problem)(jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *several), batch)
    leaves, tree = jax.tree.flatten(jax.tree.map(np.asarray, found))
    return [tree.unflatten([leaf[i] for leaf in leaves]) for i in range(len(several))]


@functools.lru_cache(maxsize=8)
def example_gradients_of(problem: Objective):
    """Return the compiled function (parameters, X, Y) -> the gradient of each example's loss."""
    return jax.jit(jax.vmap(lambda params, x, y: jax.grad(problem.example_loss)(params, x, y, None), in_axes=(None, 0, 0)))


def _arrays(subject: Subject):
    return jax.tree.map(jnp.asarray, subject.params)


def _scene(problem, subject: Subject, X, y, gradients, single: bool, share: float, tolerance: float, unit: float,
           slack) -> Scene:
    places, params = subject.places, _arrays(subject)
    forward, expect = _looked_at(problem, places, params, X, y)
    own = [{name: np.asarray(leaf) for name, leaf in at(params, place).items()} for place in places]
    inner = unit if subject.inner is None else subject.inner
    return Scene(problem, places, own, forward, gradients, y, single, share, expect, tolerance, unit, slack,
                 inner=inner, floor=subject.floor, loose=subject.measured is not None)


def _looked_at(problem, places, params, X, y):
    """Return the forward pass, and the function from deltas to the results of right steps."""
    forward_of, expected_of = passes(problem)
    rows = _eights(len(X))
    forward = jax.tree.map(lambda leaf: np.asarray(leaf)[:len(X)], forward_of(params, X[rows], y[rows]))

    def expect(deltas, weights=None):
        changed = params
        for s, W in (weights or {}).items():
            changed = replaced(changed, places[s].path, {places[s].weight: jnp.asarray(W)})
        return expected_of(changed, X, y, forward.z, tuple(jnp.asarray(d) for d in deltas))

    return forward, expect


def with_twins(scene: Scene, problem: Objective, subject: Subject, X, y, seed: int) -> Scene:
    """Return the scene with twins that estimate its rounding errors.

    In each twin the parameters, inputs and targets are moved at random by a few rounding units.
    """
    rng = np.random.default_rng(seed)

    def moved(leaf):
        leaf = np.asarray(leaf)
        return leaf * (1 + 8 * scene.inner * rng.uniform(-1, 1, size=leaf.shape))

    count = TWINS if sum(leaf.size for leaf in jax.tree.leaves(subject.params)) < LARGE else 2
    twins = []
    for _ in range(count):
        params, inputs, targets = jax.tree.map(moved, _arrays(subject)), moved(X), moved(y)
        forward, expect = _looked_at(problem, subject.places, params, inputs, targets)
        twins.append(scene._replace(forward=forward, expect=expect))
    return scene._replace(twins=tuple(twins))
