"""The constants and step counts of the book's theorems, one function each.

Every function's docstring names the theorem whose constant it computes.
"""

from __future__ import annotations

# --- Problem 1: convergence of gradient descent -------------------------------------------------

# --- Problem 2: max margin and minimum norm -----------------------------------------------------

# --- Problem 3: stable rank ---------------------------------------------------------------------
