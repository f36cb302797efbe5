"""See and trust gradients: hand-written backpropagation in JAX, proven against `jax.grad`.

>>> import functional_nn as fnn, jax, jax.numpy as jnp
>>> net = fnn.mlp((64, 32, 10), hidden="relu", output="softmax")
>>> params = net.init(jax.random.key(0))
>>> of_batch = fnn.backprop.value_and_grad(net, "cross_entropy")
>>> cost, grads = of_batch(params, jnp.ones((1, 64)), jnp.array([3]))
"""

from functional_nn import (
    activations,
    autodiff,
    backprop,
    checkpoint,
    data,
    handover,
    initializers,
    layers,
    losses,
    metrics,
    monitor,
    objective,
    optimizers,
    penalties,
    schedules,
    verify,
)
from functional_nn.network import Network, mlp, sequential, summary
from functional_nn.objective import cost
from functional_nn.stopping import Stop, until_converged
from functional_nn.training import Moment, Result, fit

__all__ = ["Moment", "Network", "Result", "Stop", "activations", "autodiff", "backprop",
           "checkpoint", "cost", "data", "fit", "handover", "initializers", "layers", "losses",
           "metrics", "mlp", "monitor", "objective", "optimizers", "penalties", "schedules",
           "sequential", "summary", "until_converged", "verify"]
