"""Names of symbols, and text as LaTeX and HTML."""

import pytest

from functional_nn.explanation.notation import Notation, Symbol, html, latex, number


@pytest.mark.parametrize(("symbol", "name"), [
    (Symbol("w", 2, (11, 2)), "w²₁₂,₃"), (Symbol("a", 1, (0,), 1), "x₁⁽²⁾"),
    (Symbol("a", 2, (3,), 0), "a²₄⁽¹⁾"), (Symbol("∂w", 3, (0, 1)), "∂C/∂w³₁₂"),
    (Symbol("∂a", 3, (0,), 1), "∂L/∂a³₁⁽²⁾"), (Symbol("w+", 2, (0, 0)), "w²₁₁"),
    (Symbol("σ′", 2, (0,), 1), "σ′(z²₁⁽²⁾)"), (Symbol("wᵀ", 3), "W³ᵀ"), (Symbol("y", 3, (0,)), "y⁽¹⁾"),
    (Symbol("‖0.gain", 2), "|∂C/∂0.gain|"), (Symbol("γ"), "γ"), (Symbol("C"), "C")])
def test_names(symbol, name):
    assert Notation((2, 12, 1), examples=2)(symbol) == name


def test_names_of_ones_own_come_first_also_inside_a_gradient():
    name = Notation((2, 1), names={Symbol("w", 2, (0, 0)): "v"})
    assert [name(Symbol(letter, 2, (0, 0))) for letter in ("w", "∂w", "w+")] == ["v", "∂L/∂v", "v"]


@pytest.mark.parametrize(("text", "wanted"), [
    ("w²₁₂,₃·x₁", r"w^{2}_{12,3}\cdot x_{1}"), ("½·(a − y)²", r"\tfrac12\cdot (a - y)^{2}"),
    ("δ⁽²⁾", r"\delta ^{(2)}"), ("max(0, z) = 1e−17", r"\max(0, z) = 1\cdot10^{-17}"),
    ("leaky_relu(z)", r"\mathrm{leaky\_relu}(z)"), ("∂C/∂w²₁", r"\frac{\partial C}{\partial w^{2}_{1}}"),
    ("(Wˡ⁺¹)ᵀ δˡ⁺¹", r"(W^{l+1})^{\top} \delta ^{l+1}"), ("e^(−(−0.5))", "e^{-(-0.5)}")])
def test_latex(text, wanted):
    assert latex(text) == wanted


def test_html_is_escaped():
    assert html("<b>²") == "&lt;b&gt;<sup>2</sup>"


def test_numbers():
    assert [number(v, 3) for v in (0.0, -0.0, 1.0, 2e10, float("inf"))] == ["0", "0", "1", "2e10", "∞"]
