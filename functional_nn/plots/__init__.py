"""Figures of training runs, gradients and predictions, drawn with matplotlib.

Every function takes NumPy arrays and dicts and returns a `matplotlib.figure.Figure`. No function
touches pyplot or rcParams. Titles state the main result in numbers.
"""

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("pictures need matplotlib; install it with: "
                              "pip install -e '.[plots]'") from error

from functional_nn.plots.canvas import png, save
from functional_nn.plots.curves import learning_curves
from functional_nn.plots.heat import error_maps
from functional_nn.plots.leaves import error_bars_by_leaf
from functional_nn.plots.misreadings import confusion
from functional_nn.plots.quantities import quantities
from functional_nn.plots.regressions import predictions
from functional_nn.plots.slopes import functions, losses

__all__ = ["confusion", "error_bars_by_leaf", "error_maps", "functions", "learning_curves",
           "losses", "png", "predictions", "quantities", "save"]
