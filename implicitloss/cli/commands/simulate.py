"""`implicitloss simulate`: run the sampling procedure, and compare its moments with the exact ones."""

from __future__ import annotations

import argparse

from implicitloss.cli.arguments import add_json, add_scheme, add_seed, scheme_of, whole_number
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import write_json
from implicitloss.cli.labels import add_problem, problem_of
from implicitloss.cli.progress import busy
from implicitloss.cli.text import QUANTITIES, heading, show, table

__all__ = ["add_arguments", "run"]

HELP = "draw negatives as training does, many times, and print the mean loss beside its exact value"
EXAMPLES = (
    "implicitloss simulate --sampler within-batch --weighting constant --m 64 --hits mask --runs 1e5",
    "implicitloss simulate --sampler uniform --weighting importance --m 8 --hits keep --counts counts.csv --seed 7",
)
# More draws would take hours.
MOST_DRAWS = 10_000_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A scheme, its loss, a problem, a seed and the number of runs."""
    add_scheme(parser)
    add_problem(parser)
    add_seed(parser)
    parser.add_argument(
        "--runs", type=whole_number, default=100_000, help="how many times the m negatives are drawn (default 100000)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the simulated values beside the exact ones."""
    from implicitloss import names
    from implicitloss.numerics.bounds import half_width
    from implicitloss.theory.implicit import implicit_loss
    from implicitloss.witness.integrate import integrate
    from implicitloss.witness.simulate import simulate

    if args.runs * args.m > MOST_DRAWS:
        raise ValueError(f"--runs times --m must be at most {MOST_DRAWS:,} draws, got {args.runs:,} times {args.m:,}")
    loss = names.loss(args.loss)
    scheme, problem = scheme_of(args, loss), problem_of(args)
    bound = float(implicit_loss(scheme, loss, problem))
    rows = {}
    with busy(f"{args.runs:,} runs"):
        for name in QUANTITIES:
            estimate = simulate(scheme, loss, problem, name, runs=args.runs, rng=args.seed, reference=bound)
            rows[name] = (estimate, integrate(scheme, loss, problem, name))
    values = {
        "scheme": str(scheme),
        "loss": loss.name,
        "positive": problem.positive,
        "label": problem.prior.name(problem.positive),
        "implicit_loss": bound,
        "simulated": {name: estimate.to_dict() for name, (estimate, _) in rows.items()},
        "exact": {name: exact.to_dict() for name, (_, exact) in rows.items()},
    }
    if write_json(args.json, values):
        return HOLDS
    heading(scheme, loss, problem, args)
    cells = []
    for name, (estimate, exact) in rows.items():
        width = half_width(estimate.variance, estimate.high - estimate.low, estimate.n, 1e-6)  # type: ignore[arg-type, operator]
        simulated = (f"{float(estimate):.8g}", f"{estimate.error:.2g}", f"{width:.2g}")
        cells.append((QUANTITIES[name], *simulated, f"{float(exact):.12g}"))
    print(table(("", "simulated", "std. error", "certain to", "exact"), cells, right=(1, 2, 3, 4)))
    show(
        "",
        f"{args.runs:,} runs. The mean over all draws lies within 'certain to' of the simulated number, but for once "
        "in a million (an empirical-Bernstein bound).",
    )
    return HOLDS
