"""The names of the activations, losses, optimisers and the like, read from their definitions.

Importing those modules imports JAX, for which `--help` and a mistyped option should not wait. So
the definitions are parsed and not executed.
"""

import ast
import functools
from collections.abc import Iterator

from functional_nn.cli.usage import LIBRARY


@functools.cache
def activations() -> tuple[str, ...]:
    """The activations of a hidden layer: elementwise ones through which gradients pass.

    >>> "relu" in activations(), "softmax" in activations(), "step" in activations()
    (True, False, False)
    """
    return tuple(call.args[0].value for call in _calls("activations.py", "Activation")
                 if _given(call, "elementwise") is not False
                 and _given(call, "trains") is not False)


@functools.cache
def losses(classes: bool) -> tuple[str, ...]:
    """The losses of a classification, which have an output of their own; or those of a regression.

    >>> losses(classes=True)
    ('binary_cross_entropy', 'cross_entropy')
    """
    return tuple(call.args[0].value for call in _calls("losses/definitions.py", "Loss")
                 if classes == (_given(call, "output") is not None))


@functools.cache
def optimizers() -> tuple[str, ...]:
    """The optimisers, each of which has a twin in optax.

    >>> "adam" in optimizers(), "clip_by_value" in optimizers()
    (True, False)
    """
    return tuple(dict.fromkeys(
        call.args[0].id for call in _calls("optimizers/twins.py", "twins")))


@functools.cache
def policies() -> tuple[str, ...]:
    """What can become of missing values.

    >>> policies()
    ('refuse', 'drop', 'mean', 'most-frequent')
    """
    return _constant("data/columns.py", "POLICIES")


@functools.cache
def splits() -> tuple[str, ...]:
    """The ways to split rows into training and test rows.

    >>> splits()
    ('random', 'time')
    """
    return _constant("data/splits.py", "SPLITS")


@functools.cache
def unknown() -> tuple[str, ...]:
    """What can become of rows with a category that was not in training.

    >>> unknown()
    ('refuse', 'ignore', 'skip')
    """
    return _constant("data/encoder.py", "UNKNOWN")


def _constant(file: str, name: str) -> tuple[str, ...]:
    """The literal that a file of the library gives a name."""
    for node in ast.parse((LIBRARY / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return ast.literal_eval(node.value)
    raise LookupError(name)


def _calls(file: str, function: str) -> Iterator[ast.Call]:
    """The calls of `function` in a file of the library, in order."""
    for node in ast.walk(ast.parse((LIBRARY / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == function:
            yield node


def _given(call: ast.Call, argument: str):
    """The literal that is given for a keyword argument of a call; None if there is none."""
    return next((keyword.value.value for keyword in call.keywords if keyword.arg == argument), None)
