"""`implicitloss table`: derive Table 2 of Rawat et al. (2021) and its decoupled counterpart, entry by entry."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from implicitloss.cli.arguments import HITS_HELP, add_json
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import write_json
from implicitloss.cli.progress import busy
from implicitloss.cli.text import fitted, table
from implicitloss.formats import code

if TYPE_CHECKING:
    from implicitloss.losses import Loss

__all__ = ["add_arguments", "run"]

HELP = "derive Table 2 of Rawat et al. (2021): which loss each sampler and weighting optimises"
EXAMPLES = (
    "implicitloss table",
    "implicitloss table --hits keep --format markdown",
)
SAMPLERS = ("uniform", "within-batch")
WEIGHTINGS = ("constant", "importance", "relative", "tail")
HEAD = ("sampler", "weighting", "p_yy'", "implicit loss", "known as")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The rule for hits, and how to print the tables."""
    parser.add_argument("--hits", metavar="RULE", default="mask", help=f"{HITS_HELP} (default mask)")
    parser.add_argument(
        "--format", choices=("text", "markdown", "latex"), default="text", help="how to print it (default text)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print both tables."""
    with busy("sixteen derivations"):
        tables = _tables(args.hits)
    if not write_json(args.json, {"hits": args.hits, "tables": tables}):
        for one in tables:
            print(_rendered(f"{one['title']}, hits: {args.hits}", one["rows"], args.format))
    return HOLDS


def _tables(hits: Any) -> list[dict[str, Any]]:
    """The title and the rows of each table."""
    from implicitloss.losses import Decoupled, SoftmaxCrossEntropy, logistic

    losses: dict[str, Loss] = {
        "Sampled softmax cross-entropy (Table 2)": SoftmaxCrossEntropy(),
        "Sampled decoupled loss, logistic (its counterpart)": Decoupled(logistic),
    }
    return [
        {
            "title": title,
            "rows": [_row(sampler, weighting, hits, loss) for sampler in SAMPLERS for weighting in WEIGHTINGS],
        }
        for title, loss in losses.items()
    ]


def _row(sampler: str, weighting: str, hits: Any, loss: Loss) -> dict[str, Any]:
    from implicitloss import names, symbols
    from implicitloss.scheme import Scheme
    from implicitloss.witness.derive import derive

    weights = names.weighting(weighting)
    derivation = derive(Scheme(names.sampler(sampler, loss, weights), weights, m=1, hits=hits), loss)
    assert derivation.checked, "a step of the derivation was not checked"
    return {
        "sampler": sampler,
        "weighting": weighting,
        "margin": symbols.text(derivation.margin),
        "margin_latex": symbols.latex(derivation.margin),
        "implicit_loss": symbols.text(derivation.implicit_loss),
        "implicit_loss_latex": symbols.latex(derivation.implicit_loss),
        "named": derivation.named,
    }


def _rendered(title: str, rows: list[dict[str, Any]], form: str) -> str:
    tex = "_latex" if form == "latex" else ""
    marks: dict[str, Callable[[str], str]] = {"text": str, "markdown": code, "latex": "${}$".format}
    mark = marks[form]
    cells = [
        (
            row["sampler"],
            row["weighting"],
            mark(row[f"margin{tex}"]),
            mark(row[f"implicit_loss{tex}"]),
            row["named"] or "–",
        )
        for row in rows
    ]
    return {"text": _text, "markdown": _markdown, "latex": _latex}[form](title, cells)


def _text(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    return f"{fitted(title)}\n\n{table(HEAD, rows, ruled=True)}\n"


def _markdown(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    cells = [HEAD, ("---",) * len(HEAD), *rows]
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in cells), ""])


def _latex(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    head = ["$p_{yy'}$" if cell == "p_yy'" else cell for cell in HEAD]
    body = " \\\\\n".join(" & ".join(row) for row in rows).replace("–", "--")
    return (
        f"% {title}\n\\begin{{tabular}}{{lllll}}\n\\hline\n{' & '.join(head)} \\\\\n\\hline\n"
        f"{body} \\\\\n\\hline\n\\end{{tabular}}\n"
    )
