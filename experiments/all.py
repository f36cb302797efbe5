"""What do all experiments on the lecture notes find?

Runs every experiment of the laboratory, each into a folder of its own, and writes index.html: the
finding of each in a sentence, with a small picture and a link to its page.

Command: python -m experiments.all --quick

Expect: 18 experiments, mnist with --data-dir, and nielsen with --published-dir too. One that fails
is said and hides no other; then the exit code is 1. After Ctrl-C the finished ones stay, with their
index.

Cost: with --quick at most ten minutes on two cores; half an hour without.
"""

import dataclasses
import importlib
import io
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from experiments.common import command_line, said_by_us, write_json
from functional_nn import checks, report
from functional_nn.console import print
from functional_nn.writing import run_folder, shown

CHAPTERS = {
    "Neurons and networks": ("neuron", "xor", "linear_collapse", "forward"),
    "Activations and losses": ("activations", "losses"),
    "Learning": ("backprop", "gradient_descent", "batching", "optimizers", "standardising"),
    "Training, and what goes wrong": (
        "regression", "initialisation", "vanishing", "overfitting", "digits", "mnist"),
    "Published curves, replayed": ("micrograd", "nielsen"),
    "Beyond the notes": ("attention",),
}
EXPERIMENTS = tuple(name for names in CHAPTERS.values() for name in names)
FOLDERS = {"data_dir": "a folder with the four files of MNIST",
           "published_dir": "a folder with the published curves of Nielsen's book"}
SAID = (ValueError, TypeError, OSError, ModuleNotFoundError)  # a sentence for the user, if by us
SMALL = (520, 400)  # pixels of a small picture, at most


@dataclass(frozen=True)
class Config:
    """Which experiments, and how."""

    only: tuple[str, ...] = ()
    """names of experiments; all if not given"""
    quick: bool = False
    """each with fewer seeds and epochs, in at most a minute"""
    data_dir: str | None = None
    """folder with the four files of MNIST; without it mnist and nielsen are left out"""
    published_dir: str | None = None
    """folder with the published JSON files; without it nielsen is left out"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/laboratory/<time> if not given"""


class Outcome(NamedTuple):
    """What came of one experiment; `error` is a sentence, or "" if it ran."""

    question: str
    finding: str
    picture: str
    error: str
    seconds: float


def main(config: Config) -> dict[str, Outcome]:
    """Run the experiments and write the index; returns name -> outcome.

    Raises SystemExit with 1 after a failed experiment, and with 130 after Ctrl-C.
    """
    names, left_out = chosen(config)
    folder = run_folder("laboratory", config.out)
    folder.mkdir(parents=True, exist_ok=True)
    outcomes, interrupted = {}, False
    for number, name in enumerate(names, start=1):
        try:
            print(f"[{number}/{len(names)}] {name}", flush=True)
            outcomes[name] = run(name, config, folder)
            said = outcomes[name].error or "done"
            print(f"[{number}/{len(names)}] {name}: {said}, {outcomes[name].seconds:.0f} s\n")
            write_index(folder, outcomes, [*left_out, *names[number:]])
        except KeyboardInterrupt:
            interrupted = True
            break
    write_index(folder, outcomes, [*left_out, *names[len(outcomes):]])
    failed = [name for name, outcome in outcomes.items() if outcome.error]
    for name in left_out:
        print(f"{name} was left out: it needs {needs(name, config)}")
    print(f"{len(outcomes) - len(failed)} of {len(names)} experiments ran"
          + (f"; failed: {', '.join(failed)}" if failed else ""))
    print(f"wrote {shown(folder / 'index.html')}")
    if interrupted:
        print("interrupted; go on with --only " + " ".join(names[len(outcomes):]), file=sys.stderr)
    if interrupted or failed:
        raise SystemExit(130 if interrupted else 1)
    return outcomes


def chosen(config: Config) -> tuple[list[str], list[str]]:
    """The names of the experiments to run, in the laboratory's order, and of those left out."""
    for name in config.only:
        checks.one_of("experiment", name, dict.fromkeys(EXPERIMENTS))
    for option, what in FOLDERS.items():
        if (given := getattr(config, option)) is not None and not Path(given).is_dir():
            raise ValueError(f"{option} must be {what}, got {given!r}, where there is no folder")
    names = [name for name in EXPERIMENTS if name in (config.only or EXPERIMENTS)]
    left_out = [name for name in names if needs(name, config)]
    if left_out and config.only:
        raise ValueError(f"{left_out[0]} needs {needs(left_out[0], config)}; give what it needs, "
                         f"or leave {left_out[0]} out")
    return [name for name in names if name not in left_out], left_out


def folders(name: str) -> list[str]:
    """The options of an experiment that are folders to read from."""
    taken = dataclasses.fields(importlib.import_module(f"experiments.{name}").Config)
    return [field.name for field in taken if field.name in FOLDERS]


def needs(name: str, config: Config) -> str:
    """The options that an experiment needs and that are not given, in words; "" for none."""
    return ", and ".join(f"--{option.replace('_', '-')}, {FOLDERS[option]}"
                        for option in folders(name) if getattr(config, option) is None)


def run(name: str, config: Config, folder: Path) -> Outcome:
    """Run one experiment into its folder; a failure becomes a sentence, and a traceback if it is
    a mistake in the program."""
    module, start = importlib.import_module(f"experiments.{name}"), time.perf_counter()
    options: dict[str, Any] = {"quick": config.quick, "out": str(folder / name)} | {
        option: getattr(config, option) for option in folders(name)}
    found, error = {"finding": "", "pictures": [""]}, ""
    try:
        found = module.main(module.Config(**options))
    except Exception as raised:
        error = f"failed with {type(raised).__name__}: {raised}"
        if not (isinstance(raised, SAID) and said_by_us(raised, module.main)):
            print(traceback.format_exc(), file=sys.stderr)
    question = " ".join(module.__doc__.split("\n\n")[0].split())
    return Outcome(question, found["finding"], found["pictures"][0], error,
                   time.perf_counter() - start)


def write_index(folder: Path, outcomes: dict[str, Outcome], missing: list[str]) -> None:
    """Write index.html and index.json: what has run so far, and what has not."""
    sections = [report.Section(heading, cards=[
        card(folder, name, outcomes[name]) for name in names if name in outcomes])
        for heading, names in CHAPTERS.items() if any(name in outcomes for name in names)]
    if missing:
        sections.append(report.Section("Not run", ", ".join(missing)))
    lead = ("Each experiment asks one question about the lecture notes. Its page has the pictures, "
            "the numbers, and the command that repeats it.")
    ran = sum(not outcome.error for outcome in outcomes.values())
    write_json(folder / "index.json", outcomes)
    report.write(folder / "index.html", report.page(
        "The notes as a laboratory", sections, lead=lead,
        facts=[("experiments", ran), ("failed", len(outcomes) - ran),
               ("seconds", round(sum(outcome.seconds for outcome in outcomes.values())))]))


def card(folder: Path, name: str, outcome: Outcome) -> report.Card:
    """The entry of one experiment."""
    if outcome.error:
        return report.Card(f"{name}: {outcome.question}", text=outcome.error)
    return report.Card(f"{name}: {outcome.question}", f"{name}/report.html", outcome.finding,
                       small(folder / name / outcome.picture))


def small(path: Path) -> bytes:
    """The picture at the size of a stamp, as PNG."""
    from PIL import Image  # which matplotlib brings

    with Image.open(path) as image, io.BytesIO() as buffer:
        image.thumbnail(SMALL, Image.Resampling.LANCZOS)
        colours = image.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE)
        colours.save(buffer, format="PNG", optimize=True)
        return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
