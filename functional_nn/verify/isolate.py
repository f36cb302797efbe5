"""Name an unexplained wrong step by isolating it: hold the rest of the network still.

With the weights of the layer at 0, every example has the same z. If δ is then still a fixed
multiple, unit by unit, of the cotangent of a, only the activation's derivative is wrong. If the
head's δ depends on z and the target alone, and its Jacobian ∂δ/∂z is symmetric, it is the gradient
of some loss.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.causes import TINY, Verdict
from functional_nn.verify.locate import Step, locate
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.naming import formula
from functional_nn.verify.stations import passes
from functional_nn.verify.trial import Trial

EXAMPLES, DIRECTIONS, STEP, CLOSE = 12, 3, 1e-4, 1e-5
# For a rounded gradient; LITTLE is relative to the integral that a field with curl would give:
FEWER, LOOPS, NODES, SIDE, LITTLE = 6, 3, 10, 1.0, 0.03
WIDE = 2.0  # standard deviation of the z at which a derivative is checked
QUIET = 1e-4  # relative to the distance between the targets and the predictions
LENGTHS = 0.01  # relative spread of lengths that count as equal
FAR = 1.0  # relative move of the parameters that must not change the head's δ


def isolated(trial: Trial, step: Step) -> Verdict | None:
    """The verdict on a wrong δ studied in isolation; None if isolation names no cause."""
    place, wanted = trial.subject.places[step.station], formula(trial.subject.places, step.site, step.station)
    if place.weight is None or step.site not in ("head", "pullback"):
        return None
    if step.station in trial.subject.given.without:  # there is no bias to shift
        return None
    added = trial.subject.known(1)  # a penalty, valid at these parameters only
    if added is None and place.part.activation.derivative(jnp.zeros(2)).ndim == 1 and _is_derivative(trial, step):
        return Verdict("other derivative", 0.0, np.inf, wanted.replace(f"{place.part.activation.name}'", "f"), "", "")
    unmoved = added is None or not added[step.station][place.bias].any()
    if step.site == "head" and unmoved and _is_gradient(trial, step):
        return Verdict("another loss", 0.0, np.inf, wanted.replace("dL/da", "dM/da"), "some M(a, y)", "")
    return None


def limited(trial: Trial, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The steps, with "normalised" and "clipped" told apart for steps of constant length.

    Clipping leaves a short vector as it is, so the steps are looked at again with short ones.
    """
    alike = [step for step, verdict in steps if _one_length(step, verdict)]
    forward, _ = passes(trial.problem)
    if not alike or trial.Y.dtype.kind != "f" or trial.Y.ndim < 2:
        return steps
    said = np.asarray(forward(jax.tree.map(jnp.asarray, trial.subject.params), trial.X, trial.y).outputs[-1])
    if said.shape != trial.Y.shape:
        return steps
    quiet = dataclasses.replace(trial, Y=said + QUIET * (trial.Y - said), y=said + QUIET * (trial.y - said))
    # at nearby points δ would not be small
    quiet = quiet if trial.subject.mean is None else quiet.rounded()
    wrong = {(step.site, step.station): step for step in locate(quiet.singles(quiet.few))[0].faults}
    places = trial.subject.places

    def told(step: Step, verdict: Verdict) -> Verdict:
        if not any(step is each for each in alike):
            return verdict
        there, length = wrong.get((step.site, step.station)), _lengths(step.given).mean()
        # not small, as the head is wrong too
        if there is not None and _lengths(there.expected).min() >= length:
            divided = np.isclose(length, 1, rtol=LENGTHS) or not np.isclose(length, float(f"{length:.1g}"), rtol=LENGTHS)
        else:
            divided = there is not None
        return _of_length(step, verdict, formula(places, step.site, step.station), divided)

    return [(step, told(step, verdict)) for step, verdict in steps]


def _lengths(each: np.ndarray) -> np.ndarray:
    return np.linalg.norm(each.reshape(len(each), -1), axis=1)


def _one_length(step: Step, verdict: Verdict) -> bool:
    """Whether the verdict is division by, or clipping to, a norm, and all lengths are equal."""
    said = (verdict.cause, verdict.value == "divided by the norm") == ("normalised", True) or (
        verdict.cause == "clipped" and verdict.value.startswith("norm"))
    lengths = _lengths(step.given)
    return said and bool(np.ptp(lengths) <= LENGTHS * lengths.max())


def _of_length(step: Step, verdict: Verdict, name: str, divided: bool) -> Verdict:
    """The verdict on a step that is divided by its norm (`divided`) or clipped to a norm."""
    length = float(_lengths(step.given).mean())
    if divided:
        return verdict._replace(cause="normalised", value="divided by the norm", fitted=(length,),
                                formula=f"{length:.4g} * ({name}) / norm")
    return verdict._replace(cause="clipped", value=f"norm {length:.4g}", fitted=(length,),
                            formula=f"({name}) * min(1, {length:.4g} / norm)")


def _is_derivative(trial: Trial, step: Step) -> bool:
    """Whether δ is f(z) ⊙ cotangent for a function f other than σ′ times a constant per unit."""
    found = [_of_z_alone(trial, step, seed) for seed in (0, 1)]
    if any(each is None for each in found):
        return False
    one, other = (f / np.where(right == 0, 1, right) for f, right in found)
    return not np.allclose(one, other, rtol=max(1e-4, 100 * trial.unit), atol=max(1e-4, 100 * trial.unit))


def _of_z_alone(trial: Trial, step: Step, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(f, σ′) of every unit, with z the same for all examples; None if δ is not f ⊙ cotangent."""
    subject, place, s = trial.subject, trial.subject.places[step.station], step.station
    own = {name: np.asarray(leaf) for name, leaf in subject.stationed(subject.params)[s].items()}
    still = {place.weight: np.zeros_like(own[place.weight]),
             place.bias: np.random.default_rng(seed).normal(scale=WIDE, size=own[place.bias].shape)}
    held = dataclasses.replace(trial, subject=subject.replaced(s, still))
    scene = held.singles(held.few)
    located = locate(scene)[0]
    found = next((each for each in located.steps if (each.site, each.station) == (step.site, s)), None)
    if found is None or not found.wrong or not np.isfinite(found.given).all():
        return None
    view = View(scene, located.deltas, scene.expect(located.deltas))
    back = view.cotangent(s)
    sizes = np.linalg.svd(back, compute_uv=False)
    if back.shape != found.given.shape or len(sizes) < 2 or sizes[1] < 1e-2 * sizes[0]:
        return None
    f = (found.given * back).sum(axis=0) / np.maximum((back**2).sum(axis=0), 1e-300)
    fits = np.linalg.norm(found.given - f * back) <= max(1e-8, 4 * trial.unit) * np.linalg.norm(found.given)
    return (f, view.through(s, np.ones_like(back))[0]) if fits else None


def _is_gradient(trial: Trial, step: Step) -> bool:
    """Whether the head's δ, and so its error e, is the gradient ∇M of some M of the outputs."""
    subject, s = trial.subject, step.station
    bias = np.asarray(subject.stationed(subject.params)[s][trial.subject.places[s].bias])
    if bias.ndim > 1 or bias.size < 2:
        return False
    n = EXAMPLES if subject.mean is None else FEWER
    known = min(n, trial.few, len(step.given))
    given, expected = step.given[:known], step.expected[:known]
    whole = _Error(trial.widened(n), s, n)
    if not np.linalg.norm(whole.at(0.0)[:known] - (given - expected)) <= 8 * trial.unit * np.linalg.norm(given):
        return False
    if not whole.of_z_alone():
        return False
    if subject.mean is None:
        return _is_symmetric(whole, np.abs(given).max())
    return _closes(_Error(trial.widened(n).rounded(), s, n))


class _Error:
    """The error of the head's δ for each of the first n examples, as a function of a shift of z."""

    def __init__(self, trial: Trial, s: int, n: int):
        place, subject = trial.subject.places[s], trial.subject
        forward = passes(trial.problem)[0](jax.tree.map(jnp.asarray, subject.params), trial.X[:n], trial.y[:n])
        self.trial, self.z, self.n, self.station, self.place = trial, np.asarray(forward.z[-1]), n, s, place
        self.bias = np.asarray(subject.stationed(subject.params)[s][place.bias])
        self.right = jax.vmap(jax.grad(trial.problem.head.value))

    def given(self, shift) -> np.ndarray:
        """The user's δ with the last bias shifted."""
        trial, s = self.trial, self.station
        moved = trial.subject.replaced(s, {self.place.bias: self.bias + shift})
        return np.stack([moved.gradients(trial.X[i:i + 1], trial.Y[i:i + 1])[s][self.place.bias] for i in range(self.n)])

    def expected(self, shift) -> np.ndarray:
        """The right δ at the shifted z."""
        return np.asarray(self.right(jnp.asarray(self.z + shift), self.trial.y[:self.n]))

    def at(self, shift) -> np.ndarray:
        """The error of δ at the shifted z."""
        return self.given(shift) - self.expected(shift)

    def of_z_alone(self) -> bool:
        """Whether δ depends on z alone.

        All parameters move; the last bias brings back each example's z; δ must stay the same.
        """
        trial = dataclasses.replace(self.trial, subject=self.trial.subject.moved(self.trial.seed, FAR))
        other = _Error(trial, self.station, self.n)
        back = np.stack([trial.subject.replaced(self.station, {self.place.bias: other.bias + shift}).gradients(
            trial.X[i:i + 1], trial.Y[i:i + 1])[self.station][self.place.bias] for i, shift in enumerate(self.z - other.z)])
        close = max(TINY, 4 * trial.unit)
        return bool(np.linalg.norm(back - self.given(0.0)) <= close * np.linalg.norm(back))

    def along(self, count: int) -> np.ndarray:
        """`count` random directions in the space of z."""
        return np.random.default_rng(self.trial.seed).normal(size=(count, self.bias.size))


def _is_symmetric(error: _Error, largest: float) -> bool:
    """Whether ∂e/∂z is symmetric: u · ∂e/∂z v = v · ∂e/∂z u."""
    along = error.along(DIRECTIONS)
    slopes = np.stack([(error.at(STEP * u) - error.at(-STEP * u)) / (2 * STEP) for u in along])  # (directions, examples, n)
    products = np.einsum("jn,ien->eij", along, slopes)
    heard = np.abs(slopes).max() > 20 * error.trial.unit * largest / STEP
    return bool(heard and np.abs(products - np.swapaxes(products, 1, 2)).max() <= CLOSE * np.abs(products).max())


def _closes(error: _Error) -> bool:
    """Whether ∮ e · dz = 0 over triangles, up to a rounding error that is small.

    Unlike differences, an integral needs no small steps, so it tolerates rounding.
    """
    at, weights = np.polynomial.legendre.leggauss(NODES)
    total, noise, swing = [], 0.0, 0.0
    for u, v in SIDE * error.along(2 * LOOPS).reshape(LOOPS, 2, -1):
        around = [((1 - t) / 2 * p + (1 + t) / 2 * q, w / 2 * (q - p)) for p, q in ((0 * u, u), (u, v), (v, 0 * u))
                  for t, w in zip(at, weights, strict=True)]
        steps, given = np.stack([step for _, step in around]), np.stack([error.given(shift) for shift, _ in around])
        each = given - np.stack([error.expected(shift) for shift, _ in around])  # (nodes, examples, n)
        total.append(np.einsum("ken,kn->e", each, steps))
        noise += np.einsum("ken,kn->", (error.trial.unit * given) ** 2, steps**2)
        swing += float(np.sum(np.var(each, axis=0).sum(axis=-1) * np.sum(u**2 + v**2)))
    size = np.sqrt(np.sum(np.square(total)))
    return bool(np.sqrt(noise) <= LITTLE * np.sqrt(swing) and size <= np.sqrt(noise))
