"""Self-contained HTML pages: any `page`, the `gradient_page`, and the `runs_page`.

This package needs the extra `[plots]`, so `functional_nn` does not import it; write
`from functional_nn import report`.
"""

from functional_nn.report.curves import Line, Panel
from functional_nn.report.gradient import gradient_page
from functional_nn.report.pages import Card, Section, Table, cell, page, write
from functional_nn.report.run import Picture, Run, Verdict
from functional_nn.report.runs import runs_page

__all__ = ["Card", "Line", "Panel", "Picture", "Run", "Section", "Table", "Verdict", "cell",
           "gradient_page", "page", "runs_page", "write"]
