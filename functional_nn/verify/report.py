"""The result of a check: a Report on each leaf, truthy if the gradient is right."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from functional_nn.records import plain as simple

WIDTH = 100  # columns of the printed report
BLOCKS = 64  # rows and columns of a heat map
FORMAT = 1  # version of the JSON; a change that breaks readers takes the next number


@dataclass(frozen=True)
class Fault:
    """One mistake in a gradient.

    Attributes:
      site: the place in the backward pass: head, pullback, weight, bias, batch, penalty or
        structure; None if the function is not known to be a network.
      layer: the layer's index from 0, or None. In messages and formulas 1.0 is the first layer
        inside the residual block 1.
      leaf: the path of the leaf, as `jax.tree_util.keystr` prints it.
      index: the index of the worst entry of that leaf, or None.
      cause: a key of `CAUSES`; "unexplained" if no cause fits.
      residual: the share of the error that the cause does not explain; if the cause is
        "unexplained", the share that the closest cause leaves, or the relative error without one.
      message: a sentence that describes the mistake.
      where: the step with the mistake and the values that the step got, such as "the pullback to
        delta1, given your own delta2"; "" if unknown.
      what: the mistake in words, "" if unknown.
      yours, wanted: the formula that fits the given gradient, and the right one; "" if unknown.
      value: a fitted number, such as a factor or a decay, as text.
      runner_up: the residual of the second-best cause, infinite if there is none.
      given, expected: the two values at the worst entry, None if unknown.
    """

    site: str | None
    layer: int | None
    leaf: str
    index: tuple[int, ...] | None
    cause: str
    residual: float
    message: str
    where: str = ""
    what: str = ""
    yours: str = ""
    wanted: str = ""
    value: str = ""
    runner_up: float = float("inf")
    given: float | None = None
    expected: float | None = None


@dataclass(frozen=True)
class Leaf:
    """The comparison of one leaf with each reference.

    Attributes:
      path: the leaf's path, as `jax.tree_util.keystr` prints it.
      shape: the leaf's shape.
      errors: for each reference the relative error
        ‖manual − reference‖ / max(‖manual‖, ‖reference‖).
      right: for each reference whether the error is within its bound.
      probed: for each reference "entries", or the number of random directions if the leaf has too
        many entries to compare each.
      worst: (index, manual, reference) of the entry with the largest error, if entries were
        compared.
      blocks: the largest |manual − reference| in each block of the leaf, from `blocks_of`, for the
        heat map.
    """

    path: str
    shape: tuple[int, ...]
    errors: Mapping[str, float]
    right: Mapping[str, bool]
    probed: Mapping[str, str] = field(default_factory=dict)
    worst: tuple[tuple[int, ...], float, float] | None = None
    blocks: np.ndarray | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Report:
    """The verdict on a hand-written gradient; `bool(report)` is True if the gradient is right.

    Attributes:
      faults: the mistakes, empty if there are none.
      leaves: the comparison of each leaf of the parameters, in order.
      bounds: the relative error that each reference allows.
      dtype: the dtype of the check's own computations.
      hence: a sentence that says which gradients are right again if the faulty steps are replaced.
      clear: the steps that were checked and are right.
      cleared: harmless explanations that were considered and do not apply, such as
        "rounding (4e5 x bound)" and "kink (min |z| 3e-3)".
      notes: harmless explanations that do apply, and further remarks.
      examples: the size of the batch, or None.
      seed: the seed of all random choices, or None.
      missed: an upper bound of the probability that a wrong leaf passed; 0 if each entry was
        compared.
    """

    faults: tuple[Fault, ...]
    leaves: tuple[Leaf, ...]
    bounds: Mapping[str, float]
    dtype: str
    hence: str = ""
    clear: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    examples: int | None = None
    seed: int | None = None
    missed: float = 0.0

    def __bool__(self) -> bool:
        return not self.faults

    @property
    def max_relative_error(self) -> float:
        """Return the largest error of any leaf against the first reference."""
        first = next(iter(self.bounds), None)
        return max((leaf.errors[first] for leaf in self.leaves), default=0.0)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return the column titles and the rows of a table of errors by leaf."""
        from functional_nn.verify.printing import cells, short
        titles, *errors, bounds = cells(self.leaves, self.bounds)
        rows = [[short(leaf.path or "params"), str(leaf.shape), *row] for leaf, row in zip(self.leaves, errors, strict=True)]
        return ["leaf", "shape", *titles], [*rows, ["allowed", "", *bounds]]

    def text(self, width: int = WIDTH) -> str:
        """Return the report as text of at most `width` columns, at least 40.

        The number of lines is bounded.
        """
        # rich takes a while to import, which `import functional_nn` need not
        from functional_nn.verify.printing import lines, plain
        return plain(lines(self, width))

    def __str__(self) -> str:
        return self.text()

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Yield the coloured lines that `rich.print(report)` prints.

        rich leaves the colours out if the output does not support them.
        """
        from functional_nn.verify.printing import lines
        yield from lines(self, min(WIDTH, options.max_width))

    def _repr_html_(self) -> str:
        """Return the report as HTML for notebooks."""
        from functional_nn.verify.printing import as_html, lines
        return as_html(lines(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the report, without the heat maps, as dictionaries, lists, text and numbers.

        NaN and the infinities, which JSON lacks, become the strings "nan", "inf" and "-inf".
        """
        told = {f.name: simple(getattr(self, f.name), nonfinite=str) for f in fields(self)}
        for leaf in told["leaves"]:
            del leaf["blocks"]
        return {"format": FORMAT, "right": bool(self), **told}

    def to_json(self, indent: int | None = 2) -> str:
        """Return `to_dict` as strict JSON, which `Report.from_json` reads.

        >>> wrong = Fault("head", 1, "[1]['b']", (0,), "unexplained", float("inf"), "the head: unexplained")
        >>> text = Report((wrong,), (), {"autodiff": 1e-12}, "float64", seed=0).to_json()
        >>> json.loads(text)["faults"][0]["residual"], Report.from_json(text).faults == (wrong,)
        ('inf', True)
        """
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Return the report that `to_json` wrote, without the heat maps.

        Raises:
          ValueError: the text is not JSON, or not a report of this format.
        """
        told = json.loads(text)
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise ValueError(f"text must be a report in format {FORMAT}, as Report.to_json writes it, got {text[:60]!r}")
        faults = tuple(Fault(**_restored(fault)) for fault in told["faults"])
        leaves = tuple(Leaf(**_restored(leaf)) for leaf in told["leaves"])
        rest = _restored({f.name: told[f.name] for f in fields(cls) if f.name not in ("faults", "leaves")})
        return cls(faults=faults, leaves=leaves, **rest)


_TEXTS = {"site", "leaf", "cause", "message", "where", "what", "yours", "wanted", "value", "path", "dtype", "hence"}


def _restored(told: dict[str, Any]) -> dict[str, Any]:
    """Turn lists into tuples, and "inf" into a number except in fields that hold text."""
    def number(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(number(part) for part in value)
        if isinstance(value, dict):
            return {key: number(part) for key, part in value.items()}
        return float(value) if value in ("nan", "inf", "-inf") else value

    return {key: value if key in _TEXTS else tuple(value) if key in ("clear", "cleared", "notes") else
            value if key == "probed" else number(value) for key, value in told.items()}


@np.errstate(all="ignore")  # inf − inf is an infinite error, and no warning
def blocks_of(manual: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the largest |manual − reference| in each block of a leaf.

    The result is float64 and at most 64 × 64, whatever the leaf's shape. Columns run along the
    last axis, rows along all others; a vector or a number is one row. NaN counts as infinite.

    >>> blocks_of(np.zeros((128, 3)), np.eye(128, 3)).shape, blocks_of(np.zeros(2), np.array([3.0, np.nan])).tolist()
    ((64, 3), [[3.0, inf]])
    """
    manual, reference = (np.asarray(values, dtype=np.float64) for values in (manual, reference))
    columns = manual.shape[-1] if manual.ndim else 1
    rows = manual.size // columns if columns else 0
    gap = np.abs(manual - reference).reshape(rows, columns)
    gap = np.where(np.isnan(gap), np.inf, gap)
    for axis in (0, 1):
        if gap.shape[axis] > BLOCKS:
            starts = np.arange(BLOCKS) * gap.shape[axis] // BLOCKS
            gap = np.maximum.reduceat(gap, starts, axis=axis)
    return gap


class GradientError(AssertionError):
    """The error of a wrong gradient; `report` says where the gradient is wrong."""

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report: Any = report
