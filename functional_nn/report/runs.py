"""The report on training runs as a self-contained HTML page: one run, or several side by side."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from functional_nn.report.pages import Card, Section, Table, cell, page
from functional_nn.report.run import MEANING, RISING, Run, letter, panels

__all__ = ["runs_page"]


def runs_page(runs: Sequence[Run]) -> str:
    """The report on runs as an HTML page, which loads nothing from the network.

    It shows how good the runs are, their curves with a cursor that shows the values, whether their
    gradients are right, their pictures, and the options and versions that differ between them.

    Raises a ValueError if there is no run.

    >>> html = runs_page([Run("trees", scores={"r2": 0.5}), Run("<oaks>", scores={"r2": 0.25})])
    >>> "<h1>2 runs</h1>" in html, "&lt;oaks&gt;" in html
    (True, True)
    """
    if not runs:
        raise ValueError("runs must hold at least one run, got none")
    return _one(runs[0]) if len(runs) == 1 else _several(runs)


def _one(run: Run) -> str:
    first = next(iter(run.scores), None)
    title = run.data or run.name
    if first is not None:
        title += f": {first.replace('_', ' ')} {cell(run.scores[first])} on the test rows"
    ended = f"How the run ended: {run.ended}." if run.ended else ""
    sections = [
        *_scores(run), *_curves([run]), _gradients([run]),
        *(Section(picture.heading, figure=picture.png, figure_alt=picture.says)
          for picture in run.pictures),
        *([Section("What to do with it", "RUN stands for the folder of this page.",
                   code="\n\n".join(f"# {what}\n{command}" for what, command in run.commands))]
          if run.commands else []),
        *([Section("The network", code=run.network)] if run.network else []),
        *_options(run),
        *(Section(heading, table=Table(columns, rows)) for heading, columns, rows in run.tables),
        *([Section("Made with", table=Table(("what", "version"), list(run.versions.items())))]
          if run.versions else [])]
    facts = [(name.replace("_", " "), value) for name, value in run.scores.items()]
    return page(title, sections, lead=_told(run.said, ended, *run.notes), facts=facts)


def _scores(run: Run) -> list[Section]:
    guess, what = run.guess
    if not run.scores:
        return []
    columns = ["score", "this run", *(["a guess"] if guess else []), "what it is"]
    rows = [(name.replace("_", " "), value, *([guess.get(name)] if guess else []),
             MEANING.get(name, "")) for name, value in run.scores.items()]
    note = "On the rows kept for the test."
    note += f" The guess looks at no feature: {what}." if guess else ""
    return [Section("How good it is", table=Table(columns, rows, note=note))]


def _options(run: Run) -> list[Section]:
    given = {name: value for name, value in run.options.items() if value not in (None, (), [])}
    if not given:
        return []
    rows = [(name, shown(value), "changed" if name in run.defaults
             and value != run.defaults[name] else "") for name, value in given.items()]
    marked = [(i, j) for i, row in enumerate(rows) if row[2] for j in range(2)]
    return [Section("The options", table=Table(("option", "value", ""), rows, marked=marked))]


def _told(*paragraphs: str) -> str:
    return "\n\n".join(filter(None, paragraphs))


# Several runs --------------------------------------------------------------------------------


def _several(runs: Sequence[Run]) -> str:
    results = [_results(data, [(i, run) for i, run in enumerate(runs) if run.data == data])
               for data in dict.fromkeys(run.data for run in runs)]
    pictures = dict.fromkeys(picture.heading for run in runs for picture in run.pictures)
    differ, same = _compared("options", [run.options for run in runs], runs)
    sections = [
        *results, *differ, *_curves(runs), _gradients(runs),
        *(Section(heading, cards=_cards(heading, runs)) for heading in pictures),
        *([Section("The runs", _told(*(f"{_called(i, run)}: {_told(run.said, *run.notes)}"
                                       for i, run in enumerate(runs) if run.said)))]
          if any(run.said for run in runs) else []),
        *same, *itertools.chain(*_compared("versions", [run.versions for run in runs], runs))]
    lead = ("The runs of each data set are sorted by their best score on the validation rows, and "
            "the best is marked." if any(run.measure for run in runs) else "")
    return page(f"{len(runs)} runs", sections, lead=lead)


def _called(place: int, run: Run) -> str:
    return f"{letter(place)} {run.name}"


def _results(data: str, runs: Sequence[tuple[int, Run]]) -> Section:
    """The runs of a data set as a table, the best one first."""
    measure = next((run.measure for _, run in runs if run.measure), "")
    ranked = sorted(runs, key=lambda pair: _rank(pair[1], measure))
    first = _rank(ranked[0][1], measure)
    best = [len(runs) > 1 and math.isfinite(first[0]) and _rank(run, measure) == first
            for _, run in ranked]
    columns = {"run": ["★ " * top + _called(i, run)
                       for top, (i, run) in zip(best, ranked, strict=True)]}
    told = [run for _, run in ranked]
    if measure:
        columns[f"best validation {measure}"] = [_best(run, measure) for run in told]
    columns["best epoch"] = [run.best_epoch or None for run in told]
    columns["epochs"] = [len(run.history.get("epoch", ())) or None for run in told]
    for name in dict.fromkeys(name for run in told for name in run.scores):
        columns[name.replace("_", " ")] = [run.scores.get(name) for run in told]
    columns |= {"seconds": [run.seconds for run in told], "how it ended": [
        run.ended for run in told]}
    columns = {name: values for name, values in columns.items() if any(
        value is not None for value in values)}
    note = ("Scores without “validation” are those on the rows kept for the test."
            if measure and any(run.scores for run in told) else "")
    return Section(f"Results on {data}" if data else "Results", table=Table(
        list(columns), list(zip(*columns.values(), strict=True)), note=note,
        marked=[(row, i) for row, top in enumerate(best) if top for i in range(len(columns))]))


def _best(run: Run, measure: str) -> float | None:
    values = [value for value in run.history.get(f"validation_{measure}", ())
              if value is not None and math.isfinite(value)]
    return (max if RISING.get(measure) else min)(values, default=None)


def _rank(run: Run, measure: str) -> tuple[float, float]:
    """What runs are sorted by: their best score, and where that is equal their lowest cost."""
    score, cost = _best(run, measure), _best(run, "cost")
    return (math.inf if score is None else -score if RISING.get(measure) else score,
            math.inf if cost is None else cost)


def _curves(runs: Sequence[Run]) -> list[Section]:
    found = panels(runs)
    if not found:
        return []
    main = [panel for panel in found if panel.rising is not None]
    others = [panel for panel in found if panel.rising is None]
    text = ("A circle marks the best epoch of a run. Move over a picture, or choose it with the "
            "Tab key and press ← and →, and the tables show the values there; Esc leaves it.")
    apart = {run.loss for run in runs if "cost" in run.history}
    text += (" Costs of different losses have pictures of their own, as they cannot be compared."
             if len(apart) > 1 else "")
    sections = [Section("Learning curves", text, curves=main)] if main else []
    return sections + ([Section("Further curves", "" if main else text, curves=others)]
                       if others else [])


def _gradients(runs: Sequence[Run]) -> Section:
    """The section that says whether the gradients of the runs are right."""
    text = "The hand-written backward pass of the run's network, on rows that it was trained on."
    word = {True: "✓ right", False: "✗ WRONG", None: "not checked"}
    rows = [(*([_called(i, run)] if len(runs) > 1 else []), word[run.gradient.right],
             run.gradient.text) for i, run in enumerate(runs)]
    columns = (*(["run"] if len(runs) > 1 else []), "gradient", "what fnn.verify says")
    return Section("The gradient", text, table=Table(columns, rows))


def _compared(
    what: str, given: Sequence[Mapping[str, Any]], runs: Sequence[Run]
) -> tuple[list[Section], list[Section]]:
    """The sections of what differs between runs, with the odd ones marked, and of what is equal.

    Runs are compared with those of the same program; an entry that one of them lacks, as a run of
    an older version may, stands as a dash.
    """
    kinds = _of_one_program(given)
    apart, alike = [], []
    for places in kinds:
        of = f" of {', '.join(map(letter, places))}" * (len(kinds) > 1)
        names = dict.fromkeys(name for i in places for name in given[i])
        rows = {name: [shown(given[i].get(name)) for i in places] for name in names}
        differ = {name: row for name, row in rows.items() if len(set(row)) > 1}
        same = [(name, row[0]) for name, row in rows.items() if name not in differ]
        if differ:
            apart.append(Section(f"The {what}{of} that differ", table=Table(
                (what.removesuffix("s"), *(_called(i, runs[i]) for i in places)),
                [(name, *row) for name, row in differ.items()], marked=_odd(differ.values()),
                note="Marked is what differs from most runs, or from the first one.")))
        if same:
            are = " that are the same" * (len(places) > 1)
            alike.append(Section(f"The {what}{of}{are}", table=Table(
                (what.removesuffix("s"), "value"), same, folded=f"show {len(same)} {what}")))
    return apart, alike


def _of_one_program(given: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """The places of the runs, together if they share more than half of the names of their entries.

    Versions of one program differ in a few names; other programs have hardly any in common.
    """
    kinds: list[list[int]] = []
    for i, one in enumerate(given):
        for places in kinds:
            first = given[places[0]].keys()
            if first == one.keys() or 2 * len(first & one.keys()) > len(first | one.keys()):
                places.append(i)
                break
        else:
            kinds.append([i])
    return kinds


def _odd(rows: Iterable[Sequence[str]]) -> list[tuple[int, int]]:
    """The cells that differ from the most frequent one of their row; the first column is a name."""
    return [(i, 1 + j) for i, row in enumerate(rows) for j, value in enumerate(row)
            if value != Counter(row).most_common(1)[0][0]]


def shown(value: Any) -> str:
    """An option as a page writes it.

    >>> shown((64, 32)), shown(1e-05), shown(None), shown(False)
    ('64,32', '1e-05', '–', 'no')
    """
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value)) or "–"
    return cell(value) if value is None or isinstance(value, bool) else str(value)


def _cards(heading: str, runs: Sequence[Run]) -> list[Card]:
    return [Card(_called(i, run), text=picture.says, picture=picture.png)
            for i, run in enumerate(runs) for picture in run.pictures if picture.heading == heading]


