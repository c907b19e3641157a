"""`implicitloss derive`: the margins p_yy' of a scheme and its implicit loss, step by step."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from implicitloss.cli.arguments import add_json, add_scheme, scheme_of
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import write_json
from implicitloss.cli.text import show

if TYPE_CHECKING:
    from implicitloss.witness.derive import Derivation

__all__ = ["add_arguments", "run"]

HELP = "derive which loss a scheme optimises, line by line: how often each negative counts (its margin p_yy')"
EXAMPLES = (
    "implicitloss derive --sampler within-batch --weighting constant --m 64 --hits mask",
    "implicitloss derive --sampler uniform --weighting relative --m 64 --hits keep --format latex",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A scheme, its loss, and how to print the derivation."""
    add_scheme(parser)
    parser.add_argument("--format", choices=("text", "latex"), default="text", help="how to print it (default text)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the derivation."""
    from implicitloss import names
    from implicitloss.witness.derive import derive

    loss = names.loss(args.loss)
    derivation = derive(scheme_of(args, loss), loss)
    if not write_json(args.json, _values(derivation)):
        if args.format == "latex":
            print(derivation.latex())
        else:
            _show(derivation)
    return HOLDS


def _values(derivation: Derivation) -> dict[str, Any]:
    from implicitloss import symbols

    return {
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


def _show(derivation: Derivation) -> None:
    """Print the result, and each step with its reason."""
    from implicitloss import symbols

    show(
        f"p_yy'          {symbols.text(derivation.margin)}",
        f"named          {derivation.named or 'no published loss has exactly these margins'}",
        f"implicit loss  {symbols.text(derivation.implicit_loss)}",
        "",
    )
    for i, step in enumerate(derivation.steps, 1):
        show(f"{i:>2}. {symbols.text(step.left)}")
        show(
            f"{step.relation} {symbols.text(step.right)}",
            f"{step.reason}; {'checked by SymPy' if step.checked else 'NOT CHECKED'}",
            indent=5,
        )
