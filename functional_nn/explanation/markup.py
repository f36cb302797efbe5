"""The working as Markdown with LaTeX and as HTML, from the formulas and numbers of the text."""

import html as escaping
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from functional_nn.explanation.notation import Symbol, html, latex, number
from functional_nn.explanation.plan import Formula, Part
from functional_nn.explanation.rendering import (
    array_sides,
    corner,
    given_numbers,
    has_arrays,
    one_line,
    steps,
    summary,
    symbolic,
    verdict,
)
from functional_nn.webpage import document, source

STYLE = Path(__file__).with_name("page.css")


# Markdown ------------------------------------------------------------------------------------


def markdown(explained) -> str:
    """The working as Markdown; see `Explanation.to_markdown`."""
    lines = [f"# {_plain(explained.title)}", "", summary(explained), ""]
    lines += [f"${latex(one_line(explained, *given))}$  " for given in given_numbers(explained)]
    for section in explained.sections:
        lines += ["", f"## {_plain(section.heading)}", ""]
        lines += [f"{_equation(section.equation)}", ""] if section.equation else []
        lines += [section.note, ""] if section.note else []
        for formula in section.formulas:
            lines += ["$$", _aligned(explained, formula), "$$", ""]
        check = verdict(explained, section)
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
    if has_arrays(explained, formula):
        sides = [latex(symbolic(explained, formula)),
                 *(_latex_of(explained, parts) for parts in array_sides(formula))]
    else:
        sides = [latex(side) for side in steps(explained, formula)]
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
            for row in corner(explained, symbol)]
    return r"\begin{bmatrix}" + r" \\ ".join(rows) + r"\end{bmatrix}"


# HTML ----------------------------------------------------------------------------------------


def page(several: Sequence) -> str:
    """The working of one network or more as an HTML page that loads nothing else."""
    title = several[0].title
    body = "\n".join("\n".join(_body(explained)) for explained in several)
    return document("explanation", title, body, style=source(STYLE))


def _body(explained) -> list[str]:
    body = [f"<h1>{escaping.escape(explained.title)}</h1>",
            f"<p>{html(summary(explained))}</p>"]
    body += [f"<p class=formula>{html(one_line(explained, *given))}</p>"
             for given in given_numbers(explained)]
    for section in explained.sections:
        body.append(f"<section><h2>{html(section.heading)}</h2>")
        body += [f"<p class=note>{html(told)}</p>"
                 for told in (section.equation, section.note) if told]
        body += [_row(explained, formula) for formula in section.formulas]
        if check := verdict(explained, section):
            body.append(f"<p class=check>{html(check)}</p>")
        body.append("</section>")
    return body


def _row(explained, formula: Formula) -> str:
    name = f"{html(explained.notation(formula.symbol))} {formula.relation} "
    if has_arrays(explained, formula):
        sides = [html(symbolic(explained, formula)),
                 *(_cells(explained, parts) for parts in array_sides(formula))]
    else:
        sides = [html(side) for side in steps(explained, formula)]
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
                for row in corner(explained, part))
            written.append(f"<table>{rows}</table>")
    return " ".join(written)
