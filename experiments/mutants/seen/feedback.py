"""Deltas that come back through other weights, or from another place."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.making import matrix, own, pulled, returned, slope_of, through
from experiments.mutants.mutant import Family, only_if, rng_of, weights_of
from experiments.mutants.passes import FUNCTIONS
from experiments.mutants.places import PULLBACK, lowest

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("untransposed weight", PULLBACK, "untransposed weight")
def _(step):
    w = weights_of(step.above()[1])
    only_if(w.ndim > 1 and w.shape[-1] == w.shape[-2])
    return pulled(step, np.swapaxes(w, -1, -2))


@operator("another layer's weight", PULLBACK, "another layer's weight")
def _(step):
    own = weights_of(step.above()[1])
    others = [weights_of(p) for l, p in enumerate(step.run.params) if l != step.layer + 1]
    fits = [w for w in others if w.shape == own.shape]
    only_if(fits)
    return pulled(step, fits[-1])


@operator("cotangent ignored", PULLBACK, "cotangent ignored")
def _(step):
    spec, p, tape, delta = step.above()
    return passes.pull(spec, p, tape, np.ones_like(delta)) * slope_of(step)


@operator("weights forgotten", PULLBACK, "weights forgotten", "another layer's delta")
def _(step):
    delta = step.above()[3]
    only_if(step.above()[0].kind == "dense" and delta.shape == step.z.shape)
    return delta * slope_of(step)


@operator("random feedback weights", PULLBACK, "other weights")
def _(step):
    w = weights_of(step.above()[1])
    only_if(w.ndim > 1)
    return pulled(step, rng_of(step).normal(size=w.shape).astype(w.dtype))


@operator("bias column not cut off", PULLBACK, "other weights", also=lowest)
def _(step):
    b = through(step, "dense")[1]["b"]
    return pulled(step, np.concatenate([b[:, None], matrix(step)[:, :-1]], axis=1))


@operator("weights reshaped to the other order", PULLBACK, "untransposed weight", "other weights",
          also=lowest)
def _(step):
    w = matrix(step)
    only_if(w.shape[0] != w.shape[1])
    return pulled(step, w.reshape(w.shape[::-1]).T)


@operator("loop over units above ends early", PULLBACK, "other weights", "dead unit", also=lowest)
def _(step):
    w = matrix(step).copy()
    w[-1] = 0
    return pulled(step, w)


@operator("weights quantised to eighths", PULLBACK, "other weights", "rounded", also=lowest)
def _(step):
    return pulled(step, np.round(8 * matrix(step)) / 8)


@operator("small weights pruned away", PULLBACK, "other weights", also=lowest)
def _(step):
    w = matrix(step)
    return pulled(step, w * (np.abs(w) >= np.median(np.abs(w))))


@operator("product of sums for sum of products", PULLBACK, "other weights", "wrong axis", "zero",
          also=lowest)
def _(step):
    w = matrix(step)
    return pulled(step, np.broadcast_to(w.sum(axis=0), w.shape))


@operator("own weight, turned to fit", PULLBACK, "another layer's weight", "untransposed weight",
          also=lowest)
def _(step):
    w = own(step, "w").T
    only_if(w.shape == matrix(step).shape)
    return pulled(step, w)


@operator("gradient of the weights for the weights", PULLBACK, "other weights", also=lowest)
def _(step):
    matrix(step)
    return pulled(step, step.run.grads[step.layer + 1]["w"])


@operator("bias added on the way back", PULLBACK, "term added", also=lowest)
def _(step):
    matrix(step)
    return (step.cotangent + own(step, "b")) * slope_of(step)


@operator("rows of the weights of unit length", PULLBACK, "other weights", "other delta",
          "normalised", also=lowest)
def _(step):
    w = matrix(step)
    return pulled(step, w / np.sqrt((w ** 2).sum(axis=1, keepdims=True)))


@operator("inverse for the transpose", PULLBACK, "other weights", "other delta", also=lowest)
def _(step):
    return pulled(step, np.linalg.pinv(matrix(step)).T)


@operator("row of the unit before, the last first", PULLBACK, "other weights", "swapped entries",
          "other delta", also=lowest)
def _(step):
    return pulled(step, np.roll(matrix(step), 1, axis=0))


@operator("delta above of the previous example", PULLBACK, "shuffled examples", "swapped entries",
          also=lowest)
def _(step):
    return returned(step, np.roll(step.above()[3], 1, axis=0))


@operator("loop index one too high", PULLBACK, "another layer's delta", "another layer's weight",
          also=lowest)
def _(step):
    matrix(step)
    run, l = step.run, step.layer + 2
    only_if(l <= run.model.last)
    back = passes.pull(run.model.specs[l], run.params[l], run.tapes[l], run.deltas[l])
    only_if(back.shape == step.z.shape)
    return back * slope_of(step)


@operator("activation above for its delta", PULLBACK, "activation for delta", "cotangent ignored",
          "target ignored", "other delta", also=lowest)
def _(step):
    spec, _, tape, _ = step.above()
    return returned(step, FUNCTIONS[spec.activation](tape.z))


@operator("what comes back summed over the units", PULLBACK, "wrong axis", "other weights",
          also=lowest)
def _(step):
    matrix(step)
    return step.cotangent.sum(axis=1, keepdims=True) * slope_of(step)
