"""Leaves of a gradient that are missing or have another shape: what they are, and how to go on.

A leaf that is right once it is turned, reshaped or summed is so from then on, and the check goes
on. In place of any other the right leaf stands, so that the other leaves are checked.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from functional_nn.objective import Objective
from functional_nn.verify.calls.arrays import is_real
from functional_nn.verify.calls.given import UserFunction
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.comparison import structure_faults
from functional_nn.verify.debugger.claims import reference
from functional_nn.verify.debugger.tolerance import SAME, multiple
from functional_nn.verify.report import Fault
from functional_nn.verify.stations import at

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


class Misfits(NamedTuple):
    """A function some of whose leaves do not fit.

    `right` holds the right gradient by the user's paths; with_penalty says what the cost adds.
    """

    problem: Objective
    given: UserFunction
    X: np.ndarray
    Y: np.ndarray
    right: dict[str, np.ndarray]

    def faults(self) -> tuple[tuple[Fault, ...], bool]:
        """Return the faults of the leaves that do not fit, and whether nothing more can be checked.

        The function is told how to go on: its `mends`.
        """
        given = self.given
        if _turned(given.raw, list(self.right.values())):
            text = "the layers' gradients stand in reverse order"
            return (Fault("structure", None, "", None, "exchanged leaves", 0.0, text, what=CAUSES["exchanged leaves"]),), True
        found = structure_faults(given.tree, given.raw, [misfit.path for misfit in given.misfits])
        leaves = {misfit.path: misfit.leaf for misfit in given.misfits}
        if not leaves:
            return found, True
        faults = tuple(self._named(fault, leaves.get(fault.leaf)) for fault in found)
        return faults, not any(leaf is not None for leaf in leaves.values()) and len(leaves) == len(self.right)

    def _named(self, fault: Fault, leaf) -> Fault:
        """Return the fault with its layer and, if one is found, its cause; set the mend of its leaf."""
        given = self.given
        s, name = next(((s, leaf) for s, place in enumerate(given.places) for leaf in place.leaves.values()
                        if given.path(s, leaf) == fault.leaf), (None, ""))
        fault = replace(fault, layer=None if s is None else given.places[s].layer)
        if fault.leaf not in self.right:
            return fault
        wanted = self.right[fault.leaf]
        given.mends[fault.leaf] = self._by_right(fault.leaf)
        if leaf is None or not is_real(leaf):
            return fault
        leaf = np.asarray(leaf, dtype=np.float64)
        for mend in _mends(leaf, wanted.shape):
            if same(mend.change(leaf), wanted):
                given.mends[fault.leaf] = _by_change(mend.change, wanted.shape)
                return caused(fault, mend.cause)
        if leaf.size == wanted.size and 1 in (*leaf.shape, leaf.ndim):  # a vector is judged once it is reshaped
            given.mends[fault.leaf] = _by_change(lambda v: v.reshape(wanted.shape), wanted.shape)
            return caused(fault, "wrong shape", "its shape is not the parameter's")
        return self._of_others(fault, leaf, s, name)

    def _of_others(self, fault: Fault, leaf: np.ndarray, s: int | None, name: str) -> Fault:
        """The fault of a leaf that no mend makes right: what its numbers are."""
        wanted = self.right[fault.leaf]
        each = self._each(s, name) if s is not None else None
        if _summed_wrongly(leaf, wanted, each):
            return caused(fault, "wrong axis")
        names = {} if s is None else self.given.places[s].leaves
        if leaf.any() and wanted.ndim == 2 and name == names.get("weight"):
            sent = self._each(s, names["bias"]) @ np.asarray(at(self.given.start, self.given.places[s])[name])
            if _is_multiple(leaf, sent):
                return caused(fault, "gradient of the inputs")
            if each.ndim == 3 and _is_multiple(leaf, _over_units(each, self._each(s, names["bias"]))):
                return caused(fault, "wrong axis", "the product is summed over the units, not over the examples")
        for axis, i in itertools.product(range(wanted.ndim), (0, -1)):
            if wanted.shape[axis] > 1 and same(leaf, np.delete(wanted, i, axis=axis)):
                return caused(fault, "wrong shape", f"its {'last' if i else 'first'} {('row', 'column')[axis > 0]} is missing")
        twin = next((path for path, other in self.right.items() if path != fault.leaf and same(leaf, other)), None)
        return fault if twin is None else caused(fault, "exchanged leaves", f"it is the gradient of {twin}")

    def _each(self, s: int, name: str) -> np.ndarray:
        """The right gradients of a leaf for single examples."""
        rows = range(len(self.X))
        trees = [reference(self.problem, self.given.start, self.X[[i]], self.Y[[i]]) for i in rows]
        return np.stack([np.asarray(at(tree, self.given.places[s])[name]) for tree in trees])

    def _by_right(self, path: str) -> Callable:
        """The mend that puts the right leaf in place of the user's."""
        def mend(leaf, params, X, Y):
            return dict(self.given.shown(reference(self.problem, params, X, Y)))[path]

        return mend


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays are equal but for float32's rounding."""
    return one.shape == other.shape and bool(np.linalg.norm(one - other) <= SAME * np.linalg.norm(other))


def _is_multiple(leaf: np.ndarray, of: np.ndarray) -> bool:
    """Whether a leaf is a multiple of an array, or of its transpose."""
    return any(leaf.shape == one.shape and same(leaf, multiple([leaf], [one]) * one) for one in (of, of.T))


def _over_units(each: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Σ δ aᵀ over the units where it should be over the examples; `each` holds the outer products."""
    sizes = np.maximum((delta**2).sum(axis=1, keepdims=True), np.finfo(float).tiny)
    inputs = np.einsum("bjk,bj->bk", each, delta) / sizes
    return delta @ inputs.T if inputs.shape == delta.shape else np.zeros((0, 0))


def _turned(gradient, right: list[np.ndarray]) -> bool:
    """Whether a list of layers' gradients is right once it is turned round."""
    if not isinstance(gradient, tuple | list):
        return False
    turned = jax.tree.leaves(gradient[::-1])
    return len(turned) == len(right) and all(same(np.asarray(a, np.float64), b) for a, b in zip(turned, right, strict=True))


def _by_change(change: Callable, shape: tuple[int, ...]) -> Callable:
    def mend(leaf, params, X, Y):
        return leaf if np.shape(leaf) == shape else change(np.asarray(leaf))  # one example may come in the right shape

    return mend


def _mends(leaf: np.ndarray, shape: tuple[int, ...]) -> Iterator[Mend]:
    """What may make a leaf of another shape right, the likeliest first."""
    if leaf.ndim > 1:
        yield Mend("transposed", lambda v: v.T)
        yield Mend("transposed", lambda v: np.swapaxes(v, -1, -2))
    if leaf.size == np.prod(shape, dtype=int):
        yield Mend("wrong shape", lambda v: v.reshape(shape))
    for axis in range(leaf.ndim):  # the bias's gradient may be an extra row or column of the weight's
        for i in (0, -1):
            yield Mend("wrong shape", lambda v, i=i, axis=axis: np.delete(v, i, axis=axis))
    for axis in range(leaf.ndim):
        if leaf.shape[axis] > 1:
            for how in (np.sum, np.mean):
                yield Mend("missing reduction", lambda v, how=how, axis=axis: _shaped(how(v, axis=axis), shape))


def _shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return array.reshape(shape) if array.size == np.prod(shape, dtype=int) else array


def caused(fault: Fault, cause: str, text: str = "") -> Fault:
    """Return the fault of a shape with its cause: what is printed names the leaf and what to do."""
    text = text or CAUSES[cause]
    advice = f"; {MAKE_RIGHT[cause]}" if cause in MAKE_RIGHT else ""
    return replace(fault, cause=cause, residual=0.0, message=f"{fault.message}: {text}{advice}", where=fault.message,
                   what=f"{text}{advice}")


def _summed_wrongly(leaf: np.ndarray, wanted: np.ndarray, each: np.ndarray | None) -> bool:
    """Whether a leaf is summed, or averaged, over axes that it should keep."""
    for axis in (*range(wanted.ndim), None):
        if any(leaf.shape == of.shape and np.linalg.norm(leaf - of) <= SAME * np.linalg.norm(wanted)
               for of in (wanted.sum(axis=axis), wanted.mean(axis=axis))):
            return True
    if each is None or leaf.shape != each.shape[:1]:
        return False
    flat = each.reshape(len(each), -1)
    counts = (1, flat.shape[1], len(leaf), leaf.size * flat.shape[1])  # a sum, or a mean over entries, examples or both
    return any(np.linalg.norm(leaf * c - flat.sum(axis=1)) <= SAME * np.linalg.norm(flat) for c in counts)
