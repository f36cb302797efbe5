"""Mistakes in the finished gradient: a penalty added, leaves exchanged, norm clipping, signs alone.

A penalty and an exchange of leaves are undone in the subject. The other checks then see the
gradient without them, step by step.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.batches import BatchFault
from functional_nn.verify.hypothesis import multiple, written
from functional_nn.verify.penalties import OWN, Penalty, of_any_form, penalty_in
from functional_nn.verify.scene import differ
from functional_nn.verify.stations import passes
from functional_nn.verify.trial import Trial

Rows = Sequence[int]
Left = Callable[[Rows], list[dict[str, np.ndarray]]]
MOVED = 0.1
ASIDE = 1e-6  # relative to the distance between the targets and the predictions
# Error of a removed penalty in rounding units: of a known form with its rate, or of any other form:
FIXED, FREE = 0.05, 0.5


def take_penalty(trial: Trial) -> Penalty | None:
    """The wrong penalty in the gradient, None without one; it is taken off the subject.

    A penalty is wrong if the gradient has it and the cost has not, or the other way round.
    """
    subject, found = trial.subject, None
    if subject.rounds_to is not None:  # a penalty alone is rounded relative to its own size
        found = _penalty(trial.rounded(), fitted=True)
        if found is not None and found.form:
            found = found.at_rate(written(found.rate, trial.coarse))
    found = _penalty(trial) if found is None else found
    if found is not None and found.form == OWN and found.power == 0:  # a multiple of it for any number of examples
        found = found._replace(power=subject.own_power, added=[
            {leaf: found.rate * plus for leaf, plus in own.items()} for own in subject.own])
    if found is not None:
        subject.added, subject.power, subject.doubt = found.added, found.power, FIXED if found.form else FREE
    return found


def _penalty(trial: Trial, fitted: bool = False) -> Penalty | None:
    """The penalty in a gradient; `fitted`: look only where the targets equal the predictions."""
    subject, n = trial.subject, min(trial.few, len(trial.X))
    known = 0.0 if subject.own is None else _norm(subject.known(n))
    full = _norm(trial.right(trial.X[:n], trial.Y[:n]))
    left, size, perfect = _left(trial, n, full)
    if fitted and perfect is None:
        return None
    rounding = 2 * trial.unit * (size + known)
    where = subject.places, subject.stationed(subject.params)
    found = penalty_in(*where, left(range(n)), _own(subject, n), full, rounding)
    one = penalty_in(*where, left([0]), _own(subject, 1), full, rounding)
    if found is not None and one is not None and not np.isclose(found.rate, one.rate, rtol=max(1e-5, 32 * trial.unit)):
        found = one._replace(power=float(np.round(np.log(abs(found.rate / one.rate)) / np.log(n))))
    if found is None:
        noise = np.random.default_rng(trial.seed).normal(size=trial.X.shape) * (np.abs(trial.X).mean() + 0.1)
        others = _left(replace(trial, X=trial.X + noise), n, full)[0]  # no two of these examples are alike
        looks = [others([0]), others(range(n)), left(range(n))]
        found = of_any_form(*where, looks, _left(trial.moved(MOVED), n, full)[0](range(n)), full, rounding)
        if found is not None and perfect is not None and not _stays(trial, found, perfect, full):
            return None
    return found


def _own(subject, n: int) -> list[dict[str, np.ndarray]] | None:
    """The gradient of the cost's own penalty for n examples."""
    return subject.own and [{leaf: plus * n**subject.own_power for leaf, plus in own.items()} for own in subject.own]


def _stays(trial: Trial, found: Penalty, perfect: np.ndarray, full: float) -> bool:
    """Whether a penalty persists at targets slightly off the predictions.

    Exactly at the predictions, a term may come from 0 / 0 instead.
    """
    trial, n = trial if trial.subject.mean is None else trial.rounded(), len(perfect)  # nearby, targets would be far off
    aside = perfect + ASIDE * (trial.Y[:n] - perfect)
    pairs = zip(trial.subject.gradients(trial.X[:n], aside.astype(trial.Y.dtype)), trial.right(trial.X[:n], aside), found.added,
                strict=True)
    gap = _norm([{leaf: g - right[leaf] - term[leaf] for leaf, g in own.items()} for own, right, term in pairs])
    return gap <= (0.01 + 8 * trial.unit) * _norm(found.added) + 10 * ASIDE * full


def _left(trial: Trial, n: int, full: float) -> tuple[Left, float, np.ndarray | None]:
    """(rows -> the part of the gradient in which a penalty is sought, its size, perfect targets).

    If the targets equal the predictions, and the loss is smallest there, every δ is 0, and the
    gradient holds only penalties. If such targets cannot be had, the part is the given gradient
    minus the right one, and the perfect targets are None.
    """
    subject, X, Y = trial.subject, trial.X, trial.Y
    if Y.dtype.kind == "f" and Y.ndim == 2:
        forward, _ = passes(trial.problem)
        perfect = np.asarray(forward(jax.tree.map(jnp.asarray, subject.params), X[:n], trial.y[:n]).outputs[-1])
        if perfect.shape == Y[:n].shape and _norm(trial.right(X[:n], perfect)) <= 1e-9 * full:
            def fitted(rows: Rows):
                return subject.gradients(X[list(rows)], perfect[list(rows)].astype(Y.dtype))

            return fitted, _norm(fitted(range(n))), perfect

    def beside(rows: Rows):
        rows = list(rows)
        pairs = zip(trial.given(rows), trial.right(X[rows], Y[rows]), strict=True)
        return [{leaf: g - r[leaf] for leaf, g in own.items()} for own, r in pairs]

    return beside, full, None


def take_exchanged(trial: Trial) -> list[tuple[int, str]]:
    """(station, leaf) of the leaves in each other's place; the subject is corrected."""
    subject, n = trial.subject, min(trial.few, len(trial.X))
    given, right = trial.given(range(n)), trial.right(trial.X[:n], trial.Y[:n])
    keys = [(s, leaf) for s, _, leaf in trial.leaves]
    wrong = [(s, leaf) for s, leaf in keys if differ(given[s][leaf], right[s][leaf], trial.tolerance)]
    for s, leaf in wrong:
        mine = given[s][leaf]
        twin = next(((t, other) for t, other in wrong if (t, other) != (s, leaf) and right[t][other].shape == mine.shape
                     and mine.any() and not differ(mine, right[t][other], trial.tolerance)), None)
        if twin is not None:
            subject.exchanged[twin] = (s, leaf)  # the right value of twin is found here
    if set(subject.exchanged) != set(subject.exchanged.values()):
        subject.exchanged = {}
    return list(subject.exchanged)


def finished(trial: Trial) -> BatchFault | None:
    """The mistake of the finished gradient that explains every batch by itself, if there is one.

    The mistakes tried are a zero gradient, signs alone, and a clipped norm.
    """
    n = min(trial.few, len(trial.X))
    if n < 3:
        return None
    looks = [[0], [1], [2], [0, 1], [1, 2], list(range(n))]
    given = [_flat(trial.given(rows)) for rows in looks]
    right = [_flat(trial.right(trial.X[rows], trial.Y[rows])) for rows in looks]
    if not all(np.isfinite(g).all() and r.any() for g, r in zip(given, right, strict=True)):
        return None
    if not any(g.any() for g in given) and _heard(trial, n):
        return BatchFault("head", len(trial.subject.places) - 1, "zero", 0.0)
    own = given if trial.subject.mean is None else [_flat(trial.rounded().given(rows)) for rows in looks]
    return _signs(own, right, trial.unit) or _cut(given, right, max(1e-8, 8 * trial.unit)) or _each_leaf_cut(trial, n)


def _heard(trial: Trial, n: int) -> bool:
    """Whether the gradient is 0 at other parameters too, and no rounding explains it.

    Rounding explains it if the head's right δ is small enough to be rounded to 0, here or there.
    """
    def loud(at: Trial) -> bool:
        scene, s = at.singles(n), len(at.subject.places) - 1
        right = scene.true_deltas()
        sizes, terms = (np.abs(v).max(axis=1) for v in (right[s], scene.cotangent(right, s)))
        return bool((sizes > 32 * trial.unit * terms).any())

    moved = trial.moved(MOVED)
    return loud(trial) and loud(moved) and not any(g.any() for own in moved.given(range(n)) for g in own.values())


def _signs(given: list[np.ndarray], right: list[np.ndarray], unit: float) -> BatchFault | None:
    """The fault if the gradient is a constant times the signs of the right one."""
    close = max(1e-8, 8 * unit)
    times = [multiple(g, np.sign(r)) for g, r in zip(given, right, strict=True)]
    # a loss whose slope is a sign, say
    plain = [np.ptp(np.abs(r[r != 0])) <= 0.5 * np.abs(r).max() for r in right]
    if any(plain) or not all(c and np.abs(g - c * np.sign(r))[np.abs(r) > close * np.abs(r).max()].max() <= close * abs(c)
                             for c, g, r in zip(times, given, right, strict=True)):
        return None
    return BatchFault("batch", None, "signs alone", 0.0, f"times {times[0]:.6g}" if abs(times[0] - 1) > close else "")


def _each_leaf_cut(trial: Trial, n: int) -> BatchFault | None:
    """The fault if every leaf of each example is clipped to a norm, and batches are their mean."""
    # a clipped leaf hardly changes at nearby points
    trial = trial if trial.subject.mean is None else trial.rounded()
    close = max(1e-8, 2 * trial.unit)
    given = [_leaves(trial.given([i])) for i in range(n)]
    right = [_leaves(trial.right(trial.X[[i]], trial.Y[[i]])) for i in range(n)]
    if not all(any(map(np.any, own)) for own in right):
        return None
    pairs = [(g, r) for mine, own in zip(given, right, strict=True) for g, r in zip(mine, own, strict=True) if r.any()]
    shares = np.array([multiple(g, r) for g, r in pairs])
    if any(np.linalg.norm(g - c * r) > close * np.linalg.norm(g) for (g, r), c in zip(pairs, shares, strict=True)):
        return None
    sizes, cut = np.array([np.linalg.norm(g) for g, _ in pairs]), np.abs(shares - 1) > 4 * close
    if cut.sum() < 2 or not (shares > 0).all() or not (shares[cut] < 1).all():
        return None
    bound = sizes[cut].max()
    if np.ptp(sizes[cut]) > 4 * close * bound or np.ptp(shares[cut]) < 0.01 or (sizes > (1 + 4 * close) * bound).any():
        return None
    share = 1 / n if trial.problem.reduction == "mean" else 1.0
    sums = zip(_leaves(trial.given(range(n))), *given, strict=True)
    if any(differ(whole, share * sum(each), max(trial.tolerance, 4 * close)) for whole, *each in sums):
        return None
    return BatchFault("batch", None, "clipped", 0.0, f"every leaf of each example, to a norm of {bound:.4g}")


def _leaves(parts) -> list[np.ndarray]:
    return [leaf for own in parts for _, leaf in sorted(own.items())]


def _cut(given: list[np.ndarray], right: list[np.ndarray], close: float) -> BatchFault | None:
    """The fault if each whole gradient is right in direction and clipped to a norm."""
    sizes = [np.linalg.norm(g) for g in given]
    shares = [multiple(g, r) for g, r in zip(given, right, strict=True)]
    if any(np.linalg.norm(g - c * r) > close * size for g, r, c, size in zip(given, right, shares, sizes, strict=True)):
        return None
    bound = max(sizes)
    whole = [abs(c - 1) <= 4 * close for c in shares]
    cut = [0 < c < 1 and abs(size - bound) <= 4 * close * bound for c, size in zip(shares, sizes, strict=True)]
    lengths = [np.linalg.norm(r) for r, is_cut, is_whole in zip(right, cut, whole, strict=True) if is_cut and not is_whole]
    if all(map(any, zip(whole, cut, strict=True))) and lengths and np.ptp(lengths) > 0.01 * bound:
        return BatchFault("batch", None, "clipped", 0.0, f"the whole gradient, to a norm of {bound:.6g}")
    return None


def _flat(parts) -> np.ndarray:
    return np.concatenate([leaf.ravel() for leaf in _leaves(parts)])


def _norm(parts) -> float:
    return float(np.linalg.norm(_flat(parts)))
