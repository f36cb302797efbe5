"""The statements of a Python file or a notebook, with the names that each makes and looks up."""

import ast
import json
import linecache
import re
import symtable
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from functional_nn.cli.usage import Unusable, command

LOOPS = (ast.For, ast.While, ast.AsyncFor)  # they train: they are left out unless all is run


class Statement(NamedTuple):
    """A statement of the file.

    Attributes:
      node: its syntax tree.
      where: the file's name, or that of the notebook's cell.
      binds: the names that it makes or changes.
      uses: the names that it looks up, also from within functions.
      main: whether it stands under `if __name__ == "__main__"`.
    """

    node: ast.stmt
    where: str
    binds: frozenset[str]
    uses: frozenset[str]
    main: bool = False


def is_loop(one: Statement) -> bool:
    """Return whether a statement is a loop, which is left out unless the whole file is run."""
    return isinstance(one.node, LOOPS)


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of the file, or of each cell of code of a notebook."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        raise Unusable(f"{path} is a folder; name a Python file or a notebook in it") from None
    except FileNotFoundError:
        raise Unusable(f"{path} is no file; {command('verify --init', path)} writes a template"
                       ) from None
    except UnicodeDecodeError:
        raise Unusable(f"{path} is no Python file: it is not text in UTF-8") from None
    if path.suffix == ".py":
        yield str(path), text
        return
    if path.suffix != ".ipynb":
        raise Unusable(f"{path} is no Python file; its name must end in .py, or in .ipynb")
    try:
        cells = json.loads(text)["cells"]
        codes = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, TypeError, KeyError):
        raise Unusable(f"{path} is no notebook: it is not JSON that holds cells") from None
    for number, code in enumerate(codes, 1):
        lines = (code if isinstance(code, str) else "".join(code)).splitlines()
        if lines and lines[0].startswith("%%"):
            continue  # a cell in another language, or one to be timed
        yield f"{path}, cell {number}", "\n".join(
            "" if re.match(r"\s*[%!]|.*\?$", line) else line for line in lines)


def parsed(path: Path, where: str, text: str) -> ast.Module:
    """Return the syntax tree of a text. Raises an `Unusable` if it is no Python."""
    linecache.cache[where] = len(text), None, text.splitlines(keepends=True), where
    try:
        return ast.parse(text, where)
    except SyntaxError as error:
        if error.lineno is None:  # null bytes
            raise Unusable(f"{path} is no Python file: {error.msg}") from None
        old = " (it is Python 2)" if "print" in str(error.msg) else ""
        raise Unusable(f"{where}, line {error.lineno}: SyntaxError: {error.msg}{old}") from error
    except ValueError as error:  # null bytes, before Python 3.12
        raise Unusable(f"{path} is no Python file: {error}") from None


def statements(tree: ast.Module, where: str) -> Iterator[Statement]:
    """The statements of a file, those under `if __name__ == "__main__"` one by one."""
    for node in tree.body:
        main = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        for inner in node.body if main else [node]:
            yield statement(inner, where)._replace(main=main)


def statement(node: ast.stmt, where: str) -> Statement:
    """Return a statement with the names that it makes and looks up."""
    table = symtable.symtable(ast.unparse(node), where, "exec")
    binds = {each.get_name() for each in table.get_symbols()
             if each.is_assigned() or each.is_imported() or each.is_namespace()}
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        binds.add("*")
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    changed = {each.id for target in targets if target is not None
               for each in ast.walk(target) if isinstance(each, ast.Name)}
    uses = _looked_up(table) | changed
    return Statement(node, where, frozenset(binds | changed), frozenset(uses))


def _looked_up(table: symtable.SymbolTable) -> set[str]:
    """The names that a piece of code and those inside it look up in the module."""
    own = {each.get_name() for each in table.get_symbols()
           if each.is_referenced() and (each.is_global() or table.get_type() == "module")}
    return own.union(*map(_looked_up, table.get_children()))
