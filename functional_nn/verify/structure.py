"""Leaves of a gradient that are missing or have another shape: what they are, and how to go on.

A leaf that is right once it is turned, reshaped or summed is so from then on, and the check goes
on. In place of any other the right leaf stands, so that the other leaves are checked.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify import observe
from functional_nn.verify.calls.arrays import is_real
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.comparison import structure_faults
from functional_nn.verify.hypothesis import multiple
from functional_nn.verify.report import Fault
from functional_nn.verify.scene import differ
from functional_nn.verify.stations import at
from functional_nn.verify.trial import Trial

MAKE_RIGHT = {
    "transposed": "return its transpose",
    "wrong shape": "give it the parameter's shape with .reshape",
    "missing reduction": "sum it over the examples",
    "wrong axis": "sum it over the examples' axis",
}


class Mend(NamedTuple):
    """What makes a leaf comparable, and the cause that this shows."""

    cause: str
    change: Callable[[np.ndarray], np.ndarray]


def misfits_of(trial: Trial, misfits, penalty, references: Callable) -> tuple[tuple[Fault, ...], bool]:
    """Return the faults of the leaves that do not fit, and whether nothing more can be checked.

    The subject's function is told how to go on: its `mends`.

    Args:
      misfits: the leaves that do not fit, as `UserFunction.gradient` found them.
      penalty: the cost's own penalty, or None.
      references: (several params, X, Y) -> the right gradients.
    """
    given, X, Y = trial.subject.given, trial.X, trial.Y
    right = next(references([trial.subject.params], X, Y))
    if penalty is not None:
        right = jax.tree.map(np.add, right, given.slope(penalty, trial.subject.params, len(X), X))
    shown = dict(given.shown(right))
    if _reversed(given.raw, [shown[path] for path in shown], trial.tolerance):
        text = "the layers' gradients stand in reverse order"
        return (Fault("structure", None, "", None, "exchanged leaves", 0.0, text, what=CAUSES["exchanged leaves"]),), True
    found = structure_faults(given.tree, given.raw, [misfit.path for misfit in misfits])
    if not misfits:
        return found, True
    leaves = {misfit.path: misfit.leaf for misfit in misfits}
    faults = []
    for fault in found:
        leaf = leaves.get(fault.leaf)
        faults.append(_named(trial, fault, leaf, shown))
    return tuple(faults), not any(leaf is not None for leaf in leaves.values()) and len(leaves) == len(shown)


def _reversed(gradient, right: list[np.ndarray], tolerance: float) -> bool:
    """Whether a list of layers' gradients is right once it is turned round."""
    if not isinstance(gradient, tuple | list):
        return False
    turned = jax.tree.leaves(gradient[::-1])
    return len(turned) == len(right) and all(
        np.shape(a) == b.shape and not differ(np.asarray(a, np.float64), b, tolerance)
        for a, b in zip(turned, right, strict=True))


def _named(trial: Trial, fault: Fault, leaf, right: dict[str, np.ndarray]) -> Fault:
    """Return the fault with its layer and, if one is found, its cause; set the mend of its leaf."""
    given = trial.subject.given
    station, name = next(((s, leaf) for s, place in enumerate(given.places) for leaf in place.leaves.values()
                          if given.path(s, leaf) == fault.leaf), (None, ""))
    fault = dataclasses.replace(fault, layer=None if station is None else given.places[station].layer)
    if fault.leaf not in right:
        return fault
    wanted = right[fault.leaf]
    given.mends[fault.leaf] = _by_right(trial, fault.leaf)
    if leaf is None or not is_real(leaf):
        return fault
    leaf = np.asarray(leaf, dtype=np.float64)
    fitting = [mend for mend in _mends(leaf, wanted.shape) if mend.change(leaf).shape == wanted.shape]
    exact = next((mend for mend in fitting if not differ(mend.change(leaf), wanted, trial.tolerance)), None)
    if exact is not None:
        given.mends[fault.leaf] = _by_change(exact.change, wanted.shape)
        return _caused(fault, exact.cause)
    if leaf.ravel().shape == wanted.ravel().shape and 1 in (*leaf.shape, leaf.ndim):  # a vector is judged once it is reshaped
        given.mends[fault.leaf] = _by_change(lambda v: v.reshape(wanted.shape), wanted.shape)
        return _caused(fault, "wrong shape", "its shape is not the parameter's")
    each = None if station is None else np.asarray(at(_each(trial), given.places[station])[name])
    if _summed_wrongly(leaf, wanted, each, trial.tolerance):
        return _caused(fault, "wrong axis")
    if station is not None and _of_inputs(trial, station, leaf):
        return _caused(fault, "gradient of the inputs")
    twin = next((path for path, other in right.items() if path != fault.leaf and other.shape == leaf.shape
                 and not differ(leaf, other, trial.tolerance)), None)
    return fault if twin is None else _caused(fault, "exchanged leaves", f"it is the gradient of {twin}")


def _by_change(change: Callable, shape: tuple[int, ...]) -> Callable:
    def mend(leaf, params, X, Y):
        if np.shape(leaf) == shape:  # a batch of one example may come in the right shape
            return leaf
        return change(np.asarray(leaf))

    return mend


def _by_right(trial: Trial, path: str) -> Callable:
    """The mend that puts the right leaf in place of the user's; `subject.own` is part of it."""
    def mend(leaf, params, X, Y):
        subject = trial.subject
        tree = observe.gradient_of(trial.problem)(jax.tree.map(jnp.asarray, params), trial.problem.batch(
            jax.tree.map(jnp.asarray, params), jnp.asarray(X), jnp.asarray(Y)))
        right = jax.tree.map(np.asarray, tree)
        return dict(subject.given.shown(right))[path]

    return mend


def _mends(leaf: np.ndarray, shape: tuple[int, ...]) -> Iterator[Mend]:
    """What may make a leaf of another shape right, the likeliest first."""
    if leaf.ndim > 1:
        yield Mend("transposed", lambda v: v.T)
        yield Mend("transposed", lambda v: np.swapaxes(v, -1, -2))
    if leaf.size == np.prod(shape, dtype=int):
        yield Mend("wrong shape", lambda v: v.reshape(shape))
    # the bias's gradient may be stored as an extra row or column of the weight's
    for axis in range(leaf.ndim):
        for i in (0, -1):
            yield Mend("wrong shape", lambda v, i=i, axis=axis: np.delete(v, i, axis=axis))
    for axis in range(leaf.ndim):
        if leaf.shape[axis] > 1:
            for how in (np.sum, np.mean):
                yield Mend("missing reduction", lambda v, how=how, axis=axis: _shaped(how(v, axis=axis), shape))


def _shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return array.reshape(shape) if array.size == np.prod(shape, dtype=int) else array


def _caused(fault: Fault, cause: str, text: str = "") -> Fault:
    """Return the fault of a shape with its cause: what is printed names the leaf and what to do."""
    text = text or CAUSES[cause]
    advice = f"; {MAKE_RIGHT[cause]}" if cause in MAKE_RIGHT else ""
    return dataclasses.replace(fault, cause=cause, residual=0.0, message=f"{fault.message}: {text}{advice}", where=fault.message,
                               what=f"{text}{advice}")


def _each(trial: Trial):
    """The right gradients of single examples."""
    params = jax.tree.map(jnp.asarray, trial.subject.params)
    return observe.example_gradients_of(trial.problem)(params, trial.X, trial.y)


def _of_inputs(trial: Trial, s: int, leaf: np.ndarray) -> bool:
    """Return whether a leaf is the gradient by a dense layer's inputs, δW of each example."""
    place, W = trial.subject.places[s], trial.subject.stationed(trial.subject.params)[s][trial.subject.places[s].weight]
    if W.ndim != 2 or not leaf.any():
        return False
    sent = np.asarray(at(_each(trial), place)[place.bias]) @ W
    return any(leaf.shape == of.shape and not differ(leaf, multiple(leaf, of) * of, trial.tolerance) for of in (sent, sent.T))


def _summed_wrongly(leaf: np.ndarray, wanted: np.ndarray, each: np.ndarray | None, tolerance: float) -> bool:
    """Return whether a leaf is summed, or averaged, over axes that it should keep.

    `each` holds the right gradients of the single examples.
    """
    for axis in (*range(wanted.ndim), None):
        for summed in (wanted.sum(axis=axis), wanted.mean(axis=axis)):
            if leaf.shape == summed.shape and np.linalg.norm(leaf - summed) <= tolerance * np.linalg.norm(wanted):
                return True
    if each is None or leaf.shape != each.shape[:1]:
        return False
    flat = each.reshape(len(each), -1)
    # the leaf is a sum, or a mean over entries, over examples, or over both
    counts = (1, flat.shape[1], len(leaf), leaf.size * flat.shape[1])
    return any(np.linalg.norm(leaf * c - flat.sum(axis=1)) <= tolerance * np.linalg.norm(flat) for c in counts)
