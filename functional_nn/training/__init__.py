"""Training by steps of an optimiser, until the last epoch or a stopping rule (N16–N18, N21)."""

from functional_nn.stopping import Stop
from functional_nn.training.fit import Moment, Result, fit
from functional_nn.training.judging import evaluate
from functional_nn.training.steps import epoch_function

__all__ = ["Moment", "Result", "Stop", "epoch_function", "evaluate", "fit"]
