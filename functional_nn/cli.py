"""`functional-nn`: the command line. Exit 0: right; 1: a gradient is wrong; 2: the input cannot be used, said in a sentence."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from functional_nn import verify as checking

RIGHT, WRONG, UNUSABLE = 0, 1, 2

TEMPLATE = '''"""My gradient, to be checked with:  functional-nn verify {name}"""

import numpy as np                                # JAX works as well: import jax.numpy as jnp


def loss(params, x, y):
    """The scalar that is differentiated; params may be any tree of arrays."""
    prediction = np.tanh(params["w"] @ x + params["b"])
    return 0.5 * np.sum((prediction - y) ** 2)


def grad(params, x, y):
    """Its gradient by hand, shaped like params. This one is wrong: tanh' is missing. Mend it and check again."""
    prediction = np.tanh(params["w"] @ x + params["b"])
    delta = prediction - y                        # * (1 - prediction**2)
    return {{"w": np.outer(delta, x), "b": delta}}


def example():
    """Where to compare: the arguments of loss and grad."""
    rng = np.random.default_rng(0)
    params = {{"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}}
    return params, rng.normal(size=3), rng.normal(size=2)
'''


class Unusable(Exception):
    """What cannot be checked, in a sentence."""


def verify(file: Path, /, loss: str = "loss", grad: str = "grad", example: str = "example",
           reference: Literal["autodiff", "forward", "fd", "complex"] = "autodiff", init: bool = False) -> int:
    """Check the hand-written gradient in a Python file.

    Args:
        file: defines loss(params, ...), grad(params, ...) and example(), which returns their arguments.
        loss: the function's name in the file, if it is another.
        grad: likewise.
        example: likewise.
        reference: jax.grad, forward mode, central differences (stand in for both where loss is plain NumPy), or the complex
            step, exact for analytic functions.
        init: write a commented template to the file, which must not exist, and stop.
    """
    path = file
    if init:
        return _write_template(path)
    module = _load(path)
    functions = [_function(module, path, name) for name in (loss, grad, example)]
    arguments = _called(path, example, functions[2])
    if not isinstance(arguments, tuple) or not arguments:
        raise Unusable(f"{example}() in {path} must return the arguments of {loss} as a tuple, (params, ...); it returned "
                       f"{type(arguments).__name__}")
    try:
        report = checking.check_gradients(*functions[:2], *arguments, reference=reference)
    except Exception as error:
        raise Unusable(_blamed(path, error)) from error
    print(report)
    return RIGHT if report else WRONG


def _write_template(path: Path) -> int:
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(TEMPLATE.format(name=path))
    except FileExistsError:
        raise Unusable(f"{path} exists already; choose another name") from None
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from None
    print(f"wrote {path}; now: functional-nn verify {path}")
    return RIGHT


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise Unusable(f"{path} is no file; functional-nn verify --init {path} writes a template")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None:
        raise Unusable(f"{path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise Unusable(_blamed(path, error)) from error
    finally:
        sys.path.pop(0)
    return module


def _function(module: ModuleType, path: Path, name: str) -> Callable:
    found = getattr(module, name, None)
    if callable(found):
        return found
    there = ", ".join(sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_")))
    raise Unusable(f"{path} must define {name}(); it defines {there or 'no function'}. Another name is given with an option "
                   "(see functional-nn verify --help)")


def _called(path: Path, name: str, function: Callable) -> Any:
    try:
        return function()
    except Exception as error:
        raise Unusable(f"{name}() failed: {_blamed(path, error)}") from error


def _blamed(path: Path, error: BaseException) -> str:
    """The error in a sentence, with the line of the user's file that it came through, if any."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    first = str(error).strip().split("\n")[0]
    if line is None:
        return first or type(error).__name__
    return f"{path}, line {line}: {type(error).__name__}: {first}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        import tyro
    except ModuleNotFoundError:
        print("error: the command line needs tyro; install it with: pip install 'functional_nn[cli]'", file=sys.stderr)
        return UNUSABLE
    try:
        return tyro.extras.subcommand_cli_from_dict(
            {"verify": verify}, prog="functional-nn", args=sys.argv[1:] if argv is None else list(argv),
            description="See and trust gradients. To start: functional-nn verify --init my_gradient.py")
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
