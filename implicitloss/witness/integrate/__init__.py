"""Exact expectations of sampled losses by one-dimensional integrals; no sampling, no bound."""

from implicitloss.witness.integrate.gradient import gradient_and_hessian
from implicitloss.witness.integrate.integral import integrate

__all__ = ["gradient_and_hessian", "integrate"]
