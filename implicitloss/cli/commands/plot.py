"""`implicitloss plot`: a picture of schemes of one's own."""

from __future__ import annotations

import argparse
import io
import os
from typing import Any

from implicitloss.cli.arguments import EVERY_NAME, whole_number
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import Output, write_all
from implicitloss.cli.labels import add_prior, prior_of
from implicitloss.cli.progress import busy
from implicitloss.formats import printable, unknown

__all__ = ["add_arguments", "run"]

HELP = "draw where schemes lie, their margins, losses, tilt or gradients, as SVG, PDF or PNG"
EXAMPLES = (
    "implicitloss plot map --scheme within-batch/constant/64 --scheme uniform/tail/64 --counts counts.csv -o map.svg",
    "implicitloss plot tilt --scheme within-batch/unit/1/keep --columns single --latex -o tilt.pdf",
)
# Each kind, and what it shows; each is a function of `il.plot`.
KINDS = {
    "map": "where schemes lie among implicit losses, and which labels gain",
    "margins": "how often each negative counts beside each positive, of one scheme",
    "losses": "expected loss and its bound, as functions of m",
    "gap": "the bound less the expected loss, as a function of m",
    "variance": "the variance of the loss, as a function of m",
    "tilt": "which labels gain, as a function of m",
    "optima": "distances of the best scores from softmax's and from the balanced rule",
    "gradient-bias": "the expected gradient less that of softmax over all labels",
    "inclusion": "how often each label is among the negatives",
}
# Kinds in which m is an axis, so that a scheme's own does not matter.
ALONG_M = ("losses", "gap", "variance", "tilt", "optima")
FORMATS = ("svg", "pdf", "png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The kind of picture, the schemes, the labels and the file."""
    said = "; ".join(f"{kind}: {what}" for kind, what in KINDS.items())
    parser.add_argument("kind", choices=list(KINDS), metavar="KIND", help=said)
    parser.add_argument(
        "--scheme",
        action="append",
        required=True,
        metavar="SAMPLER/WEIGHTING/M[/HITS[/DRAWS]]",
        help="a scheme by names, e.g. within-batch/importance/64 or uniform/tail/64/keep; give it once for each. "
        f"HITS is mask (the default), exclude or keep, DRAWS iid, distinct, set or bernoulli; {EVERY_NAME}",
    )
    parser.add_argument("-o", "--out", type=Output, required=True, metavar="FILE", help="FILE.svg, .pdf or .png")
    parser.add_argument(
        "--columns",
        choices=["single", "double"],
        default="double",
        help="one column of a paper wide, or two (the default)",
    )
    parser.add_argument("--latex", action="store_true", help="write symbols as mathematics")
    add_prior(parser)


def run(args: argparse.Namespace) -> int:
    """Draw, and say where the picture is."""
    form = os.path.splitext(args.out)[1].removeprefix(".").lower()
    if form not in FORMATS:
        raise ValueError(f"-o must be a file that ends with .svg, .pdf or .png, got {args.out!r}")
    schemes = {text: _scheme(text) for text in args.scheme}
    if args.kind == "margins" and len(schemes) > 1:
        raise ValueError(f"a picture of margins is one of one scheme, got {len(schemes)}")
    with busy(f"{args.kind} of {len(schemes)} scheme{'s' * (len(schemes) > 1)}"):
        write_all({args.out: _picture(args, schemes, form)})
    print(printable(args.out))
    return HOLDS


def _picture(args: argparse.Namespace, schemes: dict[str, Any], form: str) -> bytes:
    """The file that shows the schemes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from implicitloss import plot

    drawn = {"gradient-bias": plot.gradient_bias}.get(args.kind) or getattr(plot, args.kind)
    only: Any = next(iter(schemes.values()))
    prior = prior_of(args)
    if args.kind in ("tilt", "optima") and prior.n_occurring < prior.n_labels:
        prior = prior.few(prior.n_occurring)  # both are of labels that occur
    with plt.style.context(plot.style(args.columns)):
        if args.kind == "margins":
            ax = drawn(only, prior, label=args.scheme[0], latex=args.latex)
        else:
            if args.kind in ALONG_M:  # schemes that differ in m alone are one line
                schemes = {_without_m(text): scheme for text, scheme in schemes.items()}
            ax = drawn(schemes, prior, latex=args.latex)
        picture = io.BytesIO()
        ax.get_figure().savefig(picture, format=form, metadata={_DATED[form]: None})
        plt.close(ax.get_figure())
    return picture.getvalue()


_DATED = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}


def _parts(text: str) -> tuple[str, str, int, list[str]]:
    """Sampler, weighting, m, and up to two modes; a sampler may have a path with slashes in it."""
    words = text.split("/")
    for n_modes in range(min(3, len(words))):
        *before, number = words[: len(words) - n_modes]
        if len(before) >= 2 and number[:1].isdigit():
            try:
                m = whole_number(number)
            except argparse.ArgumentTypeError as error:
                raise ValueError(f"M of --scheme {text}, the number of negatives, {error}") from None
            return "/".join(before[:-1]), before[-1], m, words[len(words) - n_modes :]
    raise ValueError(
        "--scheme must be SAMPLER/WEIGHTING/M[/HITS[/DRAWS]], M the number of negatives, e.g. uniform/tail/64, "
        f"got {text!r}"
    )


def _without_m(text: str) -> str:
    """A scheme's name without its m."""
    sampler, weighting, _, modes = _parts(text)
    return "/".join([sampler, weighting, *modes])


def _scheme(text: str) -> Any:
    """The scheme of SAMPLER/WEIGHTING/M[/HITS[/DRAWS]]."""
    from implicitloss.draws import DRAWS
    from implicitloss.scheme import HITS, Scheme

    sampler, weighting, m, modes = _parts(text)
    hits, draws = [*modes, *("mask", "iid")[len(modes) :]]
    if hits not in HITS:
        raise ValueError(unknown("hits", hits, HITS))
    if draws not in DRAWS:
        raise ValueError(unknown("draws", draws, DRAWS))
    return Scheme(sampler, weighting, m=m, hits=hits, draws=draws)
