"""The names by which the command line knows samplers, weightings, margins, losses, profiles and scorers."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from implicitloss import losses, margins, samplers, scorers, weightings
from implicitloss.arguments import as_word
from implicitloss.labels import MOST_SAMPLES, LabelPrior

# Powers and margins are exponents; if they are larger, exact sums over their range take minutes.
LARGEST = 1e5


def _number(kind: str, text: str, cast: Callable[[str], Any] = float, largest: float = LARGEST) -> Any:
    """A parameter as a number.  *Raises* ValueError, which names the `kind` of value that needs it."""
    what = "a whole number" if cast is int else "a number"
    try:
        value = cast(text)
    except ValueError:
        raise ValueError(f"{kind} needs {what} there, got {text!r}") from None
    if cast is float and not abs(value) <= largest:
        raise ValueError(f"{kind} needs {what} from {-largest:g} to {largest:g} there, got {text!r}")
    return value


def _chosen(what: str, text: str, table: Mapping[str, Callable[..., Any]]) -> Any:
    """The value that `NAME:PARAMETER:...` has in a table.

    *Raises* ValueError if the name is unknown, with the nearest one, or if it takes other parameters.
    """
    name, *parameters = text.split(":")
    if name not in table:
        nearest = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(table)}"
        raise ValueError(f"unknown {what} {name!r}; {hint}" if name else f"the {what} needs a name; {hint}")
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
    """The sampler whose probabilities a file lists, one a line."""
    path = ":".join((file, *rest))  # a path may have colons of its own
    try:
        with open(path, encoding="utf-8") as lines:
            numbers = [(i, line.strip()) for i, line in enumerate(lines, 1) if line.strip()]
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file; one probability a line is needed") from None
    return samplers.Explicit([_number(f"{path}, line {i}:", line) for i, line in numbers])  # type: ignore[arg-type]


def _for_margin(name: str, *parameters: str) -> weightings.Weighting:
    return weightings.ForMargin(margin(":".join((name, *parameters))))


def _table(examples: Iterable[Any], **special: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """A maker for each class of the examples, by the class's word; the numbers among its fields are its parameters.

    `special` has the makers of classes that are made of something else, by the classes' names.
    """
    kinds = dict.fromkeys(map(type, examples))
    return {as_word(kind): special.get(kind.__name__) or _from_numbers(kind) for kind in kinds}


def _from_numbers(kind: type) -> Callable[..., Any]:
    word, fields = as_word(kind), [f for f in dataclasses.fields(kind) if f.init and f.type == "float"]

    def make(*texts: str) -> Any:
        given = zip(fields, texts, strict=False)
        return kind(**{field.name: _number(f"{word}:{field.name.upper()}", text) for field, text in given})

    place = inspect.Parameter.POSITIONAL_ONLY
    parameters = [inspect.Parameter(field.name, place, default=field.default) for field in fields]
    make.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return make


# The minimum-variance sampler is made for a loss and a margin, by `sampler`.
SAMPLERS: dict[str, Callable[..., samplers.Sampler]] = _table(
    [sampler for sampler in samplers.examples() if not isinstance(sampler, samplers.MinimumVariance)],
    Explicit=_explicit,
)
MARGINS: dict[str, Callable[..., margins.Margin]] = _table(margins.examples())
WEIGHTINGS: dict[str, Callable[..., weightings.Weighting]] = _table(
    [weighting for weighting in weightings.examples() if type(weighting) is not weightings.ForMargin]
)
WEIGHTINGS["margin"] = _for_margin

LOSSES: dict[str, Callable[..., losses.Loss]] = {
    "softmax": losses.SoftmaxCrossEntropy,
    "logistic": lambda: losses.Decoupled(losses.logistic),
    "hinge": lambda: losses.Decoupled(losses.hinge),
    "squared-hinge": lambda: losses.Decoupled(losses.squared_hinge),
    "cosine": lambda margin="0": losses.Decoupled(losses.cosine_contrastive(_number("cosine:MARGIN", margin))),
}

SCORERS: dict[str, Callable[..., scorers.Scorer]] = {
    scorer.name: functools.partial(lambda scorer: scorer, scorer) for scorer in scorers.examples()
}


def _counted(kind: str, profile: Callable[[int, int, float], LabelPrior]) -> Callable[..., LabelPrior]:
    def made(n: str = "100", largest: str = "500", ratio: str = "100") -> LabelPrior:
        whole = _number(f"{kind}:L:LARGEST:RATIO", n, int), _number(kind, largest, int)
        return profile(*whole, _number(kind, ratio, largest=MOST_SAMPLES))

    return made


PROFILES: dict[str, Callable[..., LabelPrior]] = {
    "exp": _counted("exp", LabelPrior.exp),
    "step": _counted("step", LabelPrior.step),
    "zipf": lambda n, exponent="1": LabelPrior.zipf(_number("zipf:L:EXPONENT", n, int), _number("zipf", exponent)),
}


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


def loss(text: str) -> losses.Loss:
    """The loss of a name: `softmax`, `logistic`, `cosine:0.2`, ..."""
    return _chosen("loss", text, LOSSES)


def profile(text: str) -> LabelPrior:
    """The profile of a name: `exp:100:500:100`, `step:100:500:100`, `zipf:1000:1`."""
    return _chosen("profile", text, PROFILES)


def scorer(text: str) -> scorers.Scorer:
    """The scorer of a name: `gaussian`, `aligned`, `against`, `heavy-tailed`, `class-conditional`."""
    return _chosen("scorer", text, SCORERS)
