"""The gradient time machine: a run taken again and shown on a page, `fnn.replay`.

`recording` makes the steps of the run again, with the same bits, and `looking` records some of
them. `mistakes` plants a mistake in the backward pass of a second run. `page` writes the page.
"""

from functional_nn.timemachine.mistakes import MISTAKES
from functional_nn.timemachine.replay import Replay, replay

__all__ = ["MISTAKES", "Replay", "replay"]
