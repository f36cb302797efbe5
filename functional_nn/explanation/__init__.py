"""The working of a network, as the notes write it: `fnn.explain`.

`formulas` says what every quantity is computed from, in symbols. `numbers` computes the values of
the symbols with the hand-written passes. `rendering` writes both as text, and `markup` as Markdown
and HTML.
"""

from functional_nn.explanation.examples import EXAMPLES, example
from functional_nn.explanation.explain import Explanation, explain
from functional_nn.explanation.markup import page
from functional_nn.explanation.notation import Notation, Symbol

__all__ = ["EXAMPLES", "Explanation", "Notation", "Symbol", "example", "explain",
           "page"]
