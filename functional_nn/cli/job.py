"""What a run works on: its data, its network and where it starts, made from its configuration."""

import dataclasses
import importlib.util
import math
import shutil
from pathlib import Path

import jax
import numpy as np

from functional_nn import data, handover
from functional_nn.cli import assembly
from functional_nn.cli import folder as folders
from functional_nn.cli.config import Config
from functional_nn.cli.usage import Unusable
from functional_nn.data.fingerprints import find
from functional_nn.data.splits import validation_rows
from functional_nn.losses import Loss
from functional_nn.network import Network
from functional_nn.training.sources import examples
from functional_nn.writing import folder_beside

START = "start"  # the folder in a run with the model that it starts from, if any


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """The parts of a run, made from its configuration.

    Attributes:
      config: the configuration.
      dataset: the data set.
      net: the network.
      loss: its loss.
      learnt: the number of training rows without those kept for validation.
      rows: what `assembly.fingerprints_of` says of the training rows and of the test rows.
      start: the folder of the model whose parameters and scaling the run starts with, or None.
      params: those parameters, or None.
      held: (x, y) of the training rows that validate, where they are split off by groups or over
        time; they are not in `dataset` then. None where a random share validates.
    """

    config: Config
    dataset: data.Dataset
    net: Network
    loss: Loss
    learnt: int
    rows: dict[str, np.ndarray]
    start: Path | None = None
    params: tuple | None = None
    held: tuple[np.ndarray, np.ndarray] | None = None


def assemble(config: Config, run: Path | None = None) -> Job:
    """The `Job` of a configuration.

    Args:
      config: the configuration.
      run: the folder of the run if it has been begun; its copy of the model to start from counts.

    Raises an `Unusable`, a ValueError or a TypeError for whatever is wrong with the configuration
    or the data, before anything is written.
    """
    _check_installed(config)
    start = _start(config, run)
    model = None if start is None else handover.load(start)
    raw = assembly.load_data(config)
    rows = assembly.fingerprints_of(raw)
    if model is None:
        dataset = data.standardize(raw) if config.standardize else raw
    else:
        _check_same_kind(config, raw, model)
        dataset = _scaled_as(raw, model)
    net, loss = assembly.network(config, dataset)
    if model is not None:
        _check_same_network(config, net, model)
        _check_unseen(config, rows)
    if not dataset.class_names:
        if config.class_weights is not None:
            raise Unusable("--class-weights is for classes, and this is a regression; leave it out")
        y = dataset.y_train.astype(np.float64)
        scale = (float(y.mean()), float(y.std()) or 1.0) if model is None else model.data.scale
        dataset = dataclasses.replace(dataset, scale=scale)
    held = None
    if config.validation and (dataset.groups is not None or config.split != "random"):
        dataset, held = validation_rows(dataset, config.validation, config.seed, config.split)
    shaped = np.zeros((len(dataset.y_train), 1), np.float32), dataset.y_train
    share = None if held is not None else config.validation or None
    learnt = len(examples(shaped, share, None, None, jax.random.key(0))[0])
    assembly.penalty(config, learnt), assembly.optimizer(config, 1)
    return Job(config, dataset, net, loss, learnt, rows, start,
               None if model is None else model.params, held)


def learnt(y: np.ndarray, scale: tuple[float, float] | None) -> np.ndarray:
    """The targets (n,) as the network learns them: those of a regression standardised."""
    if scale is None:
        return y
    mean, deviation = scale
    return ((y.astype(np.float64) - mean) / deviation).astype(np.float32)


def course(job: Job) -> dict:
    """The arguments of `fit` that decide each step of the run; `replay` takes the same."""
    config, dataset = job.config, job.dataset
    held = config.validation or None
    if job.held is not None:
        held = job.held[0], learnt(job.held[1], dataset.scale)
    size = min(config.batch_size, job.learnt)
    return {
        "net": job.net, "loss": job.loss,
        "optimizer": assembly.optimizer(config, config.epochs * math.ceil(job.learnt / size)),
        "data": (dataset.x_train, learnt(dataset.y_train, dataset.scale)),
        "key": jax.random.key(config.seed), "batch_size": size, "params": job.params,
        "validation": held, "penalty": assembly.penalty(config, job.learnt),
        "class_weights": config.class_weights}


def _check_installed(config: Config) -> None:
    """Raise an `Unusable` that names the extra to install, if the run needs a missing package."""
    needs = [("the model of a run", "safetensors", "ckpt")]
    needs += [("--tensorboard", "tensorboardX", "tensorboard")] if config.tensorboard else []
    for what, package, extra in needs:
        if importlib.util.find_spec(package) is None:
            raise Unusable(
                f"{what} needs {package}; install it with: pip install 'functional_nn[{extra}]'")


def _start(config: Config, run: Path | None) -> Path | None:
    """The folder of the model to start from, which a run that has begun keeps a copy of."""
    if config.start is None:
        return None
    own = None if run is None else run / START
    return own if own is not None and own.is_dir() else folders.part(
        Path(config.start), folders.MODEL)


def keep_start(job: Job, run: Path) -> None:
    """Copy the model that a run starts from into its folder, where it has none yet."""
    if job.start is not None and not (run / START).exists():
        with folder_beside(run / START) as partial:
            shutil.copytree(job.start, partial, dirs_exist_ok=True)


def _check_same_kind(config: Config, raw: data.Dataset, model: handover.Model) -> None:
    """Raise an `Unusable` unless the data have the columns and the classes of the model."""
    for what, wanted, got in (("columns", model.feature_names, raw.feature_names),
                              ("classes", model.class_names, raw.class_names)):
        if wanted != got:
            told = [f"{word} {', '.join(names[:6])}{', …' * (len(names) > 6)}" for word, names in (
                ("lacks", [name for name in wanted if name not in got]),
                ("adds", [name for name in got if name not in wanted])) if names]
            raise Unusable(
                f"{config.data} must have the {what} that {config.start} was trained on, and "
                f"{' and '.join(told) or 'has them in another order'}; train without --from")


def _scaled_as(raw: data.Dataset, model: handover.Model) -> data.Dataset:
    """The data with missing values filled in, and features scaled, as those of the model were."""
    fill = getattr(model.data.encoder, "fill", None)
    if fill is not None and raw.encoder is not None:
        encoder = dataclasses.replace(raw.encoder, fill=fill)
        x_train, x_test = map(encoder.filled, assembly.unfilled(raw))
        raw = dataclasses.replace(raw, encoder=encoder, x_train=x_train, x_test=x_test)
    return (raw if model.data.standardizer is None
            else data.standardize(raw, model.data.standardizer))


def _check_same_network(config: Config, net: Network, model: handover.Model) -> None:
    """Raise an `Unusable` unless the options give the network and the scaling of the model."""
    if repr(net) != repr(model.net):
        raise Unusable(
            f"--from {config.start} starts from {model.net!r}, and the options give {net!r}; leave "
            "out --hidden, --activation, --dropout and --input-dropout, and a --loss with another "
            "output")
    if config.standardize != (model.data.standardizer is not None):
        raise Unusable(f"--from {config.start} keeps the scaling of that run; leave out "
                       f"--{'' if config.standardize else 'no-'}standardize")


def _check_unseen(config: Config, rows: dict[str, np.ndarray]) -> None:
    """Raise an `Unusable` if the run to start from was trained on rows of this run's test."""
    if not (Path(config.start) / folders.ROWS).exists():
        return  # the other run is gone: this one was checked when it began
    known = folders.read_rows(Path(config.start))
    if np.array_equal(known["test"], rows["test"]):
        return  # the same split; equal rows may still stand on both sides of it
    seen = len(find(rows["test"], known["train"]))
    if seen:
        raise Unusable(
            f"{seen} of the {len(rows['test'])} rows kept for the test were trained on by "
            f"{config.start}, so that their score would be too good; leave out --seed, "
            "--test-share and all else that changes the split, or train without --from")
