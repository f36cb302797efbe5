"""Names as the notes write them, and how text is set as LaTeX and HTML (N8, N13, N14).

A `Symbol` is the address of a number: its letter, its layer, its place in the layer, and its
example. A `Notation` gives it a name. Layers are counted as the notes count them: layer 1 is the
input, and W², the matrix that leads from layer 1 to layer 2, is `params[0]["w"]`.
"""

import dataclasses
import html as escaping
import re
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Notation", "Symbol", "html", "latex", "number"]

ABOVE, BELOW = "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"
MARKS = {"⁺": "+", "⁻": "-", "ᵀ": r"\top", "ˡ": "l", "ᴸ": "L", "⁽": "(", "⁾": ")", "ᶻ": "z",
         "⋆": "*", **{mark: str(i) for i, mark in enumerate(ABOVE)}}
INDICES = {"ⱼ": "j", "ₖ": "k", "ₚ": "p", "ᵢ": "i", ",": ",",
           **{mark: str(i) for i, mark in enumerate(BELOW)}}
_ABOVE, _BELOW = f"[{''.join(MARKS)}]+", f"[{''.join(INDICES).replace(',', '')}](?:,?[{BELOW}])*"
_PARTIAL = re.compile(
    f"∂([A-Za-z](?:{_ABOVE})?)/∂([A-Za-zŷσδ]+(?:{_ABOVE})?(?:{_BELOW})?(?:{_ABOVE})?)")
_POWER = re.compile(r"e\^\(((?:[^()]|\([^()]*\))*)\)")
_COMMANDS = {"·": r"\cdot ", "⊙": r"\odot ", "−": "-", "σ": r"\sigma ", "δ": r"\delta ",
             "γ": r"\gamma ", "Σ": r"\sum ", "∂": r"\partial ", "′": "'", "½": r"\tfrac12",
             "√": r"\surd ", "ε": r"\varepsilon ", "←": r"\leftarrow ", "×": r"\times ",
             "ŷ": r"\hat y", "x̂": r"\hat x", "Φ": r"\Phi ",
             "…": r"\dots ", "≤": r"\le ", "≥": r"\ge ", "∞": r"\infty "}
_WORDS = re.compile(r"(?<![\\A-Za-z])([A-Za-z_]{2,}(?: [A-Za-z]{2,})*)")


class Symbol(NamedTuple):
    """The address of a number, or of a vector or matrix of numbers.

    Attributes:
      letter: a, w, b, z, δ, y and the like; "∂w" stands for ∂L/∂w, and "∂a" for ∂L/∂a.
      layer: its layer, counted from 1 for the input; 0 for what belongs to no layer.
      index: the places of the node and of the node before it, from 0; empty for the whole.
      example: the place of the example, from 0.
    """

    letter: str
    layer: int = 0
    index: tuple[int, ...] = ()
    example: int = 0


@dataclasses.dataclass(frozen=True)
class Notation:
    """The names of the symbols of a network.

    Attributes:
      sizes: the sizes of the layers, the input's first.
      examples: the number of examples; with several, each symbol of one carries its number.
      mean: whether the cost is the mean of the losses, not their sum.
      names: symbols with names of their own, such as h₁ for a²₁.
      biases: whether the biases are written.

    >>> name = Notation((2, 3, 4, 1))
    >>> [name(Symbol(*of)) for of in (("w", 2, (0, 1)), ("δ", 3, (1,)), ("a", 1, (0,)), ("∂w", 2))]
    ['w²₁₂', 'δ³₂', 'x₁', '∂L/∂W²']
    >>> neuron = Notation((2, 1))
    >>> [neuron(Symbol(*of)) for of in (("w", 2, (0, 1)), ("∂b", 2, (0,)), ("a", 2, (0,)))]
    ['w₂', '∂L/∂b', 'a']
    """

    sizes: tuple[int, ...]
    examples: int = 1
    mean: bool = True
    names: Mapping[Symbol, str] = dataclasses.field(default_factory=dict)
    biases: bool = True

    def __call__(self, symbol: Symbol) -> str:
        """The name of a symbol, in Unicode."""
        letter, layer, index, example = symbol
        several = self.examples > 1
        if letter.startswith("‖"):
            return f"|∂{'C' if several else 'L'}/∂{letter[1:]}|"
        if letter.startswith("∂"):
            of = letter[1:]
            shared = several and of in ("w", "b")
            total = "C" if shared else "L"
            return f"∂{total}/∂{self(Symbol(of, layer, index, example))}"
        if letter.endswith("+"):  # the value after a step has the name of that before
            return self(symbol._replace(letter=letter[:-1]))
        alone = symbol._replace(example=0)
        if alone in self.names:
            return self.names[alone] + self._of_example(letter, example)
        if letter.startswith("more"):
            return "…"
        if letter == "σ′":
            return f"σ′({self(symbol._replace(letter='z'))})"
        if letter in ("L", "C", "γ"):
            return letter + self._of_example(letter, example)
        return (f"{self._letter(letter, layer, index)}{self._layer(letter, layer)}"
                f"{self._index(letter, layer, index)}{self._of_example(letter, example)}"
                f"{'ᵀ' * letter.endswith('ᵀ')}")

    def _letter(self, letter: str, layer: int, index: tuple[int, ...]) -> str:
        whole = {"w": "W", "wᵀ": "W", "aᵀ": "a"}
        letter = "x" if letter in ("a", "aᵀ") and layer == 1 else letter
        return letter if index else whole.get(letter, letter)

    def _layer(self, letter: str, layer: int) -> str:
        told = layer if len(self.sizes) > 2 and not (letter in ("a", "aᵀ") and layer == 1) else 0
        return _digits(told, ABOVE) if told and letter != "y" else ""

    def _index(self, letter: str, layer: int, index: tuple[int, ...]) -> str:
        if not index:
            return ""
        *nodes, last = (place + 1 for place in index)
        neuron = len(self.sizes) == 2 and self.sizes[1] == 1
        if neuron:  # w₁, not w₁₁; and z, not z₁
            return "" if not nodes and layer != 1 else _digits(last, BELOW)
        if letter == "y" and self.sizes[-1] == 1:
            return ""
        comma = "," if max(*nodes, last, 0) > 9 else ""
        return comma.join(_digits(place, BELOW) for place in (*nodes, last))

    def _of_example(self, letter: str, example: int) -> str:
        shared = letter in ("w", "b", "γ", "C", "wᵀ")
        return f"⁽{_digits(example + 1, ABOVE)}⁾" if self.examples > 1 and not shared else ""


def _digits(value: int, marks: str) -> str:
    return "".join(marks[int(digit)] for digit in str(value))


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits at most, and a real minus.

    >>> number(12.0), number(-0.123456), number(1e-17), number(1234567.0)
    ('12', '−0.1235', '1e−17', '1.235e6')
    """
    text = f"{value + 0.0:.{digits}g}"  # 0, not −0
    text = re.sub(r"e([+-])0*(\d+)", lambda found: f"e{found[1].replace('+', '')}{found[2]}", text)
    return text.replace("-", "−").replace("inf", "∞")


def latex(text: str) -> str:
    r"""Unicode text of formulas as LaTeX.

    >>> print(latex("∂L/∂w²₁₂ = δ²₁·x₂"), latex("1 / (1 + e^(−z²₁))"))
    \frac{\partial L}{\partial w^{2}_{12}} = \delta ^{2}_{1}\cdot x_{2} 1 / (1 + e^{-z^{2}_{1}})
    """
    text = _PARTIAL.sub(lambda found: rf"\frac{{∂ {found[1]}}}{{∂ {found[2]}}}", text)
    text = _POWER.sub(r"e^{\1}", text)
    text = _WORDS.sub(_upright, text)
    text = re.sub(_ABOVE, lambda found: _raised("^", found[0], MARKS), text)
    text = re.sub(_BELOW, lambda found: _raised("_", found[0], INDICES), text)
    text = re.sub(r"(\d)e(-|−)?(\d+)", r"\1\\cdot10^{\2\3}", text)
    for mark, command in _COMMANDS.items():
        text = text.replace(mark, command)
    return re.sub(r" +", " ", text).strip()


def _upright(found: re.Match) -> str:
    word = found[1].replace("_", r"\_")
    if word in ("if", "else"):
        return rf"\ \mathrm{{{word}}}\ "
    return rf"\{word}" if word in ("max", "ln", "tanh", "cosh") else (
        word if word.startswith("frac") else rf"\mathrm{{{word}}}".replace(" ", r"\ "))


def _raised(mark: str, text: str, letters: Mapping[str, str]) -> str:
    return f"{mark}{{{''.join(letters[letter] for letter in text)}}}"


def html(text: str) -> str:
    """Unicode text of formulas as HTML, with raised and lowered digits, one above the other.

    >>> html("w²₁₂ < 1")
    'w<span class=both><sup>2</sup><sub>12</sub></span> &lt; 1'
    >>> html("e^(−z)")
    'e<sup>−z</sup>'
    """
    text = _POWER.sub(r"e<sup>\1</sup>", escaping.escape(text))
    plain = {mark: letter.replace(r"\top", "T").replace("-", "−") for mark, letter in MARKS.items()}
    text = re.sub(_ABOVE, lambda f: f"<sup>{''.join(plain[c] for c in f[0])}</sup>", text)
    text = re.sub(_BELOW, lambda f: f"<sub>{''.join(INDICES[c] for c in f[0])}</sub>", text)
    return re.sub(r"(<sup>[^<]*</sup><sub>[^<]*</sub>)", r"<span class=both>\1</span>", text)
