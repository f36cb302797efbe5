"""The right slope of the loss at wrong targets."""

import numpy as np

from experiments.mutants.making import again, regression
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.places import HEAD

FAMILY = Family("wrong targets", unseen=True)
operator = FAMILY.operator


@operator("targets of all examples, broadcast against each", HEAD, "wrong target",
          "averaged too early")
def _(step):
    return again(step, Y=np.broadcast_to(step.run.Y.mean(axis=0), step.run.Y.shape))


@operator("minus one wrapped around to 255", HEAD, "wrong target", "another loss")
def _(step):
    only_if(step.run.model.loss != "quadratic")
    return again(step, Y=np.where(step.run.Y > 0.5, step.run.Y, 255))


@operator("targets reshaped where they are transposed", HEAD, "wrong target", "shuffled examples")
def _(step):
    return again(step, Y=step.run.Y.T.reshape(step.run.Y.shape))


@operator("targets standardised, outputs not", HEAD, "wrong target")
def _(step):
    _, Y = regression(step)
    return again(step, Y=(Y - Y.mean(axis=0)) / (Y.std(axis=0) + 1e-8))


@operator("slice of the targets begins one row late", HEAD, "wrong target", "shuffled examples")
def _(step):
    return again(step, Y=np.concatenate([step.run.Y[1:], step.run.Y[-1:]]))


@operator("inputs for the targets, as in an autoencoder", HEAD, "wrong target", "target ignored",
          "another loss")
def _(step):
    only_if(step.run.X.shape[1] >= step.run.Y.shape[1] and step.run.model.loss == "quadratic")
    return again(step, Y=step.run.X[:, :step.run.Y.shape[1]])
