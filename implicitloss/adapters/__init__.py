"""Adapters, which make losses of other frameworks and other signatures ready for `implicitloss.audit`.

An adapter takes a loss and returns a function (scores, positive, rng) -> losses, or (losses, gradients).  It imports
its framework when it is called.  It seeds the framework's own random numbers from the audit's generator, so that a call
can be repeated, and restores their state afterwards where the framework allows it.

A framework is a value, `FRAMEWORK` in a file of its own, where `in_batch` and the command line find it.  An adapter
that is imported here is also `implicitloss.adapters.NAME`.
"""

from implicitloss.adapters.in_batch import in_batch
from implicitloss.adapters.jax import jax
from implicitloss.adapters.one_by_one import one_by_one
from implicitloss.adapters.tensorflow import tensorflow
from implicitloss.adapters.torch import torch

__all__ = [
    "in_batch",
    "jax",
    "one_by_one",
    "tensorflow",
    "torch",
]
