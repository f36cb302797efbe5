"""What a check found: a Report, truthy when the gradient is right, that names every leaf."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from functional_nn.verify.references import TITLES

WIDTH = 100  # columns of the printed report


@dataclass(frozen=True)
class Fault:
    """One mistake.

    Attributes:
      site: where in the backward pass: head, pullback, weight, bias, batch, penalty or structure; None where the function is
        not known to be a network.
      layer: counted from 0, or None.
      leaf: the path of the leaf, as `jax.tree_util.keystr` prints it.
      index: the worst entry of that leaf, or None.
      cause: from the documented list; "unexplained" where nothing fits.
      residual: what is left of the error when the cause is taken for granted; the relative error where unexplained.
      message: the sentence to read.
    """

    site: str | None
    layer: int | None
    leaf: str
    index: tuple[int, ...] | None
    cause: str
    residual: float
    message: str


@dataclass(frozen=True)
class Leaf:
    """One leaf: its path, shape, and relative error ‖manual − reference‖ / max(‖manual‖, ‖reference‖) for each reference.

    probed: "entries", or how many random directions a reference compared (a leaf too large for every entry).
    """

    path: str
    shape: tuple[int, ...]
    errors: Mapping[str, float]
    right: Mapping[str, bool]
    probed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The verdict on a hand-written gradient; `bool(report)` is True when it is right.

    Attributes:
      faults: what is wrong, empty when nothing is.
      leaves: every leaf of the parameters, in order.
      bounds: the relative error that each reference allows.
      dtype: what the check computed in.
    """

    faults: tuple[Fault, ...]
    leaves: tuple[Leaf, ...]
    bounds: Mapping[str, float]
    dtype: str

    def __bool__(self) -> bool:
        return not self.faults

    @property
    def max_relative_error(self) -> float:
        """The largest error of any leaf against the first reference."""
        first = next(iter(self.bounds), None)
        return max((leaf.errors[first] for leaf in self.leaves), default=0.0)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows of the errors by leaf."""
        columns = ["leaf", "shape", *(TITLES[name] for name in self.bounds)]
        rows = [[_short(leaf.path or "params"), str(leaf.shape), *(_error(leaf, name) for name in self.bounds)]
                for leaf in self.leaves]
        return columns, [*rows, ["allowed", "", *(f"{bound:.0e}" for bound in self.bounds.values())]]

    def __str__(self) -> str:
        right = sum(all(leaf.right.values()) for leaf in self.leaves)
        lines = [f"{'RIGHT' if self else 'WRONG'}  {right} of {len(self.leaves)} leaves agree, relative errors in {self.dtype}"]
        columns, rows = self.table()
        rows = rows if len(rows) <= 40 else [*rows[:38], [f"… {len(rows) - 39} more", *[""] * (len(columns) - 1)], rows[-1]]
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        lines += ["  ".join([*(f"{cell:<{w}}" for cell, w in zip(row[:2], widths, strict=False)),
                             *(f"{cell:>{w}}" for cell, w in zip(row[2:], widths[2:], strict=True))]).rstrip()
                  for row in [columns, *rows]] if self.leaves else []
        for fault in self.faults[:8]:
            lines += textwrap.wrap(fault.message, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        return "\n".join([*lines, *([f"… and {len(self.faults) - 8} more faults"] if len(self.faults) > 8 else [])])


def _error(leaf: Leaf, name: str) -> str:
    mark = "" if leaf.right[name] else " !"
    return f"{leaf.errors[name]:.1e}{mark}" if leaf.errors[name] else f"0{mark}"


def _short(path: str) -> str:
    return path if len(path) <= 40 else f"{path[:19]}…{path[-20:]}"


class GradientError(AssertionError):
    """A gradient that is not right; `report` says where."""

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report: Any = report
