"""Hand-over of a trained model: a folder that suffices to predict from raw rows.

`model.safetensors` holds the parameters. `manifest.json` holds everything else as text: the
network, the loss, the names of features and classes, the encoding and standardisation of rows,
versions, and a checksum of each file. Other programs can read both files.
"""

from functional_nn.handover.folder import load, save
from functional_nn.handover.model import Model

__all__ = ["Model", "load", "save"]
