"""`functional-nn train` and `resume`: a run in a folder of its own."""

import dataclasses
import json as json_text
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from functional_nn import data, metrics, training
from functional_nn.checkpoint import Checkpoints
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.config import Config
from functional_nn.cli.usage import INTERRUPTED, RIGHT, WRONG, Unusable
from functional_nn.losses import Loss
from functional_nn.network import Network, summary
from functional_nn.objective import objective
from functional_nn.records import plain, versions, write_json
from functional_nn.stopping import until_converged


@dataclasses.dataclass(frozen=True)
class Train(Config):
    __doc__ = Config.__doc__

    config: str | None = None
    """take the options that are not given from this file, the config.json of a run"""
    out: str | None = None
    """folder to write to, new or empty; runs/<data>-<time> if not given"""
    json: bool = False
    """print the summary as JSON, and all else to standard error"""


def command(arguments: Sequence[str]) -> int:
    """`functional-nn train`."""
    options = tyro.cli(Train, args=arguments, default=_default(arguments), prog="functional-nn train")
    config = configuration.checked(Config(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Config)}))
    if Path(config.data).is_file():  # the run can go on from another directory
        config = dataclasses.replace(config, data=str(Path(config.data).resolve()))
    job = assemble(config)
    return run(job, folders.create(options.out, Path(config.data).stem), options.json)


def _default(arguments: Sequence[str]) -> Train:
    """The options that stand where none is given: those of --config."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    if "--config" not in words[:-1]:
        return Train()
    return Train(**vars(configuration.read(Path(words[words.index("--config") + 1]))))


def resume(run_folder: tyro.conf.Positional[Path], epochs: int | None = None, json: bool = False) -> int:
    """Go on with a run that was stopped or killed, to the bit as if it had never been.

    Args:
        run_folder: the folder that train wrote.
        epochs: more epochs than the run was to have; only where its learning rate is constant, as others end with it.
        json: print the summary as JSON, and all else to standard error.
    """
    config = configuration.read(folders.part(run_folder, folders.CONFIG))
    if epochs is not None:
        if config.schedule != "constant" and epochs != config.epochs:
            raise Unusable(f"--epochs cannot change here: the {config.schedule} learning rate ends after {config.epochs}; "
                           f"train anew with --config {run_folder / folders.CONFIG} --epochs {epochs}")
        config = configuration.checked(dataclasses.replace(config, epochs=epochs))
        write_json(run_folder / folders.CONFIG, vars(config))
    return run(assemble(config), run_folder, json)


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What a configuration asks for, ready to be trained; y = mean + deviation · (what the network learns) in a regression."""

    config: Config
    dataset: data.Dataset
    net: Network
    loss: Loss
    mean: float
    deviation: float


def assemble(config: Config) -> Job:
    """The data, the network and the loss; whatever is wrong with the configuration is said here."""
    dataset = configuration.load_data(config)
    net, loss = configuration.network(config, dataset)
    configuration.penalty(config), configuration.optimizer(config, 1)
    if dataset.class_names:
        return Job(config, dataset, net, loss, 0.0, 1.0)
    y = dataset.y_train.astype(np.float64)
    return Job(config, dataset, net, loss, float(y.mean()), float(y.std()) or 1.0)


def run(job: Job, folder: Path, json: bool) -> int:
    """Train until the end or an interrupt, from the newest checkpoint if there is one; the exit code."""
    start, say = time.perf_counter(), sys.stderr if json else sys.stdout
    config = job.config
    if not (folder / folders.CONFIG).exists():
        write_json(folder / folders.CONFIG, vars(config))
    print(job.dataset, file=say)
    print(summary(job.net), end="\n\n", file=say, flush=True)
    fixed = {name: value for name, value in vars(config).items() if name != "epochs"}
    with Checkpoints(folder / folders.CHECKPOINTS, run={"config": plain(fixed)}) as checkpoints, \
            folders.Recorder(folder, config.tensorboard) as recorder:
        result = _fit(job, checkpoints, recorder)
    params = _in_units(job, result.params)
    scores = metrics.scores(objective(job.net, job.loss), params, job.dataset.x_test, job.dataset.y_test)
    record = {"stopped": result.stopped, "epochs": len(result.history.get("epoch", ())), "best_epoch": result.best_epoch,
              "test": scores, "seconds": time.perf_counter() - start, "versions": versions()}
    folders.finish(folder, job, params, result, record)
    print(json_text.dumps(plain(record), indent=2, ensure_ascii=False) if json else _report(folder, record))
    return _ending(result.stopped, folder)


def _fit(job: Job, checkpoints: Checkpoints, recorder) -> training.Result:
    config, dataset = job.config, job.dataset
    classes = bool(dataset.class_names)
    y = dataset.y_train if classes else ((dataset.y_train - job.mean) / job.deviation).astype(np.float32)
    kept = len(y) - math.ceil(len(y) * config.validation)
    size = min(config.batch_size, kept)
    return training.fit(
        job.net, job.loss, configuration.optimizer(config, config.epochs * math.ceil(kept / size)), (dataset.x_train, y),
        key=jax.random.key(config.seed), epochs=config.epochs, batch_size=size, validation=config.validation or None,
        penalty=configuration.penalty(config), class_weights=config.class_weights, restore_best=config.patience is not None,
        stop=None if config.patience is None else until_converged(0.0, config.patience), monitor=config.monitor,
        callbacks=[recorder], every=config.every, checkpoints=checkpoints)


def _in_units(job: Job, params):
    """The parameters with the target's mean and deviation in the last layer, so that the network's output is in its units."""
    *others, last = params
    return (*others, {"w": last["w"] * np.float32(job.deviation),
                      "b": last["b"] * np.float32(job.deviation) + np.float32(job.mean)}) if job.deviation != 1 else params


def _report(folder: Path, record: dict[str, Any]) -> str:
    scores = "  ".join(f"{name} {value:.4g}" for name, value in record["test"].items())
    best = f"; the best epoch was {record['best_epoch']}" if record["best_epoch"] else ""
    return (f"test     {scores}\nended    {record['stopped']}{best}\n"
            f"wrote    {folders.shown(folder)} in {record['seconds']:.0f} s\n"
            f"next     functional-nn describe {folders.shown(folder)}")


def _ending(stopped: str, folder: Path) -> int:
    if stopped.startswith("interrupted"):
        print(f"{stopped.split(';')[0]}; go on with: functional-nn resume {folders.shown(folder)}", file=sys.stderr)
        return INTERRUPTED
    if stopped.startswith("diverged"):
        print(f"error: {stopped}; the model holds the last good parameters", file=sys.stderr)
        return WRONG
    return RIGHT
