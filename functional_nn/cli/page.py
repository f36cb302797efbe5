"""The pictures of a run and its report.html, where the extra [plots] is installed."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn.arguments import joined
from functional_nn.cli.config import Config
from functional_nn.cli.folder import kept
from functional_nn.cli.job import Job
from functional_nn.cli.judged import Judged, scored, units
from functional_nn.cli.options import flag
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
    pictures = []
    for name, figure, heading, says in _figures(job, result, test, plots):
        png = plots.png(figure)
        with file_beside(folder / name) as partial:
            partial.write_bytes(png)
        pictures.append(report.Picture(heading, png, says))
    report.write(folder / REPORT, report.run_page(report.RunRecord(
        name=job.dataset.name, said=str(job.dataset), ended=f"{record['stopped']}; {kept(record)}",
        scores=test.scores, guess=guess(job), notes=_notes(job), pictures=pictures,
        commands=_commands(job, record), tables=_tables(job), network=summary(job.net),
        options=_options(job.config), versions=record["versions"])))


def _figures(job: Job, result: Result, test: Judged, plots):
    """The pictures of a run: (file, figure, heading, what it shows)."""
    data = job.dataset
    if len(result.history.get("epoch", ())):
        yield (CURVES, plots.learning_curves({data.name: result.history}), "How it learnt",
               "Cost and score over the epochs, on the rows learnt from and on those kept for "
               "validation.")
    if test.confusion is not None:
        wrong = np.flatnonzero(test.predicted != data.y_test)
        raw = (data.x_test if data.standardizer is None
               else data.x_test * data.standardizer.deviation + data.standardizer.mean)
        images = None if data.image_shape is None else raw[wrong].reshape(-1, *data.image_shape)
        yield (CONFUSION, plots.confusion(test.confusion, data.class_names, images,
                                          data.y_test[wrong], test.predicted[wrong]),
               "What it takes for what", "How many test rows of each class were taken for which.")
    elif test.predicted is not None:
        yield (PREDICTIONS, plots.predictions(data.y_test, test.predicted, _target(job)),
               "Predicted and true values",
               "The predicted value of every test row over the true one, and how often there is an "
               "error of which size.")


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


def _commands(job: Job, record: dict[str, Any]) -> list[tuple[str, str]]:
    classes = " --probabilities" if job.dataset.class_names else ""
    commands = [("predict new rows", f"functional-nn predict RUN new_rows.csv{classes}"),
                ("judge it on the rows kept for the test again", "functional-nn evaluate RUN")]
    if job.dataset.encoder is not None:
        commands.append(("judge it on other labelled rows",
                         "functional-nn evaluate RUN labelled_rows.csv"))
    commands.append(
        ("go on with the run", "functional-nn resume RUN") if record["reason"] == "interrupted"
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


def _options(config: Config) -> list[tuple[str, Any, bool]]:
    """The options that have a value: their names, values, and whether that is the default."""
    shown = []
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        if value not in (None, ()):
            name = field.metadata["metavar"] if field.metadata["place"] else flag(field)
            shown.append((name, joined(value) if isinstance(value, tuple) else value,
                          value == field.default))
    return shown
