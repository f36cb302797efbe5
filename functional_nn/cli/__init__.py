"""The command line, `functional-nn`.

Exit codes:
  0: the work is done, or the gradient is right.
  1: the gradient is wrong, or training diverged.
  2: the input cannot be used; a sentence on standard error says why.
  130: training was interrupted.
  129, 143: training was ended by SIGHUP or SIGTERM, as on a machine that is taken away.
  141: who reads the output has closed it, as `head` does; a shell says so of SIGPIPE.
"""

from functional_nn.cli.main import main
from functional_nn.cli.usage import RIGHT, UNUSABLE, WRONG

__all__ = ["RIGHT", "UNUSABLE", "WRONG", "main"]
