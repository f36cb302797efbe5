"""The pictures of a run and its report.html, where the extra [plots] is installed."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn.cli.job import Job
from functional_nn.cli.judged import Judged, scored, units
from functional_nn.network import summary
from functional_nn.training import Result
from functional_nn.writing import file_beside

REPORT, CURVES, CONFUSION, PREDICTIONS = (
    "report.html", "learning_curves.png", "confusion.png", "predictions.png")


def written(job: Job, epochs: int) -> list[str]:
    """The names of the files that `write` writes for a run of so many epochs."""
    try:
        from functional_nn import plots, report  # noqa: F401
    except ModuleNotFoundError:
        return []
    judged = CONFUSION if job.dataset.class_names else PREDICTIONS
    return [REPORT, judged, *([CURVES] if epochs else [])]


def write(folder: Path, job: Job, result: Result, record: dict[str, Any], test: Judged) -> None:
    """Write the pictures and report.html into the folder of a run, where matplotlib is there.

    Args:
      folder: the folder of the run.
      job: the parts of the run.
      result: the result of `fit`.
      record: the content of summary.json.
      test: the evaluation on the test rows.
    """
    try:
        from functional_nn import plots, report
    except ModuleNotFoundError:
        return
    from functional_nn.cli.records import trained  # here, as it needs jinja2

    for name, figure in _figures(job, result, test, plots):
        with file_beside(folder / name) as partial:
            partial.write_bytes(plots.png(figure))
    run = trained(folder, folder.resolve().name, record)
    report.write(folder / REPORT, report.runs_page([told(run, job, record["reason"])]))


def told(run, job: Job, reason: str = ""):
    """The `report.Run` with what its data and its network tell; `reason` says why it ended."""
    return dataclasses.replace(
        run, data=job.dataset.name, said=str(job.dataset), loss=job.loss.name, guess=guess(job),
        notes=_notes(job), commands=_commands(job, reason), tables=_tables(job),
        network=summary(job.net))


def _figures(job: Job, result: Result, test: Judged, plots):
    """The pictures of a run: (file, figure)."""
    data = job.dataset
    if len(result.history.get("epoch", ())):
        yield CURVES, plots.learning_curves({data.name: result.history})
    if test.confusion is not None:
        wrong = np.flatnonzero(test.predicted != data.y_test)
        raw = (data.x_test if data.standardizer is None
               else data.x_test * data.standardizer.deviation + data.standardizer.mean)
        images = None if data.image_shape is None else raw[wrong].reshape(-1, *data.image_shape)
        yield CONFUSION, plots.confusion(test.confusion, data.class_names, images,
                                         data.y_test[wrong], test.predicted[wrong])
    elif test.predicted is not None:
        yield PREDICTIONS, plots.predictions(data.y_test, test.predicted, _target(job))


def _target(job: Job) -> str:
    return job.dataset.target or "target"


def guess(job: Job) -> tuple[dict[str, float], str]:
    """The scores on the test rows of a guess that looks at no feature, and what it guesses."""
    data = job.dataset
    if data.class_names:
        common = int(np.bincount(data.y_train).argmax())
        shares = np.bincount(data.y_train, minlength=len(data.class_names)) / len(data.y_train)
        outputs = np.tile(shares, (len(data.y_test), 1))
        return (scored(outputs, data.y_test, "classes"),
                f"always {data.class_names[common]!r}, the most frequent class of the training "
                "rows, with the shares of the classes there as probabilities")
    mean = float(np.mean(data.y_train, dtype=np.float64))
    return (scored(np.full((len(data.y_test), 1), mean), data.y_test, "values"),
            f"always {mean:.4g}, the mean of the training rows")


def _notes(job: Job) -> list[str]:
    notes = [] if job.config.start is None else [f"It started from the network of "
                                                 f"{job.config.start}."]
    if job.dataset.scale is not None:
        notes.append(units(job.dataset.target, job.loss))
    return notes


def _commands(job: Job, reason: str) -> list[tuple[str, str]]:
    classes = " --probabilities" if job.dataset.class_names else ""
    commands = [("predict new rows", f"functional-nn predict RUN new_rows.csv{classes}"),
                ("judge it on the rows kept for the test again", "functional-nn evaluate RUN")]
    if job.dataset.encoder is not None:
        commands.append(("judge it on other labelled rows",
                         "functional-nn evaluate RUN labelled_rows.csv"))
    commands.append(
        ("go on with the run", "functional-nn resume RUN") if reason in ("", "interrupted")
        else ("train its network on, with a new learning rate",
              "functional-nn train --from RUN --learning-rate 0.001"))
    return [*commands, ("use it in Python", "import functional_nn as fnn\n"
                        'fnn.handover.load("RUN/model").predict("new_rows.csv")')]


def _tables(job: Job) -> list[tuple[str, tuple[str, ...], list[tuple]]]:
    """Tables of the data: the features, and for classes how many rows there are of each."""
    data = job.dataset
    x = data.x_train.astype(np.float64)
    fitted = data.standardizer
    mean, deviation = ((x.mean(0), x.std(0)) if fitted is None else (fitted.mean, fitted.deviation))
    tables = [("The features", ("feature", "mean", "deviation"),
               list(zip(data.feature_names, mean.tolist(), deviation.tolist(), strict=True)))]
    if data.class_names:
        counts = [np.bincount(y, minlength=len(data.class_names)).tolist()
                  for y in (data.y_train, data.y_test)]
        tables.append(("The classes", ("class", "training rows", "test rows"),
                       list(zip(data.class_names, *counts, strict=True))))
    return tables
