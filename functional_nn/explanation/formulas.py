"""The formulas of a network's working: what every quantity is computed from (N8, N13, N14).

A `Formula` is made of symbols and holds no number. `numbers` gives the symbols their values, and
`rendering` writes a formula with its symbols and once more with their values put in. The same
formulas serve one example, a batch, and every step of a recorded run.
"""

import itertools

from functional_nn.explanation.backwards import errors, gradients, update
from functional_nn.explanation.forwards import forwards, loss_section
from functional_nn.explanation.plan import Plan, Section

__all__ = ["sections"]


def sections(plan: Plan) -> tuple[Section, ...]:
    """The sections of the working: forwards, the loss, backwards, and one update."""
    layers = range(2, plan.last + 1)
    return (*(forwards(plan, l) for l in layers), loss_section(plan),
            *itertools.chain.from_iterable(
                (errors(plan, l), gradients(plan, l)) for l in reversed(layers)),
            update(plan))
