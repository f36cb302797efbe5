"""Recognise steps of a backward pass that differ only by their convention at a kink.

At a kink σ or the loss has two one-sided derivatives. Any value in between is a convention and no
mistake.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.locate import Located, Step
from functional_nn.verify.scene import Scene
from functional_nn.verify.stations import Station, at, passes, stations

AT = 1e-9  # |z| below which an entry may stand on a kink
STEP = 1e-7  # the shift of z to either side of a kink
JUMP = 64  # a unit is at its jump if its |z| is within this many rounding units


def conventions(scene: Scene, located: Located, tolerance: float) -> tuple[str, ...] | None:
    """Return notes on the conventions at kinks that explain all wrong steps.

    The result is None if a step is wrong away from kinks, or lies outside the one-sided
    derivatives.
    """
    notes, jumps = [], _at_jumps(scene)
    for step in located.faults:
        place = scene.places[step.station]
        off = np.abs(step.given - step.expected).reshape(len(jumps), -1).max(axis=1)
        if jumps.any() and (off[~jumps] <= max(tolerance, 1e-9) * np.abs(step.expected).max() + step.noise).all():
            notes.append(f"layer {place.label}: a step stands at its jump, and rounding decides on which side: no mistake")
            continue
        if step.site == "weight" or step.given.ndim > 2:
            kind = _standing(scene, step.station, tolerance) or _of_loss(scene, located, step, max(STEP, tolerance))
            if kind is None:
                return None
            notes.append(f"layer {place.label}: {kind}: a convention, no mistake")
            continue
        low, high = _sides(scene, located, step, max(STEP, tolerance))
        scale = np.abs(step.expected).max() + np.abs(high - low).max()
        close = max(1e-5, 4 * tolerance) * scale + step.noise + _slack(scene, step)
        gap = np.abs(step.given - step.expected) - max(tolerance, 1e-9) * scale
        # entries may be too far off all together although no single entry is
        off = gap > (step.noise if (gap > step.noise).any() else 0)
        inside = (step.given >= low - close) & (step.given <= high + close)
        # a jump is compared with the size of its own entry, however large the other entries are
        jump, own = np.abs(high - low), np.maximum(np.abs(high), np.abs(low))
        kink = (jump > max(1e-4, tolerance / 2) * own) & (jump > max(1e-6, tolerance / 2) * scale)
        z = np.abs(np.asarray(scene.forward.z[step.station]))
        follows = notes and place.part.activation.kink and z.shape == off.shape and (z[off] <= AT).all()
        # below an excused kink δ has another size, so units at z = 0 need not lie inside
        if not off.any() or not (follows or (off <= (inside & kink)).all()):
            return None
        i, j = (int(k[0]) for k in np.nonzero(off))
        notes.append(f"kink at unit {j} of layer {place.label} (example {i}): one-sided derivatives give {low[i, j]:.4g} and "
                     f"{high[i, j]:.4g}, yours {step.given[i, j]:.4g}: a convention, no mistake")
    return tuple(notes)


def _slack(scene: Scene, step: Step) -> np.ndarray | float:
    """Return the rounding error in each entry of a δ read from a bias, beyond the tolerance."""
    leaf = scene.places[step.station].bias
    slack = scene.slack[step.station][leaf] if scene.slack is not None and leaf is not None else 0.0
    return slack if np.shape(slack) == step.given.shape else 0.0


def _at_jumps(scene: Scene) -> np.ndarray:
    """Return a mask of examples in which rounding decides on which side of a jump a unit lies."""
    found = np.zeros(len(scene.y), bool)
    for place, z in zip(scene.places, scene.forward.z, strict=True):
        if place.part.activation.kink == "value":
            sizes = np.abs(np.asarray(z)).reshape(len(found), -1)
            found |= (sizes <= JUMP * scene.inner * (1 + sizes.max())).any(axis=1)
    return found


def _sides(scene: Scene, located: Located, step, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest right δ for z shifted by `width` to either side."""
    s, z = step.station, np.asarray(scene.forward.z[step.station])
    if s == len(scene.places) - 1:
        slope = jax.vmap(jax.grad(scene.problem.head.value))
        sides = [scene.share * np.asarray(slope(jnp.asarray(z + d), jnp.asarray(scene.y))) for d in (-width, width)]
    else:
        back = (scene.expect(located.deltas).cotangents[s], *_through_pieces(scene, located, s, width))
        sides = [np.asarray(scene.places[s].part.activation.pullback(jnp.asarray(z + d), g))
                 for d in (-width, width) for g in back]
    return np.min(sides, axis=0), np.max(sides, axis=0)


def _through_pieces(scene: Scene, located: Located, s: int, width: float) -> tuple[np.ndarray, ...]:
    """Return the smallest and the largest cotangent of station s through tied pieces of a maxout.

    The result is empty if no pieces tie.
    """
    t = s + 1
    W = scene.params[t].get(scene.places[t].weight, np.zeros(0))
    if W.ndim < 3 or not _tied(scene, t, width):
        return ()
    a, delta = np.asarray(scene.forward.inputs[t]), located.deltas[t]
    z = np.einsum("pjk,bk->bpj", W, a) + scene.params[t][scene.places[t].bias]
    wins = z >= z.max(axis=1, keepdims=True) - max(AT, width * np.abs(z).max())
    terms = np.einsum("pjk,bj->bpjk", W, delta)
    least, most = (of(np.where(wins[..., None], terms, none), axis=1) for of, none in ((np.min, np.inf), (np.max, -np.inf)))
    return least.sum(axis=1), most.sum(axis=1)


def _of_loss(scene: Scene, located: Located, step, width: float) -> str | None:
    """Return a phrase if each wrong row of the last weight belongs to a unit at a kink of the loss.

    Otherwise return None.
    """
    if step.station < len(scene.places) - 1 or step.given.ndim != 3:
        return None
    low, high = _sides(scene, located, step, width)
    off = (np.abs(step.given - step.expected) > width * max(np.abs(step.given).max(), np.abs(step.expected).max())).any(axis=-1)
    kink = np.abs(high - low) > 1e-4 * max(np.abs(high).max(), np.abs(low).max())
    return "outputs stand on a kink of the loss" if off.any() and (off <= kink).all() else None


def _standing(scene: Scene, s: int, tolerance: float) -> str | None:
    """Return a phrase on what lies at a kink at station s, or None.

    It is a unit with z = 0, or tied pieces of a maxout.
    """
    place = scene.places[s]
    if place.weight is not None and scene.params[s][place.weight].ndim > 2:
        return "pieces of a maxout tie, and share the gradient as you choose" if _tied(scene, s, tolerance) else None
    z = np.asarray(scene.forward.z[s])
    at_zero = (np.abs(z) <= max(AT, tolerance * np.abs(z).max())).any()
    kinked = place.part.activation.kink is not None
    return "units stand at z = 0" if kinked and at_zero else None


def _tied(scene: Scene, s: int, tolerance: float) -> bool:
    """Return whether pieces of a maxout tie for the largest z."""
    params, a = scene.params[s], np.asarray(scene.forward.inputs[s])
    z = np.sort(np.einsum("pjk,bk->bpj", params["w"], a) + params["b"], axis=1)
    return bool((z[:, -1] - z[:, -2] <= max(AT, tolerance * np.abs(z).max())).any())


def nearest(scene: Scene) -> float:
    """Return the smallest |z| among units with a kink at 0; infinity if there are none."""
    sizes = [np.abs(np.asarray(z)).min() for place, z in zip(scene.places, scene.forward.z, strict=True)
             if place.part.activation.kink and z.size]
    return float(min(sizes, default=np.inf))


def has_kinks(net) -> bool:
    """Return whether the network has a kink, in an activation or between pieces of a maxout."""
    return any(_kinked(place) for place in stations(net))


def _kinked(place: Station) -> bool:
    return place.part.activation.kink is not None or _pieces(place)


def _pieces(place: Station) -> bool:
    """Return whether the station is a maxout of several pieces."""
    return place.part.kind == "maxout" and place.part.arguments["pieces"] > 1


def sides_of(problem, several, batch) -> np.ndarray:
    """Return the side of its kinks on which each unit lies, at each of several parameters.

    The sides are integers, of shape (parameters, examples, units).
    """
    return np.asarray(_sides_at_many(problem)(jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *several), batch))


@functools.lru_cache(maxsize=8)
def _sides_at_many(problem):
    places, (forward, _) = stations(problem.net), passes(problem)

    def of(params, batch):
        run, found = forward(params, batch.x, batch.y), []
        for place, a, z in zip(places, run.inputs, run.z, strict=True):
            if _pieces(place):
                own = at(params, place)
                found.append(jnp.argmax(jnp.einsum("pjk,bk->bpj", own["w"], a) + own["b"][None], axis=1))
            elif _kinked(place):
                found.append((z > 0).astype(int))
        return jnp.concatenate([side.reshape(len(side), -1) for side in found], axis=1)

    return jax.jit(jax.vmap(of, in_axes=(0, None)))
