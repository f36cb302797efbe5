"""How a tree of parameters holds the layers of a perceptron, found from shapes and names.

`layouts` returns every reading that the shapes allow, the likeliest first. Nothing is told apart
by the shape of the tree: its leaves are taken in order, and one of `forms.ORDERS` must fit.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nn.verify.calls.arrays import is_array
from functional_nn.verify.calls.forms import BIASES, ORDERS, WEIGHTS, Weights
from functional_nn.verify.calls.names import natural, says_bias, says_weight, words

Ours = tuple[dict[str, np.ndarray], ...]


class Part(NamedTuple):
    """Where a weight or a bias is: the leaf, and the place in it of each of our entries."""

    leaf: int
    places: np.ndarray


class Layout(NamedTuple):
    """One reading of a tree of parameters: where each of our entries is in it.

    Attributes:
      tree: the parameters, a tree of arrays; its other leaves stay as they are.
      paths: the path of each leaf.
      form: the form of the weights.
      order: the name of the leaves' order.
      weights, biases: for each layer the place of its weight and of its bias; None for a bias
        that there is not.
      ends: where the parts of one vector begin and end; () if the tree is none.
    """

    tree: Any
    paths: tuple[str, ...]
    form: Weights
    order: str
    weights: tuple[Part, ...]
    biases: tuple[Part | None, ...]
    ends: tuple[int, ...] = ()

    @property
    def without(self) -> tuple[int, ...]:
        """Return the layers that have no bias."""
        return tuple(l for l, part in enumerate(self.biases) if part is None)

    @property
    def used(self) -> list[int]:
        """Return the indices of the leaves that hold weights or biases, in the tree's order."""
        return sorted({part.leaf for part in (*self.weights, *self.biases) if part is not None})

    def read(self, leaves: Sequence[np.ndarray]) -> Ours:
        """Return our parameters from the leaves of such a tree; a bias that is not there is 0."""
        def held(part: Part) -> np.ndarray:
            return np.ravel(leaves[part.leaf])[part.places]

        return tuple({"w": held(w), "b": held(b) if b is not None else np.zeros(
            len(w.places), np.asarray(leaves[w.leaf]).dtype)}
            for w, b in zip(self.weights, self.biases, strict=True))

    def write(self, params: Ours) -> Any:
        """Return the tree of this layout that holds our parameters."""
        leaves = list(jax.tree.leaves(self.tree))
        for i in self.used:
            leaves[i] = np.zeros(np.shape(leaves[i]), np.asarray(params[0]["w"]).dtype)
        for layer, *parts in zip(params, self.weights, self.biases, strict=True):
            for part, values in zip(parts, (layer["w"], layer["b"]), strict=True):
                if part is not None:
                    leaves[part.leaf].reshape(-1)[part.places] = values
        return jax.tree.unflatten(jax.tree.structure(self.tree), leaves)

    def named(self, params: Ours) -> list[tuple[str, np.ndarray]]:
        """Return our parameters as the user holds them: (path, array) of each leaf or part."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self.write(params))]
        if self.ends:
            return [(f"params[{a}:{b}]", leaves[0][a:b]) for a, b in itertools.pairwise(self.ends)]
        return [(self.paths[i], leaves[i]) for i in self.used]

    def _place(self, layer: int, leaf: str, place: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        """(path, index) in the user's parameters of an entry of our weight or bias."""
        part = (self.biases if leaf == "bias" else self.weights)[layer]
        if part is None:  # they have no such bias
            return self.paths[self.weights[layer].leaf], place
        flat = int(part.places[place])
        for a, b in itertools.pairwise(self.ends):
            if a <= flat < b:
                return f"params[{a}:{b}]", (flat - a,)
        shape = np.shape(jax.tree.leaves(self.tree)[part.leaf])
        return self.paths[part.leaf], tuple(int(n) for n in np.unravel_index(flat, shape))

    def path(self, layer: int, leaf: str) -> str:
        """Return the path of a layer's "weight" or "bias" in the user's tree."""
        return self._place(layer, leaf, (0,) if leaf == "bias" else (0, 0))[0]

    def index(self, layer: int, leaf: str, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index in the user's array of an entry of our weight or bias."""
        return self._place(layer, leaf, place)[1]

    def again(self, leaves: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """Return leaves in this tree's order from leaves in any order in which layers may stand.

        The result is None unless the shapes fit. It serves gradients held otherwise than their
        parameters.
        """
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(self.tree)]
        held = {"weight": self.weights, "bias": self.biases}
        for of, backward in itertools.product(ORDERS.values(), (False, True)):
            parts = [held[kind][l] for kind, l in of(len(self.weights))][::-1 if backward else 1]
            wanted = [*dict.fromkeys(part.leaf for part in parts if part is not None)]
            if len(wanted) == len(leaves) == len(self.used) and all(
                    np.shape(leaf) == shapes[i] for leaf, i in zip(leaves, wanted, strict=True)):
                found = dict(zip(wanted, leaves, strict=True))
                return [found.get(i) for i in range(len(shapes))]
        return None


def layouts(params: Any, sizes: Sequence[int], layout: str | None = None) -> list[Layout]:
    """Return the layouts in which `params` holds a multi-layer perceptron, the likeliest first.

    Args:
      params: the tree of parameters, its leaves arrays.
      sizes: the number of inputs, then the number of units of each layer.
      layout: "out_in", "in_out" or the name of one of `forms.WEIGHTS`; None admits all.

    Raises:
      ValueError: the leaves do not fit `sizes`, or `layout` is not known.

    >>> W, b = np.ones((3, 2)), np.zeros(3)
    >>> layouts([(W, b)], (2, 3))[0].form.name, layouts({"theta": W.T}, (2, 3))[0].form.name
    ('out_in', 'in_out')
    """
    known = [form.name for form in WEIGHTS]
    if layout is not None and layout not in known:
        raise ValueError(f"layout must be None or one of {', '.join(known)}, got {layout!r}")
    if getattr(params, "ndim", 0) == 1 and params.size > 1 and (found := _in_one(params, sizes)):
        return found
    leaves = jax.tree_util.tree_leaves_with_path(params)
    paths = tuple(jax.tree_util.keystr(path) for path, _ in leaves)
    arrays = {i: np.shape(leaf) for i, (_, leaf) in enumerate(leaves) if is_array(leaf) or np.ndim(leaf) > 0}
    found = [one for numbers in _kept(arrays) for order in _orders(params, paths, numbers)
             for one in _read(params, paths, arrays, order, sizes, layout)]
    if not found:
        raise ValueError(_misfit(paths, arrays, sizes))
    # the order of preference: names say so; a plain form; one order of leaves before another
    kernels = any("kernel" in words(path) for path in paths)
    found.sort(key=lambda one: (_against_names(one), "bias" in one.form.name, kernels and "in_out" not in one.form.name))
    seen: dict[tuple, Layout] = {}
    for one in found:
        seen.setdefault((one.form.name, *(part and part.leaf for part in (*one.weights, *one.biases))), one)
    return list(seen.values())


def _kept(arrays: Mapping[int, tuple[int, ...]]) -> Iterator[list[int]]:
    """The leaves that may be weights or biases: all arrays, then those that are no single numbers."""
    yield list(arrays)
    if any(not shape for shape in arrays.values()):
        yield [i for i, shape in arrays.items() if shape]


def _orders(params: Any, paths: Sequence[str], numbers: Sequence[int]) -> Iterator[list[int]]:
    """The orders in which the leaves may stand for the layers.

    By the numbers in their names; by their place in the user's own dictionaries.
    """
    inserted = {path: i for i, path in enumerate(_inserted(params))}
    ways = [lambda i: natural(paths[i]), lambda i: inserted.get(paths[i], i)]
    for way in ways if any(part.isdigit() for path in paths for part in path) else ways[::-1]:
        yield sorted(numbers, key=way)


def _inserted(tree: Any, path: tuple = ()) -> Iterator[str]:
    """The paths of a tree's leaves, dictionaries in the order in which they were filled."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _inserted(value, (*path, jax.tree_util.DictKey(key)))
    elif isinstance(tree, list | tuple) and not hasattr(tree, "_fields"):
        for i, value in enumerate(tree):
            yield from _inserted(value, (*path, jax.tree_util.SequenceKey(i)))
    else:
        for key, _ in jax.tree_util.tree_leaves_with_path(tree):
            yield jax.tree_util.keystr((*path, *key))


def _read(params, paths, arrays, order, sizes, layout) -> Iterator[Layout]:
    layers = list(itertools.pairwise(sizes))
    for (name, of), form in itertools.product(ORDERS.items(), WEIGHTS):
        places = of(len(layers))
        biased = any(kind == "bias" for kind, _ in places)
        if len(places) != len(order) or (layout is not None and not form.name.startswith(layout)) or (
                biased and "bias" in form.name):
            continue
        held = dict(zip(places, order, strict=True))
        # the weight of one output may be a plain vector
        if all(arrays[held["weight", l]] in (form.shape(*size), size[:1] if size[1] == 1 and "bias" not in form.name else None)
               for l, size in enumerate(layers)) and all(
                arrays[held["bias", l]] in {shape(n) for shape in BIASES.values()}
                for l, (_, n) in enumerate(layers) if biased):
            yield _made(params, paths, form, name, [
                (held["weight", l], np.arange(np.prod(arrays[held["weight", l]], dtype=int)).reshape(form.shape(*size)),
                 Part(held["bias", l], np.arange(size[1])) if biased else None) for l, size in enumerate(layers)])


def _made(params, paths, form: Weights, name: str, held) -> Layout:
    """The layout in which each layer has (leaf of its weight, places of its array, its bias)."""
    weights, biases = [], []
    for leaf, places, bias in held:
        W, b = form.parts(places)
        weights.append(Part(leaf, W))
        biases.append(bias if b is None else Part(leaf, b))
    return Layout(params, paths, form, name, tuple(weights), tuple(biases))


def _in_one(vector: np.ndarray, sizes: Sequence[int]) -> list[Layout]:
    """The ways to unroll all parameters from one vector, as optimisers of SciPy take them.

    The parts are in row order (NumPy's) or in column order (MATLAB's).
    """
    layers, found = list(itertools.pairwise(sizes)), {}
    for form, (name, of), major in itertools.product((*WEIGHTS[2:4], WEIGHTS[0], WEIGHTS[1], *WEIGHTS[4:]), ORDERS.items(), "CF"):
        places = of(len(layers))
        if any(kind == "bias" for kind, _ in places) and "bias" in form.name:
            continue
        shapes = [form.shape(*layers[l]) if kind == "weight" else (layers[l][1],) for kind, l in places]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        if ends[-1] == vector.size:
            held = {place: start + np.arange(np.prod(shape)).reshape(shape, order=major)
                    for place, start, shape in zip(places, ends, shapes, strict=False)}
            one = _made(vector, ("",), form, name, [
                (0, held["weight", l], Part(0, held["bias", l]) if ("bias", l) in held else None)
                for l in range(len(layers))])
            key = str([part and part.places.tolist() for part in (*one.weights, *one.biases)])
            found.setdefault(key, one._replace(ends=tuple(map(int, ends))))
    return list(found.values())


def _against_names(one: Layout) -> int:
    """How many leaves are read against their names."""
    return sum(says_bias(one.paths[part.leaf]) for part in one.weights) + sum(
        says_weight(one.paths[part.leaf]) for part in one.biases
        if part is not None and "bias" not in one.form.name)


def _misfit(paths: Sequence[str], arrays: Mapping[int, tuple[int, ...]], sizes: Sequence[int]) -> str:
    listed = ", ".join(f"{paths[i] or 'params'} {shape}" for i, shape in list(arrays.items())[:8])
    weights = [shape for shape in arrays.values() if len(shape) > 1 and min(shape) > 1]
    more = f" and {len(arrays) - 8} more" if len(arrays) > 8 else ""
    wanted = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    return (f"params must hold a weight for each of the {len(wanted)} layers of {'-'.join(map(str, sizes))}, of shapes {wanted} "
            f"or their transposes, with the bias in one more row or column, in an array of its own ({list(sizes[1:])}), or "
            f"without biases; got {len(weights)} weights and {len(arrays) - len(weights)} biases: {listed}{more}")
