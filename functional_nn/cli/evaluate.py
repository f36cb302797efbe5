"""`functional-nn evaluate`: how good a run is on rows that it was not trained on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from functional_nn import console, handover
from functional_nn.cli import assembly
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.judged import judged, units
from functional_nn.cli.usage import RIGHT, Unusable, command, quoted
from functional_nn.console import print
from functional_nn.data.columns import labelled
from functional_nn.data.fingerprints import find, fingerprints
from functional_nn.data.rows import as_table
from functional_nn.objective import objective
from functional_nn.records import text
from functional_nn.writing import printable


class Labelled(NamedTuple):
    """Rows with their targets: x (n, features) as in the file, y (n,), and what to say of them.

    What is missing in x is NaN.
    """

    x: np.ndarray
    y: np.ndarray
    said: str
    notes: tuple[str, ...]


def evaluate(run: Path, rows: Path | None = None, json: bool = False) -> int:
    """Print how good a run is on rows of its test or of a file; the options are `Evaluate`."""
    read = configuration.of_run if rows is None else configuration.read
    config = read(folders.part(run, folders.CONFIG))
    model = handover.load(folders.part(run, folders.MODEL))
    known = folders.read_rows(run)
    chosen = _test_rows(run, config, model, known) if rows is None else _given(rows, model, known)
    encoder, standardizer = model.data.encoder, model.data.standardizer
    x = chosen.x if encoder is None or encoder.fill is None else encoder.filled(chosen.x)
    x = x if standardizer is None else standardizer(x)
    scores, _, table = judged(objective(model.net, model.loss), model.params,
                              x.astype(np.float32), chosen.y, model.data.scale)
    if json:
        print(text({"rows": len(chosen.y), "scores": scores, "confusion": table,
                    "notes": chosen.notes}))
        return RIGHT
    print(f"{len(chosen.y)} {printable(chosen.said)}")
    for name, value in scores.items():
        print(f"  {name:<18} {value:.4f}")
    if table is not None and len(table) <= 20:
        print("\ntrue class, and what it was taken for:\n"
              + _confusion_text(table, model.class_names))
    if model.data.scale is not None:
        print(f"units    {units(str(known['target']), model.loss)}")
    for note in chosen.notes:
        print(f"note     {printable(note)}")
    return RIGHT


def _test_rows(run: Path, config, model: handover.Model, known: dict) -> Labelled:
    """The rows that were kept for the test, recognised by their fingerprints.

    The data file may have been sorted, or have new rows: neither changes which rows these are.
    Raises an `Unusable` if some of them are not there any more.
    """
    data = assembly.load_data(config)
    if (data.feature_names, data.class_names) != (model.feature_names, model.class_names):
        raise Unusable(
            f"{config.data} must have the columns and classes that {run / folders.MODEL} was "
            "trained on, got others; give it back as it was, or train anew with --config "
            f"{quoted(run / folders.CONFIG)}")
    x = np.concatenate(assembly.unfilled(data))
    y = np.concatenate([data.y_train, data.y_test])
    there = fingerprints(x, y, data.class_names)
    places = find(known["test"], there)
    lost = len(known["test"]) - len(places)
    if lost:
        raise Unusable(
            f"{config.data} must hold the {len(known['test'])} rows that were kept for the test, "
            f"got a file that has changed since: {lost} of them are not in it. Give the file back "
            f"as it was, or name labelled rows: {command('evaluate', run)} ROWS")
    new = len(there) - len(find(np.concatenate([known["train"], known["test"]]), there))
    notes = (f"{new} rows of {config.data} are new since the run began, and are not scored",
             ) if new else ()
    return Labelled(x[places], y[places], f"test rows of {data.name}", notes)


def _given(rows: Path, model: handover.Model, known: dict) -> Labelled:
    """The rows of a file of the user's, without those that the run was trained on."""
    if model.data.encoder is None:
        raise Unusable(f"ROWS are for a run that was trained on a CSV file, and this one was "
                       f"trained on {model.data.name}; leave them out")
    encoder = model.data.encoder
    table = as_table(rows, encoder.format, encoder.categories)
    x, y = labelled(table, encoder, str(known["target"]), model.class_names)
    if encoder.fill is None:
        encoder(table)  # refuses missing values
    seen = np.zeros(len(y), bool)
    x = x.astype(str(known["dtype"]))  # as the training rows were
    own = fingerprints(x, y, model.class_names)
    seen[find(known["train"], own)] = True
    if seen.all():
        raise Unusable(f"{rows} must hold rows that the run was not trained on, got none; name "
                       "other rows")
    notes = (f"{seen.sum()} of {len(seen)} rows were trained on, and are not scored",
             ) if seen.any() else ()
    return Labelled(x[~seen], y[~seen], f"rows of {rows.name}", notes)


def _confusion_text(table: np.ndarray, names) -> str:
    """The confusion matrix as text; rows are true classes, columns are predicted ones by number."""
    numbers = range(len(names))
    lines = [(printable(name)[:24], str(i), *(str(count or "·") for count in row))
             for i, name, row in zip(numbers, names, table.tolist(), strict=True)]
    return console.table([("", "", *map(str, numbers)), *lines], numbers=range(1, len(names) + 2))
