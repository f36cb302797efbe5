"""The penalty: what is left of a gradient where the network fits perfectly and every δ is zero."""

from typing import NamedTuple

import numpy as np

from functional_nn.verify.hypothesis import multiple


class Penalty(NamedTuple):
    """A penalty that should not be there, or should.

    Attributes:
      cause: penalty added, forgotten or doubled. form: what it is the rate times of, "" if it has no such form.
      rate: its λ, or how often the cost's own counts. added: the term itself. power: of the number of examples in its weight.
    """

    cause: str
    form: str
    rate: float
    residual: float
    added: list[dict[str, np.ndarray]]
    power: float = 0.0

    @property
    def formula(self) -> str:
        """The term, to read."""
        return f"{self.rate:.6g} * {self.form}" if self.form else "of another form than L1 or L2"

    def at_rate(self, rate: float) -> "Penalty":
        """The same with another rate."""
        share = rate / self.rate
        return self._replace(rate=rate, added=[{leaf: share * value for leaf, value in own.items()} for own in self.added])


def penalty_in(places, params, left, own, scale: float, rounding: float) -> Penalty | None:
    """The penalty that all of `left` is made of, or None.

    Args:
      params, left: one dict a station: the parameters, and what is left of the gradient with the cost's own penalty taken off.
      own: the gradient of the cost's own penalty likewise, or None.
      scale: norm of the gradient elsewhere. rounding: what rounding leaves of it in the norm of `left`.
    """
    flat = _flat(places, left)
    size = np.linalg.norm(flat)
    if not np.isfinite(size) or size <= 1e-9 * scale or rounding > 0.1 * size:
        return None
    kinds = {"W": [("weight", lambda p: p)], "W and b": [("weight", lambda p: p), ("bias", lambda p: p)],
             "sign(W)": [("weight", np.sign)], "sign(W) and sign(b)": [("weight", np.sign), ("bias", np.sign)]}
    guesses = {name: [{leaf: of(p[leaf]) if site in dict(kind) else np.zeros_like(p[leaf])
                       for site, leaf in place.leaves.items() for of in [dict(kind).get(site)]}
                      for place, p in zip(places, params, strict=True)] for name, kind in kinds.items()}
    if own is not None:
        guesses = {"the cost's own penalty": own, **guesses}
    for name, guess in guesses.items():
        term = _flat(places, guess)
        rate = multiple(flat, term)
        residual = float(np.linalg.norm(flat - rate * term) / size)
        if rate and residual <= max(1e-8, rounding / size):
            if len({s for s, place in enumerate(places) if place.leaves}) < 2:
                return None  # of one layer: its leaf's mistake
            cause = {-1: "penalty forgotten", 1: "penalty doubled"}.get(
                round(rate, 3) if name == "the cost's own penalty" else 0, "penalty added")
            return Penalty(cause, name, rate, residual,
                           [{leaf: rate * value for leaf, value in part.items()} for part in guess])
    return None


def of_any_form(places, params, looks, moved, scale: float, rounding: float) -> Penalty | None:
    """A term of the weights that no example changes and they do, whatever its form; None where there is none, or a leaf's own.

    Args:
      params: one dict a station.
      looks: what is left of the gradient of different examples, each one dict a station. moved: at other parameters.
    """
    flats = [_flat(places, left) for left in looks]
    size = np.linalg.norm(flats[0])
    parts = [(left[name], p[name], site) for place, left, p in zip(places, looks[0], params, strict=True)
             for site, name in place.leaves.items() if np.linalg.norm(left[name]) > max(1e-6 * size, rounding)]
    if any(site == "bias" for *_, site in parts):  # those of a δ that no example changes, at a kink
        return None
    if not np.isfinite(size) or size <= 1e-9 * scale or rounding > 0.1 * size or (len(parts) == 1 and _simple(*parts[0][:2])):
        return None
    gaps = [float(np.linalg.norm(other - flats[0])) for other in flats[1:]]
    if max(gaps) > max(1e-8 * size, 2 * rounding):
        return None
    if np.linalg.norm(_flat(places, moved) - flats[0]) <= max(1e-3 * size, 8 * rounding):
        return None
    term = [{leaf: np.where(np.abs(left) > 1e-9 * size, left, 0.0) for leaf, left in own.items()} for own in looks[-1]]
    return Penalty("penalty added", "", float(size), max(gaps) / size, term)


def _simple(left: np.ndarray, p: np.ndarray) -> bool:
    """Whether it is a mistake that its leaf has a name for: a multiple of p or its sign, or one entry."""
    fits = any(np.linalg.norm(left - multiple(left, of) * of) <= 1e-6 * np.linalg.norm(left)
               for of in (p, np.sign(p), p**3, p - p.mean()))
    return fits or p.ndim < 2 or np.count_nonzero(np.abs(left) > 1e-6 * np.abs(left).max()) == 1


def _flat(places, parts) -> np.ndarray:
    return np.concatenate([np.ravel(part[leaf]) for place, part in zip(places, parts, strict=True)
                           for leaf in place.leaves.values()])
