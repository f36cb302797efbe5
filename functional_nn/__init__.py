"""See and trust gradients: hand-written backpropagation in JAX, proven against `jax.grad`.

>>> import functional_nn as fnn, jax, jax.numpy as jnp
>>> net = fnn.mlp((64, 32, 10), hidden="relu", output="softmax")
>>> params = net.init(jax.random.key(0))
>>> of_batch = fnn.backprop.value_and_grad(net, "cross_entropy")
>>> cost, grads = of_batch(params, jnp.ones((1, 64)), jnp.array([3]))

A name is loaded when it is first used (PEP 562), so that a program that uses none, such as the
command line with `--help`, does not wait for JAX.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functional_nn.surface import *  # noqa: F403


def __getattr__(name: str):
    """The module of that name in this package, or else the object of that name in `surface`."""
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    surface = importlib.import_module(f"{__name__}.surface")
    if name != "__all__" and name not in surface.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(surface, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
