"""The configuration of a run: the options of `functional-nn train`, saved as `config.json`.

Nothing here imports JAX; `assembly` makes the parts of a run from a configuration.
"""

import dataclasses
import json
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from functional_nn import arguments
from functional_nn.cli import names
from functional_nn.cli.options import flag, option
from functional_nn.cli.usage import Unusable, command

FILE = "config.json"
DATA, NETWORK, STEPS, LENGTH, RECORD = (
    "the data", "the network", "the steps", "the length of the run", "the record")


def _losses() -> tuple[str, ...]:
    return names.losses(classes=True) + names.losses(classes=False)


@dataclasses.dataclass(frozen=True)
class Config:
    """Train a network by hand-written backpropagation and save the run to a folder."""

    data: str = option(
        "", "digits, iris, wine, breast_cancer, diabetes, mnist, fashion_mnist, or a file: .csv, "
        ".csv.gz, .tsv, .txt, .parquet, .feather, .xlsx, .npz or .npy", metavar="DATA", place=True)
    start: str | None = option(
        None, "folder of a run to start from: its network and scaling, and its options where none "
        "are given here", name="from", metavar="RUN",
        also=("warm-start", "init-from", "pretrained", "load", "finetune", "continue"))
    data_dir: str | None = option(
        None, "folder with the four IDX files of MNIST, which are downloaded if it is not given",
        metavar="FOLDER", group=DATA)
    target: str | None = option(
        None, "target column of a file, by name or by index from 0; the last column if not given",
        metavar="COLUMN", group=DATA, also=("label", "label-column", "target-column", "y"))
    task: str | None = option(
        None, "kind of task, decided by the values of the target if not given",
        group=DATA, choices=lambda: ("classification", "regression"), also=("problem-type",),
        synonyms={"classes": "classification", "numbers": "regression"})
    categories: tuple[str, ...] = option(
        (), "columns whose numbers are categories", metavar="COLUMN,COLUMN",
        group=DATA, also=("categorical", "categorical-columns"))
    ignore: tuple[str, ...] = option(
        (), "columns to leave out", metavar="COLUMN,COLUMN", group=DATA,
        also=("drop", "drop-columns", "exclude", "skip"))
    keep: tuple[str, ...] = option(
        (), "columns to keep that are left out otherwise, as they number the rows, or hold dates "
        "or texts of which most differ", metavar="COLUMN,COLUMN", group=DATA)
    missing: str = option(
        "refuse", "rows with missing values are refused or dropped, or filled in with the mean or "
        "the most frequent value of the training rows", group=DATA, choices=names.policies,
        also=("na", "missing-policy", "impute", "fillna"),
        synonyms={"error": "refuse", "fill": "mean", "mode": "most-frequent"})
    missing_values: tuple[str, ...] | None = option(
        None, "texts that stand for a missing value, in any case; such as ?, NA, None and the "
        "empty cell if not given", metavar="TEXT,TEXT", group=DATA,
        also=("na-values", "null-values"))
    header: bool = option(
        True, "the first line of a CSV file is a row, and not the names of the columns", group=DATA)
    encoding: str = option(
        "utf-8", "encoding of a CSV file, such as latin-1", metavar="NAME", group=DATA)
    separator: str | None = option(
        None, "character between the cells of a CSV file; found if not given", metavar="MARK",
        group=DATA, also=("sep", "delimiter"))
    decimal: str = option(
        ".", "mark before the fraction of a number", metavar="MARK", group=DATA)
    thousands: str = option(
        "", "mark between groups of three digits; none if not given", metavar="MARK", group=DATA)
    test: str | None = option(
        None, "file of test rows, given apart from DATA", metavar="FILE", group=DATA,
        also=("test-file", "test-data"))
    groups: str | None = option(
        None, "column that marks rows which belong together, such as a patient; no group is in "
        "both the training and the test rows", metavar="COLUMN", group=DATA, also=("group",))
    split: str = option(
        "random", "how the test rows are chosen; time takes the last rows of the file",
        group=DATA, choices=names.splits)
    test_share: float | None = option(
        None, "share of the rows kept for the test; 0.2 if not given", metavar="SHARE",
        group=DATA, also=("test-size", "test-split", "test-fraction"))
    standardize: bool = option(
        True, "leave the features as they are, not scaled to mean 0 and deviation 1 over the "
        "training rows", group=DATA, also=("standardise", "normalize", "scale"))
    hidden: tuple[int, ...] = option(
        (64,), "sizes of the hidden layers", metavar="N,N", group=NETWORK,
        also=("hidden-layer-sizes", "hidden-layers", "hidden-sizes", "hidden-units", "layers",
              "units"))
    activation: str = option(
        "relu", "activation of the hidden layers", group=NETWORK, choices=names.activations,
        also=("act", "hidden-activation", "nonlinearity"),
        synonyms={"logistic": "sigmoid", "identity": "linear", "swish": "silu"})
    dropout: float = option(
        0.0, "share of each hidden layer's units dropped in training", metavar="SHARE",
        group=NETWORK, also=("dropout-rate", "drop-rate"))
    input_dropout: float = option(
        0.0, "share of the features dropped in training", metavar="SHARE", group=NETWORK)
    loss: str | None = option(
        None, "cross_entropy for classes and mse for numbers if not given; there are",
        group=NETWORK, choices=_losses, also=("cost", "criterion", "loss-function", "objective"),
        synonyms={"log_loss": "cross_entropy", "categorical_cross_entropy": "cross_entropy",
                  "bce": "binary_cross_entropy", "mean_squared_error": "mse", "l2": "mse",
                  "squared_loss": "squared_error", "mean_absolute_error": "mae", "l1": "mae",
                  "smooth_l1": "huber", "pinball": "quantile"})
    optimizer: str = option(
        "adam", "how to step along the gradients", group=STEPS, choices=names.optimizers,
        also=("optim", "optimiser", "opt", "solver"), synonyms={"momentum": "sgd"})
    learning_rate: float = option(
        5e-3, "learning rate of the first step", metavar="RATE", group=STEPS,
        also=("lr", "learning-rate-init", "eta", "step-size", "rate"))
    schedule: str = option(
        "cosine", "course of the learning rate, which falls to 0 until the end of the last epoch "
        "unless it is constant", group=STEPS, choices=lambda: ("constant", "cosine", "linear"),
        also=("lr-schedule", "lr-scheduler", "scheduler", "decay"), synonyms={"none": "constant"})
    momentum: float = option(0.9, "momentum, for sgd only", metavar="SHARE", group=STEPS)
    batch_size: int = option(
        32, "examples per step; all of them if there are fewer", group=STEPS,
        also=("batch", "bs", "minibatch-size"))
    l1: float = option(
        0.0, "strength of the penalty on the sum of |w|", metavar="STRENGTH", group=STEPS,
        also=("lasso",))
    l2: float | None = option(
        None, "strength of the penalty on half the sum of w squared, 0 for none; 5 divided by the "
        "number of rows learnt from if not given", metavar="STRENGTH",
        group=STEPS, also=("alpha", "weight-decay", "wd", "reg", "regularization", "ridge"))
    clip: float | None = option(
        None, "largest norm of the gradient, over all parameters together; no limit if not given",
        metavar="NORM", group=STEPS, also=("clip-norm", "grad-clip", "max-grad-norm", "clipnorm"))
    class_weights: str | None = option(
        None, "balanced gives all classes the same weight in the cost, however many examples each "
        "has", group=STEPS, choices=lambda: ("balanced",), also=("class-weight",))
    epochs: int = option(
        100, "largest number of epochs; in each, every example is used once", group=LENGTH,
        also=("n-epochs", "num-epochs", "max-epochs", "max-iter", "n-iter", "iterations"))
    validation: float = option(
        0.1, "share of the training rows to validate on after every epoch; 0 for none",
        metavar="SHARE", group=LENGTH,
        also=("validation-split", "validation-fraction", "val-split", "val-size", "val"))
    patience: int | None = option(
        None, "stop after so many epochs without a lower validation cost; never if not given",
        group=LENGTH, also=("early-stopping", "n-iter-no-change", "early-stopping-patience"))
    seed: int = option(
        0, "seed of the split, initial weights, order and dropout; the same seed gives the same "
        "bits", group=LENGTH, also=("random-state", "random-seed"))
    every: int | None = option(
        None, "steps between checkpoints; one epoch if not given", group=RECORD,
        also=("checkpoint-every", "save-every", "save-steps"))
    monitor: bool = option(
        False, "record the errors, the steps and the idle units of each layer", group=RECORD)
    tensorboard: bool = option(False, "write TensorBoard events too", group=RECORD)


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def checked(config: Config) -> Config:
    """`config` itself, if its options are valid as far as can be told without the data.

    Raises a TypeError or ValueError that names the first wrong option.
    """
    for name in ("dropout", "input_dropout", "momentum", "validation"):
        arguments.number(flag(FIELDS[name]), getattr(config, name), low=0, high=1 - 2**-24,
                         wanted="a number of at least 0 and below 1")
    for name in ("batch_size", "epochs", "patience", "every"):
        if getattr(config, name) is not None:
            arguments.integer(flag(FIELDS[name]), getattr(config, name))
    for i, size in enumerate(config.hidden):
        arguments.integer(f"--hidden, number {i + 1},", size)
    for name in ("learning_rate", "l1", "l2"):
        if getattr(config, name) is not None:
            arguments.number(flag(FIELDS[name]), getattr(config, name), low=0, high=3e38,
                             wanted="a finite number of at least 0")
    if config.test_share is not None:
        arguments.number("--test-share", config.test_share, low=2**-60, high=1 - 2**-24,
                         wanted="a number between 0 and 1")
    if config.clip is not None:
        arguments.number("--clip", config.clip, low=1e-38, high=3e38,
                         wanted="a finite number above 0")
    arguments.integer("--seed", config.seed, low=0, high=2**32 - 1)
    if config.patience is not None and not config.validation:
        raise ValueError(
            "--patience looks at the validation cost, and --validation is 0; leave one of them out")
    return config


def read(path: Path) -> Config:
    """The configuration in a JSON file, such as the `config.json` of a run.

    Entries that the file lacks have their defaults. Raises an `Unusable` for a file that does not
    hold a valid configuration, and an OSError for one that cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except IsADirectoryError:
        raise Unusable(
            f"{path} must be a file, got a folder; name the config.json in it") from None
    except (ValueError, RecursionError) as error:
        raise Unusable(
            f"{path} must hold a configuration as JSON, got {type(error).__name__} on reading it"
        ) from None
    if not isinstance(content, dict):
        raise Unusable(f"{path} must hold a JSON object, got a {type(content).__name__}")
    types = typing.get_type_hints(Config)
    try:
        for name in content:
            arguments.one_of("entry", name, FIELDS)
        return checked(Config(**{
            name: _typed(path, name, value, types[name]) for name, value in content.items()}))
    except (ValueError, TypeError) as error:
        raise Unusable(f"{path}: {error}") from None


def of_run(path: Path, data: Path | None = None, test: Path | None = None) -> Config:
    """The configuration in the `config.json` of a run, with its data where they are now.

    Args:
      path: the file.
      data: where the user says that the data are.
      test: where the user says that the file of test rows is, for a run that has one.

    A file that is not where it was is looked for, with the end of its old path, in the current
    folder, in those around the run, and beside the data; whether its rows are the same is for
    others to check. Raises an `Unusable` if it is not found, and the errors of `read`.
    """
    config = read(path)
    given = {"data" if config.data_dir is None else "data_dir": data, "test": test}
    around = [Path.cwd(), *path.resolve().parent.parents]
    for name, now in given.items():
        if (old := getattr(config, name)) is None or (now is None and not _is_lost(Path(old))):
            continue
        place = _said(name, now) if now is not None else _found(Path(old), around)
        if place is None:
            raise Unusable(
                f"there is no {'folder' if name == 'data_dir' else 'file'} {old!r}, which the run "
                f"of {path.parent} was made with; say where it is now with "
                f"{command('resume', path.parent)} {'--test' if name == 'test' else '--data'} FILE")
        config = dataclasses.replace(config, **{name: str(place)})
        around.append(place.parent)
    return config


def _said(name: str, place: Path) -> Path:
    if not place.exists():
        option = "--test" if name == "test" else "--data"
        raise Unusable(f"{option} must be where the rows are, got {place}, where nothing is")
    return place.resolve()


def _is_lost(old: Path) -> bool:
    return old.is_absolute() and not old.exists()


def _found(old: Path, around: Iterable[Path]) -> Path | None:
    """The first place that exists and ends as the path `old` does; the longest end counts first."""
    tried = (base.joinpath(*old.parts[-count:])
             for base in around for count in range(len(old.parts) - 1, 0, -1))
    return next((place for place in tried if place.exists()), None)


def _typed(path: Path, name: str, value: Any, wanted: Any) -> Any:
    """A value of the JSON file, converted to the type of its field.

    A list becomes a tuple, and a whole number a float if the field is one. Raises an `Unusable`
    for a value of another type.
    """
    if typing.get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise Unusable(f"{path}: {name} must be a list, got {value!r}")
        [kind, _] = typing.get_args(wanted)
        return tuple(_typed(path, name, part, kind) for part in value)
    choices = FIELDS[name].metadata["choices"]
    if choices and value is not None and value not in choices():
        raise Unusable(f"{path}: {name} must be one of {', '.join(choices())}, got {value!r}")
    options = typing.get_args(wanted)
    if options:  # X | None
        return None if value is None else _typed(
            path, name, value, next(kind for kind in options if kind is not type(None)))
    if wanted is float and type(value) is int and abs(value) < 2**1000:
        return float(value)
    if type(value) is not wanted:
        raise Unusable(
            f"{path}: {name} must be of type {getattr(wanted, '__name__', wanted)}, got {value!r}")
    return value
