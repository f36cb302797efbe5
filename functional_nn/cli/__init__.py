"""`functional-nn`: the command line. Exit 0: done, or right; 1: a gradient is wrong, or training diverged; 2: the input cannot
be used, said in a sentence; 130: interrupted."""

from functional_nn.cli.main import main
from functional_nn.cli.usage import RIGHT, UNUSABLE, WRONG

__all__ = ["RIGHT", "UNUSABLE", "WRONG", "main"]
