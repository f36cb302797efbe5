"""Optimisers by hand (N16, N19), as `optax.GradientTransformation`s.

Each works wherever its optax equivalent does, and takes the same steps. An optimiser is a
pair of pure functions: `init(params)` returns the initial state, and `update(gradients,
state, params)` returns the step, which is added to the parameters, and the next state.

Each optimiser is one rule that reads like its equations. The arithmetic of each leaf is done
in the leaf's own dtype, so bfloat16 stays bfloat16. A leaf without a gradient (None) gets no
step. The state is a plain pytree: the count of steps, and the memory by name.

>>> import jax.numpy as jnp
>>> optimizer, params = adam(0.1), {"w": jnp.ones(2)}
>>> step, state = optimizer.update({"w": jnp.array([3.0, -5.0])}, optimizer.init(params))
>>> [f"{entry:.3f}" for entry in step["w"]], int(state.count), list(state.memory)
(['-0.100', '0.100'], 1, ['mu', 'nu'])
"""

from functional_nn.optimizers.adaptive import adadelta, adagrad, rmsprop
from functional_nn.optimizers.leafwise import Leaf, State, by_leaf
from functional_nn.optimizers.moments import adam, adamw, amsgrad, lion, nadam
from functional_nn.optimizers.momentum import sgd
from functional_nn.optimizers.transforms import (
    chain,
    clip_by_global_norm,
    clip_by_value,
    decoupled_decay,
    l1,
    l2,
    max_norm,
)
from functional_nn.optimizers.twins import TWINS, Twin

OPTIMIZERS = {twin.make.__name__: twin.make for twin in TWINS.values() if twin.make is not None}
"""The functions that make an optimiser, by name."""

__all__ = ["OPTIMIZERS", "TWINS", "Leaf", "State", "Twin", "adadelta", "adagrad", "adam", "adamw",
           "amsgrad", "by_leaf", "chain", "clip_by_global_norm", "clip_by_value",
           "decoupled_decay", "l1", "l2", "lion", "max_norm", "nadam", "rmsprop", "sgd"]
