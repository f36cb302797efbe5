"""Where experiment runs are assembled: the command line, the run directory, the record, the versions.

An experiment is a frozen dataclass `Config` and a `main(config)`, and ends in

    if __name__ == "__main__":
        sys.exit(command_line(main, Config))
"""

import contextlib
import inspect
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import functional_nn
from functional_nn.records import plain, versions, write_json, write_jsonl

__all__ = ["command_line", "parse", "plain", "run_directory", "said_by_us", "versions", "write_json", "write_jsonl"]

Config = TypeVar("Config")


def command_line(main: Callable[[Config], Any], config_class: type[Config], argv: Sequence[str] | None = None) -> int:
    """Run `main` with the configuration that the arguments give; the exit code.

    0: it ran. 2: the user's mistake, said in a sentence: an unknown argument, an error that this project raises with
    `raise` (see `said_by_us`), or a file that cannot be read or written. 130: Ctrl-C. Anything else is a mistake in the
    program and keeps its traceback. 141: the reader of a pipe went away.
    """
    try:
        module = inspect.getmodule(main)
        program = f"python -m experiments.{Path(inspect.getfile(main)).stem}"
        main(parse(config_class, argv, inspect.getdoc(module) or "", program))
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


@contextlib.contextmanager
def run_directory(name: str, out: str | os.PathLike | None = None) -> Iterator[Path]:
    """A new directory to write into: it becomes `out`, or runs/<name>/<time>, when the body succeeds, else it goes.

    Where the finished run cannot be put in place at the end, it stays where it is, and the error says where.

    Raises:
        ValueError: `out` is a file, or a directory that is not empty.
    """
    final = _final_place(name, out)
    parents = [parent for parent in final.parents if not parent.exists()]
    partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):  # a parent that others use by now is not empty, and stays
            for parent in parents:
                parent.rmdir()
        raise
    final = _final_place(name, out) if out is None else final
    try:
        os.rename(partial, final)
    except OSError as error:
        raise OSError(f"{final} was taken by others meanwhile; the finished run is in {partial}") from error
    shown = final.relative_to(Path.cwd()) if final.is_relative_to(Path.cwd()) else final
    print(f"wrote {shown}")


def _final_place(name: str, out: str | os.PathLike | None) -> Path:
    if out is None:
        home, stamp = Path("runs").resolve() / name, datetime.now().strftime("%Y%m%d-%H%M%S")
        tried = (home / (stamp if count == 1 else f"{stamp}-{count}") for count in range(1, 1000))
        return next(place for place in tried if not place.exists())
    final = Path(out).expanduser().resolve()
    if final.is_dir() and any(final.iterdir()):
        raise ValueError(f"{out} is not empty; choose another --out or remove it")
    for place in (final, *final.parents):
        if place.exists() and not place.is_dir():
            raise ValueError(f"{out if place == final else place} is a file, where a directory is wanted; "
                             f"choose another --out")
    return final
