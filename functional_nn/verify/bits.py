"""Name mistakes in a gradient that is computed finely and rounded at the end, from its exact bits.

A mistake is believed if its prediction, rounded, equals every entry of the given gradient. Averages
over nearby points show where a large mistake is. The bits decide whether a name fits, and whether
rounding hides a small mistake. From the loss down, every δ is computed exactly, either by the right
step or by the named mistake. The leaves made from that δ must equal the given ones entry by entry.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from functional_nn.verify.causes import Verdict
from functional_nn.verify.hypothesis import ANY, PLAIN, SOLVED, Hypothesis, multiple, size, written
from functional_nn.verify.locate import Step
from functional_nn.verify.mistakes.general import dead, general, left_out, plain
from functional_nn.verify.mistakes.parts import masked, parts
from functional_nn.verify.mistakes.view import View
from functional_nn.verify.naming import SITES, formula
from functional_nn.verify.scene import Scene, with_delta
from functional_nn.verify.trial import Trial

EXAMPLES = 24  # how many single examples are examined
# Allowed error of a computed, fitted or solved-for prediction, in spacings of adjacent numbers:
KNOWN, FITTED, SOLVE = 0.02, 0.2, 0.5
ADDED = frozenset({"offset", "penalty added", "added to another", "term added"})
RATED = frozenset({"updated weight", "penalty added", "added to another"})  # causes whose number is a rate
EXACT = 2.0**-53  # the rounding unit of a zero
INNER = 16  # inner rounding units that cancellation may leave in an entry
NEAR = 0.05  # relative to δ: guesses further off are not followed to the leaves
# Spacings of adjacent numbers by which some entry must be off before a mistake that no average
# shows is believed. Smaller errors are rounding.
SEEN = 1.0
# Relative tolerance between the fitted numbers of two looks, and its cap near rounding:
ALIKE, UNLIKE = 0.02, 0.2
LIKELY = 1.01  # a guess may be put first with at most this many times the smallest residual
APART = 0.1  # relative to the error: guesses that differ by more are rivals
NOISY = 0.3  # relative to the error: with a larger residual, a fitted number means nothing

Key = tuple[str, int]


class Candidate(NamedTuple):
    """A guess that fits the bits, the share of the error it leaves, and its allowed error."""

    guess: Hypothesis
    residual: float
    slack: float


@dataclass(frozen=True)
class Told:
    """One look at a step: its right and given values, and the fitting guesses, best first."""

    step: Step
    fits: tuple[Candidate, ...]
    off: float  # the largest error, in spacings of adjacent numbers


def to_the_bit(trial: Trial, elsewhere: Trial, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The wrong steps with the causes that the exact bits confirm at both places.

    If the confirmed steps explain the whole gradient, only they are returned.

    Args:
      trial: where the steps were found; its function rounds at the end.
      elsewhere: the same function at other parameters and examples.
    """
    known = {(step.site, step.station): (step, verdict) for step, verdict in steps}
    walks = [walked(at, known) for at in (trial, elsewhere)]
    if None in walks:
        return steps
    one, other = (walk.found for walk in walks)
    if all(walk.whole for walk in walks) and not one and not other:  # every entry is right
        return []
    named = {key: verdict for key, told in one.items() if (verdict := _agreed(told, other.get(key), key in known)) is not None}
    said = Counter((verdict.cause, verdict.value) for verdict in named.values())
    far = {(verdict.cause, verdict.value) for key, verdict in named.items()
           if key in known or min(one[key].off, other[key].off) > SEEN}
    # the same mistake in every leaf
    far |= {what for what, count in said.items() if count == len(list(trial.leaves))}
    named = {key: verdict for key, verdict in named.items() if (verdict.cause, verdict.value) in far}
    if set(named) >= set(one) and one:  # the named mistakes explain the whole gradient
        return [(one[key].step, verdict) for key, verdict in named.items()]
    found = [(step, named.get(key) or _unrefuted(verdict, one.get(key))) for key, (step, verdict) in known.items()]
    return found + [(one[key].step, verdict) for key, verdict in named.items() if key not in known]


def _agreed(told: Told, again: Told | None, known: bool) -> Verdict | None:
    """The verdict that fits the bits in both looks; None if there is none or a rival fits."""
    if not known and again is None:
        return None
    fits = [each for each in told.fits if (known or each.guess.rank < SOLVED) and not (
        each.slack > KNOWN and each.guess.fitted and each.residual > NOISY)]
    fits = [each for each in fits if again is None or any(_alike(each.guess, its.guess, told.step) for its in again.fits)]
    if not fits:
        return None
    guess, error = fits[0].guess, size(told.step.given - told.step.expected)
    rivals = [each.guess for each in fits if each.guess.rank <= guess.rank and each.guess.cause != guess.cause]
    if any(size(rival.predicted - guess.predicted) > APART * error for rival in rivals):
        return None
    # every entry is explained
    return Verdict(guess.cause, 0.0, np.inf, guess.formula, guess.value, "", guess.fitted)


def _alike(one: Hypothesis, other: Hypothesis, step: Step) -> bool:
    """Whether two guesses have the same cause and, up to rounding, the same fitted numbers."""
    error = max(size(one.predicted - step.expected), 1e-300)
    near = min(ALIKE * (1 + size(step.given) / step.given.size**0.5 / error), UNLIKE)
    # among many, some may be 0
    largest = max(map(abs, one.fitted), default=0.0) if len(one.fitted) > 2 else 0.0
    return one.cause == other.cause and len(one.fitted) == len(other.fitted) and np.allclose(
        one.fitted, other.fitted, rtol=near, atol=near * largest)


def _unrefuted(verdict: Verdict, told: Told | None) -> Verdict:
    """The verdict; "unexplained" if the bits contradict it."""
    if verdict.cause == "unexplained" or told is None or any(each.guess.cause == verdict.cause for each in told.fits):
        return verdict
    return verdict._replace(cause="unexplained", closest=verdict.cause)


class Walk(NamedTuple):
    """A backward pass followed to the last bit.

    Attributes:
      bits: the scene that was followed.
      found: what the bits show of every wrong step.
      deltas, leaves: every δ and the leaves made from it, (examples, …), as the right steps and the
        likeliest mistakes compute them.
      whole: whether these leaves explain the whole given gradient.
    """

    bits: "Bits"
    found: dict[Key, Told]
    deltas: list[np.ndarray]
    leaves: list[dict[str, np.ndarray]]
    whole: bool


def walked(trial: Trial, known: Iterable[Key]) -> Walk | None:
    """Follow the backward pass of single examples, down to a known wrong step without a cause.

    None if the given gradient cannot be reproduced to the last bit.
    """
    subject = trial.subject
    if subject.rounds_to is None or subject.exchanged or subject.spare is not None:
        return None
    count, known = min(EXAMPLES, 3 * trial.enough), set(known)
    bits = Bits.of(trial.widened(count).rounded(), range(count))
    walk = bits.walk(known)
    for key, told in walk.found.items():  # a block has no leaves: its last layer shows its δ
        block = "pullback", key[1] + 1
        if key[0] == "pullback" and not told.fits and subject.places[block[1]].weight is None and key in known:
            other = bits.walk(known - {key} | {block})
            walk = other if block in other.found and other.found[block].fits else walk
    return walk


@dataclass(frozen=True)
class Bits:
    """A scene with the gradients as given; `noise`: each entry's error from inner rounding."""

    scene: Scene
    dtype: np.dtype
    added: list[dict[str, np.ndarray]] | None
    doubt: float
    noise: list[dict[str, np.ndarray]]

    @classmethod
    def of(cls, trial: Trial, rows: Sequence[int], single: bool = True) -> "Bits":
        """The bits of some examples of an unaveraged trial, in one call each (`single`) or one."""
        subject = trial.subject
        added = subject.known(1 if single else len(rows))
        trial = replace(trial, lenient=True)
        scene = trial.singles(len(rows)) if single else trial.together(rows)
        return cls(scene, subject.rounds_to, added, subject.doubt, _noise(scene))

    def fits(self, s: int, leaf: str, predicted: np.ndarray, slack: float = KNOWN, terms: np.ndarray | None = None) -> bool:
        """Whether a predicted leaf, rounded, equals the given one."""
        return not self.off(s, leaf, predicted, slack, terms).any()

    def off(self, s: int, leaf: str, predicted: np.ndarray, slack: float = KNOWN, terms: np.ndarray | None = None
            ) -> np.ndarray:
        """Which predicted entries, rounded, cannot equal the given ones.

        `slack` is the allowed error in spacings of adjacent numbers; `terms` holds the size of the
        terms that cancel in each entry.
        """
        plus = 0.0 if self.added is None else self.added[s][leaf]
        given = _held(self.scene.gradients[s][leaf] + plus, self.dtype)
        largest = np.abs(predicted) if terms is None else np.maximum(np.abs(predicted), np.abs(terms))
        eps, largest = _eps(self.dtype), largest.max(axis=-1, keepdims=True, initial=0.0)
        room = eps * (slack * self._sizes(predicted + plus, slack) + self.doubt * np.abs(plus))
        room = room + INNER * self.scene.inner * largest + self.scene.floor + self.noise[s][leaf]
        low, high = (_held(predicted + plus + sign * room, self.dtype) for sign in (-1, 1))
        return ~((low <= given) & (given <= high))

    def _sizes(self, predicted: np.ndarray, slack: float) -> np.ndarray:
        """The size to which `slack` is relative, of each entry.

        For a computed prediction it is the entry itself; for a fitted one, the root mean square of
        the entry over the examples is added.
        """
        if slack == KNOWN or not self.scene.single:
            return np.abs(predicted)
        return np.abs(predicted) + np.sqrt((predicted**2).mean(axis=0))

    def distance(self, given: np.ndarray, expected: np.ndarray, noise: np.ndarray | float = 0.0) -> float:
        """The largest error of an entry, in spacings of adjacent numbers of its size."""
        rows = INNER * self.scene.inner * np.abs(expected).max(axis=-1, keepdims=True, initial=0.0) + self.scene.floor
        return float((np.abs(given - expected) / (_eps(self.dtype) * np.abs(expected) + rows + noise)).max(initial=0.0))

    def walk(self, known: Set[Key]) -> Walk:
        """Follow the backward pass from the loss down to the inputs."""
        places, found, leaves, wrong, slack = self.scene.places, {}, [{} for _ in self.scene.places], [], KNOWN
        deltas, followed = [np.zeros_like(z) for z in self.scene.forward.z], True
        for s in reversed(range(len(places))):
            site = "head" if s == len(places) - 1 else "pullback"
            delta = self.scene.right(deltas, s)
            shown = self._shown(deltas, s, delta, known, slack)
            if shown and not all(shown):  # the same δ in another order of operations may fit
                view = View(self.scene, tuple(deltas), self.scene.expect(deltas))
                other = view.through(s, view.cotangent(s))
                if other.shape == delta.shape and all(self._shown(deltas, s, other, known, slack)):
                    delta, shown = other, [True]
            if (site, s) in known or (shown and not any(shown) and slack == KNOWN):
                told = self._of_delta(deltas, leaves, s, site, delta, known, slack)
                if told is not None and told.fits and self._nearer(deltas, s, delta, told.fits[0].guess.predicted, known):
                    found[site, s] = told
                    delta, slack = told.fits[0].guess.predicted, max(slack, told.fits[0].slack)
                elif (site, s) in known and not any(shown):
                    if told is not None:
                        found[site, s] = told
                    followed = False
                    break
            deltas = with_delta(deltas, s, delta)
            leaves[s] = self.scene.made(deltas, s)
            wrong += [(part, s, leaf, slack) for part, leaf in places[s].leaves.items()
                      if not ((s, leaf) in self.scene.mute or self.fits(s, leaf, leaves[s][leaf], slack))]
        for part, s, leaf, slack in wrong:  # only now: a guess may use the deltas below
            if (part, s) in known or slack == KNOWN:  # below a fitted δ the bits are not exact
                found[part, s] = self._of_leaf(deltas, leaves, s, part, leaf, leaves[s][leaf], slack)
        whole = followed and all((part, s) in found and found[part, s].fits for part, s, *_ in wrong)
        return Walk(self, found, deltas, leaves, whole)

    def _nearer(self, deltas, s: int, right: np.ndarray, delta: np.ndarray, known: Set[Key]) -> bool:
        """Whether `delta` fits each leaf known to be wrong in more entries than `right`."""
        leaves = [leaf for site, leaf in self.scene.places[s].leaves.items() if (site, s) in known]
        with_right, with_other = (self.scene.made(with_delta(deltas, s, each), s) for each in (right, delta))
        return all(np.count_nonzero(self.off(s, leaf, with_other[leaf])) < np.count_nonzero(self.off(s, leaf, with_right[leaf]))
                   for leaf in leaves)

    def _shown(self, deltas, s: int, delta: np.ndarray, known: Set[Key], slack: float = KNOWN) -> list[bool]:
        """For each leaf that shows δ of station s and may be right: does `delta` fit?"""
        places, deltas = self.scene.places, with_delta(deltas, s, delta)
        while not places[s].leaves:
            if ("pullback", s - 1) in known:
                return []
            s -= 1
            deltas = with_delta(deltas, s, self.scene.right(deltas, s))
        made = self.scene.made(deltas, s)
        return [self.fits(s, leaf, made[leaf], slack) for site, leaf in places[s].leaves.items()
                if (site, s) not in known and (s, leaf) not in self.scene.mute]

    def _of_delta(self, deltas, leaves, s: int, site: str, right: np.ndarray, known: Set[Key], least: float) -> Told | None:
        """What the bits show of a δ that can be read off its leaves; None if it cannot."""
        seen = dict(self.scene.candidates(s, right))
        source = next((name for name in ("bias", "weight") if name in seen and (name, s) not in known), None)
        if source is None or not np.isfinite(seen[source]).all():
            return None

        def fits(guess: Hypothesis, slack: float) -> bool:
            shown = size(seen[source] - guess.predicted) <= NEAR * size(seen[source]) and self._shown(
                deltas, s, guess.predicted, known, slack)
            return bool(shown) and all(shown)

        return self._told(deltas, leaves, Step(site, s, seen[source], right, True), fits, least)

    def _of_leaf(self, deltas, leaves, s: int, site: str, leaf: str, right: np.ndarray, least: float) -> Told:
        step = Step(site, s, self.scene.gradients[s][leaf], right, True)
        return self._told(deltas, leaves, step, lambda guess, slack: self.fits(s, leaf, guess.predicted, slack, right), least)

    def _told(self, deltas, leaves, step: Step, fits: Callable[[Hypothesis, float], bool], least: float) -> Told:
        """The guesses that fit a step, each with its allowed error.

        The allowed error is at least `least`, and too small for the right value to fit.
        """
        error = max(size(step.given - step.expected), 1e-300)
        slacks = [slack for slack in (KNOWN, FITTED, SOLVE) if not fits(Hypothesis("", step.expected, ""), max(slack, least))]
        found = [Candidate(guess, size(step.given - guess.predicted) / error, max(slack, least))
                 for guess, slack in self._guesses(deltas, leaves, step.station, step.site, step.given, step.expected)
                 if slack in slacks and guess.predicted.shape == step.given.shape and fits(guess, max(slack, least))]
        found.sort(key=lambda each: each.guess.rank)
        alike = [each for each in found if (each.guess.cause, each.guess.rank, each.slack) == (
            found[0].guess.cause, found[0].guess.rank, found[0].slack)]
        smallest = min((each.residual for each in alike), default=0.0)
        # both 1.01 and 1 / 0.99 may fit
        nearest = next((each for each in alike if each.residual <= LIKELY * smallest), None)
        found.sort(key=lambda each: each is not nearest)
        leaf = self.scene.places[step.station].leaves.get(step.site, self.scene.places[step.station].bias)
        noise = self.noise[step.station].get(leaf, 0.0)
        # a δ without a leaf of its shape
        noise = noise if np.shape(noise) == step.given.shape else 0.0
        return Told(step, tuple(found), self.distance(step.given, step.expected, noise))

    def _guesses(self, deltas, leaves, s: int, site: str, given: np.ndarray, right: np.ndarray
                 ) -> Iterator[tuple[Hypothesis, float]]:
        """Every hypothesis of this step, alone and times a constant, with its allowed error."""
        held = with_delta(deltas, s, given) if site in ("head", "pullback") else deltas
        name, unit = formula(self.scene.places, site, s), self.scene.unit
        exact = self.scene._replace(gradients=[more or own for own, more in zip(self.scene.gradients, leaves, strict=True)])
        view = View(exact, tuple(held), self.scene.expect(held))
        times = []
        with np.errstate(all="ignore"):
            zeros = [*dead(given, right, name, EXACT), *left_out(given, right, name, EXACT),
                     *(guess._replace(rank=max(guess.rank, ANY)) for guess in masked(given, right, name, EXACT))]
            nothing, sign, *simple = plain(given, right, name)
            cancelled = 0 < size(given) <= INNER * self.scene.inner * size(right)
            yield (nothing._replace(predicted=given), SOLVE) if cancelled else (nothing, KNOWN)
            yield sign, KNOWN
            for c, slack in _factors(multiple(given, right), unit) if right.size > 1 else ():
                yield Hypothesis("factor", c * right, f"{c:.6g} * ({name})", f"{c:.6g}", (c,), PLAIN), slack
            for guess in itertools.chain(simple, SITES[site](view, s, given), zeros,
                                         parts(given, right, name, unit), general(given, right, name, unit)):
                guess = self._weighed(guess, given, right)
                yield from ((other, KNOWN) for other in _at_plain_rates(guess, right))
                yield guess, SOLVE if guess.rank == SOLVED else FITTED if guess.fitted or guess.rank == ANY else KNOWN
                if (guess.cause != "wrong target" and guess.predicted.shape == given.shape
                        and size(guess.predicted - right) > 1e-6 * size(right)):
                    times += [(guess._replace(predicted=c * guess.predicted, formula=f"{c:.6g} * ({guess.formula})",
                                              fitted=(*guess.fitted, c)), FITTED if guess.fitted else slack)
                              for c, slack in _factors(multiple(given, guess.predicted), unit) if abs(c - 1) > unit]
        yield from times

    def _weighed(self, guess: Hypothesis, given: np.ndarray, right: np.ndarray) -> Hypothesis:
        """A guess that adds a fitted multiple of a term, refitted with weights 1 / entry²."""
        if guess.cause not in ADDED or not guess.fitted or guess.predicted.shape != given.shape:
            return guess
        more, finest = guess.predicted - right, np.maximum(np.abs(given), 1e-3 * np.abs(given).max()) ** -2.0
        if guess.rank == SOLVED and guess.cause == "offset":  # one constant per entry
            added = np.sum(finest * (given - right), axis=0) / np.sum(finest, axis=0)
            return guess._replace(predicted=right + added, fitted=tuple(map(float, added.ravel()[:len(guess.fitted)])))
        share = float(np.sum(finest * more * (given - right)) / np.sum(finest * more**2))
        return guess._replace(predicted=right + share * more, fitted=tuple(share * c for c in guess.fitted))


def _noise(scene: Scene) -> list[dict[str, np.ndarray]]:
    """By how much the right leaves move when every value moves by the function's inner rounding."""
    rng = np.random.default_rng(0)

    def leaves(of: Scene, shaken: bool) -> list[dict[str, np.ndarray]]:
        deltas = [np.zeros_like(z) for z in of.forward.z]
        for s in reversed(range(len(of.places))):
            right = of.right(deltas, s)
            # matters where σ′ is nearly 0
            room = 4 * of.inner * of.cotangent(deltas, s) if shaken else 0.0
            deltas = with_delta(deltas, s, right + room * rng.choice([-1.0, 1.0], size=right.shape))
        made = [of.made(deltas, s) for s in range(len(of.places))]
        return made if of.single else [{leaf: g.sum(axis=0) for leaf, g in own.items()} for own in made]

    right, moved = leaves(scene, False), [leaves(twin, True) for twin in scene.twins]
    return [{leaf: 2 * np.max([np.abs(own[s][leaf] - g) for own in moved], axis=0) for leaf, g in right[s].items()}
            for s in range(len(right))]


def _factors(fitted: float, close: float) -> list[tuple[float, float]]:
    """The plain numbers that a fitted factor may stand for, and itself, with allowed errors."""
    if not fitted:
        return []
    plain = dict.fromkeys((written(fitted, close), written(fitted, close, 3), 1 / written(1 / fitted, close)))
    return [*((c, KNOWN) for c in plain if c != fitted), (fitted, FITTED)]


def _at_plain_rates(guess: Hypothesis, right: np.ndarray) -> Iterator[Hypothesis]:
    """A guess that adds a fitted multiple of a term, with plain numbers near the fitted rate."""
    if guess.cause not in RATED or len(guess.fitted) != 1 or guess.rank == SOLVED or guess.predicted.shape != right.shape:
        return
    (rate,) = guess.fitted
    for number in {written(rate, 0.1, digits) for digits in (1, 2)} - {rate}:
        yield guess._replace(predicted=right + number / rate * (guess.predicted - right), fitted=(number,),
                             value=f"{abs(number):g}", formula=guess.formula.replace(f"{abs(rate):.6g}", f"{abs(number):g}"))


def _eps(dtype) -> float:
    return float(jnp.finfo(dtype).eps)


def _held(values: np.ndarray, dtype) -> np.ndarray:
    return values.astype(dtype).astype(np.float64)
