"""What was found wrong with a network's backpropagation."""

from dataclasses import dataclass

from functional_nn.verify.batches import BatchFault, Case, uneven
from functional_nn.verify.causes import Verdict
from functional_nn.verify.locate import Located, Step
from functional_nn.verify.penalties import Penalty
from functional_nn.verify.scene import Scene


@dataclass(frozen=True)
class Diagnosis:
    """What was found: steps with their causes, mistakes of batches, a penalty; conventions at kinks that are no mistakes."""

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
        """Whether something is wrong."""
        return bool(self.steps or self.batches or self.penalty or self.lost or self.swapped)

    @property
    def uneven(self) -> bool:
        """Whether batches are not the mean of single examples, even where no step of them can be blamed."""
        return uneven(self.scene, self.cases)
