"""The command lines under arguments and files that nobody means, and under honest ones: they keep house.

Seeded.  Each call is made in this process.  About half of the calls are as a user would make them, so that many get
inside; the others have some arguments replaced by extremes or garbage, or a file damaged.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from analysis.__main__ import main as analyse
from figures import __main__ as figures
from figures.__main__ import main as draw
from implicitloss.cli.main import main as implicitloss
from implicitloss.teaching import document
from paper_checks.__main__ import main as paper_checks

SECONDS = 60  # no call needs one of them
SENTENCE = 300
# Names of labels that steer terminals, pages, tables and formulas where they are not taken as text.
NAMES = (
    "cat", "dog", "<script>alert(1)</script>", "[x](javascript:alert(1))", "a|b", "\x1b[31mred", "{{script}}", "]]>",
    "\x9b2J", "\u202eright to left", "$x$ $\\frac$", "`code` \\|", "two\nlines", 'quo"te, comma', "=1+1", "é 中 👩‍🚒",
    "7", "\x07\x08", "# head", "![i](x)", "_", "www.example.org", "&lt;b&gt;",
)  # fmt: skip
GARBAGE = (
    "", " ", "-", "--", "-1", "0", "1", "nan", "inf", "-inf", "1e400", "1e308", "-1e-320", "9" * 25, "9" * 5000,
    "1_000", "１２", "0x10", "3.5", "None", "true", "é", "\udc80", "\x1b[31m", "a" * 3000, "../..", "/dev/null", "{}",
    "%s%n", "💥", "gaussian:2", "power:", "power:nan", ":", "::", "explicit:", "explicit:nowhere", "zipf:5",
    "logit-adjusted:inf", "*", "~", "a\nb",
)  # fmt: skip
NUMBERS = ("0", "-1", "1", "2", "0.5", "50", "700", "1e5", "1e154", "1e308", "1e-320", "-1e308", "nan", "inf", "x", "")
WHOLE = ("0", "-1", "1", "2", "3", "1000", "1000000", "999999999999", "1000000000001", "9" * 30, "1e3", "x")
# What is allowed, by far, or nearly: by option.
EXTREMES = {
    "--sampler": ("power:", "mixture:", "uniform:", "model-based:", "minimum-variance", "explicit:law.txt"),
    "--weighting": ("margin:logit-adjusted:", "margin:adaptive:", "margin:softmax", "unit:", "relative", "tail"),
    "--loss": ("cosine:", "squared-hinge", "hinge", "logistic:", "softmax"),
    "--m": WHOLE,
    "--hits": ("exclude", "mask", "keep", "Mask"),
    "--scorer": ("gaussian:", "aligned:", "against:", "heavy-tailed:", "class-conditional:", "aligned"),
    "--profile": ("zipf:1:", "zipf:2:", "zipf:5:", "zipf:50000:1", "exp:1:1:1", "exp:4:9e9:2", "zipf:99999999999:1",
                  "step:3:9007199254740992:1", "exp:5:3000000000000:3000000000000", "step:2:1:1", "exp:7:500:"),
    "--positive": ("0", "1", "-1", "4", "cat", "7", "1e3", ""),
    "--runs": WHOLE,
    "--seed": WHOLE,
    "--threads": WHOLE,
    "--temperature": NUMBERS,
    "--tolerance": NUMBERS,
    "--resolution": NUMBERS,
    "--form": ("softmax", "logistic", "hinge"),
    "--framework": ("numpy", "torch", "tensorflow", "jax", "mxnet"),
    "--claim": ("full", "none", "scheme", "adaptive:", "logit-adjusted:", "softmax"),
    "--target": ("adaptive:", "logit-adjusted:", "softmax"),
    "--jobs": WHOLE,
    "--backend": ("threading", "nothing", "dask"),
    "--ridge": ("loo", *NUMBERS),
    "--augment": ("noise:", "dropout:", "noise", "nose:1"),
    "--rows": WHOLE,
}  # fmt: skip
SCHEME = ("--sampler", "--weighting", "--m", "--hits")
PROBLEM = ("--profile", "--scorer", "--positive", "--seed")
OPTIONS = {
    "derive": (*SCHEME, "--loss"),
    "expect": (*SCHEME, *PROBLEM, "--loss"),
    "simulate": (*SCHEME, *PROBLEM, "--loss", "--runs"),
    "verify": (*SCHEME, *PROBLEM, "--threads", "--target"),
    "audit": (*SCHEME, "--profile", "--runs", "--seed", "--temperature", "--tolerance", "--resolution", "--form",
              "--framework", "--claim"),
    "design": ("--sampler", "--m", "--target", "--profile"),
    "spectra": ("--ridge", "--augment", "--rows", "--seed"),
    "table": ("--hits",),
    "paper_checks": ("--seed", "--threads"),
    "analysis": ("--jobs", "--backend"),
}  # fmt: skip
SAMPLERS = (
    *("uniform", "within-batch", "model-based", "power:0.5", "log-uniform", "mixture:0.3", "minimum-variance"),
    "hardest-of:3",
)
LOSSES = """
import sys

import numpy as np

VALUE = 3


def full(scores, positive, rng):
    f_y = np.take_along_axis(scores, positive[:, None], axis=1)
    return np.log(np.exp(scores - f_y).sum(axis=1))


def sampled(scores, positive, rng):
    negatives = rng.integers(scores.shape[1], size=(len(positive), 4))
    f = np.take_along_axis(scores, negatives, axis=1)
    f_y = np.take_along_axis(scores, positive[:, None], axis=1)
    return np.log1p(np.exp(np.where(negatives == positive[:, None], -np.inf, f) - f_y).sum(axis=1))


def loud(scores, positive, rng):
    print("a loss that prints")
    return full(scores, positive, rng)


def broken(scores, positive, rng):
    raise KeyError("\\x1b[31m" + "long " * 200)


def leaving(scores, positive, rng):
    sys.exit(0)


def nothing(scores, positive, rng):
    return None


def infinite(scores, positive, rng):
    return np.full(len(positive), np.inf)


def mean(scores, positive, rng):
    return full(scores, positive, rng).mean()


def two(scores, positive):
    return 1
"""
TABLE = "margins"  # the study whose table figures are drawn from

Rng = np.random.Generator


class Hang(BaseException):
    """Not an Exception, lest it be taken for an error of the call."""


@dataclass
class Tally:
    """What came of the calls."""

    codes: Counter[object] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    slowest: float = 0.0
    slow: list[str] = field(default_factory=list)

    def wrong(self, kind: str, argv: list[str], what: str) -> None:
        self.kinds[kind] += 1
        self.examples.setdefault(kind, []).append(f"{argv!r:.600}: {what[-400:]}")


# --- files ----------------------------------------------------------------------------------------------------------


def counts_of(rng: Rng) -> str:
    """A counts file as a user may have it."""
    names = [str(name) for name in rng.permutation(NAMES)[: rng.integers(5, 10)]]
    counts = rng.permutation([2000, 900, 300, 120, 60, 25, 8, 3, 1])[: len(names)]
    if rng.random() < 0.2:
        counts[-1] = 0
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([["label", "count"], *zip(names, counts.tolist(), strict=True)])
    return text.getvalue()


def damaged(data: bytes, rng: Rng) -> bytes:
    """The same with something wrong, or nothing."""
    lines = data.split(b"\n")
    i = int(rng.integers(len(lines)))
    odd = str(rng.choice(np.array([g for g in GARBAGE if len(g) < 100]))).encode(errors="replace")
    at = int(rng.integers(len(data) + 1))
    kinds: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[:at] + bytes(rng.integers(0, 256, size=3, dtype=np.uint8)) + data[at:],
        lambda: data[:at] + bytes(rng.integers(0, 256, size=9, dtype=np.uint8)) + data[at + 9 :],
        lambda: b"\n".join([*lines[:i], odd, *lines[i:]]),
        lambda: b"\n".join([*lines[:i], lines[i], lines[i], *lines[i + 1 :]]),
        lambda: re.sub(rb"\d+", lambda found: odd if rng.random() < 0.2 else found[0], data),
        lambda: data.replace(b"\n", b"\r\n"),
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data.decode(errors="replace").encode("utf-16"),
        lambda: data.replace(b",", b";"),
        lambda: b"",
        lambda: data + b"\x00" * 50,
        lambda: data.replace(b"\n", b"\n\n"),
    ]
    return kinds[int(rng.integers(len(kinds)))]()


def data_of(rng: Rng, form: str) -> bytes:
    """What the studies read: examples as .npz or in the extreme-classification format."""
    if form == "npz":
        file = io.BytesIO()
        np.savez(file, X=rng.standard_normal((6, 2)), y=np.arange(6) % 3)
        return file.getvalue()
    return b"3 2 2\n0 0:1.0\n1 1:0.5\n0,1 0:0.2 1:0.1\n"


def features_of(rng: Rng, form: str) -> bytes:
    """Features of three classes with names as users have them, as .npz or as CSV."""
    y = np.repeat(rng.permutation(NAMES)[:3], 5)
    X = rng.standard_normal((15, 4)) + (y == y[0])[:, None]
    if form == "npz":
        file = io.BytesIO()
        np.savez(file, X=X, y=y)
        return file.getvalue()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(
        [["a", "b", "c", "d", "label"], *([*row, label] for row, label in zip(X.round(3), y, strict=True))]
    )
    return text.getvalue().encode(errors="replace")


# --- calls ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A command line, the files that it writes as JSON and the like, and whether JSON alone is on stdout."""

    program: str
    argv: list[str]
    outputs: dict[str, str]
    json_on_stdout: bool = False


class Generator:
    """Draws calls; its files lie in `folder`."""

    def __init__(self, rng: Rng, folder: Path) -> None:
        self.rng, self.folder, self.n = rng, folder, 0

    def one(self, *values: str) -> str:
        return values[int(self.rng.integers(len(values)))]

    def happens(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def file(self, name: str, data: bytes, bad: bool) -> str:
        path = self.folder / name
        path.write_bytes(damaged(data, self.rng) if bad else data)
        return name

    def scores(self, shape: tuple[int | str, ...], bad: bool) -> str:
        """Scores of six labels, or of several examples: an array file, or text with one a line."""
        found = self.rng.standard_normal((*map(int, shape), 6 if not bad or self.happens(0.8) else 5))
        if not shape and self.happens(0.3):
            return self.file("scores.txt", "\n".join(map(str, found)).encode(), bad and self.happens(0.5))
        file = io.BytesIO()
        np.save(file, found)
        return self.file("scores.npy", file.getvalue(), bad and self.happens(0.5))

    def scheme(self) -> list[str]:
        sampler = self.one(*SAMPLERS)
        weighting = self.one("constant", "unit", "importance", "relative", "tail", "margin:logit-adjusted:0.5")
        if sampler == "minimum-variance":
            weighting = "importance"
        hits = self.one("exclude", "mask", "keep")
        return ["--sampler", sampler, "--weighting", weighting, "--m", self.one("1", "2", "8", "64"), "--hits", hits]

    def source(self, bad: bool) -> list[str]:
        if self.happens(0.5):
            return ["--profile", self.one("zipf:6:1", "exp:8:200:20", "step:6:90:9", "zipf:5:0")]
        name = "own.csv" if self.happens(0.8) else "own\x1b[31m (1).csv"
        return ["--counts", self.file(name, counts_of(self.rng).encode(), bad and self.happens(0.5))]

    def problem(self, bad: bool) -> list[str]:
        scorer = self.one("gaussian", "aligned", "against", "heavy-tailed", "class-conditional")
        return [*self.source(bad), "--scorer", scorer]

    def call(self) -> Call:
        self.n += 1
        bad = self.happens(0.5)
        shares = {
            "expect": 30, "simulate": 14, "derive": 8, "verify": 8, "audit": 16, "design": 4, "teach": 4, "table": 1,
            "spectra": 8, "paper_checks": 10, "analysis": 6, "figures": 1, "nothing": 2,
        }  # fmt: skip
        command = str(self.rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
        program = command if command in ("paper_checks", "analysis", "figures") else "implicitloss"
        made: Call = getattr(self, f"_{command}")(program, bad)
        return Call(program, self.replaced(program, made.argv) if bad else made.argv, made.outputs, made.json_on_stdout)

    def replaced(self, program: str, argv: list[str]) -> list[str]:
        """Some options at their extremes, and some arguments replaced, left out, doubled or added."""
        argv = list(argv)
        options = OPTIONS.get(argv[0] if argv and argv[0] in OPTIONS else program, ())
        for _ in range(int(self.rng.integers(0, 3)) if options else 0):
            option = self.one(*options)
            value = self.one(*EXTREMES[option])
            value += self.one(*NUMBERS) if value.endswith(":") else ""
            if option in argv:
                argv[argv.index(option) + 1] = value
            else:
                argv += [option, value]
        for _ in range(int(self.rng.choice([0, 0, 1, 2]))):
            i = int(self.rng.integers(len(argv))) if argv else 0
            # What was asked to be written, and where, is kept: it is looked at.
            if argv and argv[max(i - 1, 0)] in ("--json", "--html", "--junit", "--markdown", "--out", "--tables"):
                continue
            kind = self.one("garbage", "garbage", "garbage", "suffix", "less", "twice", "more")
            if kind == "garbage" and argv:
                argv[i] = self.one(*GARBAGE)
            elif kind == "suffix" and argv:
                argv[i] += ":" + self.one(*GARBAGE)
            elif kind == "less" and argv and not argv[i].startswith("--json"):
                del argv[i]
            elif kind == "twice" and argv:
                argv.insert(i, argv[i])
            else:
                argv.insert(i, self.one("--seed", "--bogus", "--full", "--threads", *GARBAGE))
        if program == "paper_checks" and not any("2021" in argument for argument in argv):
            # All claims would take minutes.
            argv.append("rawat2021.section2.eq6")
        return argv

    def reports(self, program: str, argv: list[str], files: tuple[str, ...]) -> Call:
        """The same call, with reports to files of their own or JSON on stdout."""
        outputs = {}
        for form in ("json", "junit", "html", "markdown"):
            if self.happens(0.25):
                # Over an input or another report, sometimes: to be refused.
                path = self.one(*files) if files and self.happens(0.15) else f"report-{self.n}.{form}"
                argv, outputs[form] = [*argv, f"--{form}", path], path
        if "json" not in outputs and self.happens(0.15):
            return Call(program, [*argv, "--json", "-"], outputs, True)
        return Call(program, argv, outputs)

    def _derive(self, program: str, bad: bool) -> Call:
        loss = self.one("softmax", "logistic", "hinge", "cosine:0.2")
        argv = ["derive", *self.scheme(), "--loss", loss, "--format", self.one("text", "latex")]
        return self.with_json(program, argv, ())

    def with_json(self, program: str, argv: list[str], files: tuple[str, ...]) -> Call:
        """The same call with JSON on stdout, in a file, over an input (to be refused), or without."""
        form = self.one("--json", "-", "file", "none")
        if form == "file":
            path = self.one(*files) if files and self.happens(0.15) else f"report-{self.n}.json"
            return Call(program, [*argv, "--json", path], {"json": path})
        more = {"--json": ["--json"], "-": ["--json", "-"], "none": []}[form]
        return Call(program, [*argv, *more], {}, bool(more))

    def _numbers(self, program: str, command: list[str], bad: bool) -> Call:
        loss = self.one("softmax", "softmax", "logistic", "hinge", "squared-hinge", "cosine:0.1")
        seed = ["--seed", self.one("0", "1", "12345678901234567890")] if self.happens(0.3) else []
        problem = self.problem(bad)
        argv = [*command, *self.scheme(), *problem, "--loss", loss, *seed]
        return self.with_json(program, argv, tuple(problem[1:2]) if problem[0] == "--counts" else ())

    def _expect(self, program: str, bad: bool) -> Call:
        return self._numbers(program, ["expect"], bad)

    def _simulate(self, program: str, bad: bool) -> Call:
        return self._numbers(program, ["simulate", "--runs", self.one("2", "50", "500")], bad)

    def _verify(self, program: str, bad: bool) -> Call:
        scheme, problem = self.scheme(), self.problem(bad)
        inputs = tuple(problem[1:2]) if problem[0] == "--counts" else ()
        if self.happens(0.1):
            law = self.file("own-law.txt", b"0.5\n0.25\n0.125\n0.0625\n0.03125\n0.03125\n", bad)
            scheme[1], problem, inputs = f"explicit:{law}", ["--profile", "zipf:6:1"], (law,)
        target = ["--target", self.one("softmax", "equalised", "adaptive:0.5")] if self.happens(0.3) else []
        return self.reports(program, ["verify", *scheme, *problem, *target, "--seed", "3"], inputs)

    def _audit(self, program: str, bad: bool) -> Call:
        good = ("full", "sampled", "loud")
        function = (
            self.one(*good, "broken", "leaving", "nothing", "infinite", "mean", "two", "VALUE")
            if bad
            else self.one(*good)
        )
        module = "fuzzed_losses"
        if bad and self.happens(0.2):
            module = f"damaged_{self.n}"
            self.file(f"{module}.py", LOSSES.encode(), True)
        claim = ["--claim", self.one("full", "none", "logit-adjusted:0.5", "equalised")]
        if self.happens(0.2):
            claim = ["--sampler", "uniform", "--weighting", "unit", "--m", "4", "--hits", "mask"]
        source = self.source(bad)
        if self.happens(0.2):
            source = ["--profile", "zipf:6:1", "--scores", self.scores(() if self.happens(0.9) else (2,), bad)]
        argv = ["audit", f"{module}:{function}", *claim, *source, "--runs", self.one("40", "150")]
        outputs = {}
        if self.happens(0.4):
            files = [f"{module}.py", *(source[1:2] if source[0] == "--counts" else [])]
            outputs["markdown"] = self.one(*files) if self.happens(0.2) else f"audit-{self.n}.md"
            argv += ["--markdown", outputs["markdown"]]
        extra = self.one("--json", "--json", "--explain", "--one-by-one", "--framework")
        argv += [extra, self.one("torch", "numpy", "jax")] if extra == "--framework" else [extra]
        return Call(program, argv, outputs, extra == "--json")

    def _design(self, program: str, bad: bool) -> Call:
        source = self.source(bad)
        if self.happens(0.6):
            source = ["--profile", "zipf:6:1", "--scores", self.scores((self.one("2", "3"),), bad)]
        scheme = ["--sampler", self.one("within-batch", "uniform", "mixture:0.5"), "--m", self.one("1", "8")]
        argv = ["design", *source, "--target", self.one("softmax", "logit-adjusted:1"), *scheme]
        return self.with_json(program, argv, (source[1],) if source[0] == "--counts" else ())

    def _teach(self, program: str, bad: bool) -> Call:
        counts = self.file("own.csv", counts_of(self.rng).encode(), bad)
        out = self.one("own.csv", "./own.csv", "linked.csv") if self.happens(0.2) else f"page-{self.n}.html"
        return Call(program, ["teach", "--counts", counts, "--out", out], {"page": out})

    def _spectra(self, program: str, bad: bool) -> Call:
        form = self.one("npz", "csv")
        file = self.file(f"features.{form}", features_of(self.rng, form), bad and self.happens(0.5))
        argv = ["spectra", file, "--ridge", self.one("loo", "1", "30")]
        argv += ["--augment", self.one("noise:0.1", "dropout:0.5")] if self.happens(0.3) else []
        outputs = {}
        if self.happens(0.3):
            outputs["markdown"] = file if self.happens(0.2) else f"spectra-{self.n}.md"
            argv += ["--markdown", outputs["markdown"]]
        return Call(program, [*argv, *(["--json"] if (alone := self.happens(0.3)) else [])], outputs, alone)

    def _table(self, program: str, bad: bool) -> Call:
        return self.with_json(program, ["table", "--hits", self.one("exclude", "mask", "keep")], ())

    def _nothing(self, program: str, bad: bool) -> Call:
        return Call(program, [self.one("--help", "--version", "expect", "", *GARBAGE)], {})

    def _paper_checks(self, program: str, bad: bool) -> Call:
        one = self.one("rawat2021.section2.eq3-eq4", "rawat2021.section2.eq6", "rawat2021.table2.uniform-constant")
        kind = self.one("run", "run", "list", "explain")
        if kind != "run":
            return Call(program, ["--list", one[:12]] if kind == "list" else ["explain", one], {})
        counts = []
        if self.happens(0.5):
            counts = ["--counts", self.file("own.csv", counts_of(self.rng).encode(), bad)]
        return self.reports(program, [one, *counts], tuple(counts[1:]))

    def _analysis(self, program: str, bad: bool) -> Call:
        out = f"out-{self.n}"
        if bad and self.happens(0.6):
            name, form = ("longtail", "npz") if self.happens(0.5) else ("retrieval", "txt")
            files = [self.file(f"{part}.{form}", data_of(self.rng, form), True) for part in ("train", "test")]
            return Call(program, [name, "--quick", "--data", *files, "--out", out], {})
        counts = self.file("own.csv", counts_of(self.rng).encode(), bad)
        return Call(program, [TABLE, "--quick", "--counts", counts, "--out", out], {"json": f"{out}/{TABLE}.json"})

    def _figures(self, program: str, bad: bool) -> Call:
        tables = self.folder / f"tables-{self.n}"
        tables.mkdir()
        table = (self.folder / "table.csv").read_bytes()
        (tables / f"{TABLE}.csv").write_bytes(damaged(table, self.rng) if bad else table)
        return Call(program, [TABLE, "--tables", tables.name], {})


# --- what must hold ---------------------------------------------------------------------------------------------------


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def is_error(line: str) -> bool:
    """Whether a line of stderr is neither progress nor a note."""
    notes = r"\[ *\d+/\d+\] |\w+: \d+ of \d+ points|--details|a loss that prints|.+\.py, line \d+, in "
    return not re.match(notes, line) and "count 0 in" not in line and "; --counts FILE gives yours" not in line


def steering(text: str) -> list[str]:
    """Characters that a terminal obeys."""
    return [c for c in text if not c.isprintable() and c not in "\n\u200c\u200d"]


def marked_up(text: str) -> bool:
    """Whether Markdown has the names' markup outside code."""
    text = re.sub(r"(`+)(?:[^`].*?[^`]|[^`])\1(?!`)", "", text)
    return bool(re.search(r"<script|(?<!\\)\]\(|<b>", text))


def checked(call: Call, code: object, out: str, err: str, before: dict[str, bytes], folder: Path, tally: Tally) -> None:
    argv, after = [call.program, *call.argv], contents(folder)
    if code not in (0, 1, 2, 5):
        tally.wrong(f"exit code {code}", argv, err)
        return
    if "Traceback" in err + out:
        tally.wrong("traceback", argv, err)
    errors = [line for line in err.splitlines() if is_error(line)]
    if len(errors) != (code in (2, 5)):
        tally.wrong(f"{'no' if not errors else 'more than one'} sentence with exit code {code}", argv, err)
    # A terminal that has only ASCII shows other characters by their numbers.
    if any(len(re.sub(r"\\(x..|u....|U........)", "?", line)) > SENTENCE for line in errors):
        tally.wrong("sentence too long", argv, err)
    if steering(out) or steering(err):
        tally.wrong("terminal is steered", argv, ascii(steering(out) or steering(err)))
    changed = [name for name in before if after.get(name) != before[name]]
    if changed:
        tally.wrong("an input is changed", argv, f"{changed}")
    new = set(after) - set(before)
    if any(name.endswith(".part") for name in new) or (code == 2 and new):
        tally.wrong("something is left behind", argv, f"{new}")
    if code not in (0, 1) or "-h" in call.argv or "--help" in call.argv:
        return
    try:
        if call.json_on_stdout:
            strict(out)
    except ValueError as error:
        tally.wrong("invalid JSON", argv, f"{error}: {out[:200]}")
    for form, path in call.outputs.items():
        text = after[path].decode() if path in after else ""
        try:
            if form == "json":
                strict(text)
            elif form == "junit":
                ElementTree.fromstring(text)
        except (ValueError, ElementTree.ParseError) as error:
            tally.wrong(f"invalid {form}", argv, f"{error}: {text[:200]}")
        if form == "html" and (text.count("<script") != bool(text) or "<img" in text):  # one script is the report's own
            tally.wrong("markup in HTML", argv, text[:200])
        if form == "markdown" and marked_up(text):
            tally.wrong("markup in Markdown", argv, text)
        if form == "page" and text.count("</script>") != 2:
            tally.wrong("markup in the page", argv, "")


PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "implicitloss": implicitloss,
    "paper_checks": paper_checks,
    "analysis": analyse,
    "figures": draw,
}


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang

    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def fuzz(n: int, rng: Rng, folder: Path) -> Tally:
    """`n` calls, in `folder`, which is the working folder."""
    tally = Tally()
    (folder / "fuzzed_losses.py").write_text(LOSSES)
    (folder / "own.csv").write_text("label,count\na,9\nb,5\nc,2\n")
    (folder / "law.txt").write_text("0.5\n0.25\n0.125\n0.0625\n0.0625\n")
    (folder / "linked.csv").symlink_to("own.csv")
    assert analyse([TABLE, "--quick", "--out", "table"]) == 0
    (folder / "table.csv").write_bytes((folder / "table" / f"{TABLE}.csv").read_bytes())
    generator = Generator(rng, folder)
    for _ in range(n):
        call = generator.call()
        before = contents(folder)
        encoding = generator.one("utf-8", "utf-8", "ascii")
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2))
        start = time.perf_counter()
        code: object
        try:
            with alarm(SECONDS), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = PROGRAMS[call.program](call.argv)
        except Hang:
            code = "hang"
        except SystemExit as stop:
            code = stop.code or 0
        except Exception as error:
            code = f"escaped {type(error).__name__}"
        took = time.perf_counter() - start
        if took > tally.slowest:
            tally.slowest, tally.slow = took, [call.program, *call.argv]
        texts = []
        for stream in (out, err):
            with contextlib.suppress(UnicodeEncodeError):
                stream.flush()
            texts.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
        tally.codes[code] += 1
        name = call.argv[0] if call.program == "implicitloss" and call.argv else call.program
        tally.calls[name if name.isalpha() and name.isascii() and len(name) < 12 else call.program] += 1
        checked(call, code, *texts, before, folder, tally)
        for path in folder.iterdir():
            if re.match(r"(report|audit|page|spectra)-|damaged_", path.name):
                path.unlink()
        sys.modules.pop(f"damaged_{generator.n}", None)
    return tally


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # What takes seconds and has nothing to do with arguments.
    monkeypatch.setattr(document, "vectors", list)
    monkeypatch.setattr(document, "derivations", dict)
    monkeypatch.setattr(figures, "FORMATS", ("svg",))
    return tmp_path


def stands(tally: Tally, n: int) -> None:
    shown = "\n".join(f"{kind} ({tally.kinds[kind]}): {found[0]}" for kind, found in tally.examples.items())
    assert not tally.kinds, shown
    assert tally.codes[0] >= 0.3 * n, tally.codes


def test_whatever_comes_the_command_lines_keep_house(folder: Path, rng: Rng) -> None:
    stands(fuzz(40, rng, folder), 40)


@pytest.mark.slow
def test_thousands_of_calls(folder: Path, rng: Rng) -> None:
    tally = fuzz(5000, rng, folder)
    print(dict(tally.codes), dict(tally.calls), f"slowest {tally.slowest:.1f} s: {tally.slow}")
    stands(tally, 5000)
