"""Networks: chains of layers (N5–N9).

A network is static structure and holds no arrays. Its parameters are a plain tuple with one entry
per layer: `init` returns them, and `apply` takes them. `apply` takes ONE example; `jax.vmap` maps
it over a batch.

>>> import functional_nn as fnn, jax
>>> net = fnn.mlp((2, 3, 4, 1), hidden="tanh")                      # the notes' 2-3-4-1 (N8)
>>> net
Network(2 -> dense(3, tanh) -> dense(4, tanh) -> dense(1, linear))
>>> params = net.init(jax.random.key(0))
>>> net.apply(params, jax.numpy.array([1.0, 2.0])).shape
(1,)
>>> jax.vmap(net.apply, in_axes=(None, 0))(params, jax.numpy.ones((5, 2))).shape
(5, 1)
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks, layers
from functional_nn.activations import Activation
from functional_nn.console import table
from functional_nn.layers import Layer

__all__ = ["Network", "mlp", "sequential", "summary"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A chain of layers; made by `mlp` or `sequential`.

    Attributes:
      n_in: the size of one example.
      layers: the layers, first to last.
    """

    n_in: int
    layers: tuple[Layer, ...]

    @functools.cached_property
    def sizes(self) -> tuple[int, ...]:
        """The sizes (n_in, n_1, …, n_L) of the input and of every layer's output."""
        return layers.sizes(self.layers, self.n_in)

    @property
    def n_out(self) -> int:
        """The size of the output."""
        return self.sizes[-1]

    @property
    def output(self) -> Activation:
        """The activation of the last layer."""
        return self.layers[-1].activation

    @property
    def random(self) -> bool:
        """Whether training draws random numbers (dropout), so that gradients take a key."""
        return any(layer.random for layer in self.layers)

    def init(self, key, dtype=jnp.float32) -> tuple:
        """Initial parameters, a tuple with one entry per layer.

        Args:
          key: a typed key, `jax.random.key(seed)`; the same key gives the same parameters.
          dtype: the floating-point dtype of every parameter; float64 needs
            `with jax.enable_x64(True):`.

        Raises a TypeError for another kind of key or dtype, and a ValueError for float64 without
        64-bit mode.
        """
        checks.typed_key("key", key)
        return layers.init(self.layers, key, self.n_in, checks.float_dtype("dtype", dtype))

    def apply(self, params, x, *, key=None) -> jax.Array:
        """The output ŷ = aᴸ of ONE example, (n_out,), after the output activation.

        Args:
          params: the parameters, as `init` returns them.
          x: the example, (n_in,), floats. For a batch X (B, n_in), use
            `jax.vmap(net.apply, in_axes=(None, 0))(params, X)`.
          key: a typed key for dropout in training; None applies no dropout.

        Raises a TypeError or ValueError that names the wrong argument.
        """
        self.check_params(params)
        x = checks.floating("x", x)
        if x.shape != (self.n_in,):
            raise ValueError(
                f"x must be ONE example of shape ({self.n_in},), got {x.shape}; for a batch use "
                "jax.vmap(net.apply, in_axes=(None, 0))(params, X)")
        x = self.inputs("x", x, dtype_of(params, x))
        if key is not None:
            checks.typed_key("key", key)
        return layers.forward(self.layers, params, x, key)[0]

    def inputs(self, argument: str, values: jax.Array, dtype) -> jax.Array:
        """Floats as what the first layer reads: of `dtype`, but for the numbers of tokens.

        Those keep their dtype, as a narrow one has not all whole numbers. Raises a ValueError for
        a value that `dtype` cannot hold, and for one that is not the number of a token.
        """
        tokens = self.layers[0].tokens
        if tokens is None:
            return checks.as_jax(argument, values, dtype)
        checks.tokens(argument, values, tokens)
        return values

    @functools.cached_property
    def _shapes(self):
        """The tree of the parameters, with shapes and dtypes as leaves."""
        return jax.eval_shape(
            lambda key: layers.init(self.layers, key, self.n_in, jnp.float32), jax.random.key(0))

    def check_params(self, params, argument: str = "params") -> None:
        """Raise a ValueError or TypeError unless `params` is a tree of this network's parameters.

        The message names the first leaf that is missing, that is superfluous, or that has a wrong
        shape or dtype. `argument` is what it calls the tree.
        """
        wanted = dict(jax.tree_util.tree_leaves_with_path(self._shapes))
        got = dict(jax.tree_util.tree_leaves_with_path(params))
        for path in [*wanted, *got]:
            name = argument + jax.tree_util.keystr(path)
            if path not in got:
                raise ValueError(
                    f"{argument} is not of this network: {name} of shape {wanted[path].shape} is "
                    f"missing; {self!r} made by net.init has {_leaf_names(wanted)}, got "
                    f"{_leaf_names(got)}")
            if path not in wanted:
                raise ValueError(
                    f"{argument} is not of this network: it has {name}, which {self!r} has not; "
                    f"wanted {_leaf_names(wanted)}")
            if np.shape(got[path]) != wanted[path].shape:
                raise ValueError(
                    f"{argument} is not of this network: {name} must have shape "
                    f"{wanted[path].shape}, got {np.shape(got[path])}; {self!r}")
            checks.floating(name, got[path])
            dtype = getattr(got[path], "dtype", None)
            if isinstance(dtype, np.dtype) and not (dtype.isnative and dtype.itemsize <= 8):
                raise TypeError(
                    f"{name} must be of a dtype that JAX has, in the byte order of the machine, "
                    f"got {dtype.str}; convert it with astype(np.float32)")

    def __reduce__(self) -> tuple:
        return _again, (self.n_in, self.layers)

    def __repr__(self) -> str:
        return f"Network({self.n_in} -> {' -> '.join(map(repr, self.layers))})"


@functools.lru_cache(maxsize=64)
def _again(n_in: int, layers: tuple[Layer, ...]) -> Network:
    """The network of these layers: all copies of a network are one object, compiled once."""
    return Network(n_in, layers)


def _leaf_names(leaves) -> str:
    names = [jax.tree_util.keystr(path) for path in leaves]
    return (", ".join(names[:6]) + (f" … ({len(names)} leaves)" if len(names) > 6 else "")
            if names else "nothing")


def dtype_of(params, x) -> jnp.dtype:
    """The dtype in which a network computes: that of `params`, or of `x` without parameters."""
    leaves = jax.tree.leaves(params)
    return jnp.result_type(*leaves) if leaves else x.dtype


def sequential(n_in: int, *parts: Layer) -> Network:
    """The network that runs the layers `parts` one after another.

    Args:
      n_in: the size of one example, an integer of at least 1.
      *parts: the layers, first to last, at least one.

    Raises a TypeError for an n_in that is not an integer and for a part that is not a layer, and a
    ValueError for sizes that do not fit, without any layer, and for a softmax over one output.

    >>> from functional_nn.layers import dense, dropout, layer_norm, residual
    >>> block = residual(layer_norm(), dense(32, "relu"))
    >>> sequential(64, dense(32), block, dropout(0.2), dense(10, "softmax"))
    Network(64 -> dense(32, linear) -> residual(layer_norm(), dense(32, relu)) -> dropout(0.2)
    -> dense(10, softmax))
    """
    n_in = checks.integer("n_in", n_in)
    checks.layers("sequential", parts, Layer)
    net = Network(n_in, parts)
    if not isinstance(net.n_out, int):
        raise ValueError(
            f"a network must end in a vector, got {parts[-1]!r} with an output of shape "
            f"{net.n_out}; put flatten() and a dense layer behind it")
    if net.n_out == 1 and not net.output.elementwise:
        raise ValueError(
            "softmax over one output is always 1; use output='sigmoid' with binary_cross_entropy, "
            "or two outputs")
    return net


def mlp(sizes: Sequence[int], hidden="sigmoid", output="linear", init="glorot_uniform") -> Network:
    """A multi-layer perceptron, a chain of dense layers (N5): aˡ = σ(Wˡaˡ⁻¹ + bˡ).

    Args:
      sizes: (n_in, hidden sizes …, n_out), two or more integers of at least 1.
      hidden: the activation of the hidden layers, or a list or tuple with one for each.
      output: the activation of the last layer: linear for regression, sigmoid for two classes,
        softmax for more (N7).
      init: a name of `fnn.initializers`, an `Initializer`, or a function of
        `jax.nn.initializers`.

    Raises a TypeError for a size that is not an integer, and a ValueError for fewer than two
    sizes, for one below 1, for a wrong number of activations, for an unknown name, and for a
    softmax over one output.

    >>> mlp((784, 30, 10), hidden="relu", output="softmax")
    Network(784 -> dense(30, relu) -> dense(10, softmax))
    """
    if not isinstance(sizes, Sequence | np.ndarray) or len(sizes) < 2:
        raise ValueError(
            "sizes must hold the input's size and at least one layer's, as (784, 30, 10) does; "
            f"got {sizes!r}")
    n_in, *widths = (checks.integer(f"sizes[{i}]", n) for i, n in enumerate(sizes))
    each = list(hidden) if isinstance(hidden, list | tuple) else [hidden] * (len(widths) - 1)
    if len(each) != len(widths) - 1:
        raise ValueError(
            f"hidden must be one activation or one for each of the {len(widths) - 1} hidden "
            f"layers, got {len(each)}")
    activations = [*each, output]
    return sequential(
        n_in, *(layers.dense(n, a, init) for n, a in zip(widths, activations, strict=True)))


def summary(net: Network) -> str:
    """A table of the layers: the size of each output, and the parameters' shapes and counts.

    >>> print(summary(mlp((784, 30, 10), hidden="relu", output="softmax")))
    layer                 output  parameters                 count
    input                    784
    0 dense(30, relu)         30  b (30,)  w (30, 784)      23,550
    1 dense(10, softmax)      10  b (10,)  w (10, 30)          310
    total                                                   23,860
    """
    rows = [("layer", "output", "parameters", "count"), ("input", str(net.n_in), "", "")]
    total = 0
    for i, (layer, n, shapes) in enumerate(
            zip(net.layers, net.sizes[1:], net._shapes, strict=True)):
        leaves = jax.tree_util.tree_leaves_with_path(shapes)
        count = sum(leaf.size for _, leaf in leaves)
        total += count
        text = "  ".join(
            f"{jax.tree_util.keystr(path, simple=True, separator='.')} {leaf.shape}"
            for path, leaf in leaves)
        rows.append((f"{i} {layer!r}", str(n), text, f"{count:,}"))
    rows.append(("total", "", "", f"{total:,}"))
    return table(rows, numbers=[1, 3])
