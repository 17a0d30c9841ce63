"""The constants and step counts of the book's theorems, one function each.

Every function's docstring names the theorem whose constant it computes.
"""

from .collapse import *
from .convergence import *
from .interpolation import *
