"""Every record of the catalogue."""

from functional_nn.verify.catalogue.arrays import ARRAYS
from functional_nn.verify.catalogue.batches import BATCHES
from functional_nn.verify.catalogue.blocks import BLOCKS
from functional_nn.verify.catalogue.heads import HEADS
from functional_nn.verify.catalogue.leaves import OF_LEAVES
from functional_nn.verify.catalogue.mistake import Mistake
from functional_nn.verify.catalogue.norms import NORMS
from functional_nn.verify.catalogue.pulls import PULLS
from functional_nn.verify.catalogue.slopes import SLOPES
from functional_nn.verify.catalogue.sums import SUMMED
from functional_nn.verify.catalogue.whole import WHOLE

MISTAKES: tuple[Mistake, ...] = (*SLOPES, *HEADS, *BLOCKS, *PULLS, *NORMS, *OF_LEAVES, *ARRAYS, *SUMMED, *BATCHES, *WHOLE)
"""Every record, in the order in which mistakes of one rank are believed."""


def of_site(site: str, mixes: bool) -> list[Mistake]:
    """Return the mistakes of a step, the simplest first.

    `mixes` asks for those in which examples meet, or for all others. Any leaf but a bias is taken
    for a weight.
    """
    site = site if any(site in one.sites for one in MISTAKES) else "weight"
    return sorted((one for one in MISTAKES if site in one.sites and one.mixes == mixes), key=lambda one: one.rank)
