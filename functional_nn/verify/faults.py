"""A fault from a verdict on a leaf, and what several faults have in common."""

from collections.abc import Mapping, Sequence

import numpy as np

from functional_nn.verify.catalogue.judging import Verdict
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.debugger.tolerance import SAME
from functional_nn.verify.entries import origin
from functional_nn.verify.limits import RELATIVE
from functional_nn.verify.report import Fault, Leaf

SHOWN = 6  # leaves that are listed


def told(verdict: Verdict, sizes: Mapping[str, np.ndarray] = {}) -> str:
    """Return a verdict in words, with the closest cause if none is named.

    A fitted number that is a size of one of the arrays `sizes` is said to be that.
    """
    what, source = CAUSES[verdict.cause], ""
    if verdict.closest:
        close = max(RELATIVE["fd"], min(0.01, 2 * verdict.residual))
        source = origin(verdict.fitted[-1], sizes, close) if verdict.fitted else ""
        return f"{what}; closest: {verdict.nearest}" + (f" ({source})" if source else "")
    if verdict.cause == "factor" and verdict.fitted and (source := origin(verdict.fitted[-1], sizes)):
        return f"{what} ({verdict.value}; {source})"
    return what


def fault_of(leaf: Leaf, where: str, verdict: Verdict, wanted: str, what: str, worst: tuple, kind: str = "worst") -> Fault:
    """Return the fault of a wrong leaf.

    Args:
      leaf: its comparison with the reference.
      where: the place of the mistake.
      verdict: the cause, with the formula that fits.
      wanted: the right formula.
      what: the mistake in words.
      worst: (index, given, expected) of an entry; None in each if none is known.
      kind: what this entry is.
    """
    error = next(error for name, error in leaf.errors.items() if not leaf.right[name])
    index, given, expected = worst
    named = verdict.cause != "unexplained"
    value = f" ({verdict.value})" if named and verdict.value and verdict.value not in what else ""
    formulas = f"; yours {verdict.formula}, expected {wanted}" if named else ""
    at = "" if index is None else (f"; {kind} at {leaf.path or 'params'}{list(index) or ''}: manual {given:.6g}, "
                                   f"reference {expected:.6g}")
    return Fault(None, None, leaf.path, index, verdict.cause, verdict.residual if named or verdict.closest else error,
                 f"{where}: relative error {error:.1e}: {what}{value}{formulas}{at}", where, what,
                 verdict.formula if named else "", wanted if named else "", verdict.value if named else "",
                 verdict.runner_up if named else np.inf, given, expected)


def told_together(faults: Sequence[Fault], leaves: int) -> tuple[str, ...]:
    """Notes that leaves share a mistake: their order, or the same cause with the same number."""
    causes = {fault.cause for fault in faults}
    if len(faults) > 1 and causes <= {"exchanged leaves", "another leaf's gradient"}:
        order = ", ".join(f"{fault.yours} at {fault.leaf}" for fault in faults[:SHOWN])
        return (f"the leaves stand in another order than the parameters: {order}{', …' if len(faults) > SHOWN else ''}",)
    if leaves < 2 or len(faults) != leaves or len(causes) > 1 or causes & {"unexplained", "not a number", "single entry"}:
        return ()
    if not all(_alike(faults[0].value, fault.value) for fault in faults):
        return ()
    value = f" ({faults[0].value})" if faults[0].value else ""
    return (f"all {leaves} leaves share it: {CAUSES[faults[0].cause]}{value}; one mistake, made before their ways part",)


def _alike(a: str, b: str) -> bool:
    if a == b:
        return True
    try:
        (first, *rest), (second, *others) = a.split(), b.split()
        return rest == others and bool(np.isclose(float(first), float(second), rtol=SAME, atol=0))
    except ValueError:
        return False
