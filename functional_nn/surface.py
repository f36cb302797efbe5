"""What `import functional_nn as fnn` offers; the package loads it when a name is first used."""

from functional_nn import (
    activations,
    autodiff,
    backprop,
    checkpoint,
    compilation,
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
from functional_nn.explanation import explain
from functional_nn.network import Network, mlp, sequential, summary
from functional_nn.objective import cost
from functional_nn.stopping import Stop, until_converged
from functional_nn.timemachine import replay
from functional_nn.training import Moment, Result, fit

__all__ = ["Moment", "Network", "Result", "Stop", "activations", "autodiff", "backprop",
           "checkpoint", "compilation", "cost", "data", "explain", "fit", "handover",
           "initializers", "layers", "losses", "metrics", "mlp", "monitor", "objective",
           "optimizers", "penalties", "replay", "schedules", "sequential", "summary",
           "until_converged", "verify"]
