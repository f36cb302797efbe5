"""A user's scalar function and its gradient by hand, on float64 arrays: called as what they are."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.verify.calls.arrays import (
    in_float64,
    is_array,
    is_value,
    plain,
    slopes_of,
    writer,
)
from functional_nn.verify.calls.calling import called, is_jax
from functional_nn.verify.calls.pairs import answer, pairs
from functional_nn.verify.custom import rules_of, without_rules
from functional_nn.verify.limits import RELATIVE

SHOWN = 3  # paths that a note lists


class Name(NamedTuple):
    """The key of an argument in a tree of arguments, written as it is: `args[0]`."""

    text: str

    def __str__(self) -> str:
        return self.text


@jax.tree_util.register_pytree_with_keys_class
class Arguments(dict):
    """Several arguments of a function, by name, as one tree of parameters."""

    def tree_flatten_with_keys(self) -> tuple:
        return [(Name(name), value) for name, value in self.items()], tuple(self)

    @classmethod
    def tree_unflatten(cls, names: tuple, values: Any) -> "Arguments":
        return cls(zip(names, values, strict=True))


class Scalar:
    """f(params, *args) and its gradient by hand, at one point.

    A function in JAX gets JAX arrays, any other NumPy arrays: copies, into which it may write.

    Attributes:
      params, args: the point, its floats in float64.
      numpy: whether f is no JAX.
      names: the names of the arguments in messages.
      notes: what the report should say of how the functions are read.
      raw: the last gradient, as it was returned if anything is missing.
    """

    def __init__(self, f: Callable, manual: Callable | None, params: Any, args: tuple):
        alone = manual is None
        if alone:  # a rule is wrong if it is so for any of its arguments
            f, params, args = _by_all(f, params, args)
            manual = jax.grad(f)
        self.manual, self.notes = manual, []
        self.write, self.ordered = writer((params, *args)), writer(plain(params))
        params, args = in_float64((_checked(plain(params)), plain(args)))
        self.names = ("params", *(f"args[{i}]" for i in range(len(args))))
        self.numpy = not is_jax(lambda *given: f(*self.write(given)), _copied((params, *args)))
        kind = np.asarray if self.numpy else jnp.asarray
        self.params, self.args = jax.tree.map(
            lambda leaf: kind(leaf) if is_array(leaf) else leaf, (params, args))
        rules = () if self.numpy else rules_of(
            lambda *given: f(*self.write(given)), self.params, *self.args)
        if alone and not rules:
            raise TypeError("manual may be None only where f is decorated with jax.custom_vjp or "
                            f"jax.custom_jvp, or calls a function that is; got {f!r}: pass its "
                            "hand-written gradient")
        self.f = without_rules(f) if alone else self._without(f, rules)

    def _without(self, f: Callable, rules: tuple[str, ...]) -> Callable:
        """f without the custom rules inside it; f as it is where these are right or needed."""
        if not rules:
            return f
        names, it = ", ".join(map(repr, rules)), "them" if len(rules) > 1 else "it"
        bare, point = without_rules(f), self.write((self.params, *self.args))
        try:
            without, within = (jax.tree.leaves(jax.grad(one)(*point)) for one in (bare, f))
        except Exception:  # whatever fails here is said of f as it is
            return f
        holds = f"f contains the custom rule{'s' * (len(rules) > 1)} {names}, "
        if any(not np.isfinite(a).all() and np.isfinite(b).all()
               for a, b in zip(without, within, strict=True)):
            self.notes.append(f"{holds}without which its derivative is NaN or inf here: the rule is "
                              "taken on trust; check_rule checks it")
            return f
        if all(np.linalg.norm(a - b) <= RELATIVE["autodiff"] * np.linalg.norm(a)
               for a, b in zip(without, within, strict=True)):
            return f
        self.notes.append(f"{holds}and jax.grad(f) is not the derivative of f because of {it}: the "
                          f"reference differentiates f without {it}")
        return bare

    def at(self, params: Any, args: tuple) -> Any:
        """Return f at other parameters and arguments."""
        if self.numpy:
            return _one_number(self.f(*self.write(_copied((params, *args)))))
        return self.f(*self.write((params, *args)))

    def value(self, params: Any) -> Any:
        """Return f at other parameters."""
        return self.at(params, self.args)

    def gradient(self, params: Any) -> Any:
        """Return the gradient by hand at other parameters, shaped like them where names say how.

        Raises:
          ValueError: the function fails, returns None, or changes its arguments.
        """
        if self.numpy:  # an object that keeps what its forward pass computed needs that pass first
            self.value(params)
        seen = []

        def written(arguments: tuple) -> tuple:
            seen.append(self.write(arguments))
            return seen[-1]

        result = called(self.manual, (params, *self.args), "manual", self.names, written)
        if result is None and any(map(is_value, jax.tree.leaves(seen[-1][0], is_leaf=is_value))):
            result = seen[-1][0]  # nodes, which now hold their gradients
        if result is None:
            raise ValueError("manual must return a gradient shaped like params, got None; does it "
                             "end in a return statement?")
        return self._aligned(self.ordered(params), plain(slopes_of(result)))

    def _aligned(self, params: Any, result: Any) -> Any:
        """The gradient in a result, shaped like params; None in the place of what is missing."""
        given = answer(result, params).gradient
        paired = pairs(params, given)
        if paired.extra and not paired.missing:
            more = f" and {len(paired.extra) - SHOWN} more" if len(paired.extra) > SHOWN else ""
            one = len(paired.extra) == 1
            self.notes.append(f"{', '.join(paired.extra[:SHOWN])}{more} of manual's gradient "
                              f"{'is' if one else 'are'} no parameter's and {'was' if one else 'were'} "
                              "left out")
        aligned = jax.tree_util.tree_map_with_path(
            lambda path, _: paired.found.get(jax.tree_util.keystr(path)), params)
        self.raw = given if paired.missing else aligned
        return aligned

    def first(self) -> Any:
        """Return f at the point, one real number, called so that changes in place are found.

        Raises:
          TypeError, ValueError: f fails, or returns anything else.
        """
        given = (self.params, *self.args)
        found = (_one_number(called(self.f, given, "f", self.names, self.write)) if self.numpy
                 else self.f(*self.write(jax.tree.map(lambda leaf: leaf, given))))
        if found is None:
            raise ValueError("f must return one real number, got None; does it end in a return "
                             "statement?")
        if len(jax.tree.leaves(found)) != 1 or np.shape(found) != () or not jnp.issubdtype(
                np.asarray(found).dtype, jnp.floating):
            got = jax.tree.map(lambda s: (np.asarray(s).dtype.name, np.shape(s)), found)
            raise ValueError(f"f must return one real number, got {got}; sum or average its output, "
                             "or pick one entry")
        return found


def _by_all(f: Callable, params: Any, args: tuple) -> tuple[Callable, Any, tuple]:
    """(f, params, args) with every argument that holds floats among the params."""
    every = (params, *args)
    names = ["params", *(f"args[{i}]" for i in range(len(args)))]
    moving = [i for i, arg in enumerate(every) if i == 0 or (jax.tree.leaves(arg) and all(
        jnp.issubdtype(np.asarray(leaf).dtype, jnp.floating) for leaf in jax.tree.leaves(arg)))]
    if len(moving) == 1:
        return f, params, args

    def of(held: Arguments) -> Any:
        return f(*(held.get(name, value) for name, value in zip(names, every, strict=True)))

    return of, Arguments({names[i]: every[i] for i in moving}), ()


def _copied(arguments: Any) -> Any:
    return jax.tree.map(
        lambda leaf: np.array(leaf) if isinstance(leaf, np.ndarray) else leaf, arguments)


def _one_number(value: Any) -> Any:
    """The value of a NumPy f as a number of its own precision; an array of one entry counts."""
    value = plain(value)
    array = np.asarray(value)
    return array.reshape(())[()] if array.size == 1 and array.dtype.kind in "fiub" else value


def _checked(params: Any) -> Any:
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        checks.floating("params" + jax.tree_util.keystr(path), leaf)
    return params
