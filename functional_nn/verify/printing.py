"""Lay out a report as styled lines of bounded width and number, aligned and safe to print."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from functional_nn.verify.references import TITLES
from functional_nn.writing import printable

Line = list[tuple[str, str]]  # (words, style); style: "right", "wrong", "label", "dim" or ""
RICH = {"right": "bold green", "wrong": "bold red", "label": "bold", "dim": "dim", "": ""}
CSS = {"right": "color:#009e73;font-weight:bold", "wrong": "color:#d55e00;font-weight:bold", "label": "font-weight:bold",
       "dim": "opacity:.7"}
FAULTS, IN_FULL = 8, 4  # most faults printed; with more than IN_FULL, each is one sentence
ROWS = 40  # most rows of the table
NOTES = 4
LINES = {"what": 4, "hence": 3}  # most lines of an entry; 2 of the others
NARROW = 40  # the least width, in columns
_SPACES = dict.fromkeys(map(ord, "\n\r\t"), " ")


def lines(report: Any, width: int = 100) -> list[Line]:
    """The report as lines of at most `width` columns: verdict, faults, remarks, leaves.

    >>> from functional_nn.verify import Leaf, Report
    >>> leaf = Leaf("['w']", (2, 3), {"autodiff": 1e-16}, {"autodiff": True})
    >>> lines(Report((), (leaf,), {"autodiff": 1e-12}, "float64"))[0]
    [('RIGHT', 'right'), ('  1 of 1 leaves agree; relative errors in float64', '')]
    """
    width = max(width, NARROW)
    verdict = "RIGHT" if report else "WRONG"
    written = [[(verdict, verdict.lower()), (clipped("  " + _summary(report), width - 5), "")]]
    several = len(report.faults) > 1
    for number, fault in enumerate(report.faults[:FAULTS], start=1):
        written += _fault(report, fault, str(number) if several else "", width, len(report.faults) > IN_FULL)
    if len(report.faults) > FAULTS:
        written.append([(f"… and {len(report.faults) - FAULTS} more faults", "")])
    for label, text in _remarks(report):
        written += _entry(" " * several, label, text, width)
    return written + (_table(report, width) if report.leaves else [])


def plain(written: Sequence[Line]) -> str:
    """The lines without their styles."""
    return "\n".join("".join(words for words, _ in line).rstrip() for line in written)


def _summary(report: Any) -> str:
    right = sum(all(leaf.right.values()) for leaf in report.leaves)
    count = f"{len(report.faults)} fault{'s' * (len(report.faults) != 1)}"
    agree = f"{right} of {len(report.leaves)} leaves agree" + (f", {count}" if report.faults else "")
    if report.faults and not report.leaves:
        agree = f"{count}, no leaf was compared"
    batch = f", B = {report.examples}" if report.examples is not None else ""
    return f"{agree}; relative errors in {report.dtype}{batch}" + (f", seed {report.seed}" if report.seed is not None else "")


def _remarks(report: Any) -> Iterator[tuple[str, str]]:
    if report.hence:
        yield "hence", report.hence
    for label, items in (("clear", report.clear), ("not", report.cleared)):
        if items:
            yield label, ", ".join(items)
    notes = list(report.notes)
    if report.missed and not any("probability" in note for note in notes):
        notes.append(f"a wrong leaf passes with probability {brief(report.missed)}")
    for note in notes if len(notes) <= NOTES else [*notes[:NOTES - 1], f"… and {len(notes) - NOTES + 1} more"]:
        yield "note", note


def _fault(report: Any, fault: Any, number: str, width: int, brief: bool) -> list[Line]:
    """The lines of a fault, labelled; a sentence if `brief`, or if it has only a message."""
    if not (fault.where or fault.what):
        return [[(text, "")] for text in wrapped(fault.message, width, 3, indent="  ")]
    what = mistake(fault)
    if brief:
        said = ": ".join(part for part in (fault.where, what) if part)
        place = worst(report, fault)
        return [[(text, "")] for text in wrapped(f"{number} {said}{place and f'; worst {place}'}", width, 2, indent="  ")]
    parts = [("where", fault.where), ("what", "   ".join(part for part in (what, measure(fault)) if part)),
             *_both_formulas(fault, width), ("worst", worst(report, fault))]
    written: list[Line] = []
    for label, text in parts:
        if text:
            written += _entry(number if number and not written else " " * len(number), label, text, width)
    return written


def mistake(fault: Any) -> str:
    """The fault's description, with its fitted number."""
    what = fault.what or fault.cause
    return f"{what} ({fault.value})" if fault.value and fault.value not in what else what


def measure(fault: Any) -> str:
    """How well the cause fits: its residual, and that of the runner-up."""
    if not fault.residual < float("inf"):
        return ""
    rival = f" (runner-up {brief(fault.runner_up)})" if fault.runner_up < float("inf") else ""
    return f"residual {brief(fault.residual)}{rival}"


def brief(value: float) -> str:
    """The number with one digit and an exponent.

    >>> brief(0.0), brief(2.2e-16), brief(0.61), brief(4e5), brief(1.0), brief(float("inf"))
    ('0', '2e-16', '6e-1', '4e5', '1', 'inf')
    """
    digit, _, exponent = f"{value:.0e}".partition("e")
    return f"{digit}e{int(exponent)}" if exponent and int(exponent) else digit


def worst(report: Any, fault: Any) -> str:
    """The worst entry of the fault's leaf with both values; without one, that of its step."""
    index, (given, expected) = fault.index, (fault.given, fault.expected)
    known = next((leaf.worst for leaf in report.leaves if leaf.path == fault.leaf and leaf.worst is not None), None)
    if known is not None and (index is None or (None in (given, expected) and index == known[0])):
        index, given, expected = known
    if given is None or expected is None:
        return ""
    given, expected = apart(given, expected)
    return ("" if index is None else f"{entry(fault.leaf, index)}  ") + f"manual {given}  reference {expected}"


def entry(path: str, index: Sequence[int] | None) -> str:
    """An entry in Python's notation: `[1]['W'][12,7]`."""
    inside = ",".join(str(int(i)) for i in index or ())
    return short(path or "params") + (f"[{inside}]" if inside else "")


def apart(given: float, expected: float) -> tuple[str, str]:
    """Both values with six digits, or with as many as needed to differ.

    >>> apart(0.1, 0.3), apart(0.1, 0.1 + 1e-9)
    (('0.1', '0.3'), ('0.1', '0.100000001'))
    """
    for digits in (6, 9, 12, 15, 17):
        both = f"{given:.{digits}g}", f"{expected:.{digits}g}"
        if both[0] != both[1]:
            break
    return both


def _both_formulas(fault: Any, width: int) -> list[tuple[str, str]]:
    """The user's formula and the right one, side by side if `width` allows, else on two lines."""
    both = [(label, text) for label, text in (("yours", fault.yours), ("expected", fault.wanted)) if text]
    beside = "      ".join(f"{label}  {text}" for label, text in both)
    return [("", beside)] if columns(beside) <= width - 9 else [("", f"{label:<8}  {text}") for label, text in both]


def _entry(number: str, label: str, text: str, width: int) -> list[Line]:
    margin = f"{number} {label:<5}  "
    return [[(margin if i == 0 else " " * len(margin), "label"), (part, "")]
            for i, part in enumerate(wrapped(text, width - len(margin), LINES.get(label, 2)))]


def _table(report: Any, width: int) -> list[Line]:
    """The table of the leaves in `width` columns.

    If it is too wide, the titles shrink to one word, then the paths. If it is too long, wrong
    leaves are kept before right ones.
    """
    shown, more = _rows(report.leaves)
    cells = [[error(leaf, name) for name in report.bounds] for leaf in shown]
    marked = any(cell.endswith("!") for row in cells for cell in row)
    cells = [[cell if cell.endswith("!") or not marked else f"{cell}  " for cell in row] for row in cells]
    allowed = [f"{bound:.0e}" + "  " * marked for bound in report.bounds.values()]
    titles = [clean(TITLES.get(name, name)) for name in report.bounds]
    shapes = [clipped(clean(str(leaf.shape)), 20) for leaf in shown]
    paths = [short(leaf.path or "params") for leaf in shown]
    shape = max(5, *map(columns, shapes))
    if _room(width, shape, titles, *cells, allowed) < max(map(columns, paths)):
        titles = [clipped(title.split(" ")[0], 9) for title in titles]
        paths = [short(path, max(12, _room(width, shape, titles, *cells, allowed))) for path in paths]
    path = max(7, *map(columns, paths))
    rows = [(["leaf", "shape", *titles], True), *(([p, s, *c], all(leaf.right.values())) for p, s, c, leaf in
                                                  zip(paths, shapes, cells, shown, strict=True)),
            *([([more], True)] if more else []), (["allowed", "", *allowed], True)]
    widths = [path, shape, *_widths(titles, *cells, allowed)]
    return [_fitted(_row(row, widths, right), width) for row, right in rows]


def _row(cells: Sequence[str], widths: Sequence[int], right: bool) -> Line:
    """A row of the table: names aligned left, numbers right, too large errors in colour."""
    if len(cells) == 1:
        return [(cells[0], "dim")]
    gaps = [" " * (width - columns(cell)) for cell, width in zip(cells, widths, strict=True)]
    return [(f"{cells[0]}{gaps[0]}  {cells[1]}{gaps[1]}", "dim" if right else ""),
            *((f"  {gap}{cell}", "wrong" if cell.endswith("!") else "dim")
              for cell, gap in zip(cells[2:], gaps[2:], strict=True))]


def _widths(*rows: Sequence[str]) -> list[int]:
    return [max(map(columns, column)) for column in zip(*rows, strict=True)]


def _room(width: int, shape: int, *rows: Sequence[str]) -> int:
    """The number of columns left for the path of a leaf."""
    return width - 2 - shape - sum(2 + w for w in _widths(*rows))


def _rows(leaves: Sequence[Any]) -> tuple[list[Any], str]:
    """(the leaves to print, in their order, a line about the others)."""
    if len(leaves) < ROWS:
        return list(leaves), ""
    wrong = [i for i, leaf in enumerate(leaves) if not all(leaf.right.values())]
    right = [i for i, leaf in enumerate(leaves) if all(leaf.right.values())]
    kept = sorted([*wrong, *right][:ROWS - 2])
    hidden = max(0, len(wrong) - (ROWS - 2))
    others = f"{hidden} of them wrong" if hidden else "all right"
    return [leaves[i] for i in kept], f"… {len(leaves) - len(kept)} more, {others}"


def error(leaf: Any, name: str) -> str:
    """The relative error against one reference as text, marked "!" if too large."""
    value, mark = leaf.errors.get(name), "" if leaf.right.get(name, True) else " !"
    return f"{'–' if value is None else f'{value:.1e}' if value else '0'}{mark}"


def clean(text: str) -> str:
    """The text on one line, with control characters written as escapes.

    >>> print(clean("a\\x1b[31mb\\nc"))
    a\\x1b[31mb c
    """
    return printable(text.translate(_SPACES).strip())


def columns(text: str) -> int:
    """The width of a text in terminal columns: 2 for a wide character, 0 for a combining accent.

    >>> columns("δ"), columns("重み"), columns("e\u0301")
    (1, 4, 1)
    """
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def clipped(text: str, width: int) -> str:
    """The text cut to `width` columns; … ends it if something is left out."""
    if columns(text) <= width:
        return text
    return text[:_reach(text, width - 1)] + "…"


def short(path: str, width: int = 40) -> str:
    """A path in `width` columns, with … in its middle if it is longer."""
    path = clean(path)
    if columns(path) <= width:
        return path
    tail = path[::-1][:_reach(path[::-1], width // 2)][::-1]
    return path[:_reach(path, width - 1 - width // 2)] + "…" + tail


def wrapped(text: str, width: int, most: int, indent: str = "") -> list[str]:
    """The text in at most `most` lines of `width` columns, broken between words if possible.

    All lines but the first are indented by `indent`.
    """
    rest, found = clean(text), []
    while rest:
        margin = indent if found else ""
        room = width - len(margin)
        if len(found) == most - 1 or columns(rest) <= room:
            return [*found, margin + clipped(rest, room)]
        reach = max(_reach(rest, room), 1)
        space = rest.rfind(" ", 1, reach + 1)
        cut = space if space > 0 else reach
        found.append(margin + rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return found


def _reach(text: str, width: int) -> int:
    """The number of leading characters that fit into `width` columns."""
    used = 0
    for i, c in enumerate(text):
        used += columns(c)
        if used > width:
            return i
    return len(text)


def _fitted(line: Line, width: int) -> Line:
    """The line cut to `width` columns, without trailing spaces."""
    kept: Line = []
    for words, style in line:
        room = width - sum(columns(words) for words, _ in kept)
        if room > 0:
            kept.append((clipped(words, room), style))
    words, style = kept.pop()
    return [*kept, (words.rstrip(), style)]
