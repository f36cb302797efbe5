"""Check hand-written gradients and say which step of a wrong one is at fault.

The checks take functions and share no code with what they verify.
"""

from functional_nn.verify.causes import CAUSES
from functional_nn.verify.gradients import assert_gradients, check_gradients
from functional_nn.verify.layer import check_layer, check_rule
from functional_nn.verify.network import assert_network, check_network
from functional_nn.verify.references import TITLES
from functional_nn.verify.report import Fault, GradientError, Leaf, Report

__all__ = ["CAUSES", "TITLES", "Fault", "GradientError", "Leaf", "Report", "assert_gradients", "assert_network",
           "check_gradients", "check_layer", "check_network", "check_rule"]
