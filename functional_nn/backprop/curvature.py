"""Quantities of the curvature of the mean cost C: products and diagonals of second derivatives.

The Hessian is H = ∂²C/∂θ². With Jᵢ = ∂zᵢᴸ/∂θ and Gᵢ the Gauss–Newton part of ∂²Lᵢ/∂z², which
`losses.Head` defines, the generalised Gauss–Newton matrix is GGN = (1/B) Σ Jᵢᵀ Gᵢ Jᵢ. The loss of a
pair of `losses.FUSED` is taken as a function of z, and any other loss as a function of a = σ(z).
BackPACK and curvlinops do the same for the loss modules of PyTorch.
"""

import jax
import jax.numpy as jnp

from functional_nn import layers
from functional_nn.backprop.scene import Scene, quantity

__all__ = ["ggn_diagonal", "ggn_diagonal_mc", "ggn_vp", "hvp"]


@quantity("parameters", needs=("root", "squares"))
def ggn_diagonal(scene: Scene):
    """diag GGN = (1/B) Σᵢ Σ_c (Jᵢᵀ s_c)², with the columns s_c of S, where S Sᵀ = Gᵢ.

    Each column is propagated as a δᴸ by BP2; for a dense layer the sum is (Σ_c δ_c²) (a²)ᵀ
    (Dangel, Kunstner and Hennig, 2020).
    """
    n = scene.problem.net.n_out
    basis = jnp.eye(n, dtype=scene.batch.y.dtype)
    return scene.root_squares(jnp.broadcast_to(basis, (scene.size, n, n)))


@quantity("parameters", options=("key",), needs=("root", "squares"))
def ggn_diagonal_mc(scene: Scene):
    """An unbiased estimate of diag GGN from one backward pass: (1/B) Σᵢ (Jᵢᵀ S εᵢ)².

    The signs εᵢ are drawn at random, −1 or 1, so that the mean of S ε (S ε)ᵀ is S Sᵀ = Gᵢ.
    """
    signs = jax.random.rademacher(
        jax.random.fold_in(scene.key, 1), (scene.size, 1, scene.problem.net.n_out),
        scene.batch.y.dtype)
    return scene.root_squares(signs)


@quantity("parameters", options=("direction",),
          needs=("hessian_product", "curvature", "forward_tangent", "backward_tangent", "tangent"))
def hvp(scene: Scene):
    """H v = R{ḡ} by Pearlmutter's R-operator (1994), with R{θ} = v.

    R{δᴸ} = ∂²L/∂z² R{zᴸ}; BP2 is differentiated as `layers.backward_tangent` says; and for a dense
    layer R{∂L/∂W} = R{δ} aᵀ + δ R{a}ᵀ.
    """
    problem, direction = scene.problem, scene.direction

    def of_example(tape, d_tape, y):
        z, d_z = tape[-1].z, d_tape[-1].z
        d_delta = jnp.zeros_like(z) if d_z is None else problem.head.hessian_product(z, y, d_z)
        (_, factors), (_, d_factors) = layers.backward_tangent(
            problem.net.layers, scene.params, tape, problem.head.delta(z, y), direction, d_tape,
            d_delta)
        return factors, d_factors

    factors, d_factors = jax.vmap(of_example)(scene.run.tape, scene.tangents, scene.batch.y)
    return scene.factors.tangent(factors, d_factors, scene.batch.weights)


@quantity("parameters", options=("direction",), needs=("ggn_product", "forward_tangent"))
def ggn_vp(scene: Scene):
    """GGN v = (1/B) Σ Jᵢᵀ Gᵢ (Jᵢ v), where Jᵢ v = R{zᴸ} and Jᵢᵀ is BP2 (Schraudolph, 2002)."""
    problem = scene.problem

    def of_example(tape, d_tape, y):
        z, d_z = tape[-1].z, d_tape[-1].z
        delta = jnp.zeros_like(z) if d_z is None else problem.head.ggn_product(z, y, d_z)
        return layers.backward(problem.net.layers, scene.params, tape, delta)[1]

    factors = jax.vmap(of_example)(scene.run.tape, scene.tangents, scene.batch.y)
    return scene.factors.weighted_sum(factors, scene.batch.weights)
