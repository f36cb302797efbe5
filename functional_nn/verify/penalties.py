"""Find a wrong penalty term in a gradient.

Where the network fits perfectly, each δ is zero, and the gradient consists of the penalty's alone.
"""

from typing import NamedTuple

import numpy as np

from functional_nn.verify.hypothesis import multiple

OWN = "the cost's own penalty"


class Penalty(NamedTuple):
    """A wrong penalty term in a gradient: an added, forgotten or doubled one.

    Attributes:
      cause: "penalty added", "penalty forgotten", "penalty doubled" or "sign".
      form: the formula that the rate multiplies, such as "W"; "" if the term has no such form.
      rate: the λ of the term, or the excess factor of the cost's own penalty: −1 if it is
        forgotten, 1 if it is doubled.
      residual: the share of the term that `form` does not explain.
      added: the term itself, one dict per station.
      power: the term is proportional to this power of the number of examples.
    """

    cause: str
    form: str
    rate: float
    residual: float
    added: list[dict[str, np.ndarray]]
    power: float = 0.0

    @property
    def formula(self) -> str:
        """Return the term as a formula."""
        if self.cause == "penalty forgotten":
            return f"{-self.rate:.6g} * {self.form}"
        if self.cause == "sign":
            return "of " + self.form
        return f"{self.rate:.6g} * {self.form}" if self.form else "of another form than L1 or L2"

    def at_rate(self, rate: float) -> "Penalty":
        """Return the penalty with another rate."""
        share = rate / self.rate
        return self._replace(rate=rate, added=[{leaf: share * value for leaf, value in own.items()} for own in self.added])


def penalty_in(places, params, left, own, scale: float, rounding: float) -> Penalty | None:
    """Return the penalty (L1, L2 or the cost's own) that explains all of `left`, or None.

    Args:
      params: the parameters, one dict per station.
      left: the gradient at a perfect fit minus that of the cost's own penalty, one dict per
        station.
      own: the gradient of the cost's own penalty, one dict per station, or None.
      scale: the norm of the gradient elsewhere.
      rounding: the norm of the rounding error in `left`.
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
        guesses = {OWN: own, **guesses}
    for name, guess in guesses.items():
        term = _flat(places, guess)
        rate = multiple(flat, term)
        residual = float(np.linalg.norm(flat - rate * term) / size)
        if rate and residual <= max(1e-8, rounding / size):
            if len({s for s, place in enumerate(places) if place.leaves}) < 2:
                return None  # in a network of one layer it counts as the leaf's mistake
            cause = _cause_of(round(rate, 3)) if name == OWN else "penalty added"
            return Penalty(cause, name, rate, residual,
                           [{leaf: rate * value for leaf, value in part.items()} for part in guess])
    return None


def _cause_of(rate: float) -> str:
    """The cause of an excess of the cost's own penalty, in units of it."""
    if -1 <= rate < 0:
        return "penalty forgotten"
    return {-2: "sign", 1: "penalty doubled"}.get(rate, "penalty added")


def of_any_form(places, params, looks, moved, scale: float, rounding: float) -> Penalty | None:
    """Return a penalty of unknown form: a term that depends on the weights but on no example.

    The result is None if there is no such term, or if it is a mistake of a single leaf.

    Args:
      params: the parameters, one dict per station.
      looks: the remaining gradients of different examples, each one dict per station.
      moved: the remaining gradient at other parameters.
      scale, rounding: as for `penalty_in`.
    """
    flats = [_flat(places, left) for left in looks]
    size = np.linalg.norm(flats[0])
    parts = [(left[name], p[name], site) for place, left, p in zip(places, looks[0], params, strict=True)
             for site, name in place.leaves.items() if np.linalg.norm(left[name]) > max(1e-6 * size, rounding)]
    if any(site == "bias" for *_, site in parts):  # a δ at a kink that is the same for all examples
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
    """Return whether `left` is a mistake that can be named for its leaf p alone.

    Such mistakes are, for instance, a multiple of p or of its sign, or a single entry.
    """
    fits = any(np.linalg.norm(left - multiple(left, of) * of) <= 1e-6 * np.linalg.norm(left)
               for of in (p, np.sign(p), p**3, p - p.mean()))
    return fits or p.ndim < 2 or np.count_nonzero(np.abs(left) > 1e-6 * np.abs(left).max()) == 1


def _flat(places, parts) -> np.ndarray:
    return np.concatenate([np.ravel(part[leaf]) for place, part in zip(places, parts, strict=True)
                           for leaf in place.leaves.values()])
