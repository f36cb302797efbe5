"""Every way people hold the parameters of an mlp is read into W (n_out, n_in) and b, and written back."""

import itertools

import jax
import numpy as np
import pytest

from functional_nn.verify.calls.layout import layouts

SIZES = (3, 4, 4, 2)
RNG = np.random.default_rng(0)
W = [RNG.normal(size=(n_out, n_in)) for n_in, n_out in itertools.pairwise(SIZES)]
B = [RNG.normal(size=n) for n in SIZES[1:]]
PAIRS = list(zip(W, B, strict=True))
COLUMNS = [b[:, None] for b in B]
LAYOUTS = {
    "ours": (tuple({"w": w, "b": b} for w, b in PAIRS), "out_in"),
    "tuples": ([(w, b) for w, b in PAIRS], "out_in"),
    "turned tuples": ([(w.T, b) for w, b in PAIRS], "in_out"),
    "bias first": ([[b, w] for w, b in PAIRS], "out_in"),
    "numbered": ({f"W{i}": w for i, w in enumerate(W)} | {f"b{i}": b for i, b in enumerate(B)}, "out_in"),
    "by kind": ({"weights": W, "biases": B}, "out_in"),
    "flax": ({"params": {f"Dense_{i}": {"kernel": w.T, "bias": b} for i, (w, b) in enumerate(PAIRS)}}, "in_out"),
    "one list": ([part for w, b in PAIRS for part in (w, b[:, None])], "out_in"),
    "column biases": ((W, COLUMNS), "out_in"),
    "biases before weights": ((COLUMNS, W), "out_in"),
    "row biases": ({f"W{i}": w.T for i, w in enumerate(W)} | {f"b{i}": b[None] for i, b in enumerate(B)}, "in_out"),
    "numbers beside them": ({"W1": W[0], "b1": B[0], "W2": W[1], "b2": B[1], "W3": W[2], "b3": B[2], "lr": 0.1, "act": "tanh"},
                            "out_in"),
    "a first column": ([np.hstack([b[:, None], w]) for w, b in PAIRS], "out_in, bias first"),
    "a last row": ([np.vstack([w.T, b]) for w, b in PAIRS], "in_out, bias last"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_read_and_written_back(name):
    tree, form = LAYOUTS[name]
    layout = next(one for one in layouts(tree, SIZES) if one.form.name == form)
    if "bias" not in form:
        assert layouts(tree, SIZES)[0].form.name == form and layouts(tree, SIZES)[0].order == layout.order
    ours = layout.read(jax.tree.leaves(tree))
    for layer, w, b in zip(ours, W, B, strict=True):
        np.testing.assert_array_equal(layer["w"], w)
        np.testing.assert_array_equal(layer["b"], b)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), layout.write(ours), tree)


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_entry_keeps_its_place_in_every_form(name):
    """The place of an entry of W, and of b, is where the user finds it."""
    tree, form = LAYOUTS[name]
    layout = next(one for one in layouts(tree, SIZES) if one.form.name == form)
    leaves = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    for leaf, place, value in (("weight", (2, 1), W[1][2, 1]), ("bias", (2,), B[1][2])):
        assert leaves[layout.path(1, leaf)][layout.index(1, leaf, place)] == value


@pytest.mark.parametrize("major", "CF")
def test_one_vector_is_unrolled(major):
    vector = np.concatenate([np.hstack([b[:, None], w]).ravel(order=major) for w, b in PAIRS])
    layout = next(one for one in layouts(vector, SIZES) if np.array_equal(one.read([vector])[1]["w"], W[1]))
    assert np.array_equal(layout.write(layout.read([vector])), vector)
    start = int(layout.path(2, "bias").removeprefix("params[").partition(":")[0])
    assert vector[start + layout.index(2, "bias", (1,))[0]] == B[2][1]
    assert [path for path, _ in layout.named(layout.read([vector]))] == ["params[0:16]", "params[16:36]", "params[36:46]"]


def test_without_biases_they_are_zero():
    layout = layouts({"theta1": W[0], "theta2": W[1], "theta3": W[2]}, SIZES)[0]
    assert layout.without == (0, 1, 2) and not layout.read(W)[0]["b"].any()


def test_ten_layers_are_in_natural_order():
    sizes = (2,) * 12
    tree = {f"Dense_{i}": {"kernel": np.full((2, 2), i), "bias": np.full(2, i)} for i in range(11)}
    assert [layer["w"][0, 0] for layer in layouts(tree, sizes)[0].read(jax.tree.leaves(tree))] == list(range(11))


def test_names_without_numbers_are_in_the_order_in_which_they_were_put_in():
    tree = {"w_i_h": np.ones((4, 4)), "b_i_h": np.ones(4), "w_h_o": np.zeros((4, 4)), "b_h_o": np.zeros(4)}
    assert layouts(tree, (4, 4, 4))[0].read(jax.tree.leaves(tree))[0]["w"].all()


def test_square_weights_are_open_until_an_argument_settles_them():
    tree = [(np.ones((2, 2)), np.ones(2))]
    assert [one.form.name for one in layouts(tree, (2, 2))] == ["out_in", "in_out"]
    assert [one.form.name for one in layouts(tree, (2, 2), "in_out")] == ["in_out"]


@pytest.mark.parametrize(("tree", "layout", "words"), [
    ([(W[0], B[0])], None, "a weight for each of the 3 layers of 3-4-4-2"),
    ([(W[0], B[0]), (W[1], B[1]), (np.ones((5, 4)), B[2])], None, "or their transposes"),
    ([(W[0], B[0]), (W[1], B[1]), (W[2], np.ones(3))], None, "biases"),
    (LAYOUTS["tuples"][0], "in_out", "or their transposes"),
    (LAYOUTS["tuples"][0], "rows", "layout must be None or one of out_in, in_out"),
])
def test_what_does_not_fit_is_refused(tree, layout, words):
    with pytest.raises(ValueError, match=words):
        layouts(tree, SIZES, layout)
