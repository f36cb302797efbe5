"""The findings about a network's backpropagation."""

from dataclasses import dataclass

from functional_nn.verify.batches import BatchFault, Case, uneven
from functional_nn.verify.causes import Verdict
from functional_nn.verify.locate import Located, Step
from functional_nn.verify.penalties import Penalty
from functional_nn.verify.scene import Scene


@dataclass(frozen=True)
class Diagnosis:
    """The findings: wrong steps with causes, batch faults, a penalty, and what is lost or swapped.

    `kinks` lists conventions at kinks, which are no mistakes. `lost` are the steps that are NaN or
    inf; `swapped` are the leaves in each other's place.
    """

    scene: Scene
    located: Located
    steps: list[tuple[Step, Verdict]]
    batches: list[BatchFault]
    penalty: Penalty | None
    lost: list[tuple[str, int]]
    swapped: list[tuple[int, str]]
    cases: list[Case]
    explanations: tuple[Located, ...] = ()
    kinks: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.steps or self.batches or self.penalty or self.lost or self.swapped)

    @property
    def uneven(self) -> bool:
        """Whether some batch gradient is not the mean (sum) of the single ones."""
        return uneven(self.scene, self.cases)
