"""What a user's file defines that can be checked, as the arguments of `check_gradients`."""

from typing import Any

from functional_nn.cli import classes
from functional_nn.cli.adapters import for_object
from functional_nn.cli.functions import Names, Subject, of_functions, of_steps, steps
from functional_nn.cli.source import Source, note
from functional_nn.cli.usage import Unusable
from functional_nn.verify.calls import objects
from functional_nn.verify.calls.names import simplified


def subject(source: Source, names: Names, whole: bool) -> Subject:
    """Return what the file gives to check.

    Args:
      whole: whether the whole file is run.

    Raises an `Unusable`, with what to paste into the file, if something cannot be found.
    """
    functions = names.grad or {names.loss or "loss", "grad"} <= source.names()
    likely = [name for name, methods in source.classes().items() if _learns({*methods})]
    if names.object or (likely and not functions):
        return _of_class(source, names, names.object or likely[-1], whole)
    pair = steps(source, names)
    return of_functions(source, names, whole) if pair is None else of_steps(
        source, names, *pair, whole)


def _learns(methods: set[str]) -> bool:
    """Whether a class with these methods computes gradients or takes training steps."""
    forward = methods & {*objects.FORWARD, "loss"}
    return bool(forward and methods & {*objects.METHODS, *objects.STEPS})


def _of_class(source: Source, names: Names, kind: str, whole: bool) -> Subject:
    if kind not in source.names():
        there = ", ".join(source.classes()) or "no class"
        raise Unusable(f"{source.path} defines no {kind}; its classes are {there}")
    instance = source.instance(kind) if kind in source.classes() else kind
    batch = {what: next((name for name in sorted(source.names()) if simplified(name) in known), "")
             for what, known in objects.ARGUMENTS.items() if what != "output"}
    known = [name for name in batch.values() if name]
    cost = next((name for name in (names.loss, *source.functions())
                 if name in source.functions() and (name == names.loss or simplified(name) in map(
                     simplified, classes.COSTS))), "")
    wanted = [kind, *([cost] if cost else [])]
    constants = [names.example] if names.example in source.names() else [
        each for each in (instance, *known) if each]
    module, why = source.tried(wanted, constants, whole)
    if why:
        instance, known = "", []
    model, given = _object(source, module, names, kind, instance or "", known, why)
    if not hasattr(model, "backward") or not classes.is_layer(model):
        loss = classes.loss_of(getattr(module, cost, None), names.loss)
        subject = source.called(kind, classes.of_network, model, loss) if len(given) > 1 else None
        if subject is None:
            lacks = "a loss" if len(given) > 1 else "the targets"
            raise Unusable(f"{source.path} lacks {lacks} for {kind}", for_object(
                source, kind, instance=instance or "", known=known, loss=len(given) < 2))
    else:
        subject = source.called(kind, classes.of_layer, model, given[0])
    note(f"the class {type(model).__name__} is checked")
    f, manual, params = subject
    return Subject(f, manual, params, () if classes.is_layer(model) else tuple(given[:2]))


def _object(source: Source, module: Any, names: Names, kind: str, instance: str, known: list[str],
            why: str) -> tuple[Any, list[Any]]:
    """(the object, its inputs and targets), from example() or from the file's constants."""
    made, values = getattr(module, instance, None) if instance else None, []
    if names.example in source.names() and not why:
        values = source.called(f"{names.example}()", source.function(module, names.example))
        values = list(values) if isinstance(values, tuple) else [values]
        if values and objects.is_object(values[0]):
            made = values.pop(0)
    elif not why:
        values = [getattr(module, name) for name in known]
    if made is None and not source.required(kind):
        made = source.called(f"{kind}()", getattr(module, kind))
    if made is None or not values or not objects.is_object(made):
        text = why or f"{source.path} defines {kind}, but no object of it with inputs"
        target = "backward" not in source.classes().get(kind, ()) or not classes.says_layer(
            source.method(kind, "backward"))
        raise Unusable(text, for_object(source, kind, instance=instance, known=known,
                                        target=target, loss=True))
    return made, values
