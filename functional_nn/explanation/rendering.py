"""The working as text, and the pieces of it that Markdown and HTML are made of too."""

import textwrap
from collections.abc import Iterator

import numpy as np

from functional_nn.explanation.notation import Symbol, number
from functional_nn.explanation.plan import Formula, Part, Section

CORNER = 4  # so many rows and columns of a matrix are shown


def text(explained, width: int) -> str:
    """The working as text; see `Explanation.text`."""
    lines = [*textwrap.wrap(explained.title, width), *_wrapped(summary(explained), width), ""]
    for given in given_numbers(explained):
        lines += _wrapped(one_line(explained, *given), width)
    for section in explained.sections:
        lines += ["", *textwrap.wrap(section.heading, width)]
        for told in (section.equation, section.note):
            lines += textwrap.wrap(told, width, initial_indent="  ", subsequent_indent="  ")
        for formula in section.formulas:
            lines += _text_of(explained, formula, width)
        lines += _wrapped(verdict(explained, section), width, "  ")
    return "\n".join(lines)


def _wrapped(words: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(words, width, initial_indent=indent, subsequent_indent=indent)


def summary(explained) -> str:
    """Whether backpropagation by hand agrees with jax.grad, in a sentence."""
    worst = max(explained.agreement.values())
    agrees = "agrees with" if explained.right else "DIFFERS FROM"
    by = number(worst, 2) if worst else "0"
    return (f"Backpropagation by hand {agrees} jax.grad; the largest relative difference in "
            f"float64 is {by}. Numbers are printed with {explained.digits} digits.")


def verdict(explained, section: Section) -> str:
    """How closely jax.grad agrees with a section; "" where there is nothing to compare."""
    found = [explained.agreement[key] for key in section.checks if key in explained.agreement]
    if not found:
        return ""
    worst = max(found)
    if worst == 0:
        return "jax.grad gives exactly the same"
    return (f"jax.grad agrees to {number(worst, 2)}" if worst <= explained.AGREES else
            f"jax.grad DIFFERS by {number(worst, 2)}")


def given_numbers(explained) -> Iterator[tuple[Symbol, np.ndarray, bool]]:
    """The inputs and targets: symbol, values, and whether some are left out."""
    plan = explained.plan
    for e in range(plan.examples):
        x = explained.value(Symbol("a", 1, (), e))
        few = slice(len(plan.shown[0])) if plan.whole else list(plan.shown[0])
        yield Symbol("a", 1, (), e), x[few], plan.cut(1)
        yield Symbol("y", plan.last, (), e), explained.value(Symbol("y", plan.last, (), e)), False


def one_line(explained, symbol: Symbol, values: np.ndarray, cut: bool) -> str:
    """A symbol and its values, as the notes write them."""
    if cut and not explained.plan.whole:  # some entries, from anywhere: each with its name
        each = (symbol._replace(index=(k,)) for k in explained.plan.shown[symbol.layer - 1])
        return ", ".join(f"{explained.notation(one)} = {number(value, explained.digits)}"
                         for one, value in zip(each, values, strict=True)) + ", …"
    told = ", ".join(number(value, explained.digits) for value in values) + ", …" * cut
    return f"{explained.notation(symbol)} = " + (f"({told})" if len(values) > 1 else told)


def symbolic(explained, formula: Formula) -> str:
    """The right-hand side of a formula in symbols."""
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


def steps(explained, formula: Formula) -> list[str]:
    """The right-hand sides: the formula, the numbers put in, and the value, without repetition."""
    found = [symbolic(explained, formula)]
    if not formula.words:
        found.append(_numeric(explained, formula))
    found.append(_value(explained, formula))
    return [step for i, step in enumerate(found) if not i or step != found[i - 1]]


def has_arrays(explained, formula: Formula) -> bool:
    """Whether vectors or matrices are put in; a formula in words has none but its value."""
    parts = () if formula.words else formula.parts
    symbols = [part for part in (formula.symbol, *parts) if isinstance(part, Symbol)]
    return any(np.ndim(explained.value(symbol)) for symbol in symbols)


def _text_of(explained, formula: Formula, width: int) -> list[str]:
    if has_arrays(explained, formula):
        return _blocks(explained, formula, width)
    name = f"{explained.notation(formula.symbol)} {formula.relation} "
    found = steps(explained, formula)
    whole = name + " = ".join(found)
    if len(whole) <= width:
        return [whole]
    lines, space = [], " " * (len(name) - 2)
    for i, step in enumerate(found):
        lines += textwrap.wrap(
            step, width, initial_indent=f"{space}= " if i else name,
            subsequent_indent=space + "    ", break_long_words=False, break_on_hyphens=False)
    return lines


# Vectors and matrices ------------------------------------------------------------------------


def corner(explained, symbol: Symbol) -> list[list[str]]:
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
    cells = corner(explained, symbol)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in cells]
    if len(rows) == 1:
        return [f"[{rows[0]}]"]
    edges = [("⎡", "⎤"), *[("⎢", "⎥")] * (len(rows) - 2), ("⎣", "⎦")]
    return [left + row + right for (left, right), row in zip(edges, rows, strict=True)]


def _blocks(explained, formula: Formula, width: int) -> list[str]:
    """A formula of vectors and matrices, with its numbers put in, as blocks side by side."""
    name = f"{explained.notation(formula.symbol)} {formula.relation} "
    lines = [name + symbolic(explained, formula)]
    for parts in array_sides(formula):
        pieces = [[part] if isinstance(part, str) else _block_or_number(explained, part)
                  for part in parts]
        lines += _beside([["= "], *pieces], width, " " * (len(name) - 2))
    return lines


def array_sides(formula: Formula) -> list[tuple[Part, ...]]:
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
