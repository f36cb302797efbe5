"""Python files of the user: what they define, and what goes wrong in them."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from functional_nn.cli.usage import Unusable, command
from functional_nn.network import Network

__all__ = ["batch", "blamed", "called", "function", "load", "network"]


def load(path: Path) -> ModuleType:
    """The module in the file, executed. Raises an `Unusable` if that fails."""
    if not path.is_file():
        raise Unusable(f"{path} is no file; {command('verify --init', path)} writes a template")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None:
        raise Unusable(f"{path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise Unusable(blamed(path, error)) from error
    finally:
        sys.path.pop(0)
    return module


def function(module: ModuleType, path: Path, name: str) -> Callable:
    """The function of that name in the module. Raises an `Unusable` if there is none."""
    found = getattr(module, name, None)
    if callable(found):
        return found
    there = ", ".join(sorted(key for key, value in vars(module).items()
                             if callable(value) and not key.startswith("_")))
    raise Unusable(
        f"{path} must define {name}(); it defines {there or 'no function'}. Another name is given "
        "with an option (see functional-nn verify --help)")


def network(module: ModuleType, path: Path) -> Network:
    """The network of the module, or what its function of that name returns."""
    net = module.network
    if not isinstance(net, Network) and callable(net):
        net = called(path, "network", net)
    if not isinstance(net, Network):
        raise Unusable(
            f"network in {path} must be a network such as fnn.mlp((4, 6, 3)), or a function that "
            f"returns one; got {type(net).__name__}")
    return net


def batch(path: Path, name: str, example: Callable) -> tuple:
    """The (params, X, Y) that the example of a network's file returns."""
    arguments = called(path, name, example)
    if not isinstance(arguments, tuple) or len(arguments) != 3:
        raise Unusable(
            f"{name}() in {path} must return the tuple (params, X, Y); it returned "
            f"""{f'{len(arguments)} values' if isinstance(arguments, tuple)
                 else type(arguments).__name__}""")
    return arguments


def called(path: Path, name: str, function: Callable) -> Any:
    """The result of `function()`. Raises an `Unusable` if it fails."""
    try:
        return function()
    except Exception as error:
        raise Unusable(f"{name}() failed: {blamed(path, error)}") from error


def blamed(path: Path, error: BaseException) -> str:
    """The error in a sentence, with the line of the user's file that it came through, if any."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if Path(frame.filename) == path]
    line = (getattr(error, "lineno", None) if isinstance(error, SyntaxError)
            else frames[-1].lineno if frames else None)
    first = str(error).strip().split("\n")[0]
    if line is None:
        return first or type(error).__name__
    return f"{path}, line {line}: {type(error).__name__}: {first}"
