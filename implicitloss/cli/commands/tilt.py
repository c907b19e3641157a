"""`implicitloss tilt`: which labels does a scheme favour, frequent or rare ones?"""

from __future__ import annotations

import argparse
import math

from implicitloss.cli.arguments import add_json, add_scheme, scheme_of, whole_number
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import write_json
from implicitloss.cli.labels import add_prior, origin_of, prior_of
from implicitloss.cli.progress import Progress
from implicitloss.cli.text import show
from implicitloss.formats import plain

__all__ = ["add_arguments", "run"]

HELP = "say which labels a scheme favours, frequent or rare ones: the slope of the best scores on log label frequency"
EXAMPLES = (
    "implicitloss tilt --sampler within-batch --weighting importance --m 255 --hits mask --counts counts.csv",
    "implicitloss tilt --sampler uniform --weighting tail --m 64 --hits mask --profile zipf:100000:1",
)
# A tilt this close to 0 is called equal to that of softmax over all labels.
EQUAL_WITHIN = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A scheme and label counts."""
    add_scheme(parser, with_loss=False)
    add_prior(parser)
    parser.add_argument(
        "--labels",
        type=whole_number,
        metavar="N",
        help="compute with N labels, evenly from the most frequent to the rarest (default: all that occur)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tilts of the true sampled loss and of its bound, and what they mean."""
    from implicitloss.losses import SoftmaxCrossEntropy
    from implicitloss.optima.population import Of
    from implicitloss.optima.tilt import tilt

    scheme, prior = scheme_of(args, SoftmaxCrossEntropy()), prior_of(args)
    n_labels = prior.n_labels
    if args.labels is not None or prior.n_occurring < n_labels:
        prior = prior.few(prior.n_occurring if args.labels is None else args.labels)
    progress = Progress(2)
    tilts: dict[Of, float] = {"sampled": math.nan, "implicit": math.nan}
    for i, of in enumerate(tilts):
        if progress.live:
            progress(i, f"the optimum of the {of} loss, {prior.n_labels:,} labels")
        tilts[of] = tilt(scheme, prior, of=of)
    progress.done()
    true, bound = tilts.values()
    gains = "neither" if abs(true) < EQUAL_WITHIN else "frequent" if true > 0 else "rare"
    values = {"scheme": str(scheme), "labels": prior.n_labels, "tilt": {"true": true, "bound": bound}, "gains": gains}
    if write_json(args.json, values):
        return HOLDS
    show(f"{scheme}; softmax cross-entropy")
    over = f"all {n_labels:,}" if prior.n_labels == n_labels else f"{prior.n_labels:,} of {n_labels:,}"
    show(
        f"{over} labels ({plain(origin_of(args))}), equally likely at x",
        f"tilt, the slope of the best scores on log label frequency: {_signed(true)}; by the bound: {_signed(bound)}",
        "0: as softmax over all labels; -1: the balanced rule, which is fair to rare labels",
    )
    show({
        "neither": "Neither frequent nor rare labels gain.",
        "frequent": f"Frequent labels gain: to predict the likeliest label take {true:.3g} log π off the scores.",
        "rare": f"Rare labels gain: to predict the likeliest label add {-true:.3g} log π to the scores.",
    }[gains])  # fmt: skip
    return HOLDS


def _signed(tilt: float) -> str:
    """Four digits; what rounds to 0 has a plus."""
    return f"{round(tilt, 4) + 0.0:+.4f}"
