"""Optimisers by hand (N16, N19), as `optax.GradientTransformation`s: each sits wherever its optax twin does.

An optimiser is a pair of pure functions. `init(params)` makes the state, `update(gradients, state, params)` the step to be
added to the parameters and the state after it. One definition is one optimiser, a rule that reads like its equations; the
arithmetic of each leaf is done in the leaf's own dtype, so bfloat16 stays bfloat16, and a leaf without a gradient (None)
stays as it is. The state is a plain pytree: the count of steps, and the memory by name.

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
from functional_nn.optimizers.transforms import clip_by_global_norm, clip_by_value, decoupled_decay, l1, l2, max_norm
from functional_nn.optimizers.twins import TWINS, Twin

OPTIMIZERS = {make.__name__: make for make in (sgd, adagrad, rmsprop, adadelta, adam, adamw, nadam, amsgrad, lion)}
"""By name."""

__all__ = ["OPTIMIZERS", "TWINS", "Leaf", "State", "Twin", "adadelta", "adagrad", "adam", "adamw", "amsgrad", "by_leaf",
           "clip_by_global_norm", "clip_by_value", "decoupled_decay", "l1", "l2", "lion", "max_norm", "nadam", "rmsprop",
           "sgd"]
