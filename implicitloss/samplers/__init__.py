"""Samplers: where negatives come from, one file each, its procedure beside its stated law."""

from implicitloss.samplers.explicit import Explicit
from implicitloss.samplers.log_uniform import LogUniform
from implicitloss.samplers.minimum_variance import MinimumVariance
from implicitloss.samplers.mixture import Mixture
from implicitloss.samplers.model_based import ModelBased
from implicitloss.samplers.power import Power
from implicitloss.samplers.sampler import Draw, Sampler
from implicitloss.samplers.uniform import Uniform
from implicitloss.samplers.within_batch import WithinBatch

__all__ = [
    "Draw",
    "Explicit",
    "LogUniform",
    "MinimumVariance",
    "Mixture",
    "ModelBased",
    "Power",
    "Sampler",
    "Uniform",
    "WithinBatch",
]
