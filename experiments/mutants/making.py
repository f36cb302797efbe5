"""What mistakes are written with: the parts of a step, and its value made again from others.

Every function leaves with `Inapplicable` where the mistake cannot be made.
"""

from dataclasses import replace

import numpy as np

from experiments.mutants import passes
from experiments.mutants.mutant import only_if, with_weights
from experiments.mutants.passes import FUNCTIONS, SLOPES
from experiments.mutants.reference import Step

# The head.

def classes(step: Step):
    """The probabilities of classes and the targets, one of them each."""
    only_if(step.run.model.loss == "cross_entropy" and step.activation == "softmax")
    return step.activated, step.run.Y


def yes_or_no(step: Step):
    """The outputs and targets of independent units that say yes or no."""
    only_if(step.run.model.loss == "binary_cross_entropy")
    return step.activated, step.run.Y


def regression(step: Step, *activations: str):
    """The outputs and targets where the loss is quadratic, and the units of a kind named here."""
    only_if(step.run.model.loss == "quadratic" and step.activation != "softmax")
    only_if(not activations or step.activation in activations)
    return step.activated, step.run.Y


def errors(step: Step):
    """The errors a − y and the derivative, where the loss is quadratic."""
    a, Y = regression(step)
    return a - Y, SLOPES[step.activation](step.z)


def again(step: Step, z=None, Y=None):
    """δ of the head again, with other z or other targets."""
    z = step.z if z is None else z
    Y = step.run.Y if Y is None else Y
    return passes.head(step.run.model, z, FUNCTIONS[step.activation](z), Y)


def through_softmax(a, slope):
    """∂L/∂z out of ∂L/∂a."""
    return a * (slope - (a * slope).sum(axis=1, keepdims=True))


# The derivative.

def derived(step: Step) -> None:
    """Leave where this step does not multiply with a derivative."""
    only_if(step.activation != "linear")
    only_if(step.site == "pullback" or step.run.model.loss == "quadratic")


def curved(step: Step, *activations: str):
    """z and σ(z), where the activation is one of these and its derivative multiplied with."""
    derived(step)
    only_if(step.activation in activations)
    return step.z, step.activated


def slope_of(step: Step):
    """The derivative of this layer's activation."""
    return SLOPES[step.activation](step.z)


def upstream(step: Step):
    """What the activation's derivative is multiplied with."""
    only_if(step.activation != "softmax")
    if step.site == "pullback":
        return step.cotangent
    return passes.loss_slope(step.run.model.loss, step.activated, step.run.Y)


def sloped(step: Step, z=None, slope=None):
    """δ again, with the derivative at another z or of another activation."""
    cotangent = upstream(step)
    return cotangent * (slope or SLOPES[step.activation])(step.z if z is None else z)


# The way back through the layer above.

def through(step: Step, kind: str):
    """What is above (spec, parameters, tape, δ), where it is of that kind."""
    above = step.above()
    only_if(above[0].kind == kind)
    return above


def matrix(step: Step):
    """The weights of the dense layer above."""
    return through(step, "dense")[1]["w"]


def pulled(step: Step, w):
    """δ again, through other weights of the layer above."""
    spec, p, tape, delta = step.above()
    return passes.pull(spec, with_weights(p, w), tape, delta) * slope_of(step)


def returned(step: Step, delta):
    """δ again, out of another δ of the layer above."""
    spec, p, tape, _ = step.above()
    return passes.pull(spec, p, tape, delta) * slope_of(step)


def retaped(step: Step, tape):
    """δ again, with another tape of the layer above."""
    spec, p, _, delta = step.above()
    return passes.pull(spec, p, tape, delta) * slope_of(step)


def inside_norm(step: Step):
    """What a layer norm above is made of: gain ⊙ δ, x̂, the spread."""
    _, p, tape, delta = through(step, "layer_norm")
    return p["gain"] * delta, tape.x_hat, tape.spread


def pieces(step: Step, biases: bool = True):
    """All pieces of a maxout layer above, (B, pieces, units)."""
    _, p, tape, _ = through(step, "maxout")
    return np.einsum("pjk,bk->bpj", p["w"], tape.a) + biases * p["b"]


def winners(z):
    """1 for the largest piece."""
    return (z == z.max(axis=1, keepdims=True)).astype(z.dtype)


def shared(step: Step, share):
    """δ again, with other shares of the maxout pieces above."""
    tape = through(step, "maxout")[2]
    return retaped(step, replace(tape, share=share(tape.share)))


def paths(step: Step):
    """What comes back through a residual layer above: by its skip connection, by its branch."""
    spec, p, tape, delta = through(step, "residual")
    return delta, passes.pull(spec, p, tape, delta) - delta


# A layer's own leaves.

def own(step: Step, name: str):
    """A parameter of this layer, which is dense."""
    only_if(step.run.model.specs[step.layer].kind == "dense")
    return step.run.params[step.layer][name]


def plain(step: Step) -> None:
    """Leave where the layer is not dense, or is inside a residual one."""
    only_if(step.run.model.specs[step.layer].kind == "dense")


def remade(step: Step, delta=None, a=None):
    """The leaf again, from another δ or another a."""
    delta, a = step.delta if delta is None else delta, step.a if a is None else a
    each = passes.product(step.spec, delta, a) if step.leaf == "w" else delta
    return step.run.reduce(each, step.leaf)


def below(step: Step):
    """The tape of the layer below, whose activation this layer's weights are multiplied with."""
    only_if(step.layer > 0 and step.spec.kind in ("dense", "maxout"))
    return step.run.tapes[step.layer - 1]


def below_activation(step: Step) -> str:
    """The activation whose values are this layer's inputs."""
    below(step)
    return step.run.model.specs[step.layer - 1].activation


def before_derivative(step: Step):
    """What a dense layer's δ is before it is multiplied with the derivative."""
    plain(step)
    model = step.run.model
    if step.layer < model.last:
        return passes.pull(*step.above())
    only_if(model.loss == "quadratic")
    return passes.loss_slope(model.loss, step.activated, step.run.Y)


def matrix_gradient(step: Step):
    """At a bias: the gradient of the weights beside it."""
    only_if(step.spec.kind in ("dense", "maxout"))
    return step.run.reduce(passes.product(step.spec, step.delta, step.a), "w")


def normalised(step: Step):
    """The input of a layer norm."""
    only_if(step.spec.kind == "layer_norm")
    return step.run.tapes[step.layer].a


def square(step: Step):
    """The gradient, where it is a square matrix."""
    only_if(step.right.ndim == 2 and step.right.shape[0] == step.right.shape[1])
    return step.right


def units(step: Step) -> int:
    """The axis of the leaf that its units lie along."""
    return -2 if step.leaf == "w" and step.right.ndim > 1 else -1


def block(step: Step):
    """The residual layer's spec, tape and δ, where it has one layer inside."""
    l, run = step.layer, step.run
    only_if(run.model.specs[l].kind == "residual" and len(run.model.specs[l].inner) == 1)
    return run.model.specs[l], run.tapes[l], run.deltas[l]


def shares_of_pieces(step: Step, share):
    """The leaf of a maxout layer with other shares of its pieces: share(z without bias, biases)."""
    only_if(step.spec.kind == "maxout")
    p = step.run.params[step.layer]
    z = np.einsum("pjk,bk->bpj", p["w"], step.a)
    return remade(step, delta=share(z, p["b"]) * step.run.deltas[step.layer][:, None])


# The finished gradient.

def changed(step: Step, **leaves):
    """The finished gradient with other leaves in the layer."""
    grads = list(step.right)
    grads[step.layer] = {**grads[step.layer], **leaves}
    return tuple(grads)


def same_shapes(one, other) -> bool:
    """Whether two layers' gradients could be mistaken for each other."""
    return isinstance(one, dict) and isinstance(other, dict) and (
        {name: g.shape for name, g in one.items()} == {name: g.shape for name, g in other.items()})


def alike(step: Step, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of a leaf in two neighbouring layers, where their shapes are the same."""
    only_if(step.layer < step.run.model.last)
    pair = [step.right[l] for l in (step.layer, step.layer + 1)]
    only_if(all(isinstance(g, dict) and name in g for g in pair))
    only_if(pair[0][name].shape == pair[1][name].shape)
    return pair[0][name], pair[1][name]


def with_both(step: Step, name: str, own, other):
    """The finished gradient with another leaf of that name in two neighbouring layers."""
    grads = list(changed(step, **{name: own}))
    grads[step.layer + 1] = {**grads[step.layer + 1], name: other}
    return tuple(grads)


def averaged(step: Step, delta, a, l: int):
    """The gradient of the weights of a dense layer, for what happened in an earlier step."""
    return passes.product(step.run.model.specs[l], delta, a).mean(axis=0)
