"""The same working as Markdown and as a page."""

import re

import jax
import pytest

import functional_nn as fnn
from functional_nn.explanation import example, explain, page


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
