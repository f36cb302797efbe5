"""A wrong step that has no name, isolated: the rest of the network held still, to see what it depends on.

With the weights of its layer at 0 every example has the same z: a δ that is still a fixed multiple of what comes back, unit by
unit, has the derivative wrong and nothing else. And a head whose Jacobian ∂δ/∂z is symmetric is the gradient of some loss.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from functional_nn.verify.causes import Verdict
from functional_nn.verify.locate import Step, locate
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.naming import formula
from functional_nn.verify.trial import Trial

DIRECTIONS, STEP, CLOSE = 3, 1e-4, 1e-5


def isolated(trial: Trial, step: Step) -> Verdict | None:
    """What the wrong δ of a station shows by itself; None where that is nothing."""
    place, wanted = trial.subject.places[step.station], formula(trial.subject.places, step.site, step.station)
    if place.weight is None or trial.subject.added is not None or step.site not in ("head", "pullback"):
        return None
    if place.part.activation.derivative(jnp.zeros(2)).ndim == 1 and all(_of_z_alone(trial, step, seed) for seed in (0, 1)):
        return Verdict("other derivative", 0.0, np.inf, wanted.replace(f"{place.part.activation.name}'", "f"), "", "")
    if step.site == "head" and _is_gradient(trial, step):
        return Verdict("another loss", 0.0, np.inf, wanted.replace("dL/da", "dM/da"), "some M(a, y)", "")
    return None


def _of_z_alone(trial: Trial, step: Step, seed: int) -> bool:
    """Whether δ is f(z) ⊙ what comes back, seen where no example moves z."""
    subject, place, s = trial.subject, trial.subject.places[step.station], step.station
    own = {name: np.asarray(leaf) for name, leaf in subject.stationed(subject.params)[s].items()}
    still = {place.weight: np.zeros_like(own[place.weight]),
             place.bias: np.random.default_rng(seed).normal(size=own[place.bias].shape)}
    held = dataclasses.replace(trial, subject=subject.replaced(s, still))
    scene = held.singles(held.few)
    located = locate(scene)[0]
    found = next((each for each in located.steps if (each.site, each.station) == (step.site, s)), None)
    if found is None or not found.wrong or not np.isfinite(found.given).all():
        return False
    back = View(scene, located.deltas, scene.expect(located.deltas)).cotangent(s)
    sizes = np.linalg.svd(back, compute_uv=False)
    if back.shape != found.given.shape or len(sizes) < 2 or sizes[1] < 1e-2 * sizes[0]:
        return False
    f = (found.given * back).sum(axis=0) / np.maximum((back**2).sum(axis=0), 1e-300)
    return bool(np.linalg.norm(found.given - f * back) <= max(1e-8, 4 * trial.unit) * np.linalg.norm(found.given))


def _is_gradient(trial: Trial, step: Step) -> bool:
    """Whether the head's δ is ∇M of some M, of the outputs: u · ∂δ/∂z v = v · ∂δ/∂z u, the last bias being moved."""
    subject, place, s = trial.subject, trial.subject.places[step.station], step.station
    bias = np.asarray(subject.stationed(subject.params)[s][place.bias])
    if trial.unit > 1e-12 or bias.ndim > 1 or bias.size < 2:
        return False

    def delta(shift) -> np.ndarray:
        moved = subject.replaced(s, {place.bias: bias + shift})
        return np.stack([moved.gradients(trial.X[i:i + 1], trial.Y[i:i + 1])[s][place.bias] for i in range(len(step.given))])

    if not np.allclose(delta(0.0), step.given, rtol=1e-9, atol=0):
        return False
    along = np.random.default_rng(trial.seed).normal(size=(DIRECTIONS, bias.size))
    slopes = np.stack([(delta(STEP * u) - delta(-STEP * u)) / (2 * STEP) for u in along])  # (directions, examples, n)
    products = np.einsum("jn,ien->eij", along, slopes)
    return bool(np.abs(products - np.swapaxes(products, 1, 2)).max() <= CLOSE * np.abs(products).max())
