"""`implicitloss expect`: compute the exact moments of the sampled loss, its bound and its expansion in 1/m."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from implicitloss.cli.arguments import add_json, add_scheme, add_seed, scheme_of
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import Output, write_all, write_json
from implicitloss.cli.labels import add_problem, problem_of
from implicitloss.cli.progress import busy
from implicitloss.cli.text import QUANTITIES, heading, show, table
from implicitloss.formats import plain

if TYPE_CHECKING:
    from implicitloss.estimate import Quantity
    from implicitloss.labels import LabelPrior
    from implicitloss.losses import Loss
    from implicitloss.problem import Problem
    from implicitloss.scheme import Scheme

__all__ = ["add_arguments", "run"]

HELP = "compute a scheme's expected loss and variance exactly, beside Rawat et al.'s bound and approximations in 1/m"
EXAMPLES = (
    "implicitloss expect --sampler uniform --weighting importance --m 1e6 --hits exclude --counts counts.csv",
    "implicitloss expect --sampler within-batch --weighting tail --m 1,4,16,64 --hits mask --positives "
    "head,torso,tail --csv table.csv",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A scheme, its loss, a problem and a seed of its scores."""
    add_scheme(parser, with_ladder=True)
    add_problem(parser)
    parser.add_argument(
        "--positives",
        metavar="LABELS",
        help="several positives, for a table of each m and each of them: head,torso,tail (the middle label of each "
        "slice by frequency), or labels",
    )
    parser.add_argument("--csv", type=Output, metavar="FILE", help="write the table to FILE as CSV too")
    add_seed(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the exact values."""
    from implicitloss import names
    from implicitloss.theory.expansion import OutsideTheorem3, expand
    from implicitloss.theory.implicit import implicit_loss
    from implicitloss.witness.integrate import integrate

    loss = names.loss(args.loss)
    ladder, args.m = args.m, args.m[0]
    scheme, problem = scheme_of(args, loss), problem_of(args)
    if len(ladder) > 1 or args.positives is not None or args.csv is not None:
        return _table(args, [replace(scheme, m=m) for m in ladder], loss, problem)
    bound = implicit_loss(scheme, loss, problem)
    with busy(f"exact values of {problem.prior.n_labels:,} labels"):
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
    heading(scheme, loss, problem, args)
    title = "implicit loss (bound)" if loss.has_log else "implicit loss (mean)"
    rows = [(title, f"{float(bound):.12g}", f"{bound.error:.1g}", "", "")]
    for name, estimate in exact.items():
        first, second = (f"{term:.10g}" for term in series[name]) if name in series else ("", "")
        rows.append((QUANTITIES[name], f"{float(estimate):.12g}", f"{estimate.error:.1g}", first, second))
    print(table(("", "exact", "error", "1st order in 1/m", "2nd order"), rows, right=(1, 2, 3, 4)))
    if outside:
        show("", f"no expansion: {outside}")
    return HOLDS


def _table(args: argparse.Namespace, schemes: Sequence[Scheme], loss: Loss, problem: Problem) -> int:
    """Print the exact values of each m and each positive, a row each."""
    import numpy as np
    import pandas as pd

    from implicitloss.theory.implicit import implicit_loss
    from implicitloss.witness.integrate.sweep import sweep

    prior = problem.prior
    positives = [problem.positive] if args.positives is None else _positives(args.positives, prior)
    with busy(f"{len(schemes) * len(positives)} exact values of {prior.n_labels:,} labels"):
        swept = sweep(list(schemes), loss, problem.scores, prior, positives, tuple(QUANTITIES))
    rows: list[dict[str, Any]] = []
    for i, scheme in enumerate(schemes):
        for j, y in enumerate(positives):
            found = {name: float(np.asarray(swept[name].value)[i, j]) for name in QUANTITIES}
            bound = float(implicit_loss(scheme, loss, replace(problem, positive=y)))
            rows.append(
                {"m": scheme.m, "positive": prior.name(y), "prior": float(prior.probabilities[y]), "bound": bound}
                | found
            )
    values = {"scheme": str(schemes[0]), "loss": loss.name, "table": rows}
    if args.csv is not None:
        text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
        if args.csv == "-":
            print(text, end="")
            return HOLDS
        write_all({args.csv: text})
    if write_json(args.json, values):
        return HOLDS
    said = f"{schemes[0]}".replace(f", m={schemes[0].m},", f", m={','.join(str(scheme.m) for scheme in schemes)},")
    show(f"{said}; {loss.name}", "")
    cells = [[f"{value:.8g}" if isinstance(value, float) else plain(value) for value in row.values()] for row in rows]
    slices = [f" ({word})" if _is_slice(word, prior) else "" for word in (args.positives or "").split(",")]
    for k, row in enumerate(cells):  # which label was taken for a slice
        row[1] += slices[k % len(positives)]
    print(table(list(rows[0]), cells, right=[i for i, name in enumerate(rows[0]) if name != "positive"]))
    return HOLDS


def _is_slice(word: str, prior: LabelPrior) -> bool:
    """Whether a slice is meant, and no label that is called so."""
    return word in prior.slices() and (prior.names is None or word not in prior.names)


def _positives(text: str, prior: LabelPrior) -> list[int]:
    """The labels of a list; head, torso and tail are the middle labels of the slices, unless labels are called so."""
    slices, found = prior.slices(), []
    for word in text.split(","):
        middle = prior.middle(slices[word]) if _is_slice(word, prior) else None
        found.append(prior.label(word) if middle is None else middle)
    return found
