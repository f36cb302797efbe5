"""Optimisers from moving averages of the gradient and its square (N19).

They are Adam, AdamW, NAdam and AMSGrad, and Lion, which uses the average of the gradient alone.
The averages m and v begin at 0 and have the shape and dtype of the parameters. At step
t = 1, 2, … their bias-corrected values are m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from functional_nn import checks
from functional_nn.optimizers.leafwise import (
    Leaf,
    Mask,
    average,
    by_leaf,
    like,
    share,
    unbiased,
)
from functional_nn.recipes import recipe
from functional_nn.schedules import Number, Schedule

__all__ = ["adam", "adamw", "amsgrad", "lion", "nadam"]


@recipe("learning_rate")
def adam(
    learning_rate: Number | Schedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    eps_root: Number = 0.0
) -> optax.GradientTransformationExtraArgs:
    """Adam: the mean gradient divided by its root mean square.

        m ← (1 − β₁) g + β₁ m
        v ← (1 − β₂) g² + β₂ v
        w ← w − γ_t m̂ / (√(v̂ + ε₀) + ε)

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t of the count of steps taken, from 0.
        b1, b2: β₁ and β₂, at least 0 and below 1.
        eps: ε ≥ 0, outside the root, as in the paper. At 0, with ε₀ = 0, an entry whose
            gradients have all been 0 becomes NaN.
        eps_root: ε₀ ≥ 0, inside the root. It must be above 0 where the step itself is
            differentiated.

    Returns the gradient transformation; its memory is m, `mu`, and v, `nu`. Raises a TypeError or
    ValueError that names the wrong argument. Optax equivalent: `optax.adam`. Source: Kingma and
    Ba, "Adam: A Method for Stochastic Optimization", 2015.

    The first step has size γ, whatever the size of the gradient:

    >>> optimizer, g = adam(0.01), jnp.array([1e-4, -1.0, 1e4])
    >>> step, state = optimizer.update(g, optimizer.init(g))
    >>> [round(float(entry), 4) for entry in step]
    [-0.01, 0.01, -0.01]
    """
    direction = _adam_direction(b1, b2, eps, eps_root)

    def rule(leaf, m, v):
        d, m, v = direction(leaf, m, v)
        return -leaf.gamma * d, (m, v)

    return by_leaf(rule, learning_rate=learning_rate, mu=0.0, nu=0.0)


@recipe("learning_rate", "weight_decay")
def adamw(
    learning_rate: Number | Schedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    eps_root: Number = 0.0, *, weight_decay: Number | Schedule = 1e-4, mask: Mask = None
) -> optax.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay.

        m ← (1 − β₁) g + β₁ m
        v ← (1 − β₂) g² + β₂ v
        w ← w − γ_t (m̂ / (√(v̂ + ε₀) + ε) + λ_t w)

    At each step w shrinks by the share γ_t λ_t, whatever its gradients are. `update` needs the
    parameters: update(gradients, state, params).

    Args:
        learning_rate, b1, b2, eps, eps_root: γ, β₁, β₂, ε, ε₀ of `adam`.
        weight_decay: λ ≥ 0, or a schedule λ_t of the count of steps taken, from 0. The default
            of PyTorch is 1e-2.
        mask: the leaves that decay. None: all; "weights": those with at least two axes; or a
            mask as in optax.

    Returns the gradient transformation; its memory is m, `mu`, and v, `nu`. Raises a TypeError or
    ValueError that names the wrong argument. Optax equivalent: `optax.adamw`. Source: Loshchilov
    and Hutter, "Decoupled Weight Decay Regularization", 2019.

    The first step of a weight whose gradient is 0: with coupled decay (`l2`, then `adam`) it is γ,
    however small λ is; with decoupled decay it is γ λ w:

    >>> from functional_nn.optimizers import l2
    >>> w, none = jnp.asarray([[8.0]]), jnp.zeros((1, 1))
    >>> for optimizer in (optax.chain(l2(0.001), adam(0.1)), adamw(0.1, weight_decay=0.001)):
    ...     print(round(float(optimizer.update(none, optimizer.init(w), w)[0][0, 0]), 5))
    -0.1
    -0.0008
    """
    direction = _adam_direction(b1, b2, eps, eps_root)

    def rule(leaf, m, v):
        d, m, v = direction(leaf, m, v)
        return -leaf.gamma * _with_decay(d, leaf), (m, v)

    return by_leaf(
        rule, learning_rate=learning_rate, weight_decay=weight_decay, mask=mask,
        needs_params=True, mu=0.0, nu=0.0)


@recipe("learning_rate")
def nadam(
    learning_rate: Number | Schedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    eps_root: Number = 0.0
) -> optax.GradientTransformationExtraArgs:
    """NAdam: Adam with Nesterov momentum.

        m ← (1 − β₁) g + β₁ m
        v ← (1 − β₂) g² + β₂ v
        m̄ = β₁ m / (1 − β₁ᵗ⁺¹) + (1 − β₁) g / (1 − β₁ᵗ)
        w ← w − γ_t m̄ / (√(v̂ + ε₀) + ε)

    β₁ is the same at every step, as in optax. The report also gives a schedule for β₁, which
    PyTorch uses.

    Args:
        learning_rate, b1, b2, eps, eps_root: γ, β₁, β₂, ε, ε₀ of `adam`.

    Returns the gradient transformation; its memory is m, `mu`, and v, `nu`. Raises a TypeError or
    ValueError that names the wrong argument. Optax equivalent: `optax.nadam`. Source: Dozat,
    "Incorporating Nesterov Momentum into Adam", 2016.

    The first step is 1 + β₁ / (1 + β₁) times that of Adam:

    >>> optimizer, g = nadam(1.0), jnp.array([5.0])
    >>> print(optimizer.update(g, optimizer.init(g))[0], round(1 + 0.9 / 1.9, 4))
    [-1.4736...] 1.4737
    """
    _check_adam(b1, b2, eps, eps_root)

    def rule(leaf, m, v):
        m, v = average(b1, m, leaf.g), average(b2, v, leaf.g**2)
        ahead = average(b1, unbiased(b1, leaf.t + 1, m), unbiased(b1, leaf.t, leaf.g))
        return -leaf.gamma * _over_root(ahead, unbiased(b2, leaf.t, v), eps, eps_root), (m, v)

    return by_leaf(rule, learning_rate=learning_rate, mu=0.0, nu=0.0)


@recipe("learning_rate")
def amsgrad(
    learning_rate: Number | Schedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    eps_root: Number = 0.0
) -> optax.GradientTransformationExtraArgs:
    """AMSGrad: Adam with the largest v̂ so far, so that the rate of no parameter ever rises.

        m ← (1 − β₁) g + β₁ m
        v ← (1 − β₂) g² + β₂ v
        v_max ← max(v_max, v̂)
        w ← w − γ_t m̂ / (√(v_max + ε₀) + ε)

    m and v are bias-corrected, as in optax. PyTorch corrects v after the maximum, and the paper
    corrects neither m nor v.

    Args:
        learning_rate, b1, b2, eps, eps_root: γ, β₁, β₂, ε, ε₀ of `adam`.

    Returns the gradient transformation; its memory is m, `mu`, v, `nu`, and v_max, `nu_max`.
    Raises a TypeError or ValueError that names the wrong argument. Optax equivalent:
    `optax.amsgrad`. Source: Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", 2018.

    The example of the paper: w in [−1, 1] has the gradient 3 at every third step and −1 at the
    other steps. The mean gradient is positive, so w = −1 is best, but Adam forgets the 3 too soon:

    >>> def end(optimizer):
    ...     w, state = jnp.asarray(0.0), optimizer.init(jnp.asarray(0.0))
    ...     update = jax.jit(optimizer.update)
    ...     for t in range(300):
    ...         step, state = update(jnp.asarray(-1.0 if t % 3 else 3.0), state)
    ...         w = jnp.clip(w + step, -1, 1)
    ...     return round(float(w))
    >>> end(adam(0.1, b1=0.0, b2=0.1)), end(amsgrad(0.1, b1=0.0, b2=0.1))
    (1, -1)
    """
    _check_adam(b1, b2, eps, eps_root)

    def rule(leaf, m, v, v_max):
        m, v = average(b1, m, leaf.g), average(b2, v, leaf.g**2)
        v_max = jnp.maximum(v_max, unbiased(b2, leaf.t, v))
        return (-leaf.gamma * _over_root(unbiased(b1, leaf.t, m), v_max, eps, eps_root),
                (m, v, v_max))

    return by_leaf(rule, learning_rate=learning_rate, mu=0.0, nu=0.0, nu_max=0.0)


@recipe("learning_rate", "weight_decay")
def lion(
    learning_rate: Number | Schedule, b1: Number = 0.9, b2: Number = 0.99, *,
    weight_decay: Number | Schedule = 1e-3, mask: Mask = None
) -> optax.GradientTransformationExtraArgs:
    """Lion: the sign of the momentum, with decoupled weight decay.

        w ← w − γ_t (sign((1 − β₁) g + β₁ m) + λ_t w)        with m of the step before
        m ← (1 − β₂) g + β₂ m

    m begins at 0 and is the only memory, half as much as Adam's. Every entry moves by γ, so γ
    should be 3 to 10 times smaller than for Adam, and λ larger by the same factor. `update`
    needs the parameters: update(gradients, state, params).

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t of the count of steps taken, from 0.
        b1, b2: β₁ and β₂, at least 0 and below 1.
        weight_decay: λ ≥ 0, or a schedule λ_t of the count of steps taken, from 0.
        mask: the leaves that decay. None: all; "weights": those with at least two axes; or a
            mask as in optax.

    Returns the gradient transformation; its memory is m, `mu`. Raises a TypeError or ValueError
    that names the wrong argument. Optax equivalent: `optax.lion`. Source: Chen et al., "Symbolic
    Discovery of Optimization Algorithms", 2023.

    >>> optimizer, w = lion(0.01, weight_decay=0.0), jnp.array([1.0, 2.0, 3.0])
    >>> print(optimizer.update(jnp.array([1e-6, 0.2, -50.0]), optimizer.init(w), w)[0])
    [-0.01 -0.01  0.01]
    """
    share("b1", b1)
    share("b2", b2)

    def rule(leaf, m):
        sign = jnp.sign(average(b1, m, leaf.g))
        return -leaf.gamma * _with_decay(sign, leaf), (average(b2, m, leaf.g),)

    return by_leaf(
        rule, learning_rate=learning_rate, weight_decay=weight_decay, mask=mask,
        needs_params=True, mu=0.0)


def _adam_direction(b1: Number, b2: Number, eps: Number, eps_root: Number) -> Callable:
    """The function (leaf, m, v) -> (m̂ / (√(v̂ + ε₀) + ε), m, v) of Adam and AdamW."""
    _check_adam(b1, b2, eps, eps_root)

    def direction(leaf, m, v):
        m, v = average(b1, m, leaf.g), average(b2, v, leaf.g**2)
        return _over_root(unbiased(b1, leaf.t, m), unbiased(b2, leaf.t, v), eps, eps_root), m, v

    return direction


def _check_adam(b1: Number, b2: Number, eps: Number, eps_root: Number) -> None:
    share("b1", b1)
    share("b2", b2)
    checks.not_negative("eps", eps)
    checks.not_negative("eps_root", eps_root)


def _over_root(m: jax.Array, v: jax.Array, eps: Number, eps_root: Number) -> jax.Array:
    """m / (√(v + ε₀) + ε)."""
    return m / (jnp.sqrt(v + like(v, eps_root)) + like(v, eps))


def _with_decay(direction: jax.Array, leaf: Leaf) -> jax.Array:
    """The direction d + λ_t w where the mask selects the leaf, else d."""
    return direction + leaf.lam * leaf.w if leaf.chosen else direction
