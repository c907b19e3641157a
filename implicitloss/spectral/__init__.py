"""Spectral imbalance: how often each class is missed because of the spectrum of its features.

Features of class k are N(μ_k, Σ_k).  Their spectra, the counts and the labels' margins add up to the gap between two
classes, and each part is a number.
"""

from implicitloss.spectral.augment import Dropout, Noise
from implicitloss.spectral.learners import Affine, Logistic, MeanDifference, Ridge
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.offsets import Gap, equal_error_offset, gap, least_error_offset
from implicitloss.spectral.predict import predict
from implicitloss.spectral.prediction import Prediction
from implicitloss.spectral.spectrum import Spectrum, spectrum

__all__ = [
    "Affine",
    "Dropout",
    "Gap",
    "GaussianMixture",
    "Logistic",
    "MeanDifference",
    "Noise",
    "Prediction",
    "Ridge",
    "Spectrum",
    "equal_error_offset",
    "gap",
    "least_error_offset",
    "predict",
    "spectrum",
]
