"""Exact expectations of the batched co-player shaping POMDP by enumeration: gradient, estimators, bias, variance."""

from lapg_theory.oracle.episodes import Reinforce as Reinforce
from lapg_theory.oracle.episodes import Update as Update
from lapg_theory.oracle.general import GeneralExpectations as GeneralExpectations
from lapg_theory.oracle.general import general_expectations as general_expectations
from lapg_theory.oracle.literal import enumerate_histories as enumerate_histories
from lapg_theory.oracle.moments import ESTIMATORS as ESTIMATORS
from lapg_theory.oracle.moments import Expectations as Expectations
from lapg_theory.oracle.moments import expectations as expectations
from lapg_theory.oracle.moments import leaves as leaves
