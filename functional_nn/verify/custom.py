"""Custom derivative rules inside a function: which there are, and the same function without them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

RULES = ("custom_vjp_call", "custom_jvp_call")
OWN = str(Path(jax.__file__).parent)  # rules of JAX itself, such as relu's, are taken on trust


def _source(equation) -> tuple[str, str]:
    """The name of the function that a rule belongs to, and where the rule is written."""
    rule = equation.params.get("bwd", equation.params.get("jvp_jaxpr_fun"))
    names = [str(getattr(info, "func_src_info", None) or "") for info in (
        equation.params["call_jaxpr"].jaxpr.debug_info, getattr(rule, "debug_info", None))]
    return names[0].partition(" at ")[0], (names[1] or names[0]).partition(" at ")[2]


def _inner(params: dict) -> Iterator[tuple[str, Any]]:
    """The functions inside an operation: the body of a loop, the branches of a condition."""
    for key, value in params.items():
        parts = value if isinstance(value, tuple | list) else (value,)
        if any(isinstance(part, ClosedJaxpr) or hasattr(part, "eqns") for part in parts):
            yield key, value


def _rules(jaxpr) -> Iterator[str]:
    for equation in jaxpr.eqns:
        if equation.primitive.name in RULES and not _source(equation)[1].startswith(OWN):
            yield _source(equation)[0]
        for _, value in _inner(equation.params):
            for part in value if isinstance(value, tuple | list) else (value,):
                yield from _rules(getattr(part, "jaxpr", part)) if hasattr(part, "eqns") or hasattr(part, "jaxpr") else ()


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
        jaxpr = jax.make_jaxpr(function)(*args)
    except Exception:  # it branches on values, say: nothing can be seen
        return ()
    return tuple(dict.fromkeys(_rules(jaxpr.jaxpr)))


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
        jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        out = _evaluated(jaxpr.jaxpr, jaxpr.consts, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return plain


def _evaluated(jaxpr, consts, *args) -> list:
    """The results of a traced function, computed without custom rules."""
    values = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, args, strict=True))

    def of(variable):
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in jaxpr.eqns:
        inputs, params = list(map(of, equation.invars)), dict(equation.params)
        if equation.primitive.name in RULES and not _source(equation)[1].startswith(OWN):
            body = params["call_jaxpr"]
            found = _evaluated(body.jaxpr, body.consts, *inputs)
        elif equation.primitive.name in RULES or not any(map(_has_rules, _parts(params))):
            bound = equation.primitive.get_bind_params(params)
            functions, bound = bound if isinstance(bound, tuple) else ((), bound)  # the form differs between JAX's versions
            found = equation.primitive.bind(*functions, *inputs, **bound)
            found = list(found) if equation.primitive.multiple_results else [found]
        elif equation.primitive.name in ("jit", "pjit", "closed_call", "remat2", "checkpoint", "remat"):
            body = params["jaxpr"]
            inner, inner_consts = (body.jaxpr, body.consts) if isinstance(body, ClosedJaxpr) else (body, ())
            found = _evaluated(inner, inner_consts, *inputs)
        else:
            changed = {key: _changed(value) for key, value in _inner(params)}
            found = equation.primitive.bind(*inputs, **{**params, **changed})
            found = list(found) if equation.primitive.multiple_results else [found]
        values.update(zip(equation.outvars, found, strict=True))
    return [of(variable) for variable in jaxpr.outvars]


def _parts(params: dict) -> Iterator[Any]:
    for _, value in _inner(params):
        yield from value if isinstance(value, tuple | list) else (value,)


def _has_rules(part: Any) -> bool:
    jaxpr = getattr(part, "jaxpr", part)
    return hasattr(jaxpr, "eqns") and any(_rules(jaxpr))


def _changed(value: Any) -> Any:
    """The functions inside an operation without custom rules."""
    if isinstance(value, tuple | list):
        return type(value)(map(_changed, value))
    if not isinstance(value, ClosedJaxpr) or not _has_rules(value):
        return value
    run = jaxpr_as_fun(value)
    return jax.make_jaxpr(without_rules(run))(*value.in_avals)
