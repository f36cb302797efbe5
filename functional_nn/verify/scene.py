"""What is known of a backward pass: on single examples, one call each, or on one batch. Arrays have examples first."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective
from functional_nn.verify.stations import Expected, Forward, Station

LOST = 1e-30  # a σ′ that float32 and bfloat16 lose in what it is multiplied with


class Scene(NamedTuple):
    """The forward pass, the user's gradients, and what right steps would make of any deltas.

    Attributes:
      params: a dict for each station.
      gradients: the same; each leaf has an axis of examples in front where they were given one by one.
      single: whether they were.
      share: what one example counts in the cost.
      expect: (deltas of every station, {station: weights to use instead}) -> Expected.
      tolerance: relative error that rounding may leave.
      unit: rounding unit of the user's gradients.
      slack: what rounding leaves of terms that have been taken off, one dict a station, or None.
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
    own: dict[int, np.ndarray] | None = None  # deltas that are known to be the user's, by station
    twins: tuple["Scene", ...] = ()  # the same with parameters, inputs and targets as rounding may have left them
    inner: float = 2.0**-53  # rounding unit of what the function computes in
    left: dict[tuple[int, str], float] | None = None  # norm of what rounding leaves of (station, leaf), where it has been found
    floor: float = 0.0  # below which numbers of the user's dtype lose their digits
    mute: frozenset[tuple[int, str]] = frozenset()  # (station, leaf) of which single examples show nothing

    def weighed(self, weights: np.ndarray) -> "Scene":
        """The same where each example counts so many times as much."""
        share = self.share * weights[:, None]
        return self._replace(share=share, twins=tuple(twin._replace(share=share) for twin in self.twins))

    def filled(self, deltas) -> "Scene":
        """The scene with what these deltas make in place of leaves of which single examples show nothing."""
        made = {s: self.made(deltas, s) for s, _ in self.mute}
        return self._replace(gradients=[{leaf: made[s][leaf] if (s, leaf) in self.mute else g for leaf, g in own.items()}
                                        for s, own in enumerate(self.gradients)])

    def right(self, deltas, s: int) -> np.ndarray:
        """δ of station s as a right step makes it of those above."""
        made = np.asarray(self.expect(deltas).deltas[s])
        return self.share * made if s == len(self.places) - 1 else made

    def true_deltas(self) -> list[np.ndarray]:
        """δ of every station in a backward pass without mistakes."""
        deltas = [np.zeros_like(z) for z in self.forward.z]
        for s in reversed(range(len(self.places))):
            deltas = with_delta(deltas, s, self.right(deltas, s))
        return deltas

    def cotangent(self, deltas, s: int) -> np.ndarray:
        """The size of what σ′ of station s is multiplied with: a share of it is what rounding leaves where σ′ is all but 0.

        Below a layer norm the terms that cancel in it count, each by itself. Where z is so large that rounding moves it by 1 or
        more, σ′ may be anything up to 1, unless it is the same on either side.
        """
        whole = self._cotangent(deltas, s)
        if self.places[s].part.activation.straight:
            return whole
        lost = self.inner * np.abs(np.asarray(self.forward.z[s])).max(axis=-1, keepdims=True) >= 1
        return np.where(lost, whole / (4 * self.inner), whole)

    def _cotangent(self, deltas, s: int) -> np.ndarray:
        """The same where z keeps its digits."""
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
        sides = [prediction * (1 + shift * 4 * self.inner) for shift in (-1, 0, 1)]  # at a kink of the loss rounding decides
        raw = [np.asarray(slope(jnp.asarray(side), jnp.asarray(self.y))) for side in sides]
        return np.max(np.abs(self.share * np.clip(np.nan_to_num(raw), -1e3, 1e3)), axis=0)

    def made(self, deltas, s: int) -> dict[str, np.ndarray]:
        """The leaves of station s as its δ makes them, of each example."""
        return {name: np.asarray(leaf) for name, leaf in self.expect(deltas).gradients[s].items()}

    def wrong(self, s: int, leaf: str, made: np.ndarray, noise: np.ndarray | float = 0.0) -> bool:
        """Whether the user's leaf is not what its δ makes, where rounding of that δ leaves `noise`."""
        if (s, leaf) in self.mute:
            return False
        given, slack = self.gradients[s][leaf], noise + self.floor
        if self.slack is not None:
            slack = slack + self.slack[s][leaf]
        if self.single and self.inner < self.unit and self.slack is not None and given.ndim > 2:  # each entry rounded by itself
            allowed = 2 * (self.tolerance * np.abs(made) + slack) + 64 * self.inner * np.abs(made).max(axis=-1, keepdims=True)
            with np.errstate(invalid="ignore"):
                return not (np.abs(given - made) <= allowed).all()
        if self.single:
            return product_differs(given, made, self.tolerance, slack)
        return differ(given, made.sum(axis=0), self.tolerance, float(np.linalg.norm(np.broadcast_to(slack, given.shape))))

    def candidates(self, s: int, right: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """The δ that the user may have at station s: what follows from above, and what its leaves hold."""
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
        """δ of a block from that of its last layer, δ ⊙ σ′; where σ′ is 0, or as good as, it cannot be seen."""
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
    """Whether two arrays differ by more than `tolerance` of the larger, and `noise`; NaN always does."""
    with np.errstate(invalid="ignore"):
        gap, size = np.linalg.norm(given - expected), max(np.linalg.norm(given), np.linalg.norm(expected))
    return not gap <= tolerance * size + noise


def product_differs(given: np.ndarray, expected: np.ndarray, tolerance: float, noise: np.ndarray | float = 0.0) -> bool:
    """As `differ`, and for a matrix δ aᵀ of each example row by row: an entry is compared with the largest of its row."""
    if given.ndim < 3:
        return differ(given, expected, tolerance, float(np.linalg.norm(np.broadcast_to(noise, given.shape))))
    rows = np.abs(expected).max(axis=-1, keepdims=True)
    floor = np.finfo(np.float64).eps * np.abs(expected).max(initial=0.0)
    slack = noise if np.ndim(noise) == 0 else np.broadcast_to(noise, given.shape).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return not (np.abs(given - expected) <= tolerance * rows + floor + slack).all()


def with_delta(deltas, s: int, delta) -> list[np.ndarray]:
    """The deltas with another one at station s."""
    return [delta if i == s else other for i, other in enumerate(deltas)]


def _of_bias(gradient: np.ndarray, shape) -> np.ndarray | None:
    """δ from the bias's gradient, which it is, or for a maxout's pieces their sum."""
    extra = tuple(range(1, 1 + gradient.ndim - len(shape)))
    return gradient.sum(axis=extra) if gradient.ndim >= len(shape) else None


def _of_weight(gradient: np.ndarray, a: np.ndarray, shape) -> np.ndarray | None:
    """δ within δ aᵀ: (δ aᵀ) a / |a|²; None where the weight is no matrix or a is 0."""
    if gradient.ndim <= len(shape):
        return None
    size = np.einsum("ik,ik->i", a, a)
    if not size.all():
        return None
    delta = np.einsum("i...k,ik->i...", gradient, a) / size.reshape(-1, *[1] * (gradient.ndim - 2))
    return _of_bias(delta, shape)


def _of_weights(gradient: np.ndarray, a: np.ndarray, shape) -> np.ndarray | None:
    """δ of every example within Σ δ aᵀ, where the examples' a are independent; None where they are not."""
    if gradient.ndim < 2 or not np.isfinite(gradient).all():
        return None
    sizes = np.linalg.svd(a, compute_uv=False)
    if len(a) > a.shape[1] or sizes[-1] < 1e-3 * sizes[0]:
        return None
    delta = np.moveaxis(gradient @ np.linalg.pinv(a), -1, 0)
    return _of_bias(delta, shape)
