"""Check a backward pass of any architecture, step by step, between values that the user names.

With a value v named by `tap(name, v)`, the rest of the forward pass is cut off behind it: the tap
returns stop_gradient(v) + p, with p = 0 a parameter of its own. Let u be the user's own gradients
by the taps, and

    S(p, params) = loss + Σ ⟨u[name], the value that reaches tap `name`⟩.

One reverse pass of S gives, for each tap and each leaf, the gradient that a right step makes **of
the user's own gradients of everything downstream**. So only the faulty step disagrees, whatever
the shape of the graph.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls.arrays import by_path, in_float64, plain, writer
from functional_nn.verify.calls.calling import called, is_jax, proof
from functional_nn.verify.calls.pairs import pairs
from functional_nn.verify.comparison import along, compare
from functional_nn.verify.faults import fault_of, told
from functional_nn.verify.limits import (
    DIFFERENCES,
    MEASURED,
    MISS,
    NEARBY,
    RELATIVE,
    ROUNDINGS,
    STEP,
    UNIT,
)
from functional_nn.verify.naming import DIRECTIONS, ENTRIES, Point, named
from functional_nn.verify.noise import central
from functional_nn.verify.references import Probe, directions_for, one_by_one, random_directions
from functional_nn.verify.report import Fault, Leaf, Report
from functional_nn.verify.suspects import OF_USES, SUSPECTS

LOSS = "the loss"
POINTS = 3  # the given point and others nearby, where a cause must fit too


class Pass(NamedTuple):
    """One backward pass at one point.

    Attributes:
      given: by name, the user's gradient of each tap and leaf.
      right: (uses) -> by name, what right steps make of the user's own gradients, through these uses.
      uses: the taps that have a gradient, and the loss.
    """

    given: dict[str, np.ndarray]
    right: Callable[[frozenset[str]], dict[str, Probe]]
    uses: tuple[str, ...]

    @property
    def expected(self) -> dict[str, Probe]:
        """Return the right gradients, by name."""
        return self.right(frozenset(self.uses))


def check_intermediates(forward: Callable, backward: Callable, params, *args, seed: int = 0) -> Report:
    """Check a hand-written backward pass step by step: the Report blames only the faulty ones.

    Args:
      forward: (params, *args, tap) -> the loss, a scalar, in JAX or NumPy. In it, `tap(name, value)`
        names an intermediate value and returns it; what follows must compute with what it returns.
      backward: (params, *args) -> (gradient shaped like params, {name: gradient of the loss by that
        value}), in JAX or NumPy. Taps may be left out; a mistake is then placed between those given.
      params: a tree of floats.
      args: further arguments.
      seed: seed of the nearby points at which a cause is confirmed, and of random directions.

    Returns:
      A Report. The leaf of a fault is the name of the tap whose gradient is made wrongly, or the
      path of the parameter. A NumPy forward pass is measured by central differences: entry by
      entry, or along random directions where a value has more than 512 entries.

    Raises:
      TypeError, ValueError: forward is not scalar, or names a tap twice or none; backward does not
        return a pair, or a gradient has another shape than its value.

    >>> def forward(params, x, tap):
    ...     h = tap("h", jnp.tanh(params["W"] @ x))
    ...     return jnp.sum(tap("out", params["V"] @ h) ** 2)
    >>> def backward(params, x):                                               # forgets the 2 of the square
    ...     h = np.tanh(params["W"] @ x)
    ...     out = params["V"] @ h
    ...     dh = params["V"].T @ out
    ...     return {"V": np.outer(out, h), "W": np.outer(dh * (1 - h**2), x)}, {"h": dh, "out": out}
    >>> params = {"W": np.ones((3, 2)) / 3, "V": np.array([[0.2, -0.4, 0.1]])}
    >>> report = check_intermediates(forward, backward, params, np.array([0.5, 1.0]))
    >>> [(fault.leaf, fault.cause, fault.value) for fault in report.faults]
    [('out', 'factor', '0.5')]
    """
    with proof(), np.errstate(all="ignore"):
        write = writer((params, *args))
        params, args = in_float64((plain(params), plain(args)))
        run = _Run(forward, backward, write, args, seed)
        structure = run.structure(params)
        if structure:
            return Report(structure, (), {run.reference: RELATIVE[run.reference]}, "float64", seed=seed)
        first = run.at(params)
        rng = np.random.default_rng(seed)
        passes, names = [first], list(first.expected)
        leaves = [_compared(name, first, run.reference) for name in names]
        wrong = [leaf.path for leaf in leaves if not all(leaf.right.values())]
        if wrong:
            passes += [run.at(jax.tree.map(lambda p: p + NEARBY * (np.abs(p).mean() + NEARBY) * rng.normal(size=np.shape(p)), params))
                       for _ in range(POINTS - 1)]
        faults = tuple(_fault(name, passes, next(leaf for leaf in leaves if leaf.path == name), run) for name in wrong)
        clear = tuple(name for name in names if name not in wrong) if wrong else ()
        return Report(faults, tuple(leaves), {run.reference: RELATIVE[run.reference]}, "float64", clear=clear, seed=seed,
                      notes=run.notes, missed=MISS if any(leaf.probed for leaf in leaves) else 0.0)


class _Run:
    """The two functions with their arguments, called at one point after another."""

    def __init__(self, forward: Callable, backward: Callable, write: Callable, args: tuple, seed: int):
        self.forward, self.backward, self.write, self.args, self.seed = forward, backward, write, args, seed
        self.notes: tuple[str, ...] = ()
        self.reference = ""

    def loss(self, params, tap: Callable) -> Any:
        """The loss, with this tap."""
        params, *args = self.write((params, *self.args))
        return self.forward(params, *args, tap)

    def structure(self, params) -> tuple[Fault, ...]:
        """The faults of gradients that have another shape than their values."""
        values = self._see(params)
        given, wanted = self._given(params, values), {**values, **by_path(params)}
        return tuple(Fault("structure", None, name, None, "unexplained", np.inf,
                           f"the gradient of {name} has shape {found.shape}, {name} has {wanted[name].shape}")
                     for name, found in given.items() if found.shape != wanted[name].shape)

    def at(self, params) -> Pass:
        """The user's gradients and the right ones at one point."""
        values = self._see(params)
        given = self._given(params, values)
        cotangents = {name: given[name] for name in values if name in given}
        right = functools.cache(functools.partial(self._right, params, values, cotangents))
        return Pass(given, right, (LOSS, *cotangents))

    def _see(self, params) -> dict[str, np.ndarray]:
        """The value of every tap; it is noted whether JAX can see through the forward pass."""
        seen: dict[str, np.ndarray] = {}

        def tap(name, value):
            if name in seen:
                raise ValueError(f"tap {name!r} is named twice; give every value a name of its own, such as {name!r} + str(t)")
            seen[name] = np.asarray(plain(value), dtype=np.float64)
            return value

        loss = self.loss(jax.tree.map(np.array, params), tap)
        if np.size(loss) != 1:
            raise ValueError(f"forward must return the loss, one number; got shape {np.shape(loss)}")
        if not seen:
            raise ValueError("forward names no tap: call tap(name, value) where a value is made, and go on with what it returns")
        if not self.reference:
            seen_through = is_jax(lambda params: self.loss(params, lambda name, value: value), (jax.tree.map(np.array, params),))
            self.reference = "autodiff" if seen_through else "fd"
        return seen

    def _given(self, params, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The user's gradients, by the names of the taps and by the paths of the leaves."""
        result = called(self.backward, (params, *self.args), "backward", ("params", *(f"args[{i}]" for i in range(len(self.args)))),
                        self.write)
        if not (isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[1], Mapping)):
            raise TypeError("backward must return (gradient shaped like params, {tap: its gradient}), got "
                            f"{type(result).__name__}")
        gradient, taps = plain(result[0]), plain(dict(result[1]))
        unknown = [name for name in taps if name not in values]
        if unknown:
            raise ValueError(f"backward gives the gradient of {unknown[0]!r}, which forward does not tap; it taps "
                             f"{', '.join(values)}")
        self.notes = tuple(f"backward gives no gradient of {name!r}: its step is checked together with those that use it"
                           for name in values if name not in taps)
        found = pairs(params, gradient)
        if found.missing:
            raise ValueError(f"backward gives no gradient of params{found.missing[0]}")
        return {name: np.asarray(leaf, dtype=np.float64) for name, leaf in {**taps, **found.found}.items()}

    def _right(self, params, values: Mapping[str, np.ndarray], cotangents: Mapping[str, np.ndarray], uses: frozenset) -> dict[str, Probe]:
        """What right steps make of the cotangents, through these uses: the derivatives of S, by name.

        S is the loss cut at each tap that has a cotangent, plus ⟨cotangent, what reaches the tap⟩.
        By central differences the cut values are held still.
        """
        names, numpy = [*reversed(cotangents)], self.reference == "fd"
        point = [np.zeros(values[name].shape) for name in names], params

        def cut(point):
            (shifts, params), terms = point, []

            def tap(name, value):
                if name not in cotangents:
                    return value
                if name in uses:
                    terms.append((cotangents[name] * value).sum())
                return (values[name] if numpy else jax.lax.stop_gradient(value)) + shifts[names.index(name)]

            loss = self.loss(params, tap)
            return sum(terms, loss if LOSS in uses else 0.0 * loss)

        directions = random_directions(point, self.seed, directions_for(MISS), MEASURED) if numpy else [None] * len(jax.tree.leaves(point))
        found = (one_by_one(functools.partial(central, cut), directions)(point) if numpy
                 else jax.tree.leaves(jax.grad(cut)(jax.tree.map(jnp.asarray, point))))
        return {name: Probe(rows, np.ravel(leaf), 0.0)
                for name, rows, leaf in zip([*names, *by_path(params)], directions, found, strict=True)}


def _compared(name: str, found: Pass, reference: str) -> Leaf:
    """The comparison of one gradient; one that is 0 comes out as the rounding of the largest."""
    largest = max(float(np.linalg.norm(probe.derivatives)) for probe in found.expected.values())
    noise = 4 * largest * ROUNDINGS * (UNIT if reference == "autodiff" else UNIT / STEP)
    leaf = compare(name, found.given[name], {reference: found.expected[name]._replace(noise=noise)}, RELATIVE)
    return dataclasses.replace(leaf, probed={how: said for how, said in leaf.probed.items() if said != "entries"})


def _fault(name: str, passes: list[Pass], leaf: Leaf, run: _Run) -> Fault:
    """The fault of the step that makes the gradient `name`, with its cause if one fits at every point."""
    def point(found: Pass) -> Point:
        given, probe = found.given[name], found.expected[name]
        shape = np.shape(given) or (1,) if probe.directions is None else (len(probe.derivatives),)
        return Point(along(given, probe).reshape(shape), probe.derivatives.reshape(shape),
                     {"1": along(np.ones_like(given), probe).reshape(shape)},
                     {"shares": lambda: {use: found.right(frozenset({use}))[name].derivatives.reshape(shape)
                                         for use in found.uses if use != name}})

    of = f"dL/dparams{name}" if name.startswith("[") and name not in passes[0].uses else f"dL/d{name}"
    verdict = named([point(found) for found in passes], UNIT / 2 if run.reference == "autodiff" else DIFFERENCES, of,
                    (*OF_USES, *SUSPECTS), ENTRIES if passes[0].expected[name].directions is None else DIRECTIONS)
    return fault_of(leaf, f"the gradient of {name}, given your own gradients of what uses it", verdict, of, told(verdict),
                    leaf.worst or (None, None, None))
