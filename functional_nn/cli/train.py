"""`functional-nn train`: training runs, each in a folder of its own."""

import contextlib
import dataclasses
import importlib.util
import math
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import jax
import numpy as np

from functional_nn import data, training
from functional_nn.checkpoint import Checkpoints
from functional_nn.checkpoint import folder as checkpoint_folder
from functional_nn.cli import assembly
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.commands import Train
from functional_nn.cli.config import Config
from functional_nn.cli.judged import judged
from functional_nn.cli.usage import INTERRUPTED, RIGHT, WRONG, Unusable, notices, quoted
from functional_nn.cli.usage import command as typed
from functional_nn.console import print
from functional_nn.data.fingerprints import find
from functional_nn.losses import Loss
from functional_nn.network import Network, summary
from functional_nn.objective import objective
from functional_nn.records import plain, text, versions, write_json
from functional_nn.stopping import until_converged
from functional_nn.training.interrupts import Terminated, terminable
from functional_nn.training.sources import examples
from functional_nn.writing import clean, shown


def train(options: Train) -> int:
    """Train a network into a folder of its own, and return the exit code."""
    config = _anywhere(Config(**{name: getattr(options, name) for name in configuration.FIELDS}))
    job = assemble(config)
    with folders.begun(options.out, Path(config.data).stem, vars(config)) as folder:
        return perform(job, folder, options.json)


def _anywhere(config: Config) -> Config:
    """`config` with absolute paths, so that the run can be resumed from another directory."""
    paths = {"data": config.data} if Path(config.data).is_file() else {}
    if config.data_dir is not None and Path(config.data_dir).is_dir():
        paths["data_dir"] = config.data_dir
    return dataclasses.replace(
        config, **{name: str(Path(path).resolve()) for name, path in paths.items()})


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """The parts of a run, made from its configuration.

    Attributes:
      config: the configuration.
      dataset: the data set.
      net: the network.
      loss: its loss.
      learnt: the number of training rows without those kept for validation.
      rows: what `config.fingerprints_of` says of the training rows and of the test rows.
    """

    config: Config
    dataset: data.Dataset
    net: Network
    loss: Loss
    learnt: int
    rows: dict[str, np.ndarray]


def assemble(config: Config) -> Job:
    """The `Job` of a configuration.

    Raises an `Unusable`, a ValueError or a TypeError for whatever is wrong with the configuration
    or the data, before anything is written.
    """
    _check_installed(config)
    raw = assembly.load_data(config)
    rows = assembly.fingerprints_of(raw)
    dataset = data.standardize(raw) if config.standardize else raw
    net, loss = assembly.network(config, dataset)
    assembly.penalty(config, 1), assembly.optimizer(config, 1)
    y = dataset.y_train
    shaped = np.zeros((len(y), 1), np.float32), y
    learnt = len(examples(shaped, config.validation or None, None, None, jax.random.key(0))[0])
    if dataset.class_names:
        return Job(config, dataset, net, loss, learnt, rows)
    if config.class_weights is not None:
        raise Unusable("--class-weights is for classes, and this is a regression; leave it out")
    y = y.astype(np.float64)
    scale = float(y.mean()), float(y.std()) or 1.0
    return Job(config, dataclasses.replace(dataset, scale=scale), net, loss, learnt, rows)


def _check_installed(config: Config) -> None:
    """Raise an `Unusable` that names the extra to install, if the run needs a missing package."""
    needs = [("the model of a run", "safetensors", "ckpt")]
    needs += [("--tensorboard", "tensorboardX", "tensorboard")] if config.tensorboard else []
    for what, package, extra in needs:
        if importlib.util.find_spec(package) is None:
            raise Unusable(
                f"{what} needs {package}; install it with: pip install 'functional_nn[{extra}]'")


def perform(job: Job, folder: Path, json: bool) -> int:
    """Train from the newest checkpoint, if any, to the end or an interrupt; return the exit code.

    Args:
      job: the parts of the run.
      folder: the folder of the run, to which everything is written, under the lock of the caller.
      json: whether to print the summary as JSON, and all else on standard error.

    Raises an `Unusable` if more epochs are done already than `job` has, and a ValueError for
    checkpoints that are damaged or of another run.
    """
    start, say = time.perf_counter(), sys.stderr if json else sys.stdout
    with _told(folder):
        result = _trained(job, folder, say)
        test = judged(objective(job.net, job.loss), result.params, job.dataset.x_test,
                      job.dataset.y_test, job.dataset.scale)
        record = _record(job, result, test.scores, time.perf_counter() - start)
        folders.finish(folder, job, result.params, result, record, test)
    print(text(record) if json else _report(folder, record))
    return _ending(record, folder)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """A context in which a run that is broken off says how to go on, and notices are printed."""
    on = f"go on with: functional-nn resume {shown(folder)}"
    with terminable(), notices():
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(on) from None
        except Terminated:
            print(f"terminated; {on}", file=sys.stderr)
            raise


def _trained(job: Job, folder: Path, say: TextIO) -> training.Result:
    """The result of training to its end, from the newest checkpoint in the folder, if any."""
    config = job.config
    _check_same_options(folder, job)
    _check_same_rows(folder, job)
    with Checkpoints(folder / folders.CHECKPOINTS, run=_identity(job)) as checkpoints:
        _check_done(checkpoints, config)
        clean(folder)
        folders.write_rows(folder, job.rows)
        write_json(folder / folders.CONFIG, vars(config), durable=True)  # resume may change it
        print(f"{job.dataset}\n{summary(job.net)}\n", file=say)
        _flush(say)
        with folders.Recorder(folder, config.tensorboard) as recorder:
            return _fit(job, checkpoints, recorder)


def _flush(stream: TextIO) -> None:
    """Write out what was printed; that the disk is full is told at the end, with the model kept."""
    try:
        stream.flush()
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


def _check_same_rows(folder: Path, job: Job) -> None:
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
            f"back as it was, or train anew with --config {quoted(folder / folders.CONFIG)}")


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
            f"--config {folder / folders.CONFIG}")


def _identity(job: Job) -> dict[str, Any]:
    """A description of a run that must be the same when it is resumed.

    A run is known by its rows, not by where their file is; the number of epochs belongs to it only
    where the learning rate depends on it.
    """
    free = {"data", "data_dir"} | ({"epochs"} if job.config.schedule == "constant" else set())
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
    y = dataset.y_train
    if dataset.scale is not None:
        mean, deviation = dataset.scale
        y = ((y.astype(np.float64) - mean) / deviation).astype(np.float32)
    size = min(config.batch_size, job.learnt)
    return training.fit(
        job.net, job.loss,
        assembly.optimizer(config, config.epochs * math.ceil(job.learnt / size)),
        (dataset.x_train, y),
        key=jax.random.key(config.seed), epochs=config.epochs, batch_size=size,
        validation=config.validation or None, penalty=assembly.penalty(config, job.learnt),
        class_weights=config.class_weights, restore_best=bool(config.validation),
        stop=None if config.patience is None else until_converged(0.0, config.patience),
        monitor=config.monitor, callbacks=[recorder], every=config.every, checkpoints=checkpoints)


def _report(folder: Path, record: dict[str, Any]) -> str:
    scores = "  ".join(f"{name} {value:.4g}" for name, value in record["test"].items())
    return (f"test     {scores}\n"
            f"ended    {record['stopped']}; {folders.kept(record)}\n"
            f"wrote    {shown(folder)} in {record['seconds']:.0f} s\n"
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
