"""A user's Python file or notebook: its definitions, and only those statements that a check needs.

A file is read, not run. Of its statements those are run that make a wanted name, or a name that
these look up in turn: functions, classes, imports, constants. So a training script at the bottom,
its plots and its prints do not happen.
"""

import ast
import contextlib
import io
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from functional_nn.cli.statements import (
    Statement,
    is_loop,
    parsed,
    statement,
    statements,
    texts,
)
from functional_nn.cli.usage import Unusable
from functional_nn.console import print

QUIET = ("seed", "defvjp", "defjvp", "defjvps")  # calls that belong to the definitions
PACKAGES = {"sklearn": "scikit-learn", "cv2": "opencv-python", "PIL": "pillow", "yaml": "pyyaml",
            "skimage": "scikit-image", "bs4": "beautifulsoup4", "Bio": "biopython"}
VALUE = re.compile(r"\w*(loss|cost|nll|likelihood|objective)\w*|j|f|l|e|fun|value")
SLOPE = re.compile(r"\w*grad|d_?[a-z]\w?$|d(w|b|theta)|nabla|dj|jac")


class Missing:
    """A module that is not installed; whoever uses it is told so."""

    def __init__(self, text: str):
        self.__dict__["_text"] = text

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unusable(self._text)

    def __call__(self, *args: Any, **more: Any) -> Any:
        raise Unusable(self._text)

    def __mro_entries__(self, bases: tuple) -> tuple:
        raise Unusable(self._text)


class Source:
    """The statements of one file.

    Attributes:
      path: the file.
      statements: its statements, in order.
    """

    def __init__(self, path: Path):
        self.path = path
        self.statements = [one for where, text in texts(path)
                           for one in statements(parsed(path, where, text), where)]
        self.missing: list[str] = []

    def functions(self) -> dict[str, list[str]]:
        """Return the names of the file's functions, each with those of its arguments."""
        return {node.name: [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
                for node in self._nodes(ast.FunctionDef)}

    def required(self, name: str) -> list[str]:
        """Return the arguments without a default of a function, or of a class's `__init__`."""
        for node in self._nodes(ast.FunctionDef | ast.ClassDef):
            methods = [each for each in getattr(node, "body", ()) if getattr(
                each, "name", "") == "__init__"] if isinstance(node, ast.ClassDef) else [node]
            if node.name == name and methods:
                args = [each.arg for each in (*methods[0].args.posonlyargs, *methods[0].args.args)]
                return args[methods[0] is not node:len(args) - len(methods[0].args.defaults)]
        return []

    def returns_both(self) -> list[str]:
        """Return the functions that return a value and its gradient, as their names there say."""
        found = []
        for node in self._nodes(ast.FunctionDef):
            parts = [each for one in ast.walk(node) if isinstance(one, ast.Return)
                     for each in getattr(one.value, "elts", ())]
            words = [re.findall(r"[A-Za-z_0-9]+", ast.unparse(each).lower()) for each in parts]
            if any(VALUE.fullmatch(word) for each in words for word in each) and any(
                    SLOPE.match(word) for each in words for word in each):
                found.append(node.name)
        return found

    def returned(self, name: str) -> list[str]:
        """Return the names in the tuple that a function returns; "" for other expressions."""
        for node in self._nodes(ast.FunctionDef):
            if node.name == name:
                tuples = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)
                          and isinstance(one.value, ast.Tuple)]
                return [getattr(each, "id", "") for each in tuples[-1].elts] if tuples else []
        return []

    def looked_up(self, name: str) -> frozenset[str]:
        """Return the names of the file that a function looks up."""
        return next((one.uses for one in self.statements
                     if getattr(one.node, "name", "") == name), frozenset())

    def classes(self) -> dict[str, list[str]]:
        """Return the names of the file's classes, each with those of its methods."""
        return {node.name: [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
                for node in self._nodes(ast.ClassDef)}

    def _nodes(self, kind: type) -> Iterator[Any]:
        return (one.node for one in self.statements if isinstance(one.node, kind))

    def names(self) -> set[str]:
        """Return the names that the file makes outside of functions and of loops."""
        return set().union(*(one.binds for one in self.statements if not is_loop(one)))

    def instance(self, kind: str) -> str | None:
        """Return the last name to which the file assigns `kind(…)`; None if it makes none."""
        return next((one.node.targets[0].id for one in reversed(self.statements)
                     if isinstance(one.node, ast.Assign) and isinstance(one.node.value, ast.Call)
                     and isinstance(one.node.targets[0], ast.Name)
                     and getattr(one.node.value.func, "id", None) == kind), None)

    def run(self, wanted: Iterable[str] | None) -> ModuleType:
        """Return a module that holds the wanted names; None runs the whole file, as Python does.

        Raises an `Unusable` if a statement fails.
        """
        chosen = [*self._whole()] if wanted is None else self._needed({*wanted})
        module = ModuleType("__main__" if wanted is None else f"checked_{self.path.stem}")
        module.__file__ = str(self.path)
        if wanted is not None:
            sys.modules[module.__name__] = module  # dataclasses look their module up
        for one in chosen:
            code = compile(ast.Module([one.node], []), one.where, "exec", dont_inherit=True,
                           flags=self._flags())
            try:
                exec(code, vars(module))
            except ModuleNotFoundError as error:
                if not isinstance(one.node, ast.Import | ast.ImportFrom):
                    raise Unusable(blamed(self, error)) from error
                self._stand_in(module, one, error)
            except (Exception, SystemExit) as error:
                raise Unusable(blamed(self, error)) from error
        return module

    def tried(self, wanted: list[str], constants: list[str], whole: bool
              ) -> tuple[ModuleType, str]:
        """Return (the module, why the constants could not be made); "" if they could.

        Args:
          wanted: names that must be there.
          constants: names to which a check has other ways.
          whole: whether the whole file is run.
        """
        why = ""
        if whole:
            module = self.run(None)
        else:
            try:
                module = self.run([*wanted, *constants])
            except Unusable as error:
                if any(name in self.functions() for name in constants):
                    raise  # their example() or what it needs
                module, why = self.run(wanted), str(error)
        for text in dict.fromkeys(self.missing):
            note(text)
        return module, why

    def method(self, kind: str, name: str) -> list[str]:
        """Return the arguments of a method, `self` first."""
        return next(([each.arg for each in method.args.args] for node in self._nodes(ast.ClassDef)
                     if node.name == kind for method in node.body
                     if getattr(method, "name", "") == name), [])

    def function(self, module: ModuleType, name: str) -> Callable:
        """Return the function of that name; `Class.method` and `object.method` are names too.

        Raises an `Unusable` if there is none.
        """
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
        if callable(found):
            return found
        there = ", ".join(sorted({*self.functions(), *self.classes()}))
        raise Unusable(
            f"{self.path} must define {name}(); it defines {there or 'no function'}. Another name "
            "is given with an option (see functional-nn verify --help)")

    def called(self, name: str, function: Callable, *args: Any) -> Any:
        """Return the result of a function of the user; what one with arguments prints is left out.

        Raises an `Unusable` if it fails.
        """
        aside = contextlib.redirect_stdout(io.StringIO()) if args else contextlib.nullcontext()
        try:
            with aside:
                return function(*args)
        except Exception as error:
            raise Unusable(f"{name} failed: {blamed(self, error)}") from error

    def _stand_in(self, module: ModuleType, one: Statement, error: ModuleNotFoundError) -> None:
        """Put stand-ins in the place of what could not be imported."""
        text = blamed(self, error)
        self.missing.append(text)
        for name in one.binds:
            setattr(module, name, Missing(text))

    def _whole(self) -> Iterator[Statement]:
        for where, text in texts(self.path):
            for node in parsed(self.path, where, text).body:
                yield statement(node, where)

    def _needed(self, names: set[str]) -> list[Statement]:
        """The statements that make these names, and the names that they look up."""
        chosen: set[int] = set()
        names = {name.partition(".")[0] for name in names}  # of `model.loss` the model
        while True:
            more = {i for i, one in enumerate(self.statements)
                    if i not in chosen and not is_loop(one) and _serves(one, names)}
            if not more:
                return [self.statements[i] for i in sorted(chosen)]
            chosen |= more
            names = names.union(*(self.statements[i].uses for i in more))

    def _flags(self) -> int:
        import __future__

        future = any(node.module == "__future__" for node in self._nodes(ast.ImportFrom))
        return __future__.annotations.compiler_flag if future else 0


def _serves(one: Statement, names: set[str]) -> bool:
    if not isinstance(one.node, ast.Expr):
        return bool(one.binds & names) or "*" in one.binds
    call = one.node.value
    return (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
            and call.func.attr in QUIET and bool(one.uses & names))


@contextlib.contextmanager
def beside(path: Path) -> Iterator[None]:
    """A context in which the modules beside a file can be imported."""
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.path.remove(str(path.resolve().parent))


def blamed(source: Source, error: BaseException) -> str:
    """The error in a sentence, with the line of the user's file that it came through, if any."""
    if isinstance(error, Unusable):
        return str(error)
    own = {one.where for one in source.statements}
    inner = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    frames = [frame for each in (error, inner) for frame in traceback.extract_tb(each.__traceback__)
              if frame.filename in own]
    first = (str(error).strip() or type(error).__name__).split("\n")[0]
    if not frames:
        return first
    at = f"{frames[-1].filename}, line {frames[-1].lineno}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.split(".")[0]
        return (f"{at}: {frames[-1].line}: there is no module {error.name!r}; pip install "
                f"{PACKAGES.get(top, top)}, or put {top}.py into {source.path.resolve().parent}")
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return (f"{at}: there is no file {error.filename!r}; it is looked for in the folder in "
                "which the command is started")
    said = first if type(error).__name__ in first else f"{type(error).__name__}: {first}"
    return f"{at}: {said}"


def note(text: str) -> None:
    """Print a note on standard error, where it does not disturb what is read by programs."""
    print(f"note: {text}", file=sys.stderr)
