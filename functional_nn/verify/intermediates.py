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
from functional_nn.verify.comparison import compare
from functional_nn.verify.faults import fault_of, told
from functional_nn.verify.naming import Point, close, each, named, number, suspect
from functional_nn.verify.noise import STEP, UNIT, central
from functional_nn.verify.references import DIFFERENCES, RELATIVE, Probe
from functional_nn.verify.report import Fault, Leaf, Report
from functional_nn.verify.suspects import SUSPECTS

ENTRIES = 512  # a tap or leaf of a NumPy forward pass with more entries is measured along directions
DIRECTIONS = 24  # their number: an error of 4 bounds or more passes with probability 2⁻²⁴ at most
LOSS = "the loss"
POINTS = 3  # the given point and others nearby, where a cause must fit too


class Pass(NamedTuple):
    """One backward pass at one point.

    Attributes:
      given: by name, the user's gradient of each tap and leaf.
      expected: by name, the gradient that a right step makes of the user's own.
      shares: (use) -> by name, the part of `expected` that comes back through one use, a later tap or
        the loss.
      uses: the taps that have a gradient, and the loss.
    """

    given: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    shares: Callable[[str], dict[str, np.ndarray]]
    uses: tuple[str, ...]


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
            passes += [run.at(jax.tree.map(lambda p: p + 0.1 * (np.abs(p).mean() + 0.1) * rng.normal(size=np.shape(p)), params))
                       for _ in range(POINTS - 1)]
        faults = tuple(_fault(name, passes, next(leaf for leaf in leaves if leaf.path == name), run) for name in wrong)
        clear = tuple(name for name in names if name not in wrong) if wrong else ()
        return Report(faults, tuple(leaves), {run.reference: RELATIVE[run.reference]}, "float64", clear=clear, seed=seed,
                      notes=run.notes)


class _Run:
    """The two functions with their arguments, called at one point after another."""

    def __init__(self, forward: Callable, backward: Callable, write: Callable, args: tuple, seed: int):
        self.forward, self.backward, self.write, self.args, self.seed = forward, backward, write, args, seed
        self.taps: dict[str, np.ndarray] = {}
        self.notes: tuple[str, ...] = ()
        self.reference = ""
        self.directions: dict[str, np.ndarray] = {}

    def loss(self, params, tap: Callable) -> Any:
        """The loss, with this tap."""
        params, *args = self.write((params, *self.args))
        return self.forward(params, *args, tap)

    def structure(self, params) -> tuple[Fault, ...]:
        """The faults of gradients that have another shape than their values."""
        self._see(params)
        taps, leaves = self._given(params)
        wanted = {**self.taps, **by_path(params)}
        return tuple(Fault("structure", None, name, None, "unexplained", np.inf,
                           f"the gradient of {name} has shape {found.shape}, {name} has {wanted[name].shape}")
                     for name, found in {**taps, **leaves}.items() if found.shape != wanted[name].shape)

    def at(self, params) -> Pass:
        """The user's gradients and the right ones at one point."""
        self._see(params)
        given, leaves = self._given(params)
        cotangents = {name: given.get(name, np.zeros_like(value)) for name, value in self.taps.items()}
        known = [name for name in self.taps if name in given]
        how = self._by_jax if self.reference == "autodiff" else self._by_differences
        cotangents = {name: cotangents[name] for name in known}

        def shares(use: str) -> dict[str, np.ndarray]:
            return how(params, cotangents, {use})

        expected = how(params, cotangents, {*known, LOSS})
        given = {name: self._seen(name, leaf) for name, leaf in {**given, **leaves}.items()}
        return Pass(given, expected, shares, (LOSS, *known))

    def _seen(self, name: str, given: np.ndarray) -> np.ndarray:
        """A gradient as it is compared: its entries, or its derivatives along the directions."""
        rows = self.directions.get(name)
        return given if rows is None or given.size != rows.shape[1] else rows @ given.ravel()

    def _see(self, params) -> None:
        """Note the value of every tap, and whether JAX can see through the forward pass."""
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
        self.taps = seen
        if not self.reference:
            seen_through = is_jax(lambda params: self.loss(params, lambda name, value: value), (jax.tree.map(np.array, params),))
            self.reference = "autodiff" if seen_through else "fd"

    def _given(self, params) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The user's gradients, by the names of the taps and by the paths of the leaves."""
        result = called(self.backward, (params, *self.args), "backward", ("params", *(f"args[{i}]" for i in range(len(self.args)))),
                        self.write)
        if not (isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[1], Mapping)):
            raise TypeError("backward must return (gradient shaped like params, {tap: its gradient}), got "
                            f"{type(result).__name__}")
        gradient, taps = plain(result[0]), plain(dict(result[1]))
        unknown = [name for name in taps if name not in self.taps]
        if unknown:
            raise ValueError(f"backward gives the gradient of {unknown[0]!r}, which forward does not tap; it taps "
                             f"{', '.join(self.taps)}")
        self.notes = tuple(f"backward gives no gradient of {name!r}: its step is checked together with those that use it"
                           for name in self.taps if name not in taps)
        found = pairs(params, gradient)
        if found.missing:
            raise ValueError(f"backward gives no gradient of params{found.missing[0]}")
        leaves = {path: np.asarray(found.found[path], dtype=np.float64) for path in found.found}
        return {name: np.asarray(leaf, dtype=np.float64) for name, leaf in taps.items()}, leaves

    def _cut(self, params, shifts: Mapping[str, Any], cotangents: Mapping[str, np.ndarray], still: Callable, uses) -> Any:
        """S: the loss cut at each tap that has a cotangent, plus ⟨cotangent, what reaches the tap⟩.

        Only the terms of these uses are summed.
        """
        terms = []

        def tap(name, value):
            if name not in cotangents:
                return value
            if name in uses:
                terms.append((cotangents[name] * value).sum())
            return still(name, value) + shifts[name]

        loss = self.loss(params, tap)
        return sum(terms, loss if LOSS in uses else 0.0 * loss)

    def _by_jax(self, params, cotangents, uses) -> dict[str, np.ndarray]:
        shifts = {name: jnp.zeros(self.taps[name].shape) for name in cotangents}
        params = jax.tree.map(jnp.asarray, params)
        of_params, of_taps = jax.grad(lambda params, shifts: self._cut(
            params, shifts, cotangents, lambda name, value: jax.lax.stop_gradient(value), uses), argnums=(0, 1))(params, shifts)
        return {**{name: np.asarray(of_taps[name]) for name in reversed(cotangents)}, **by_path(of_params)}

    def _by_differences(self, params, cotangents, uses) -> dict[str, np.ndarray]:
        """The same by central differences; the cut values are held still."""
        values, found = dict(self.taps), {}

        def at(params, shifts) -> float:
            return float(self._cut(params, shifts, cotangents, lambda name, value: values[name], uses))

        zeros = {name: np.zeros(self.taps[name].shape) for name in cotangents}
        for name in reversed(cotangents):
            found[name] = self._differences(name, lambda v, name=name: at(params, {**zeros, name: v}), zeros[name])
        leaves, tree = jax.tree.flatten(params)
        for i, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(params)):
            name = jax.tree_util.keystr(path)
            found[name] = self._differences(
                name, lambda v, i=i: at(tree.unflatten([v if i == j else other for j, other in enumerate(leaves)]), zeros), leaf)
        return found

    def _differences(self, name: str, f: Callable, at: np.ndarray) -> np.ndarray:
        """The derivatives of f by central differences: of each entry, or along random directions."""
        at = np.asarray(at, dtype=np.float64)
        if at.size > ENTRIES and name not in self.directions:
            self.directions[name] = np.random.default_rng(self.seed).choice([-1.0, 1.0], size=(DIRECTIONS, at.size))
        rows = self.directions.get(name, np.eye(at.size) if at.size <= ENTRIES else None)
        slopes = [central(f, at, row.reshape(at.shape)) for row in rows]
        return np.reshape(slopes, (-1,) if name in self.directions else at.shape)


def _compared(name: str, found: Pass, reference: str) -> Leaf:
    largest = max(float(np.linalg.norm(other)) for other in found.expected.values())
    right = found.expected[name]
    probe = Probe(None, right.ravel(), _noise(largest, reference))
    leaf = compare(name, found.given[name], {reference: probe}, RELATIVE)
    return dataclasses.replace(leaf, shape=right.shape, probed={})


def _noise(largest: float, reference: str) -> float:
    """What rounding leaves in a gradient that is 0, beside others of the norm `largest`."""
    return largest * (64 * UNIT if reference == "autodiff" else 64 * UNIT / STEP)


def _share_weights(points, given):
    for (use,) in each("shares", _is_share)(points, given):
        yield use, 1 + number([point.known("shares")[use] for point in points], [point.given - point.right for point in points])


def _is_share(point: Point, share: np.ndarray) -> bool:
    """Whether what comes back through a use is some of the gradient, and not all of it."""
    return bool(share.any()) and not close(share, point.right)


OF_USES = (  # what comes back through one use of a value is missing, or counts otherwise than once
    suspect("share forgotten", lambda point, use: point.right - point.known("shares")[use],
            "{right} without that through {0}", each("shares", _is_share), "that through {0}"),
    suspect("share weighted", lambda point, use, c: point.right + (c - 1) * point.known("shares")[use],
            "{right} with {1:.6g} times that through {0}", _share_weights, "that through {0}, {1:.6g} times"),
)


def _fault(name: str, passes: list[Pass], leaf: Leaf, run: _Run) -> Fault:
    """The fault of the step that makes the gradient `name`, with its cause if one fits at every point."""
    def shares(found: Pass) -> Callable:
        return functools.cache(lambda: {use: np.atleast_1d(found.shares(use)[name]) for use in found.uses if use != name})

    points = [Point(np.atleast_1d(found.given[name]), np.atleast_1d(found.expected[name]), {}, {"shares": shares(found)})
              for found in passes]
    of = f"dL/d{name}" if name in run.taps else f"dL/dparams{name}"
    verdict = named(points, UNIT / 2 if run.reference == "autodiff" else DIFFERENCES, of, (*OF_USES, *SUSPECTS))
    return fault_of(leaf, f"the gradient of {name}, given your own gradients of what uses it", verdict, of, told(verdict),
                    leaf.worst)
