"""A gradient that is rounded at the end, to the last bit: a mistake is believed that, rounded, gives every entry.

Averages over nearby points show where a large mistake is; whether a name fits, or a small mistake hides behind the rounding,
the bits themselves tell. From the loss down every δ is known exactly, as a right step or the named mistake makes it, and the
leaves that it goes into must come out, entry by entry, as the numbers that were given.
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

EXAMPLES = 24  # single ones that are looked at
KNOWN, FITTED, SOLVE = 0.02, 0.2, 0.5  # of the distance of two numbers: what computing, fitting, solving may be off
ADDED = frozenset({"offset", "penalty added", "added to another", "term added"})
RATED = frozenset({"updated weight", "penalty added", "added to another"})  # causes whose number is a rate
EXACT = 2.0**-53  # the rounding unit of a zero
INNER = 16  # rounding units of what the function computes in that what cancels in an entry may leave
NEAR = 0.05  # of a δ: guesses further off are not followed to its leaves
SEEN = 1.0  # distances of two numbers by which some entry must be off for a mistake that no average shows: else it is rounding
ALIKE, UNLIKE = 0.02, 0.2  # relative: fitted numbers of two looks; where the error is near rounding, at most
LIKELY = 1.01  # of the smallest residual: what may be left by a guess that comes first
APART = 0.1  # of the error: guesses that differ by more are different
NOISY = 0.3  # of the error: rounding that leaves more fits too much to fit numbers to

Key = tuple[str, int]


class Candidate(NamedTuple):
    """A guess that the bits bear out, the share of the error that it leaves, which is rounding, and what it may be off."""

    guess: Hypothesis
    residual: float
    slack: float


@dataclass(frozen=True)
class Told:
    """What one look tells of a step: the right value, the given one, and the guesses that fit, the likeliest first."""

    step: Step
    fits: tuple[Candidate, ...]
    off: float  # the largest error, in distances of two numbers


def to_the_bit(trial: Trial, elsewhere: Trial, steps: list[tuple[Step, Verdict]]) -> list[tuple[Step, Verdict]]:
    """The wrong steps with the causes that the bits bear out at both places; where these are the whole of what is wrong, alone.

    Args:
      trial: where the steps were found; its function rounds at the end. elsewhere: the same at other parameters and examples.
    """
    known = {(step.site, step.station): (step, verdict) for step, verdict in steps}
    walks = [walked(at, known) for at in (trial, elsewhere)]
    if None in walks:
        return steps
    one, other = (walk.found for walk in walks)
    if all(walk.whole for walk in walks) and not one and not other:  # no entry is left that anything is wrong with
        return []
    named = {key: verdict for key, told in one.items() if (verdict := _agreed(told, other.get(key), key in known)) is not None}
    said = Counter((verdict.cause, verdict.value) for verdict in named.values())
    far = {(verdict.cause, verdict.value) for key, verdict in named.items()
           if key in known or min(one[key].off, other[key].off) > SEEN}
    far |= {what for what, count in said.items() if count == len(list(trial.leaves))}  # done to every leaf
    named = {key: verdict for key, verdict in named.items() if (verdict.cause, verdict.value) in far}
    if set(named) >= set(one) and one:  # the whole gradient comes out
        return [(one[key].step, verdict) for key, verdict in named.items()]
    found = [(step, named.get(key) or _unrefuted(verdict, one.get(key))) for key, (step, verdict) in known.items()]
    return found + [(one[key].step, verdict) for key, verdict in named.items() if key not in known]


def _agreed(told: Told, again: Told | None, known: bool) -> Verdict | None:
    """The name of a step that both looks bear out."""
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
    return Verdict(guess.cause, 0.0, np.inf, guess.formula, guess.value, "", guess.fitted)  # no entry is left


def _alike(one: Hypothesis, other: Hypothesis, step: Step) -> bool:
    """Whether two looks show the same cause, with numbers as near as rounding lets fitted ones be."""
    error = max(size(one.predicted - step.expected), 1e-300)
    near = min(ALIKE * (1 + size(step.given) / step.given.size**0.5 / error), UNLIKE)
    largest = max(map(abs, one.fitted), default=0.0) if len(one.fitted) > 2 else 0.0  # of many some may be 0
    return one.cause == other.cause and len(one.fitted) == len(other.fitted) and np.allclose(
        one.fitted, other.fitted, rtol=near, atol=near * largest)


def _unrefuted(verdict: Verdict, told: Told | None) -> Verdict:
    """The verdict, unless the bits are against it."""
    if verdict.cause == "unexplained" or told is None or any(each.guess.cause == verdict.cause for each in told.fits):
        return verdict
    return verdict._replace(cause="unexplained", closest=verdict.cause)


class Walk(NamedTuple):
    """A backward pass followed to the last bit.

    Attributes:
      bits: what was looked at. found: what is told of every step that is wrong.
      deltas, leaves: every δ, and the leaves that it makes, (examples, …), as right steps and the likeliest mistakes give them.
      whole: whether that is all that was given.
    """

    bits: "Bits"
    found: dict[Key, Told]
    deltas: list[np.ndarray]
    leaves: list[dict[str, np.ndarray]]
    whole: bool


def walked(trial: Trial, known: Iterable[Key]) -> Walk | None:
    """The backward pass of single examples, step by step down to the first that is known to be wrong and that nothing explains.

    None where what was given cannot be had to the last bit.
    """
    subject = trial.subject
    if subject.rounds_to is None or subject.exchanged or subject.spare is not None:
        return None
    count, known = min(EXAMPLES, 3 * trial.enough), set(known)
    bits = Bits.of(trial.widened(count).rounded(), range(count))
    walk = bits.walk(known)
    for key, told in walk.found.items():  # a block has no leaves: its δ shows as that of its last layer
        block = "pullback", key[1] + 1
        if key[0] == "pullback" and not told.fits and subject.places[block[1]].weight is None and key in known:
            other = bits.walk(known - {key} | {block})
            walk = other if block in other.found and other.found[block].fits else walk
    return walk


@dataclass(frozen=True)
class Bits:
    """A scene with gradients as they were given; `noise`: what rounding inside the function leaves of every entry of a leaf."""

    scene: Scene
    dtype: np.dtype
    added: list[dict[str, np.ndarray]] | None
    doubt: float
    noise: list[dict[str, np.ndarray]]

    @classmethod
    def of(cls, trial: Trial, rows: Sequence[int], single: bool = True) -> "Bits":
        """Some examples of a trial that is not averaged, in a call each or in one."""
        subject, times = trial.subject, 1.0 if single else float(len(rows)) ** trial.subject.power
        added = subject.added and [{leaf: times * plus for leaf, plus in own.items()} for own in subject.added]
        trial = replace(trial, lenient=True)
        scene = trial.singles(len(rows)) if single else trial.together(rows)
        return cls(scene, subject.rounds_to, added, subject.doubt, _noise(scene))

    def fits(self, s: int, leaf: str, predicted: np.ndarray, slack: float = KNOWN, terms: np.ndarray | None = None) -> bool:
        """Whether a leaf comes out, rounded, as given."""
        return not self.off(s, leaf, predicted, slack, terms).any()

    def off(self, s: int, leaf: str, predicted: np.ndarray, slack: float = KNOWN, terms: np.ndarray | None = None
            ) -> np.ndarray:
        """Which entries are off by more than rounding and `slack` distances of two numbers; `terms`: what cancels in them."""
        plus = 0.0 if self.added is None else self.added[s][leaf]
        given = _held(self.scene.gradients[s][leaf] + plus, self.dtype)
        largest = np.abs(predicted) if terms is None else np.maximum(np.abs(predicted), np.abs(terms))
        eps, largest = _eps(self.dtype), largest.max(axis=-1, keepdims=True, initial=0.0)
        room = eps * (slack * self._sizes(predicted + plus, slack) + self.doubt * np.abs(plus))
        room = room + INNER * self.scene.inner * largest + self.scene.floor + self.noise[s][leaf]
        low, high = (_held(predicted + plus + sign * room, self.dtype) for sign in (-1, 1))
        return ~((low <= given) & (given <= high))

    def _sizes(self, predicted: np.ndarray, slack: float) -> np.ndarray:
        """What each entry may be off a share of: of what is computed, itself; of what is fitted, what it is in all examples."""
        if slack == KNOWN or not self.scene.single:
            return np.abs(predicted)
        return np.abs(predicted) + np.sqrt((predicted**2).mean(axis=0))

    def distance(self, given: np.ndarray, expected: np.ndarray, noise: np.ndarray | float = 0.0) -> float:
        """The largest error of an entry, in distances of two numbers of its size; cancelled ones are as large as their row."""
        rows = INNER * self.scene.inner * np.abs(expected).max(axis=-1, keepdims=True, initial=0.0) + self.scene.floor
        return float((np.abs(given - expected) / (_eps(self.dtype) * np.abs(expected) + rows + noise)).max(initial=0.0))

    def walk(self, known: Set[Key]) -> Walk:
        """From the loss down."""
        places, found, leaves, wrong, slack = self.scene.places, {}, [{} for _ in self.scene.places], [], KNOWN
        deltas, followed = [np.zeros_like(z) for z in self.scene.forward.z], True
        for s in reversed(range(len(places))):
            site = "head" if s == len(places) - 1 else "pullback"
            delta = self.scene.right(deltas, s)
            shown = self._shown(deltas, s, delta, known, slack)
            if shown and not all(shown):  # written another way it may be what was given
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
        for part, s, leaf, slack in wrong:  # the deltas below may be in it
            if (part, s) in known or slack == KNOWN:  # what follows from a fitted δ is not as exact
                found[part, s] = self._of_leaf(deltas, leaves, s, part, leaf, leaves[s][leaf], slack)
        whole = followed and all((part, s) in found and found[part, s].fits for part, s, *_ in wrong)
        return Walk(self, found, deltas, leaves, whole)

    def _nearer(self, deltas, s: int, right: np.ndarray, delta: np.ndarray, known: Set[Key]) -> bool:
        """Whether a leaf that is known to be wrong comes nearer with that δ than with the right one, if there is any."""
        leaves = [leaf for site, leaf in self.scene.places[s].leaves.items() if (site, s) in known]
        with_right, with_other = (self.scene.made(with_delta(deltas, s, each), s) for each in (right, delta))
        return all(np.count_nonzero(self.off(s, leaf, with_other[leaf])) < np.count_nonzero(self.off(s, leaf, with_right[leaf]))
                   for leaf in leaves)

    def _shown(self, deltas, s: int, delta: np.ndarray, known: Set[Key], slack: float = KNOWN) -> list[bool]:
        """Whether each leaf that shows the δ of station s, and is not known to be wrong, comes out with this one."""
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
        """What is told of a δ that its leaves show."""
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
        """The guesses that fit, with what they may be off: `least` at least, and not so much that what is right would fit."""
        error = max(size(step.given - step.expected), 1e-300)
        slacks = [slack for slack in (KNOWN, FITTED, SOLVE) if not fits(Hypothesis("", step.expected, ""), max(slack, least))]
        found = [Candidate(guess, size(step.given - guess.predicted) / error, max(slack, least))
                 for guess, slack in self._guesses(deltas, leaves, step.station, step.site, step.given, step.expected)
                 if slack in slacks and guess.predicted.shape == step.given.shape and fits(guess, max(slack, least))]
        found.sort(key=lambda each: each.guess.rank)
        alike = [each for each in found if (each.guess.cause, each.guess.rank, each.slack) == (
            found[0].guess.cause, found[0].guess.rank, found[0].slack)]
        smallest = min((each.residual for each in alike), default=0.0)
        nearest = next((each for each in alike if each.residual <= LIKELY * smallest), None)  # 1.01 and 1 / 0.99 may both fit
        found.sort(key=lambda each: each is not nearest)
        leaf = self.scene.places[step.station].leaves.get(step.site, self.scene.places[step.station].bias)
        noise = self.noise[step.station].get(leaf, 0.0)
        noise = noise if np.shape(noise) == step.given.shape else 0.0  # of a δ that has no leaf of its shape
        return Told(step, tuple(found), self.distance(step.given, step.expected, noise))

    def _guesses(self, deltas, leaves, s: int, site: str, given: np.ndarray, right: np.ndarray
                 ) -> Iterator[tuple[Hypothesis, float]]:
        """Every hypothesis of this step, as it is and times a constant, with what it may be off."""
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
        """A guess that adds a fitted multiple of something, fitted again with entries that count as they are rounded."""
        if guess.cause not in ADDED or not guess.fitted or guess.predicted.shape != given.shape:
            return guess
        more, finest = guess.predicted - right, np.maximum(np.abs(given), 1e-3 * np.abs(given).max()) ** -2.0
        if guess.rank == SOLVED and guess.cause == "offset":  # a constant for each entry
            added = np.sum(finest * (given - right), axis=0) / np.sum(finest, axis=0)
            return guess._replace(predicted=right + added, fitted=tuple(map(float, added.ravel()[:len(guess.fitted)])))
        share = float(np.sum(finest * more * (given - right)) / np.sum(finest * more**2))
        return guess._replace(predicted=right + share * more, fitted=tuple(share * c for c in guess.fitted))


def _noise(scene: Scene) -> list[dict[str, np.ndarray]]:
    """By how much the leaves of right steps move where everything moves by what the function may round inside."""
    rng = np.random.default_rng(0)

    def leaves(of: Scene, shaken: bool) -> list[dict[str, np.ndarray]]:
        deltas = [np.zeros_like(z) for z in of.forward.z]
        for s in reversed(range(len(of.places))):
            right = of.right(deltas, s)
            room = 4 * of.inner * of.cotangent(deltas, s) if shaken else 0.0  # where σ′ is all but 0
            deltas = with_delta(deltas, s, right + room * rng.choice([-1.0, 1.0], size=right.shape))
        made = [of.made(deltas, s) for s in range(len(of.places))]
        return made if of.single else [{leaf: g.sum(axis=0) for leaf, g in own.items()} for own in made]

    right, moved = leaves(scene, False), [leaves(twin, True) for twin in scene.twins]
    return [{leaf: 2 * np.max([np.abs(own[s][leaf] - g) for own in moved], axis=0) for leaf, g in right[s].items()}
            for s in range(len(right))]


def _factors(fitted: float, close: float) -> list[tuple[float, float]]:
    """The numbers that people would have written for a fitted factor, and itself, with what they may be off.

    0.2501 may be 1/4, 0.1428 may be 1/7.
    """
    if not fitted:
        return []
    plain = dict.fromkeys((written(fitted, close), written(fitted, close, 3), 1 / written(1 / fitted, close)))
    return [*((c, KNOWN) for c in plain if c != fitted), (fitted, FITTED)]


def _at_plain_rates(guess: Hypothesis, right: np.ndarray) -> Iterator[Hypothesis]:
    """A guess that is right but for a fitted multiple of something, with the rates that people write."""
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
