"""Do the curves of the field's best-known book come out of this library?

Replays the figures of Nielsen's "Neural Networks and Deep Learning" with hand-written gradients and
draws ours over the published ones. Where the book set a seed, first weights and the order of the
images are drawn as its Python 2 scripts drew them; where it set none, many seeds are trained and
the published curve must look like one of them.

Command: python -m experiments.nielsen --data-dir FOLDER --published-dir FOLDER

The first folder holds the four files of MNIST; the second the JSON files of the folder fig/ of the
book's repository. --only overfitting multiple_eta replays some figures.

Expect: costs within 0.001 of the published ones, accuracies within 0.1 to 0.3 points; 14 of 15 gates
are met, and more_data misses its own by 0.01 points at 50,000 images. Rounding alone separates long
runs: a difference in the last digit grows from step to step, and with a learning rate
of 2.5 it soon fills the whole range.

Cost: twenty minutes on two cores; two with --quick, which takes five epochs of the cheap figures.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from experiments.book import replay
from experiments.book.figures import FIGURES, Figure
from experiments.book.gates import Verdict
from experiments.common import Picture, command_line, publish, settled
from functional_nn import checks, plots
from functional_nn.console import print
from functional_nn.plots.canvas import COLOURS, INK
from functional_nn.report import Table

QUICK_EPOCHS = 5
PUBLISHED = {"linewidth": 6, "alpha": 0.35, "solid_capstyle": "round"}
OURS = {"linewidth": 1.3}
SPREAD = {"linewidth": 1, "linestyle": ":"}


@dataclass(frozen=True)
class Config:
    """What is replayed."""

    data_dir: str | None = None
    """folder with the four files of MNIST; needed"""
    published_dir: str | None = None
    """folder with the published JSON files, such as overfitting.json; needed"""
    only: tuple[str, ...] = ()
    """names of figures, those of their files; all if not given"""
    seeds: int = 50
    """draws for each figure that was made without a seed"""
    quick: bool = False
    """five epochs of the cheap figures"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/nielsen/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config)
    names = chosen(config)
    published = {name: read(config, name) for name in names}
    images = replay.load(config.data_dir)
    epochs = QUICK_EPOCHS if config.quick else None
    found, rows, pictures = {}, [], []
    for name in names:
        print(f"{name}: {FIGURES[name].made_with}", flush=True)
        ours = FIGURES[name].replay(images, epochs, config.seeds)
        verdicts = judged(FIGURES[name], published[name], ours)
        found[name] = {"published": published[name], "ours": ours, "gates": verdicts}
        rows += [row(name, gate, verdict)
                 for gate, verdict in zip(FIGURES[name].gates, verdicts, strict=True)]
        pictures.append(Picture(name, name, draw(FIGURES[name], published[name], ours),
                                caption(FIGURES[name], epochs)))
    reached = [verdict.met for figure in found.values() for verdict in figure["gates"] if verdict]
    finding = (f"Gates met: {sum(reached)} of {len(reached)}. Published figures replayed: "
               f"{len(names)} of {len(FIGURES)}.")
    table = Table(("figure", "curve", "published", "ours", "difference", "gate", "met"), rows,
                  caption="Published and ours",
                  note="Where a gate is about several epochs, the values are those of the epoch "
                       "with the largest difference. A dash: too few epochs were run.")
    return publish(config, finding, found, pictures, [table])


def chosen(config: Config) -> list[str]:
    """The names of the figures to replay, in the order of the book's chapters.

    Raises a ValueError for an unknown name, and without one of the two folders.
    """
    for name in config.only:
        checks.one_of("figure", name, FIGURES)
    for option, what in (("data_dir", "the four files of MNIST"),
                         ("published_dir", "the published curves")):
        if getattr(config, option) is None:
            raise ValueError(f"nielsen needs {what}: give their folder with "
                             f"--{option.replace('_', '-')} FOLDER")
    return [name for name, figure in FIGURES.items()
            if (name in config.only if config.only else figure.cheap or not config.quick)]


def read(config: Config, name: str) -> dict[str, np.ndarray]:
    """The published curves of a figure; raises a ValueError for a file that does not hold them."""
    path, figure = Path(config.published_dir) / f"{name}.json", FIGURES[name]
    try:
        curves = figure.read(json.loads(path.read_text()))
        shapes = {np.asarray(curve, dtype=float).shape for curve in curves.values()}
        if len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ValueError("its curves are not lists of one length")
        return curves
    except FileNotFoundError as error:
        raise ValueError(f"--published-dir must hold {name}.json, got {config.published_dir!r} "
                         "without it; give the folder of the book's JSON files, or leave the "
                         "figure out with --only") from error
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{path} must hold the curves of {name} as published, got another "
                         f"JSON file ({error}); fetch it again") from error


def judged(figure: Figure, published: dict, ours: dict) -> list[Verdict | None]:
    """The verdict of every gate; None where too few epochs were run for it."""
    run = min(values.shape[1] for values in ours.values())
    whole = min(len(values) for values in published.values())
    return [gate.judge(published, ours) if run >= (gate.needs or whole) else None
            for gate in figure.gates]


def row(name: str, gate, verdict: Verdict | None) -> tuple:
    """A row of the table."""
    if verdict is None:
        return name, gate.curve, None, None, None, gate.says, None
    return (name, gate.curve, verdict.published, verdict.ours, verdict.found, gate.says,
            verdict.met)


def caption(figure: Figure, epochs: int | None) -> str:
    """What a picture shows, in words."""
    cut = "" if epochs is None else f" The first {epochs} epochs are replayed."
    return (f"Published (wide, pale) and ours (thin). {figure.made_with}.{cut} "
            f"{figure.remark}").strip()


def draw(figure: Figure, published: dict, ours: dict):
    """The published curves with ours on top, and below them the difference."""
    columns = len(figure.panels)
    rows = 1 + any(panel.apart for panel in figure.panels)
    drawing, axes = plots.panels(rows * columns, columns=columns, width=6.2, height=2.9)
    for place, panel in enumerate(figure.panels):
        overlay(axes[place], figure, panel, published, ours)
        if panel.apart:
            apart(axes[columns + place], figure, panel, published, ours)
    key(drawing, ours)
    return drawing


def places(figure: Figure, count: int) -> np.ndarray:
    """The places of the first `count` points."""
    return np.arange(count) if figure.x is None else np.array(figure.x[:count])


def overlay(axes, figure: Figure, panel, published: dict, ours: dict) -> None:
    """The published curves, wide and pale, with the median of our runs and their 95 % on top."""
    for colour, name in zip(COLOURS, panel.curves, strict=False):
        mine = ours[name]
        x = places(figure, mine.shape[1])
        low, median, high = np.percentile(mine, (2.5, 50, 97.5), axis=0)
        axes.plot(x, published[name][:len(x)], color=colour, **PUBLISHED)
        axes.plot(x, median, color=colour, label=name, **OURS)
        for end in (low, high):
            axes.plot(x, end, color=colour, **SPREAD)
    axes.set(ylabel=panel.ylabel, yscale=panel.yscale)
    axes.set_title("Ours on the published curves", fontsize=10)
    style(axes, figure)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def apart(axes, figure: Figure, panel, published: dict, ours: dict) -> None:
    """Ours − published, in the unit of the panel above."""
    most = 0.0
    for colour, name in zip(COLOURS, panel.curves, strict=False):
        if name in panel.apart:
            apart = ours[name][0] - published[name][:ours[name].shape[1]]
            axes.plot(places(figure, len(apart)), apart, color=colour, label=name, **OURS)
            most = max(most, np.abs(apart).max())
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title(f"At most {most:.2g} apart", fontsize=10)
    axes.set(ylabel="ours − published")
    style(axes, figure)


def key(drawing, ours: dict) -> None:
    """The legend of what is wide, thin and dotted, below the panels."""
    lines = [Line2D([], [], color=INK, label="published", **PUBLISHED),
             Line2D([], [], color=INK, label="ours", **OURS)]
    runs = max(len(values) for values in ours.values())
    if runs > 1:
        lines[1].set_label(f"ours, median of {runs} seeds")
        lines.append(Line2D([], [], color=INK, label="95 % of them", **SPREAD))
    drawing.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def style(axes, figure: Figure) -> None:
    """The horizontal axis."""
    axes.set(xlabel=figure.xlabel, xscale="linear" if figure.x is None else "log")
    if figure.x is None:
        axes.xaxis.get_major_locator().set_params(integer=True)


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
