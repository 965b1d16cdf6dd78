"""SymPy derivations: each gives an expression and a function made from it. Nothing else imports this package."""

from lapg_theory.symbolic.returns import STRATEGIES as STRATEGIES
from lapg_theory.symbolic.returns import SymbolicReturns as SymbolicReturns
from lapg_theory.symbolic.returns import symbolic_returns as symbolic_returns
from lapg_theory.symbolic.returns import zero_determinant as zero_determinant
from lapg_theory.symbolic.values import symbolic_action_values as symbolic_action_values
from lapg_theory.symbolic.values import symbolic_gradient as symbolic_gradient
