"""The notes' own numbers and symbols (N6, N8, N9, N13–N15)."""

import functools

import pytest

from functional_nn.explanation import example


@functools.cache
def said(name, **options):
    return "\n".join(map(str, example(name, **options)))


def test_n9_is_12_and_163():
    text = said("n9")
    assert "z = w₁·x₁ + w₂·x₂ + b = 3·1 + 4·2 + 1 = 12" in text and "ŷ = z = 12" in text
    for line in ("h₁ = max(0, z²₁) = max(0, 15) = 15", "h₂ = max(0, z²₂) = max(0, 23) = 23",
                 "h₃ = max(0, z²₃) = max(0, 18) = 18", "h₄ = max(0, z²₄) = max(0, 13) = 13",
                 "= 4·15 + 2·23 + 1·18 + 3·13", "ŷ = z³₁ = 163"):
        assert line in text, line
    assert "b²" not in text  # that example has no biases


def test_n13_is_the_product_of_the_local_derivatives():
    text = said("n13")
    for line in ("∂L/∂a = a − y = 12 − 10 = 2", "∂a/∂z = 1", "δ = ∂L/∂a·∂a/∂z = 2·1 = 2",
                 "∂L/∂w₁ = δ·x₁ = 2·1 = 2", "∂L/∂w₂ = δ·x₂ = 2·2 = 4", "∂L/∂b = δ = 2"):
        assert line in text, line


def test_n6_has_the_names_of_the_notes():
    text = said("n6")
    assert "zC = w₁·x₁ + w₃·x₂ + b₀ = 2·0.5 + 0.75·(−1.5) + 0.1 = −0.025" in text
    assert "zD = w₂·x₁ + w₄·x₂ + b₂" in text and "\nC = 1 / (1 + e^(−zC))" in text


def test_n15_sums_over_the_examples():
    text = said("n15")
    assert "C = L⁽¹⁾ + L⁽²⁾ + L⁽³⁾" in text and "∂C/∂w₁ = δ⁽¹⁾·x₁⁽¹⁾ + δ⁽²⁾·x₁⁽²⁾ + δ⁽³⁾·x₁⁽³⁾" in text
    assert "∂C/∂b = δ⁽¹⁾ + δ⁽²⁾ + δ⁽³⁾ = −5.5 + (−4) + 3.75 = −5.75" in text


def test_2_3_4_1_has_the_four_equations():
    text = said("n14")
    for equation in ("BP1: δᴸ = ∂L/∂aᴸ ⊙ σ′(zᴸ)", "BP2: δˡ = (Wˡ⁺¹)ᵀ δˡ⁺¹ ⊙ σ′(zˡ)",
                     "BP4: ∂L/∂Wˡ = δˡ (aˡ⁻¹)ᵀ, BP3: ∂L/∂bˡ = δˡ"):
        assert equation in text
    assert "δ²₁ = (w³₁₁·δ³₁ + w³₂₁·δ³₂ + w³₃₁·δ³₃ + w³₄₁·δ³₄)·σ′(z²₁)" in text
    assert said("n8") == text and "W²·x + b²" in said("n8", matrices=True)


def test_an_unknown_example_is_told_the_nearest():
    with pytest.raises(ValueError, match="unknown example 'n14b'; did you mean"):
        example("n14b")
