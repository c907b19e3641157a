"""`implicitloss spectra`: which classes does a linear classifier on these features miss, and why?"""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from implicitloss.cli.arguments import add_json, add_seed, whole_number
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import Input, Output, json_document, write_all
from implicitloss.cli.progress import busy
from implicitloss.formats import plain, unknown

if TYPE_CHECKING:
    from implicitloss.spectral.augment import Augmentation
    from implicitloss.spectral.compare import Encoders
    from implicitloss.spectral.report import SpectralReport

__all__ = ["add_arguments", "run"]

HELP = "say how often a linear classifier on your features misses each class, measured and predicted, and why"
EXAMPLES = (
    "implicitloss spectra features.npz --offsets offsets.txt",
    "implicitloss spectra X.npy y.npy --ridge 10 --plot errors.png",
)
# The kinds of pictures, and what would make two of them differ.
PICTURES: dict[str, dict[str, Any]] = {
    "png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None},
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The features, what to compare them with, and what to write."""
    parser.add_argument(
        "features",
        type=Input,
        metavar="FEATURES",
        help="a file of features and labels: .npz with X (n, d) and y (n,), CSV with a column of labels, Parquet; or "
        ".npy with X alone",
    )
    parser.add_argument(
        "labels",
        type=Input,
        nargs="?",
        metavar="LABELS",
        help="a file of the labels, if FEATURES has none: .npy or text",
    )
    parser.add_argument("--label-column", metavar="NAME", help="the column of labels of a table that has several")
    parser.add_argument(
        "--ridge",
        metavar="LAMBDA",
        default="loo",
        help="λ of Σ ½ |W x + b - e_y|² + (λ/2) |W|²; by default the one that leave-one-out chooses",
    )
    parser.add_argument(
        "--compare", type=Input, nargs="+", metavar="FILE", help="features of the same samples, made by other encoders"
    )
    parser.add_argument(
        "--augment",
        metavar="NAME",
        help="predict what noise in training changes: noise:VARIANCE for each feature, or dropout:RATE",
    )
    parser.add_argument("--gap", nargs=2, metavar="CLASS", help="split the gap between two classes in its four parts")
    parser.add_argument("--rows", type=whole_number, metavar="N", help="list the N worst classes")
    add_seed(parser)
    parser.add_argument("--markdown", type=Output, metavar="FILE", help="write the report to FILE as Markdown too")
    parser.add_argument(
        "--offsets",
        type=Output,
        metavar="FILE",
        help="write the offsets by which softmax misses all classes equally often, one a line, as `offsets:FILE` reads "
        "them: e.g. --weighting margin:offsets:FILE of other commands",
    )
    parser.add_argument(
        "--plot", type=Output, metavar="FILE", help=f"draw measured and predicted errors, as {', '.join(PICTURES)}"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the report, and what was asked for besides; write the files."""
    kind = _kind(args.plot)
    augment = None if args.augment is None else _augment(args.augment)
    with busy("errors and spectra of the classes"):
        report, encoders = _found(args, augment)
    gap = None if args.gap is None else report.gap(*args.gap)
    said = [report.to_text(args.rows), *(str(part) for part in (gap, encoders) if part is not None)]
    made: dict[str, str | bytes] = {}
    if args.json is not None:
        others = {"comparison": None if encoders is None else encoders.to_dict()["encoders"]}
        parts = None if gap is None else {**vars(gap), "total": gap.total}
        made[args.json] = json_document({**report.to_dict(), **others, "gap_between": parts})
    if args.markdown is not None:
        made[args.markdown] = "\n".join([report.to_markdown(), *([] if encoders is None else [encoders.to_markdown()])])
    if args.offsets is not None:
        made[args.offsets] = "".join(f"{delta!r}\n" for delta in report.offsets().delta.tolist())
    if args.plot is not None:
        made[args.plot] = _picture(report, kind)
    on_stdout = made.pop("-", None)
    write_all(made)
    if on_stdout is not None:
        sys.stdout.write(str(on_stdout))
        return HOLDS
    print("\n\n".join(said))
    return HOLDS


def _found(args: argparse.Namespace, augment: Augmentation | None) -> tuple[SpectralReport, Encoders | None]:
    """The report, and the comparison if there is one."""
    from implicitloss.spectral.compare import compare
    from implicitloss.spectral.diagnose import diagnose

    given: dict[str, Any] = {"ridge": _ridge(args.ridge), "rng": args.seed, "label": args.label_column}
    report = diagnose(args.features, args.labels, augment=augment, **given)
    if args.compare is None:
        return report, None
    files = [args.features, *args.compare]
    names = [os.path.splitext(os.path.basename(file))[0] for file in files]
    encoders = dict(zip(names if len(set(names)) == len(names) else files, files, strict=True))
    if len(encoders) < len(files):
        raise ValueError("--compare must name other files, got one of them twice")
    return report, compare(encoders, args.labels, **given)


def _ridge(text: str) -> Any:
    if text == "loo":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--ridge must be loo or a number, got {text!r}") from None


def _augment(text: str) -> Augmentation:
    """The augmentation of a name: `noise:0.05`, `dropout:0.5`."""
    from implicitloss.spectral.augment import Dropout, Noise

    name, _, number = text.partition(":")
    kinds: dict[str, Any] = {"noise": Noise, "dropout": Dropout}
    if name not in kinds:
        raise ValueError(unknown("augmentation", name, kinds))
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"--augment {name} must have a number, e.g. {name}:0.05, got {text!r}") from None
    made: Augmentation = kinds[name](value)
    return made


def _kind(path: str | None) -> str:
    """The kind of picture that a file's name says."""
    if path in (None, "-"):
        if path == "-":
            raise ValueError("--plot must be a file, for a picture is no text, got -")
        return ""
    kind = os.path.splitext(str(path))[1].removeprefix(".").lower()
    if kind not in PICTURES:
        raise ValueError(f"--plot must be a file .{', .'.join(PICTURES)}, got {plain(path)}")
    return kind


def _picture(report: SpectralReport, kind: str) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "implicitloss"}):
        figure = report.plot().figure
        figure.savefig(file, format=kind, dpi=150, metadata=PICTURES[kind])
    plt.close(figure)
    return file.getvalue()
