"""Check a hand-written gradient of any scalar function of any pytree."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.verify.beside import Parts
from functional_nn.verify.calls.arrays import is_array
from functional_nn.verify.calls.calling import proof
from functional_nn.verify.calls.scalar import Scalar
from functional_nn.verify.case import Case, unit_of
from functional_nn.verify.comparison import compare, differs, structure_faults
from functional_nn.verify.custom import narrows
from functional_nn.verify.entries import listed
from functional_nn.verify.faults import told_together
from functional_nn.verify.leaves import inconsistencies, judged, of_wrong_shape
from functional_nn.verify.limits import COVERED, MISS, RELATIVE, ROUNDINGS, UNIT
from functional_nn.verify.noise import moves_in_steps
from functional_nn.verify.references import REFERENCES, directions_for
from functional_nn.verify.report import Fault, GradientError, Leaf, Report

__all__ = ["assert_gradients", "check_gradients", "compare", "structure_faults"]
AGAIN = "hand it its random key or seed as an argument"


def check_gradients(f: Callable, manual: Callable | None, params, *args, reference: str | Sequence[str] = "autodiff",
                    miss: float = MISS, seed: int = 0) -> Report:
    """Compare `manual(params, *args)` with independent derivatives of `f(params, *args)`, leaf by leaf, in float64.

    Args:
      f: a scalar function of params (any pytree of floats) and args, in JAX or in plain NumPy. If
        it has custom rules, its own or those of functions that it calls, the reference
        differentiates what it computes, and a note says where the rules give another gradient.
      manual: the hand-written gradient, shaped like params, in JAX or NumPy. If it is None, the
        custom rules of f are checked, by every argument that holds floats.
      params, args: the point at which gradients are compared. Floats are converted to float64,
        under `jax.enable_x64` as a context.
      reference: "autodiff" (`jax.grad`), "forward" (`jax.jvp`), "fd" (central differences),
        "complex" (the complex step, for an analytic f), or several of them. If f is plain NumPy,
        "fd" stands for the first two.
      miss: the largest probability that a wrong leaf passes. It matters only for a leaf of more
        than 4,096 entries and a reference that measures single derivatives ("forward", "fd",
        "complex"). Such a leaf is probed along log₂(1/miss) random ±1 directions, at least 16. A
        leaf counts as wrong if its error has a norm of 4 thresholds or more. A single wrong entry
        above one threshold is never missed.
      seed: seed of the directions, and of the other points at which a cause is confirmed.

    Returns:
      A Report, truthy if every leaf agrees with every reference: the relative error is at most
      1e-12 (fd: 1e-6) beyond rounding. NaN is an infinite error. Two deviations are noted but are
      no faults: at a kink, a number between the two one-sided derivatives; and up to 16 rounding
      units in a gradient whose dtype is float32 or smaller.

    Raises:
      TypeError, ValueError: the gradient cannot be checked, because f is not scalar, params hold
        integers, or a function fails, returns None or changes its arguments.

    >>> import jax.numpy as jnp
    >>> f = lambda p, x: jnp.sum((p["w"] * x + p["b"]) ** 2) / 2
    >>> doubled = lambda p, x: {"w": jnp.sum((p["w"] * x + p["b"]) * x), "b": 2 * jnp.sum(p["w"] * x + p["b"])}
    >>> report = check_gradients(f, doubled, {"w": jnp.array(3.0), "b": jnp.array(1.0)}, jnp.array([2.0, -1.0]))
    >>> bool(report), [(fault.leaf, fault.cause, fault.value) for fault in report.faults]
    (False, [("['b']", 'factor', '2')])
    """
    names, count = _reference_names(reference), directions_for(_probability(miss))
    if not jax.tree.leaves(params):
        raise ValueError(f"params must hold at least one array to differentiate by, got {params!r}")
    with proof():
        user = Scalar(f, manual, params, args)
        if user.numpy:
            names = [*dict.fromkeys(name if name in ("fd", "complex") else "fd" for name in names)]
        bounds = {name: RELATIVE[name] for name in names}
        first, gradient = user.first(), user.gradient(user.params)
        structure = structure_faults(user.params, user.raw)
        coarse, value = _coarse(user, first)
        restless = _repeats(user, first, gradient, structure)
        if restless:
            return Report(tuple(restless), (), bounds, "float64", seed=seed)
        references = {name: REFERENCES[name](value, user.params, seed, count) for name in names}
        case = Case(value, user.gradient, user.params, gradient, references, Parts(user.at, user.args, user.numpy),
                    float(first), coarse, seed, _arrays(user))
        return _report(case, structure, bounds, user.notes)


def assert_gradients(f: Callable, manual: Callable | None, params, *args, **options) -> Report:
    """Check as `check_gradients` does, and raise a GradientError if the gradient is wrong.

    A GradientError is an AssertionError that carries and prints the report.
    """
    __tracebackhide__ = True
    report = check_gradients(f, manual, params, *args, **options)
    if not report:
        raise GradientError(report)
    return report


def _coarse(user: Scalar, first: Any) -> tuple[str, Callable]:
    """(the precision in which f is computed, f in that precision)."""
    dtype = str(np.asarray(first).dtype)
    may = dtype == "float64" and (user.numpy or narrows(user.value, user.params))
    steps = moves_in_steps(user.value, user.params, float(first)) if may else None
    if steps is None:
        return dtype, user.value
    user.notes.append(
        f"f moves in steps of {steps.size:.0e} of its value, as if computed in {steps.dtype}: its "
        f"differences resolve no more than {float(jnp.finfo(steps.dtype).eps) ** (2 / 3):.0e} of a "
        "gradient of its own size")
    kind = np if user.numpy else jnp
    return steps.dtype, lambda params: kind.asarray(user.value(params), steps.dtype)


def _repeats(user: Scalar, first: Any, gradient: Any, structure: Sequence[Fault]) -> list[Fault]:
    """A fault for f, or for each leaf of the gradient, that differs when called again."""
    def allowed(value: Any) -> float:
        return max(RELATIVE["autodiff"], ROUNDINGS * unit_of(value) if unit_of(value) > UNIT else 0.0)

    def fault(leaf: str, text: str) -> Fault:
        return Fault(None, None, leaf, None, "not repeatable", 0.0, f"{text}; {AGAIN}")

    one, two = float(first), float(user.first())
    if not (one == two or not np.isfinite([one, two]).any()
            or abs(one - two) <= allowed(first) * abs(one)):
        return [fault("", "f is not repeatable: called twice with the same arguments it gives "
                          f"{one:.6g}, then {two:.6g}")]
    if structure:
        return []
    second = dict(jax.tree_util.tree_leaves_with_path(user.gradient(user.params)))
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        said = differs(leaf, second[path], name or "its result", allowed(leaf)) if (
            path in second) else f"{name or 'its result'} was there, then was not"
        if said:
            found.append(fault(name, "manual is not repeatable: called twice with the same "
                                     f"arguments, {said}"))
    return found


def _report(case: Case, structure: Sequence[Fault], bounds: Mapping[str, float],
            notes: Sequence[str]) -> Report:
    """The report with the verdict on each leaf; a leaf of the wrong shape is not compared."""
    broken = {fault.leaf: fault for fault in structure}
    faults, leaves, said, rounded = [], [], [], {}
    for i, path in enumerate(case.paths):
        if path in broken:
            faults.append(of_wrong_shape(case, broken.pop(path), i))
            leaves.append(Leaf(path, np.shape(case.leaves[i]), dict.fromkeys(bounds, np.inf),
                               dict.fromkeys(bounds, False)))
            continue
        outcome = judged(case, i, bounds)
        leaves.append(outcome.leaf)
        said += outcome.notes
        faults += [outcome.fault] if outcome.fault else []
        if outcome.rounded:
            whose, share = outcome.rounded
            rounded.setdefault(whose, []).append((path or "params", share))
    said += [f"rounding, not a mistake: {whose}, and {listed([path for path, _ in those])} is off "
             f"by at most {max(share for _, share in those):.0%} of what that explains"
             for whose, those in rounded.items()]
    overflows = [] if np.isfinite(case.value) else [
        f"f is {case.value} at params: it overflows, or is not defined there"]
    missed, probed = _missed(case, leaves)
    told = told_together(faults, len(leaves))
    return Report((*faults, *broken.values()), tuple(leaves), bounds, "float64", notes=(
        *told, *inconsistencies(case, bounds), *overflows, *said, *probed, *dict.fromkeys(notes)),
        seed=case.seed, missed=missed)


def _missed(case: Case, leaves: Sequence[Leaf]) -> tuple[float, list[str]]:
    """(the probability that a wrong leaf passed, a note on it where entries were not compared)."""
    probed = [leaf.path or "params" for leaf in leaves
              if any("directions" in how for how in leaf.probed.values())]
    if not probed:
        return 0.0, []
    count = max(len(probe.derivatives) for reference in case.references.values()
                for probe in reference.probes if probe.directions is not None)
    return 2.0**-count, [
        f"{listed(probed)} probed along {count} random directions: an error of {COVERED:.0f} times "
        f"the bound or more passes with probability {2.0**-count:.0e} at most, one in a single entry "
        "never"]


def _reference_names(reference: str | Sequence[str]) -> list[str]:
    names = [reference] if isinstance(reference, str) else list(reference)
    if not names:
        raise ValueError(f"reference must name one or more of {', '.join(REFERENCES)}, got none")
    for name in names:
        checks.one_of("reference", name, REFERENCES)
    return names


def _probability(miss: Any) -> float:
    wanted = "a probability above 0 and below 1, such as 1e-9"
    miss = float(checks.number("miss", miss, low=0.0, high=1.0, wanted=wanted))
    if not 0 < miss < 1:
        raise ValueError(f"miss must be {wanted}, got {miss}; 0 would take every entry, which "
                         "reference='autodiff' compares")
    return miss


def _arrays(user: Scalar) -> dict[str, np.ndarray]:
    """The arrays among the arguments and the parameters, by name."""
    found = {name + jax.tree_util.keystr(path): leaf
             for name, arg in zip(user.names[1:], user.args, strict=True)
             for path, leaf in jax.tree_util.tree_leaves_with_path(arg)}
    found |= {jax.tree_util.keystr(path) or "params": leaf
              for path, leaf in jax.tree_util.tree_leaves_with_path(user.params)}
    return {name: np.asarray(leaf) for name, leaf in found.items()
            if is_array(leaf) and np.ndim(leaf)}
