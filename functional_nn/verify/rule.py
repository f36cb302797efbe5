"""Check a single backward rule: of a pair of functions, or a `custom_vjp` or `custom_jvp`."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls.arrays import in_float64, is_float, plain, writer
from functional_nn.verify.calls.calling import called, is_jax, proof
from functional_nn.verify.calls.functions import uncached
from functional_nn.verify.comparison import compare
from functional_nn.verify.compositions import COMPOSED
from functional_nn.verify.custom import rules_of, without_rules
from functional_nn.verify.debugger.tolerance import SINGLES
from functional_nn.verify.faults import fault_of, told
from functional_nn.verify.limits import DIFFERENCES, MEASURED, OFF, RELATIVE, UNIT
from functional_nn.verify.naming import Point, named
from functional_nn.verify.noise import central
from functional_nn.verify.references import Probe, toward
from functional_nn.verify.report import Fault, Leaf, Report, blocks_of
from functional_nn.verify.suspects import OF_RULES


class Rule(NamedTuple):
    """A function with its rule, on the leaves by which it can be differentiated.

    Attributes:
      names: by the path of each such leaf, in order.
      at: the leaves' values.
      value: (leaves) -> the outputs that are floats, a list of arrays.
      right: (leaves, cotangents) -> the right gradients, a list of arrays.
      given: (leaves, cotangents) -> the gradients by the rule; None for a leaf without one.
      reference: "autodiff" or "fd".
      notes: what the report should say.
    """

    names: list[str]
    at: list[np.ndarray]
    value: Callable
    right: Callable
    given: Callable
    reference: str
    notes: tuple[str, ...] = ()


def check_rule(forward: Callable, backward: Callable | None, *args, names: tuple[str, ...] = (), seed: int = 0) -> Report:
    """Compare a backward rule with the derivative of the forward function, in float64.

    Args:
      forward: (*args) -> an array, or a tree of arrays; in JAX or NumPy.
      backward: (cotangent, *args) -> a tuple of one gradient per argument, or the gradient itself
        if there is one; in JAX or NumPy. Arguments that are no floats may be left out, or be None.
        Where forward returns (output, cache), it may be (cotangent, cache), or (cache, cotangent);
        where an object keeps its forward pass, (cotangent).
        If it is None, the custom rules in `forward`, its own or those of functions that it calls,
        are checked against differentiation of what it computes: alone, and under jit, vmap, scan,
        remat and shard_map, and with one array passed twice.
      args: the arguments at which to compare. Trees of floats are differentiated by; integers,
        names, functions and the arguments of `nondiff_argnums` are not.
      names: the arguments' names in the report.
      seed: seed of the random cotangents.

    >>> import jax.numpy as jnp
    >>> report = check_rule(jnp.tanh, lambda g, x: g * jnp.tanh(x) ** 2, jnp.array([0.5, 2.0, -1.0]))     # not 1 - tanh²
    >>> bool(report), report.faults[0].leaf
    (False, 'args[0]')
    """
    if backward is not None:
        forward, backward = uncached(forward, backward, args)
    with proof(), np.errstate(all="ignore"):
        rule = _rule(forward, backward, args, names)
        shapes = [np.shape(out) for out in rule.value(rule.at)]
        rng = np.random.default_rng(seed)
        noise = [[rng.normal(size=shape) for shape in shapes] for _ in range(SINGLES)]
        mine, right = ([of(rule.at, g) for g in noise] for of in (rule.given, rule.right))
        ones = rule.right(rule.at, [np.ones(shape) for shape in shapes])
        leaves, faults, notes = [], [], list(rule.notes)
        for i, name in enumerate(rule.names):
            fault = _misshapen(name, mine[0][i], right[0][i])
            if fault is not None:
                faults.append(fault)
                continue
            given, expected = (np.stack([np.asarray(each[i], np.float64) for each in every]) for every in (mine, right))
            if not np.isfinite(expected).all() and np.isfinite(given).all():
                notes.append(_convention(rule, name, given, expected))
                given, expected = _nearby(rule, i, noise, seed)
            leaf = _compared(name, given, expected, rule.reference)
            leaves.append(leaf)
            if not all(leaf.right.values()):
                faults.append(_fault(rule, i, given, expected, ones[i], noise, leaf))
        if backward is None and not faults:
            faults, notes = _composed(rule, noise[0], faults, notes)
    return Report(tuple(faults), tuple(leaves), {rule.reference: RELATIVE[rule.reference]}, "float64", notes=tuple(notes), seed=seed)


def _rule(forward: Callable, backward: Callable | None, args: tuple, names: tuple[str, ...]) -> Rule:
    """The rule in one form for all kinds."""
    still = set(getattr(_unwrapped(forward), "nondiff_argnums", ()) or ()) if backward is None else set()
    write = writer(args)
    args = in_float64(plain(args))
    flat, tree = jax.tree.flatten(args)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(args)]
    moving = [i for i, (path, leaf) in enumerate(zip(paths, flat, strict=True)) if path[0].idx not in still and is_float(leaf)]
    if not moving:
        raise ValueError("args must hold an array of floats to differentiate by")
    labels = [(names[path[0].idx] if path[0].idx < len(names) else f"args[{path[0].idx}]") + jax.tree_util.keystr(path[1:])
              for path in (paths[i] for i in moving)]

    def held(leaves):
        every = list(flat)
        for i, leaf in zip(moving, leaves, strict=True):
            every[i] = leaf
        return tree.unflatten(every)

    def value(leaves):
        out = forward(*write(held(leaves)))
        return [leaf for leaf in jax.tree.leaves(plain(out)) if is_float(leaf)]

    at = [np.asarray(flat[i]) for i in moving]
    if not value(at):
        raise ValueError(f"forward must return an array of floats, got {forward(*write(held(at)))!r}")
    jax_sees = is_jax(value, (at,))
    if backward is None:
        _insist_on_rules(forward, value, at)
        return Rule(labels, at, value, _pulled(without_rules(value)), _pulled(value), "autodiff")

    def given(leaves, cotangents):
        arguments = held([np.array(leaf) for leaf in leaves])
        out = plain(forward(*write(arguments)))
        parts = iter(cotangents)
        g = jax.tree.map(lambda leaf: next(parts) if is_float(leaf) else np.zeros(np.shape(leaf)), out)
        return _by_leaf(called(backward, (g, *arguments), "backward", ("cotangent", *labels), lambda each: (each[0], *write(each[1:]))),
                        args, moving)

    right = _pulled(value) if jax_sees else _by_differences(value)
    return Rule(labels, at, value, right, given, "autodiff" if jax_sees else "fd")


def _insist_on_rules(forward: Callable, value: Callable, at: list[np.ndarray]) -> None:
    """Raise an error in a sentence if forward has no rule that can be checked."""
    if rules_of(value, at):
        return
    try:
        jax.make_jaxpr(value)(at)
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise ValueError(f"forward cannot be traced by JAX: {type(error).__name__}: {first}") from error
    raise TypeError("backward may be None only where forward is decorated with jax.custom_vjp or "
                    f"jax.custom_jvp, or calls a function that is; got {forward!r}")


def _unwrapped(function: Callable) -> Callable:
    while isinstance(function, jax.stages.Wrapped):
        function = function.__wrapped__
    return function


def _pulled(value: Callable) -> Callable:
    """(leaves, cotangents) -> the gradients by `jax.vjp` of `value`."""
    def of(leaves, cotangents):
        out, pull = jax.vjp(value, [jnp.asarray(leaf) for leaf in leaves])
        return [np.asarray(leaf) for leaf in pull([jnp.asarray(g, o.dtype) for g, o in zip(cotangents, out, strict=True)])[0]]

    return of


def _by_differences(value: Callable) -> Callable:
    """The same by central differences of every entry; the Jacobian is kept for further cotangents."""
    known: dict[tuple, list] = {}

    def wide(leaves):
        return [np.asarray(out, np.float64) for out in value(leaves)]

    def of(leaves, cotangents):
        key = tuple(leaf.tobytes() for leaf in leaves)
        if key not in known:
            known[key] = [[central(wide, leaves, toward(leaves, i, unit)) for unit in np.eye(leaf.size)] for i, leaf in enumerate(leaves)]
        return [np.reshape([sum(float(np.sum(g * d)) for g, d in zip(cotangents, slope, strict=True)) for slope in slopes], leaf.shape)
                for slopes, leaf in zip(known[key], leaves, strict=True)]

    return of


def _by_leaf(gradients: Any, args: tuple, moving: list[int]) -> list[Any]:
    """The gradients of the leaves that move, from one gradient per argument or per argument of floats."""
    each = [jax.tree.leaves(arg) for arg in args]
    floats = [i for i, leaves in enumerate(each) if any(map(is_float, leaves))]
    if not isinstance(gradients, tuple | list) or (len(floats) == 1 and not (isinstance(gradients, tuple) and len(gradients) in (
            1, len(args)))):
        gradients = (gradients,)
    if len(gradients) not in (len(args), len(floats)):
        raise ValueError(f"backward must return one gradient for each of the {len(args)} arguments, got {len(gradients)}")
    by_argument = dict(zip(range(len(args)) if len(gradients) == len(args) else floats, map(plain, gradients), strict=True))
    found = []
    for i, arg in enumerate(args):
        gradient = by_argument.get(i)
        theirs = dict(jax.tree_util.tree_leaves_with_path(gradient)) if gradient is not None else {}
        found += [theirs.get(path) for path, _ in jax.tree_util.tree_leaves_with_path(arg)]
    return [found[i] for i in moving]


def _misshapen(name: str, given: Any, right: np.ndarray) -> Fault | None:
    if given is not None and np.shape(given) == right.shape:
        return None
    got = "nothing" if given is None else f"an array of shape {np.shape(given)}"
    return Fault("structure", None, name, None, "unexplained", np.inf, f"backward gives {got} for {name} of shape {right.shape}")


def _convention(rule: Rule, name: str, given: np.ndarray, expected: np.ndarray) -> str:
    """The note on a point where the function itself has no derivative that can be computed."""
    bad = ~np.isfinite(expected)
    values = np.unique(given[bad])
    what = f"{values[0]:.6g}" if len(values) == 1 else "a number"
    return (f"{name}: the derivative of the function is {expected[bad][0]} here, and the rule gives {what}: a convention; it was "
            "compared a little away")


def _nearby(rule: Rule, i: int, noise, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of leaf i at a point a little away."""
    rng = np.random.default_rng(seed)
    near = [leaf + OFF * (np.abs(leaf) + 1) * rng.normal(size=leaf.shape) for leaf in rule.at]
    return tuple(np.stack([np.asarray(of(near, g)[i], np.float64) for g in noise]) for of in (rule.given, rule.right))


def _compared(name: str, given: np.ndarray, expected: np.ndarray, reference: str) -> Leaf:
    """The comparison at all cotangents; the worst entry is that of the leaf."""
    leaf = compare(name, given, {reference: Probe(None, expected.ravel(), 0.0)}, RELATIVE)
    worst = leaf.worst and (leaf.worst[0][1:], *leaf.worst[1:])
    return dataclasses.replace(leaf, shape=expected.shape[1:], worst=worst, probed={},
                               blocks=blocks_of(given.mean(axis=0), expected.mean(axis=0)))


def _fault(rule: Rule, i: int, given, expected, of_ones, noise, leaf: Leaf) -> Fault:
    """The fault of leaf i, whose gradients are (cotangents, *shape)."""
    name, shape, size = rule.names[i], given.shape[1:], given[0].size
    seen, alike = [{"the gradient of ones": of_ones} for _ in noise], len(noise[0]) == 1 and noise[0][0].shape == shape
    if alike:  # one output of the leaf's shape
        seen = [{**each, "g": g} for each, (g,) in zip(seen, noise, strict=True)]
    if alike and size <= MEASURED:
        units = np.eye(size).reshape(-1, *shape)
        diagonal = np.reshape([rule.right(rule.at, [unit])[i].ravel()[k] for k, unit in enumerate(units)], shape)
        seen = [{**each, "diagonal": diagonal} for each in seen]
    points = [Point(*map(np.atleast_1d, pair), {of: np.atleast_1d(v) for of, v in each.items()})
              for *pair, each in zip(given, expected, seen, strict=True)]
    against, unit = ("jax.vjp", UNIT / 2) if rule.reference == "autodiff" else ("central differences", DIFFERENCES)
    verdict = named(points, unit, f"d/d{name}", OF_RULES)
    return fault_of(leaf, f"{name}, against {against}", verdict, f"d/d{name}", told(verdict), leaf.worst)


def _composed(rule: Rule, cotangents, faults, notes) -> tuple[list[Fault], list[str]]:
    """Add the faults, and the notes, of a rule that is right alone, inside other transformations."""
    failed = []
    for composed in [each for each in COMPOSED if each.applies(rule.at)]:
        try:
            mine, right = (composed.pulled(of, rule.at, cotangents)
                           for of in (rule.value, without_rules(rule.value)))
        except Exception as error:
            failed.append(f"{composed.name} ({type(error).__name__})")
            continue
        wrong = [(name, a, b) for name, a, b in zip(composed.names(rule.names), mine, right, strict=True)
                 if not np.linalg.norm(a - b) <= 10 * RELATIVE["autodiff"] * max(np.linalg.norm(a), np.linalg.norm(b))
                 and np.isfinite(b).all()]
        for name, a, b in wrong:
            gap = float(np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b)))
            what = f"right alone, and wrong {composed.where}: relative error {gap:.1e}"
            faults.append(Fault(None, None, name, None, "unexplained", gap, f"{name}: {what}", name, what))
    if failed:
        notes.append(f"the rule cannot be used under {', '.join(failed)}")
    return faults, notes
