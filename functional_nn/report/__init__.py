"""Self-contained HTML pages: any `page`, the `gradient_page`, and the `run_page`.

This package needs the extra `[plots]`, so `functional_nn` does not import it; write
`from functional_nn import report`.
"""

from functional_nn.report.gradient import gradient_page
from functional_nn.report.pages import Card, Section, Table, cell, page, write
from functional_nn.report.run import Picture, RunRecord, run_page

__all__ = ["Card", "Picture", "RunRecord", "Section", "Table", "cell", "gradient_page", "page",
           "run_page", "write"]
