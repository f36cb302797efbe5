"""Compare two gradients: their paths, their shapes and their numbers."""

from collections.abc import Sequence

import jax
import numpy as np

from functional_nn.verify.calls.arrays import is_real
from functional_nn.verify.calls.pairs import pairs
from functional_nn.verify.debugger.tolerance import TINY
from functional_nn.verify.references import Probe
from functional_nn.verify.report import Fault, Leaf, blocks_of

_OUTLINE = 160  # characters of a tree in an error


def structure_faults(params, gradient, among: Sequence[str] | None = None) -> tuple[Fault, ...]:
    """Return one fault for each path that is missing, of a wrong shape or not real.

    Paths that the gradient has and params have not are faults only if others are missing.

    Args:
      params, gradient: trees of arrays; `calls.pairs` says which leaf belongs to which.
      among: the paths of params that count; None for all.

    >>> structure_faults({"w": np.ones(2)}, {"v": np.ones(2)})[0].message
    "manual has no gradient at ['w'], of shape (2,) in params; params is {'w': *}, manual's gradient {'v': *}"
    """
    paired = pairs(params, gradient)
    both = f"; params is {_outline(params)}, manual's gradient {_outline(gradient)}"
    faults = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        if among is not None and name not in among:
            continue
        if name not in paired.found:
            text = f"manual has no gradient at {name or 'params'}, of shape {np.shape(leaf)} in params{both}"
        elif np.shape(paired.found[name]) != np.shape(leaf):
            text = f"manual{name} has shape {np.shape(paired.found[name])}, params{name} has {np.shape(leaf)}"
        elif not is_real(paired.found[name]):
            text = f"manual{name} holds {_dtype(paired.found[name])}; the gradient by real parameters holds real numbers"
        else:
            continue
        both = both if name in paired.found else ""  # only one message shows both trees
        faults.append(Fault("structure", None, name, None, "unexplained", float("inf"), text))
    if any(fault.leaf not in paired.found for fault in faults):
        faults += [Fault("structure", None, name, None, "unexplained", float("inf"),
                         f"manual has a gradient at {name or 'the root'}, where params has nothing{both}")
                   for name in paired.extra]
    return tuple(faults)


def _dtype(leaf):
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _outline(tree) -> str:
    """Return the tree as text with * for each array, cut to `_OUTLINE` characters."""
    text = str(jax.tree.structure(tree)).removeprefix("PyTreeDef(").removesuffix(")")
    return text if len(text) <= _OUTLINE else text[:_OUTLINE - 1] + "…"


def misshapen(given: np.ndarray, expected: np.ndarray, name: str) -> tuple[str, str]:
    """(cause, formula) of a leaf of the wrong shape at one point: reshaped, transposed or summed.

    >>> rows = np.array([[1.0, 2.0], [3.0, 4.5]])
    >>> misshapen(rows, rows.sum(0), "df/db"), misshapen(rows.sum(0)[None], rows.sum(0), "df/db")[0]
    (('missing reduction', 'df/db before .sum(axis=0)'), 'wrong shape')
    """
    if not expected.any() or not np.isfinite(given).all() or not np.isfinite(expected).all():
        return "unexplained", ""

    def same(a, b):
        return a.shape == b.shape and bool(np.linalg.norm(a - b) <= TINY * np.linalg.norm(b))

    if given.ndim > 1 and min(given.shape) > 1 and same(given.T, expected):
        return "transposed", f"({name}).T"
    if same(given.ravel(), expected.ravel()):
        return "wrong shape", f"({name}).reshape{given.shape}"
    for how in ("sum", "mean"):
        for axis in range(given.ndim):
            if same(getattr(given, how)(axis=axis), expected):
                return "missing reduction", f"{name} before .{how}(axis={axis})"
        for axis in [*range(expected.ndim), None]:
            if same(getattr(expected, how)(axis=axis).ravel(), given.ravel()):
                return "wrong axis", f"({name}).{how}({'' if axis is None else f'axis={axis}'})"
    return "unexplained", ""


def differs(first, second, path: str, tolerance: float) -> str:
    """Return a sentence that says how a leaf differs between two calls, "" if it does not.

    >>> differs(np.array([1.0, 2.0]), np.array([1.0, 2.5]), "['w']", 1e-12)
    "['w'] differs by up to 0.5, at ['w'][1]: 2, then 2.5"
    """
    a, b = (np.atleast_1d(np.asarray(leaf, dtype=np.float64)) for leaf in (first, second))
    if a.shape != b.shape:
        return f"{path} had shape {np.shape(first)}, then {np.shape(second)}"
    with np.errstate(all="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    gap = np.where(np.isnan(gap), np.inf, gap)
    if gap.size == 0 or gap.max() <= tolerance * np.linalg.norm(np.nan_to_num(a, posinf=0.0, neginf=0.0)):
        return ""
    flat = int(np.argmax(gap))
    index = [int(n) for n in np.unravel_index(flat, np.shape(first))]
    return f"{path} differs by up to {gap.flat[flat]:.3g}, at {path}{index or ''}: {a.flat[flat]:.6g}, then {b.flat[flat]:.6g}"


def along(manual: np.ndarray, probe: Probe) -> np.ndarray:
    """Return the derivatives of this gradient along the probe's directions, or all its entries.

    >>> along(np.array([[1.0, 2.0]]), Probe(np.array([[1.0, -1.0]]), np.zeros(1), 0.0))
    array([-1.])
    """
    with np.errstate(all="ignore"):
        return manual.ravel() if probe.directions is None else probe.directions @ manual.ravel()


@np.errstate(all="ignore")  # inf − inf is an infinite error, and no warning
def compare(path: str, manual: np.ndarray, probes: dict[str, Probe], bounds) -> Leaf:
    """Compare one leaf with each reference; return its relative errors and verdicts as a Leaf.

    An error is right if it is within the bound and the reference's noise. Entries are compared by
    the norm of their difference. Along random directions, each single derivative must agree.

    >>> compare("['w']", np.ones(2), {"autodiff": Probe(None, np.array([1.0, 2.0]), 0.0)}, {"autodiff": 1e-12}).worst
    ((1,), 1.0, 2.0)
    """
    errors, right, probed, worst, blocks = {}, {}, {}, None, None
    for name, probe in probes.items():
        mine, theirs = along(manual, probe), probe.derivatives
        gap, size = np.linalg.norm(mine - theirs), max(np.linalg.norm(mine), np.linalg.norm(theirs))
        finite = bool(np.isfinite(gap))
        errors[name] = 0.0 if gap == 0 else float(gap / size) if finite else float("inf")
        if probe.directions is None:
            right[name], probed[name] = finite and bool(gap <= bounds[name] * size + probe.noise), "entries"
            if worst is None and gap != 0 and manual.size:
                off = np.abs(mine - theirs)
                flat = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
                worst = (_index(flat, manual.shape), float(mine[flat]), float(theirs[flat]))
                blocks = blocks_of(manual, theirs.reshape(manual.shape))
        else:
            right[name], probed[name] = finite and bool(
                np.abs(mine - theirs).max() <= threshold(manual, probe, bounds[name])), f"{len(theirs)} directions"
    return Leaf(path, manual.shape, errors, right, probed, worst, blocks)


def threshold(manual: np.ndarray, probe: Probe, bound: float) -> float:
    """Return the largest error that one direction may have.

    It is τ = bound · ‖gradient‖ + 3 times the direction's share of the noise.
    """
    share = len(probe.derivatives) ** -0.5
    return float(bound * max(np.linalg.norm(manual), share * np.linalg.norm(probe.derivatives)) + 3 * share * probe.noise)


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))
