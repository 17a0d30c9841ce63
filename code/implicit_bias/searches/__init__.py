"""How close to equality the book's inequalities get: one search an inequality.

Every function ``slack_<label>`` takes a random generator, tries to violate the inequality of that label, by
random starts followed by local ascent, and returns the largest quotient ``attained/bound`` that it found,
both sides written so that the theorem says ``attained ≤ bound`` with ``bound > 0``. So 1 is equality, a value
well below 1 says that the search found no tight case, and more than ``1 + ROUNDING`` would be a violation.
"""

from .climb import *
from .problem_1 import *
from .problem_2 import *
from .problem_3 import *
