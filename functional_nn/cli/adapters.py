"""What to paste into a user's file where a check lacks something: code written for that file."""

import ast
from collections.abc import Iterable

from functional_nn.cli.source import Source
from functional_nn.cli.statements import is_loop
from functional_nn.cli.usage import command
from functional_nn.verify.calls.names import simplified
from functional_nn.verify.calls.objects import ARGUMENTS

RANDOM = "rng = np.random.default_rng(0)"


def adapter(source: Source, loss: str, grad: str, known: Iterable[str], options: str = "") -> str:
    """Return the lines to paste for a loss and its gradient, after a sentence.

    Args:
      loss, grad: the names of the functions; those that the file lacks are written as stubs.
      known: the arguments that the file defines.
      options: what to add to the command.
    """
    there = source.functions()
    order = there.get(loss) or there.get(grad) or ["params", "X", "Y"]
    lines = []
    for name, what in ((loss, "return ...          # the number that is differentiated"),
                       (grad, f"return ...          # its gradient by {order[0]}, by hand")):
        if name not in there:
            lines += [f"def {name}({', '.join(order)}):", f"    {what}", "", ""]
    if loss in there and {*order} <= {*known}:
        return _pasted(source, lines, options)
    lines += ["def example():", f'    """The arguments of {loss}: the point of the check."""',
              f"    {RANDOM}"]
    lines += [f"    {name} = {_made(name)}" for name in order if name not in known]
    lines += [f"    return {', '.join(order)}{',' if len(order) == 1 else ''}"]
    return _pasted(source, lines, options)


def for_object(source: Source, kind: str, *, instance: str = "", known: Iterable[str] = (),
               loss: bool = True, target: bool = True) -> str:
    """Return the lines to paste for a class: the object, its inputs, and a loss if one lacks.

    Args:
      kind: the class.
      instance: the name of an object that the file makes; "" if it makes none.
      known: the names of the inputs and targets that the file defines.
      loss: whether the class or the file has a loss.
      target: whether its backward pass needs targets.
    """
    lines = []
    if not loss:
        lines += ["def loss(prediction, Y):",
                  "    return np.mean((prediction - Y) ** 2)   # what is minimised", "", ""]
    lines += ["def example():", f'    """A {kind}, and a batch for it."""', f"    {RANDOM}"]
    arguments = ", ".join(f"{name}=..." for name in source.required(kind))
    if not instance:
        lines += [f"    net = {kind}({arguments})"]
    batch = [*known, *(["X", "Y"] if target else ["X"])][:1 + target]
    lines += [f"    {name} = {_made(name)}" for name in batch if name not in known]
    lines += [f"    return {instance or 'net'}, {', '.join(batch)}"]
    return _pasted(source, lines, f" --object {kind}")


def for_loop(source: Source) -> str:
    """Return the lines to paste for a script that trains in a loop: the loop's body as a step.

    The result is "" where no loop changes arrays that the file made before it.
    """
    outside = source.names()
    for one in source.statements:
        changed = [name for name in sorted(one.binds & outside) if not one.main]
        if is_loop(one) and changed:
            held = ", ".join(changed)
            batch = [next((name for name in sorted(one.uses & outside)
                           if simplified(name) in ARGUMENTS[what]), what) for what in ("X", "Y")]
            params = "{" + ", ".join(f'"{name}": {name}' for name in changed) + "}"
            body = [line for node in one.node.body for line in ast.unparse(node).splitlines()]
            lines = ["import functional_nn as fnn", "",
                     "network = fnn.mlp((3, 4, 1), hidden=\"sigmoid\", output=\"sigmoid\") # yours",
                     "loss, reduction = \"quadratic\", \"sum\"    # the cost that the loop lowers",
                     "rate = 1.0                              # its learning rate", "", "",
                     f"def update(params, {', '.join(batch)}):",
                     f"    {held} = ({', '.join(f'params[{name!r}]' for name in changed)},)",
                     *(f"    {line}" for line in body), f"    return {params}", "", "",
                     "def example():", f"    return {params}, {', '.join(batch)}"]
            return _pasted(source, lines, "")
    return ""


def _made(name: str) -> str:
    """Code that makes an argument of that name."""
    plain = simplified(name)
    if plain in ("b", "b1", "b2", "bias"):
        return "rng.normal(size=...)                # its shape, such as 4"
    if plain in ARGUMENTS["Y"]:
        return "...                                 # the targets, such as rng.integers(2, size=5)"
    if plain in ARGUMENTS["X"]:
        return "rng.normal(size=(5, 3))             # 5 examples of 3 numbers"
    if plain in ("lam", "lambda", "lambd", "reg", "alpha", "gamma", "eps", "beta", "c", "l2"):
        return "0.1"
    return "rng.normal(size=(4, 3))             # its shape, or a dict or list of arrays"


def _pasted(source: Source, lines: list[str], options: str) -> str:
    imported = "" if "np" in source.names() else "import numpy as np\n\n\n"
    text = "\n".join(f"    {line}".rstrip() for line in (imported + "\n".join(lines)).splitlines())
    where = "a new cell of it" if source.path.suffix == ".ipynb" else "it"
    return (f"Paste this into {where}, put your own shapes in, and run "
            f"{command('verify', source.path)}{options} again:\n\n{text}\n")

