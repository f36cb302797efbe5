"""Where experiment runs are assembled: the command line, the run directory, the record, the page.

An experiment is a frozen dataclass `Config` and a `main(config)`, and ends in

    if __name__ == "__main__":
        sys.exit(command_line(main, Config))

Its docstring is a question, what is done, and three paragraphs that begin with Command, Expect and
Cost. `settled` checks the configuration, and `publish` writes the files, all from what it is given.
"""

import contextlib
import dataclasses
import inspect
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import functional_nn
from functional_nn import checks
from functional_nn.compilation import kept
from functional_nn.records import plain, versions, write_json, write_jsonl
from functional_nn.writing import folder_beside, run_folder, shown

__all__ = ["Picture", "command_line", "commit", "parse", "plain", "publish", "run_directory",
           "said_by_us", "settled", "versions", "write_json", "write_jsonl"]

Config = TypeVar("Config")


class Picture(NamedTuple):
    """A picture of an experiment.

    Attributes:
      name: its files are name.png and name.svg.
      heading: the heading above it on the page.
      figure: the picture, a matplotlib figure.
      says: what it shows, in words.
    """

    name: str
    heading: str
    figure: Any
    says: str


def settled(config: Config, **quick: Any) -> Config:
    """`config` as it runs, after a check of its numbers and of the folder that it writes to.

    Every integer but `seed` must be at least 1, and `seeds` at least 2, so that a mean has an
    interval. With `config.quick`, no number is larger than in `quick`.

    Raises a TypeError or ValueError that names the wrong option.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type in ("int", int):
            low = {"seed": 0, "seeds": 2}.get(field.name, 1)
            checks.integer(field.name, value, low=low)
    run_folder(_name(config), config.out)
    if not config.quick:
        return config
    return dataclasses.replace(config, **{
        name: min(most, getattr(config, name)) for name, most in quick.items()})


def publish(
    config: Any, finding: str, numbers: dict[str, Any], pictures: Sequence[Picture],
    tables: Sequence[Any] = ()
) -> dict[str, Any]:
    """Write a finished experiment: results.json, its pictures as PNG and SVG, and report.html.

    Args:
      config: the configuration that it ran with.
      finding: what came out, in a sentence or two.
      numbers: all numbers that came out; they are written to results.json.
      pictures: the pictures; the first one stands for the experiment in the laboratory's index.
      tables: `report.Table`s with a caption each, which the page shows after the pictures.

    Returns `numbers` with "finding" and "pictures", the names of the PNG files.
    """
    from functional_nn import plots, report

    name = _name(config)
    question, done, *told = _paragraphs(inspect.getdoc(sys.modules[type(config).__module__]))
    command = f"python -m experiments.{name}" + (" --quick" if config.quick else "")
    found = {"finding": finding, "pictures": [f"{picture.name}.png" for picture in pictures],
             **numbers}
    sections = [
        *(report.Section(picture.heading, figure=picture.figure, figure_alt=picture.says)
          for picture in pictures),
        *(report.Section(table.caption, table=dataclasses.replace(table, caption=""))
          for table in tables),
        report.Section("Run it again", "\n\n".join(told), code=command),
        report.Section("The options", table=report.Table(("option", "value"), [
            (option, str(value)) for option, value in vars(config).items() if option != "out"])),
        report.Section("Made with", table=report.Table(("what", "version"),
                                                       list(versions().items())))]
    with run_directory(name, config.out) as directory:
        write_json(directory / "results.json", {
            "question": question, **found, "config": vars(config), "versions": versions()})
        for picture in pictures:
            for suffix in ("png", "svg"):
                plots.save(picture.figure, directory / f"{picture.name}.{suffix}")
        report.write(directory / "report.html", report.page(
            question, sections, lead=f"{finding}\n\n{done}"))
        print(finding)
    return found


def _name(config: Any) -> str:
    """The name of the experiment that a configuration belongs to, that of its file."""
    return Path(inspect.getfile(type(config))).stem


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, without the line ends inside them and the marks of code."""
    return [" ".join(paragraph.replace("`", "").split()) for paragraph in text.split("\n\n")]


def command_line(main: Callable[[Config], Any], config_class: type[Config], argv: Sequence[str] | None = None) -> int:
    """Run `main` with the configuration that the arguments give; the exit code.

    0: it ran. 2: the user's mistake, said in a sentence: an unknown argument, an error that this project raises with
    `raise` (see `said_by_us`), or a file that cannot be read or written. 130: Ctrl-C. Anything else is a mistake in the
    program and keeps its traceback. 141: the reader of a pipe went away.
    """
    try:
        module = inspect.getmodule(main)
        program = f"python -m experiments.{Path(inspect.getfile(main)).stem}"
        config = parse(config_class, argv, inspect.getdoc(module) or "", program)
        with kept():  # so that the next start compiles less
            main(config)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read what we print, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except SystemExit as leave:  # --help, or arguments that do not parse: both have been answered
        return leave.code if isinstance(leave.code, int) else 2 if leave.code else 0
    except OSError as error:
        if error.filename is None and not said_by_us(error, main):
            raise
        print(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}", file=sys.stderr)
        return 2
    except (ValueError, TypeError, ModuleNotFoundError) as error:
        if not said_by_us(error, main):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def said_by_us(error: BaseException, main: Callable) -> bool:
    """Whether `error` comes from a `raise` in functional_nn or beside `main`: a sentence written for the user.

    What NumPy, JAX or Python itself raise comes from elsewhere, or from a line without `raise`: a mistake in a program.
    """
    raised = traceback.extract_tb(error.__traceback__)[-1]
    homes = (Path(functional_nn.__file__).parent, Path(__file__).parent, Path(inspect.getfile(main)).resolve().parent)
    at_home = any(Path(raised.filename).is_relative_to(home) for home in homes)
    return at_home and (raised.line or "").startswith("raise ")


def parse(config_class: type[Config], argv: Sequence[str] | None = None, description: str = "",
          program: str | None = None) -> Config:
    """The configuration that the arguments (the process's own by default) ask for, one option for each field.

    Raises:
        ModuleNotFoundError: tyro is not installed.
        SystemExit: 0 after --help, 2 for arguments that do not fit, with the reason on standard error.
    """
    try:
        import tyro
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the command line needs tyro; install it with: pip install -e '.[cli]'") from error
    return tyro.cli(config_class, args=sys.argv[1:] if argv is None else list(argv), description=description, prog=program)


def commit() -> str:
    """Which code is run: the commit, "-dirty" if files differ from it; "unknown" outside a repository."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty",
             "--abbrev=10", "--exclude=*"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(asked, capture_output=True, check=True, text=True).stdout.strip()
    return "unknown"


@contextlib.contextmanager
def run_directory(name: str, out: str | os.PathLike | None = None) -> Iterator[Path]:
    """A context that gives a new folder to write into.

    When the body succeeds, the folder is renamed to `out`, or to runs/<name>/<time>. When the body
    fails, the folder is removed. If others have taken the name meanwhile, the finished folder stays
    where it is, and an OSError says where.

    Raises:
        ValueError: `out` is a file, or a folder that is not empty.
    """
    final = run_folder(name, out)
    with folder_beside(final, keep=True) as partial:
        yield partial
    print(f"wrote {shown(final)}")
