"""How close to equality the book's inequalities get: one search an inequality.

A search tries to violate its inequality, by random starts followed by local ascent, and finds the largest quotient
``attained/bound`` that it can, both sides written so that the theorem says ``attained ≤ bound`` with ``bound > 0``. So
1 is equality, a value well below 1 says that no tight case was found, and more than ``1 + ROUNDING`` would be a
violation. There is a file of searches for each Problem, and each is called by the label of its theorem:
``quotient("thm-fast-rate")``. ``thm-sharp-norm-growth`` has a second search, ``thm-sharp-norm-growth:kappa``, for the
second of its bounds.
"""

from . import problem_1, problem_2, problem_3
from .registry import ROUNDING, SEARCHES, Search, quotient

__all__ = ["ROUNDING", "SEARCHES", "Search", "problem_1", "problem_2", "problem_3", "quotient"]
