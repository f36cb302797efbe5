"""`functional-nn train` and `resume`: training runs, each in a folder of its own."""

import dataclasses
import math
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from functional_nn import handover, training
from functional_nn.checkpoint import Checkpoints
from functional_nn.checkpoint import folder as checkpoint_folder
from functional_nn.cli import assembly, page
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.commands import Train
from functional_nn.cli.config import Config
from functional_nn.cli.job import Job, assemble, keep_start
from functional_nn.cli.judged import Judged, judged, units
from functional_nn.cli.usage import INTERRUPTED, RIGHT, WRONG, Unusable
from functional_nn.data.fingerprints import find
from functional_nn.metrics import METRICS
from functional_nn.network import summary
from functional_nn.objective import objective
from functional_nn.records import plain, text, versions, write_json
from functional_nn.stopping import until_converged
from functional_nn.writing import shown

# options that runs of earlier versions lack; left at their defaults, they are no part of a run
ADDED = ("start", "keep", "missing", "missing_values", "encoding", "separator", "decimal",
         "thousands", "test", "groups", "split")


def train(options: Train) -> int:
    """Train a network into a folder of its own, and return the exit code."""
    config = _anywhere(Config(**{name: getattr(options, name) for name in configuration.FIELDS}))
    job = assemble(config)
    return perform(job, folders.create(options.out, Path(config.data).stem), options.json)


def _anywhere(config: Config) -> Config:
    """`config` with absolute paths, so that the run can be resumed from another directory."""
    paths = {name: Path(getattr(config, name) or "") for name in (
        "data", "test", "data_dir", "start")}
    return dataclasses.replace(config, **{
        name: str(path.resolve()) for name, path in paths.items()
        if getattr(config, name)
        and (path.is_dir() if name in ("data_dir", "start") else path.is_file())})


def resume(run: Path, epochs: int | None = None, json: bool = False) -> int:
    """Go on with a run, and return the exit code; the options are those of `Resume`."""
    config = configuration.read(folders.part(run, folders.CONFIG))
    if epochs is not None:
        if config.schedule != "constant" and epochs != config.epochs:
            raise Unusable(
                f"--epochs cannot change here, as the {config.schedule} learning rate has fallen "
                f"to 0 after epoch {config.epochs}; {_anew(run, epochs)}")
        config = configuration.checked(dataclasses.replace(config, epochs=epochs))
    return perform(assemble(config, run), run, json)


def _anew(run: Path, epochs: int) -> str:
    """How to get more epochs than the schedule of a run has."""
    if (run / folders.MODEL).is_dir():
        return (f"functional-nn train --from {shown(run)} --epochs {epochs} starts from its "
                "network with the rate and the schedule of a new run")
    return f"train anew with --config {run / folders.CONFIG} --epochs {epochs}"


def perform(job: Job, folder: Path, json: bool) -> int:
    """Train from the newest checkpoint, if any, to the end or an interrupt; return the exit code.

    A run that had ended, and of which all files are there, is left as it is.

    Args:
      job: the parts of the run.
      folder: the folder of the run, to which everything is written.
      json: whether to print the summary as JSON, and all else on standard error.

    Raises an `Unusable` if more epochs are done already than `job` has, and a ValueError for
    checkpoints that are damaged or of another run.
    """
    start, say = time.perf_counter(), sys.stderr if json else sys.stdout
    config = job.config
    if not (folder / folders.CONFIG).exists():
        write_json(folder / folders.CONFIG, vars(config))
    keep_start(job, folder)
    _check_same_rows(folder, job)
    with Checkpoints(folder / folders.CHECKPOINTS, run=_identity(job)) as checkpoints:
        _check_done(folder, checkpoints, config)
        before = _earlier_end(folder, job)
        if before is not None and _is_whole(folder, job, before):
            print(_had_ended(folder, config, before), file=say)
            print(text(before) if json else "", end="\n" if json else "")
            return RIGHT
        folders.write_rows(folder, job.rows)
        write_json(folder / folders.CONFIG, vars(config))  # resume may have changed the epochs
        print(job.dataset, file=say)
        print(summary(job.net), end="\n\n", file=say, flush=True)
        with folders.Recorder(folder, config.tensorboard) as recorder:
            result = _fit(job, checkpoints, recorder)
    test = judged(objective(job.net, job.loss), result.params, job.dataset.x_test,
                  job.dataset.y_test, job.dataset.scale)
    record = before or _record(job, result, test, time.perf_counter() - start)
    folders.write_model(folder, job, result, record)
    page.write(folder, job, result, record, test)
    folders.write_summary(folder, result, record)
    print(text(record) if json else _report(folder, job, record))
    return _ending(record, folder)


def _record(job: Job, result: training.Result, test: Judged, seconds: float) -> dict[str, Any]:
    """The content of summary.json."""
    stopped, epochs = result.stopped, len(result.history.get("epoch", ()))
    said = (f"interrupted after epoch {stopped.epoch}" if stopped.reason == "interrupted"
            else stopped.text)
    return {"stopped": said, "reason": stopped.reason, "epochs": epochs,
            "best_epoch": result.best_epoch,
            "kept_epoch": result.best_epoch if job.config.validation else epochs,
            "test": test.scores, "seconds": seconds, "versions": versions()}


def _earlier_end(folder: Path, job: Job) -> dict[str, Any] | None:
    """The summary.json of a run that had ended with all its epochs or by its rule; else None."""
    try:
        record = folders.record(folder)
    except Unusable:  # it is damaged: the run writes it again
        return None
    over = record is not None and (
        record["reason"] == "rule" or
        (record["reason"] == "epochs" and record["epochs"] == job.config.epochs))
    return record if over else None


def _is_whole(folder: Path, job: Job, record: dict[str, Any]) -> bool:
    """Whether all that the end of a run writes is there, can be read, and is all there is."""
    names = page.written(job, record["epochs"]) + [folders.LAYERS] * job.config.monitor
    if any((folder / name).exists() for name in folders.UNFINISHED):
        return False
    try:
        handover.load(folder / folders.MODEL), folders.read_rows(folder)
        epochs = [row["epoch"] for row in folders.rows(folder / folders.METRICS)]
    except (Unusable, ValueError, OSError):
        return False
    return epochs == list(range(1, record["epochs"] + 1)) and all(
        (folder / name).is_file() for name in names)


def _had_ended(folder: Path, config: Config, record: dict[str, Any]) -> str:
    more = (f"functional-nn resume {shown(folder)} --epochs N trains for more epochs"
            if config.schedule == "constant" and record["reason"] == "epochs" else
            f"functional-nn train --from {shown(folder)} starts a new run from its network")
    return f"the run had ended ({record['stopped']}); {more}"


def _check_same_rows(folder: Path, job: Job) -> None:
    """Raise an `Unusable` if the rows of the data have changed since the run began."""
    try:
        known = folders.read_rows(folder)
    except Unusable:  # there is none, or it is damaged: the run writes it again
        return
    before, now = (np.concatenate([rows["train"], rows["test"]]) for rows in (known, job.rows))
    common = len(find(before, now))
    moved = not np.array_equal(known["train"], job.rows["train"]) and _same_options(folder, job)
    if moved or not common == len(before) == len(now):
        what = ("are in another order" if common == len(before) == len(now) else
                f"have changed: {len(now) - common} are new and {len(before) - common} are gone")
        raise Unusable(
            f"the rows of {job.config.data} {what} since the run of {folder} began; give the file "
            f"back as it was, or train anew with --config {folder / folders.CONFIG}")


def _same_options(folder: Path, job: Job) -> bool:
    """Whether the options are those of the checkpoints; others may make another split."""
    entries = checkpoint_folder.entries(folder / folders.CHECKPOINTS)
    return not entries or entries[-1].run.get("config") == _identity(job)["config"]


def _identity(job: Job) -> dict[str, Any]:
    """A description of a run that must be the same when it is resumed: all but the epochs."""
    fixed, checksum = {
        name: value for name, value in vars(job.config).items() if name != "epochs"
        and not (name in ADDED and value == configuration.FIELDS[name].default)}, 0
    for part in (job.dataset.x_train, job.dataset.y_train):
        checksum = zlib.crc32(np.ascontiguousarray(part), checksum)
    return {"config": plain(fixed), "checksum of the training rows": f"{checksum:08x}"}


def _check_done(folder: Path, checkpoints: Checkpoints, config: Config) -> None:
    """Raise an `Unusable` if the newest checkpoint is past the last epoch of `config`.

    Raises a ValueError if that checkpoint is damaged.
    """
    if not checkpoints.steps:
        return
    newest = checkpoint_folder.path_of(folder / folders.CHECKPOINTS, checkpoints.steps[-1])
    done = checkpoint_folder.content(newest)[0].record["epoch"] - 1
    if done > config.epochs:
        raise Unusable(f"--epochs must be at least the {done} that are done, got {config.epochs}")


def _fit(job: Job, checkpoints: Checkpoints, recorder) -> training.Result:
    config, dataset = job.config, job.dataset
    y, measures = dataset.y_train, ()
    if dataset.scale is not None:
        mean, deviation = dataset.scale
        if config.validation:
            measures = [METRICS[name].in_unit(deviation) for name in ("rmse", "mae")]
        y = ((y.astype(np.float64) - mean) / deviation).astype(np.float32)
    size = min(config.batch_size, job.learnt)
    return training.fit(
        job.net, job.loss,
        assembly.optimizer(config, config.epochs * math.ceil(job.learnt / size)),
        (dataset.x_train, y),
        key=jax.random.key(config.seed), epochs=config.epochs, batch_size=size,
        params=job.params, validation=config.validation or None,
        penalty=assembly.penalty(config, job.learnt),
        class_weights=config.class_weights, restore_best=bool(config.validation),
        stop=None if config.patience is None else until_converged(0.0, config.patience),
        metrics=measures, monitor=config.monitor, callbacks=[recorder],
        every=config.every, checkpoints=checkpoints)


def _report(folder: Path, job: Job, record: dict[str, Any]) -> str:
    scores = "  ".join(f"{name} {value:.4g}" for name, value in record["test"].items())
    said = units(job.dataset.target, job.loss)
    unit = "" if job.dataset.scale is None else f"units    {said}\n"
    report = f"report   {shown(folder / page.REPORT)}\n" * (folder / page.REPORT).exists()
    return (f"test     {scores}\n{unit}"
            f"ended    {record['stopped']}; {folders.kept(record)}\n"
            f"wrote    {shown(folder)} in {record['seconds']:.0f} s\n{report}"
            f"next     functional-nn describe {shown(folder)}")


def _ending(record: dict[str, Any], folder: Path) -> int:
    """Print on standard error if the run was interrupted or diverged, and return the exit code."""
    stopped, reason = record["stopped"], record["reason"]
    if reason == "interrupted":
        print(f"{stopped}; go on with: functional-nn resume {shown(folder)}", file=sys.stderr)
        return INTERRUPTED
    if reason == "diverged":
        print(f"error: {stopped}; the model holds the last good parameters", file=sys.stderr)
        return WRONG
    return RIGHT
