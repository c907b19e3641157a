"""Spectral imbalance: how often each class is missed because of the spectrum of its features.

Features of class k are N(μ_k, Σ_k).  Their spectra, the counts and the labels' margins add up to the gap between two
classes, and each part is a number.
"""

from implicitloss.spectral.augment import Dropout, Noise
from implicitloss.spectral.class_gap import ClassGap
from implicitloss.spectral.compare import Encoders, compare
from implicitloss.spectral.learners import Affine, Logistic, MeanDifference, Ridge
from implicitloss.spectral.leave_one_out import leave_one_out
from implicitloss.spectral.left_out import LeaveOneOut
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.offsets import Gap, equal_error_offset, gap, least_error_offset
from implicitloss.spectral.predict import predict
from implicitloss.spectral.prediction import Prediction
from implicitloss.spectral.report import SpectralReport
from implicitloss.spectral.spectrum import Spectrum, spectrum

__all__ = [
    "Affine",
    "ClassGap",
    "Dropout",
    "Encoders",
    "Gap",
    "GaussianMixture",
    "LeaveOneOut",
    "Logistic",
    "MeanDifference",
    "Noise",
    "Prediction",
    "Ridge",
    "SpectralReport",
    "Spectrum",
    "compare",
    "equal_error_offset",
    "gap",
    "least_error_offset",
    "leave_one_out",
    "predict",
    "spectrum",
]
