"""The choice of the command, and the report of its errors."""

import difflib
import os
import sys
from collections.abc import Sequence

from functional_nn.cli.commands import COMMANDS, command
from functional_nn.cli.usage import CLOSED, INTERRUPTED, RIGHT, UNUSABLE, Unusable, sentence
from functional_nn.console import print
from functional_nn.writing import printable

NO_CACHE = "--no-cache"  # of every command
OVERVIEW = """functional-nn: see and trust gradients

  functional-nn verify FILE       is a hand-written gradient right? if not, why
  functional-nn train DATA        train a network, into a folder of its own
  functional-nn resume RUN        go on with a run that was stopped or killed
  functional-nn evaluate RUN      how good it is on the rows kept for the test
  functional-nn predict RUN ROWS  what it says of new rows
  functional-nn describe RUN      what a run is and how it went
  functional-nn explain WHAT      every number of a small network, written out
  functional-nn replay RUN        a page on which the run goes step by step
  functional-nn report RUN RUN …  a page that shows runs side by side

Each takes --help, and --no-cache to keep no compiled programs for the next
time. To start:

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
            _flush()  # here, so that a closed pipe or a full disk raises inside of this `try`
    except KeyboardInterrupt as error:  # with the way to go on, if there is one
        print("; ".join(["interrupted", *map(str, error.args)]), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except Exception as error:
        text = sentence(error)
        if text is None:
            raise
        print(f"error: {printable(text)}", file=sys.stderr)
        if getattr(error, "lines", ""):
            print(f"\n{error.lines}", file=sys.stderr)
        return UNUSABLE


def _flush() -> None:
    """Write out what was printed; where that fails, drop it, as Python would try again at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        error.filename = "standard output"
        raise


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(OVERVIEW)
        return RIGHT
    if arguments[0] in ("-V", "--version"):
        import importlib.metadata  # here, as it takes as long as all the rest

        print(f"functional-nn {importlib.metadata.version('functional_nn')}")
        return RIGHT
    name = arguments[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(COMMANDS))}"
        raise Unusable(f"there is no command {name!r}; {hint}")
    run = command(name, [word for word in arguments[1:] if word != NO_CACHE])
    if NO_CACHE in arguments:
        return run()
    from functional_nn.compilation import kept  # here, as it imports JAX

    with kept():
        return run()
