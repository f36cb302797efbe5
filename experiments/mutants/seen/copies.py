"""Leaves that are another's: copied, shared, exchanged, or made of another layer's delta."""

import numpy as np

from experiments.mutants import passes, reference
from experiments.mutants.making import (
    alike,
    below,
    below_activation,
    changed,
    matrix_gradient,
    plain,
    remade,
    same_shapes,
    units,
    with_both,
)
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import SLOPES
from experiments.mutants.places import (
    BIAS,
    LEAVES,
    PULLBACK,
    STRUCTURE,
    WEIGHT,
    both_here,
    finished_or,
    here,
    neighbours,
    of_layer,
    reordered,
)

FAMILY = Family("copied leaves")
operator = FAMILY.operator


@operator("delta of the layer above", LEAVES, "another layer's delta")
def _(step):
    other = step.run.deltas.get(step.layer + 1)
    only_if(other is not None and step.spec.kind == "dense" and other.shape == step.delta.shape)
    return remade(step, delta=other)


@operator("delta added to the old one", PULLBACK, "added to another")
def _(step):
    old = step.above()[3]
    only_if(old.shape == step.right.shape)
    return step.right + old


@operator("bias from the activations", BIAS, "activation for delta")
def _(step):
    only_if(step.activated.shape == step.delta.shape)
    return step.run.reduce(step.activated, "b")


@operator("gradients of two layers exchanged", STRUCTURE, "exchanged leaves",
          "another layer's delta", where=neighbours(*LEAVES), also=both_here)
def _(step):
    grads = list(step.right)
    only_if(step.layer < len(grads) - 1 and same_shapes(*grads[step.layer:step.layer + 2]))
    grads[step.layer:step.layer + 2] = grads[step.layer + 1], grads[step.layer]
    return tuple(grads)


@operator("gradients in the order they were made", STRUCTURE, "exchanged leaves", "wrong shape",
          shapes=True, also=reordered)
def _(step):
    only_if(step.layer == 0 and not same_shapes(step.right[0], step.right[-1]))
    return step.right[::-1]


@operator("index of delta one too low", STRUCTURE, "another layer's delta", where=of_layer(*LEAVES),
          also=here)
def _(step):
    run, l = step.run, step.layer
    only_if(l > 0 and run.model.specs[l].kind == "dense")
    only_if(run.deltas[l - 1].shape == run.deltas[l].shape)
    delta, a = run.deltas[l - 1], run.tapes[l].a
    each = passes.product(run.model.specs[l], delta, a)
    return changed(step, w=run.reduce(each, "w"), b=run.reduce(delta, "b"))


@operator("branch added in place, leaves made after", STRUCTURE, "another layer's delta",
          "added to another", where=of_layer(*LEAVES), also=here)
def _(step):
    run, l = step.run, step.layer
    spec, p, tape = run.model.specs[l], run.params[l], run.tapes[l]
    only_if(l > 0 and spec.kind == "residual")
    grads = list(step.right)
    grads[l] = reference.leaves(run, l, spec, p, tape, passes.pull(spec, p, tape, run.deltas[l]))
    return tuple(grads)


@operator("gain and bias change places", STRUCTURE, "exchanged leaves", where=of_layer(*LEAVES),
          also=here)
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "gain" in g)
    return changed(step, gain=g["bias"], bias=g["gain"])


@operator("matrix and bias change places", STRUCTURE, "exchanged leaves", "wrong shape",
          shapes=True, also=finished_or(*LEAVES))
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "w" in g)
    return changed(step, w=g["b"], b=g["w"])


@operator("one array for two biases", STRUCTURE, "added to another", where=neighbours("bias"),
          also=both_here)
def _(step):
    both = sum(alike(step, "b"))
    return with_both(step, "b", both, both)


@operator("biases of neighbours change places", STRUCTURE, "exchanged leaves",
          "another layer's delta", where=neighbours("bias"), also=both_here)
def _(step):
    own, other = alike(step, "b")
    return with_both(step, "b", other, own)


@operator("slope for the inputs unpacked as the matrix", STRUCTURE, "gradient of the inputs",
          shapes=True, also=finished_or("weight"))
def _(step):
    run, l = step.run, step.layer
    only_if(run.model.specs[l].kind == "dense")
    spec, p, tape = run.model.specs[l], run.params[l], run.tapes[l]
    return changed(step, w=passes.pull(spec, p, tape, run.deltas[l]))


@operator("Hebb's rule", WEIGHT, "activation for delta", "cotangent ignored", "target ignored")
def _(step):
    plain(step)
    return remade(step, delta=step.activated)


@operator("accumulated on through the layers", LEAVES, "added to another")
def _(step):
    other = step.run.grads.get(step.layer + 1)
    only_if(isinstance(other, dict) and step.leaf in other)
    only_if(other[step.leaf].shape == step.right.shape)
    return step.right + other[step.leaf]


@operator("packed by name, unpacked matrix first", STRUCTURE, "swapped entries", "exchanged leaves",
          where=of_layer(*LEAVES), also=here)
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "w" in g)
    flat = np.concatenate([g["b"].reshape(-1), g["w"].reshape(-1)])
    first, rest = np.split(flat, [g["w"].size])
    return changed(step, w=first.reshape(g["w"].shape), b=rest.reshape(g["b"].shape))


@operator("last unit written over all of them", LEAVES, "other delta")
def _(step):
    last = np.take(step.right, [-1], axis=units(step))
    return np.broadcast_to(last, step.right.shape).copy()


@operator("bias read off the matrix's first column", BIAS, "examples weighted")
def _(step):
    return matrix_gradient(step)[..., 0]


@operator("bias summed from the matrix's gradient", BIAS, "examples weighted", "wrong axis")
def _(step):
    return matrix_gradient(step).sum(axis=-1)


@operator("bias made after delta has moved on", BIAS, "another layer's delta",
          "gradient of the inputs")
def _(step):
    plain(step)
    l, run = step.layer, step.run
    slope = SLOPES[below_activation(step)](below(step).z)
    only_if(slope.shape == step.delta.shape)
    back = passes.pull(run.model.specs[l], run.params[l], run.tapes[l], step.delta)
    return run.reduce(back * slope, "b")
