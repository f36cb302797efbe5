"""`functional-nn predict` and `describe`: the commands for a trained run."""

import csv
import dataclasses
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn import console, handover
from functional_nn.arguments import joined
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.judged import units
from functional_nn.cli.options import flag
from functional_nn.cli.usage import RIGHT, WRONG, Unusable, command, quoted
from functional_nn.console import print
from functional_nn.data.archives import read_npy
from functional_nn.data.cells import Format
from functional_nn.data.files import listed, read_bytes
from functional_nn.data.rows import parsed
from functional_nn.network import summary
from functional_nn.records import text
from functional_nn.writing import file_beside, printable, shown


def predict(
    run: Path, rows: Path, probabilities: bool = False, unknown: str = "refuse",
    out: Path | None = None, json: bool = False
) -> int:
    """Write the predictions for new rows as CSV or JSON; the options are those of `Predict`."""
    if out is not None and out.exists():
        raise Unusable(f"{out} exists already; choose another --out")
    if out is not None and not out.parent.is_dir():
        raise Unusable(
            f"{out} cannot be written: there is no folder {out.parent}; choose another --out")
    model = _model(run)
    if probabilities and not model.class_names:
        raise Unusable("--probabilities is for classes, and this model predicts numbers; "
                       "leave it out")
    if rows == Path("-") or rows.is_fifo() or rows.is_char_device():
        encoder = model.data.encoder
        form = Format(header=True) if encoder is None else encoder.format
        given = parsed("standard input", _piped(rows), form,
                       text=() if encoder is None else encoder.categories)
    elif not rows.is_file():
        names = model.feature_names if model.data.encoder is None else model.data.encoder.names
        raise Unusable(f"{rows} is no file; name a CSV file with the columns {listed(names, 6)}")
    elif rows.suffix.lower() == ".npy":
        given = read_npy(rows.name, read_bytes(rows))
    else:
        given = rows
    outputs = model.outputs(given, unknown)
    skipped = np.isnan(outputs).all(axis=1)
    table = [{"prediction": None if skip else value}
             for value, skip in zip(model.chosen(outputs).tolist(), skipped, strict=True)]
    if probabilities:
        for row, p, skip in zip(table, _by_class(outputs).tolist(), skipped, strict=True):
            row |= {f"p({name})": None if skip else value
                    for name, value in zip(model.class_names, p, strict=True)}
    told = out is None and sys.stdout.isatty()
    _put(text(table) + "\n" if json else _csv(table, printable if told else str), out)
    if skipped.any():
        print(f"{skipped.sum()} of {len(skipped)} rows have no prediction, as they hold unknown "
              f"categories or miss values; the first is row {skipped.argmax() + 1}",
              file=sys.stderr)
    return WRONG if skipped.any() else RIGHT


def _piped(rows: Path) -> bytes:
    return sys.stdin.buffer.read() if rows == Path("-") else rows.read_bytes()


def _model(run: Path) -> handover.Model:
    """The model in the folder of a run, or in a folder of its own."""
    if not run.is_dir():
        raise Unusable(
            f"{run} is no folder; name one that functional-nn train wrote, or the model/ in it")
    is_run = any((run / name).exists() for name in (folders.CONFIG, folders.MODEL))
    return handover.load(folders.part(run, folders.MODEL) if is_run else run)


def _by_class(outputs: np.ndarray) -> np.ndarray:
    """The probability of each class, (rows, classes); a single output is that of the second one."""
    return outputs if outputs.shape[1] > 1 else np.column_stack([1 - outputs[:, 0], outputs[:, 0]])


def _csv(table: list[dict[str, Any]], written: Callable[[str], str]) -> str:
    """The table as CSV, with `written` applied to every text."""
    rows = [list(table[0]) if table else ["prediction"], *(row.values() for row in table)]
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(
        [written(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return file.getvalue()


def _put(text: str, out: Path | None) -> None:
    if out is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")  # the same bytes as in a file
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    with file_beside(out) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"wrote {out}", file=sys.stderr)


def describe(run: Path, json: bool = False) -> int:
    """Print the options, network, history and result of a run; the options are `Describe`."""
    config = configuration.read(folders.part(run, folders.CONFIG))
    history = folders.rows(run / folders.METRICS)
    record = folders.record(run)
    if record is not None and record["epochs"] != len(history):
        record = None  # it is of an earlier end: the run was resumed and has not ended again
    if json:
        print(text({"config": vars(config), "history": history, "summary": record}))
        return RIGHT
    model = (handover.load(run / folders.MODEL) if (run / folders.MODEL).is_dir()
             else None)
    options = [_option(field, getattr(config, field.name)) for field in dataclasses.fields(config)
               if not field.metadata["place"] and getattr(config, field.name) != field.default]
    print("options  " + (" ".join(options) or "as they stand"))
    print(f"data     {printable(config.data)}")
    if model is not None:
        print(summary(model.net))
    best = 0 if record is None else record["best_epoch"]
    print("\n" + _history_text(history, best) if history else "no epoch is finished yet")
    if record is None or record["reason"] == "interrupted":
        print(f"\n{printable(record['stopped']) if record else 'unfinished'}; "
              f"go on with: {command('resume', shown(run))}")
    else:
        print(f"\nended    {printable(record['stopped'])}")
    if record is not None:
        print(f"best     epoch {record['best_epoch']}" if record["best_epoch"]
              else "best     none: no epoch is finished")
        print(f"model    {folders.kept(record)}")
        print("test     " + "  ".join(
            f"{printable(name)} {_number(value)}" for name, value in record["test"].items()))
    if model is not None and model.data.scale is not None:
        print(f"units    {units(_target(run), model.loss)}")
    print("files    " + ", ".join(sorted(
        printable(path.name) for path in run.iterdir() if not path.name.startswith("."))))
    return RIGHT


def _target(run: Path) -> str:
    """The name of the target column of a run, as rows.npz has it; "" if that is gone."""
    try:
        return str(folders.read_rows(run)["target"])
    except Unusable:
        return ""


def _option(field: dataclasses.Field, value: Any) -> str:
    """An option with its value, as it can be given to train."""
    name = flag(field)
    if isinstance(value, bool):
        return name if value else f"--no-{name[2:]}"
    return f"{name} {quoted(joined(value) if isinstance(value, tuple) else str(value))}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _history_text(history: list[dict[str, Any]], best: int, lines: int = 8) -> str:
    """A table of `lines` evenly spaced epochs at most, and of the best one if it is not among them.

    The first and the last epoch are among them; `best` is 0 where there is none.
    """
    spaced = {round(i * (len(history) - 1) / max(1, lines - 1)) for i in range(lines)}
    chosen = sorted(spaced | {i for i, row in enumerate(history) if row["epoch"] == best})
    names = list(history[0])
    rows = [[name.replace("validation_", "val. ") for name in names]]
    rows += [[_number(history[i].get(name)) for name in names] for i in chosen]
    return console.table(rows, numbers=range(len(names)))
