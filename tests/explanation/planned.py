"""A small network, planned in part or as a whole."""

import functional_nn as fnn
from functional_nn.explanation.notation import Symbol
from functional_nn.explanation.plan import Plan
from functional_nn.objective import objective

WHOLE = (0, 1, 2), (0, 1, 2, 3), (0, 1)


def plan(shown, **options):
    return Plan(objective(fnn.mlp((3, 4, 2), hidden="tanh"), "mse"), shown, **options)


def symbols(formula):
    return [part for part in formula.parts if isinstance(part, Symbol)]
