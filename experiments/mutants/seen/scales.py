"""Wrong signs, factors and lengths."""

import math

import numpy as np

from experiments.mutants.making import errors
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.places import BATCH, DELTAS, HEAD, LEAVES, all_of, everywhere

FAMILY = Family("reductions and scales")
operator = FAMILY.operator


@operator("sign turned", (*DELTAS, *LEAVES), "sign", also=everywhere)
def _(step):
    return -step.right


for _name, _factor in (("twice", 2.0), ("half", 0.5), ("three times", 3.0),
                       ("one percent more", 1.01), ("a tenth", 0.1)):
    operator(_name, (*DELTAS, *LEAVES), "factor", also=everywhere)(
        lambda step, c=_factor: c * step.right)


@operator("the step instead of the gradient", HEAD, "factor", also=everywhere)
def _(step):
    return -0.1 * step.right


@operator("mean over the outputs", HEAD, "factor", "another loss", also=everywhere)
def _(step):
    return step.right / step.right.shape[1]


@operator("logarithm to base 2", HEAD, "factor", "another loss", also=everywhere)
def _(step):
    only_if(step.run.model.loss != "quadratic")
    return step.right / math.log(2)


@operator("off by a millionth", (*DELTAS, *LEAVES), "factor", also=everywhere)
def _(step):
    return step.right * (1 + 1e-6)


@operator("biases alone uphill", BATCH, "sign", also=all_of("bias"))
def _(step):
    return -step.right if step.leaf == "b" else step.right


@operator("root of the mean squared error", HEAD, "another loss", "factor", "examples weighted",
          "normalised", also=everywhere)
def _(step):
    error, _ = errors(step)
    return step.right / (2 * np.sqrt((error ** 2).sum() / 2 / len(error)))
