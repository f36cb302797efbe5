"""Custom derivative rules inside a function: which there are, and the same function without them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.extend.core.primitives import closed_call_p

OWN = str(Path(jax.__file__).parent)  # rules of JAX itself, such as relu's, are taken on trust


def _ruled(equation: Any) -> str:
    """The name of the function whose custom rule an equation of a jaxpr calls; "" if none."""
    if equation.primitive.name not in ("custom_vjp_call", "custom_jvp_call"):
        return ""
    rule = equation.params.get("bwd", equation.params.get("jvp_jaxpr_fun"))
    names = [str(getattr(info, "func_src_info", None) or "").partition(" at ") for info in (
        equation.params["call_jaxpr"].jaxpr.debug_info, getattr(rule, "debug_info", None))]
    return "" if (names[1][2] or names[0][2]).startswith(OWN) else names[0][0]


def _inner(equation: Any) -> Iterator[Any]:
    """The functions inside an equation: the body of a loop, the branches of a condition."""
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "eqns"):
                yield getattr(part, "jaxpr", part)


def _rules(jaxpr: Any) -> Iterator[str]:
    for equation in jaxpr.eqns:
        if name := _ruled(equation):
            yield name
        for inner in _inner(equation):
            yield from _rules(inner)


def rules_of(function: Callable, *args: Any) -> tuple[str, ...]:
    """Return the names of the functions inside `function` that have a custom rule, JAX's own apart.

    >>> @jax.custom_vjp
    ... def double(x):
    ...     return 2 * x
    >>> double.defvjp(lambda x: (double(x), None), lambda _, g: (3 * g,))
    >>> rules_of(lambda x: double(jax.nn.relu(x)).sum(), 1.0)
    ('double',)
    """
    try:
        return tuple(dict.fromkeys(_rules(jax.make_jaxpr(function)(*args).jaxpr)))
    except Exception:  # it branches on values, say: nothing can be seen
        return ()


def narrows(function: Callable, *args: Any) -> bool:
    """Return whether the function computes in less than double precision anywhere.

    >>> narrows(lambda x: x.astype("float32").sum(), jax.numpy.ones(2))
    True
    """
    try:
        return bool(re.search(r"\b(b?f16|f32)\[", str(jax.make_jaxpr(function)(*args))))
    except Exception:  # it cannot be traced
        return False


def without_rules(function: Callable) -> Callable:
    """Return the function with its custom rules taken out, JAX's own apart.

    Its derivatives are those of what it computes.

    >>> @jax.custom_vjp
    ... def double(x):
    ...     return 2 * x
    >>> double.defvjp(lambda x: (double(x), None), lambda _, g: (3 * g,))
    >>> float(jax.grad(double)(1.0)), float(jax.grad(without_rules(double))(1.0))
    (3.0, 2.0)
    """
    def plain(*args: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        out = jaxpr_as_fun(_bare(closed))(*jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return plain


def _bare(part: Any) -> Any:
    """A function of a jaxpr, or a tuple of them, whose equations call no custom rules."""
    if isinstance(part, tuple | list):
        return type(part)(map(_bare, part))
    jaxpr = getattr(part, "jaxpr", part)
    if not hasattr(jaxpr, "eqns") or not any(_rules(jaxpr)):
        return part
    equations = [
        equation.replace(primitive=closed_call_p, params={
            "call_jaxpr": _bare(equation.params["call_jaxpr"])}) if _ruled(equation)
        else equation.replace(params={key: _bare(value) for key, value in equation.params.items()})
        for equation in jaxpr.eqns]
    bare = jaxpr.replace(eqns=equations)
    return ClosedJaxpr(bare, part.consts) if isinstance(part, ClosedJaxpr) else bare
