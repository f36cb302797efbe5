"""The tools side by side: each looks at a hand-written gradient and gives a Verdict."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import chex
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
from jax.flatten_util import ravel_pytree

import functional_nn as fnn
from experiments.mutants.mutant import Place
from experiments.mutants.population import leaves_of
from experiments.mutants.problems import PRECISIONS, Problem
from experiments.mutants.reference import as_arrays

TOLERANCES = {"float64": (1e-9, 1e-12), "float32": (1e-4, 1e-6), "float32 inside": (1e-4, 1e-6), "bfloat16": (1e-2, 1e-4),
              "bfloat16 given": (1e-2, 1e-4)}
WIDE = ("float64", "float32 inside")  # the parameters are float64


@dataclass(frozen=True)
class Verdict:
    """What a tool says: whether it objects; where, if it can say, or in which layers; and the causes it gives, by place."""

    caught: bool
    places: frozenset[Place] | None = None
    causes: tuple[tuple[Place, str], ...] = ()
    layers: frozenset[int] | None = None
    message: str = ""


class Subject:
    """A problem in one precision, with what the tools share for it; `function` is the gradient under test."""

    def __init__(self, problem: Problem, dtype: str):
        self.problem, self.dtype = problem, dtype
        self.params, self.X, self.Y = problem.inputs(dtype)
        self.function: Callable = None  # (params, X, Y) -> (cost, gradient)

    @cached_property
    def arrays(self):
        """The parameters as JAX arrays."""
        return jax.tree.map(jnp.asarray, self.params)

    @cached_property
    def cost(self):
        """The cost of the parameters, compiled."""
        of_batch = fnn.cost(self.problem.net, self.problem.model.loss)
        return jax.jit(lambda params: of_batch(params, self.X, self.Y))

    @cached_property
    def ruled(self):
        """The cost with the gradient under test as its derivative."""
        f = jax.custom_vjp(lambda params: self.cost(params))
        f.defvjp(lambda params: (self.cost(params), params), self._backward)
        return f

    def _backward(self, params, cotangent):
        dtype = jnp.dtype(PRECISIONS[self.dtype][0])
        _, grads = self.function(params, self.X, self.Y)
        return (jax.tree.map(lambda g: cotangent * jnp.asarray(g), as_arrays(grads, lambda g: np.asarray(g).astype(dtype))),)

    @cached_property
    def flat(self):
        """(the parameters in one vector, the same cost of that vector)."""
        vector, unravel = ravel_pytree(self.arrays)
        return vector, lambda v: self.ruled(unravel(v))

    @cached_property
    def right(self):
        """The gradient by `jax.grad`, in float64, one list of leaves for each layer."""
        inputs = as_arrays((self.params, self.X, self.Y), lambda x: x.astype(np.float64))
        with jax.enable_x64(True):
            found = fnn.autodiff.value_and_grad(self.problem.net, self.problem.model.loss)(*inputs)
        return [leaves_of(layer) for layer in as_arrays(found[1], np.asarray)]


def ours(subject: Subject, check=None) -> Verdict:
    """`fnn.verify.check_network`, or a stand-in with the same signature."""
    net, loss, check = subject.problem.net, subject.problem.model.loss, check or fnn.verify.check_network
    try:
        report = check(net, loss, subject.params, subject.X, subject.Y, value_and_grad=subject.function, seed=0)
    except Exception as error:  # a tool that falls over has found nothing
        return Verdict(False, frozenset(), (((None, None), "crashed"),), message=f"{type(error).__name__}: {error}")
    causes = tuple(((fault.site, fault.layer), fault.cause) for fault in report.faults)
    return Verdict(not report, frozenset(place for place, _ in causes), causes, message=str(report) if report.faults else "")


def with_jax(subject: Subject) -> Verdict:
    """`jax.test_util.check_grads`, as it comes."""
    with jax.enable_x64(subject.dtype in WIDE):
        return raises(jax.test_util.check_grads, subject.ruled, (subject.arrays,), order=1, modes=["rev"])


def with_chex(subject: Subject) -> Verdict:
    """`chex.assert_numerical_grads`, as it comes: it takes one vector."""
    with jax.enable_x64(subject.dtype in WIDE):
        vector, f = subject.flat
        return raises(chex.assert_numerical_grads, f, (vector,), order=1, modes=["rev"])


def with_torch(subject: Subject) -> Verdict:
    """`torch.autograd.gradcheck` of a Function, as it comes: in float64, as it asks for."""
    import torch
    params, X, Y = subject.problem.inputs("float64")
    leaves, tree = jax.tree.flatten(params)

    class Cost(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *leaves):
            cost, grads = subject.function(tree.unflatten([leaf.detach().numpy() for leaf in leaves]), X, Y)
            ctx.grads = [torch.from_numpy(np.array(g, np.float64)) for g in jax.tree.leaves(grads)]
            return torch.tensor(float(cost), dtype=torch.float64)

        @staticmethod
        def backward(ctx, cotangent):
            return tuple(cotangent * g for g in ctx.grads)

    inputs = [torch.tensor(leaf, requires_grad=True) for leaf in leaves]
    return raises(torch.autograd.gradcheck, Cost.apply, inputs)


def raises(check: Callable, *args, **options) -> Verdict:
    """A tool that objects by raising whatever it likes."""
    try:
        check(*args, **options)
    except Exception as error:  # wrong shapes raise anything
        return Verdict(True, message=str(error))
    return Verdict(False)


def leaf_by_leaf(subject: Subject) -> Verdict:
    """np.allclose of every leaf with `jax.grad`: wrong are the layers whose leaves differ."""
    relative, absolute = TOLERANCES[subject.dtype]

    def agree(own, right):
        return own.shape == right.shape and np.allclose(own.astype(np.float64), right, rtol=relative, atol=absolute)

    with jax.enable_x64(subject.dtype in WIDE):
        found = [leaves_of(layer) for layer in subject.function(subject.params, subject.X, subject.Y)[1]]
    wrong = {l for l, pairs in enumerate(zip(found, subject.right, strict=True))
             if len(pairs[0]) != len(pairs[1]) or not all(map(agree, *pairs))}
    return Verdict(bool(wrong), layers=frozenset(wrong))


CHECKERS: dict[str, Callable[[Subject], Verdict]] = {
    "check_network": ours, "leaf allclose": leaf_by_leaf, "jax check_grads": with_jax, "chex numerical": with_chex,
    "torch gradcheck": with_torch}


def installed(checker: str) -> bool:
    """Whether that tool is there."""
    return checker != "torch gradcheck" or importlib.util.find_spec("torch") is not None
