"""`implicitloss design`: which weights reach a target with these counts, what sampling costs, and the code."""

from __future__ import annotations

import argparse
import io
import math
from typing import TYPE_CHECKING, Any

from implicitloss.cli.arguments import EVERY_NAME, add_json, whole_number
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import Input, Output, write_json, write_whole
from implicitloss.cli.labels import add_prior, origin_of, prior_of
from implicitloss.cli.progress import Progress, say
from implicitloss.cli.text import room, show, table
from implicitloss.formats import plain

if TYPE_CHECKING:
    from implicitloss.designing.design import Design

__all__ = ["add_arguments", "run"]

HELP = "find weights that are right for a target at every number of negatives, and say what sampling costs"
EXAMPLES = (
    "implicitloss design --counts counts.csv --sampler mixture:0.5 --m 255",
    "implicitloss design --counts counts.csv --target logit-adjusted:1 --sampler within-batch --m 255 --code torch",
)
# The rows of the table that are printed; --json has all of them.
SHOWN = {"consistent": ("keep", "mask", "exclude"), "unit": ("keep",)}
BYTES = 4
SHIFT = "log_shift.npy"

NUMBERS = (
    "tilt: uniform", "tilt: prior", "tilt: peaked", "kept: head", "kept: torso", "kept: tail", "draws: 0.01",
    "draws: 9/10",
)  # fmt: skip
# Narrower terminals have a block of lines for each row.
WIDE = 92


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Label counts, a target, a sampler and a number of draws."""
    add_prior(parser)
    parser.add_argument(
        "--target",
        metavar="NAME",
        default="softmax",
        help=f"what training should optimise, e.g. softmax (the default), logit-adjusted:1; {EVERY_NAME}",
    )
    parser.add_argument(
        "--sampler",
        metavar="NAME",
        default="within-batch",
        help=f"how negatives are drawn, e.g. within-batch (the default), mixture:0.5, uniform; {EVERY_NAME}",
    )
    parser.add_argument("--m", type=whole_number, default=255, help="the number of negatives of an example (255)")
    parser.add_argument("--batch", type=whole_number, metavar="B", help="examples in a batch (m + 1)")
    parser.add_argument(
        "--scores",
        type=Input,
        metavar="FILE",
        help="log P(y given x) of held-out examples up to a constant, (n, L) in a .npy file, e.g. logits over the "
        "temperature: information is then that of these examples",
    )
    parser.add_argument(
        "--code",
        choices=("torch", "jax", "tensorflow", "numpy"),
        metavar="FRAMEWORK",
        help="print the training loss alone, as code in torch, jax, tensorflow or numpy",
    )
    parser.add_argument(
        "--shift",
        type=Output,
        metavar="FILE",
        help="write what comes off every logit, one number for each label, to a .npy file, for the code of --code",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print whether full softmax fits, the recipe, the prices, and one sentence of advice."""
    import numpy as np

    from implicitloss import names
    from implicitloss.designing.design import design
    from implicitloss.losses import SoftmaxCrossEntropy
    from implicitloss.samplers import WithinBatch
    from implicitloss.weightings import Importance

    prior, batch = prior_of(args), args.m + 1 if args.batch is None else args.batch
    scores = None if args.scores is None else names.scores(args.scores)
    sampler = names.sampler(args.sampler, SoftmaxCrossEntropy(), Importance())
    if batch < 1:
        raise ValueError(f"--batch must be at least 1, got {batch}")
    if isinstance(sampler, WithinBatch) and batch != args.m + 1:
        raise ValueError(
            f"--batch must be m + 1 = {args.m + 1:,} where negatives are the rest of the batch, got {batch:,}"
        )
    found = design(prior, names.margin(args.target), sampler, args.m, scores)
    code = None if args.code is None else found.code(args.code, args.shift or SHIFT)
    if args.shift is not None:
        shift = io.BytesIO()
        np.save(shift, found.shift)
        write_whole(args.shift, shift.getvalue())
    elif code is not None and SHIFT in code:
        say(f"the code reads {SHIFT}: add --shift {SHIFT} to write it")
    if code is not None and args.json is None:
        print(code, end="")
        return HOLDS
    progress = Progress(1)

    def step(done: int, total: int) -> None:
        progress.total = total
        progress(min(done, total - 1), f"the prices of {prior.n_labels:,} labels")

    table = found.alternatives(step if progress.live else None).astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    progress.done()
    values = {
        "labels": prior.n_labels, "target": str(found.target), "scheme": str(found.scheme), "exact": found.is_exact,
        "full_softmax_bytes": BYTES * batch * prior.n_labels, "recipe": found.recipe(), "deviation": found.deviation,
        "information": found.information if found.is_exact else None, "alternatives": rows, "advice": found.advice(),
        "code": code,
    }  # fmt: skip
    if write_json(args.json, values):
        return HOLDS
    if code is not None:
        print(code, end="")
        return HOLDS
    show(f"{prior.n_labels:,} labels ({plain(origin_of(args))}); {found.scheme}")
    if prior.names is not None:
        show(f"Label 0 is {plain(prior.names[0])}, and the last {plain(prior.names[-1])}: the order of the file.")
    if found.eta is not None:
        show(f"Information is that of {len(found.eta):,} examples of {plain(args.scores)}.")
    show(
        f"Full softmax: {batch:,} x {prior.n_labels:,} logits take {_size(BYTES * batch * prior.n_labels)} of float32.",
        f"If that fits, do not sample: {_full(found)}.",
        f"Else: {found.recipe()}",
        "",
    )
    _print_table(rows)
    show("", found.advice())
    return HOLDS


def _full(found: Design) -> str:
    """The loss over all labels with the target's optimum."""
    if not found.is_exact:
        return "log(1 + Σ p_yy' exp(f_y' - f_y)) over all labels"
    from implicitloss.designing.words import delta

    return "cross-entropy of the scores" + ("" if delta(found.target) == "0" else f" + {delta(found.target)}")


def _size(n: int) -> str:
    """Bytes in the unit in which they are few."""
    power = min(int(math.log(n, 1000)), 5)
    return f"{n / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Print the prices, a line each."""
    show(
        "tilt: what the optimum adds to the target's, times log π, where labels are equally likely at x (uniform), as "
        "likely as frequent (prior), or a few are likely (peaked); below 0 rare labels gain.",
        "kept: of an example's information, about a likely label.",
        "draws: for a tilt within 0.01 where a few are likely, and for 9/10 of the tail's information.",
    )
    if any(row["weights"] == "own" for row in rows):
        show("own weights: p/(m q) with the target's margins p.")
    at = {(row["sampler"], row["weights"], row["hits"]): row for row in rows}
    cells = []
    for sampler in dict.fromkeys(row["sampler"] for row in rows):
        found = []
        for weights in dict.fromkeys(row["weights"] for row in rows):
            for hits in SHOWN.get(weights, ("mask",)):
                row = at[sampler, weights, hits]
                numbers = [_number(row[f"off_{place}"], "+.3f") for place in ("uniform", "prior", "peaked")]
                numbers += [_number(row[part], ".2f") for part in ("head", "torso", "tail")]
                numbers += [_number(row[draws], ",.0f") for draws in ("negatives_tilt", "negatives_information")]
                found.append([f"{weights}, {hits}", *numbers])
        cells.append((sampler, found))
    numeric = range(1, 1 + len(NUMBERS))
    if room() < WIDE:
        for sampler, found in cells:
            show("", sampler, "")
            print(table(("weights, hits", *NUMBERS), found, right=numeric))
        return
    groups, names = zip(*(name.split(": ") for name in NUMBERS), strict=True)
    head = ["", *(group if i == 0 or groups[i - 1] != group else "" for i, group in enumerate(groups))]
    flat = [["weights, hits", *names]]
    for sampler, found in cells:
        flat += [[sampler, *[""] * len(NUMBERS)], *([f"  {name}", *numbers] for name, *numbers in found)]
    print(table(head, flat, right=numeric))


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value + 0.0, form).replace("-0.000", "+0.000")
