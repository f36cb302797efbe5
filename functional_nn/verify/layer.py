"""Check a single backward rule against `jax.vjp`.

The rule is that of a layer, of a (forward, backward) pair, or of a function with its own
`custom_vjp` or `custom_jvp`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.layers import Layer
from functional_nn.verify.calls.calling import called
from functional_nn.verify.causes import CAUSES, Hypothesis, judge
from functional_nn.verify.references import RELATIVE
from functional_nn.verify.report import Fault, Leaf, Report, blocks_of

COTANGENTS = 5


def check_layer(layer: Layer, n_in: int, *, key=None, seed: int = 0) -> Report:
    """Compare a layer's `backward` and `factors` with `jax.vjp` of its `forward`.

    The comparison is in float64, at random parameters and a random input.

    Args:
      layer: a layer of `fnn.layers`, or your own.
      n_in: the size of the layer's input.
      key: the random key of a random layer such as dropout.
      seed: seed of the parameters, the input and the cotangents.

    >>> import functional_nn as fnn
    >>> bool(check_layer(fnn.layers.maxout(3, pieces=2), 4))
    True
    """
    if not isinstance(layer, Layer):
        raise TypeError(f"layer must be a layer such as fnn.layers.dense(30, 'relu'), got {layer!r}")
    with jax.enable_x64(True):
        start, noise = jax.random.split(jax.random.key(seed))
        params = layer.init(start, checks.integer("n_in", n_in), jnp.float64)
        leaves, tree = jax.tree.flatten(params)
        params = tree.unflatten([leaf + jax.random.normal(k, leaf.shape, leaf.dtype) for leaf, k in zip(
            leaves, jax.random.split(noise, max(len(leaves), 1)), strict=False)])
        a = jax.random.normal(jax.random.fold_in(noise, 1), (n_in,), jnp.float64)

        def backward(delta, params, a):
            cotangent, factors = layer.backward(params, layer.forward(params, a, key)[1], delta)
            return layer.factors.gradient(factors), cotangent

    return check_rule(lambda params, a: layer.forward(params, a, key)[0], backward, params, a,
                      names=("params", "input"), seed=seed)


def check_rule(forward: Callable, backward: Callable | None, *args, names: tuple[str, ...] = (), seed: int = 0) -> Report:
    """Compare a backward rule with `jax.vjp` of the forward function, in float64.

    Args:
      forward: (*args) -> an array.
      backward: (cotangent, *args) -> a tuple of one gradient per argument, or the gradient itself
        if there is one argument; in JAX or NumPy. If it is None, the `custom_vjp` or `custom_jvp`
        of `forward` is checked against differentiation of the function that it decorates.
      args: the arguments at which to compare, trees of floats.
      names: the arguments' names in the report.
      seed: seed of the random cotangents.

    >>> import jax.numpy as jnp
    >>> report = check_rule(jnp.tanh, lambda g, x: g * jnp.tanh(x) ** 2, jnp.array([0.5, 2.0, -1.0]))     # not 1 - tanh²
    >>> bool(report), report.faults[0].leaf
    (False, 'args[0]')
    """
    with jax.enable_x64(True):
        args = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), args)
        primal = forward
        if backward is None:
            primal, backward = _primal(forward), lambda g, *args: jax.vjp(forward, *args)[1](g)
        value, pull = jax.vjp(primal, *args)
        if not isinstance(value, jax.Array):
            raise ValueError(f"forward must return one array, got {jax.tree.structure(value)}")
        noise = np.random.default_rng(seed).normal(size=(COTANGENTS, *value.shape))
        right = [_paths(pull(jnp.asarray(g)), names) for g in noise]
        mine = [_paths(_as_tuple(called(backward, (jnp.asarray(g), *args), "backward"), len(args)), names) for g in noise]
        ones = _paths(pull(jnp.ones_like(value)), names)
    leaves, faults = [], []
    for path, first in right[0].items():
        if path not in mine[0] or mine[0][path].shape != first.shape:
            got = f"of shape {mine[0][path].shape}" if path in mine[0] else "nothing"
            faults.append(Fault("structure", None, path, None, "unexplained", np.inf,
                                f"backward gives {got} for {path} of shape {first.shape}"))
            continue
        given, expected = (np.stack([each[path] for each in every]) for every in (mine, right))
        gap, size = np.linalg.norm(given - expected), max(np.linalg.norm(given), np.linalg.norm(expected))
        fine = bool(gap <= RELATIVE["autodiff"] * size)
        error = 0.0 if gap == 0 else float(gap / size) if np.isfinite(gap) else np.inf
        worst, blocks = _worst(given, expected), blocks_of(given.mean(axis=0), expected.mean(axis=0))
        leaves.append(Leaf(path, first.shape, {"autodiff": error}, {"autodiff": fine}, worst=worst, blocks=blocks))
        if not fine:
            faults.append(_fault(path, given, expected, ones[path], error))
    return Report(tuple(faults), tuple(leaves), {"autodiff": RELATIVE["autodiff"]}, "float64", seed=seed)


def _primal(forward: Callable) -> Callable:
    """Return the function that `custom_vjp` or `custom_jvp` decorates."""
    primal = getattr(forward, "fun", None)
    if not callable(primal):
        raise TypeError("backward may be None only where forward is decorated with jax.custom_vjp or jax.custom_jvp; got "
                        f"{forward!r}")
    return primal


def _as_tuple(gradients: Any, n: int) -> tuple:
    if n == 1 and not (isinstance(gradients, tuple) and len(gradients) == 1):
        return (gradients,)
    return tuple(gradients)


def _paths(gradients: tuple, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return a dict from path to leaf; a path begins with the argument's name."""
    found = {}
    for i, gradient in enumerate(gradients):
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
            name = names[i] if i < len(names) else f"args[{i}]"
            found[name + jax.tree_util.keystr(path)] = np.asarray(leaf, dtype=np.float64)
    return found


def _worst(given, expected) -> tuple[tuple[int, ...], float, float]:
    """Return (index, given value, expected value) of the entry with the largest error."""
    gap = np.nan_to_num(np.abs(given - expected), nan=np.inf)
    place = np.unravel_index(int(np.argmax(gap)), gap.shape)
    return tuple(int(i) for i in place[1:]), float(given[place]), float(expected[place])


def _fault(path: str, given, expected, of_ones, error: float) -> Fault:
    ignored = Hypothesis("cotangent ignored", np.broadcast_to(of_ones, given.shape), "does not use its cotangent")
    verdict = judge(given, expected, [ignored], 2.0**-53, f"d/d{path}")
    index, mine, right = _worst(given, expected)
    what = CAUSES[verdict.cause] + (f" ({verdict.value})" if verdict.value else "")
    named = verdict.cause != "unexplained"
    return Fault(None, None, path, index, verdict.cause, verdict.residual,
                 f"{path}: relative error {error:.1e}: {what}, worst at {path}{list(index)}", f"{path}, against jax.vjp", what,
                 verdict.formula if named else "", f"d/d{path}" if named else "", verdict.value, verdict.runner_up, mine, right)
