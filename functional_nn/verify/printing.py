"""Lay out a report as styled lines of bounded width and number, aligned and safe to print."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from functional_nn.verify.references import TITLES
from functional_nn.writing import printable

STYLES = {"right": "bold green", "wrong": "bold red", "label": "bold", "dim": "dim", "": ""}
BLIND = ((0, 158, 115), (213, 94, 0))  # a green and a red that nobody confuses
THEME = TerminalTheme((255, 255, 255), (0, 0, 0), [(0, 0, 0), BLIND[1], BLIND[0], *[(0, 0, 0)] * 5])
FAULTS, IN_FULL = 8, 4  # most faults printed; with more than IN_FULL, each is one sentence
ROWS = 40  # most rows of the table
NOTES = 4
LINES = {"what": 4, "hence": 3, "message": 3} | dict.fromkeys(("where", "", "worst", "clear", "not", "note"), 2)  # of an entry, at most
NARROW = 40  # the least width, in columns
DIGITS = (6, 9, 12, 15, 17)  # of two numbers: as many as tell them apart, at most what tells floats apart
_SPACES = dict.fromkeys(map(ord, "\n\r\t"), " ")


def styled(*parts: tuple[str, str]) -> Text:
    """Return one line of (words, style); the styles are the keys of `STYLES`."""
    return Text.assemble(*((words, STYLES[style]) for words, style in parts), no_wrap=True, overflow="ignore")


def plain(written: Sequence[Text]) -> str:
    """Return the lines without their styles."""
    return "\n".join(line.plain.rstrip() for line in written)


def as_html(written: Sequence[Text]) -> str:
    """Return the lines as HTML with their styles."""
    console = Console(file=io.StringIO(), record=True, width=max(map(cell_len, plain(written).split("\n"))) + 1, force_jupyter=False)
    console.print(*written, sep="\n", highlight=False)
    return console.export_html(theme=THEME, inline_styles=True, code_format="<pre>{code}</pre>")


def lines(report: Any, width: int = 100) -> list[Text]:
    """The report as lines of at most `width` columns: verdict, faults, remarks, leaves.

    >>> from functional_nn.verify import Leaf, Report
    >>> leaf = Leaf("['w']", (2, 3), {"autodiff": 1e-16}, {"autodiff": True})
    >>> lines(Report((), (leaf,), {"autodiff": 1e-12}, "float64"))[0].plain
    'RIGHT  1 of 1 leaves agree; relative errors in float64'
    """
    width = max(width, NARROW)
    verdict = "RIGHT" if report else "WRONG"
    written = [styled((verdict, verdict.lower()), (clipped("  " + _summary(report), width - len(verdict)), ""))]
    several = len(report.faults) > 1
    for number, fault in enumerate(report.faults[:FAULTS], start=1):
        written += _fault(report, fault, str(number) if several else "", width, len(report.faults) > IN_FULL)
    if len(report.faults) > FAULTS:
        written.append(styled((f"… and {len(report.faults) - FAULTS} more faults", "")))
    for label, text in _remarks(report):
        written += _entry(" " * several, label, text, width)
    return written + (_table(report, width) if report.leaves else [])


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


def _fault(report: Any, fault: Any, number: str, width: int, brief: bool) -> list[Text]:
    """The lines of a fault, labelled; a sentence if `brief`, or if it has only a message."""
    what = mistake(fault)
    if brief or not (fault.where or fault.what):
        told = ": ".join(part for part in (fault.where, what) if part) if fault.where or fault.what else ""
        place = f"; worst {worst(report, fault)}" if told and worst(report, fault) else ""
        said, most = (f"{number} {told}{place}", LINES["worst"]) if told else (fault.message, LINES["message"])
        return [styled((text, "")) for text in wrapped(said, width, most, indent="  ")]
    parts = [("where", fault.where), ("what", "   ".join(part for part in (what, measure(fault)) if part)),
             *_both_formulas(fault, width), ("worst", worst(report, fault))]
    written: list[Text] = []
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
    for digits in DIGITS:
        both = f"{given:.{digits}g}", f"{expected:.{digits}g}"
        if both[0] != both[1]:
            break
    return both


def _both_formulas(fault: Any, width: int) -> list[tuple[str, str]]:
    """The user's formula and the right one, side by side if `width` allows, else on two lines."""
    both = [(label, text) for label, text in (("yours", fault.yours), ("expected", fault.wanted)) if text]
    beside = "      ".join(f"{label}  {text}" for label, text in both)
    return [("", beside)] if cell_len(beside) <= width - len(" where  ") - 1 else [("", f"{label:<8}  {text}") for label, text in both]


def _entry(number: str, label: str, text: str, width: int) -> list[Text]:
    margin = f"{number} {label:<5}  "
    return [styled((margin if i == 0 else " " * len(margin), "label"), (part, ""))
            for i, part in enumerate(wrapped(text, width - len(margin), LINES[label]))]


def _table(report: Any, width: int) -> list[Text]:
    """The table of the leaves in `width` columns.

    If it is too wide, the titles shrink to one word, then the paths. If it is too long, wrong
    leaves are kept before right ones.
    """
    shown, more = _rows(report.leaves)
    titles, *rows, bounds = cells(shown, report.bounds)
    marked = any(cell.endswith("!") for row in rows for cell in row)
    errors = [[cell if cell.endswith("!") or not marked else f"{cell}  " for cell in row] for row in [*rows, bounds]]
    paths = ["leaf", *(short(leaf.path or "params") for leaf in shown), "allowed"]
    shapes = ["shape", *(clipped(clean(str(leaf.shape)), NARROW // 2) for leaf in shown), ""]

    def room(titles) -> int:
        return width - 2 - max(map(cell_len, shapes)) - sum(2 + max(map(cell_len, each)) for each in zip(titles, *errors, strict=True))

    if room(titles) < max(map(cell_len, paths)):
        titles = [clipped(title.split(" ")[0], 9) for title in titles]
        paths = [short(path, max(12, room(titles))) for path in paths]
    widths = [max(map(cell_len, column)) for column in zip(titles, *errors, strict=True)]
    fine = [True, *(all(leaf.right.values()) for leaf in shown), True]
    written = []
    for path, shape, row, right in zip(paths, shapes, [titles, *errors], fine, strict=True):
        names = "  ".join(set_cell_size(text, max(map(cell_len, each))) for text, each in ((path, paths), (shape, shapes)))
        gaps = [" " * (2 + w - cell_len(cell)) for w, cell in zip(widths, row, strict=True)]
        line = styled((names, "dim" if right else ""), *((gap + cell, "wrong" if cell.endswith("!") else "dim")
                                                        for gap, cell in zip(gaps, row, strict=True)))
        line.truncate(width, overflow="ellipsis")
        line.rstrip()
        written.append(line)
    return [*written[:-1], *([styled((more, "dim"))] if more else []), written[-1]]


def cells(leaves: Sequence[Any], bounds: Any) -> list[list[str]]:
    """Return the titles of the references, the errors of each leaf, and what is allowed, as text."""
    return [[clean(TITLES.get(name, name)) for name in bounds], *([error(leaf, name) for name in bounds] for leaf in leaves),
            [f"{bound:.0e}" for bound in bounds.values()]]


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


columns = cell_len  # the width of a text in terminal columns


def clipped(text: str, width: int) -> str:
    """Return the text cut to `width` columns; … ends it if something is left out."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def short(path: str, width: int = 40) -> str:
    """Return a path in `width` columns, with … in its middle if it is longer."""
    path, half = clean(path), width // 2
    if cell_len(path) <= width:
        return path
    return f"{set_cell_size(path, width - 1 - half)}…{set_cell_size(path[::-1], half)[::-1]}"


def wrapped(text: str, width: int, most: int, indent: str = "") -> list[str]:
    """Return the text in at most `most` lines of `width` columns, broken between words if possible.

    All lines but the first are indented by `indent`.
    """
    rest, found = clean(text), []
    while rest:
        margin = indent if found else ""
        room = width - len(margin)
        if len(found) == most - 1 or cell_len(rest) <= room:
            return [*found, margin + clipped(rest, room)]
        line = Text(rest).wrap(Console(), room)[0].plain.rstrip() or rest[0]
        found.append(margin + line)
        rest = rest[len(line):].lstrip()
    return found
