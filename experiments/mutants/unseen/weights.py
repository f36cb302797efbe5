"""Weights of another moment, on the way back and in what was kept of the forward pass."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.making import (
    averaged,
    below_activation,
    matrix,
    own,
    plain,
    pulled,
    remade,
    sloped,
)
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import FUNCTIONS, SLOPES
from experiments.mutants.places import PULLBACK, WEIGHT, lowest

FAMILY = Family("stale weights", unseen=True)
operator = FAMILY.operator


@operator("weight after a step of its signs", PULLBACK, "updated weight", "other weights",
          also=lowest)
def _(step):
    w, gradient = matrix(step), step.run.grads[step.layer + 1]["w"]
    return pulled(step, w - 0.02 * np.sign(gradient))


@operator("weight after its decay and its step", PULLBACK, "updated weight", "other weights",
          also=lowest)
def _(step):
    w, gradient = matrix(step), step.run.grads[step.layer + 1]["w"]
    return pulled(step, w - 0.1 * (gradient + 0.1 * w))


@operator("weight after its rows were cut to a length", PULLBACK, "other weights", "updated weight",
          "clipped", also=lowest)
def _(step):
    w = matrix(step)
    lengths = np.sqrt((w**2).sum(axis=1, keepdims=True))
    return pulled(step, w * np.minimum(1, 0.8 / lengths))


@operator("z kept from before the last update", PULLBACK, "derivative elsewhere", also=lowest)
def _(step):
    a, w = step.run.tapes[step.layer].a, own(step, "w")
    only_if(step.activation != "linear")
    old = w + 0.3 * averaged(step, step.right, a, step.layer)
    return sloped(step, z=a @ old.T + own(step, "b"))


@operator("input kept from before the last update", WEIGHT, "other activation")
def _(step):
    plain(step)
    sigma, l = below_activation(step), step.layer - 1
    run, tape = step.run, step.run.tapes[step.layer - 1]
    only_if(run.model.specs[l].kind == "dense")
    p, own_tape = run.params[step.layer], run.tapes[step.layer]
    pulled_back = passes.pull(step.spec, p, own_tape, step.delta)
    old = run.params[l]["w"] + 0.3 * averaged(step, pulled_back * SLOPES[sigma](tape.z), tape.a, l)
    return remade(step, a=FUNCTIONS[sigma](tape.a @ old.T + run.params[l]["b"]))
