"""Names of samplers, weightings, margins, losses, profiles and scorers, with parameters: `uniform`, `power:0.75`.

The command line knows them, and so does `Scheme`.  The tables are made from the library's own `examples()`: a new
sampler or weighting has its name here by itself.  `implicitloss names` prints them; a `--help` cannot, for importing
the library takes longer than a help may.

One file: a kind of name is a table and a few makers.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from implicitloss import losses, margins, samplers, scorers, weightings
from implicitloss.arguments import as_word
from implicitloss.formats import unknown
from implicitloss.labels import MOST_SAMPLES, LabelPrior

__all__ = [
    "SCORERS",
    "TABLES",
    "always",
    "claim",
    "loss",
    "margin",
    "meaning",
    "profile",
    "sampler",
    "scorer",
    "scores",
    "usage",
    "weighting",
]

# Powers and margins are exponents; if they are larger, exact sums over their range take minutes.
LARGEST = 1e5


def _number(kind: str, text: str, cast: Callable[[str], Any] = float, largest: float = LARGEST) -> Any:
    """A parameter as a number.  *Raises* ValueError, which names the `kind` of value that needs it."""
    what = "a whole number" if cast is int else "a number"
    try:
        value = cast(text)
    except ValueError:
        raise ValueError(f"{kind} needs {what}, got {text!r}") from None
    if cast is float and not abs(value) <= largest:
        raise ValueError(f"{kind} needs {what} from {-largest:g} to {largest:g}, got {text!r}")
    return value


def _chosen(what: str, text: str, table: Mapping[str, Callable[..., Any]]) -> Any:
    """The value that `NAME:PARAMETER:...` has in a table.

    *Raises* ValueError if the name is unknown, with the nearest one, or if it takes other parameters.
    """
    name, *parameters = text.split(":")
    if name not in table:
        raise ValueError(unknown(what, name, table))
    try:
        inspect.signature(table[name]).bind(*parameters)
    except TypeError:
        takes = [p for p in inspect.signature(table[name]).parameters.values() if p.kind != p.VAR_POSITIONAL]
        fewest, most = sum(p.default is p.empty for p in takes), len(takes)
        number = str(most) if fewest == most else f"{fewest} to {most}"
        plural = "" if number == "1" else "s"
        raise ValueError(f"{what} {name} takes {number} parameter{plural}, got {len(parameters)} in {text!r}") from None
    return table[name](*parameters)


def _explicit(file: str, *rest: str) -> samplers.Sampler:
    """The law q that FILE lists, one probability a line."""
    return samplers.Explicit(_listed("probability", file, *rest))  # type: ignore[arg-type]


def _offsets(file: str, *rest: str) -> margins.Margin:
    """e^{δ_y - δ_y'}, with the offsets δ that FILE lists, one a line"""
    return margins.Offsets(_listed("offset", file, *rest))  # type: ignore[arg-type]


def _listed(what: str, *parts: str) -> list[float]:
    """The numbers of a file, one a line; a path may have colons of its own."""
    path = ":".join(parts)
    try:
        with open(path, encoding="utf-8") as lines:
            numbers = [(i, line.strip()) for i, line in enumerate(lines, 1) if line.strip()]
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file; one {what} a line is needed") from None
    return [_number(f"{path}, line {i}:", line) for i, line in numbers]


def scores(path: str) -> Any:
    """The scores of a .npy file, or of a text file, one a line.  *Raises* ValueError for another file."""
    if not path.endswith(".npy"):
        return _listed("score", path)
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:  # a damaged file fails in many ways
        raise ValueError(f"{path} is not an array file that can be read: {error!s:.100}") from None


def _for_margin(name: str, *parameters: str) -> weightings.Weighting:
    """w_yy' = p_yy' / (m q_y'), the weights whose margins p are those of NAME: a name of --target"""
    return weightings.ForMargin(margin(":".join((name, *parameters))))


def _consistent(name: str = "softmax", *parameters: str) -> weightings.Weighting:
    """w_yy' = p_yy' q_y / q_y', which with hits kept teach softmax with the margins p of NAME, at every m"""
    return weightings.Consistent(margin(":".join((name, *parameters))))


def _table(examples: Iterable[Any], **special: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """A maker for each class of the examples, by the class's word; the numbers among its fields are its parameters.

    `special` has the makers of classes that are made of something else, by the classes' names.
    """
    made = {kind: special.get(kind.__name__) or _from_numbers(kind) for kind in dict.fromkeys(map(type, examples))}
    return {as_word(kind): make for kind, make in made.items() if make is not None}


_CASTS: dict[Any, Callable[[str], Any]] = {"float": float, float: float, "int": int, int: int}


def _from_numbers(kind: type) -> Callable[..., Any] | None:
    """A maker from the numbers among the class's fields; None if it needs something else."""
    word, taken = as_word(kind), [field for field in dataclasses.fields(kind) if field.init]
    fields = [field for field in taken if field.type in _CASTS]
    if any(_is_required(field) for field in taken if field not in fields):
        return None

    def make(*texts: str) -> Any:
        given = zip(fields, texts, strict=False)
        return kind(**{f.name: _number(f"{word}:{f.name.upper()}", text, _CASTS[f.type]) for f, text in given})

    make.__doc__ = kind.__doc__
    place, empty = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.empty
    parameters = [inspect.Parameter(f.name, place, default=empty if _is_required(f) else f.default) for f in fields]
    make.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return make


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _hardest_of(n: str, among: str = "all") -> samplers.Sampler:
    return samplers.HardestOf(_number("hardest-of:N", n, int), among)  # type: ignore[arg-type]


_hardest_of.__doc__ = samplers.HardestOf.__doc__

# The minimum-variance sampler is made for a loss and a margin, by `sampler`.
SAMPLERS: dict[str, Callable[..., samplers.Sampler]] = _table(
    samplers.examples(), Explicit=_explicit, HardestOf=_hardest_of
)
MARGINS: dict[str, Callable[..., margins.Margin]] = _table(margins.examples(), Offsets=_offsets)
WEIGHTINGS: dict[str, Callable[..., weightings.Weighting]] = _table(
    [weighting for weighting in weightings.examples() if type(weighting) is not weightings.ForMargin],
    Consistent=_consistent,
)
WEIGHTINGS["margin"] = _for_margin


def _cosine(margin: str = "0") -> losses.Loss:
    """[f_y' - MARGIN]_+² for a negative, (1 - f_y)² for the positive, on cosines"""
    return losses.Decoupled(losses.cosine_contrastive(_number("cosine:MARGIN", margin)))


def always(value: Any, doc: str | None) -> Callable[..., Any]:
    """A maker without parameters."""
    make = functools.partial(lambda value: value, value)
    make.__doc__ = doc
    return make


def _loss_word(loss: losses.Loss) -> str:
    name = loss.name.removeprefix("decoupled ")
    return {"softmax cross-entropy": "softmax"}.get(name, name).replace(" ", "-")


def _loss_meaning(loss: losses.Loss) -> str | None:
    if isinstance(loss, losses.Decoupled):
        return f"A sum of binary losses, one for each label: {loss.name.removeprefix('decoupled ')}"
    return type(loss).__doc__


# A loss with a parameter has it in brackets in its name, and is made by a function above.
LOSSES: dict[str, Callable[..., losses.Loss]] = {
    _loss_word(loss): always(loss, _loss_meaning(loss)) for loss in losses.examples() if "(" not in loss.name
}
LOSSES["cosine"] = _cosine

SCORERS: dict[str, Callable[..., scorers.Scorer]] = {
    # Scores against the prior are aligned ones with another sign, made by a function of their own.
    scorer.name: always(scorer, getattr(scorers, scorer.name, type(scorer)).__doc__)
    for scorer in scorers.examples()
}


def _counted(kind: str, profile: Callable[[int, int, float], LabelPrior]) -> Callable[..., LabelPrior]:
    def made(labels: str = "100", largest: str = "500", ratio: str = "100") -> LabelPrior:
        whole = _number(f"{kind}:LABELS:LARGEST:RATIO", labels, int), _number(kind, largest, int)
        return profile(*whole, _number(kind, ratio, largest=MOST_SAMPLES))

    made.__doc__ = profile.__doc__
    return made


def _zipf(labels: str, exponent: str = "1") -> LabelPrior:
    return LabelPrior.zipf(_number("zipf:LABELS:EXPONENT", labels, int), _number("zipf", exponent))


_zipf.__doc__ = LabelPrior.zipf.__doc__

PROFILES: dict[str, Callable[..., LabelPrior]] = {
    "exp": _counted("exp", LabelPrior.exp),
    "step": _counted("step", LabelPrior.step),
    "zipf": _zipf,
}

# What each option takes, in the order of a command's help.
TABLES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "--sampler": SAMPLERS,
    "--weighting": WEIGHTINGS,
    "--loss": LOSSES,
    "--target": MARGINS,
    "--profile": PROFILES,
    "--scorer": SCORERS,
}


def usage(name: str, make: Callable[..., Any]) -> str:
    """A name with its parameters, those that may be left out in brackets: `power[:ALPHA]`."""
    taken = [p for p in inspect.signature(make).parameters.values() if p.kind != p.VAR_POSITIONAL]
    words = (f":{p.name.upper()}" if p.default is p.empty else f"[:{p.name.upper()}]" for p in taken)
    return name + "".join(words)


def meaning(make: Callable[..., Any]) -> str:
    """What a name stands for: the first line of its docstring, without what is about Python."""
    said = (make.__doc__ or "").strip().partition("\n")[0].rstrip(" .:;").replace("`", "")
    said = re.sub(r"^Adapt an? (.+?) loss for il\.audit", r"losses of \1", said)
    said = re.sub(r"^Make (the |an? )?", "", said)
    return said if re.match(r"\w[_^]", said) else said[:1].upper() + said[1:]  # a formula stays as it is


def sampler(text: str, loss: losses.Loss, weighting: weightings.Weighting) -> samplers.Sampler:
    """The sampler of a name: `uniform`, `power:0.75`, ...

    `minimum-variance` has the least variance for this loss and the weighting's target.
    """
    target = weighting.target if isinstance(weighting, weightings.ForMargin) else margins.Softmax()
    table = {**SAMPLERS, "minimum-variance": lambda: samplers.MinimumVariance(target, loss)}
    return _chosen("sampler", text, table)


def weighting(text: str) -> weightings.Weighting:
    """The weighting of a name: `constant`, `tail`, `margin:logit-adjusted:0.5`, ..."""
    return _chosen("weighting", text, WEIGHTINGS)


def margin(text: str) -> margins.Margin:
    """The margin of a name: `softmax`, `logit-adjusted:0.5`, `balanced-softmax`, `equalised`, `adaptive`."""
    return _chosen("margin", text, MARGINS)


def claim(text: str) -> margins.Margin | Literal["full"] | None:
    """The claim of a name: `full`, `none`, or a margin; a `scheme` is named by other options."""
    table: dict[str, Callable[..., Any]] = {"full": lambda: "full", "none": lambda: None, "scheme": lambda: None}
    found: margins.Margin | Literal["full"] | None = _chosen("claim", text, table | MARGINS)
    return found


def loss(text: str) -> losses.Loss:
    """The loss of a name: `softmax`, `logistic`, `cosine:0.2`, ..."""
    return _chosen("loss", text, LOSSES)


def profile(text: str) -> LabelPrior:
    """The profile of a name: `exp:100:500:100`, `step:100:500:100`, `zipf:1000:1`."""
    return _chosen("profile", text, PROFILES)


def scorer(text: str) -> scorers.Scorer:
    """The scorer of a name: `gaussian`, `aligned`, `against`, `heavy-tailed`, `class-conditional`."""
    return _chosen("scorer", text, SCORERS)
