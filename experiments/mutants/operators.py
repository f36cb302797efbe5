"""The mistakes whose kinds are known: every one a change of one step, with the causes that are right for it."""

import ml_dtypes
import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import (
    DELTAS,
    FOUND,
    LEAVES,
    below,
    everywhere,
    operator,
    pulled,
    remade,
    sloped,
    structural,
    unfit,
    upstream,
)
from experiments.mutants.mutant import entry_of, only_if, rng_of, unit_of, weights_of
from experiments.mutants.reference import SLOPES, sigmoid

FIRST = len(FOUND)


@operator("sign", (*DELTAS, *LEAVES), "sign", also=everywhere)
def _(step):
    return -step.right


for _name, _factor in (("twice", 2.0), ("half", 0.5), ("three times", 3.0), ("one percent more", 1.01), ("a tenth", 0.1)):
    operator(_name, (*DELTAS, *LEAVES), "factor", also=everywhere)(
        lambda step, c=_factor: c * step.right)


@operator("sum for mean", ("batch", *LEAVES), "sum for mean")
def _(step):
    return step.right * len(step.each)


@operator("divided twice", ("batch", *LEAVES), "divided twice", "mean for sum")
def _(step):
    return step.right / len(step.each)


@operator("divided by B - 1", ("batch", *LEAVES), "B - 1")
def _(step):
    return step.each.sum(axis=0) / np.asarray(len(step.each) - 1, step.each.dtype)


@operator("transposed", ("weight",), "transposed")
def _(step):
    only_if(step.right.ndim > 1 and step.right.shape[-1] == step.right.shape[-2])
    return np.swapaxes(step.right, -1, -2)


@operator("transposed shape", ("weight",), "transposed", also=structural, shapes=True)
def _(step):
    only_if(step.right.ndim > 1 and step.right.shape[-1] != step.right.shape[-2])
    return np.swapaxes(step.right, -1, -2)


@operator("transposed, then reshaped", ("weight",), "transposed")
def _(step):
    only_if(step.right.ndim > 1)
    return np.swapaxes(step.right, -1, -2).reshape(step.right.shape)


@operator("untransposed weight", ("pullback",), "untransposed weight")
def _(step):
    w = weights_of(step.above()[1])
    only_if(w.ndim > 1 and w.shape[-1] == w.shape[-2])
    return pulled(step, np.swapaxes(w, -1, -2))


@operator("another layer's weight", ("pullback",), "another layer's weight")
def _(step):
    own = weights_of(step.above()[1])
    others = [weights_of(p) for l, p in enumerate(step.run.params) if l != step.layer + 1]
    fits = [w for w in others if w.shape == own.shape]
    only_if(fits)
    return pulled(step, fits[-1])


for _name, _rate in (("weight after its update", 0.5), ("weight after a small update", 0.01)):
    @operator(_name, ("pullback",), "updated weight")
    def _(step, rate=_rate):
        l = step.layer + 1
        w, gradient = weights_of(step.run.params[l]), weights_of(step.run.grads[l])
        return pulled(step, w - np.asarray(rate, w.dtype) * gradient)


@operator("missing derivative", DELTAS, "missing derivative")
def _(step):
    only_if(step.site == "pullback" or step.run.model.loss == "quadratic")
    return upstream(step)


@operator("doubled derivative", DELTAS, "doubled derivative")
def _(step):
    if step.activation == "softmax":
        a = step.activated
        return a * (step.right - (a * step.right).sum(axis=1, keepdims=True))
    return step.right * SLOPES[step.activation](step.z)


for _name in ("sigmoid", "tanh", "relu"):
    @operator(f"derivative of {_name}", DELTAS, "another activation's derivative")
    def _(step, other=_name):
        only_if(step.activation != other and (step.site == "pullback" or step.run.model.loss == "quadratic"))
        return sloped(step, slope=SLOPES[other])


@operator("derivative at a", DELTAS, "derivative at a")
def _(step):
    return sloped(step, z=step.activated)


@operator("derivative of another example", ("pullback",), "shuffled examples")
def _(step):
    return sloped(step, z=np.roll(step.z, 1, axis=0))


@operator("z for a", ("weight",), "pre-activation for activation")
def _(step):
    return remade(step, a=below(step).z)


@operator("activation of the layer above", ("weight",), "another layer's activation")
def _(step):
    only_if(step.spec.kind in ("dense", "maxout") and step.activated.shape == step.a.shape)
    return remade(step, a=step.activated)


@operator("activation of the layer below", ("weight",), "another layer's activation")
def _(step):
    only_if(below(step).a.shape == step.a.shape)
    return remade(step, a=below(step).a)


@operator("delta of the layer above", LEAVES, "another layer's delta")
def _(step):
    other = step.run.deltas.get(step.layer + 1)
    only_if(other is not None and step.spec.kind == "dense" and other.shape == step.delta.shape)
    return remade(step, delta=other)


@operator("activations of the previous example", ("weight",), "shuffled examples")
def _(step):
    return remade(step, a=np.roll(step.a, 1, axis=0))


@operator("activations shuffled", ("weight",), "shuffled examples")
def _(step):
    return remade(step, a=step.a[rng_of(step).permutation(len(step.a))])


@operator("first example only", ("batch", *LEAVES), "one example only")
def _(step):
    return step.each[0].copy()


@operator("first example only, divided", ("batch", *LEAVES), "one example only")
def _(step):
    return step.each[0] / len(step.each)


@operator("not reduced", ("bias",), "missing reduction", also=structural, shapes=True)
def _(step):
    return step.each / len(step.each)


@operator("not reduced, undivided", ("bias",), "missing reduction", also=structural, shapes=True)
def _(step):
    return step.each.copy()


@operator("zero", (*DELTAS, *LEAVES), "zero", also=everywhere)
def _(step):
    return np.zeros_like(step.right)


for _name, _rate in (("penalty of 0.1", 0.1), ("penalty of 0.001", 1e-3)):
    @operator(_name, ("penalty",), "penalty added")
    def _(step, rate=_rate):
        return step.right + np.asarray(rate, step.right.dtype) * step.value if step.leaf == "w" else step.right


@operator("dead unit", (*DELTAS, *LEAVES), "dead unit")
def _(step):
    wrong = step.right.copy()
    unit = unit_of(step.delta if step.site == "weight" else wrong, step)
    if step.site == "weight" and wrong.ndim > 1:
        wrong[..., unit, :] = 0
    else:
        wrong[..., unit] = 0
    return wrong


for _name, _factor in (("one entry's sign", -1.0), ("one entry twice", 2.0), ("one entry zero", 0.0)):
    @operator(_name, LEAVES, "single entry", *(("dead unit",) if _factor == 0 else ()))
    def _(step, c=_factor):
        wrong = step.right.copy()
        wrong[entry_of(wrong, step)] *= np.asarray(c, wrong.dtype)
        return wrong


@operator("two entries swapped", LEAVES, "swapped entries")
def _(step):
    wrong = step.right.copy().reshape(-1)
    i, j = rng_of(step).choice(wrong.size, 2, replace=False)
    wrong[[i, j]] = wrong[[j, i]]
    return wrong.reshape(step.right.shape)


@operator("two units swapped", (*DELTAS, "weight"), "swapped entries")
def _(step):
    axis = -2 if step.site == "weight" and step.right.ndim > 1 else -1
    order = np.arange(step.right.shape[axis])
    i, j = rng_of(step).choice(order.size, 2, replace=False)
    order[[i, j]] = j, i
    return np.take(step.right, order, axis=axis)


@operator("clipped", (*DELTAS, *LEAVES), "clipped")
def _(step):
    limit = np.asarray(0.02 if step.site in DELTAS else 0.005, step.right.dtype)
    return np.clip(step.right, -limit, limit)


for _name, _dtype in (("rounded to bfloat16", ml_dtypes.bfloat16), ("rounded to float16", np.float16)):
    @operator(_name, (*DELTAS, *LEAVES), "rounded")
    def _(step, dtype=_dtype):
        return step.right.astype(dtype).astype(step.right.dtype)


@operator("cotangent ignored", ("pullback",), "cotangent ignored")
def _(step):
    spec, p, tape, delta = step.above()
    return reference.pull(spec, p, tape, np.ones_like(delta)) * SLOPES[step.activation](step.z)


@operator("only the derivative", ("pullback",), "cotangent ignored")
def _(step):
    only_if(step.activation != "linear")
    return SLOPES[step.activation](step.z)


@operator("target ignored", ("head",), "target ignored")
def _(step):
    return reference.head(step.run.model, step.z, step.activated, np.zeros_like(step.run.Y))


@operator("mean of absolute errors", ("head",), "another loss")
def _(step):
    only_if(step.run.model.loss == "quadratic")
    return np.sign(step.activated - step.run.Y) * SLOPES[step.activation](step.z) / step.right.shape[1]


@operator("squared error of the outputs", ("head",), "another loss", "factor")
def _(step):
    a, residual = step.activated, step.activated - step.run.Y
    if step.activation == "softmax":
        return a * (residual - (a * residual).sum(axis=1, keepdims=True))
    return 2 * residual * SLOPES[step.activation](step.z)


@operator("cross-entropy of the outputs", ("head",), "another loss")
def _(step):
    only_if(step.activation == "sigmoid" and step.run.model.loss == "quadratic")
    return sigmoid(step.z) - step.run.Y


@operator("skip connection forgotten", ("pullback",), "skip connection forgotten")
def _(step):
    spec, p, tape, delta = step.above()
    only_if(spec.kind == "residual")
    return (reference.pull(spec, p, tape, delta) - delta) * SLOPES[step.activation](step.z)


@operator("not a number", (*DELTAS, *LEAVES), "not a number", also=unfit, shapes=True)
def _(step):
    wrong = step.right.copy()
    wrong.reshape(-1)[0] = np.nan
    return wrong


PLAIN = tuple(FOUND[FIRST:])
"""Every operator of this file."""
