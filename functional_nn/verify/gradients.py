"""Check a hand-written gradient of any scalar function of any pytree."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.verify.calls.arrays import is_array, plain, writer
from functional_nn.verify.calls.calling import called, is_jax, proof
from functional_nn.verify.calls.pairs import answer, pairs
from functional_nn.verify.comparison import compare, structure_faults
from functional_nn.verify.custom import rules_of, without_rules
from functional_nn.verify.excuses import differs, unit_of
from functional_nn.verify.leaves import Case, inconsistencies, judged
from functional_nn.verify.references import (
    COVERED,
    REFERENCES,
    RELATIVE,
    directions_for,
    moves_in_steps,
)
from functional_nn.verify.report import Fault, GradientError, Leaf, Report
from functional_nn.verify.suspects import told_together

__all__ = ["assert_gradients", "check_gradients", "compare", "structure_faults"]


def check_gradients(f: Callable, manual: Callable | None, params, *args, reference: str | Sequence[str] = "autodiff",
                    miss: float = 1e-9, seed: int = 0) -> Report:
    """Compare `manual(params, *args)` with independent derivatives of `f(params, *args)`, leaf by leaf, in float64.

    Args:
      f: a scalar function of params (any pytree of floats) and args, in JAX or in plain NumPy. If
        it is decorated with `jax.custom_vjp` or `jax.custom_jvp`, the reference differentiates
        the primal function and never uses the custom rule. Custom rules of functions that f
        calls are used, and a note says where two references then disagree.
      manual: the hand-written gradient, shaped like params, in JAX or NumPy. If it is None, the
        custom rule of f is checked.
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
    names = _reference_names(reference)
    count = directions_for(_probability(miss))
    if not jax.tree.leaves(params):
        raise ValueError(f"params must hold at least one array to differentiate by, got {params!r}")
    spread = False
    if manual is None:
        (f, params, args), before = _by_all(f, params, args), len(args)
        spread = len(args) < before
    f, manual, decorated = _apart(f, manual)
    with proof():
        write, in_order = writer((params, *args)), writer(plain(params))
        params, args = jax.tree.map(_to_float64, (_checked(plain(params)), plain(args)))
        arguments = ("params", *(f"args[{i}]" for i in range(len(args))))
        numpy = not decorated and not is_jax(lambda *given: f(*write(given)), _copied((params, *args)))
        if numpy:
            params, args = jax.tree.map(lambda leaf: np.asarray(leaf) if is_array(leaf) else leaf, (params, args))
            names = list(dict.fromkeys(name if name in ("fd", "complex") else "fd" for name in names))
        else:
            params, args = jax.tree.map(lambda leaf: jnp.asarray(leaf) if is_array(leaf) else leaf, (params, args))
        bounds = {name: RELATIVE[name] for name in names}
        notes: list[str] = []
        whole = f
        if not numpy and (rules := rules_of(lambda *given: whole(*write(given)), params, *args)):
            f, said = _plain(whole, write, params, args, rules)
            notes += said

        def scalar(params):
            """f at other parameters; a NumPy function gets a copy, which it may write into."""
            if numpy:
                return _one_number(plain(f(*write(_copied((params, *args))))))
            return f(*write((params, *args)))

        def by_hand(params):
            if numpy:  # an object that keeps what its forward pass computed needs that pass first
                scalar(params)
            found = called(manual, (params, *args), "manual", arguments, write)
            return found if found is None else _aligned(in_order(params), plain(found), notes)

        value, coarse, restless = _value(f, (params, *args), arguments, numpy, write)
        if numpy and coarse == "float64" and (steps := moves_in_steps(scalar, params, value)) is not None:
            coarse, smooth = steps.dtype, scalar
            notes.append(f"f moves in steps of {steps.size:.0e} of its value, as if computed in {coarse}: its differences resolve "
                         f"no more than {float(jnp.finfo(coarse).eps) ** (2 / 3):.0e} of a gradient of its own size")

            def scalar(params):
                return np.dtype(coarse).type(smooth(params))

        gradient, again = by_hand(params), by_hand(params)
        if gradient is None:
            raise ValueError("manual must return a gradient shaped like params, got None; does it end in a return statement?")
        structure = structure_faults(params, gradient)
        restless = restless or ([] if structure else _restless(gradient, again))
        if restless:
            return Report(tuple(restless), (), bounds, "float64", seed=seed)
        references = {name: REFERENCES[name](scalar, params, seed, count) for name in names}
        case = Case(scalar, by_hand, params, gradient, references, numpy, value, coarse, seed, _arrays(params, args))
        report = _report(case, structure, bounds)
        report = dataclasses.replace(report, notes=(*report.notes, *dict.fromkeys(notes)))
        return _by_argument(report) if spread else report


def assert_gradients(f: Callable, manual: Callable | None, params, *args, **options) -> Report:
    """Check as `check_gradients` does, and raise a GradientError if the gradient is wrong.

    A GradientError is an AssertionError that carries and prints the report.
    """
    __tracebackhide__ = True
    report = check_gradients(f, manual, params, *args, **options)
    if not report:
        raise GradientError(report)
    return report


def _report(case: Case, structure: Sequence[Fault], bounds: Mapping[str, float]) -> Report:
    """Return the Report with the verdict on each leaf; a leaf of the wrong shape is not
    compared."""
    broken = {fault.leaf: fault for fault in structure}
    faults, leaves, notes, rounded = [], [], [], {}
    for i, path in enumerate(case.paths):
        if path in broken:
            faults.append(case.misshapen(broken.pop(path), i))
            lost, wrong = dict.fromkeys(bounds, float("inf")), dict.fromkeys(bounds, False)
            leaves.append(Leaf(path, np.shape(case.leaves[i]), lost, wrong))
            continue
        outcome = judged(case, i, bounds)
        leaves.append(outcome.leaf)
        notes += outcome.notes
        faults += [outcome.fault] if outcome.fault else []
        if outcome.rounded:
            whose, share = outcome.rounded
            rounded.setdefault(whose, []).append((path or "params", share))
    notes += [f"rounding, not a mistake: {whose}, and {_listed([path for path, _ in those])} is off by at most "
              f"{max(share for _, share in those):.0%} of what that explains" for whose, those in rounded.items()]
    if not np.isfinite(case.value):
        notes.insert(0, f"f is {case.value} at params: it overflows, or is not defined there")
    probed = [leaf.path or "params" for leaf in leaves if any("directions" in how for how in leaf.probed.values())]
    missed = 0.0
    if probed:
        count = max(len(probe.derivatives) for reference in case.references.values() for probe in reference.probes
                    if probe.directions is not None)
        missed = 2.0**-count
        notes.append(f"{_listed(probed)} probed along {count} random directions: an error of {COVERED:.0f} times the bound or "
                     f"more passes with probability {missed:.0e} at most, one in a single entry never")
    together = told_together(faults, len(leaves))
    return Report((*faults, *broken.values()), tuple(leaves), bounds, "float64",
                  notes=(*together, *inconsistencies(case, bounds), *notes), seed=case.seed, missed=missed)


def _listed(paths: Sequence[str], most: int = 3) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more


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
        raise ValueError(f"miss must be {wanted}, got {miss}; 0 would take every entry, which reference='autodiff' compares")
    return miss


def _by_all(f: Callable, params, args) -> tuple[Callable, Any, tuple]:
    """Return (f, params, args) with every argument that holds floats among the params.

    A rule is wrong if it is so for any of its arguments.
    """
    every = (params, *args)
    floats = [i for i, arg in enumerate(every) if i == 0 or (all(
        jnp.issubdtype(np.asarray(leaf).dtype, jnp.floating) for leaf in jax.tree.leaves(arg)) and jax.tree.leaves(arg))]
    if len(floats) == 1:
        return f, params, args
    names = ["params" if i == 0 else f"args[{i - 1}]" for i in floats]
    inner, custom = f, _custom(f)

    def spread(function: Callable) -> Callable:
        def of(held):
            given = list(every)
            for i, name in zip(floats, names, strict=True):
                given[i] = held[name]
            return function(*given)

        return of

    if custom is None:
        return spread(inner), {name: every[i] for i, name in zip(floats, names, strict=True)}, ()
    # the rule stays that of the function inside
    return _Both(spread(custom.fun), spread(inner)), {name: every[i] for i, name in zip(floats, names, strict=True)}, ()


def _by_argument(report: Report) -> Report:
    """Return the report on several arguments with their own names: args[0], not ['args[0]']."""
    def named(part: Any) -> Any:
        texts = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        return dataclasses.replace(part, **{name: re.sub(r"\['(params|args\[\d+\])'\]", r"\1", text)
                                            for name, text in texts.items() if isinstance(text, str)})

    return dataclasses.replace(report, faults=tuple(map(named, report.faults)), leaves=tuple(map(named, report.leaves)),
                               notes=tuple(re.sub(r"\['(params|args\[\d+\])'\]", r"\1", note) for note in report.notes))


class _Both(NamedTuple):
    """A function, and the same with its custom rule."""

    primal: Callable
    ruled: Callable


def _custom(f: Callable) -> Any:
    """Return the custom_vjp or custom_jvp that f is, possibly under jax.jit; else None."""
    while isinstance(f, jax.stages.Wrapped):
        f = f.__wrapped__
    return f if isinstance(f, jax.custom_vjp | jax.custom_jvp) else None


def _plain(f: Callable, write: Callable, params, args: tuple, rules: tuple[str, ...]) -> tuple[Callable, list[str]]:
    """Return f without the custom rules inside it, and notes; f as it is where it then has no derivative."""
    names = ", ".join(repr(name) for name in rules)
    several = len(rules) > 1
    plain_f = without_rules(lambda *given: f(*given))
    try:
        without = jax.tree.leaves(jax.grad(plain_f)(*write((params, *args))))
        within = jax.tree.leaves(jax.grad(f)(*write((params, *args))))
    except Exception:  # whatever fails here is said of f as it is
        return f, []
    if any(not np.isfinite(a).all() and np.isfinite(b).all() for a, b in zip(without, within, strict=True)):
        return f, [f"f contains the custom rule{'s' * several} {names}, without which its derivative is NaN or inf here: the "
                   "rule is taken on trust; check_rule checks it"]
    if all(np.linalg.norm(a - b) <= RELATIVE["autodiff"] * np.linalg.norm(a) for a, b in zip(without, within, strict=True)):
        return f, []
    return plain_f, [f"f contains the custom rule{'s' * several} {names}, and jax.grad(f) is not the derivative of f because of "
                     f"{'them' if several else 'it'}: the reference differentiates f without {'them' if several else 'it'}"]


def _apart(f: Callable, manual: Callable | None) -> tuple[Callable, Callable, bool]:
    """Return (primal function, gradient to check, whether f is decorated with a custom rule).

    The primal is f without its custom rule. The gradient is `manual`, or `jax.grad(f)`, which
    uses the custom rule, if manual is None.
    """
    if isinstance(f, _Both):
        return f.primal, jax.grad(f.ruled), True
    custom = _custom(f)
    if manual is None and custom is None:
        raise TypeError("manual may be None only where f is decorated with jax.custom_vjp or jax.custom_jvp; got "
                        f"{f!r}: pass its hand-written gradient")
    return f if custom is None else custom.fun, jax.grad(f) if manual is None else manual, custom is not None


def _arrays(params, args) -> dict[str, np.ndarray]:
    """The arrays among the arguments and the parameters, by name."""
    found = {f"args[{i}]{jax.tree_util.keystr(path)}": leaf for i, arg in enumerate(args)
             for path, leaf in jax.tree_util.tree_leaves_with_path(arg)}
    found |= {jax.tree_util.keystr(path) or "params": leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    return {name: np.asarray(leaf) for name, leaf in found.items() if is_array(leaf) and np.ndim(leaf)}


def _copied(arguments):
    return jax.tree.map(lambda leaf: np.array(leaf) if isinstance(leaf, np.ndarray) else leaf, arguments)


def _one_number(value):
    """The value of a NumPy f as a number of its own precision; an array of one entry counts."""
    array = np.asarray(value)
    return array.reshape(())[()] if array.size == 1 and array.dtype.kind in "fiub" else value


def _aligned(params, result, notes: list[str]):
    """The gradient in a result, shaped like params wherever its names and its order say how."""
    found = answer(result, params)
    paired = pairs(params, found.gradient)
    if paired.missing:
        return found.gradient
    if paired.extra:
        notes.append(f"{_listed(paired.extra)} of manual's gradient {'is' if len(paired.extra) == 1 else 'are'} no parameter's and "
                     f"{'was' if len(paired.extra) == 1 else 'were'} left out")
    return jax.tree_util.tree_map_with_path(lambda path, _: paired.found[jax.tree_util.keystr(path)], params)


def _checked(params):
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        checks.floating("params" + jax.tree_util.keystr(path), leaf)
    return params


def _to_float64(leaf):
    """A leaf of floats in float64, in NumPy or JAX as it was."""
    if isinstance(leaf, jax.Array):
        return jnp.asarray(leaf, dtype=jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
    array = np.asarray(leaf) if not hasattr(leaf, "dtype") else leaf
    return np.asarray(array, dtype=np.float64) if jnp.issubdtype(array.dtype, jnp.floating) else leaf


def _value(f: Callable, arguments: tuple, names: tuple[str, ...], numpy: bool, write: Callable) -> tuple[float, str, list[Fault]]:
    """Call f twice; return its value, the value's dtype, and a fault if the two calls differ."""
    def call():
        if numpy:
            return _one_number(plain(called(f, arguments, "f", names, write)))
        return f(*write(jax.tree.map(lambda leaf: leaf, arguments)))

    first = call()
    if first is None:
        raise ValueError("f must return one real number, got None; does it end in a return statement?")
    leaves, _ = jax.tree.flatten(first)
    if len(leaves) != 1 or np.shape(first) != () or not jnp.issubdtype(np.asarray(first).dtype, jnp.floating):
        got = jax.tree.map(lambda s: (np.asarray(s).dtype.name, np.shape(s)), first)
        raise ValueError(f"f must return one real number, got {got}; sum or average its output, or pick one entry")
    coarse, unit = str(np.asarray(first).dtype), unit_of(first)
    first, second = float(first), float(call())
    allowed = max(RELATIVE["autodiff"], 16 * unit if unit > 1e-12 else 0.0) * abs(first)
    if first == second or not np.isfinite([first, second]).any() or abs(first - second) <= allowed:
        return first, coarse, []
    text = (f"f is not repeatable: called twice with the same arguments it gives {first:.6g}, then {second:.6g}; hand it its "
            "random key or seed as an argument")
    return first, coarse, [Fault(None, None, "", None, "not repeatable", 0.0, text)]


def _restless(gradient, again) -> list[Fault]:
    """Return a fault for each leaf that differs between two calls of manual, beyond rounding."""
    second = dict(jax.tree_util.tree_leaves_with_path(again))
    faults = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        unit = unit_of(leaf)
        said = (differs(leaf, second[path], name or "its result", max(RELATIVE["autodiff"], 16 * unit if unit > 1e-12 else 0.0))
                if path in second else f"{name or 'its result'} was there, then was not")
        if said:
            faults.append(Fault(None, None, name, None, "not repeatable", 0.0,
                                f"manual is not repeatable: called twice with the same arguments, {said}; hand it its random "
                                "key or seed as an argument"))
    return faults
