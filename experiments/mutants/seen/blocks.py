"""Residual blocks with a wrong skip connection or branch."""

from dataclasses import replace

from experiments.mutants import passes
from experiments.mutants.making import block, paths, remade, retaped, slope_of, through
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import SLOPES
from experiments.mutants.places import LEAVES, PULLBACK, WEIGHT, lowest

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("skip connection forgotten", PULLBACK, "skip connection forgotten")
def _(step):
    spec, p, tape, delta = step.above()
    only_if(spec.kind == "residual")
    return (passes.pull(spec, p, tape, delta) - delta) * slope_of(step)


@operator("branch forgotten", PULLBACK, "branch forgotten")
def _(step):
    spec, _, _, delta = step.above()
    only_if(spec.kind == "residual")
    return delta * slope_of(step)


@operator("skip connection counted twice", PULLBACK, "added to another", "skip connection weighted",
          also=lowest)
def _(step):
    return step.right + through(step, "residual")[3] * slope_of(step)


@operator("skip connection past the derivative", PULLBACK, "missing derivative", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "residual")
    return (passes.pull(spec, p, tape, delta) - delta) * slope_of(step) + delta


@operator("block's inner derivative missing", PULLBACK, "missing derivative", also=lowest)
def _(step):
    spec, p, _, delta = through(step, "residual")
    only_if(len(spec.inner) == 1)
    return (delta + delta @ p[0]["w"]) * slope_of(step)


@operator("block's leaf without its derivative", LEAVES, "missing derivative")
def _(step):
    spec = step.run.model.specs[step.layer]
    only_if(spec.kind == "residual" and len(spec.inner) == 1)
    return remade(step, delta=step.run.deltas[step.layer])


@operator("block's input added on the way back", PULLBACK, "activation for delta",
          "skip connection forgotten", "term added", also=lowest)
def _(step):
    _, branch = paths(step)
    return (step.above()[2].a + branch) * slope_of(step)


@operator("branch taken off", PULLBACK, "skip connection weighted", "sign", "other weights",
          also=lowest)
def _(step):
    skip, branch = paths(step)
    return (skip - branch) * slope_of(step)


@operator("block's derivative at what it puts out", PULLBACK, "derivative elsewhere", also=lowest)
def _(step):
    tape = through(step, "residual")[2]
    tape = replace(tape, inner=(*tape.inner[:-1], replace(tape.inner[-1], z=tape.z)))
    return retaped(step, tape)


@operator("skip connection inside the activation", PULLBACK, "unexplained",
          "skip connection weighted", "another layer's delta", also=lowest)
def _(step):
    skip, branch = paths(step)
    spec, _, tape, _ = step.above()
    return (skip * SLOPES[spec.inner[-1].activation](tape.inner[-1].z) + branch) * slope_of(step)


@operator("skip connection led into the branch", LEAVES, "added to another", "other delta",
          "offset", "other derivative", "term added")
def _(step):
    return remade(step, delta=step.delta + block(step)[2])


@operator("derivative at the output of the block", LEAVES, "derivative elsewhere", "other delta")
def _(step):
    spec, tape, delta = block(step)
    z = passes.output((spec,), (tape,))
    return remade(step, delta=delta * SLOPES[spec.inner[0].activation](z))


@operator("branch's output for its input", WEIGHT, "another layer's activation")
def _(step):
    spec, tape, _ = block(step)
    return remade(step, a=passes.output(spec.inner, tape.inner))
