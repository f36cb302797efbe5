"""The choice of the command, and the report of its errors."""

import difflib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from functional_nn.cli.usage import CLOSED, INTERRUPTED, RIGHT, UNUSABLE, sentence
from functional_nn.console import print
from functional_nn.writing import printable

OVERVIEW = """functional-nn: see and trust gradients

  functional-nn verify FILE       is a hand-written gradient right? if not, why
  functional-nn train DATA        train a network, into a folder of its own
  functional-nn resume RUN        go on with a run that was stopped or killed
  functional-nn evaluate RUN      how good it is on the rows kept for the test
  functional-nn predict RUN ROWS  what it says of new rows
  functional-nn describe RUN      what a run is and how it went

Each takes --help. To start:

  functional-nn verify --init my_gradient.py
  functional-nn train iris

DATA is digits, iris, wine, breast_cancer, diabetes, mnist, fashion_mnist, or a
CSV, NPZ or NumPy file. RUN is the folder that train wrote."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
      argv: the command and its arguments; by default those of the process.

    A mistake of the user is reported in a sentence on standard error. An error of the program is
    raised.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # for a terminal without Greek letters
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # here, so that a closed pipe raises inside of this `try`
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except Exception as error:
        text = sentence(error)
        if text is None:
            raise
        print(f"error: {printable(text)}", file=sys.stderr)
        return UNUSABLE


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(OVERVIEW)
        return RIGHT
    if arguments[0] == "--version":
        print(f"functional-nn {importlib.metadata.version('functional_nn')}")
        return RIGHT
    try:
        import tyro  # noqa: F401
    except ModuleNotFoundError:
        print("error: the command line needs tyro; "
              "install it with: pip install 'functional_nn[cli]'", file=sys.stderr)
        return UNUSABLE
    return _command(arguments[0])(arguments[1:])


def _commands() -> Mapping[str, Callable[[Sequence[str]], int]]:
    """The commands: name -> (arguments -> exit code)."""
    from functional_nn.cli import after, evaluate, train, verify  # these modules need tyro

    functions = {"verify": verify.verify, "evaluate": evaluate.evaluate, "predict": after.predict,
                 "describe": after.describe, "resume": train.resume}
    import tyro

    def command(name: str, function: Callable) -> Callable[[Sequence[str]], int]:
        return lambda arguments: tyro.cli(function, args=arguments, prog=f"functional-nn {name}")

    return {**{name: command(name, function) for name, function in functions.items()},
            "train": train.command}


def _command(name: str) -> Callable[[Sequence[str]], int]:
    """The command of that name; for an unknown name, an error message and a SystemExit."""
    commands = _commands()
    if name not in commands:
        near = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(commands))}"
        print(f"error: there is no command {name!r}; {hint}", file=sys.stderr)
        raise SystemExit(UNUSABLE)
    return commands[name]
