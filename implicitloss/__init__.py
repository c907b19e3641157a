"""What a negative-sampling scheme (q, w) really optimises: derived, computed exactly, simulated and judged.

Names are imported when they are first used, so that `import implicitloss` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from implicitloss.version import __version__ as __version__

if TYPE_CHECKING:
    from implicitloss import adapters as adapters
    from implicitloss import index as index
    from implicitloss import losses as losses
    from implicitloss import margins as margins
    from implicitloss import plot as plot
    from implicitloss import samplers as samplers
    from implicitloss import scorers as scorers
    from implicitloss import spectral as spectral
    from implicitloss import testing as testing
    from implicitloss import weightings as weightings
    from implicitloss.auditing.audit import audit as audit
    from implicitloss.auditing.report import AuditReport as AuditReport
    from implicitloss.auditing.testing import assert_implicit_loss as assert_implicit_loss
    from implicitloss.claims.decide import Decision as Decision
    from implicitloss.claims.decide import decide as decide
    from implicitloss.claims.report.report import Report as Report
    from implicitloss.claims.verdict import Outcome as Outcome
    from implicitloss.claims.verdict import Verdict as Verdict
    from implicitloss.claims.verify import verify as verify
    from implicitloss.designing.catalogue import KeptShares as KeptShares
    from implicitloss.designing.catalogue import Published as Published
    from implicitloss.designing.catalogue import Tilts as Tilts
    from implicitloss.designing.catalogue import catalogue as catalogue
    from implicitloss.designing.compare import compare as compare
    from implicitloss.designing.design import Design as Design
    from implicitloss.designing.design import design as design
    from implicitloss.designing.price import Price as Price
    from implicitloss.designing.price import price as price
    from implicitloss.estimate import Estimate as Estimate
    from implicitloss.estimate import SweptEstimate as SweptEstimate
    from implicitloss.hard import HardNegatives as HardNegatives
    from implicitloss.labels import LabelPrior as LabelPrior
    from implicitloss.minibatch import Minibatch as Minibatch
    from implicitloss.optima.certificate import Certificate as Certificate
    from implicitloss.optima.certificate import certify_optimum as certify_optimum
    from implicitloss.optima.information import information as information
    from implicitloss.optima.measured_tilt import measured_tilt as measured_tilt
    from implicitloss.optima.newton import NoOptimum as NoOptimum
    from implicitloss.optima.population import population_optimum as population_optimum
    from implicitloss.optima.stale_index import StaleIndex as StaleIndex
    from implicitloss.optima.stale_index import stale_index as stale_index
    from implicitloss.optima.tilt import tilt as tilt
    from implicitloss.optima.waterfilling import Waterfilling as Waterfilling
    from implicitloss.optima.waterfilling import waterfilling as waterfilling
    from implicitloss.problem import Problem as Problem
    from implicitloss.samplers.sampler import ImpossibleDraw as ImpossibleDraw
    from implicitloss.scheme import Scheme as Scheme
    from implicitloss.spectral.diagnose import diagnose as diagnose
    from implicitloss.theory.expansion import Expansion as Expansion
    from implicitloss.theory.expansion import OutsideTheorem3 as OutsideTheorem3
    from implicitloss.theory.expansion import expand as expand
    from implicitloss.theory.implicit import implicit_gradient as implicit_gradient
    from implicitloss.theory.implicit import implicit_loss as implicit_loss
    from implicitloss.theory.implicit import implicit_margins as implicit_margins
    from implicitloss.theory.inclusion import inclusion_probabilities as inclusion_probabilities
    from implicitloss.witness.derive import Derivation as Derivation
    from implicitloss.witness.derive import derive as derive
    from implicitloss.witness.exhaust import exhaust as exhaust
    from implicitloss.witness.integrate import integrate as integrate
    from implicitloss.witness.integrate.covariance import covariance as covariance
    from implicitloss.witness.integrate.sweep import sweep as sweep
    from implicitloss.witness.simulate import simulate as simulate

_HOME = {
    "adapters": None,
    "index": None,
    "losses": None,
    "margins": None,
    "plot": None,
    "samplers": None,
    "scorers": None,
    "spectral": None,
    "testing": None,
    "weightings": None,
    "assert_implicit_loss": "auditing.testing",
    "audit": "auditing.audit",
    "AuditReport": "auditing.report",
    "catalogue": "designing.catalogue",
    "Certificate": "optima.certificate",
    "certify_optimum": "optima.certificate",
    "compare": "designing.compare",
    "covariance": "witness.integrate.covariance",
    "decide": "claims.decide",
    "Design": "designing.design",
    "design": "designing.design",
    "Decision": "claims.decide",
    "Derivation": "witness.derive",
    "derive": "witness.derive",
    "diagnose": "spectral.diagnose",
    "Estimate": "estimate",
    "exhaust": "witness.exhaust",
    "expand": "theory.expansion",
    "Expansion": "theory.expansion",
    "HardNegatives": "hard",
    "implicit_gradient": "theory.implicit",
    "implicit_loss": "theory.implicit",
    "implicit_margins": "theory.implicit",
    "ImpossibleDraw": "samplers.sampler",
    "inclusion_probabilities": "theory.inclusion",
    "information": "optima.information",
    "integrate": "witness.integrate",
    "KeptShares": "designing.catalogue",
    "LabelPrior": "labels",
    "measured_tilt": "optima.measured_tilt",
    "Minibatch": "minibatch",
    "NoOptimum": "optima.newton",
    "Outcome": "claims.verdict",
    "OutsideTheorem3": "theory.expansion",
    "population_optimum": "optima.population",
    "price": "designing.price",
    "Price": "designing.price",
    "Problem": "problem",
    "Published": "designing.catalogue",
    "Report": "claims.report.report",
    "Scheme": "scheme",
    "simulate": "witness.simulate",
    "stale_index": "optima.stale_index",
    "StaleIndex": "optima.stale_index",
    "sweep": "witness.integrate.sweep",
    "SweptEstimate": "estimate",
    "tilt": "optima.tilt",
    "Tilts": "designing.catalogue",
    "Verdict": "claims.verdict",
    "verify": "claims.verify",
    "Waterfilling": "optima.waterfilling",
    "waterfilling": "optima.waterfilling",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'implicitloss' has no attribute {name!r}")
    home = _HOME[name]
    if home is None:
        return importlib.import_module(f"implicitloss.{name}")
    value = getattr(importlib.import_module(f"implicitloss.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
