"""The shell of every page: one HTML file that loads nothing, light and dark, for screen and paper.

A page hands over its body, its own style and its scripts. The shell has the colours, the fonts, the
marks of the keyboard's focus, and the policy that forbids every request.
"""

from functional_nn.webpage.shell import document, is_one, source

__all__ = ["document", "is_one", "source"]
