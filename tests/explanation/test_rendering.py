"""The same working as text of 60 columns, Markdown and a page."""

import itertools
import re

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.explanation import EXAMPLES, example, explain, page
from tests.slow import few


@pytest.mark.parametrize(("name", "matrices"), few(
    itertools.product(EXAMPLES, [False, True]), 10, 11))
def test_the_text_fits_60_columns(name, matrices):
    for explained in example(name, matrices=matrices):
        assert max(map(len, explained.text(60).splitlines())) <= 60


def test_so_does_that_of_a_large_network():
    net = fnn.mlp((784, 30, 10), output="softmax")
    x = np.random.default_rng(0).random(784)
    for matrices in (False, True):
        explained = explain(net, "cross_entropy", net.init(jax.random.key(0)), x, 3, matrices=matrices)
        assert max(map(len, explained.text(60).splitlines())) <= 60
    assert "⋱" in str(explained)


def test_inputs_that_are_chosen_from_many_have_their_names():
    net, x = fnn.mlp((9, 1)), [0.1, 0, 0, 5, 0, 0, 0, -7, 0]
    params = ({"w": np.ones((1, 9)), "b": np.zeros(1)},)
    explained = explain(net, "mse", params, x, 1.0, most=2)
    assert "\nx₄ = 5, x₈ = −7, …\n" in str(explained)
    assert "\nx = (0.1, 0, …)\n" in str(explain(net, "mse", params, x, 1.0, most=2, matrices=True))


@pytest.mark.parametrize("matrices", [False, True])
def test_markdown_is_balanced_and_ascii_inside_its_formulas(matrices):
    text = example("2-3-4-1", matrices=matrices)[0].to_markdown()
    assert text.count("$$") % 2 == 0 and text.count(r"\begin") == text.count(r"\end")
    for formula in re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL):
        assert formula.isascii() and formula.count("{") == formula.count("}"), formula
    assert r"\frac{\partial L}{\partial w^{2}_{11}} &= \delta ^{2}_{1}\cdot x_{1}" in text or matrices


def test_the_page_loads_nothing_and_is_escaped():
    net = fnn.mlp((1, 1))
    explained = explain(net, "mse", net.init(jax.random.key(0)), [1.0], 1.0, title="<i>a</i>")
    html = explained.to_html()
    assert "<i>" not in html and "http" not in html.replace("http-equiv", "") and "src=" not in html
    assert page([explained, explained]).count("<h1>") == 2


def test_text_markdown_and_page_show_the_same_numbers():
    [explained] = example("n15")
    shown = {"∂C/∂w₁": "11.5", "∂C/∂w₂": "−22.06", "∂C/∂b": "−5.75"}
    for text in (str(explained), explained.to_markdown().replace("-", "−"), explained.to_html()):
        assert all(number in text for number in shown.values())
