"""Self-contained HTML pages, made of records alone: any `page`, and `gradient_page` of a checked gradient.

This room needs the extra `[plots]`, so it is imported by name: `from functional_nn import report`.
"""

from functional_nn.report.gradient import gradient_page
from functional_nn.report.pages import Section, Table, cell, page, write

__all__ = ["Section", "Table", "cell", "gradient_page", "page", "write"]
