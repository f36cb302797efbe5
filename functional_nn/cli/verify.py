"""`functional-nn verify`: the check of a hand-written gradient in a Python file or a notebook."""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from functional_nn import verify as checking
from functional_nn.cli.commands import MISS
from functional_nn.cli.functions import Names
from functional_nn.cli.networks import batch, network, required
from functional_nn.cli.source import Source, beside, blamed, note
from functional_nn.cli.subjects import subject
from functional_nn.cli.templates import TEMPLATES
from functional_nn.cli.usage import RIGHT, WRONG, Unusable, command, quoted
from functional_nn.console import print

MEANT = ("reduction", "layout", "columns", "penalty")  # arguments of check_network


def verify(
    file: Path, loss: str = "", grad: str = "", example: str = "example", object: str = "",
    reference: str = "autodiff", miss: float = MISS, seed: int = 0, kind: str | None = None,
    run: bool = False, json: bool = False, html: Path | None = None, init: bool = False
) -> int:
    """Check the hand-written gradient in a Python file; the options are those of `Verify`."""
    if init:
        return _write_template(file, kind or "function")
    page = None if html is None else _page_to(html)
    os.environ.setdefault("MPLBACKEND", "Agg")  # a plot of the user's opens no window
    aside = contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext()
    with aside, beside(file):
        source = Source(file)
        there = source.names()
        whole = kind == "network" or (
            kind is None and not object and "network" in there
            and bool({"value_and_grad", "update", grad} & there))
        check = _network_check if whole else _function_check
        report = check(source, Names(loss, grad, example, object), reference,
                       {"miss": miss, "seed": seed}, run)
    if page is not None:
        page(report)
    if json:
        print(report.to_json())
    else:
        _say(report)
    sys.stdout.flush()  # a closed pipe raises here
    return RIGHT if report else WRONG


@contextlib.contextmanager
def _quiet(source: Source) -> Iterator[None]:
    """A context in which what a function prints is left out, and counted; errors are sentences."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    except Exception as error:
        raise Unusable(blamed(source, error)) from error
    lines = said.getvalue().splitlines()
    if lines:
        note(f"{source.path} printed {len(lines)} lines while it was checked, the first "
             f"{lines[0][:60]!r}; they are left out")


def _function_check(source: Source, names: Names, reference: str, options: dict[str, Any],
                    run: bool) -> checking.Report:
    what = subject(source, names, run)
    with _quiet(source):
        return checking.check_gradients(
            what.f, what.manual, what.params, *what.args, reference=reference, **options)


def _network_check(source: Source, names: Names, reference: str, options: dict[str, Any],
                   run: bool) -> checking.Report:
    if reference != "autodiff":
        raise Unusable(
            f"--reference {reference} is for functions; the steps of a network are compared with "
            "jax.vjp. Leave it out, or choose --kind function")
    if options["miss"] != MISS:
        raise Unusable("--miss is for functions; of a network every entry is compared. Leave it "
                       "out, or choose --kind function")
    there, loss = source.names(), names.loss or "loss"
    required(source, "network", loss)
    what = ("update" if not names.grad and "update" in there and "value_and_grad" not in there
            else "value_and_grad")
    own = [name for name in (*MEANT, *(("rate",) if what == "update" else ())) if name in there]
    module, _ = source.tried(["network", loss, names.grad or what, names.example, *own], [], run)
    by_hand = source.function(module, names.grad or what)
    net, arguments = network(source, module), batch(source, module, names.example)
    with _quiet(source):
        return checking.check_network(
            net, getattr(module, loss), *arguments, **{what: by_hand}, seed=options["seed"],
            **{name: getattr(module, name) for name in own})


def _say(report: checking.Report) -> None:
    """Print a report: in colour and as wide as the terminal, or plainly to a file or pipe."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # for a terminal without Greek letters
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        print(report.text(min(100, shutil.get_terminal_size().columns))
              if sys.stdout.isatty() else report)
        return
    console = Console()
    if console.is_terminal:
        console.print(report)
    else:
        print(report)


def _page_to(path: Path) -> Callable[[checking.Report], None]:
    """A function that writes a report to `path` as a page.

    Raises an `Unusable`, before the check is run, if the page cannot be written.
    """
    if path.exists():
        raise Unusable(f"{path} exists already; choose another name")
    if not path.parent.is_dir():
        raise Unusable(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        from functional_nn import report as pages
    except ModuleNotFoundError as error:
        raise Unusable(str(error)) from error

    def write(report: checking.Report) -> None:
        try:
            pages.write(path, pages.gradient_page(report))
        except OSError as error:
            raise Unusable(f"{path} cannot be written: {error.strerror}") from None
        print(f"wrote {path}", file=sys.stderr)

    return write


def _write_template(path: Path, kind: str) -> int:
    try:
        with open(path, "x", encoding="utf-8") as file:
            named = quoted(path).replace("\\", r"\\").replace('"', r'\"')  # in a docstring
            file.write(TEMPLATES[kind].replace("{name}", named))
    except FileExistsError:
        raise Unusable(f"{path} exists already; choose another name") from None
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from None
    print(f"wrote {path}; now: {command('verify', path)}")
    return RIGHT
