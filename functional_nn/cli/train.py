"""`functional-nn train`: training runs, each in a folder of its own."""

import contextlib
import dataclasses
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from functional_nn import handover, training
from functional_nn.checkpoint import Checkpoints
from functional_nn.checkpoint import folder as checkpoint_folder
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli import page
from functional_nn.cli.commands import Train
from functional_nn.cli.config import Config
from functional_nn.cli.job import Job, assemble, course, keep_start
from functional_nn.cli.judged import judged, units
from functional_nn.cli.usage import INTERRUPTED, RIGHT, WRONG, Unusable, notices, quoted
from functional_nn.cli.usage import command as typed
from functional_nn.console import print
from functional_nn.data import Dataset
from functional_nn.data.fingerprints import find
from functional_nn.metrics import METRICS
from functional_nn.network import summary
from functional_nn.objective import objective
from functional_nn.records import plain, text, versions, write_json
from functional_nn.stopping import until_converged
from functional_nn.training.interrupts import Terminated, terminable
from functional_nn.writing import clean, printable, shown


def train(options: Train) -> int:
    """Train a network into a folder of its own, and return the exit code."""
    config = _anywhere(Config(**{name: getattr(options, name) for name in configuration.FIELDS}))
    job = assemble(config)
    with folders.begun(options.out, Path(config.data).stem, vars(config)) as folder:
        return perform(job, folder, options.json)


def _anywhere(config: Config) -> Config:
    """`config` with absolute paths, so that the run can be resumed from another directory."""
    paths = {name: Path(getattr(config, name) or "") for name in (
        "data", "test", "data_dir", "start")}
    return dataclasses.replace(config, **{
        name: str(path.resolve()) for name, path in paths.items()
        if getattr(config, name)
        and (path.is_dir() if name in ("data_dir", "start") else path.is_file())})


def perform(job: Job, folder: Path, json: bool) -> int:
    """Train from the newest checkpoint, if any, to the end or an interrupt; return the exit code.

    A run that had ended, and of which all files are there, is left as it is.

    Args:
      job: the parts of the run.
      folder: the folder of the run, to which everything is written, under the lock of the caller.
      json: whether to print the summary as JSON, and all else on standard error.

    Raises an `Unusable` if more epochs are done already than `job` has, and a ValueError for
    checkpoints that are damaged or of another run.
    """
    start, say = time.perf_counter(), sys.stderr if json else sys.stdout
    before = _earlier_end(folder, job)
    over = before is not None and _is_whole(folder, job, before)
    with _told(folder):
        result = _trained(job, folder, say, over)
        if result is None:
            print(_had_ended(folder, job.config, before), file=say)
            print(text(before) if json else "", end="\n" if json else "")
            return RIGHT
        test = judged(objective(job.net, job.loss), result.params, job.dataset.x_test,
                      job.dataset.y_test, job.dataset.scale)
        record = before or _record(job, result, test.scores, time.perf_counter() - start)
        folders.write_model(folder, job, result, record)
        page.write(folder, job, result, record, test)
        folders.write_summary(folder, result, record)
    print(text(record) if json else _report(folder, job, record))
    return _ending(record, folder)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """A context in which a run that is broken off says how to go on, and notices are printed."""
    on = f"go on with: {typed('resume', shown(folder))}"
    with terminable(), notices():
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(on) from None
        except Terminated:
            print(f"terminated; {on}", file=sys.stderr)
            raise


def _trained(job: Job, folder: Path, say: TextIO, over: bool) -> training.Result | None:
    """The result of training to its end, from the newest checkpoint in the folder, if any.

    It is None for a run that is `over`, once it is clear that the job is that run.
    """
    config = job.config
    keep_start(job, folder)
    _check_same_options(folder, job)
    check_same_rows(folder, job)
    with Checkpoints(folder / folders.CHECKPOINTS, run=_identity(job)) as checkpoints:
        _check_done(checkpoints, config)
        clean(folder)
        if over:
            return None
        folders.write_rows(folder, job.rows)
        write_json(folder / folders.CONFIG, vars(config), durable=True)  # resume may change it
        _say(f"{_described(job.dataset)}\n{summary(job.net)}\n", say)
        with folders.Recorder(folder, config.tensorboard) as recorder:
            return _fit(job, checkpoints, recorder)


def _say(what: str, stream: TextIO) -> None:
    """Print at once; that the disk is full is told at the end, when the model is kept."""
    try:
        print(what, file=stream, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass


def _record(
    job: Job, result: training.Result, scores: dict[str, float], seconds: float
) -> dict[str, Any]:
    """The content of summary.json."""
    stopped = result.stopped
    said = (f"interrupted after epoch {stopped.epoch}" if stopped.reason == "interrupted"
            else stopped.text)
    epochs = len(result.history.get("epoch", ()))
    return {"stopped": said, "reason": stopped.reason,
            "epochs": epochs, "best_epoch": result.best_epoch,
            "kept_epoch": result.best_epoch if job.config.validation else epochs,
            "test": scores, "seconds": seconds, "versions": versions()}


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
    more = (f"{typed('resume', shown(folder))} --epochs N trains for more epochs"
            if config.schedule == "constant" and record["reason"] == "epochs" else
            f"{typed('train --from', shown(folder))} starts a new run from its network")
    return f"the run had ended ({record['stopped']}); {more}"


def check_same_rows(folder: Path, job: Job) -> None:
    """Raise an `Unusable` if the rows of the data have changed since the run began."""
    try:
        known = folders.read_rows(folder)
    except Unusable:  # there is none, or it is damaged: the run writes it again
        return
    before, now = (np.concatenate([rows["train"], rows["test"]]) for rows in (known, job.rows))
    common = len(find(before, now))
    moved = not np.array_equal(known["train"], job.rows["train"])
    if moved or not common == len(before) == len(now):
        what = ("are in another order" if common == len(before) == len(now) else
                f"have changed: {len(now) - common} are new and {len(before) - common} are gone")
        raise Unusable(
            f"the rows of {job.config.data} {what} since the run of {folder} began; give the file "
            "back as it was, say where it is with resume --data, or train anew with --config "
            f"{quoted(folder / folders.CONFIG)}")


def _check_same_options(folder: Path, job: Job) -> None:
    """Raise an `Unusable` if the configuration is another one than that of the checkpoints."""
    place = folder / folders.CHECKPOINTS
    entries = checkpoint_folder.entries(place) if place.is_dir() else []
    was, now = (entries[-1].run if entries else {}).get("config"), _identity(job)["config"]
    if not isinstance(was, dict) or any(entry.run != entries[-1].run for entry in entries):
        return  # there is no checkpoint yet, or one that `Checkpoints` refuses
    for name in [name for name in now if was.get(name) != now[name]]:
        why = f", with which its {job.config.schedule} learning rate ends" * (name == "epochs")
        raise Unusable(
            f"{folder / folders.CONFIG} must be as the run wrote it, got {name} {now[name]} where "
            f"the run has {was.get(name)}{why}; write {was.get(name)} again, or train anew with "
            f"--config {quoted(folder / folders.CONFIG)}")


def _identity(job: Job) -> dict[str, Any]:
    """A description of a run that must be the same when it is resumed.

    A run is known by its rows, not by where their file is; the number of epochs belongs to it only
    where the learning rate depends on it.
    """
    free = {"data", "data_dir", "test", "start"}
    free |= {"epochs"} if job.config.schedule == "constant" else set()
    checksum = 0
    for part in (job.dataset.x_train, job.dataset.y_train):
        checksum = zlib.crc32(np.ascontiguousarray(part), checksum)
    return {"config": plain({name: value for name, value in vars(job.config).items()
                             if name not in free}),
            "checksum of the training rows": f"{checksum:08x}"}


def _check_done(checkpoints: Checkpoints, config: Config) -> None:
    """Raise an `Unusable` if the newest checkpoint is past the last epoch of `config`.

    Raises a ValueError if that checkpoint is damaged.
    """
    record = checkpoints.record()
    epoch = record.get("epoch", 1) if record else 1  # `fit` refuses a record without one
    if isinstance(epoch, int) and epoch - 1 > config.epochs:
        raise Unusable(f"--epochs must be at least the {epoch - 1} that are done, "
                       f"got {config.epochs}")


def _fit(job: Job, checkpoints: Checkpoints, recorder) -> training.Result:
    config, dataset = job.config, job.dataset
    measures = ()
    if dataset.scale is not None and config.validation:
        measures = [METRICS[name].in_unit(dataset.scale[1]) for name in ("rmse", "mae")]
    return training.fit(
        **course(job), epochs=config.epochs, restore_best=bool(config.validation),
        stop=None if config.patience is None else until_converged(0.0, config.patience),
        metrics=measures, monitor=config.monitor, callbacks=[recorder],
        every=config.every, checkpoints=checkpoints)


def _described(dataset: Dataset) -> str:
    """What the data are, and a line for each note, in the words of the command line."""
    notes = (f"note     {getattr(note, 'on_command_line', note)}" for note in dataset.notes)
    return "\n".join(map(printable, [str(dataclasses.replace(dataset, notes=())), *notes]))


def _report(folder: Path, job: Job, record: dict[str, Any]) -> str:
    scores = "  ".join(f"{name} {value:.4g}" for name, value in record["test"].items())
    said = printable(units(job.dataset.target, job.loss))
    unit = "" if job.dataset.scale is None else f"units    {said}\n"
    report = folder / page.REPORT
    told = f"report   {printable(shown(report))}\n" * report.exists()
    return (f"test     {scores}\n{unit}"
            f"ended    {record['stopped']}; {folders.kept(record)}\n"
            f"wrote    {printable(shown(folder))} in {record['seconds']:.0f} s\n{told}"
            f"next     {typed('describe', shown(folder))}")


def _ending(record: dict[str, Any], folder: Path) -> int:
    """Print on standard error if the run was interrupted or diverged, and return the exit code."""
    stopped, reason = record["stopped"], record["reason"]
    if reason == "interrupted":
        print(f"{stopped}; go on with: {typed('resume', shown(folder))}", file=sys.stderr)
        return INTERRUPTED
    if reason == "diverged":
        print(f"error: {stopped}; the model holds the last good parameters", file=sys.stderr)
        return WRONG
    return RIGHT
