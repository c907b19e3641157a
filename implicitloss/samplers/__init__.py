"""Samplers, which draw negatives: one file each, with the procedure beside the stated law."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from implicitloss.losses import Loss, SoftmaxCrossEntropy
from implicitloss.margins import Margin, Softmax
from implicitloss.samplers.clustered import Clustered
from implicitloss.samplers.explicit import Explicit
from implicitloss.samplers.hardest_of import HardestOf
from implicitloss.samplers.log_uniform import LogUniform
from implicitloss.samplers.minimum_variance import MinimumVariance
from implicitloss.samplers.mixture import Mixture
from implicitloss.samplers.model_based import ModelBased
from implicitloss.samplers.power import Power
from implicitloss.samplers.quadratic_kernel import QuadraticKernel
from implicitloss.samplers.sampler import Draw, ImpossibleDraw, MadeFor, Sampler
from implicitloss.samplers.uniform import Uniform
from implicitloss.samplers.whole import Whole
from implicitloss.samplers.within_batch import WithinBatch

__all__ = [
    "Clustered",
    "Draw",
    "Explicit",
    "HardestOf",
    "ImpossibleDraw",
    "LogUniform",
    "MinimumVariance",
    "Mixture",
    "ModelBased",
    "Power",
    "QuadraticKernel",
    "Sampler",
    "Uniform",
    "Whole",
    "WithinBatch",
    "examples",
]


def examples(n_labels: int = 4, margin: Margin | None = None, loss: Loss | None = None) -> tuple[Sampler, ...]:
    """List one of each sampler, from the `examples` of each file of this folder.

    Parameters
    ----------
    n_labels : int
        L of the explicit law.
    margin : Margin, optional
        The margin of the minimum-variance sampler, by default softmax.
    loss : Loss, optional
        The loss of the minimum-variance sampler, by default softmax cross-entropy.

    Returns
    -------
    tuple of Sampler
        The samplers, in the order of their files.

    Examples
    --------
    >>> import implicitloss as il
    >>> [type(sampler).__name__ for sampler in il.samplers.examples() if sampler.needs_scores]
    ['HardestOf', 'MinimumVariance', 'ModelBased', 'QuadraticKernel']
    """
    given = MadeFor(n_labels, margin or Softmax(), loss or SoftmaxCrossEntropy())
    return tuple(sampler for file in _files() if hasattr(file, "examples") for sampler in file.examples(given))


@cache
def _files() -> tuple[ModuleType, ...]:
    """The modules of this folder, looked for once: it takes longer than to make the samplers."""
    return tuple(importlib.import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__))
