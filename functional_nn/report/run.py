"""What a page tells of a training run, and its curves."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from functional_nn.report.curves import Line, Panel
from functional_nn.report.pages import cell

__all__ = ["MEANING", "Picture", "Run", "Verdict", "letter", "panels"]

UNITS = ("epoch", "step")  # what the rows of a history are counted in
RISING = {"cost": False, "accuracy": True, "rmse": False, "mae": False}
"""What a run is judged by -> whether its largest value is the best."""
MEANING = {
    "accuracy": "share of the rows whose class is right",
    "balanced_accuracy": "mean over the classes of the share that is right",
    "f1": "mean over the classes of the harmonic mean of precision and recall",
    "log_loss": "mean of −ln of the probability given to the right class: 0 is perfect",
    "roc_auc": "chance that a row of a class gets a higher probability of it than another row",
    "r2": "share of the target's variance that is explained: 1 is perfect, 0 is the mean",
    "mae": "mean size of an error, in the unit of the target",
    "rmse": "root of the mean squared error, in the unit of the target",
}


class Picture(NamedTuple):
    """A picture of a run: its heading, its PNG, and what it shows in words."""

    heading: str
    png: bytes
    says: str


class Verdict(NamedTuple):
    """What the check of a run's gradient says: whether it is right, None if it was not checked."""

    right: bool | None
    text: str


UNCHECKED = Verdict(None, "not checked")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a page tells of a run; whatever is not known is left out.

    Attributes:
      name: how the page calls the run, such as its folder.
      data: the name of the data.
      said: the data, or what was found, in a sentence.
      ended: why the run ended, in a sentence, or that it goes on.
      loss: the name of the loss, the unit of the cost.
      history: column -> values, a row an epoch or a step; "epoch" or "step" counts them.
      best_epoch: the number of the best epoch; 0 for none.
      seconds: how long the run took, or None.
      scores: metric -> value on the test rows.
      guess: the same metrics of the guess that uses no feature, and what that guess is.
      gradient: what the check of its gradient says.
      notes: further sentences, each a paragraph.
      pictures: pictures of the run.
      commands: (what for, command) pairs.
      tables: tables of the data: a heading, the names of the columns, and the rows.
      network: the network as a text table.
      options: option -> value.
      defaults: option -> default value, for the options that have one.
      versions: what the numbers depend on, by name.
    """

    name: str
    data: str = ""
    said: str = ""
    ended: str = ""
    loss: str = ""
    history: Mapping[str, Sequence[float | None]] = dataclasses.field(default_factory=dict)
    best_epoch: int = 0
    seconds: float | None = None
    scores: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    guess: tuple[Mapping[str, float], str] = ({}, "")
    gradient: Verdict = UNCHECKED
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    commands: Sequence[tuple[str, str]] = ()
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[Any]]]] = ()
    network: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What the rows of the history are counted in; "" if there is none."""
        return next((unit for unit in UNITS if len(self.history.get(unit, ()))), "")

    @property
    def measure(self) -> str:
        """What the run is judged by: accuracy, else rmse, else its cost, of the validation rows.

        It is "" for a run without validation rows.
        """
        return next((name for name in ("accuracy", "rmse", "cost")
                     if f"validation_{name}" in self.history), "")


def letter(run: int) -> str:
    """How the pictures and tables of a page call the run at a place: A, B, …, Z, AA, …

    >>> [letter(run) for run in (0, 25, 26)]
    ['A', 'Z', 'AA']
    """
    return ("" if run < 26 else letter(run // 26 - 1)) + chr(ord("A") + run % 26)


def panels(runs: Sequence[Run]) -> list[Panel]:
    """The pictures of the curves of all runs: the costs, the scores, and then what else there is.

    Those of `RISING` come first. Curves stand in one picture if their values can be compared: costs
    of the same loss, and errors in the unit of the same target.

    >>> run = Run("a", history={"epoch": [1, 2], "cost": [0.5, 0.25], "validation_cost": [1, 2]})
    >>> [panel.heading for panel in panels([run])]
    ['Cost: best 1 on the validation rows, at epoch 1']
    """
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for place, run in enumerate(runs):
        for quantity, lines in _lines(place, run).items():
            groups.setdefault((quantity, _unit_of(quantity, run), run.unit), []).extend(lines)
    names = ([(letter(i), run.name) for i, run in enumerate(runs)] if len(runs) > 1
             else [("", run.data or run.name) for run in runs])  # a page stays true if it is moved
    several = {quantity for quantity, unit, _ in groups
               if sum(other == quantity for other, *_ in groups) > 1}
    order = list(RISING)
    keys = sorted(groups, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    return [_panel(key, groups[key], names, key[0] in several) for key in keys]


def _lines(place: int, run: Run) -> dict[str, list[Line]]:
    """Quantity -> its lines, the one of the validation rows last."""
    found: dict[str, list[Line]] = {}
    columns = [name for name in run.history if name not in UNITS] if run.unit else []
    for column in sorted(columns, key=lambda name: name.startswith("validation_")):
        quantity = column.removeprefix("validation_")
        both = {quantity, f"validation_{quantity}"} <= set(columns)
        role = ("validation" if column != quantity else
                "training" if both or quantity == "cost" else "value")
        best = run.best_epoch if quantity in RISING and (column != quantity or not both) else 0
        found.setdefault(quantity, []).append(
            Line(place, role, run.history[run.unit], run.history[column], best))
    return found


def _unit_of(quantity: str, run: Run) -> str:
    """What the values of a quantity are measured in, so far as that differs from run to run."""
    if quantity == "cost":
        return run.loss
    return run.data if quantity in ("rmse", "mae") else ""


def _panel(
    key: tuple[str, str, str], lines: Sequence[Line], names: Sequence[tuple[str, str]],
    several: bool
) -> Panel:
    quantity, of, unit = key
    said = quantity.replace("_", " ")
    label = f"{said} ({of})" if of and quantity == "cost" else said
    panel = Panel("", label, unit, lines, names, RISING.get(quantity))
    held = [line for line in lines if line.role == "validation"] or lines
    found = {line.run: best for line in held if (best := panel.best(line.run))}
    heading = said.capitalize() + (f" ({of.replace('_', ' ')})" if of and several else "")
    if found:
        pick = max if panel.rising else min
        run = pick(found, key=lambda run: found[run][0])
        value, at = found[run]
        judged = " on the validation rows" * (held[0].role == "validation")
        whose = f" ({names[run][0]})" if len(names) > 1 else ""
        heading += f": best {cell(value)}{judged}, at {unit} {at:,}{whose}"
    return dataclasses.replace(panel, heading=heading)
