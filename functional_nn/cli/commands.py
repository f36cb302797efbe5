"""The commands with their options; each is a function of its own name."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from functional_nn.cli import names
from functional_nn.cli.config import FIELDS, FILE, RECORD, Config, checked, read
from functional_nn.cli.options import given, option
from functional_nn.cli.usage import Unusable

MISS = 1e-9  # the default probability that a wrong large leaf passes


@dataclasses.dataclass(frozen=True)
class Train(Config):
    __doc__ = Config.__doc__

    config: str | None = option(
        None, "file with the options that are not given here, such as the config.json of a run",
        metavar="FILE", group=RECORD)
    out: str | None = option(
        None, "folder to write to, new or empty; runs/<data>/<time> if not given",
        metavar="FOLDER", group=RECORD, also=("output", "output-dir", "o", "save", "dir"))
    json: bool = option(
        False, "print the summary as JSON, and all else to standard error", group=RECORD)


@dataclasses.dataclass(frozen=True)
class Resume:
    """Continue a run that was stopped or killed; it ends as if it had not been."""

    run: Path = option(MISSING, "the folder that train wrote", metavar="RUN", place=True)
    epochs: int | None = option(
        None, "a new number of epochs; only if the learning rate is constant, as the other "
        "schedules depend on the number of epochs", also=FIELDS["epochs"].metadata["also"])
    data: Path | None = option(
        None, "where the file with the data is now, if it has moved; its rows must be the same",
        metavar="FILE", also=("data-dir",))
    test: Path | None = option(
        None, "where the file of test rows is now, if the run has one and it has moved",
        metavar="FILE")
    json: bool = option(False, "print the summary as JSON, and all else to standard error")


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate a run on rows that it was not trained on."""

    run: Path = option(MISSING, "the folder that train wrote", metavar="RUN", place=True)
    rows: Path | None = option(
        None, "a CSV file with the columns of the training data, its target too; without it, the "
        "rows that were kept for the test", metavar="ROWS", place=True)
    json: bool = option(False, "print as JSON")


@dataclasses.dataclass(frozen=True)
class Predict:
    """Predict the targets of new rows with a trained network, as CSV."""

    run: Path = option(
        MISSING, "the folder that train wrote, or the folder of a model", metavar="RUN", place=True)
    rows: Path = option(
        MISSING, "a file with the columns of the training data, a .npy file (rows, features), "
        "or - for a CSV file on standard input; the features as they are in the data",
        metavar="ROWS", place=True)
    probabilities: bool = option(
        False, "add a column with the probability of each class; only for a classification",
        also=("proba", "probs", "predict-proba"))
    unknown: str = option(
        "refuse", "what becomes of a row with a category that was not in training: no row is "
        "answered, the category is ignored, or the row is skipped, which leaves its prediction "
        "empty, as it does for missing values that are not filled in, and exits with 1",
        choices=names.unknown, also=("handle-unknown",),
        synonyms={"error": "refuse"})
    out: Path | None = option(
        None, "write to this file, which must not exist, instead of standard output",
        metavar="FILE", also=("output", "o"))
    json: bool = option(False, "print JSON instead of CSV")


@dataclasses.dataclass(frozen=True)
class Describe:
    """Describe a run: its options, network, history and result."""

    run: Path = option(MISSING, "the folder that train wrote", metavar="RUN", place=True)
    json: bool = option(False, "print as JSON")


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check the hand-written gradient in a Python file or a notebook, as it is.

    To check a function, the file defines loss(params, ...), grad(params, ...) and example(), which
    returns the arguments of both. Other names are found; a loss may return (value, gradient); the
    arguments may be constants of the file; and a class with forward and backward may stand in the
    functions' place. What is lacking is answered with the lines to paste. To check a network
    step by step, it defines network (of fnn), loss (a name such as "cross_entropy"),
    value_and_grad(params, X, Y) and example(), which returns (params, X, Y); and optionally
    reduction, layout, columns and penalty, the arguments of fnn.verify.check_network. In place of
    value_and_grad it may define update(params, X, Y), a training step, and its rate.
    """

    file: Path = option(MISSING, "a Python file", metavar="FILE", place=True)
    loss: str = option("", "name of the loss in the file; for an object also one of "
                       "fnn.losses.LOSSES; found by its name if not given", metavar="NAME")
    grad: str = option("", "name of the gradient in the file, or of value_and_grad for a network; "
                       "found by its name if not given", metavar="NAME", also=("gradient",))
    example: str = option("example", "name of example in the file", metavar="NAME")
    object: str = option("", "name of a class with forward and backward in the file, or of an "
                         "object of such a class", metavar="NAME", also=("class",))
    reference: str = option(
        "autodiff", "what a function is compared with: jax.grad, forward mode, central differences "
        "(fd), or the complex step, which is exact for analytic functions; a loss in plain NumPy "
        "is compared with central differences instead of the first two",
        choices=lambda: ("autodiff", "forward", "fd", "complex"),
        synonyms={"jax.grad": "autodiff", "finite_differences": "fd", "numeric": "fd"})
    miss: float = option(
        MISS, "largest probability that a wrong leaf of more than 4,096 entries passes, if not "
        "every entry is compared", metavar="P")
    seed: int = option(0, "seed of all random choices", also=("random-state",))
    kind: str | None = option(
        None, "what the file defines; if not given, a network if it has both network and "
        "value_and_grad or update, else a function", choices=lambda: ("function", "network"))
    run: bool = option(False, "run the whole file, as Python does; else only those definitions "
                       "and constants of it that the check needs")
    json: bool = option(False, "print the report as JSON; what the file itself prints goes to "
                        "standard error")
    html: Path | None = option(
        None, "write the report as a page with heat maps to this file, which must not exist",
        metavar="FILE", also=("report",))
    init: bool = option(False, "write a commented template to the file, which must not exist, and "
                        "stop; with --kind network that of a network")


@dataclasses.dataclass(frozen=True)
class Explain:
    """Write out the working of a small network on one example, number by number.

    Every z, a, δ, ∂W and ∂b stands with its formula, the numbers put in and the result, forwards,
    backwards and through one update, and is compared with jax.grad.
    """

    what: str = option(
        MISSING, "n6, n8, n9, n13, n14, n15 or 2-3-4-1, an example of the notes; the folder of a "
        "run; or a Python file as functional-nn verify --init --kind network writes it",
        metavar="WHAT", place=True)
    row: int = option(
        0, "which example, from 0: of the rows kept for the test of a run, or of X in a file",
        also=("example", "index"))
    matrices: bool = option(False, "write vectors and matrices, not every node",
                            also=("matrix", "vectors"))
    most: int = option(6, "largest number of nodes of a layer that are shown",
                       also=("nodes", "limit", "max-nodes"))
    digits: int = option(4, "significant digits of the numbers", also=("precision",))
    rate: float = option(0.1, "learning rate of the update", metavar="RATE",
                         also=("learning-rate", "lr", "eta"))
    markdown: bool = option(
        False, "print Markdown, with the formulas in LaTeX", also=("md", "latex"))
    html: Path | None = option(
        None, "write a page to this file, which must not exist, and print nothing", metavar="FILE")


@dataclasses.dataclass(frozen=True)
class Replay:
    """Write a page on which a run goes step by step, layer by layer and example by example.

    The run is taken again from its options and its data, with the same bits, so nothing needs to
    have been recorded while it trained. The page loads nothing else.
    """

    run: Path = option(MISSING, "the folder that train wrote", metavar="RUN", place=True)
    steps: int = option(200, "largest number of steps that are shown, spread evenly over the run")
    epochs: int | None = option(
        None, "only so many epochs of the run; all that it finished if not given")
    examples: int = option(20, "largest number of examples of a step that are shown",
                           also=("rows",))
    most: int = option(10, "largest number of nodes of a layer that are shown",
                       also=("nodes", "limit", "max-nodes"))
    mistakes: tuple[str, ...] = option(
        (), "mistakes in the backward pass, for each of which a second run is made: "
        "missing-derivative, derivative-at-a, sign or sum-for-mean", metavar="NAME,NAME",
        also=("mistake", "wrong"))
    data: Path | None = option(
        None, "where the file with the data is now, if it has moved; its rows must be the same",
        metavar="FILE", also=("data-dir",))
    out: Path | None = option(
        None, "the page; RUN/replay.html if not given", metavar="FILE",
        also=("output", "o", "html"))


@dataclasses.dataclass(frozen=True)
class Report:
    """Write one page about a run, or about several side by side.

    It shows what differs between their options, their learning curves with a cursor that shows the
    values, their scores, the best first, and whether their gradients are right. The page loads
    nothing else. A run may still be going on, and may be of an experiment.
    """

    EXAMPLES = ("functional-nn report runs/iris/20260101-120000",
                "functional-nn report small large --out sizes.html",
                "functional-nn report runs/digits/* --no-check")

    runs: tuple[Path, ...] = option(
        MISSING, "the folders that train or an experiment wrote", metavar="RUN", place=True)
    out: Path | None = option(
        None, "the page; report.html in the folder of a single run, and in the current folder for "
        "several", metavar="FILE", also=("output", "o", "html"))
    replace: bool = option(False, "write over a file that is no report",
                           also=("force", "overwrite"))
    check: bool = option(True, "do not check the gradient of each run, which takes seconds",
                         also=("verify",))


COMMANDS: Mapping[str, tuple[type, str]] = {
    "verify": (Verify, "verify"), "train": (Train, "train"), "resume": (Resume, "resume"),
    "evaluate": (Evaluate, "evaluate"), "predict": (Predict, "after"),
    "describe": (Describe, "after"),
    "explain": (Explain, "explain"), "replay": (Replay, "replay"),
    "report": (Report, "report"),
}
"""Each command: its options, and the module of `functional_nn.cli` with the function of its name.

The module imports JAX, so it is imported only when its command runs.
"""


def command(name: str, arguments: Sequence[str]) -> Callable[[], int]:
    """The command with its arguments, to be called; it returns the exit code.

    Raises an `Unusable` for a mistake in the arguments, and a SystemExit after `--help`.
    """
    options, module = COMMANDS[name]
    values = given(f"functional-nn {name}", options, arguments)
    if options is Train:
        made: Any = {"options": train_options(values)}
    else:
        made = vars(options(**values))
    return lambda: getattr(importlib.import_module(f"functional_nn.cli.{module}"), name)(**made)


def train_options(given: Mapping[str, Any]) -> Train:
    """The options of `train`: those given, else those of --config or --from, else the defaults.

    Raises an `Unusable` for a file without a configuration, and a ValueError for a wrong option.
    """
    file, start = given.get("config"), given.get("start")
    if file is not None and start is not None:
        raise Unusable("--config and --from both give the options that are not given here; leave "
                       "one of them out")
    if start is not None and not (Path(start) / FILE).is_file():
        raise Unusable(f"--from must be the folder of a run, got {start}, which has no {FILE}; "
                       "name one that functional-nn train wrote")
    source = Path(file) if file is not None else Path(start) / FILE if start is not None else None
    base = {} if source is None else vars(read(source))
    return checked(Train(**{**base, **given}))
