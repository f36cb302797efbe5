"""Where experiment runs are assembled: the command line, the run directory, the record, the versions.

An experiment is a frozen dataclass `Config` and a `main(config)`, and ends in

    if __name__ == "__main__":
        sys.exit(command_line(main, Config))
"""

import contextlib
import inspect
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import functional_nn
from functional_nn.records import plain, versions, write_json, write_jsonl
from functional_nn.writing import folder_beside, run_folder, shown

__all__ = ["command_line", "commit", "parse", "plain", "run_directory", "said_by_us", "versions", "write_json", "write_jsonl"]

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
