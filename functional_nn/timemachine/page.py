"""The page of a recorded run: one HTML file that loads nothing else.

The page holds the recorded numbers and the formulas of `fnn.explain`. Its script puts the digits of
numbers together and draws; it computes no number that it prints.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn.explanation.formulas import sections
from functional_nn.explanation.notation import Notation, Symbol, html, number
from functional_nn.explanation.plan import Formula, Section
from functional_nn.timemachine.agreement import AGREES
from functional_nn.timemachine.looking import Layout
from functional_nn.timemachine.mistakes import MISTAKES
from functional_nn.timemachine.packing import Packer
from functional_nn.timemachine.recording import Track
from functional_nn.webpage import document, source

__all__ = ["page"]

PARTS = Path(__file__).parent / "page"
SCRIPTS = ("numbers.js", "network.js", "panel.js", "main.js")
WIDE = 14  # pixels; larger images are shrunk


def page(
    title: str, about: Sequence[str], given: Layout, tracks: Sequence[Track], images=None,
    labels: Sequence[str] = (), weighted: bool = False
) -> str:
    """The page as HTML.

    Args:
      title: the heading.
      about: sentences about the run, such as what is left out.
      given: what is recorded.
      tracks: the right run, and then those with a mistake.
      images: rows of the training examples (n,) -> their pictures (n, height, width), or None.
      labels: the names of the outputs, or nothing.
      weighted: whether the examples have weights.
    """
    packer = Packer()
    notation = Notation(given.plan.sizes)
    known = {symbol: i for i, symbol in enumerate(given.passes)}
    known |= {symbol: -1 - i for i, symbol in enumerate(given.weights)}
    working = sections(given.plan)
    content = {
        "title": title, "about": list(about), "labels": list(labels), "weighted": weighted,
        "layers": _layers(given), "names": {
            "passes": [html(notation(symbol)) for symbol in given.passes],
            "weights": [html(notation(symbol)) for symbol in given.weights],
            "slopes": [html(notation(_of_batch(symbol))).replace("∂L", "∂C")
                       for symbol in given.weights]},
        "nodes": _nodes(given, known), "edges": _edges(given, known),
        "formulas": _formulas(working, notation, known),
        "sections": [_section(section, known) for section in working],
        "tracks": [_track(track, packer) for track in tracks],
        "images": None if images is None else _images(tracks, images, packer)}
    content["count"], data = packer.packed()
    return document(
        "replay", title, source(PARTS / "body.html").replace("{{title}}", html(title)),
        style=source(PARTS / "page.css"), scripts=[source(PARTS / name) for name in SCRIPTS],
        content={"content": content, "data": data})


def _of_batch(symbol: Symbol) -> Symbol:
    return symbol._replace(letter=f"∂{symbol.letter}")


def _layers(given: Layout) -> list[dict[str, Any]]:
    plan = given.plan
    found = [{"says": "input x", "size": plan.sizes[0], "shown": plan.shown[0]}]
    return found + [{"says": repr(plan.layer(l)), "size": plan.sizes[l - 1],
                     "shown": plan.shown[l - 1]} for l in range(2, plan.last + 1)]


def _nodes(given: Layout, known: dict[Symbol, int]) -> list[dict[str, Any]]:
    """The nodes that are drawn, with the places of their numbers."""
    return [{"layer": l, "node": j, **{
        letter: known[Symbol(letter, l, (j,))] for letter in ("a", "z", "δ", "σ′", "∂a", "y")
        if Symbol(letter, l, (j,)) in known}}
        for l, nodes in enumerate(given.plan.shown, start=1) for j in nodes]


def _edges(given: Layout, known: dict[Symbol, int]) -> list[dict[str, Any]]:
    """The weights and biases, in the order in which they are recorded."""
    return [{"layer": s.layer, "to": s.index[0], "from": s.index[1] if s.letter == "w" else None,
             "δ": known[Symbol("δ", s.layer, s.index[:1])],
             "a": known[Symbol("a", s.layer - 1, s.index[1:])] if s.letter == "w" else None}
            for s in given.weights]


def _formulas(
    working: Sequence[Section], notation: Notation, known: dict[Symbol, int]
) -> dict[int, dict[str, Any]]:
    """Place of a number of a pass -> its formula: text, and places of numbers."""
    found = {}
    for formula in (formula for section in working for formula in section.formulas):
        place = known.get(formula.symbol, -1)
        if place >= 0:
            found[place] = _formula(formula, notation, known)
    return found


def _formula(
    formula: Formula, notation: Notation, known: dict[Symbol, int]
) -> dict[str, Any]:
    recorded = not formula.words and all(
        isinstance(part, str) or part in known for part in formula.parts)
    if not recorded:
        said = "".join(part if isinstance(part, str) else notation(part) for part in formula.parts)
        return {"words": html(said)}
    return {"parts": [part if isinstance(part, str) else known[part] for part in formula.parts]}


def _section(section: Section, known: dict[Symbol, int]) -> dict[str, Any]:
    """A section of the working; the weights whose gradient or step it is are places below 0."""
    places = []
    for formula in section.formulas:
        symbol = formula.symbol
        shared = symbol.letter in ("∂w", "∂b", "w+", "b+")
        letter = symbol.letter.strip("∂+") if shared else symbol.letter
        place = known.get(symbol._replace(letter=letter))
        places += [] if place is None else [place]
    return {"heading": section.heading, "equation": html(section.equation), "note": section.note,
            "places": places, "backwards": section.heading.startswith("Backwards")}


def _track(track: Track, packer: Packer) -> dict[str, Any]:
    """The places of the numbers of a run; in each array the step comes last."""
    looks = track.looks
    made = {name: packer.numbers(np.asarray(getattr(looks, name)).T) for name in (
        "cost", "before", "after", "gradient", "step", "others")}
    made["passes"] = packer.numbers(np.moveaxis(looks.passes, 0, -1))  # (E, P, S)
    made["pushes"] = packer.numbers(np.moveaxis(looks.pushes, 0, -1))  # (W, pushers, S)
    made["pushers"] = packer.bytes(np.moveaxis(looks.pushers, 0, -1) % 256)
    for name, values in (("memory", (looks.memory, looks.fresh)), ("penalty", (looks.penalty,))):
        if any(np.any(part != 0) for part in values[:1]):
            made[name] = packer.numbers(np.concatenate([part.T for part in values]))
    return {"name": track.name, "says": MISTAKES[track.name].says if track.name else "",
            "steps": track.numbers, "examples": looks.passes.shape[1],
            "pushed": looks.pushes.shape[-1], "sizes": [int(n) for n in looks.batch],
            "rows": looks.rows.tolist(), "places": made,
            "agrees": [bool(apart < AGREES) for apart in track.apart],
            "apart": [number(apart, 2) for apart in track.apart],
            "verdicts": [verdict._asdict() for verdict in track.verdicts]}


def _images(tracks: Sequence[Track], images, packer: Packer) -> dict[str, Any]:
    """The pictures of all examples that are recorded, shrunk and in shades from 0 to 255."""
    rows = np.unique(np.concatenate([track.looks.rows.ravel() for track in tracks]))
    rows = rows[rows >= 0]
    pictures = np.asarray(images(rows), float)
    shrink = -(-max(pictures.shape[1:]) // WIDE)
    height, width = (size // shrink for size in pictures.shape[1:])
    pictures = pictures[:, :height * shrink, :width * shrink].reshape(
        len(rows), height, shrink, width, shrink).mean(axis=(2, 4))
    low, high = pictures.min(), pictures.max()
    shades = np.round((pictures - low) / max(high - low, 1e-30) * 15) * 17  # 16 of them pack well
    return {"rows": rows.tolist(), "height": height, "width": width,
            "place": packer.bytes(shades)}
