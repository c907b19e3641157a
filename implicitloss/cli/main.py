"""`implicitloss`: what does a sampling scheme of one's own optimise?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from implicitloss import __version__
from implicitloss.cli import audit as audit_command
from implicitloss.cli.claims import add_report_arguments, add_seed, check_arguments, run_claims
from implicitloss.cli.shell import HOLDS, Parser, check_files, guarded, seen_labels, whole_number, write_whole
from implicitloss.formats import as_json, code, plain, printable

if TYPE_CHECKING:
    from implicitloss.losses import Loss
    from implicitloss.problem import Problem
    from implicitloss.scheme import Scheme

SCHEMA = 1
# More would take hours, and so is meant by nobody who waits for an answer.
MOST_DRAWS = 10_000_000_000
NAMES = {"mean": "expected loss", "gap": "bound - expected", "variance": "variance", "mse": "squared error"}
MARGINS = "softmax, logit-adjusted[:TAU], balanced-softmax, equalised, adaptive[:SCALE]"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="implicitloss",
        description="What does a negative-sampling scheme really optimise?",
        epilog="exit codes: 0 all hold; 1 refuted or left open; 2 bad input; 3 internal; 5 nothing selected",
    )
    parser.add_argument("--version", action="version", version=f"implicitloss {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    derive = commands.add_parser("derive", help="derive p_yy' and the implicit loss, step by step")
    _add_scheme(derive)
    derive.add_argument("--format", choices=("text", "latex", "json"), default="text")

    expect = commands.add_parser("expect", help="exact expectations, the bound, and the expansion in 1/m side by side")
    _add_scheme(expect)
    _add_problem(expect)
    expect.add_argument("--json", action="store_true", help="JSON on stdout")

    simulate = commands.add_parser("simulate", help="run the procedure, beside the exact values")
    _add_scheme(simulate)
    _add_problem(simulate)
    simulate.add_argument("--runs", type=whole_number, default=100_000, help="independent runs (default 100000)")
    simulate.add_argument("--json", action="store_true", help="JSON on stdout")

    verify = commands.add_parser(
        "verify", help="the lemmas, Theorem 3 and the propositions on this scheme, all witnesses"
    )
    _add_scheme(verify, with_loss=False)
    _add_problem(verify, seed=False)
    verify.add_argument(
        "--target", metavar="NAME", help=f"also claim that the scheme optimises softmax with these margins: {MARGINS}"
    )
    add_report_arguments(verify)

    audit = commands.add_parser("audit", help="what does a loss of your own really optimise, and is it what you claim?")
    audit_command.add_arguments(audit, MARGINS)
    _add_prior(audit)

    teach = commands.add_parser("teach", help="write a page to teach with: one HTML file that computes in the browser")
    teach.add_argument(
        "--out", default="implicitloss.html", metavar="FILE", help="default implicitloss.html, - for stdout"
    )
    teach.add_argument("--counts", metavar="FILE", help="label counts, CSV 'label,count' (default Zipf's law)")

    table = commands.add_parser("table", help="Table 2 and its decoupled counterpart, every entry derived on the spot")
    table.add_argument("--hits", default="mask", help="exclude, mask (default) or keep")
    table.add_argument("--format", choices=("text", "markdown", "latex"), default="text")
    return parser


def _add_scheme(parser: argparse.ArgumentParser, with_loss: bool = True) -> None:
    parser.add_argument(
        "--sampler",
        required=True,
        help="uniform, within-batch, model-based, power[:ALPHA], log-uniform, mixture[:SHARE], minimum-variance, "
        "explicit:FILE (one probability a line)",
    )
    parser.add_argument(
        "--weighting", required=True, help=f"constant, unit, importance, relative, tail, margin:NAME of {MARGINS}"
    )
    parser.add_argument("--m", type=whole_number, required=True, help="number of negatives")
    parser.add_argument("--hits", required=True, help="what drawing the positive does: exclude, mask or keep")
    if with_loss:
        parser.add_argument(
            "--loss", default="softmax", help="softmax (default), logistic, hinge, squared-hinge, cosine[:MARGIN]"
        )


def _add_prior(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--counts", metavar="FILE", help="label counts, CSV 'label,count'")
    source.add_argument(
        "--profile",
        default="exp:100:500:100",
        help="exp:L:LARGEST:RATIO (default exp:100:500:100), step:L:LARGEST:RATIO, zipf:L:S",
    )


def _add_problem(parser: argparse.ArgumentParser, seed: bool = True) -> None:
    _add_prior(parser)
    parser.add_argument(
        "--scorer", default="gaussian", help="gaussian (default), aligned, against, heavy-tailed, class-conditional"
    )
    parser.add_argument(
        "--positive",
        metavar="LABEL",
        help="the positive: a label of the counts file, or 0 to L-1 of a profile (default: the median by frequency)",
    )
    if seed:
        add_seed(parser)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "derive": _derive,
        "expect": _expect,
        "simulate": _simulate,
        "verify": _verify,
        "audit": audit_command.audit,
        "teach": _teach,
        "table": _table,
    }

    def run() -> int:
        args = _parser().parse_args(argv)
        return commands[args.command](args)

    return guarded("implicitloss", run)


def _scheme(args: argparse.Namespace, loss: Loss) -> Scheme:
    from implicitloss.cli import words
    from implicitloss.scheme import Scheme

    check_files([words.file_of(args.sampler)], [])
    weighting = words.weighting(args.weighting)
    return Scheme(words.sampler(args.sampler, loss, weighting), weighting, m=args.m, hits=args.hits)


def _problem(args: argparse.Namespace) -> Problem:
    from implicitloss.cli import words
    from implicitloss.labels import LabelPrior
    from implicitloss.problem import Problem

    check_files([args.counts], [])
    prior = words.profile(args.profile) if args.counts is None else LabelPrior.from_csv(args.counts)
    scores = words.scorer(args.scorer).scores(prior, args.seed)
    positive = int(prior.by_frequency[prior.n_labels // 2]) if args.positive is None else prior.label(args.positive)
    return Problem(scores, prior, positive)


def _origin(args: argparse.Namespace) -> str:
    return args.profile if args.counts is None else args.counts


def _print_json(payload: dict[str, Any]) -> None:
    print(as_json({"schema": SCHEMA, **payload}))


# --- teach ------------------------------------------------------------------------------------------------------


def _teach(args: argparse.Namespace) -> int:
    import os

    from implicitloss.teaching.document import page

    check_files([args.counts], [args.out])
    prior = None if args.counts is None else seen_labels(args.counts, "implicitloss teach")
    if prior is not None and (prior.n_labels < 3 or prior.probabilities.max() == prior.probabilities.min()):
        raise ValueError(f"a page needs at least three labels, frequent and rare ones; {args.counts} has none such")
    text = page(prior, "" if args.counts is None else os.path.basename(args.counts))
    if args.out == "-":
        print(text)
        return HOLDS
    write_whole(args.out, text)
    print(printable(args.out))
    return HOLDS


# --- derive -----------------------------------------------------------------------------------------------------


def _derive(args: argparse.Namespace) -> int:
    from implicitloss import symbols
    from implicitloss.cli import words
    from implicitloss.witness.derive import derive

    loss = words.loss(args.loss)
    derivation = derive(_scheme(args, loss), loss)
    if args.format == "latex":
        print(derivation.latex())
    elif args.format == "json":
        _print_json(
            {
                "margin": symbols.text(derivation.margin),
                "margin_latex": symbols.latex(derivation.margin),
                "implicit_loss": symbols.text(derivation.implicit_loss),
                "implicit_loss_latex": symbols.latex(derivation.implicit_loss),
                "named": derivation.named,
                "checked": derivation.checked,
                "steps": [
                    {
                        "left": symbols.text(step.left),
                        "relation": step.relation,
                        "right": symbols.text(step.right),
                        "reason": step.reason,
                        "checked": step.checked,
                    }
                    for step in derivation.steps
                ],
            }
        )
    else:
        print(f"p_yy'          {symbols.text(derivation.margin)}")
        print(f"named          {derivation.named or 'no published loss has exactly these margins'}")
        print(f"implicit loss  {symbols.text(derivation.implicit_loss)}\n")
        for i, step in enumerate(derivation.steps, 1):
            print(f"{i:>2}. {symbols.text(step.left)}")
            print(f"     {step.relation} {symbols.text(step.right)}")
            print(f"     {step.reason}; {'checked by SymPy' if step.checked else 'NOT CHECKED'}")
    return HOLDS


# --- expect, simulate ---------------------------------------------------------------------------------------------


def _header(scheme: Scheme, loss: Loss, problem: Problem, args: argparse.Namespace) -> str:
    return (
        f"{plain(scheme)}; {loss.name}\n"
        f"{problem.prior.n_labels} labels ({plain(_origin(args))}), {args.scorer} scores (seed {args.seed}), "
        f"positive {plain(problem.prior.name(problem.positive))}, "
        f"π = {problem.prior.probabilities[problem.positive]:.3g}\n"
    )


def _expect(args: argparse.Namespace) -> int:
    from implicitloss.cli import words
    from implicitloss.theory.expansion import OutsideTheorem3, expand
    from implicitloss.theory.implicit import implicit_loss
    from implicitloss.witness.integrate import integrate

    loss = words.loss(args.loss)
    scheme, problem = _scheme(args, loss), _problem(args)
    bound = implicit_loss(scheme, loss, problem)
    exact = {name: integrate(scheme, loss, problem, name) for name in ("mean", "gap", "variance", "mse")}
    outside = ""
    series: dict[str, tuple[float, float]] = {}
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
    if args.json:
        _print_json(
            {
                "scheme": str(scheme),
                "loss": loss.name,
                "positive": problem.positive,
                "label": problem.prior.name(problem.positive),
                "implicit_loss": bound.to_dict(),
                "exact": {name: estimate.to_dict() for name, estimate in exact.items()},
                "expansion": expansion.to_dict() if not outside else None,
                "outside_theorem3": outside or None,
            }
        )
        return HOLDS
    print(_header(scheme, loss, problem, args))
    print(f"{'':24}{'exact':>20}  {'error':>8}  {'1st order in 1/m':>18}  {'2nd order':>18}")
    title = "implicit loss (bound)" if loss.has_log else "implicit loss (mean)"
    print(f"{title:24}{float(bound):>20.12g}  {bound.error:>8.1g}")
    for name, estimate in exact.items():
        terms = "".join(f"  {term:>18.10g}" for term in series.get(name, ()))
        print(f"{NAMES[name]:24}{float(estimate):>20.12g}  {estimate.error:>8.1g}{terms}")
    if outside:
        print(f"\nno expansion: {outside}")
    return HOLDS


def _simulate(args: argparse.Namespace) -> int:
    from implicitloss.cli import words
    from implicitloss.numerics.bounds import half_width
    from implicitloss.theory.implicit import implicit_loss
    from implicitloss.witness.integrate import integrate
    from implicitloss.witness.simulate import simulate

    if args.runs * args.m > MOST_DRAWS:
        raise ValueError(f"--runs times --m must be at most {MOST_DRAWS:,} draws, got {args.runs:,} times {args.m:,}")
    loss = words.loss(args.loss)
    scheme, problem = _scheme(args, loss), _problem(args)
    bound = float(implicit_loss(scheme, loss, problem))
    rows = {}
    for name in ("mean", "gap", "variance", "mse"):
        estimate = simulate(scheme, loss, problem, name, runs=args.runs, rng=args.seed, reference=bound)
        rows[name] = (estimate, integrate(scheme, loss, problem, name))
    if args.json:
        _print_json(
            {
                "scheme": str(scheme),
                "loss": loss.name,
                "positive": problem.positive,
                "label": problem.prior.name(problem.positive),
                "implicit_loss": bound,
                "simulated": {name: estimate.to_dict() for name, (estimate, _) in rows.items()},
                "exact": {name: exact.to_dict() for name, (_, exact) in rows.items()},
            }
        )
        return HOLDS
    print(_header(scheme, loss, problem, args))
    print(f"{'':24}{'simulated':>16}  {'std. error':>10}  {'certain to':>10}  {'exact':>20}")
    for name, (estimate, exact) in rows.items():
        width = half_width(estimate.variance, estimate.high - estimate.low, estimate.n, 1e-6)  # type: ignore[arg-type, operator]
        print(
            f"{NAMES[name]:24}{float(estimate):>16.8g}  {estimate.error:>10.2g}  {width:>10.2g}  {float(exact):>20.12g}"
        )
    print(f"\n{args.runs:,} runs; 'certain to' is an empirical-Bernstein half-width, exceeded once in a million.")
    return HOLDS


# --- verify -------------------------------------------------------------------------------------------------------


def _verify(args: argparse.Namespace) -> int:
    from implicitloss.claims.case import Setting
    from implicitloss.claims.statements.scheme import about_scheme
    from implicitloss.cli import words
    from implicitloss.losses import SoftmaxCrossEntropy

    check_arguments(args, words.file_of(args.sampler))
    problem = _problem(args)
    scheme = _scheme(args, SoftmaxCrossEntropy())
    claims = about_scheme(scheme, problem, None if args.target is None else words.margin(args.target))
    setting = Setting(problem.prior, _origin(args), args.seed, args.full, args.threads, strict=False)
    return run_claims(
        claims,
        setting,
        args,
        title=f"{scheme}, {args.scorer} scores, positive {problem.prior.name(problem.positive)}",
        rerun=f"{_own_command(args)}  # claim {{id}}",
    )


def _own_command(args: argparse.Namespace) -> str:
    import shlex

    source = ["--profile", args.profile] if args.counts is None else ["--counts", args.counts]
    positive = [] if args.positive is None else ["--positive", args.positive]
    target = [] if args.target is None else ["--target", args.target]
    words = ["implicitloss", "verify", "--sampler", args.sampler, "--weighting", args.weighting, "--m", str(args.m)]
    return shlex.join(
        [*words, "--hits", args.hits, *source, "--scorer", args.scorer, *positive, *target, "--seed", str(args.seed)]
    )


# --- table ----------------------------------------------------------------------------------------------------------


def _table(args: argparse.Namespace) -> int:
    from implicitloss import symbols
    from implicitloss.losses import Decoupled, SoftmaxCrossEntropy, logistic
    from implicitloss.samplers import Uniform, WithinBatch
    from implicitloss.scheme import Scheme
    from implicitloss.weightings import Constant, Importance, Relative, Tail
    from implicitloss.witness.derive import derive

    latex = args.format == "latex"
    render = symbols.latex if latex else symbols.text
    losses: list[tuple[str, Loss]] = [
        ("Sampled softmax cross-entropy (Table 2)", SoftmaxCrossEntropy()),
        ("Sampled decoupled loss, logistic (its counterpart)", Decoupled(logistic)),
    ]
    head = ("sampler", "weighting", "p_yy'", "implicit loss", "known as")
    for title, loss in losses:
        rows = []
        for sampler, q in ((Uniform(), "uniform"), (WithinBatch(), "within-batch")):
            for weighting, w in ((Constant(), "constant"), (Importance(), "importance"), (Relative(), "relative"),
                                 (Tail(), "tail")):  # fmt: skip
                d = derive(Scheme(sampler, weighting, m=1, hits=args.hits), loss)
                assert d.checked, "a step of the derivation was not checked"
                formulas = [render(d.margin), render(d.implicit_loss)]
                rows.append((q, w, *(f"${x}$" if latex else x for x in formulas), d.named or "–"))
        print(_rendered(f"{title}, hits: {args.hits}", head, rows, args.format))
    return HOLDS


def _rendered(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], form: str) -> str:
    if form == "latex":
        head = tuple("$p_{yy'}$" if cell == "p_yy'" else cell for cell in head)
        body = " \\\\\n".join(" & ".join(row) for row in rows).replace("–", "--")
        return (
            f"% {title}\n\\begin{{tabular}}{{lllll}}\n\\hline\n{' & '.join(head)} \\\\\n\\hline\n"
            f"{body} \\\\\n\\hline\n\\end{{tabular}}\n"
        )
    if form == "markdown":
        cells = [head, ("---",) * len(head), *((q, w, code(p), code(loss), known) for q, w, p, loss, known in rows)]
        return "\n".join([f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in cells), ""])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [title, ""]
    for row in (head, tuple("-" * width for width in widths), *rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
