"""Curves of several runs in one picture, drawn as SVG, with a cursor that shows their values."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["Line", "Panel", "ticks"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 250, 54, 28, 12, 40
DRAWN = 1000  # points of a line; more are thinned out
LARGEST = 1e290  # so that differences of values, and their inverses, are finite
APART = 12  # between the letters of two lines that end at nearly the same place
COLOURS = 7  # those of the style


@dataclasses.dataclass(frozen=True)
class Line:
    """A quantity of a run, epoch after epoch or step after step.

    Attributes:
      run: the place of the run among those of the page.
      role: "training" or "validation", the heading of its column in the table below.
      x: the numbers of the epochs or steps, rising.
      y: the values; None or not finite where there is none.
      best: the number of the best epoch, which gets a mark; 0 for none.
    """

    run: int
    role: str
    x: Sequence[int]
    y: Sequence[float | None]
    best: int = 0


@dataclasses.dataclass(frozen=True)
class Panel:
    """A picture of one quantity.

    Attributes:
      heading: what it shows and what came out.
      quantity: the label of the vertical axis, with its unit.
      unit: what is counted from left to right, "epoch" or "step".
      lines: the curves; those of a run follow one another, that of the validation last.
      runs: (letter, name) of every run of the page. The letter stands at the end of its line, and
        is "" for a run alone.
      rising: whether the largest value is the best; None if no value is better than another.
    """

    heading: str
    quantity: str
    unit: str
    lines: Sequence[Line]
    runs: Sequence[tuple[str, str]]
    rising: bool | None = None

    def values(self) -> np.ndarray:
        """All values that are finite."""
        found = np.concatenate([_numbers(line.y) for line in self.lines])
        return found[np.isfinite(found)]

    def best(self, run: int) -> tuple[float, int] | None:
        """The best value of a run and its epoch: of its last line, which is of the validation."""
        line = [line for line in self.lines if line.run == run][-1]
        y = _numbers(line.y)
        if self.rising is None or not np.isfinite(y).any():
            return None
        i = int(np.nanargmax(y) if self.rising else np.nanargmin(y))
        return float(y[i]), line.x[i]


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    numbers = np.array([math.nan if value is None else value for value in values], float)
    return np.where(np.isfinite(numbers), numbers, math.nan)


def ticks(low: float, high: float, log: bool = False, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` and one; on a log scale 1, 2 and 5 times.

    >>> ticks(0.0, 0.93), ticks(3, 98, log=True), ticks(1e-4, 2.0, log=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8], [5.0, 10.0, 20.0, 50.0], [0.0001, 0.001, 0.01, 0.1, 1.0])
    """
    if log:
        first, last = math.log10(low), math.log10(high)
        fine, every = last - first <= 2, max(1, math.ceil((last - first) / most))
        decades = range(max(math.floor(first), -307), min(math.ceil(last), 307) + 1)
        found = [factor * 10.0**power for power in decades if fine or power % every == 0
                 for factor in ((1, 2, 5) if fine else (1,))]
        kept = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        return [float(f"{value:.6g}") for value in kept]
    span = high - low or abs(high) or 1.0
    rough = 10.0 ** math.floor(math.log10(span / most))
    step = next(rough * factor for factor in (1, 2, 5, 10) if span / (rough * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [float(f"{(first + i) * step:.6g}") for i in range(count)]


class _Scale:
    """From numbers to pixels."""

    def __init__(self, low: float, high: float, first: float, last: float, log: bool = False):
        self.low, self.high, self.log = low, high, log
        self._of = math.log10 if log else float
        self._first, self._last = first, last

    def __call__(self, value: float) -> float:
        low, high = self._of(self.low), self._of(self.high)
        share = (self._of(value) - low) / (high - low) if high > low else 0.5
        return round(self._first + share * (self._last - self._first), 1)


def drawing(panel: Panel, text: Callable[[float | None], str]) -> dict[str, Any]:
    """All that the template draws and the script reads; `text` writes a value for the page."""
    shown = panel.values()
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)
    low, high = max(low, -LARGEST), min(high, LARGEST)
    log = low > 0 and high > 10 * low
    if not log:
        margin = max(0.04 * (high - low), 1 / LARGEST) if high > low else abs(high) or 1.0
        low, high = low - margin, high + margin
    across = [x for line in panel.lines for x in (line.x[0], line.x[-1])]
    x = _Scale(min(across), max(across), LEFT, WIDTH - RIGHT)
    y = _Scale(low, high, HEIGHT - BOTTOM, TOP, log)
    lines = [_line(line, x, y, text) for line in panel.lines]
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "top": TOP,
        "bottom": HEIGHT - BOTTOM, "log": log, "lines": lines,
        "across": [(x(at), f"{at:,.0f}") for at in ticks(x.low, x.high) if at == int(at)],
        "up": [(y(at), f"{at:.6g}") for at in ticks(low, high, log)],
        "letters": list(_letters(lines, [letter for letter, _ in panel.runs])),
        "rows": [_row(panel, run, text) for run in dict.fromkeys(line.run for line in panel.lines)],
        "roles": list(dict.fromkeys(line.role for line in panel.lines)),
        "data": {"unit": panel.unit, "low": x.low, "high": x.high, "left": LEFT,
                 "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM,
                 "lines": [{name: line[name] for name in ("run", "role", "x", "y", "text")}
                           for line in lines]},
        "thinned": any(len(line.x) > DRAWN for line in panel.lines)}


def _row(panel: Panel, run: int, text: Callable[[float | None], str]) -> dict[str, Any]:
    """The row of a run in the table below a picture: its last values and its best one."""
    best = panel.best(run)
    return {"run": run, "name": " ".join(panel.runs[run]).strip(), "colour": run % COLOURS,
            "last": {line.role: text(line.y[-1]) for line in panel.lines if line.run == run},
            "best": "–" if best is None else f"{text(best[0])} ({best[1]:,})"}


def _line(
    line: Line, x: _Scale, y: _Scale, text: Callable[[float | None], str]
) -> dict[str, Any]:
    values, kept = _numbers(line.y), _kept(line)
    at = [x(line.x[i]) for i in kept]
    up = [None if math.isnan(values[i]) else y(values[i]) for i in kept]
    path, pen = "", "M"
    for across, height in zip(at, up, strict=True):
        path += "" if height is None else f"{pen}{across:g} {height:g}"
        pen = "M" if height is None else "L"
    best = next(((x(line.x[i]), y(values[i])) for i in kept
                 if line.x[i] == line.best and not math.isnan(values[i])), None)
    ends = [place for place in zip(at, up, strict=True) if place[1] is not None]
    return {"run": line.run, "role": line.role, "colour": line.run % COLOURS, "path": path,
            "best": best, "end": ends[-1] if ends else None, "alone": len(ends) == 1,
            "x": [line.x[i] for i in kept], "y": up,
            "text": [text(line.y[i]) for i in kept]}


def _kept(line: Line) -> list[int]:
    """The places of the points that are drawn: the first, the last and the best are among them."""
    count = len(line.x)
    if count <= DRAWN:
        return list(range(count))
    even = {round(i) for i in np.linspace(0, count - 1, DRAWN)}
    return sorted(even | {i for i in range(count) if line.x[i] == line.best})


def _letters(
    lines: Sequence[dict[str, Any]], letters: Sequence[str]
) -> Iterator[tuple[float, float, str, int]]:
    """Where the letter of each run stands: at the end of its first line, clear of the others."""
    firsts = {}
    for line in lines:
        if line["end"] is not None and letters[line["run"]]:
            firsts.setdefault(line["run"], line)
    ends = [line["end"][1] for line in firsts.values()]
    way = 1 if sum(ends) < len(ends) * (TOP + HEIGHT - BOTTOM) / 2 else -1  # to where there is room
    placed: list[tuple[float, float]] = []
    for run, line in sorted(firsts.items(), key=lambda item: way * item[1]["end"][1]):
        x, y = line["end"]
        for other, taken in placed:
            if abs(other - x) < 2 * APART and way * y < way * taken + APART:
                y = taken + way * APART
        placed.append((x, y))
        yield x + 7, y + 4, letters[run], line["colour"]
