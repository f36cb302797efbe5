"""From a network's backpropagation that is wrong to its faults: what to look at, in which order."""

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective
from functional_nn.verify import observe
from functional_nn.verify.batches import BatchFault, Case, batch_faults, cases, law, uneven
from functional_nn.verify.causes import Verdict
from functional_nn.verify.kinks import conventions
from functional_nn.verify.locate import Located, Step, locate
from functional_nn.verify.naming import believed, confirmed
from functional_nn.verify.penalties import Penalty, penalty_in
from functional_nn.verify.scene import Scene, differ
from functional_nn.verify.stations import passes
from functional_nn.verify.subject import Subject

UNNAMED = Verdict("unexplained", 1.0, np.inf, "", "", "")
MOVED = 0.1  # by how much of their size the parameters of the second look differ


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
    y: jax.Array
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
        return observe.with_twins(scene, self.problem, self.subject, self.X[rows], self.y[np.array(rows)], self.seed)

    @property
    def few(self) -> int:
        """How many single examples are enough to see that something is wrong."""
        return max(3, min(observe.FEW, len(self.X), observe.ENTRIES // self._size))

    @property
    def many(self) -> int:
        """How many are enough to say what, solving for unknown weights included."""
        widest = max(z.shape[-1] for z in jax.tree.leaves(self.subject.params))
        return max(self.few, min(widest + 3, observe.MANY, observe.ENTRIES // (4 * self._size)))

    @property
    def _size(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.subject.params))

    def widened(self, count: int) -> "Trial":
        """With at least so many examples."""
        X, Y = observe.enough(self.X, self.Y, count, self.seed)
        return replace(self, X=X, Y=Y, y=targets(self.problem, self.subject, X, Y))

    def moved(self, size: float) -> "Trial":
        """At other parameters and, for a large move, other inputs."""
        subject = self.subject.moved(self.seed, size)
        noise = np.random.default_rng(self.seed + 1).normal(size=self.X.shape) * (np.abs(self.X).mean() + 0.1)
        trial = replace(self, subject=subject, X=self.X + size * noise)
        if trial.penalty is not None:
            subject.added = trial.cost_penalty()
        return trial

    def cost_penalty(self) -> list[dict[str, np.ndarray]] | None:
        """The gradient of the cost's own penalty."""
        return None if self.penalty is None else self.subject.stationed(jax.grad(self.penalty)(
            jax.tree.map(jnp.asarray, self.subject.params)))


def targets(problem: Objective, subject: Subject, X, Y) -> jax.Array:
    """The targets as the network's loss takes them; an error that says what does not fit."""
    return problem.batch(jax.tree.map(jnp.asarray, subject.net_params), jnp.asarray(X), jnp.asarray(Y)).y


@dataclass(frozen=True)
class Diagnosis:
    """What was found: steps with their causes, mistakes of batches, a penalty; conventions at kinks that are no mistakes."""

    scene: Scene
    located: Located
    steps: list[tuple[Step, Verdict]]
    batches: list[BatchFault]
    penalty: Penalty | None
    lost: list[tuple[str, int]]
    swapped: list[tuple[int, str]]
    cases: list[Case]
    explanations: tuple[Located, ...] = ()
    kinks: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether something is wrong."""
        return bool(self.steps or self.batches or self.penalty or self.lost or self.swapped)

    @property
    def uneven(self) -> bool:
        """Whether batches are not the mean of single examples, even where no step of them can be blamed."""
        return uneven(self.scene, self.cases)


def diagnose(trial: Trial, suspicious: bool, least: int = 0) -> Diagnosis:
    """What is wrong; one quick look where nothing is.

    Args:
      suspicious: whether the gradient of the whole batch is known to be wrong.
      least: how many single examples to look at, and to put into one batch, if the usual few are not enough.
    """
    first = _look(trial, trial.few, named=False)
    if not (suspicious or first.any):
        return first
    trial = replace(trial, subject=copy.copy(trial.subject), lenient=True)
    if not suspicious and not (first := _look(trial, trial.few, named=False)).any:
        return first
    lost = _not_finite(trial)
    penalty = _take_penalty(trial)
    swapped = _take_exchanged(trial)
    count = max(trial.few, least)
    found = _look(trial, count, whole=least)
    if any(step.site == "pullback" and verdict.cause == "unexplained" for step, verdict in found.steps):
        count = trial.many  # enough to solve for the weights it went through
        found = _look(trial.widened(count), count)
    found = replace(found, penalty=penalty, lost=lost, swapped=swapped)
    if not found.any:
        return found
    explanations = (*found.explanations, locate(found.scene, own=True)[0])
    told = (conventions(found.scene, each, trial.tolerance) for each in explanations)
    kinks = next((each for each in told if each is not None), None)
    if kinks is not None and not _look(
            trial.moved(max(1e-5, 32 * max(trial.unit, trial.coarse))), trial.few, named=False).any:
        return replace(found, steps=[], batches=[], kinks=kinks)
    if found.steps:
        again = _look(trial.moved(MOVED).widened(count), count, batches=False)
        found = replace(found, steps=confirmed(found.steps, again.steps, trial.unit))
        if trial.subject.mean is not None:
            found = replace(found, steps=_named_rounded(trial, found.steps))
    return _reconciled(found, trial.unit)


def _look(trial: Trial, count: int, named: bool = True, batches: bool = True, whole: int = 0) -> Diagnosis:
    """Single examples, then batches; whether something is wrong and no more where it need not be named."""
    scene = trial.singles(count)
    explanations = locate(scene)
    located, steps = explanations[0], [(step, UNNAMED) for step in explanations[0].faults]
    if steps and named:
        located, steps = believed(scene, explanations)
    if not batches or (steps and not named):
        return Diagnosis(scene, located, steps, [], None, [], [], [], tuple(explanations))
    known = {(step.site, step.station) for step, _ in steps}
    own = {s: located.deltas[s] for site, s in known if site in ("head", "pullback")}
    batches = cases(scene, trial.together, own, whole)
    return Diagnosis(scene, located, steps, batch_faults(scene, batches, known), None, [], [], batches,
                     tuple(explanations))


def _named_rounded(trial: Trial, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The steps with the causes that the gradient shows as it is, rounded, where its mean over nearby points shows none."""
    looks = [_look(at, at.few, batches=False).steps for at in (trial.rounded(), trial.rounded().moved(MOVED))]
    named = {(step.site, step.station): verdict for step, verdict in confirmed(*looks, trial.coarse)}
    return [(step, named.get((step.site, step.station), verdict) if verdict.cause == "unexplained" else verdict)
            for step, verdict in steps]


def _reconciled(found: Diagnosis, unit: float) -> Diagnosis:
    """A factor of single examples must be one of batches too: where it goes with B, the divisor is another number than B."""
    steps, batches = [], list(found.batches)
    sums = [fault for fault in batches if fault.site == "batch" and fault.cause in ("sum for mean", "wrong divisor")]
    alone = not any(fault.site == "batch" for fault in batches)
    for step, verdict in found.steps:
        if verdict.cause == "factor" and step.site == "head" and sums and 0 < verdict.fitted[0] < 1:
            divisor = f"by {1 / verdict.fitted[0]:.6g} where there is one example"
            batches = [BatchFault("batch", None, "wrong divisor", verdict.residual, divisor) if fault in sums else fault
                       for fault in batches]
            continue
        if alone and verdict.cause in ("factor", "sign") and step.site in ("weight", "bias"):
            leaf = found.scene.places[step.station].leaves[step.site]
            points = law(found.cases, step.station, leaf, unit)
            if points is None or not np.allclose([c for _, c in points], 1, rtol=max(1e-5, 64 * unit)):
                fixed = points is not None and all(np.isclose(c, d, rtol=max(1e-5, 64 * unit)) for (B, c), (D, d) in
                                                   itertools.combinations(points, 2) if B == D)
                verdict = verdict._replace(cause="wrong divisor" if fixed else "unexplained", closest="" if fixed else "factor")
        steps.append((step, verdict))
    return replace(found, steps=steps, batches=batches)


def _leaves(trial: Trial) -> Iterator[tuple[int, str, str]]:
    for s, place in enumerate(trial.subject.places):
        for site, leaf in place.leaves.items():
            yield s, site, leaf


def _not_finite(trial: Trial) -> list[tuple[str, int]]:
    """(site, station) of what is NaN or inf: a δ where all leaves from there down are. The right ones then stand for them."""
    subject, n = trial.subject, min(trial.few, len(trial.X))
    found = subject.gradients(trial.X[:n], trial.Y[:n])
    lost = [(s, site, leaf) for s, site, leaf in _leaves(trial) if not np.isfinite(found[s][leaf]).all()]
    if not lost:
        return []
    subject.spare = _right_of(trial)
    top = max(s for s, *_ in lost)
    if {(s, leaf) for s, _, leaf in lost} == {(s, leaf) for s, _, leaf in _leaves(trial) if s <= top} and len(lost) > 2:
        return [("head" if top == len(subject.places) - 1 else "pullback", top)]
    return [(site, s) for s, site, _ in lost]


def _right_of(trial: Trial):
    """(X, Y) -> the right gradient, one dict a station."""
    def right(X, Y):
        params = jax.tree.map(jnp.asarray, trial.subject.net_params)
        batch = trial.problem.batch(params, jnp.asarray(X), jnp.asarray(Y))
        tree = observe.gradient_of(trial.problem)(params, batch)
        return [{leaf: np.asarray(g) for leaf, g in observe.at(tree, place).items()} for place in trial.subject.places]

    return right


def _take_penalty(trial: Trial) -> Penalty | None:
    """Whether the gradient holds a penalty that the cost has not, or lacks one; it is taken off for all that follows.

    Where the targets are what the network says, every δ of a loss that is smallest there is 0, and only penalties are left.
    """
    subject, n = trial.subject, min(trial.few, len(trial.X))
    X, Y, right = trial.X[:n], trial.Y[:n], _right_of(trial)
    full, known = _norm(right(X, Y)), 0.0 if subject.added is None else _norm(subject.added)
    if Y.dtype.kind == "f" and Y.ndim == 2:
        forward, _ = passes(trial.problem)
        perfect = np.asarray(forward(jax.tree.map(jnp.asarray, subject.net_params), X, trial.y[:n]).outputs[-1])
        if perfect.shape == Y.shape and _norm(right(X, perfect)) <= 1e-9 * full:
            def fitted(n: int):
                return subject.gradients(X[:n], perfect[:n].astype(Y.dtype))

            return _taken(trial, fitted, n, full, 2 * trial.unit * (_norm(fitted(n)) + known))

    def beside(n: int):
        pairs = zip(subject.gradients(X[:n], Y[:n]), right(X[:n], Y[:n]), strict=True)
        return [{leaf: g - r[leaf] for leaf, g in own.items()} for own, r in pairs]

    return _taken(trial, beside, n, full, 2 * trial.unit * (full + known))


def _taken(trial: Trial, left: Callable[[int], list], n: int, full: float, rounding: float) -> Penalty | None:
    """The penalty in what is left of the gradient of some examples: `left`, of their number; at most n."""
    subject, params = trial.subject, trial.subject.stationed(trial.subject.params)
    found = penalty_in(subject.places, params, left(n), trial.cost_penalty(), full, rounding)
    one = penalty_in(subject.places, params, left(1), trial.cost_penalty(), full, rounding)
    if found is not None and one is not None and not np.isclose(found.rate, one.rate, rtol=max(1e-5, 32 * trial.unit)):
        subject.power = float(np.round(np.log(abs(found.rate / one.rate)) / np.log(n)))  # of B in the penalty's weight
        found = one
    if found is not None:
        before = subject.added or [{leaf: 0.0 for leaf in place.leaves.values()} for place in subject.places]
        subject.added = [{leaf: plus[leaf] + more[leaf] for leaf in plus} for plus, more in zip(
            before, found.added, strict=True)]
    return found


def _norm(parts) -> float:
    return float(np.sqrt(sum(np.sum(leaf**2) for own in parts for leaf in own.values())))


def _take_exchanged(trial: Trial) -> list[tuple[int, str]]:
    """Leaves that stand in each other's place; they are put right for all that follows."""
    subject, n = trial.subject, min(trial.few, len(trial.X))
    given, right = subject.gradients(trial.X[:n], trial.Y[:n]), _right_of(trial)(trial.X[:n], trial.Y[:n])
    keys = [(s, leaf) for s, _, leaf in _leaves(trial)]
    wrong = [(s, leaf) for s, leaf in keys if differ(given[s][leaf], right[s][leaf], trial.tolerance)]
    for s, leaf in wrong:
        mine = given[s][leaf]
        twin = next(((t, other) for t, other in wrong if (t, other) != (s, leaf) and right[t][other].shape == mine.shape
                     and mine.any() and not differ(mine, right[t][other], trial.tolerance)), None)
        if twin is not None:
            subject.exchanged[twin] = (s, leaf)  # the right one of twin is found here
    if set(subject.exchanged) != set(subject.exchanged.values()):
        subject.exchanged = {}
    return list(subject.exchanged)
