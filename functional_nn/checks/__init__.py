"""Checks of arguments, with messages that say what was wrong and how to mend it.

A message names the argument, what was wanted, what was given, and the likely fix. Shapes and
dtypes are checked at trace time too. Values (finite, in range) are checked only outside of `jit`,
`vmap` and `grad`: an array that is being traced passes.
"""

from functional_nn.arguments import NAME, advice, integer, one_of, worded
from functional_nn.checks.arrays import (
    as_jax,
    bounded,
    features,
    finite,
    float_dtype,
    floating,
    is_concrete,
    labels,
    real,
    sample_weights,
    taken,
    tokens,
    told_apart,
    unmasked,
)
from functional_nn.checks.settings import (
    call_text,
    configured,
    layers,
    not_negative,
    number,
    positive,
    typed_key,
)

__all__ = [
    "NAME", "advice", "as_jax", "bounded", "call_text", "configured", "features", "finite",
    "float_dtype", "floating", "integer", "is_concrete", "labels", "layers", "not_negative",
    "number", "one_of", "positive", "real", "sample_weights", "taken", "tokens", "told_apart",
    "typed_key", "unmasked", "worded"]
