"""Implicit bias of gradient descent in two-layer leaky ReLU networks.

Modules are named after the mathematics of the book: ``network`` (the model, its losses and gradient
descent), ``margin`` (max-margin classifier and minimum-norm interpolator), ``rank`` (stable rank),
``bounds`` (the constants of the theorems); and after the experiment: ``mnist`` (data), ``training`` (the
stacked full-batch trainer), ``sweep`` (groups, resuming, clusters), ``recording`` (results on disk).
"""

__version__ = "1.0.0"
