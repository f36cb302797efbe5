"""`functional-nn verify`: the check of a hand-written gradient in a Python file."""

import contextlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

from functional_nn import verify as checking
from functional_nn.cli.commands import MISS
from functional_nn.cli.python_files import batch, blamed, called, function, load, network
from functional_nn.cli.templates import TEMPLATES
from functional_nn.cli.usage import RIGHT, WRONG, Unusable, command, quoted
from functional_nn.console import print


def verify(
    file: Path, loss: str = "loss", grad: str = "", example: str = "example",
    reference: str = "autodiff", miss: float = MISS, seed: int = 0, kind: str | None = None,
    json: bool = False, html: Path | None = None, init: bool = False
) -> int:
    """Check the hand-written gradient in a Python file; the options are those of `Verify`."""
    path = file
    if init:
        return _write_template(path, kind or "function")
    page = None if html is None else _page_to(html)
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        module = load(path)
        whole = kind == "network" or (
            kind is None and hasattr(module, "network") and any(
                hasattr(module, name) for name in ("value_and_grad", "update")))
        check = _network_check if whole else _function_check
        report = check(module, path, (loss, grad, example), reference,
                       {"miss": miss, "seed": seed})
    if page is not None:
        page(report)
    if json:
        print(report.to_json())
    else:
        _say(report)
    sys.stdout.flush()  # a closed pipe raises here
    return RIGHT if report else WRONG


def _function_check(
    module: ModuleType, path: Path, names: tuple[str, str, str], reference: str,
    options: dict[str, Any]
) -> checking.Report:
    loss, grad, example = names
    scalar = function(module, path, loss)
    own = not grad and not hasattr(module, "grad") and _has_own_rule(scalar)
    by_hand = None if own else function(module, path, grad or "grad")
    arguments = called(path, example, function(module, path, example))
    if not isinstance(arguments, tuple) or not arguments:
        raise Unusable(
            f"{example}() in {path} must return the arguments of {loss} as a tuple, (params, ...); "
            f"it returned {type(arguments).__name__}")
    try:
        return checking.check_gradients(
            scalar, by_hand, *arguments, reference=reference, **options)
    except Exception as error:
        raise Unusable(blamed(path, error)) from error


def _has_own_rule(scalar: Callable) -> bool:
    """Whether the function is a jax.custom_vjp or jax.custom_jvp, possibly under jax.jit."""
    while isinstance(scalar, jax.stages.Wrapped):
        scalar = scalar.__wrapped__
    return isinstance(scalar, jax.custom_vjp | jax.custom_jvp)


def _network_check(
    module: ModuleType, path: Path, names: tuple[str, str, str], reference: str,
    options: dict[str, Any]
) -> checking.Report:
    loss, grad, example = names
    if reference != "autodiff":
        raise Unusable(
            f"--reference {reference} is for functions; the steps of a network are compared with "
            "jax.vjp. Leave it out, or choose --kind function")
    if options["miss"] != MISS:
        raise Unusable("--miss is for functions; of a network every entry is compared. Leave it "
                       "out, or choose --kind function")
    for name in ("network", loss):
        if not hasattr(module, name):
            raise Unusable(
                f"{path} must define {name}; functional-nn verify --init FILE --kind network "
                "writes a template")
    what = ("update" if not grad and hasattr(module, "update")
            and not hasattr(module, "value_and_grad") else "value_and_grad")
    by_hand, point = (function(module, path, grad or what), function(module, path, example))
    net = network(module, path)
    arguments = batch(path, example, point)
    meant = {name: getattr(module, name)
             for name in ("reduction", "layout", "columns", "penalty",
                          *(("rate",) if what == "update" else ())) if hasattr(module, name)}
    try:
        return checking.check_network(
            net, getattr(module, loss), *arguments, **{what: by_hand},
            seed=options["seed"], **meant)
    except Exception as error:
        raise Unusable(blamed(path, error)) from error


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
