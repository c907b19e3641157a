"""`python -m paper_checks`: settle the papers' claims and report."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import TYPE_CHECKING

from implicitloss.cli.arguments import EXIT_CODES, Parser, check
from implicitloss.cli.claims import add_report_arguments, run_claims
from implicitloss.cli.exit import HOLDS, NOTHING, guarded
from implicitloss.cli.labels import COUNTS, add_counts, check_counts, counts_options, seen_labels
from implicitloss.cli.progress import say
from implicitloss.cli.text import fitted, room
from implicitloss.formats import nearest_name, sentence

if TYPE_CHECKING:
    from implicitloss.claims.claim import Claim
    from implicitloss.labels import LabelPrior

DEFAULT = "CIFAR-100-LT (EXP profile: 100 labels, 500 to 5 samples)"


def all_claims() -> list[Claim]:
    """Every claim of every paper.  A paper is a folder of this package, with its `SECTIONS` in reading order."""
    import importlib
    import pkgutil

    import paper_checks

    claims: list[Claim] = []
    for paper in pkgutil.iter_modules(paper_checks.__path__):
        if paper.ispkg:
            package = importlib.import_module(f"paper_checks.{paper.name}")
            for section in package.SECTIONS:
                claims += importlib.import_module(f"paper_checks.{paper.name}.{section}").CLAIMS
    return sorted(claims, key=lambda claim: not claim.id.startswith("rawat2021"))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m paper_checks",
        description="Check every claim of the papers in several independent ways: by derivation, by exact numbers, by "
        "simulation.  Each claim comes with near misses, slightly wrong versions of it, which the same checks must "
        "refute.",
        epilog=f"`python -m paper_checks explain ID` says what a claim states, how it is checked and where it comes "
        f"from. {EXIT_CODES} 5: no claim was selected.",
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which claims, on which counts, and the reports."""
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="check these claims, by id or by the start of an id (default all)"
    )
    add_counts(parser, f"check the claims that are about numbers on your labels: {COUNTS}")
    parser.add_argument("--list", action="store_true", help="print the ids and the statements of the claims, and stop")
    add_report_arguments(parser)


def _select(claims: list[Claim], ids: list[str]) -> list[Claim]:
    if not ids:
        return claims
    return [claim for claim in claims if claim.id.startswith(tuple(ids))]


def _explain(claim: Claim) -> str:
    lines = [str(claim.statement), f"source: {claim.source}"]
    lines += [f"assumes: {assumption}" for assumption in claim.assumptions]
    lines += [f"method: {method}" for method in claim.methods]
    lines += [f"near miss, to be refuted: {miss}" for miss in claim.near_misses]
    return "\n".join([claim.id, *(fitted(line, indent=2) for line in lines)])


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    return guarded("paper_checks", lambda: run(_parser().parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """Settle the claims, and report."""
    # Matrices are small, and threads of BLAS that wait for each other take far longer than one; read on import.
    for threads in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    check(args)
    explain = bool(args.ids) and args.ids[0] == "explain"
    ids = args.ids[1:] if explain else args.ids
    if explain and not ids:
        raise ValueError("explain needs the id or prefix of a claim; --list shows them")

    from implicitloss.labels import LabelPrior

    check_counts(args)
    prior = LabelPrior.exp(100, 500, 100) if args.counts is None else _counted(args)
    every = all_claims()
    if args.json is not None and not ids and _select(every, [args.json]):
        raise ValueError(f"--json {args.json} would write a file of this name; give the ids before --json")
    unmatched = [id for id in ids if not _select(every, [id])]
    if unmatched:
        nearest = nearest_name(unmatched[0], [claim.id for claim in every], cutoff=0.3)
        hint = "; --list shows them" if nearest is None else f"; did you mean {nearest}?"
        say(sentence(f"paper_checks: no claim is called or starts with {' or '.join(unmatched)}{hint}"))
        return NOTHING
    claims = _select(every, ids)
    if args.counts is not None:
        claims = [claim for claim in (claim.on_prior() for claim in claims) if claim is not None]
        if not claims:
            say(sentence(f"paper_checks: {' and '.join(ids)}: symbolic, nothing in it depends on counts"))
            return NOTHING
    if args.list:
        from rich.cells import cell_len

        width = max(len(claim.id) for claim in claims)
        lines = [f"{claim.id:<{width}}  {claim.statement}" for claim in claims]
        if max(map(cell_len, lines)) > room():
            lines = [f"{claim.id}\n{fitted(claim.statement, indent=4)}" for claim in claims]
        print("\n".join(lines))
        return HOLDS
    if explain:
        print("\n\n".join(_explain(claim) for claim in claims))
        return HOLDS

    from implicitloss.claims.case import Setting

    origin = DEFAULT if args.counts is None else args.counts
    setting = Setting(prior, origin, args.seed, args.full, args.threads, strict=args.counts is None)
    counts = "".join(f" {shlex.quote(word)}" for word in counts_options(args))
    return run_claims(
        claims,
        setting,
        args,
        title="Claims of the papers, settled",
        rerun=f"python -m paper_checks {{id}} --seed {args.seed}{counts}{' --full' if args.full else ''}",
    )


def _counted(args: argparse.Namespace) -> LabelPrior:
    """The prior of a file of counts.  *Raises* ValueError if it has not four labels, or none is rarer than another."""
    from implicitloss.labels import checked_unequal

    return checked_unequal(seen_labels(args, "paper_checks"), "the claims need", args.counts, 4)


if __name__ == "__main__":
    sys.exit(main())
