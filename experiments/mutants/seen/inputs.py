"""Weights' gradients made of other inputs."""

import numpy as np

from experiments.mutants.making import below, below_activation, plain, remade
from experiments.mutants.mutant import Family, only_if, rng_of
from experiments.mutants.passes import FUNCTIONS, SLOPES
from experiments.mutants.places import WEIGHT

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("z for a", WEIGHT, "pre-activation for activation")
def _(step):
    return remade(step, a=below(step).z)


@operator("activation of the layer above", WEIGHT, "another layer's activation")
def _(step):
    only_if(step.spec.kind in ("dense", "maxout") and step.activated.shape == step.a.shape)
    return remade(step, a=step.activated)


@operator("activation of the layer below", WEIGHT, "another layer's activation")
def _(step):
    only_if(below(step).a.shape == step.a.shape)
    return remade(step, a=below(step).a)


@operator("activations of the previous example", WEIGHT, "shuffled examples")
def _(step):
    return remade(step, a=np.roll(step.a, 1, axis=0))


@operator("activations shuffled", WEIGHT, "shuffled examples")
def _(step):
    return remade(step, a=step.a[rng_of(step).permutation(len(step.a))])


@operator("activations in reverse order", WEIGHT, "shuffled examples")
def _(step):
    return remade(step, a=step.a[::-1])


@operator("input replaced by z of the layer", WEIGHT, "pre-activation for activation",
          "another layer's activation")
def _(step):
    only_if(step.spec.kind == "dense" and step.z.shape == step.a.shape)
    return remade(step, a=step.z)


@operator("inputs left over from the last example", WEIGHT, "shuffled examples")
def _(step):
    return remade(step, a=np.broadcast_to(step.a[-1], step.a.shape))


@operator("input not multiplied with", WEIGHT, "other activation")
def _(step):
    return remade(step, a=np.ones_like(step.a))


@operator("inputs standardised only here", WEIGHT, "normalised", "other activation")
def _(step):
    only_if(step.layer == 0 and step.spec.kind in ("dense", "maxout"))
    return remade(step, a=(step.a - step.a.mean(axis=0)) / (step.a.std(axis=0) + 1e-8))


@operator("inputs stored in half precision", WEIGHT, "rounded", rounds=True)
def _(step):
    return remade(step, a=step.a.astype(np.float16).astype(step.a.dtype))


@operator("column of ones in the wrong place", WEIGHT, "swapped entries", "other activation")
def _(step):
    plain(step)
    return remade(step, a=np.concatenate([np.ones_like(step.a[:, :1]), step.a[:, :-1]], axis=1))


@operator("input activated once more", WEIGHT, "activation twice", "other activation")
def _(step):
    return remade(step, a=FUNCTIONS[below_activation(step)](step.a))


@operator("network's input activated", WEIGHT, "other activation", "rectified", "entries left out",
          "clipped")
def _(step):
    only_if(step.layer == 0 and step.spec.kind == "dense")
    return remade(step, a=FUNCTIONS[step.spec.activation](step.a))


@operator("input overwritten by its derivative", WEIGHT, "other activation", "signs alone")
def _(step):
    return remade(step, a=SLOPES[below_activation(step)](below(step).z))


@operator("input recomputed without the bias", WEIGHT, "other activation")
def _(step):
    sigma, p = FUNCTIONS[below_activation(step)], step.run.params[step.layer - 1]
    only_if(isinstance(p, dict) and "w" in p and p["w"].ndim == 2)
    return remade(step, a=sigma(below(step).z - p["b"]))


@operator("input behind a dropout mask", WEIGHT, "other activation", "entries left out")
def _(step):
    only_if(step.spec.kind in ("dense", "maxout"))
    return remade(step, a=2 * step.a * (rng_of(step).random(step.a.shape) < 0.5))
