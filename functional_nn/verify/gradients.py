"""Is this hand-written gradient right? Any scalar function of any pytree."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.verify.calls import called, is_array, traceable
from functional_nn.verify.references import REFERENCES, RELATIVE, TITLES, Probe
from functional_nn.verify.report import Fault, GradientError, Leaf, Report


def check_gradients(f: Callable, manual: Callable, params, *args, reference: str | Sequence[str] = "autodiff",
                    seed: int = 0) -> Report:
    """Compare `manual(params, *args)` with independent derivatives of `f(params, *args)`, leaf by leaf, in float64.

    Args:
      f: a scalar function of params (any pytree of floats) and args, in JAX or in plain NumPy.
      manual: its hand-written gradient, shaped like params, in JAX or NumPy.
      params, args: where to compare; floats are taken to float64, under `jax.enable_x64` as a context.
      reference: "autodiff" (`jax.grad`), "forward" (`jax.jvp`), "fd" (central differences), "complex" (the complex step, for an
        analytic f), or several of them. Where f is plain NumPy, "fd" stands for the first two.
      seed: of the random directions that stand for the entries of a leaf with more than 4,096.

    Returns:
      A Report, truthy when every leaf is right against every reference: relative error at most 1e-12 (fd: 1e-6) beyond
      rounding. NaN is an infinite error.

    >>> import jax.numpy as jnp
    >>> f = lambda p, x: (p["w"] * x + p["b"]) ** 2 / 2
    >>> forgot_x = lambda p, x: {"w": p["w"] * x + p["b"], "b": p["w"] * x + p["b"]}
    >>> report = check_gradients(f, forgot_x, {"w": jnp.array(3.0), "b": jnp.array(1.0)}, 2.0)
    >>> bool(report), [fault.leaf for fault in report.faults]
    (False, ["['w']"])
    """
    names = [reference] if isinstance(reference, str) else list(reference)
    if not names:
        raise ValueError(f"reference must name one or more of {', '.join(REFERENCES)}, got none")
    for name in names:
        checks.one_of("reference", name, REFERENCES)
    if not jax.tree.leaves(params):
        raise ValueError(f"params must hold at least one array to differentiate by, got {params!r}")
    with jax.enable_x64(True):
        params, args = jax.tree.map(_to_float64, (_checked(params), args))

        numpy = not traceable(lambda params: f(params, *args), params)
        if numpy:
            params, args = jax.tree.map(lambda leaf: np.asarray(leaf) if is_array(leaf) else leaf, (params, args))
            names = list(dict.fromkeys(name if name in ("fd", "complex") else "fd" for name in names))

        def scalar(params):
            return f(params, *args)

        _check_scalar(scalar, params, numpy)
        gradient = called(manual, (params, *args), "manual")
        structure = structure_faults(params, gradient)
        bounds = {name: RELATIVE[name] for name in names}
        if structure:
            return Report(structure, (), bounds, "float64")
        probes = {name: REFERENCES[name](scalar, params, jax.random.key(seed)) for name in names}
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    by_path = dict(jax.tree_util.tree_leaves_with_path(gradient))
    values = [np.asarray(by_path[path], dtype=np.float64) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    leaves = tuple(compare(path, value, {name: probes[name][i] for name in names}, bounds)
                   for i, (path, value) in enumerate(zip(paths, values, strict=True)))
    faults = tuple(_fault(leaf, value, {name: probes[name][i] for name in names})
                   for i, (leaf, value) in enumerate(zip(leaves, values, strict=True)) if not all(leaf.right.values()))
    return Report(faults, leaves, bounds, "float64")


def assert_gradients(f: Callable, manual: Callable, params, *args, **options) -> Report:
    """`check_gradients` for tests: raises a GradientError (an AssertionError) that carries and prints the report."""
    report = check_gradients(f, manual, params, *args, **options)
    if not report:
        raise GradientError(report)
    return report


def _checked(params):
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        checks.floating("params" + jax.tree_util.keystr(path), leaf)
    return params


def _to_float64(leaf):
    array = np.asarray(leaf) if not hasattr(leaf, "dtype") else leaf
    if jnp.issubdtype(array.dtype, jnp.floating):
        return jnp.asarray(array, dtype=jnp.float64)
    return leaf


def _check_scalar(f, params, numpy: bool) -> None:
    shape = np.asarray(called(f, (params,), "f")) if numpy else jax.eval_shape(f, params)
    if not hasattr(shape, "shape") or shape.shape != () or not jnp.issubdtype(shape.dtype, jnp.floating):
        raise ValueError(f"f must return one real number, got {jax.tree.map(lambda s: (s.dtype.name, s.shape), shape)}; sum or "
                         "average its output, or pick one entry")


def structure_faults(params, gradient) -> tuple[Fault, ...]:
    """One fault for every path that is missing, extra or of another shape."""
    wanted = dict(jax.tree_util.tree_leaves_with_path(params))
    got = dict(jax.tree_util.tree_leaves_with_path(gradient))
    faults = []
    for path in dict.fromkeys([*wanted, *got]):
        name = jax.tree_util.keystr(path)
        if path not in got:
            text = f"manual has no gradient at {name}, of shape {np.shape(wanted[path])} in params"
        elif path not in wanted:
            text = f"manual has a gradient at {name}, where params has nothing"
        elif np.shape(got[path]) != np.shape(wanted[path]):
            text = f"manual{name} has shape {np.shape(got[path])}, params{name} has {np.shape(wanted[path])}"
        else:
            continue
        faults.append(Fault("structure", None, name, None, "unexplained", float("inf"), text))
    return tuple(faults)


def _along(manual: np.ndarray, probe: Probe) -> np.ndarray:
    return manual.ravel() if probe.directions is None else probe.directions @ manual.ravel()


@np.errstate(all="ignore")  # inf − inf is an infinite error, and no warning
def compare(path: str, manual: np.ndarray, probes: dict[str, Probe], bounds) -> Leaf:
    """One leaf against each reference: its relative error, and whether the bound and the reference's noise allow it."""
    errors, right, probed = {}, {}, {}
    for name, probe in probes.items():
        mine, theirs = _along(manual, probe), probe.derivatives
        gap, size = np.linalg.norm(mine - theirs), max(np.linalg.norm(mine), np.linalg.norm(theirs))
        finite = bool(np.isfinite(gap))
        errors[name] = 0.0 if gap == 0 else float(gap / size) if finite else float("inf")
        right[name] = finite and bool(gap <= bounds[name] * size + probe.noise)
        probed[name] = "entries" if probe.directions is None else f"{len(theirs)} directions"
    return Leaf(path, manual.shape, errors, right, probed)


@np.errstate(all="ignore")
def _fault(leaf: Leaf, manual: np.ndarray, probes: dict[str, Probe]) -> Fault:
    name = next(name for name in leaf.right if not leaf.right[name])
    probe, index = probes[name], None
    path = leaf.path or "params"
    text = f"{path}: relative error {leaf.errors[name]:.1e} against {TITLES[name]}"
    if probe.directions is None:
        gap = np.abs(manual.ravel() - probe.derivatives)
        flat = int(np.argmax(np.where(np.isnan(gap), np.inf, gap))) if gap.size else 0
        index = tuple(int(i) for i in np.unravel_index(flat, manual.shape))
        text += (f", worst at {path}{list(index)}: manual {manual.ravel()[flat]:.6g}, "
                 f"reference {probe.derivatives[flat]:.6g}")
    return Fault(None, None, leaf.path, index, "unexplained", leaf.errors[name], text)
