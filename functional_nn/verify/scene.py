"""The observations of a backward pass, on single examples or on one batch.

Single examples take one call each. The first axis of an array is that of the examples.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective
from functional_nn.verify.stations import Expected, Forward, Station

LOST = 1e-30  # products with a smaller σ′ may underflow in float32 and bfloat16


class Scene(NamedTuple):
    """The forward pass, the user's gradients, and the right steps from any deltas.

    Attributes:
      problem: the network and its loss.
      places: the stations of the network.
      params: the parameters, one dict per station.
      forward: the forward pass.
      gradients: the user's gradients, one dict per station. If `single`, each leaf has a first axis
        of examples.
      y: the targets.
      single: whether the gradients are those of single examples, or of one batch.
      share: the weight of one example in the cost.
      expect: (deltas of all stations, {station: weights to use instead}) -> Expected.
      tolerance: the relative error that rounding may cause.
      unit: the rounding unit of the user's gradients.
      slack: the rounding error in each entry due to terms that were subtracted or averaged, one
        dict per station, or None.
      own: deltas that are known to be the user's, by station, or None.
      twins: scenes whose parameters, inputs and targets are moved by a few rounding units.
      inner: the rounding unit in which the function computes.
      left: the norm of the rounding error of each (station, leaf), if it has been found.
      floor: the size below which numbers of the user's dtype lose digits.
      loose: whether `slack` holds rounding that was measured, in the deltas too.
      mute: (station, leaf) of the leaves whose single-example gradients show nothing.
    """

    problem: Objective
    places: tuple[Station, ...]
    params: list[dict[str, np.ndarray]]
    forward: Forward
    gradients: list[dict[str, np.ndarray]]
    y: np.ndarray
    single: bool
    share: float
    expect: Callable[..., Expected]
    tolerance: float
    unit: float
    slack: list[dict[str, np.ndarray]] | None = None
    own: dict[int, np.ndarray] | None = None
    twins: tuple["Scene", ...] = ()
    inner: float = 2.0**-53
    left: dict[tuple[int, str], float] | None = None
    floor: float = 0.0
    loose: bool = False
    mute: frozenset[tuple[int, str]] = frozenset()

    def weighed(self, weights: np.ndarray) -> "Scene":
        """Return the scene with the share of each example times its weight."""
        share = self.share * weights[:, None]
        return self._replace(share=share, twins=tuple(twin._replace(share=share) for twin in self.twins))

    def filled(self, deltas) -> "Scene":
        """Return the scene with each mute leaf replaced by the right gradient from these deltas."""
        made = {s: self.made(deltas, s) for s, _ in self.mute}
        return self._replace(gradients=[{leaf: made[s][leaf] if (s, leaf) in self.mute else g for leaf, g in own.items()}
                                        for s, own in enumerate(self.gradients)])

    def right(self, deltas, s: int) -> np.ndarray:
        """Return δ of station s from a right step that takes the deltas above."""
        made = np.asarray(self.expect(deltas).deltas[s])
        return self.share * made if s == len(self.places) - 1 else made

    def true_deltas(self) -> list[np.ndarray]:
        """Return δ of each station in a backward pass without mistakes."""
        deltas = [np.zeros_like(z) for z in self.forward.z]
        for s in reversed(range(len(self.places))):
            deltas = with_delta(deltas, s, self.right(deltas, s))
        return deltas

    def cotangent(self, deltas, s: int) -> np.ndarray:
        """Return the size of the cotangent that σ′ of station s multiplies.

        Where σ′ is almost 0, the rounding error of δ is a share of this size. Below a layer norm,
        the sizes of the terms are added, since the terms themselves may cancel. Where z is so large
        that rounding moves it by 1 or more, σ′ may be anything up to 1, and the size is raised
        accordingly; not so for an activation whose σ′ is the same on either side.
        """
        whole = self._cotangent(deltas, s)
        if self.places[s].part.activation.straight:
            return whole
        lost = self.inner * np.abs(np.asarray(self.forward.z[s])).max(axis=-1, keepdims=True) >= 1
        return np.where(lost, whole / (4 * self.inner), whole)

    def _cotangent(self, deltas, s: int) -> np.ndarray:
        """Return `cotangent` without the case of a z so large that it loses its digits."""
        if s < len(self.places) - 1:
            whole, above = np.abs(self.expect(deltas).cotangents[s]), self.places[s + 1]
            if above.weight is None or self.params[s + 1][above.weight].ndim != 1:
                return whole
            x, v = np.asarray(self.forward.inputs[s + 1]), np.abs(self.params[s + 1][above.weight] * deltas[s + 1])
            spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
            x_hat = np.abs(x - x.mean(axis=1, keepdims=True)) / spread
            terms = (v + v.mean(axis=1, keepdims=True) + x_hat * (v * x_hat).mean(axis=1, keepdims=True)) / spread
            return np.maximum(whole, terms) if terms.shape == whole.shape else whole
        prediction, slope = np.asarray(self.forward.outputs[s]), jax.vmap(self.problem.loss.gradient)
        # at a kink of the loss rounding decides which slope is taken
        sides = [prediction * (1 + shift * 4 * self.inner) for shift in (-1, 0, 1)]
        raw = [np.asarray(slope(jnp.asarray(side), jnp.asarray(self.y))) for side in sides]
        return np.max(np.abs(self.share * np.clip(np.nan_to_num(raw), -1e3, 1e3)), axis=0)

    def made(self, deltas, s: int) -> dict[str, np.ndarray]:
        """Return the right gradients of station s's leaves from its δ, for each example."""
        return {name: np.asarray(leaf) for name, leaf in self.expect(deltas).gradients[s].items()}

    def wrong(self, s: int, leaf: str, made: np.ndarray, noise: np.ndarray | float = 0.0) -> bool:
        """Return whether the user's leaf differs from `made`, the right gradient from its δ.

        `noise` is the error in `made` due to rounding of that δ.
        """
        if (s, leaf) in self.mute:
            return False
        given, slack = self.gradients[s][leaf], noise + self.floor
        if self.slack is not None:
            slack = slack + self.slack[s][leaf]
        # each entry has its own rounding error
        if self.single and self.inner < self.unit and self.slack is not None and given.ndim > 2:
            allowed = 2 * (self.tolerance * np.abs(made) + slack) + 64 * self.inner * np.abs(made).max(axis=-1, keepdims=True)
            with np.errstate(invalid="ignore"):
                return not (np.abs(given - made) <= allowed).all()
        if self.single:
            return product_differs(given, made, self.tolerance, slack)
        return differ(given, made.sum(axis=0), self.tolerance, float(np.linalg.norm(np.broadcast_to(slack, given.shape))))

    def candidates(self, s: int, right: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (source, δ) for each candidate of the user's δ at station s.

        The candidates are `right`, which follows from the δ above, and the δ in the leaves.
        """
        yield "above", right
        place, mine = self.places[s], self.gradients[s]
        if place.weight is None:
            inside = self._inside(s, right)
        else:
            inside = _of_bias(mine[place.bias], right.shape) if self.single and (s, place.bias) not in self.mute else None
            weight = _of_weight if self.single else _of_weights
            found = None
            if (s, place.weight) not in self.mute:
                found = weight(mine[place.weight], np.asarray(self.forward.inputs[s]), right.shape)
            if found is not None:
                yield "weight", found
        if inside is not None:
            yield "bias", inside
        if self.own is not None and s in self.own:
            yield "single", self.own[s]

    def _inside(self, s: int, right: np.ndarray) -> np.ndarray | None:
        """Return δ of a block from that of its last layer, δ ⊙ σ′; None if there is none.

        Where σ′ is 0 or nearly 0, δ cannot be found, and the entries of `right` are returned.
        """
        last = self.places[s - 1]
        if last.weight is None or last.path[:-1] != self.places[s].path:
            return None
        z = np.asarray(self.forward.z[s - 1])
        found = next((delta for name, delta in self.candidates(s - 1, np.zeros_like(z)) if name != "above"), None)
        slope = np.asarray(last.part.activation.derivative(z))
        if found is None or slope.shape != right.shape:
            return None
        lost = np.abs(slope) <= LOST
        return np.where(lost, right, found / np.where(lost, 1, slope))


def differ(given: np.ndarray, expected: np.ndarray, tolerance: float, noise: float = 0.0) -> bool:
    """Return whether two arrays differ by more than `tolerance` times the larger norm plus `noise`.

    NaN always differs.
    """
    with np.errstate(invalid="ignore"):
        gap, size = np.linalg.norm(given - expected), max(np.linalg.norm(given), np.linalg.norm(expected))
    return not gap <= tolerance * size + noise


def product_differs(given: np.ndarray, expected: np.ndarray, tolerance: float, noise: np.ndarray | float = 0.0) -> bool:
    """Return whether two gradients differ; matrices δ aᵀ of each example are compared row by row.

    There the error of an entry is compared with the largest entry of its row. Gradients of fewer
    axes are compared by `differ`.
    """
    if given.ndim < 3:
        return differ(given, expected, tolerance, float(np.linalg.norm(np.broadcast_to(noise, given.shape))))
    rows = np.abs(expected).max(axis=-1, keepdims=True)
    floor = np.finfo(np.float64).eps * np.abs(expected).max(initial=0.0)
    slack = noise if np.ndim(noise) == 0 else np.broadcast_to(noise, given.shape).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return not (np.abs(given - expected) <= tolerance * rows + floor + slack).all()


def with_delta(deltas, s: int, delta) -> list[np.ndarray]:
    """Return the deltas with `delta` at station s."""
    return [delta if i == s else other for i, other in enumerate(deltas)]


def _of_bias(gradient: np.ndarray, shape) -> np.ndarray | None:
    """Return δ from the bias's gradient: the gradient itself, or its sum over a maxout's pieces."""
    extra = tuple(range(1, 1 + gradient.ndim - len(shape)))
    return gradient.sum(axis=extra) if gradient.ndim >= len(shape) else None


def _of_weight(gradient: np.ndarray, a: np.ndarray, shape) -> np.ndarray | None:
    """Return δ = (δ aᵀ) a / |a|² from δ aᵀ; None if the weight is not a matrix or a is 0."""
    if gradient.ndim <= len(shape):
        return None
    size = np.einsum("ik,ik->i", a, a)
    if not size.all():
        return None
    delta = np.einsum("i...k,ik->i...", gradient, a) / size.reshape(-1, *[1] * (gradient.ndim - 2))
    return _of_bias(delta, shape)


def _of_weights(gradient: np.ndarray, a: np.ndarray, shape) -> np.ndarray | None:
    """Return δ of each example from Σ δ aᵀ; None if the examples' a are linearly dependent."""
    if gradient.ndim < 2 or not np.isfinite(gradient).all():
        return None
    sizes = np.linalg.svd(a, compute_uv=False)
    if len(a) > a.shape[1] or sizes[-1] < 1e-3 * sizes[0]:
        return None
    delta = np.moveaxis(gradient @ np.linalg.pinv(a), -1, 0)
    return _of_bias(delta, shape)
