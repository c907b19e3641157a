"""What the page offers by name: weightings, published settings, and the labels of a shop."""

from __future__ import annotations

from typing import Any, NamedTuple

from implicitloss.arguments import as_word
from implicitloss.margins import Margin
from implicitloss.weightings import ForMargin, Weighting, examples

__all__ = ["OFFERED", "PRESETS", "SHOP", "Preset", "weightings_with"]

# By the words of the library's classes.  The page writes each formula out, so that it can be held against the library.
OFFERED = ("constant", "unit", "importance", "relative", "tail")

# What a shop sold in a year: the labels of a story that a class can follow.
SHOP = {
    "bread": 1_000_000,
    "milk": 620_000,
    "bananas": 300_000,
    "eggs": 150_000,
    "coffee": 70_000,
    "pasta": 30_000,
    "soap": 12_000,
    "batteries": 4_000,
    "candles": 1_200,
    "umbrella": 300,
    "chess set": 60,
    "globe": 12,
    "accordion": 3,
}


class Preset(NamedTuple):
    """A published setting as the page can show it.

    `catalogued` is the name in :func:`implicitloss.catalogue` of the scheme that these settings are, or "" where they
    are near it only; `note` then says what differs.
    """

    name: str
    settings: dict[str, Any]
    note: str
    catalogued: str = ""


_BATCH = {"sampler": "mixture", "share": 1.0}

PRESETS = (
    Preset(
        "word2vec (Mikolov et al. 2013)",
        {"sampler": "power", "alpha": 0.75, "weighting": "unit", "hits": "mask", "m": 5},
        "Its own loss is a sum of logistic losses. Here the same draws and weights are put into softmax, and what is "
        "learned is that of softmax.",
    ),
    Preset(
        "In-batch softmax (DPR, sentence-transformers)",
        _BATCH | {"weighting": "unit", "hits": "keep", "m": 31},
        "A batch of 32: the other 31 positives are the negatives, with weights of 1. Another example's equal label "
        "counts as a negative.",
        "in-batch softmax",
    ),
    Preset(
        "Two-tower, log q off every logit (Yi et al. 2019)",
        _BATCH | {"weighting": "relative", "hits": "keep", "m": 31},
        "The correction is taken off the positive's logit too.",
        "log-q corrected two-tower, both sides",
    ),
    Preset(
        "Two-tower, log(m q) off the negatives alone",
        _BATCH | {"weighting": "importance", "hits": "mask", "m": 31},
        "A common reading of the same correction: the positive's logit stays as it is. With log q alone each negative "
        "would count m times.",
        "log-q corrected two-tower, negatives only",
    ),
    Preset(
        "Mixed negatives, a coin for each (after Yang et al. 2020)",
        {"sampler": "mixture", "share": 0.5, "weighting": "unit", "hits": "keep", "m": 31},
        "Half of the negatives come from the batch, half from all labels.",
        "mixed negative sampling, a coin for each negative",
    ),
    Preset(
        "TensorFlow's sampled softmax, as by default",
        {"sampler": "log-uniform", "weighting": "relative", "hits": "mask", "m": 16},
        "TensorFlow draws m different labels; here a label may be drawn twice. It takes the log of the expected count "
        "off both sides, so its weights are relative, not importance weights.",
    ),
    Preset(
        "Logit adjustment by sampling (Menon et al. 2021)",
        _BATCH | {"weighting": "tail", "tau": 1.0, "hits": "exclude", "m": 64},
        "Menon et al. sum over all labels; here tail weights give their margins to sampled negatives.",
    ),
    Preset(
        "Equalised loss (Rawat et al. 2021, Table 2)",
        _BATCH | {"weighting": "constant", "hits": "exclude", "m": 8},
        "Negatives from the batch, weighted alike.",
    ),
    Preset(
        "Softmax (Rawat et al. 2021, Table 2)",
        {"sampler": "mixture", "share": 0.0, "weighting": "importance", "hits": "exclude", "m": 8},
        "Uniform draws with importance weights.",
    ),
    Preset(
        "Hard negatives (near Qaraei and Babbar 2023)",
        {"sampler": "model", "weighting": "unit", "hits": "mask", "m": 8},
        "Labels with high scores are drawn more often. Qaraei and Babbar take the labels of an index with the highest "
        "scores. Draws follow the scores, so what is learned is not computed here; training shows it.",
    ),
    Preset(
        "Equal counts, unequal spectra (Kaushik et al. 2024)",
        {
            "sampler": "mixture",
            "share": 0.0,
            "weighting": "importance",
            "hits": "exclude",
            "m": 1024,
            "spectrum": 6.0,
            "odds": 1.0,
            "offset": "scheme",
        },
        "By its bound this is full softmax. See the third axis, below: two classes with as many examples each, one of "
        "them with a wider spread.",
    ),
)


def weightings_with(tail: Margin) -> dict[str, Weighting]:
    """The offered weightings by name; tail weights have the margin `tail`, with a power τ that the reader sets."""
    known = {as_word(type(weighting)): weighting for weighting in examples()}
    return {name: known[name] for name in OFFERED} | {"tail": ForMargin(tail)}
