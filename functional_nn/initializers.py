"""Initial weights and biases: those of `jax.nn.initializers` by name, and Nielsen's two.

An initialiser has the signature of `jax.nn.initializers`: (key, (n_in, n_out), dtype) ->
kernel. Layers transpose the kernel into their weights (n_out, n_in). Any function of
`jax.nn.initializers` can be given in place of a name; its biases then start at 0.

>>> import jax
>>> get("nielsen").weights(jax.random.key(0), (784, 30)).std().round(3)   # 1/sqrt(784) = 0.0357
Array(0.036, dtype=float32)
"""

import copyreg
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import initializers as of_jax

from functional_nn import checks

__all__ = ["INITIALIZERS", "Initializer", "get"]


class Initializer(NamedTuple):
    """The initialisers of a layer's weights and of its biases.

    Attributes:
      weights: (key, (n_in, n_out), dtype) -> the kernel, an array of that shape and dtype.
      biases: (key, (n_out,), dtype) -> a vector of that shape and dtype.
    """

    weights: Callable[..., jax.Array]
    biases: Callable[..., jax.Array] = of_jax.zeros


def _normal(deviation: float) -> Callable[..., jax.Array]:
    """N(0, deviation²), with the same bits whether or not it is compiled.

    The compiler would merge the two factors of the draw, and round once where it is rounded twice.
    """
    def draw(key, shape, dtype=None):
        normal = jax.lax.optimization_barrier(of_jax.normal(1.0)(key, shape, dtype))
        return normal * jnp.asarray(deviation, normal.dtype)

    return draw


def _nielsen_weights(key, shape, dtype=None):
    """Draw from N(0, 1/n_in).

    The standard deviation 1/√n_in keeps z near N(0, 1), so that neurons do not start saturated.
    """
    n_in, _ = shape
    return _normal(n_in**-0.5)(key, shape, dtype)


def _orthogonal_weights(key, shape, dtype=jnp.float32):
    """A matrix with orthonormal rows or columns.

    It is drawn in float32 where `dtype` is narrower: the QR decomposition has no narrower dtype.
    Under `jax.vmap` one matrix is drawn after the other: in a compiled program that decomposes
    several at once, XLA's threads on a CPU can wait for each other for ever (jaxlib 0.10).
    """
    wide = jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype
    draw = jax.custom_batching.sequential_vmap(lambda key: of_jax.orthogonal()(key, shape, wide))
    return draw(key).astype(dtype)


INITIALIZERS = MappingProxyType({
    "glorot_uniform": Initializer(of_jax.glorot_uniform()),
    "glorot_normal": Initializer(of_jax.glorot_normal()),
    "he_uniform": Initializer(of_jax.he_uniform()),
    "he_normal": Initializer(of_jax.he_normal()),
    "lecun_uniform": Initializer(of_jax.lecun_uniform()),
    "lecun_normal": Initializer(of_jax.lecun_normal()),
    "orthogonal": Initializer(_orthogonal_weights),
    "zeros": Initializer(of_jax.zeros),
    "nielsen": Initializer(_nielsen_weights, of_jax.normal(1.0)),  # w: N(0, 1/n_in), b: N(0, 1)
    "nielsen_large": Initializer(of_jax.normal(1.0), of_jax.normal(1.0)),  # w and b: N(0, 1)
})


def get(initializer: str | Initializer | Callable[..., jax.Array]) -> Initializer:
    """The initialiser of that name.

    An `Initializer` is returned as it is. A function (key, (n_in, n_out), dtype) -> kernel
    becomes the initialiser of the weights, with biases of 0.

    Raises a ValueError for an unknown name, and a TypeError for a function of other arguments.

    >>> get("nielsen_large").biases(jax.random.key(0), (1000,)).std().round(1)
    Array(1., dtype=float32)
    >>> get(of_jax.normal(0.1)).biases(jax.random.key(0), (3,)).tolist()
    [0.0, 0.0, 0.0]
    """
    if isinstance(initializer, Initializer):
        return initializer
    if callable(initializer):
        try:
            jax.eval_shape(lambda key: initializer(key, (2, 3), jnp.float32), jax.random.key(0))
        except TypeError as error:
            raise TypeError(
                f"init must be a function (key, (n_in, n_out), dtype) -> kernel, got "
                f"{initializer!r}; those of jax.nn.initializers that take settings are called "
                "first: he_normal()") from error
        return Initializer(initializer)
    return checks.one_of("initializer", initializer, INITIALIZERS)


def _reduced(initializer: Initializer) -> tuple:
    """How an initialiser is pickled and copied: by its name, if it has one here."""
    name = next((name for name, own in INITIALIZERS.items() if own == initializer), None)
    return initializer.__reduce_ex__(2) if name is None else (get, (name,))


copyreg.pickle(Initializer, _reduced)
