"""Self-contained HTML pages: any `page` of text, tables and figures, and the `gradient_page`.

This package needs the extra `[plots]`, so `functional_nn` does not import it; write
`from functional_nn import report`.
"""

from functional_nn.report.gradient import gradient_page
from functional_nn.report.pages import Section, Table, cell, page, write

__all__ = ["Section", "Table", "cell", "gradient_page", "page", "write"]
