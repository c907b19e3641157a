"""`implicitloss expect`: compute the exact moments of the sampled loss, its bound and its expansion in 1/m."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from implicitloss.cli.arguments import add_json, add_scheme, add_seed, scheme_of
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import write_json
from implicitloss.cli.labels import add_problem, problem_of
from implicitloss.cli.text import QUANTITIES, heading

if TYPE_CHECKING:
    from implicitloss.estimate import Quantity

__all__ = ["add_arguments", "run"]

HELP = "compute a scheme's expected loss and variance exactly, beside the paper's bound and approximations in 1/m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A scheme, its loss, a problem and a seed of its scores."""
    add_scheme(parser)
    add_problem(parser)
    add_seed(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the exact values."""
    from implicitloss import names
    from implicitloss.theory.expansion import OutsideTheorem3, expand
    from implicitloss.theory.implicit import implicit_loss
    from implicitloss.witness.integrate import integrate

    loss = names.loss(args.loss)
    scheme, problem = scheme_of(args, loss), problem_of(args)
    bound = implicit_loss(scheme, loss, problem)
    exact = {name: integrate(scheme, loss, problem, name) for name in QUANTITIES}
    outside = ""
    series: dict[Quantity, tuple[float, float]] = {}
    try:
        expansion = expand(scheme, loss, problem)
        bias, mse = expansion.bias, expansion.mse
        series = {
            "mean": (float(bound) + bias.first, float(bound) + bias.value),
            "gap": (-bias.first, -bias.value),
            "mse": (mse.first, mse.value),
            # V = E (ℓ - b)² - (b - E ℓ)², to the same order
            "variance": (mse.first, mse.value - bias.first**2),
        }
    except OutsideTheorem3 as reason:
        outside = str(reason)
    values = {
        "scheme": str(scheme),
        "loss": loss.name,
        "positive": problem.positive,
        "label": problem.prior.name(problem.positive),
        "implicit_loss": bound.to_dict(),
        "exact": {name: estimate.to_dict() for name, estimate in exact.items()},
        "expansion": expansion.to_dict() if not outside else None,
        "outside_theorem3": outside or None,
    }
    if write_json(args.json, values):
        return HOLDS
    print(heading(scheme, loss, problem, args))
    print(f"{'':24}{'exact':>20}  {'error':>8}  {'1st order in 1/m':>18}  {'2nd order':>18}")
    title = "implicit loss (bound)" if loss.has_log else "implicit loss (mean)"
    print(f"{title:24}{float(bound):>20.12g}  {bound.error:>8.1g}")
    for name, estimate in exact.items():
        terms = "".join(f"  {term:>18.10g}" for term in series.get(name, ()))
        print(f"{QUANTITIES[name]:24}{float(estimate):>20.12g}  {estimate.error:>8.1g}{terms}")
    if outside:
        print(f"\nno expansion: {outside}")
    return HOLDS
