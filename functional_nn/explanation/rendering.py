"""The working as text, Markdown and HTML, from the same formulas and numbers."""

import html as escaping
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from functional_nn.explanation.notation import Symbol, html, latex, number
from functional_nn.explanation.plan import Formula, Part, Section
from functional_nn.webpage import document, source

__all__ = ["markdown", "page", "text"]

STYLE = Path(__file__).with_name("page.css")
CORNER = 4  # so many rows and columns of a matrix are shown


def text(explained, width: int) -> str:
    """The working as text; see `Explanation.text`."""
    lines = [*textwrap.wrap(explained.title, width), *_wrapped(_summary(explained), width), ""]
    for given in _given(explained):
        lines += _wrapped(_one_line(explained, *given), width)
    for section in explained.sections:
        lines += ["", *textwrap.wrap(section.heading, width)]
        for told in (section.equation, section.note):
            lines += textwrap.wrap(told, width, initial_indent="  ", subsequent_indent="  ")
        for formula in section.formulas:
            lines += _text_of(explained, formula, width)
        lines += _wrapped(_check(explained, section), width, "  ")
    return "\n".join(lines)


def _wrapped(words: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(words, width, initial_indent=indent, subsequent_indent=indent)


def _summary(explained) -> str:
    worst = max(explained.agreement.values())
    verdict = "agrees with" if explained.right else "DIFFERS FROM"
    by = number(worst, 2) if worst else "0"
    return (f"Backpropagation by hand {verdict} jax.grad; the largest relative difference in "
            f"float64 is {by}. Numbers are printed with {explained.digits} digits.")


def _check(explained, section: Section) -> str:
    found = [explained.agreement[key] for key in section.checks if key in explained.agreement]
    if not found:
        return ""
    worst = max(found)
    if worst == 0:
        return "jax.grad gives exactly the same"
    return (f"jax.grad agrees to {number(worst, 2)}" if worst <= explained.AGREES else
            f"jax.grad DIFFERS by {number(worst, 2)}")


def _given(explained) -> Iterator[tuple[Symbol, np.ndarray, bool]]:
    """The inputs and targets: symbol, values, and whether some are left out."""
    plan = explained.plan
    for e in range(plan.examples):
        x = explained.value(Symbol("a", 1, (), e))
        few = slice(len(plan.shown[0])) if plan.whole else list(plan.shown[0])
        yield Symbol("a", 1, (), e), x[few], plan.cut(1)
        yield Symbol("y", plan.last, (), e), explained.value(Symbol("y", plan.last, (), e)), False


def _one_line(explained, symbol: Symbol, values: np.ndarray, cut: bool) -> str:
    if cut and not explained.plan.whole:  # some entries, from anywhere: each with its name
        each = (symbol._replace(index=(k,)) for k in explained.plan.shown[symbol.layer - 1])
        return ", ".join(f"{explained.notation(one)} = {number(value, explained.digits)}"
                         for one, value in zip(each, values, strict=True)) + ", …"
    told = ", ".join(number(value, explained.digits) for value in values) + ", …" * cut
    return f"{explained.notation(symbol)} = " + (f"({told})" if len(values) > 1 else told)


def _symbolic(explained, formula: Formula) -> str:
    return "".join(part if isinstance(part, str) else explained.notation(part)
                   for part in formula.parts)


def _numeric(explained, formula: Formula) -> str:
    """The formula with numbers in place of its symbols."""
    written = ""
    for i, part in enumerate(formula.parts):
        if isinstance(part, str):
            written += part
            continue
        told = number(float(explained.value(part)), explained.digits)
        after = formula.parts[i + 1] if i + 1 < len(formula.parts) else ""
        written += f"({told})" if told[0] == "−" and _needs_brackets(written, after) else told
    return written


def _needs_brackets(before: str, after: Part) -> bool:
    """Whether a negative number needs brackets between these neighbours."""
    first = not before or before.endswith(("(", ", ", "|", "if "))
    return not first or str(after).startswith(("²", "^"))


def _value(explained, formula: Formula) -> str:
    return number(float(explained.value(formula.symbol)), explained.digits)


def _steps(explained, formula: Formula) -> list[str]:
    """The right-hand sides: the formula, the numbers put in, and the value, without repetition."""
    steps = [_symbolic(explained, formula)]
    if not formula.words:
        steps.append(_numeric(explained, formula))
    steps.append(_value(explained, formula))
    return [step for i, step in enumerate(steps) if not i or step != steps[i - 1]]


def _has_arrays(explained, formula: Formula) -> bool:
    """Whether vectors or matrices are put in; a formula in words has none but its value."""
    parts = () if formula.words else formula.parts
    symbols = [part for part in (formula.symbol, *parts) if isinstance(part, Symbol)]
    return any(np.ndim(explained.value(symbol)) for symbol in symbols)


def _text_of(explained, formula: Formula, width: int) -> list[str]:
    if _has_arrays(explained, formula):
        return _blocks(explained, formula, width)
    name = f"{explained.notation(formula.symbol)} {formula.relation} "
    steps = _steps(explained, formula)
    whole = name + " = ".join(steps)
    if len(whole) <= width:
        return [whole]
    lines, space = [], " " * (len(name) - 2)
    for i, step in enumerate(steps):
        lines += textwrap.wrap(
            step, width, initial_indent=f"{space}= " if i else name,
            subsequent_indent=space + "    ", break_long_words=False, break_on_hyphens=False)
    return lines


# Vectors and matrices ------------------------------------------------------------------------


def _corner(explained, symbol: Symbol) -> list[list[str]]:
    """The entries of a vector or matrix as text, its first and the last ones where it is large."""
    array = np.asarray(explained.value(symbol))
    array = array[:, None] if array.ndim == 1 else np.atleast_2d(array)
    rows, columns = (_ends(n) for n in array.shape)
    return [["⋱" if i is None and k is None else "⋮" if i is None else "…" if k is None else
             number(float(array[i, k]), explained.digits) for k in columns] for i in rows]


def _ends(n: int) -> list[int | None]:
    return list(range(n)) if n <= CORNER else [0, 1, None, n - 1]


def _block(explained, symbol: Symbol) -> list[str]:
    """A vector or matrix as lines of text with brackets."""
    cells = _corner(explained, symbol)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in cells]
    if len(rows) == 1:
        return [f"[{rows[0]}]"]
    edges = [("⎡", "⎤"), *[("⎢", "⎥")] * (len(rows) - 2), ("⎣", "⎦")]
    return [left + row + right for (left, right), row in zip(edges, rows, strict=True)]


def _blocks(explained, formula: Formula, width: int) -> list[str]:
    """A formula of vectors and matrices, with its numbers put in, as blocks side by side."""
    name = f"{explained.notation(formula.symbol)} {formula.relation} "
    lines = [name + _symbolic(explained, formula)]
    for parts in _array_sides(formula):
        pieces = [[part] if isinstance(part, str) else _block_or_number(explained, part)
                  for part in parts]
        lines += _beside([["= "], *pieces], width, " " * (len(name) - 2))
    return lines


def _array_sides(formula: Formula) -> list[tuple[Part, ...]]:
    """The right-hand sides that are written with numbers: the formula and its value."""
    copied = len(formula.parts) == 1 and not formula.words  # ∂L/∂b = δ
    return [(formula.symbol,)] if formula.words or copied else [formula.parts, (formula.symbol,)]


def _block_or_number(explained, symbol: Symbol) -> list[str]:
    if np.ndim(explained.value(symbol)):
        return _block(explained, symbol)
    return [number(float(explained.value(symbol)), explained.digits)]


def _beside(pieces: list[list[str]], width: int, indent: str) -> list[str]:
    """Blocks of lines side by side, centred; what would not fit begins a new row.

    An operator, which is a single line without a bracket, stays with the block after it.
    """
    rows, row, used = [], [], len(indent)
    for i, piece in enumerate(pieces):
        size = max(map(len, piece))
        operator = len(piece) == 1 and not piece[0].startswith("[")
        needed = size + (max(map(len, pieces[i + 1])) if operator and pieces[i + 1:] else 0)
        after_operator = i > 1 and len(row) > 1 and len(row[-1]) == 1 and not operator
        if row and used + needed > width and not after_operator:
            rows.append(row)
            row, used = [["    "]], len(indent) + 4
        row.append(piece)
        used += size
    lines = []
    for blocks in (*rows, row):
        height = max(map(len, blocks))
        grid = [_centred(piece, height) for piece in blocks]
        lines += [(indent + "".join(parts)).rstrip() for parts in zip(*grid, strict=True)]
    return lines


def _centred(piece: list[str], height: int) -> list[str]:
    size, above = max(map(len, piece)), (height - len(piece)) // 2
    padded = [""] * above + piece + [""] * (height - len(piece) - above)
    return [line.ljust(size) for line in padded]


# Markdown ------------------------------------------------------------------------------------


def markdown(explained) -> str:
    """The working as Markdown; see `Explanation.to_markdown`."""
    lines = [f"# {_plain(explained.title)}", "", _summary(explained), ""]
    lines += [f"${latex(_one_line(explained, *given))}$  " for given in _given(explained)]
    for section in explained.sections:
        lines += ["", f"## {_plain(section.heading)}", ""]
        lines += [f"{_equation(section.equation)}", ""] if section.equation else []
        lines += [section.note, ""] if section.note else []
        for formula in section.formulas:
            lines += ["$$", _aligned(explained, formula), "$$", ""]
        check = _check(explained, section)
        lines += [check + ".", ""] if check else []
    return "\n".join(lines).rstrip() + "\n"


def _plain(words: str) -> str:
    return words.replace("_", r"\_").replace("<", "&lt;").replace("*", r"\*")


def _equation(words: str) -> str:
    """An equation of the notes, `BP1: …, which is …`, with its formulas as LaTeX."""
    return ", ".join(
        part if part.startswith("which") else
        (f"{label}: " if label else "") + f"${latex(formula)}$"
        for part in words.split(", ")
        for label, formula in [part.split(": ") if ": " in part else ("", part)])


def _aligned(explained, formula: Formula) -> str:
    relation = r"\leftarrow" if formula.relation == "←" else "="
    name = latex(explained.notation(formula.symbol))
    if _has_arrays(explained, formula):
        sides = [latex(_symbolic(explained, formula)),
                 *(_latex_of(explained, parts) for parts in _array_sides(formula))]
    else:
        sides = [latex(side) for side in _steps(explained, formula)]
    first = rf"{name} &{relation} {sides[0]}"
    return (r"\begin{aligned}" + "\n" + " \\\\\n".join([first, *(f"&= {s}" for s in sides[1:])])
            + "\n" + r"\end{aligned}")


def _latex_of(explained, parts: tuple[Part, ...]) -> str:
    """The parts in LaTeX, with numbers in place of symbols."""
    return " ".join(latex(part) if isinstance(part, str) else _latex_value(explained, part)
                    for part in parts)


def _latex_value(explained, symbol: Symbol) -> str:
    if not np.ndim(explained.value(symbol)):
        return latex(number(float(explained.value(symbol)), explained.digits))
    marks = {"⋱": r"\ddots", "⋮": r"\vdots", "…": r"\cdots"}
    rows = [" & ".join(marks.get(cell, latex(cell)) for cell in row)
            for row in _corner(explained, symbol)]
    return r"\begin{bmatrix}" + r" \\ ".join(rows) + r"\end{bmatrix}"


# HTML ----------------------------------------------------------------------------------------


def page(several: Sequence) -> str:
    """The working of one network or more as an HTML page that loads nothing else."""
    title = several[0].title
    body = "\n".join("\n".join(_body(explained)) for explained in several)
    return document("explanation", title, body, style=source(STYLE))


def _body(explained) -> list[str]:
    body = [f"<h1>{escaping.escape(explained.title)}</h1>",
            f"<p>{html(_summary(explained))}</p>"]
    body += [f"<p class=formula>{html(_one_line(explained, *given))}</p>"
             for given in _given(explained)]
    for section in explained.sections:
        body.append(f"<section><h2>{html(section.heading)}</h2>")
        body += [f"<p class=note>{html(told)}</p>"
                 for told in (section.equation, section.note) if told]
        body += [_row(explained, formula) for formula in section.formulas]
        if check := _check(explained, section):
            body.append(f"<p class=check>{html(check)}</p>")
        body.append("</section>")
    return body


def _row(explained, formula: Formula) -> str:
    name = f"{html(explained.notation(formula.symbol))} {formula.relation} "
    if _has_arrays(explained, formula):
        sides = [html(_symbolic(explained, formula)),
                 *(_cells(explained, parts) for parts in _array_sides(formula))]
    else:
        sides = [html(side) for side in _steps(explained, formula)]
    return (f"<div class=formula><b>{name}</b>{sides[0]}"
            + "".join(f" <span class=side>= {side}</span>" for side in sides[1:]) + "</div>")


def _cells(explained, parts: tuple[Part, ...]) -> str:
    written = []
    for part in parts:
        if isinstance(part, str):
            written.append(html(part))
        elif not np.ndim(explained.value(part)):
            written.append(number(float(explained.value(part)), explained.digits))
        else:
            rows = "".join(
                "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
                for row in _corner(explained, part))
            written.append(f"<table>{rows}</table>")
    return " ".join(written)
