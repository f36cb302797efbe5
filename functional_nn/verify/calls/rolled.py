"""Parameters in one vector, as optimisers of SciPy take them: the ways in which it may be unrolled."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from functional_nn.verify.calls.forms import ORDERS, WEIGHTS
from functional_nn.verify.calls.pairs import answer

FORMS = ("out_in, bias first", "out_in, bias last", "out_in", "in_out", "in_out, bias first", "in_out, bias last")


def unrolled(vector: np.ndarray, function: Callable, sizes: Sequence[int]) -> Iterator[tuple[dict[str, np.ndarray], Callable]]:
    """Yield (the parameters as arrays, a function of those) for every way in which the sizes fit.

    The arrays are the vector's parts in row order (NumPy's) or column order (MATLAB's), named by
    their places in it.

    >>> [{name: part.shape for name, part in tree.items()} for tree, _ in unrolled(np.zeros(8), None, (3, 2))][0]
    {'params[0:8]': (2, 4)}
    """
    layers = list(itertools.pairwise(sizes))
    for name, of, major in itertools.product(FORMS, ORDERS.values(), "CF"):
        form = next(form for form in WEIGHTS if form.name == name)
        places = of(len(layers))
        if any(kind == "bias" for kind, _ in places) and form.bias is not None:
            continue
        shapes = [form.shape(*layers[l]) if kind == "weight" else (layers[l][1],) for kind, l in places]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        if ends[-1] != vector.size:
            continue
        names = [f"params[{a}:{b}]" for a, b in itertools.pairwise(ends)]
        yield _split(vector, names, shapes, major), _rolled(function, vector, names, shapes, major)


def _split(vector: np.ndarray, names: Sequence[str], shapes: Sequence[tuple], major: str) -> dict[str, np.ndarray]:
    parts = np.split(np.asarray(vector).ravel(), np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
    return {name: part.reshape(shape, order=major) for name, part, shape in zip(names, parts, shapes, strict=True)}


def _rolled(function: Callable, vector: np.ndarray, names, shapes, major: str) -> Callable:
    def of_parts(params: Any, X: Any, Y: Any) -> Any:
        result = answer(function(np.concatenate([np.ravel(params[name], order=major) for name in names]), X, Y), vector)
        gradient = np.asarray(result.gradient)
        if gradient.size == vector.size:
            gradient = _split(gradient, names, shapes, major)
        return gradient if result.value is None else (result.value, gradient)

    return of_parts
