"""Monte Carlo: run the procedure."""

from implicitloss.witness.simulate.runs import simulate, simulate_together

__all__ = ["simulate", "simulate_together"]
