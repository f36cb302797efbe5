"""Compare two gradients: their paths, their shapes and their numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.references import Probe
from functional_nn.verify.report import Fault, Leaf, blocks_of

_OUTLINE = 160  # characters of a tree in an error


def structure_faults(params, gradient) -> tuple[Fault, ...]:
    """Return one fault for each path that is missing, extra, of a wrong shape or not real.

    >>> structure_faults({"w": np.ones(2)}, {"v": np.ones(2)})[0].message
    "manual has no gradient at ['w'], of shape (2,) in params; params is {'w': *}, manual's gradient {'v': *}"
    """
    wanted = dict(jax.tree_util.tree_leaves_with_path(params))
    got = dict(jax.tree_util.tree_leaves_with_path(gradient))
    both = f"; params is {_outline(params)}, manual's gradient {_outline(gradient)}"
    faults = []
    for path in dict.fromkeys([*wanted, *got]):
        name = jax.tree_util.keystr(path)
        if path not in got:
            text = f"manual has no gradient at {name or 'params'}, of shape {np.shape(wanted[path])} in params{both}"
        elif path not in wanted:
            text = f"manual has a gradient at {name or 'the root'}, where params has nothing{both}"
        elif np.shape(got[path]) != np.shape(wanted[path]):
            text = f"manual{name} has shape {np.shape(got[path])}, params{name} has {np.shape(wanted[path])}"
        elif not _real(got[path]):
            text = f"manual{name} holds {_dtype(got[path])}; the gradient by real parameters holds real numbers"
        else:
            continue
        both = both if path in got and path in wanted else ""  # only one message shows both trees
        faults.append(Fault("structure", None, name, None, "unexplained", float("inf"), text))
    return tuple(faults)


def _dtype(leaf):
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _real(leaf) -> bool:
    return any(jnp.issubdtype(_dtype(leaf), kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _outline(tree) -> str:
    """Return the tree as text with * for each array, cut to `_OUTLINE` characters."""
    text = str(jax.tree.structure(tree)).removeprefix("PyTreeDef(").removesuffix(")")
    return text if len(text) <= _OUTLINE else text[:_OUTLINE - 1] + "…"


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
