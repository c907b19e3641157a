"""Checks for the tests of a sampler, a weighting or a loss of one's own.

Each check raises AssertionError, with one sentence that says what is wrong, and returns nothing where all is well.  It
checks consistency, not that the part is the one you meant.
"""

from implicitloss.testing.loss import check_loss
from implicitloss.testing.sampler import check_sampler
from implicitloss.testing.weighting import check_weighting

__all__ = ["check_loss", "check_sampler", "check_weighting"]
