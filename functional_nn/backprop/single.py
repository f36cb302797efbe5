"""Quantities of the single examples' gradients gᵢ, from the factors of one backward pass.

Below, ḡ = (1/B) Σ gᵢ is the gradient of the mean cost, and |g| the norm over all parameters. For a
dense layer gᵢ is δᵢ aᵢᵀ for the weights and δᵢ for the biases.
"""

import jax
import jax.numpy as jnp

from functional_nn.backprop.scene import Scene, quantity

__all__ = ["clipped_sum", "cosines", "delta_statistics", "dots", "fisher_diagonal", "gradient",
           "kronecker", "noise_scale", "norms", "second_moment", "variance"]


@quantity("parameters")
def gradient(scene: Scene):
    """ḡ = (1/B) Σ gᵢ: the gradient of the mean cost, as `value_and_grad` gives it (BP1–BP4)."""
    return scene.gradient


@quantity("examples")
def norms(scene: Scene):
    """|gᵢ|, where a dense layer adds |δ|² (|a|² + 1) to the square (Goodfellow, 2015)."""
    return jnp.sqrt(scene.squared_norms)


@quantity("parameters", options=("clip",))
def clipped_sum(scene: Scene):
    """Σᵢ min(1, clip / |gᵢ|) gᵢ, as DP-SGD needs it (Abadi et al., 2016).

    It is the contraction of BP4 with the factors cᵢδᵢ and aᵢ, where cᵢ is the minimum. There is no
    noise, and so no claim about privacy.
    """
    shares = scene.clip / jnp.maximum(norms.compute(scene), scene.clip)
    return scene.factors.weighted_sum(scene.run.factors, shares)


@quantity("examples", options=("direction",), needs=("dot",))
def dots(scene: Scene):
    """gᵢ · v = δᵢᵀ (V aᵢ + v_b) summed over the layers, for the direction v = (V, v_b)."""
    return scene.dots(scene.direction)


@quantity("parameters", needs=("squares",))
def second_moment(scene: Scene):
    """(1/B) Σ gᵢ², entry by entry; for a dense layer (1/B) Σ δᵢ² (aᵢ²)ᵀ (Dangel et al., 2020)."""
    return scene.second_moment


@quantity("parameters", needs=("squares",))
def variance(scene: Scene):
    """(1/B) Σ gᵢ² − ḡ², entry by entry: the variance over the batch, at least 0."""
    return jax.tree.map(
        lambda moment, mean: jnp.maximum(moment - jnp.square(mean), 0),
        scene.second_moment, scene.gradient)


@quantity("batch")
def noise_scale(scene: Scene):
    """tr Σ / |G|², the simple noise scale (McCandlish et al., 2018, appendix A.1).

    With m = (1/B) Σ |gᵢ|², the unbiased estimates are tr Σ = (m − |ḡ|²) B / (B − 1) and
    |G|² = |ḡ|² − tr Σ / B.
    The latter may be negative in a small batch, and then the ratio means nothing. NaN for B = 1.
    """
    size, mean = scene.size, jnp.mean(scene.squared_norms)
    trace = (mean - _squared_norm(scene.gradient)) / (1 - 1 / size) if size > 1 else jnp.nan * mean
    return trace / (_squared_norm(scene.gradient) - trace / size)


@quantity("examples", needs=("dot",))
def cosines(scene: Scene):
    """cos(gᵢ, ḡ) = gᵢ · ḡ / (|gᵢ| |ḡ|); 0 where a norm is 0."""
    lengths = jnp.sqrt(scene.squared_norms * _squared_norm(scene.gradient))
    cosine = scene.dots(scene.gradient) / jnp.where(lengths > 0, lengths, 1)
    return jnp.where(lengths > 0, cosine, 0)


@quantity("parameters", needs=("squares",))
def fisher_diagonal(scene: Scene):
    """The diagonal of the empirical Fisher matrix (1/B) Σ gᵢgᵢᵀ, which is the second moment."""
    return scene.second_moment


@quantity("blocks", needs=("kronecker",))
def kronecker(scene: Scene):
    """{"inputs": A = (1/B) Σ aᵢaᵢᵀ, "errors": D = (1/B) Σ δᵢδᵢᵀ} for each layer with weights.

    D ⊗ A stands for the block of W in the empirical Fisher matrix (1/B) Σ gᵢgᵢᵀ, and D is the block
    of b (Martens and Grosse, 2015, with the targets of the data).
    """
    return scene.factors.kronecker(scene.one_column, scene.batch.weights)


@quantity("layers")
def delta_statistics(scene: Scene):
    """Of δˡ, for each layer, over the examples and the units.

    "mean", "deviation": of all entries; "zeros": the share of entries that are exactly 0;
    "norm": the mean of |δᵢ|; "norm_of_mean": |(1/B) Σ δᵢ|, which is what the step follows.
    """
    deltas = [delta.reshape(scene.size, -1) for delta in scene.run.deltas]
    each = {
        "mean": jnp.mean,
        "deviation": jnp.std,
        "zeros": lambda delta: jnp.mean((delta == 0).astype(delta.dtype)),
        "norm": lambda delta: jnp.mean(jnp.linalg.norm(delta, axis=1)),
        "norm_of_mean": lambda delta: jnp.linalg.norm(jnp.mean(delta, axis=0)),
    }
    return {name: jnp.stack([of(delta) for delta in deltas]) for name, of in each.items()}


def _squared_norm(tree) -> jax.Array:
    return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree))
