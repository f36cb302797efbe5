"""Runs as a report shows them, read from the folders that `train` or an experiment wrote."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from functional_nn import backprop, handover, verify
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.config import FIELDS
from functional_nn.cli.job import Job, course
from functional_nn.cli.options import flag
from functional_nn.cli.usage import Unusable
from functional_nn.network import summary
from functional_nn.report import Picture, Run, Verdict
from functional_nn.report.run import UNITS
from functional_nn.training.sources import examples

RESULTS = "results.json"  # of an experiment
CHECKED = 8  # the debugger looks at so many examples
PICTURES = {
    "confusion.png": "What it takes for what",
    "predictions.png": "Predicted and true values"}
SAID = {
    "confusion.png": "How many test rows of each class were taken for which.",
    "predictions.png": "The predicted value of every test row over the true one, and how often "
                       "there is an error of which size."}


def is_run(folder: Path) -> bool:
    """Whether a folder holds something that a report can show."""
    return any((folder / name).is_file() for name in (
        folders.CONFIG, folders.METRICS, folders.SUMMARY, RESULTS))


def is_trained(folder: Path) -> bool:
    """Whether `train` wrote the folder, and no experiment."""
    return set(_object(folder / folders.CONFIG)) <= set(FIELDS) and not (
        folder / RESULTS).exists() and (folder / folders.CONFIG).is_file()


def trained(folder: Path, name: str, record: Mapping[str, Any] | None = None) -> Run:
    """The run that `train` wrote into a folder; `record` is its summary.json if not written yet.

    Raises an `Unusable` for a file that is not as the run wrote it.
    """
    config = configuration.read(folder / folders.CONFIG)
    rows = folders.rows(folder / folders.METRICS)
    record = record or folders.record(folder)
    if record is not None and record["epochs"] != len(rows):
        record = None  # it is of an earlier end: the run was resumed and has not ended again
    found = handover.load(folder / folders.MODEL) if (folder / folders.MODEL).is_dir() else None
    ended = (f"{record['stopped']}; {folders.kept(record)}" if record else
             f"unfinished, {len(rows)} of {config.epochs} epochs are done")
    return Run(
        name, data=Path(config.data).name, ended=ended,
        loss=config.loss or ("" if found is None else found.loss.name),
        history=_columns(folder / folders.METRICS, rows),
        best_epoch=record["best_epoch"] if record else 0,
        seconds=_number(record.get("seconds")) if record else None,
        scores=record["test"] if record else {},
        pictures=_pictures(folder, PICTURES) if record else (),
        network="" if found is None else summary(found.net),
        options={_option(field): getattr(config, field.name) for field in FIELDS.values()},
        defaults={_option(field): field.default for field in FIELDS.values()},
        versions=_texts(record.get("versions")) if record else {})


def _option(field) -> str:
    return field.metadata["metavar"] if field.metadata["place"] else flag(field)


def experiments(folder: Path, name: str) -> list[Run]:
    """The runs of a folder that an experiment wrote: one for each curve, or one without curves.

    The lines of a metrics.jsonl belong to one curve if their texts, such as the name of the
    optimiser, are equal. Raises an `Unusable` for a file that is not as an experiment wrote it.
    """
    results, config = _object(folder / RESULTS), _object(folder / folders.CONFIG)
    results = results or _object(folder / folders.SUMMARY)
    options = {**_mapping(results.get("config")), **config}
    versions = {**_texts(results.get("versions")), **_texts(options.pop("versions", {}))}
    options.pop("out", None)
    scores = {key: value for key, value in results.items()
              if type(value) in (int, float) and key != "seconds"}
    pictures = [str(entry) for entry in _list(results.get("pictures"))]
    known = {"said": str(results.get("finding", "")), "options": options,
             "versions": versions,
             "data": str(options.get("data", name) or name), "ended": "an experiment",
             "pictures": _pictures(folder, {file: Path(file).stem.replace("_", " ").capitalize()
                                            for file in pictures if Path(file).name == file})}
    path = folder / folders.METRICS
    curves = _curves(path)
    if not curves:
        return [Run(name, scores=scores, seconds=_number(results.get("seconds")), **known)]
    return [Run(f"{name}: {curve}" if curve else name, history=_columns(path, rows), **known)
            for curve, rows in curves.items()]


def _curves(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What tells a curve from the others of a metrics.jsonl -> its rows; none without epochs.

    Where the epochs begin anew, a further curve begins.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    unit, parts = "", {}
    for number, row in _lines(path):
        if not isinstance(row, dict):
            raise Unusable(f"{path}, line {number} must be a JSON object, got something else")
        unit = unit or next((name for name in UNITS if type(row.get(name)) is int), "")
        if type(row.get(unit)) is not int:
            return {}
        texts = ", ".join(str(value) for value in row.values() if isinstance(value, str | bool))
        numbers = {key: value for key, value in row.items()
                   if value is None or type(value) in (int, float)}
        part = parts.setdefault(texts, 1)
        name = texts if part == 1 else f"{texts} ({part})".strip()
        if name in found and row[unit] <= found[name][-1][unit]:
            parts[texts] = part + 1
            name = f"{texts} ({part + 1})".strip()
        found.setdefault(name, []).append(numbers)
    return found


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The number and the content of every line; a last one without an end is skipped."""
    if not path.is_file():
        return
    text = path.read_bytes().decode("utf-8", "replace")
    for number, part in enumerate(text.split("\n")[:-1], start=1):
        row = None
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(part)
        yield number, row


def _columns(path: Path, rows: list[dict[str, Any]]) -> dict[str, list[float | None]]:
    """Column -> values; a column that some rows lack has None there.

    Raises an `Unusable` for a whole number that no float can hold.
    """
    if any(isinstance(value, int) and abs(value) > 2**1000
           for row in rows for value in row.values()):
        raise Unusable(f"{path} holds a number that is too large")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unusable(f"{path} must hold a JSON object, got something else")
    return found


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {key: str(inner) for key, inner in _mapping(value).items()}


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) else None


def _pictures(folder: Path, headings: Mapping[str, str]) -> list[Picture]:
    """The PNG files of those names that are there."""
    found = []
    for name, heading in headings.items():
        path = folder / name
        if path.is_file() and (content := path.read_bytes()).startswith(b"\x89PNG\r\n\x1a\n"):
            found.append(Picture(heading, content, SAID.get(name, heading)))
    return found


def verdict(job: Job, params) -> Verdict:
    """What the debugger says of the backward pass of a run's network at these parameters."""
    given = course(job)
    source, _ = examples(given["data"], None, None, None, jax.random.key(0),
                         regression=not job.dataset.class_names)
    X, Y = source.some(CHECKED)
    report = verify.check_network(
        job.net, job.loss, params, X, Y, value_and_grad=backprop.value_and_grad(job.net, job.loss))
    return Verdict(bool(report), str(report).split("\n", 1)[0])
