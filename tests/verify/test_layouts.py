"""Every way people hold the parameters of an mlp is read into W (n_out, n_in) and b, and written back."""

import itertools

import numpy as np
import pytest

from functional_nn.verify.layouts import detect

SIZES = (3, 4, 4, 2)
RNG = np.random.default_rng(0)
W = [RNG.normal(size=(n_out, n_in)) for n_in, n_out in itertools.pairwise(SIZES)]
B = [RNG.normal(size=n) for n in SIZES[1:]]
LAYOUTS = {
    "ours": (tuple({"w": w, "b": b} for w, b in zip(W, B, strict=True)), False),
    "tuples": ([(w, b) for w, b in zip(W, B, strict=True)], False),
    "turned tuples": ([(w.T, b) for w, b in zip(W, B, strict=True)], True),
    "bias first": ([[b, w] for w, b in zip(W, B, strict=True)], False),
    "numbered": ({f"W{i}": w for i, w in enumerate(W)} | {f"b{i}": b for i, b in enumerate(B)}, False),
    "by kind": ({"weights": W, "biases": B}, False),
    "flax": ({"params": {f"Dense_{i}": {"kernel": w.T, "bias": b} for i, (w, b) in enumerate(zip(W, B, strict=True))}}, True),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_read_and_written_back(name):
    tree, in_out = LAYOUTS[name]
    layout = detect(tree, SIZES)
    weights, biases = layout.read(tree)
    assert layout.in_out == in_out
    for mine, given in zip([*weights, *biases], [*W, *B], strict=True):
        np.testing.assert_array_equal(mine, given)
    again = layout.read(layout.write(weights, biases))
    np.testing.assert_array_equal(again[0][1], W[1])


def test_ten_layers_are_in_natural_order():
    sizes = (2,) * 12
    tree = {f"Dense_{i}": {"kernel": np.full((2, 2), i), "bias": np.full(2, i)} for i in range(11)}
    assert [w[0, 0] for w in detect(tree, sizes).read(tree)[0]] == list(range(11))


def test_columns_are_read_where_a_name_says_bias():
    tree = {f"W{i}": w for i, w in enumerate(W)} | {f"b{i}": b[:, None] for i, b in enumerate(B)}
    np.testing.assert_array_equal(detect(tree, SIZES).read(tree)[1][2], B[2])


def test_square_weights_are_settled_by_the_argument():
    tree = [(np.ones((2, 2)), np.ones(2))]
    assert not detect(tree, (2, 2)).in_out and detect(tree, (2, 2), "in_out").in_out


@pytest.mark.parametrize(("tree", "layout", "words"), [
    ([(W[0], B[0])], None, "a weight and a bias for each of the 3 layers of 3-4-4-2, got 1 weights and 1 biases"),
    ([(W[0], B[0]), (W[1], B[1]), (np.ones((5, 4)), B[2])], None, "or their transposes"),
    ([(W[0], B[0]), (W[1], B[1]), (W[2], np.ones(3))], None, "biases"),
    (LAYOUTS["tuples"][0], "in_out", "or their transposes"),
    (LAYOUTS["tuples"][0], "rows", "layout must be None or one of out_in, in_out"),
])
def test_what_does_not_fit_is_refused(tree, layout, words):
    with pytest.raises(ValueError, match=words):
        detect(tree, SIZES, layout)
