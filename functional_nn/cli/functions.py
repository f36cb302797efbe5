"""Functions of a user's file, a loss and its gradient, as the arguments of `check_gradients`."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nn.cli.adapters import adapter, for_loop
from functional_nn.cli.source import Source, note
from functional_nn.cli.usage import Unusable
from functional_nn.verify.calls.arrays import is_real, kind_of, plain
from functional_nn.verify.calls.names import belongs, simplified
from functional_nn.verify.calls.objects import ARGUMENTS
from functional_nn.verify.calls.pairs import answer, pairs

VALUES = ("loss", "cost", "objective", "likelihood", "nll", "energy", "criterion")
SLOPES = ("grad", "deriv", "backprop", "backward", "jac", "prime", "dloss", "dcost")
OTHERS = ("descent", "check", "numeric", "update", "step", "clip", "zero")  # no gradient by hand


class Subject(NamedTuple):
    """What is checked: the arguments of `check_gradients`."""

    f: Callable
    manual: Callable | None
    params: Any
    args: tuple = ()


class Names(NamedTuple):
    """The names that the user gave on the command line; "" for those to be found."""

    loss: str
    grad: str
    example: str
    object: str


def of_functions(source: Source, names: Names, whole: bool) -> Subject:
    """Return the subject of a loss and its gradient, or of a function that returns both."""
    loss, grad = _both_names(source, names)
    both = [name for name in source.returns_both() if not names.loss or name == names.loss]
    if len(both) == 1 and not names.grad and not (grad and grad != both[0] and loss):
        loss, grad = both[0], ""
    if not loss:
        there = ", ".join([*source.functions(), *source.classes()]) or "no function"
        raise Unusable(
            f"{source.path} must define loss(); it defines {there}. --loss, --grad and --object "
            "give other names", for_loop(source) or adapter(source, "loss", grad or "grad", ()))
    module, known = _point(source, names, [loss, *([grad] if grad else [])], whole)
    f = source.function(module, loss)
    if not grad:
        return _of_one(source, module, f, loss, known)
    if (loss, grad) != (names.loss or "loss", names.grad or "grad"):
        note(f"{grad} is checked as the gradient of {loss}; --loss and --grad choose others")
    by_hand, order = source.function(module, grad), source.functions().get(grad, [])
    if {*order} <= {*known} and [*known][:len(order)] != order:  # its arguments stand otherwise
        own, places = by_hand, [[*known].index(name) for name in order]

        def by_hand(*args):
            return own(*(args[place] for place in places))

    result = source.called(grad, by_hand, *copies(known))
    return grouped(f, by_hand, known, result, first=names.example in source.names())


def _of_one(source: Source, module: Any, f: Callable, loss: str, known: Mapping[str, Any]
            ) -> Subject:
    """The subject of one function: with a rule of its own, or one that returns both."""
    if _has_own_rule(f):
        return Subject(f, None, *_first(known))
    result = source.called(loss, f, *copies(known))
    if not (isinstance(result, tuple | list | dict) and len(result) > 1):
        there = ", ".join(source.functions())
        raise Unusable(
            f"{source.path} must define grad(), or {loss} return (value, gradient); it defines "
            f"{there}. --grad gives another name", adapter(source, loss, "grad", known))
    note(f"{loss} is checked: it returns a value and a gradient")
    if held := _by_globals(source, module, f, loss, known):
        return held
    subject = grouped(f, f, known, result)
    return subject._replace(f=lambda params, *args: answer(
        plain(subject.f(params, *args)), plain(subject.params)).value)


def _by_globals(source: Source, module: Any, f: Callable, loss: str, known: Mapping[str, Any]
                ) -> Subject | None:
    """The subject of a function that returns gradients by global arrays, such as dWxh by Wxh."""
    returned, theirs = source.returned(loss), source.looked_up(loss)
    own = {name: place for place, slope in enumerate(returned) for name in theirs
           if slope and belongs(slope, name) and slope != name and _floats(
               getattr(module, name, None))}
    if not own or any(slope and belongs(slope, name) for slope in returned for name in known):
        return None
    note(f"differentiated by the global arrays {', '.join(own)}")

    def called(params: Mapping[str, Any], args: tuple) -> Any:
        before = {name: getattr(module, name) for name in own}
        vars(module).update(params)
        try:
            return f(*args)
        finally:
            vars(module).update(before)

    def value(params: Mapping[str, Any], *args: Any) -> Any:
        return next((part for part in plain(called(params, args)) if np.size(part) == 1), None)

    def manual(params: Mapping[str, Any], *args: Any) -> Any:
        result = called(params, args)
        return {name: result[place] for name, place in own.items()}

    params = {name: getattr(module, name) for name in own}
    return Subject(value, manual, params, tuple(known.values()))


def _both_names(source: Source, names: Names) -> tuple[str, str]:
    """The names of the loss and of its gradient; "" for what is not found, or not told apart."""
    found_losses = _found(source, names.loss, "loss", VALUES, SLOPES)
    found_grads = _found(source, names.grad, "grad", SLOPES, OTHERS)
    fits = [(loss, grad) for loss in found_losses for grad in found_grads]
    if len(fits) > 1:
        fits = [(loss, grad) for loss, grad in fits if _stem(loss) == _stem(grad)]
    if len(fits) > 1:
        choices = " or ".join(f"--loss {loss} --grad {grad}" for loss, grad in fits[:4])
        raise Unusable(f"{source.path} holds several losses with gradients; choose {choices}")
    if fits:
        return fits[0]
    loss, grad = (found[0] if len(found) == 1 else "" for found in (found_losses, found_grads))
    return _pair(source, loss, grad) or (loss, grad)


def _found(source: Source, given: str, default: str, said: tuple, unsaid: tuple) -> list[str]:
    """The names of the functions that may be meant: `given`, `default`, or those so called."""
    if given or default in source.names():
        return [given or default]
    return [name for name in source.functions() if any(word in simplified(name) for word in said)
            and not any(word in simplified(name) for word in unsaid)]


def _stem(name: str) -> str:
    """What a name says besides that it is a loss or a gradient: of `lasso_grad`, lasso."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    left = (word for word in words if not any(part in word for part in (*VALUES, *SLOPES)))
    return " ".join(word for word in left if word not in ("compute", "get", "calc", "of", "fn"))


def _pair(source: Source, loss: str, grad: str) -> tuple[str, str] | None:
    """The names of two functions of which one is called the other's gradient: df and f."""
    there = source.functions()
    found = [(one, other) for one in there for other in there if loss in ("", one)
             and grad in ("", other) and one != other and belongs(other, one)]
    return found[0] if len(found) == 1 else None


def _first(known: Mapping[str, Any]) -> tuple[Any, tuple]:
    values = [*known.values()]
    return values[0], tuple(values[1:])


def copies(known: Mapping[str, Any]) -> list[Any]:
    """Return copies of the arguments, for a function that may write into them."""
    return [copy.deepcopy(value) for value in known.values()]


def grouped(f: Callable, manual: Callable, known: Mapping[str, Any], result: Any,
            first: bool = False) -> Subject:
    """Return the subject whose params are those arguments that the gradient's leaves fit.

    Args:
      f, manual: functions of all arguments.
      known: the arguments by name.
      result: what `manual` returned.
      first: whether the first argument is taken where it fits too.
    """
    chosen = next(_groups(known, plain(result), first), [next(iter(known))])
    rest = {name: value for name, value in known.items() if name not in chosen}

    def spread(function: Callable) -> Callable:
        def of(params, *args):
            held = dict(zip(rest, args, strict=True))
            held |= {chosen[0]: params} if len(chosen) == 1 else params
            return function(*(held[name] for name in known))

        return of

    if chosen != [next(iter(known))]:
        note(f"differentiated by {', '.join(chosen)}")
    params = known[chosen[0]] if len(chosen) == 1 else {name: known[name] for name in chosen}
    return Subject(spread(f), spread(manual), params, tuple(rest.values()))


def _groups(known: Mapping[str, Any], result: Any, first: bool) -> Iterator[list[str]]:
    """The arguments, alone or several together, whose shapes are those of the gradient."""
    floats = [name for name, value in known.items() if _floats(value)]
    inputs = {*ARGUMENTS["X"], *ARGUMENTS["Y"]}
    alone = sorted(([name] for name in floats), key=lambda name: simplified(name[0]) in inputs)
    parameters = [name for name in floats if simplified(name) not in inputs]
    runs = [floats[i:j] for i in range(len(floats)) for j in range(len(floats), i + 1, -1)]
    single = [*alone, parameters, *runs]
    groups = [*runs, parameters, *alone] if len(jax.tree.leaves(result)) > 2 else single
    for group in [*([[next(iter(known))]] if first else []), *(each for each in groups if each)]:
        tree = plain(known[group[0]] if len(group) == 1 else {name: known[name] for name in group})
        paired = pairs(tree, answer(result, tree).gradient)
        shapes = {jax.tree_util.keystr(path): np.shape(leaf)
                  for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        if not paired.missing and all(
                np.shape(paired.found[path]) == shape for path, shape in shapes.items()):
            yield group


def _floats(value: Any) -> bool:
    leaves = jax.tree.leaves(plain(value))
    return bool(leaves) and all(
        kind_of(leaf) and is_real(leaf) and np.asarray(leaf).dtype.kind not in "iub"
        for leaf in leaves)


# --- NAME_forward and NAME_backward with a cache, as courses write layers


def steps(source: Source, names: Names) -> tuple[str, str] | None:
    """Return the names of a forward function and its backward function, if there is one pair."""
    there = source.functions()
    if names.grad or "grad" in there:
        return None
    both = [(name, name.replace("forward", "backward")) for name in there if "forward" in name]
    both = [pair for pair in both if pair[1] in there and names.loss in ("", *pair)]
    return both[0] if len(both) == 1 else None


def of_steps(source: Source, names: Names, forward: str, backward: str, whole: bool) -> Subject:
    """Return the subject of such a pair: the sum of the output times a random array."""
    module, known = _point(source, names, [forward, backward], whole)
    run, back = (source.function(module, name) for name in (forward, backward))
    result = source.called(forward, run, *copies(known))
    cached = isinstance(result, tuple)
    g = np.random.default_rng(0).normal(size=np.shape(result[0] if cached else result))
    note(f"{backward} is checked as the gradient of the sum of {forward}(…) times a random array")

    def f(*args):
        result = run(*args)
        return np.sum(g * (result[0] if cached else result))

    def manual(*args):
        result = run(*args)
        return back(g.copy(), result[1]) if cached else back(g.copy(), *args)

    return grouped(f, manual, known, source.called(backward, manual, *copies(known)))


# --- the arguments


def _point(source: Source, names: Names, wanted: list[str], whole: bool
           ) -> tuple[Any, dict[str, Any]]:
    """(the module, the arguments of the first function by name), from example() or constants."""
    of = wanted[0]
    order = source.functions().get(of, [])
    own = names.example in source.names()
    constants = [names.example] if own else [name for name in order if name in source.names()]
    module, why = source.tried(wanted, constants, whole)
    if own and not why:
        values = source.called(f"{names.example}()", source.function(module, names.example))
        if not isinstance(values, tuple) or not values:
            raise Unusable(
                f"{names.example}() in {source.path} must return the arguments of {of} as a "
                f"tuple, (params, ...); it returned {type(values).__name__}")
        names_of = [*order, *(f"args[{i}]" for i in range(len(order), len(values)))]
        return module, dict(zip(names_of, values, strict=False))
    known = {} if why else {name: getattr(module, name) for name in constants}
    lacking = [name for name in source.required(of) if name not in known]
    if lacking or not known:
        text = why or (f"{source.path} must define {names.example}(), which returns the arguments "
                       f"of {of}" + (f"; it holds no {', '.join(lacking)}" if known else ""))
        raise Unusable(text, adapter(source, of, wanted[-1], known))
    note(f"checked at {', '.join(known)} of {source.path}")
    return module, known


def _has_own_rule(function: Callable) -> bool:
    """Whether the function is a jax.custom_vjp or jax.custom_jvp, possibly under jax.jit."""
    while isinstance(function, jax.stages.Wrapped):
        function = function.__wrapped__
    return isinstance(function, jax.custom_vjp | jax.custom_jvp)
