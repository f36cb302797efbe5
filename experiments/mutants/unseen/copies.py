"""Leaves and arrays that are another's: copied, shared, or written over."""

from experiments.mutants import passes
from experiments.mutants.making import alike, below_activation, changed, normalised, plain, remade
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import SLOPES
from experiments.mutants.places import BIAS, FINISHED, STRUCTURE, WEIGHT, above, here, of_layer

FAMILY = Family("copied leaves", unseen=True)
operator = FAMILY.operator


def one_up(step, **leaves):
    """The finished gradient with other leaves in the layer above."""
    grads = list(step.right)
    grads[step.layer + 1] = {**grads[step.layer + 1], **leaves}
    return tuple(grads)


def above_here(place, last):
    """The part of the layer above in the finished gradient."""
    return frozenset({("structure", place[1] + 1)}), FINISHED


@operator("one matrix for two layers, the lower one's", STRUCTURE, "another leaf's gradient",
          where=above("weight"), also=above_here)
def _(step):
    return one_up(step, w=alike(step, "w")[0])


@operator("gradients of the layer below handed back twice", STRUCTURE, "another leaf's gradient",
          "another layer's delta", where=above("weight", "bias"), also=above_here)
def _(step):
    return one_up(step, w=alike(step, "w")[0], b=alike(step, "b")[0])


@operator("bias of a norm copied from its gain", BIAS, "another leaf's gradient")
def _(step):
    normalised(step)
    return step.run.reduce(passes.product(step.spec, step.delta, step.a), "b")


@operator("input overwritten by its own delta", WEIGHT, "other activation")
def _(step):
    plain(step)
    slope = SLOPES[below_activation(step)](step.run.tapes[step.layer - 1].z)
    p, tape = step.run.params[step.layer], step.run.tapes[step.layer]
    return remade(step, a=passes.pull(step.spec, p, tape, step.delta) * slope)


@operator("gradient of a tied layer's weights added", STRUCTURE, "added to another", "term added",
          where=of_layer("weight"), also=here)
def _(step):
    only_if(step.layer < step.run.model.last)
    pair = [step.right[step.layer + i] for i in (0, 1)]
    only_if(all(isinstance(g, dict) and "w" in g and g["w"].ndim == 2 for g in pair))
    only_if(pair[0]["w"].shape == pair[1]["w"].shape[::-1])
    return changed(step, w=pair[0]["w"] + pair[1]["w"].T)
