"""Handing a trained model over: one folder that predicts, and that other programs can read.

The folder holds `model.safetensors`, the parameters, and `manifest.json`, all else as text: the network, the loss, the names
of features and classes, how new rows are encoded and standardised, versions, and a checksum of either file.
"""

from functional_nn.handover.folder import load, save
from functional_nn.handover.model import Model

__all__ = ["Model", "load", "save"]
