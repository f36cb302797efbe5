"""Gradient clipping, weight decay and max-norm, as links of a chain (N19).

Clipping and coupled decay transform the gradient before an optimiser; decoupled decay and
max-norm transform its step. The order in the chain is the order in which they act:

    chain(clip_by_global_norm(1.0), l2(1e-4), sgd(0.1, momentum=0.9))
    chain(sgd(0.1, momentum=0.9), decoupled_decay(0.1, weight_decay=1e-2))
    chain(adam(1e-3), max_norm(3.0))

`chain` is `optax.chain`, which does as well, with the call kept.

`mask` selects the leaves that a decay or a bound applies to: "weights" (those with at least two
axes, so no biases), None (all), or a mask as in optax: a tree of booleans that is a prefix of
the parameters, or a function from the parameters to such a tree.
"""


import jax
import jax.numpy as jnp
import optax

from functional_nn import checks
from functional_nn.optimizers.leafwise import Mask, by_leaf, like
from functional_nn.recipes import recipe
from functional_nn.schedules import Number, Schedule

__all__ = ["chain", "clip_by_global_norm", "clip_by_value", "decoupled_decay", "l1", "l2",
           "max_norm"]


@recipe("links")
def chain(*links: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The links one after another, as `optax.chain` has it.

    A chain of optimisers of this package can be pickled, and runs whose chains differ in their
    rates alone share what is compiled.

    Args:
        *links: optimisers and the transformations before and after them, the first first.

    >>> chain(clip_by_value(1.0), l2(1e-4)) == chain(clip_by_value(1.0), l2(1e-4))
    True
    """
    return optax.with_extra_args_support(optax.chain(*links))


@recipe("limit")
def clip_by_value(limit: Number) -> optax.GradientTransformationExtraArgs:
    """Clip every entry of the gradient to [−c, c]: g ← min(max(g, −c), c).

    It changes the direction of the gradient where only some entries are clipped;
    `clip_by_global_norm` does not.

    Args:
        limit: c > 0.

    Returns the gradient transformation. Raises a TypeError or ValueError that names the wrong
    argument. Optax equivalent: `optax.clip`. Source: Mikolov, "Statistical Language Models Based
    on Neural Networks", 2012.

    >>> clip = clip_by_value(1.0)
    >>> print(clip.update(jnp.array([0.5, -3.0, 4.0]), clip.init(None))[0])
    [ 0.5 -1.   1. ]
    """
    checks.positive("limit", limit)
    return by_leaf(lambda leaf: (jnp.clip(leaf.g, -like(leaf.g, limit), like(leaf.g, limit)), ()))


@recipe("max_norm")
def clip_by_global_norm(max_norm: Number) -> optax.GradientTransformationExtraArgs:
    """Scale the gradient of all leaves together down to norm c where its norm is larger.

        g ← g c / ‖g‖   where ‖g‖ = √(Σ g²) ≥ c

    A norm above the root of the largest float (1.8e19 in float32) is inf, and the gradient becomes
    0, as in optax.

    Args:
        max_norm: c > 0.

    Returns the gradient transformation. Raises a TypeError or ValueError that names the wrong
    argument. Optax equivalent: `optax.clip_by_global_norm`. Source: Pascanu, Mikolov and Bengio,
    "On the difficulty of training recurrent neural networks", 2013.

    >>> clip = clip_by_global_norm(1.0)
    >>> clipped, _ = clip.update({"w": jnp.asarray(30.0), "b": jnp.asarray(-40.0)}, clip.init(None))
    >>> f"{clipped['w']:.2f} {clipped['b']:.2f}"
    '0.60 -0.80'
    """
    checks.positive("max_norm", max_norm)

    def update(gradients, state, params=None, **extra_args):
        del params, extra_args
        norm = _global_norm(gradients)
        return jax.tree.map(
            lambda g: jnp.where(norm < max_norm, g, g / like(g, norm) * like(g, max_norm)),
            gradients), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


@recipe("weight_decay")
def l2(
    weight_decay: Number | Schedule, mask: Mask = "weights"
) -> optax.GradientTransformationExtraArgs:
    """Add the gradient of the penalty ½ λ Σ w² to the gradient of the cost: g ← g + λ_t w.

    Before an optimiser this is coupled weight decay: an optimiser that rescales g, such as Adam,
    rescales the decay too. `update` needs the parameters.

    Args:
        weight_decay: λ ≥ 0, or a schedule λ_t of the count of steps taken, from 0.
        mask: the leaves that decay.

    Returns the gradient transformation. Raises a TypeError or ValueError that names the wrong
    argument. Optax equivalent: `optax.add_decayed_weights`, which by default decays all leaves.
    Source: Krogh and Hertz, "A Simple Weight Decay Can Improve Generalization", 1991.

    >>> params = {"w": jnp.array([[2.0, -4.0]]), "b": jnp.array([6.0])}
    >>> decay = l2(0.5)
    >>> decay.update(jax.tree.map(jnp.zeros_like, params), decay.init(params), params)[0]
    {'b': Array([0.], dtype=float32), 'w': Array([[ 1., -2.]], dtype=float32)}
    """
    return by_leaf(lambda leaf: (leaf.g + leaf.lam * leaf.w if leaf.chosen else leaf.g, ()),
                   weight_decay=weight_decay, mask=mask, needs_params=True)


@recipe("weight_decay")
def l1(
    weight_decay: Number | Schedule, mask: Mask = "weights"
) -> optax.GradientTransformationExtraArgs:
    """Add the gradient of the penalty λ Σ |w| to the gradient of the cost: g ← g + λ_t sign(w).

    sign(0) = 0. The pull toward 0 is the same for weights of every size, so that many end near 0.
    `update` needs the parameters.

    Args:
        weight_decay: λ ≥ 0, or a schedule λ_t of the count of steps taken, from 0.
        mask: the leaves that decay.

    Returns the gradient transformation. Raises a TypeError or ValueError that names the wrong
    argument. Optax has no equivalent. Source: Tibshirani, "Regression Shrinkage and Selection via
    the Lasso", 1996.

    >>> params = {"w": jnp.array([[2.0, -4.0, 0.0]]), "b": jnp.array([6.0])}
    >>> penalty = l1(0.5, mask=None)
    >>> penalty.update(jax.tree.map(jnp.zeros_like, params), penalty.init(params), params)[0]
    {'b': Array([0.5], dtype=float32), 'w': Array([[ 0.5, -0.5,  0. ]], dtype=float32)}
    """
    return by_leaf(
        lambda leaf: (leaf.g + leaf.lam * jnp.sign(leaf.w) if leaf.chosen else leaf.g, ()),
        weight_decay=weight_decay, mask=mask, needs_params=True)


@recipe("learning_rate", "weight_decay")
def decoupled_decay(
    learning_rate: Number | Schedule, weight_decay: Number | Schedule, mask: Mask = "weights"
) -> optax.GradientTransformationExtraArgs:
    """Add weight decay to the step u of the optimiser before it in the chain: u ← u − γ_t λ_t w.

    Then w shrinks by the share γ_t λ_t, whatever its gradients are. After `adam` this is `adamw`,
    after `sgd` it is SGDW of the paper. `update` needs the parameters.

    Args:
        learning_rate: γ ≥ 0, or a schedule γ_t: the same as the optimiser's.
        weight_decay: λ ≥ 0, or a schedule λ_t of the count of steps taken, from 0.
        mask: the leaves that decay.

    Returns the gradient transformation. Raises a TypeError or ValueError that names the wrong
    argument. Optax equivalent: `optax.add_decayed_weights` between the scaling and the learning
    rate. Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    The weights (1 − 0.05) w after a step without a gradient:

    >>> w = jnp.array([[2.0, -4.0]])
    >>> decay = decoupled_decay(0.5, weight_decay=0.1)
    >>> print(w + decay.update(jnp.zeros((1, 2)), decay.init(w), w)[0])
    [[ 1.9 -3.8]]
    """
    def rule(leaf):
        return leaf.g - leaf.gamma * (leaf.lam * leaf.w) if leaf.chosen else leaf.g, ()

    return by_leaf(
        rule, learning_rate=learning_rate, weight_decay=weight_decay, mask=mask,
        needs_params=True)


@recipe("limit")
def max_norm(limit: Number, mask: Mask = "weights") -> optax.GradientTransformationExtraArgs:
    """Bound the norm of each row of the weights by c after the step u: projected descent.

        u ← Π(w + u) − w,   Π(w) = w c / max(c, ‖w‖), for each row

    It follows the optimiser in the chain. A step that keeps the row within the bound is unchanged.
    A row runs along the last axis: for W (n_out, n_in) it holds the weights into one unit. A leaf
    without axes is one row. `update` needs the parameters.

    Args:
        limit: c > 0; usually 3 or 4.
        mask: the leaves that are bounded.

    Returns the gradient transformation. Raises a TypeError or ValueError that names the wrong
    argument. Optax has no equivalent. Source: Srivastava et al., "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting", 2014.

    The first row would become (3, 4), of norm 5, and is halved; the second stays within the bound:

    >>> w, step = jnp.array([[3.0, 0.0], [0.0, 1.0]]), jnp.array([[0.0, 4.0], [0.0, 1.0]])
    >>> bound = max_norm(2.5)
    >>> print(w + bound.update(step, bound.init(w), w)[0])
    [[1.5 2. ]
     [0.  2. ]]
    """
    checks.positive("limit", limit)

    def rule(leaf):
        if not leaf.chosen:
            return leaf.g, ()
        end, c = leaf.w + leaf.g, like(leaf.g, limit)
        norm = jnp.sqrt(jnp.sum(end**2, axis=-1, keepdims=True)) if end.ndim else jnp.abs(end)
        return jnp.where(norm <= c, leaf.g, end * (c / jnp.maximum(c, norm)) - leaf.w), ()

    return by_leaf(rule, mask=mask, needs_params=True)


def _global_norm(gradients) -> jax.Array:
    """√(Σ g²) over all leaves, in the widest of their dtypes."""
    squares = [jnp.sum(jnp.asarray(g) ** 2) for g in jax.tree.leaves(gradients)]
    widest = max(
        (square.dtype for square in squares),
        key=lambda dtype: dtype.itemsize,
        default=jnp.result_type(float))
    return jnp.sqrt(sum((square.astype(widest) for square in squares), jnp.zeros((), widest)))
