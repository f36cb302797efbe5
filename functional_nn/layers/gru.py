"""The gated recurrent unit (Cho et al., 2014)."""

import jax
import jax.numpy as jnp

from functional_nn import checks, initializers
from functional_nn.layers.factors import shared
from functional_nn.layers.layer import Equations, Layer, sequence

__all__ = ["gru"]


def gru(width: int, init="glorot_uniform") -> Layer:
    """A gated recurrent unit: it reads a sequence step by step, with a state h of `width` entries.

        r, u = sigmoid(W a_t + U h + b)               of their rows: reset and update
        m    = U_n h + c                              what the state says to the candidate
        n    = tanh(W_n a_t + b_n + r ⊙ m)            the candidate
        h_t  = u ⊙ h + (1 − u) ⊙ n                    where h = h_{t−1}, and h_0 = 0

    The output is the state at every step, (time, width), for an input (time, n_in). The parameters
    are {"w": (3 width, n_in), "u": (3 width, width), "b": (3 width,), "c": (width,)}, with the rows
    of r, u and n below each other, as cuDNN has them.

    Backwards through time, the state's error is e_t = δ_t + what step t + 1 hands back, and

        e_n = e ⊙ (1 − u) ⊙ (1 − n²),  e_u = e ⊙ (h − n) ⊙ u (1 − u),  e_r = e_n ⊙ m ⊙ r (1 − r)

    hand back e ⊙ u + Uᵀ[e_r, e_u, r ⊙ e_n]. The gradients are Σ_t of the outer products of
    [e_r, e_u, e_n] with a_t for W, and of [e_r, e_u, r ⊙ e_n] with h for U.

    Args:
      width: of the state, an integer of at least 1.
      init: as for `dense`; W and U of each gate are drawn on their own, and c starts at 0.

    Raises a TypeError for a width that is not an integer, and a ValueError for one below 1 and for
    an unknown name. `n_out` of the layer raises a ValueError for an input that is no sequence.

    >>> layer = gru(1)
    >>> params = jax.tree.map(jnp.zeros_like, layer.init(jax.random.key(0), (3, 1), jnp.float32))
    >>> params["b"] = jnp.array([0.0, 0.0, 9.0])             # u = ½ and n = 1: half of the way left
    >>> z, _ = layer.forward(params, jnp.zeros((3, 1)), None)
    >>> [round(h, 3) for h in z.ravel().tolist()]
    [0.5, 0.75, 0.875]
    """
    width, init = checks.integer("width", width), initializers.get(init)

    def start(key, n_in, dtype):
        keys = jax.random.split(key, 7)

        def gates(keys, n):
            return jnp.concatenate([init.weights(key, (n, width), dtype).T for key in keys])

        return {"w": gates(keys[:3], n_in[1]), "u": gates(keys[3:6], width),
                "b": init.biases(keys[6], (3 * width,), dtype), "c": jnp.zeros(width, dtype)}

    def forward(params, a, key):
        def step(h, x):
            y, bias = params["u"] @ h, x[2 * width:]
            r, u = jnp.split(jax.nn.sigmoid(x[:2 * width] + y[:2 * width]), 2)
            m = y[2 * width:] + params["c"]
            n = jnp.tanh(bias + r * m)
            after = u * h + (1 - u) * n
            return after, (after, (h, r, u, m, n))

        inputs = a @ params["w"].T + params["b"][None]
        z, steps = jax.lax.scan(step, jnp.zeros(width, inputs.dtype), inputs)[1]
        return z, (a, steps)

    def backward(params, saved, delta):
        a, steps = saved

        def step(e, now):
            delta, own = now
            e = delta + e
            errors = _errors(own, e)
            return e * own[2] + errors[1] @ params["u"], errors

        errors = _through(step, jnp.zeros_like(delta[0]), (delta, steps))
        return errors[0] @ params["w"], (_named(errors), {"w": a, "u": steps[0]})

    def forward_tangent(params, saved, d_params, d_a):
        a, steps = saved
        d_a = jnp.zeros_like(a) if d_a is None else d_a
        d_inputs = a @ d_params["w"].T + d_a @ params["w"].T + d_params["b"][None]

        def step(d_h, now):
            d_x, (h, r, u, m, n) = now
            d_y = d_params["u"] @ h + params["u"] @ d_h
            d_r, d_u = jnp.split(d_x[:2 * width] + d_y[:2 * width], 2)
            d_r, d_u = r * (1 - r) * d_r, u * (1 - u) * d_u
            d_m = d_y[2 * width:] + d_params["c"]
            d_n = (1 - n**2) * (d_x[2 * width:] + d_r * m + r * d_m)
            d_after = d_u * (h - n) + u * d_h + (1 - u) * d_n
            return d_after, (d_after, (d_h, d_r, d_u, d_m, d_n))

        d_z, d_steps = jax.lax.scan(step, jnp.zeros_like(steps[0][0]), (d_inputs, steps))[1]
        return d_z, (d_a, d_steps)

    def backward_tangent(params, saved, delta, d_params, d_saved, d_delta):
        (a, steps), (d_a, d_steps) = saved, d_saved

        def step(both, now):
            (e, d_e), (delta, d_delta, own, d_own) = both, now
            e, d_e, u, d_u = delta + e, d_delta + d_e, own[2], d_own[2]
            errors, d_errors = _errors(own, e), _errors_tangent(own, e, d_own, d_e)
            back = e * u + errors[1] @ params["u"]
            d_back = (d_e * u + e * d_u + d_errors[1] @ params["u"]
                      + errors[1] @ d_params["u"])
            return (back, d_back), (errors, d_errors)

        zero = jnp.zeros_like(delta[0])
        errors, d_errors = _through(step, (zero, zero), (delta, d_delta, steps, d_steps))
        cotangent, d_cotangent = errors[0] @ params["w"], (
            d_errors[0] @ params["w"] + errors[0] @ d_params["w"])
        return ((cotangent, (_named(errors), {"w": a, "u": steps[0]})),
                (d_cotangent, (_named(d_errors), {"w": d_a, "u": d_steps[0]})))

    return Layer("gru", lambda n_in: (sequence("gru", n_in)[0], width), start, forward, backward,
                 shared, arguments={"width": width, "init": init}, text=f"{width}",
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("u ⊙ h + (1 − u) ⊙ n for each t, with r, u, n of a and h",
                                     "Wᵀ [e_r, e_u, e_n] for each t, backwards in time"))


def _through(step, start, every):
    """What `step` returns for each time, from the last to the first."""
    return jax.lax.scan(step, start, every, reverse=True)[1]


def _errors(own, e):
    """[e_r, e_u, e_n] for W and b, and [e_r, e_u, r ⊙ e_n] for U and c, of one step."""
    h, r, u, m, n = own
    e_n = e * (1 - u) * (1 - n**2)
    e_u = e * (h - n) * u * (1 - u)
    e_r = e_n * m * r * (1 - r)
    return jnp.concatenate([e_r, e_u, e_n]), jnp.concatenate([e_r, e_u, r * e_n])


def _errors_tangent(own, e, d_own, d_e):
    """R applied to `_errors`."""
    (h, r, u, m, n), (d_h, d_r, d_u, d_m, d_n) = own, d_own
    e_n = e * (1 - u) * (1 - n**2)
    d_e_n = d_e * (1 - u) * (1 - n**2) - e * d_u * (1 - n**2) - 2 * e * (1 - u) * n * d_n
    d_e_u = (d_e * (h - n) * u * (1 - u) + e * (d_h - d_n) * u * (1 - u)
             + e * (h - n) * (1 - 2 * u) * d_u)
    d_e_r = (d_e_n * m * r * (1 - r) + e_n * d_m * r * (1 - r) + e_n * m * (1 - 2 * r) * d_r)
    return (jnp.concatenate([d_e_r, d_e_u, d_e_n]),
            jnp.concatenate([d_e_r, d_e_u, d_r * e_n + r * d_e_n]))


def _named(errors) -> dict:
    """The errors of all steps by the name of the parameter."""
    of_w, of_u = errors
    return {"w": of_w, "u": of_u, "b": of_w, "c": of_u[:, 2 * of_u.shape[1] // 3:]}
