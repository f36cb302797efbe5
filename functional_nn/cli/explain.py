"""`functional-nn explain`: the working of a small network, written out."""

import shutil
import sys
from pathlib import Path
from typing import Any

from functional_nn import explanation, handover
from functional_nn.arguments import integer
from functional_nn.arguments import number as checked_number
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.job import assemble, learnt
from functional_nn.cli.networks import batch, network, required
from functional_nn.cli.source import Source, beside
from functional_nn.cli.usage import RIGHT, WRONG, Unusable, notices, quoted
from functional_nn.console import print
from functional_nn.writing import file_beside, shown

NARROW, WIDE = 60, 100


def explain(
    what: str, row: int = 0, matrices: bool = False, most: int = 6, digits: int = 4,
    rate: float = 0.1, markdown: bool = False, html: Path | None = None
) -> int:
    """Write out the working of a network on an example; the options are those of `Explain`."""
    integer("--row", row, low=0)
    integer("--most", most)
    integer("--digits", digits, high=17)
    checked_number("--rate", rate, low=1e-30, high=1e30, wanted="a number above 0")
    if html is not None:
        if markdown:
            raise Unusable("--markdown prints and --html writes a page; give one of the two")
        _check_new(html)
    options = {"matrices": matrices, "most": most, "digits": digits}
    if rate != 0.1:
        options["learning_rate"] = rate
    found = _explained(what, row, options)
    if html is not None:
        _write(html, found)
    else:
        width = max(NARROW, min(WIDE, shutil.get_terminal_size().columns))
        texts = [one.to_markdown() if markdown else one.text(width) for one in found]
        print("\n\n".join(texts))
        sys.stdout.flush()  # a closed pipe raises here
    return RIGHT if all(one.right for one in found) else WRONG


def _explained(what: str, row: int, options: dict[str, Any]) -> tuple[explanation.Explanation, ...]:
    path = Path(what)
    if path.suffix == ".py":
        return (_of_file(path, row, options),)
    if path.is_dir():
        return (_of_run(path, row, options),)
    if path.exists():
        raise Unusable(f"{what} must be an example, the folder of a run or a Python file; "
                       "functional-nn explain --help lists the examples")
    try:
        examples = explanation.example(what, **options)
    except ValueError as error:
        raise Unusable(f"{error}; or name the folder of a run, or a Python file") from None
    if row:
        raise Unusable(f"--row chooses a row of a run or of a file, and {what} is an example of "
                       "the notes, shown whole")
    return examples


def _of_file(path: Path, row: int, options: dict[str, Any]) -> explanation.Explanation:
    with beside(path):
        source = Source(path)
        required(source, "network", "loss", "example")
        module, _ = source.tried(["network", "loss", "example"], [], whole=False)
        params, X, Y = batch(source, module, "example")
        net = network(source, module)
    _check_row(row, len(X), f"X in {path}")
    if "value_and_grad" in source.functions():
        print(f"note: these numbers are the library's; {shown(path)}'s value_and_grad is checked "
              f"by functional-nn verify {quoted(path)}", file=sys.stderr)
    return explanation.explain(
        net, module.loss, _as_made(net, params), X[row], Y[row],
        title=f"{shown(path)}, row {row} of X: {net!r} with {module.loss}", **options)


def _as_made(net, params) -> tuple:
    """Parameters given as pairs (W, b), as the template has them, in the library's layout."""
    return tuple(
        {"w": pair[0], "b": pair[1]} if layer.equations.affine and isinstance(pair, tuple | list)
        and len(pair) == 2 else pair for layer, pair in zip(net.layers, params, strict=False))


def _of_run(run: Path, row: int, options: dict[str, Any]) -> explanation.Explanation:
    model = handover.load(folders.part(run, folders.MODEL))
    with notices():
        job = assemble(configuration.of_run(folders.part(run, folders.CONFIG)), run)
    data = job.dataset
    _check_row(row, len(data.x_test), f"the rows that {run} kept for its test")
    y = learnt(data.y_test, data.scale)[row]
    return explanation.explain(
        model.net, model.loss, model.params, data.x_test[row], y,
        title=f"{shown(run)}, test row {row}: {model.net!r} with {model.loss!r}", **options)


def _check_row(row: int, rows: int, where: str) -> None:
    if row >= rows:
        raise Unusable(
            f"--row must be at most {rows - 1}, as there are {rows} in {where}; got {row}")


def _check_new(path: Path) -> None:
    if path.exists():
        raise Unusable(f"{path} exists already; choose another --html")
    if not path.parent.is_dir():
        raise Unusable(f"{path} cannot be written: there is no folder {path.parent}")


def _write(path: Path, found: tuple[explanation.Explanation, ...]) -> None:
    with file_beside(path) as partial:
        partial.write_text(explanation.page(found), encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)
