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


class Layout(NamedTuple):
    """One reading of a tree of parameters.

    Attributes:
      tree: the parameters, a tree of arrays; its other leaves stay as they are.
      paths: the path of each leaf.
      form: the form of the weights.
      order: the name of the leaves' order.
      weights, biases: for each layer the index of its weight's, or bias's, leaf; None for a bias
        that is in the weight's array, or that there is not.
    """

    tree: Any
    paths: tuple[str, ...]
    form: Weights
    order: str
    weights: tuple[int, ...]
    biases: tuple[int | None, ...]

    @property
    def without(self) -> tuple[int, ...]:
        """Return the layers that have no bias."""
        return () if self.form.bias is not None else tuple(l for l, i in enumerate(self.biases) if i is None)

    @property
    def used(self) -> list[int]:
        """Return the indices of the leaves that are weights or biases, in the tree's order."""
        return sorted({*self.weights, *(i for i in self.biases if i is not None)})

    def read(self, leaves: Sequence[np.ndarray]) -> Ours:
        """Return our parameters from the leaves of such a tree; a bias that is not there is 0."""
        found = []
        for i, j in zip(self.weights, self.biases, strict=True):
            array = np.asarray(leaves[i])
            W, b = self.form.read(array) if array.ndim > 1 else (array[None, :], None)
            b = np.asarray(leaves[j]).ravel() if j is not None else np.zeros(len(W), W.dtype) if b is None else b
            found.append({"w": W, "b": b})
        return tuple(found)

    def write(self, params: Ours) -> Any:
        """Return the tree of this layout that holds our parameters."""
        leaves = list(jax.tree.leaves(self.tree))
        for layer, i, j in zip(params, self.weights, self.biases, strict=True):
            leaves[i] = self.form.write(np.asarray(layer["w"]), np.asarray(layer["b"])).reshape(np.shape(leaves[i]))
            if j is not None:
                leaves[j] = np.asarray(layer["b"]).reshape(np.shape(leaves[j]))
        return jax.tree.unflatten(jax.tree.structure(self.tree), leaves)

    def path(self, layer: int, leaf: str) -> str:
        """Return the path of a layer's "weight" or "bias" in the user's tree."""
        index = self.biases[layer] if leaf == "bias" and self.biases[layer] is not None else self.weights[layer]
        return self.paths[index]

    def index(self, layer: int, leaf: str, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index in the user's array of an entry of our weight or bias."""
        if leaf == "bias" and self.biases[layer] is not None:
            shape = np.shape(jax.tree.leaves(self.tree)[self.biases[layer]])
            return tuple(int(n) for n in np.unravel_index(place[0], shape))
        if len(np.shape(jax.tree.leaves(self.tree)[self.weights[layer]])) == 1:
            return place[1:]
        return self.form.index(place, leaf)

    def again(self, leaves: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """Return leaves in this tree's order from leaves in any order in which layers may stand.

        The result is None unless the shapes fit. It serves gradients held otherwise than their
        parameters.
        """
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(self.tree)]
        layers = len(self.weights)
        for of, backward in itertools.product(ORDERS.values(), (False, True)):
            wanted = [self.weights[l] if kind == "weight" else self.biases[l] for kind, l in of(layers)]
            wanted = [i for i in (wanted[::-1] if backward else wanted) if i is not None]
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
    leaves = jax.tree_util.tree_leaves_with_path(params)
    paths = tuple(jax.tree_util.keystr(path) for path, _ in leaves)
    arrays = {i: np.shape(leaf) for i, (_, leaf) in enumerate(leaves) if is_array(leaf) or np.ndim(leaf) > 0}
    found = [one for numbers in _kept(arrays) for order in _orders(params, paths, numbers)
             for one in _read(params, paths, arrays, order, sizes, layout)]
    if not found:
        raise ValueError(_misfit(paths, arrays, sizes))
    # the order of preference: names say so; a plain form; one order of leaves before another
    kernels = any("kernel" in words(path) for path in paths)
    found.sort(key=lambda one: (_against_names(one), one.form.bias is not None, kernels and not one.form.turned))
    seen: dict[tuple, Layout] = {}
    for one in found:
        seen.setdefault((one.form.name, one.weights, one.biases), one)
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
                biased and form.bias is not None):
            continue
        held = dict(zip(places, order, strict=True))
        # the weight of one output may be a plain vector
        if all(arrays[held["weight", l]] in (form.shape(*size), size[:1] if size[1] == 1 and form.bias is None else None)
               for l, size in enumerate(layers)) and all(
                arrays[held["bias", l]] in {shape(n) for shape in BIASES.values()}
                for l, (_, n) in enumerate(layers) if biased):
            yield Layout(params, paths, form, name, tuple(held["weight", l] for l in range(len(layers))),
                         tuple(held.get(("bias", l)) for l in range(len(layers))))


def _against_names(one: Layout) -> int:
    """How many leaves are read against their names."""
    return sum(says_bias(one.paths[i]) for i in one.weights) + sum(
        says_weight(one.paths[i]) for i in one.biases if i is not None)


def _misfit(paths: Sequence[str], arrays: Mapping[int, tuple[int, ...]], sizes: Sequence[int]) -> str:
    listed = ", ".join(f"{paths[i] or 'params'} {shape}" for i, shape in list(arrays.items())[:8])
    weights = [shape for shape in arrays.values() if len(shape) > 1 and min(shape) > 1]
    more = f" and {len(arrays) - 8} more" if len(arrays) > 8 else ""
    wanted = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    return (f"params must hold a weight for each of the {len(wanted)} layers of {'-'.join(map(str, sizes))}, of shapes {wanted} "
            f"or their transposes, with the bias in one more row or column, in an array of its own ({list(sizes[1:])}), or "
            f"without biases; got {len(weights)} weights and {len(arrays) - len(weights)} biases: {listed}{more}")
