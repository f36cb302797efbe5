"""Check a hand-written backpropagation of a known network and name the mistakes in it.

The backpropagation is a black box: a function that is only called. A Report says which steps are
wrong, and what each mistake is.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective, objective
from functional_nn.verify.calls import functions
from functional_nn.verify.calls import given as reading
from functional_nn.verify.calls.calling import proof
from functional_nn.verify.comparison import compare
from functional_nn.verify.debugger.claims import cost_notes, loss_of, reference, scored, term_of
from functional_nn.verify.debugger.diagnosis import Diagnosis, diagnose
from functional_nn.verify.debugger.explain import Finding
from functional_nn.verify.debugger.look import (
    Look,
    Subject,
    arithmetic,
    coarse,
    looks,
    measured,
    moved,
)
from functional_nn.verify.debugger.misfits import Misfits
from functional_nn.verify.debugger.tolerance import ALL, FINEST, UNITS
from functional_nn.verify.debugger.words import faults_of, leaf_of, place_of, remarks
from functional_nn.verify.references import Probe
from functional_nn.verify.report import Fault, GradientError, Leaf, Report
from functional_nn.verify.stations import stations


def check_network(net, loss, model=None, X=None, Y=None, *, value_and_grad: Callable | None = None, params=None, grads=None,
                  call: str | Callable | None = None, update: Callable | None = None, rate: float | None = None,
                  penalty: Callable | None = None, reduction: str = "mean", layout: str | None = None,
                  columns: bool | None = None, seed: int = 0) -> Report:
    """Check a backpropagation of `net`: the Report names each wrong step and its mistake.

    Each step is compared with a correct step that gets the same cotangent. So only the faulty
    step is blamed, and several faults are told apart. A cause is named only if the same cause is
    found at other parameters and for other examples; otherwise the fault is "unexplained".

    Args:
      net: the network that the function claims to differentiate.
      loss: its loss: a name, or a function (prediction, target) -> the loss of one example.
      model: the parameters, in the form that the function takes: lists, tuples or dictionaries
        under any names, weights (n_out, n_in) or (n_in, n_out), biases flat, as columns or rows,
        as one more row or column of the weights, or none; or an object that holds them.
      X, Y: inputs (B, n_in) and targets, or one example per column; a few examples are enough.
      value_and_grad: the function, (params, X, Y) -> (cost, gradient) or the gradient alone, in
        JAX or NumPy. The parameters may be arguments one by one, (W1, b1, W2, b2, X, Y) or with X
        and Y first.
      params, grads, call: for an object, where it holds its parameters ("params", or
        ["W1", "b1", "W2", "b2"]) and its gradients, and the method to call, a name or a function
        (object, X, Y). Where the method returns the gradients, `grads` is not needed. Names that
        are not given are found where they can be.
      update: in place of value_and_grad, a function (params, X, Y), or a method of the object,
        that takes one step: it changes the parameters in place or returns new ones.
      rate: the learning rate of that step; the gradient is (before − after) / rate.
      penalty: the term that the cost adds to the mean (or sum) of the losses: a function of
        params, in the same form, that returns a scalar. It may take the number of examples as its
        second argument.
      reduction: "mean" or "sum": how the cost combines the losses of the examples.
      layout: "out_in" or "in_out": whether weights are (n_out, n_in) or (n_in, n_out). None finds
        it from the shapes and, where they leave it open, from the gradient itself.
      columns: whether an example is a column of X; None finds it as `layout` is found.
      seed: seed of the other parameters, and of the examples that are generated if X has few.

    Returns:
      A Report. Each fault has the site, the layer (from 0), the cause, and the leaf's path in the
      caller's own tree.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp, numpy as np
    >>> net = fnn.mlp((3, 4, 2), hidden="tanh")
    >>> def homework(params, X, Y):                                             # forgets tanh′ on the way back
    ...     (W0, b0), (W1, b1) = params
    ...     a = np.tanh(X @ W0.T + b0)
    ...     d1 = (a @ W1.T + b1 - Y) / len(X)
    ...     d0 = d1 @ W1
    ...     return [(d0.T @ X, d0.sum(0)), (d1.T @ a, d1.sum(0))]
    >>> params = [(p["w"], p["b"]) for p in net.init(jax.random.key(0))]
    >>> X, Y = jax.random.normal(jax.random.key(1), (5, 3)), jnp.ones((5, 2))
    >>> [(f.site, f.layer, f.cause) for f in check_network(net, "quadratic", params, X, Y, value_and_grad=homework).faults]
    [('pullback', 0, 'missing derivative')]
    """
    tree, function = functions.taken(model, value_and_grad, params=params, grads=grads, call=call, update=update, rate=rate)
    with proof(), np.errstate(all="ignore"):  # NaN and inf are findings here
        problem = _objective(net, loss_of(loss), reduction)
        given, X, Y = reading.read(net, stations(net), tree, X, Y, function, layout, columns, problem.loss.labels,
                                   scored(problem, penalty))
        return Check(problem, given, X, Y, penalty, seed, rate is not None).report()


def assert_network(net, loss, *arguments, **options) -> Report:
    """Check as `check_network(net, loss, *arguments, **options)` does, and raise a GradientError if the gradient is wrong.

    A GradientError is an AssertionError that carries and prints the report.
    """
    __tracebackhide__ = True
    report = check_network(net, loss, *arguments, **options)
    if not report:
        raise GradientError(report)
    return report


# The same problem gives the same object, which is compiled once.
_objective = functools.lru_cache(maxsize=64)(objective)


@dataclass(frozen=True)
class Check:
    """A check of one function: look, expect, locate, explain, accept, report."""

    problem: Objective
    given: Any
    X: np.ndarray
    Y: np.ndarray
    penalty: Callable | None
    seed: int
    stepped: bool

    def report(self) -> Report:
        """Return the report."""
        given, X, Y = self.given, self.X, self.Y
        y = self.targets(given.start)
        tree = given.gradient(given.start, X, Y)
        cost, faulty = given.value, given.misfits
        again = given.gradient(given.start, X, Y)
        misfits, stop = self._misfits() if faulty else ((), False)
        known = {"dtype": "float64", "examples": len(X), "seed": self.seed}
        given.shaped = True
        if stop:
            return Report(misfits, (), {"autodiff": FINEST}, **known, notes=given.notes)
        if (unlike := self._unlike(tree, again)) is not None:
            return Report((unlike, *misfits), (), {"autodiff": FINEST}, **known)
        term, notes = (None, ()) if self.penalty is None else term_of(self.penalty, self.problem, given, X, Y)
        subject = Subject(self.problem, given, arithmetic(given, given.start, X, Y, tree), term)
        report = self._diagnosed(subject, y, known)
        notes = (*given.notes, *notes, *report.notes, *cost_notes(self.problem, given, X, Y, self.penalty, cost))
        unfit = {fault.leaf for fault in misfits}
        leaves = tuple(replace(leaf, right={"autodiff": False}, worst=None) if leaf.path in unfit else leaf
                       for leaf in report.leaves)
        return replace(report, faults=(*misfits, *report.faults), leaves=leaves, notes=notes)

    def targets(self, params) -> np.ndarray:
        """Return the targets in the form that the loss takes. Raises what `Objective.batch` raises."""
        return np.asarray(self.problem.batch(jax.tree.map(jnp.asarray, params), jnp.asarray(self.X), jnp.asarray(self.Y)).y)

    def _misfits(self) -> tuple[tuple[Fault, ...], bool]:
        right = reference(self.problem, self.given.start, self.X, self.Y)
        if self.penalty is not None:
            right = jax.tree.map(np.add, right, self.given.slope(self.penalty, self.given.start, len(self.X), self.X))
        return Misfits(self.problem, self.given, self.X, self.Y, dict(self.given.shown(right))).faults()

    def _unlike(self, tree, again) -> Fault | None:
        """The fault of a function whose two calls differ, or None if they agree."""
        for (name, one), (_, other) in zip(self.given.shown(tree), self.given.shown(again), strict=True):
            one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
            if not np.array_equal(one, other, equal_nan=True):
                gap = float(np.nanmax(np.abs(one - other)))
                what = f"called twice alike, it gives two answers, up to {gap:.2g} apart; fix its keys or its state"
                return Fault("structure", None, name, None, "not repeatable", np.inf, f"{name}: {what}", name, what)
        return None

    def _diagnosed(self, subject: Subject, y: np.ndarray, known: dict) -> Report:
        """The report on a gradient whose leaves all have the right shapes."""
        seen = subject.at(self.given.start, self.X, self.Y, y)
        notes: list[str] = []
        if seen.wrong() and subject.unit < self.given.unit:  # it may compute in the precision of the arrays that the user gave
            rougher = replace(subject, unit=self.given.unit).at(self.given.start, self.X, self.Y, y)
            if not rougher.wrong():
                leaves = self._leaves(subject, rougher)
                error = max(leaf.errors["autodiff"] for leaf in leaves)
                note = f"right to the precision of the arrays that you gave; in float64 it is off by up to {error:.0e}"
                return Report((), leaves, {"autodiff": UNITS * self.given.unit}, **known, notes=(note,))
        if seen.wrong() or self.stepped:
            noise = measured(subject, seen, self.seed)
            if noise is not None:
                subject = replace(subject, measured=noise)
                seen = subject.at(self.given.start, self.X, self.Y, y)
                if coarse(noise, seen):
                    notes.append("the function rounds inside: its entries are uncertain by up to "
                                 f"{max(noise.values()):.0e}, which was measured and allowed for")
        bounds = {"autodiff": max(UNITS * subject.unit, 1e-9 if subject.unit == FINEST else 0.0)}
        wrong, leaves = seen.wrong(), self._leaves(subject, seen)
        if not wrong:
            return Report((), leaves, bounds, **known, notes=(*notes, *self._elsewhere(subject, seen, y)))
        if (deaf := self._deaf(subject, seen)) is not None:
            return Report((deaf,), leaves, bounds, **known)
        found = self._found(subject, seen, y)
        faults = faults_of(found, subject) or (_unlocated(leaves, len(self.X)),)
        texts = remarks(found, subject, seen, [leaf.path for leaf in leaves if not leaf.right["autodiff"]])
        return Report(tuple(faults), leaves, bounds, **known, **texts, notes=tuple(notes))

    def _found(self, subject: Subject, seen: Look, y: np.ndarray) -> Diagnosis:
        """What is wrong: in the first examples or, if they are right, in any of the first ALL."""
        start = self.given.start
        found = diagnose(looks(subject, start, self.X, self.Y, y, self.seed, seen))
        if any(finding.named or finding.where[1] is not None for finding in found.findings) or len(self.X) > ALL:
            return found
        odd = [i for i in range(len(self.X)) if subject.at(start, self.X[[i]], self.Y[[i]], y[[i]]).wrong()]
        if not odd:
            return found
        order = [*odd, *(i for i in range(len(self.X)) if i not in odd)]
        return diagnose(looks(subject, start, self.X[order], self.Y[order], y[order], self.seed, seen))

    def _leaves(self, subject: Subject, seen: Look) -> tuple[Leaf, ...]:
        """The comparison of each leaf, as the user holds it, with `jax.grad`."""
        params, X, Y = seen.inputs
        right = reference(self.problem, params, X, Y)
        if subject.penalty is not None:
            right = jax.tree.map(np.add, right, subject.penalty(params, len(X)))
        wrong = {self.given.path(s, self.given.places[s].leaves[site]) for site, s in seen.wrong()}
        pairs = zip(self.given.shown(self.given.gradient(params, X, Y)), self.given.shown(right), strict=True)
        found = (compare(path, np.asarray(mine, np.float64), {"autodiff": Probe(None, np.ravel(leaf), 0.0)}, {"autodiff": 0.0})
                 for (_, mine), (path, leaf) in pairs)
        return tuple(replace(leaf, right={"autodiff": leaf.path not in wrong}) for leaf in found)

    def _deaf(self, subject: Subject, seen: Look) -> Fault | None:
        """The fault of a function whose gradient is the same for every batch, else None."""
        X, Y, start = self.X, self.Y, self.given.start
        if len(X) < 2 or np.array_equal(X[0], X[1]) or not any(g.any() for g in seen.leaves.values()):
            return None
        for i in (0, 1):
            one = subject.held(self.given.gradient(start, X[[i]], Y[[i]]))
            if not all(np.array_equal(g, one[where]) for where, g in seen.leaves.items()):
                return None
        return Fault("structure", None, "", None, "unexplained", np.inf, DEAF)

    def _elsewhere(self, subject: Subject, seen: Look, y: np.ndarray) -> list[str]:
        """The notes on a gradient that is right at the user's own data."""
        if self._deaf(subject, seen) is not None:
            return [DEAF]
        if seen.forward.kinked and (note := _convention(seen)):
            return [note]
        start = self.given.start
        for text, (params, X, Y, targets) in (
                ("for other batches or examples", (start, self.X[:1], self.Y[:1], y[:1])),
                ("at other parameters", moved(subject, start, self.X[:3], self.Y[:3], y[:3], self.seed))):
            look = subject.at(params, X, Y, targets)
            if look.wrong():
                found = diagnose(looks(subject, params, X, Y, targets, self.seed, look))
                return [f"right at these parameters and examples; {text} it is not: "
                        f"{_told(finding, subject)}" for finding in found.findings]
        return []


DEAF = ("it gives the same gradient for every batch: it does not use the X and Y that it is called with; let it take them as "
        "arguments")


def _told(finding: Finding, subject: Subject) -> str:
    return f"{place_of(finding.where, subject.given.places) or leaf_of(finding.where, subject)}: {finding.cause}"


def _convention(seen: Look) -> str:
    """The note on a gradient that differs only as rounding or a convention at a kink allows."""
    off = any((np.abs(g - seen.right.leaves[where]) > 1e4 * seen.forward.unit * np.abs(g).max(initial=0)).any()
              for where, g in seen.leaves.items())
    return "units stand at a kink, where the derivative is a convention, no mistake" if off else ""


def _unlocated(leaves, B: int) -> Fault:
    """The fault of a batch gradient that is wrong although single examples are right."""
    leaf = next(leaf for leaf in leaves if not all(leaf.right.values()))
    return Fault("batch", None, leaf.path, None, "unexplained", leaf.errors["autodiff"],
                 f"{leaf.path} is wrong at B = {B}, where single examples are right: something mixes the examples")
