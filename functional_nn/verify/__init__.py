"""Check hand-written gradients and say which step of a wrong one is at fault.

The checks take functions and share no code with what they verify.
"""

from functional_nn.verify.causes import CAUSES
from functional_nn.verify.gradients import assert_gradients, check_gradients
from functional_nn.verify.intermediates import check_intermediates
from functional_nn.verify.layer import check_layer
from functional_nn.verify.network import assert_network, check_network
from functional_nn.verify.references import TITLES
from functional_nn.verify.report import Fault, GradientError, Leaf, Report
from functional_nn.verify.rule import check_rule

__all__ = ["CAUSES", "TITLES", "Fault", "GradientError", "Leaf", "Report", "assert_gradients", "assert_network",
           "check_gradients", "check_intermediates", "check_layer", "check_network", "check_rule"]
