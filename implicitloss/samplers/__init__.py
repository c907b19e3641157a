"""Samplers: where negatives come from, one file each, its procedure beside its stated law."""

import importlib
import pkgutil

from implicitloss.losses import Loss, SoftmaxCrossEntropy
from implicitloss.margins import Margin, Softmax
from implicitloss.samplers.explicit import Explicit
from implicitloss.samplers.log_uniform import LogUniform
from implicitloss.samplers.minimum_variance import MinimumVariance
from implicitloss.samplers.mixture import Mixture
from implicitloss.samplers.model_based import ModelBased
from implicitloss.samplers.power import Power
from implicitloss.samplers.sampler import Draw, ImpossibleDraw, MadeFor, Sampler
from implicitloss.samplers.uniform import Uniform
from implicitloss.samplers.within_batch import WithinBatch

__all__ = [
    "Draw",
    "Explicit",
    "ImpossibleDraw",
    "LogUniform",
    "MinimumVariance",
    "Mixture",
    "ModelBased",
    "Power",
    "Sampler",
    "Uniform",
    "WithinBatch",
    "examples",
]


def examples(n_labels: int = 4, margin: Margin | None = None, loss: Loss | None = None) -> tuple[Sampler, ...]:
    """One of each sampler, by the `examples` of each file of this folder.

    An explicit law has `n_labels` labels; the minimum-variance sampler is that of the `margin` and the `loss`, by
    default those of softmax cross-entropy.
    """
    given = MadeFor(n_labels, margin or Softmax(), loss or SoftmaxCrossEntropy())
    files = [importlib.import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__)]
    return tuple(sampler for file in files if hasattr(file, "examples") for sampler in file.examples(given))
