"""Initial weights and biases: those of `jax.nn.initializers` by name, and Nielsen's two.

An initialiser is called as the field has it, (key, (n_in, n_out), dtype) -> kernel; layers transpose the kernel into their own
weights (n_out, n_in). Any function of `jax.nn.initializers` can be given in place of a name; its biases start at 0.

>>> import jax
>>> get("nielsen").weights(jax.random.key(0), (784, 30)).std().round(3)   # 1/sqrt(784) = 0.0357
Array(0.036, dtype=float32)
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import initializers as of_jax

from functional_nn import checks

__all__ = ["INITIALIZERS", "Initializer", "get"]


class Initializer(NamedTuple):
    """weights: (key, (n_in, n_out), dtype) -> kernel; biases: (key, (n_out,), dtype) -> vector."""

    weights: Callable[..., jax.Array]
    biases: Callable[..., jax.Array] = of_jax.zeros


def _nielsen_weights(key, shape, dtype=None):
    """N(0, 1/n_in): a standard deviation of 1/√n_in keeps z near N(0, 1), so that neurons do not start saturated."""
    n_in, _ = shape
    return of_jax.normal(n_in**-0.5)(key, shape, dtype)


def _orthogonal_weights(key, shape, dtype=jnp.float32):
    """Drawn in float32 where `dtype` is narrower, since no narrower matrix can be decomposed."""
    return of_jax.orthogonal()(key, shape, jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype).astype(dtype)


INITIALIZERS = MappingProxyType({
    "glorot_uniform": Initializer(of_jax.glorot_uniform()),
    "glorot_normal": Initializer(of_jax.glorot_normal()),
    "he_uniform": Initializer(of_jax.he_uniform()),
    "he_normal": Initializer(of_jax.he_normal()),
    "lecun_uniform": Initializer(of_jax.lecun_uniform()),
    "lecun_normal": Initializer(of_jax.lecun_normal()),
    "orthogonal": Initializer(_orthogonal_weights),
    "zeros": Initializer(of_jax.zeros),
    "nielsen": Initializer(_nielsen_weights, of_jax.normal(1.0)),  # weights N(0, 1/n_in), biases N(0, 1)
    "nielsen_large": Initializer(of_jax.normal(1.0), of_jax.normal(1.0)),  # weights and biases N(0, 1)
})


def get(initializer: str | Initializer | Callable[..., jax.Array]) -> Initializer:
    """The initialiser of that name; an Initializer is handed back, a function of `jax.nn.initializers` gets zero biases."""
    if isinstance(initializer, Initializer):
        return initializer
    if callable(initializer):
        try:
            jax.eval_shape(lambda key: initializer(key, (2, 3), jnp.float32), jax.random.key(0))
        except TypeError as error:
            raise TypeError(f"init must be a function (key, (n_in, n_out), dtype) -> kernel, got {initializer!r}; those of "
                            "jax.nn.initializers that take settings are called first: he_normal()") from error
        return Initializer(initializer)
    return checks.one_of("initializer", initializer, INITIALIZERS)
