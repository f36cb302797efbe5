"""More mistakes that people make. They were held back once, when the code that names causes was first written."""

import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import (
    DELTAS,
    FOUND,
    LEAVES,
    everywhere,
    operator,
    pulled,
    remade,
    upstream,
)
from experiments.mutants.mutant import entry_of, only_if, rng_of, unit_of, weights_of
from experiments.mutants.reference import SLOPES, Step, sigmoid, softmax

FIRST = len(FOUND)


def derived(step: Step):
    """Where this step multiplies with a derivative."""
    only_if(step.activation != "linear" and (step.site == "pullback" or step.run.model.loss == "quadratic"))


@operator("a (1 - a) whatever the unit", DELTAS, "another activation's derivative")
def _(step):
    derived(step)
    a = step.activated
    return upstream(step) * a * (1 - a)


@operator("1 - a^2 whatever the unit", DELTAS, "another activation's derivative")
def _(step):
    derived(step)
    return upstream(step) * (1 - step.activated ** 2)


@operator("leak of 0.01", ("pullback",), "another activation's derivative")
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * np.where(step.z > 0, 1, 0.01).astype(step.z.dtype)


@operator("activation for its derivative", DELTAS, "activation for derivative", "another activation's derivative")
def _(step):
    derived(step)
    return upstream(step) * step.activated


@operator("flat spots lifted by 0.1", DELTAS, "offset", "another activation's derivative")
def _(step):
    derived(step)
    return upstream(step) * (SLOPES[step.activation](step.z) + np.asarray(0.1, step.z.dtype))


@operator("derivative without the bias", ("pullback",), "derivative elsewhere")
def _(step):
    p = step.run.params[step.layer]
    only_if(isinstance(p, dict) and "w" in p and p["w"].ndim == 2)
    return step.cotangent * SLOPES[step.activation](step.z - p["b"])


@operator("derivative of the layer above", ("pullback",), "derivative elsewhere")
def _(step):
    spec, _, tape, _ = step.above()
    only_if(spec.activation == step.activation and tape.z.shape == step.z.shape)
    return step.cotangent * SLOPES[step.activation](tape.z)


@operator("mean derivative of the batch", ("pullback",), "averaged too early")
def _(step):
    return step.cotangent * SLOPES[step.activation](step.z).mean(axis=0)


@operator("last example only", ("batch", *LEAVES), "one example only")
def _(step):
    return step.each[-1].copy()


@operator("last example left out", ("batch", *LEAVES), "examples left out")
def _(step):
    return step.each[:-1].sum(axis=0) / len(step.each)


@operator("running sums summed", ("batch",), "examples weighted")
def _(step):
    return step.each.cumsum(axis=0).sum(axis=0) / len(step.each)


@operator("divided by a fixed 32", ("batch",), "wrong divisor", "factor", "sum for mean",
          also=lambda place, last: (frozenset({place, ("head", last)}), frozenset({("head", last)})))
def _(step):
    return step.each.sum(axis=0) / np.asarray(32, step.each.dtype)


@operator("divided by the root of B", ("batch", *LEAVES), "wrong divisor")
def _(step):
    return step.each.sum(axis=0) / np.sqrt(np.asarray(len(step.each), step.each.dtype))


@operator("targets of the previous example", ("head",), "shuffled examples")
def _(step):
    return reference.head(step.run.model, step.z, step.activated, np.roll(step.run.Y, 1, axis=0))


@operator("activations in reverse order", ("weight",), "shuffled examples")
def _(step):
    return remade(step, a=step.a[::-1])


@operator("outer product of means", ("weight",), "averaged too early")
def _(step):
    only_if(step.spec.kind == "dense")
    return remade(step, delta=np.broadcast_to(step.delta.mean(axis=0), step.delta.shape))


@operator("input replaced by z of the layer", ("weight",), "pre-activation for activation", "another layer's activation")
def _(step):
    only_if(step.spec.kind == "dense" and step.z.shape == step.a.shape)
    return remade(step, a=step.z)


@operator("gain from the unnormalised input", ("weight",), "pre-activation for activation")
def _(step):
    only_if(step.spec.kind == "layer_norm")
    return remade(step, a=step.run.tapes[step.layer].a)


@operator("penalty on biases too", ("penalty",), "penalty added",
          also=lambda place, last: (frozenset((site, l) for site in LEAVES for l in range(last + 1)),))
def _(step):
    return step.right + np.asarray(0.01, step.right.dtype) * step.value


@operator("penalty with the wrong sign", ("penalty",), "penalty added")
def _(step):
    return step.right - np.asarray(0.01, step.right.dtype) * step.value if step.leaf == "w" else step.right


@operator("penalty of absolute weights", ("penalty",), "penalty added",
          also=lambda place, last: (frozenset(("weight", l) for l in range(last + 1)),))
def _(step):
    return step.right + np.asarray(0.01, step.right.dtype) * np.sign(step.value) if step.leaf == "w" else step.right


@operator("penalty in one layer", ("weight",), "penalty added",
          also=lambda place, last: (frozenset({("penalty", None)}), frozenset({("penalty", place[1])})))
def _(step):
    return step.right + np.asarray(0.05, step.right.dtype) * step.value


@operator("the step instead of the gradient", ("head",), "factor", also=everywhere)
def _(step):
    return -0.1 * step.right


@operator("mean over the outputs", ("head",), "factor", "another loss", also=everywhere)
def _(step):
    return step.right / step.right.shape[1]


@operator("logarithm to base 2", ("head",), "factor", "another loss", also=everywhere)
def _(step):
    only_if(step.run.model.loss != "quadratic")
    return step.right / np.log(np.asarray(2, step.right.dtype))


@operator("off by a millionth", (*DELTAS, *LEAVES), "factor", also=everywhere)
def _(step):
    return step.right * (1 + 1e-6)


@operator("norm clipped", LEAVES, "clipped")
def _(step):
    norm = np.sqrt((step.right ** 2).sum())
    return step.right * np.minimum(1, np.asarray(0.02, norm.dtype) / norm)


@operator("negative entries lost", (*DELTAS, *LEAVES), "rectified", "clipped")
def _(step):
    return np.maximum(step.right, 0)


@operator("two decimals", (*DELTAS, *LEAVES), "rounded")
def _(step):
    return np.round(step.right, 2)


@operator("input unit dead", ("weight",), "dead unit")
def _(step):
    only_if(step.right.ndim > 1)
    wrong = step.right.copy()
    wrong[..., unit_of(wrong, step)] = 0
    return wrong


@operator("several units dead", DELTAS, "dead unit")
def _(step):
    return step.right * (np.arange(step.right.shape[1]) % 3 > 0)


@operator("dropout left on", ("pullback",), "dead unit")
def _(step):
    return step.right * (2 * (rng_of(step).permutation(step.right.shape[1]) % 2)).astype(step.right.dtype)


@operator("columns swapped", ("weight",), "swapped entries")
def _(step):
    only_if(step.right.ndim > 1)
    order = np.arange(step.right.shape[-1])
    order[:2] = 1, 0
    return step.right[..., order]


@operator("units in reverse order", DELTAS, "swapped entries")
def _(step):
    return step.right[:, ::-1]


@operator("one entry overwritten", LEAVES, "single entry")
def _(step):
    wrong = step.right.copy()
    wrong[entry_of(wrong, step)] = 1
    return wrong


@operator("a (1 - a) after cross-entropy", ("head",), "doubled derivative", "another activation's derivative", "another loss")
def _(step):
    only_if(step.activation == "softmax")
    return step.right * step.activated * (1 - step.activated)


@operator("softmax without its cross terms", ("head",), "cross terms forgotten", "another activation's derivative")
def _(step):
    only_if(step.activation == "softmax")
    return -step.run.Y * (1 - step.activated)


@operator("sigmoid for softmax", ("head",), "another loss", "another activation's derivative")
def _(step):
    only_if(step.activation == "softmax")
    return sigmoid(step.z) - step.run.Y


@operator("softmax twice", ("head",), "activation twice")
def _(step):
    only_if(step.activation == "softmax")
    return softmax(step.activated) - step.run.Y


@operator("smoothed labels", ("head",), "wrong target", "another loss")
def _(step):
    only_if(step.run.model.loss == "cross_entropy")
    return step.activated - np.asarray(0.9, step.z.dtype) * step.run.Y - np.asarray(0.1 / step.z.shape[1], step.z.dtype)


@operator("class off by one", ("head",), "wrong target")
def _(step):
    return reference.head(step.run.model, step.z, step.activated, np.roll(step.run.Y, 1, axis=1))


@operator("weights forgotten", ("pullback",), "weights forgotten", "another layer's delta")
def _(step):
    delta = step.above()[3]
    only_if(step.above()[0].kind == "dense" and delta.shape == step.z.shape)
    return delta * SLOPES[step.activation](step.z)


@operator("random feedback weights", ("pullback",), "other weights")
def _(step):
    w = weights_of(step.above()[1])
    only_if(w.ndim > 1)
    return pulled(step, rng_of(step).normal(size=w.shape).astype(w.dtype))


@operator("weight after a step uphill", ("pullback",), "updated weight")
def _(step):
    w, gradient = (weights_of(tree[step.layer + 1]) for tree in (step.run.params, step.run.grads))
    return pulled(step, w + np.asarray(0.3, w.dtype) * gradient)


@operator("delta added to the old one", ("pullback",), "added to another")
def _(step):
    old = step.above()[3]
    only_if(old.shape == step.right.shape)
    return step.right + old


@operator("bias from the activations", ("bias",), "activation for delta")
def _(step):
    only_if(step.activated.shape == step.delta.shape)
    return step.run.reduce(step.activated, "b")


FURTHER = tuple(FOUND[FIRST:])
"""Every operator of this file."""
