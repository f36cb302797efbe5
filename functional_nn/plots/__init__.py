"""Figures of training runs, gradients and predictions, drawn with matplotlib.

Every function takes NumPy arrays and dicts and returns a `matplotlib.figure.Figure`, but for those
named `draw_…`, which draw into axes such as `panels` gives. No function touches pyplot or rcParams.
Titles state the main result in numbers.
"""

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("pictures need matplotlib; install it with: "
                              "pip install -e '.[plots]'") from error

from functional_nn.plots.bands import draw_bands, draw_curves, draw_groups
from functional_nn.plots.boundaries import draw_boundary
from functional_nn.plots.canvas import panels, png, save
from functional_nn.plots.curves import learning_curves
from functional_nn.plots.diagrams import draw_network
from functional_nn.plots.heat import error_maps
from functional_nn.plots.leaves import error_bars_by_leaf
from functional_nn.plots.misreadings import confusion
from functional_nn.plots.quantities import quantities
from functional_nn.plots.regressions import predictions
from functional_nn.plots.slopes import functions, losses
from functional_nn.plots.surfaces import draw_surface

__all__ = ["confusion", "draw_bands", "draw_boundary", "draw_curves", "draw_groups",
           "draw_network", "draw_surface", "error_bars_by_leaf", "error_maps", "functions",
           "learning_curves", "losses", "panels", "png", "predictions", "quantities", "save"]
