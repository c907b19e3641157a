"""Common slips in a sampled softmax: what each does, why it is wrong, who gains, what to write instead.

The lines of code are NumPy: `f_neg` (n, m) and `f_pos` (n, 1) are the logits of the negatives and of the positive,
`neg` and `pos` their labels, `q` (L,) the law of the draws, `prior` (L,) the label frequencies π, `counts` (L,) those
as numbers, `m` the number of draws, and `T` a temperature.  The correct form is `f_neg -= np.log(m * q[neg])`, which
gives the margins p = 1 of softmax over all labels.

A slip is one of five things.  Most are weights (`Slip`): a function of q, m, π and y.  Some are laws (`WrongLaw`): a q
that was built wrongly, by which labels are drawn, or which is taken off (`Corrected`).  One is about hits
(`KeptDuplicates`): it changes what the positive's own draws weigh.  Some change other weights: how many draws or labels
they count (`Survivors`, `OtherNumber`, `CountedAsIndependent`), a number beside q (`Added`), or one label (`Padded`).
`PAGES` lists all of them; docs/slips.md shows them.

A test of each slip runs both lines: an audit must name the slip after the first, and find its `target` after the other.
To add a slip, add a value here.

One file: the pages of all slips, which are read and kept beside each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import Equalised, LogitAdjusted, Margin, Softmax
from implicitloss.optima.tilt import Gains
from implicitloss.problem import Problem
from implicitloss.samplers import LogUniform, Sampler, WithinBatch
from implicitloss.samplers.sampler import Draw, by_shares
from implicitloss.scheme import Scheme
from implicitloss.weightings import Draws, Importance, Relative, Unit, Weighting, complete_weighting

__all__ = [
    "ADDED",
    "OF_TRIES",
    "PADDING",
    "SLIPS",
    "Added",
    "Corrected",
    "CountedAsIndependent",
    "KeptDuplicates",
    "OtherNumber",
    "Padded",
    "Page",
    "Slip",
    "Survivors",
    "WhoGains",
    "WrongLaw",
    "corrections",
    "slips_of",
    "written_in",
    "wrong_laws",
]

FILE = "docs/slips.md"
# Laws within this total variation are equal.
EQUAL_LAWS = 0.02
RIGHT = "f_neg -= np.log(m * q[neg])"
WHO: dict[Gains | None, str] = {"neither": "Neither", "frequent": "Frequent labels", "rare": "Rare labels", None: ""}


@dataclass(frozen=True)
class WhoGains:
    """Which labels gain by the implicit loss, with samplers that draw frequent labels more often.

    `labels` is None where it depends on other things than frequency.  `with_uniform` says who gains with uniform draws,
    and `grows` that they gain the more the larger m is.  `how` ends the sentence that this value is printed as.
    """

    labels: Gains | None
    how: str = ""
    with_uniform: Gains | None = None
    grows: bool = False

    def __str__(self) -> str:
        always = ", whichever sampler is used" if self.with_uniform in ("rare", "frequent") else ""
        grows = ", the more the larger m is" if self.grows else ""
        uniform = "; with uniform draws neither" if self.with_uniform == "neither" else ""
        return f"{WHO[self.labels]}{always}{grows}{self.how}{uniform}."


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a reader of a report needs to know of a slip.

    `line` is the line that is written by mistake; `does` says what it does, and `wrong` which margins p_yy' result and
    which loss is optimised instead.  These are the margins where hits are masked; where they are excluded, each is
    larger by 1/(1 - q_y).  `gains` says who gains.  `fix` is the line to write instead; it gives the margins of the
    `target`.
    """

    name: str
    line: str
    does: str
    wrong: str
    gains: WhoGains
    fix: str = RIGHT
    target: Margin = field(default=Softmax())

    @property
    def link(self) -> str:
        """Where the page is: a file of the documentation, and the place in it."""
        kept = "".join(c for c in self.name.lower() if c.isalnum() or c in " -_")
        return f"{FILE}#{kept.replace(' ', '-')}"

    def to_dict(self) -> dict[str, str | None]:
        """Plain values for JSON."""
        found = {name: getattr(self, name) for name in ("name", "line", "does", "wrong", "fix")}
        return found | {"gains": self.gains.labels, "who_gains": str(self.gains), "link": self.link}


@dataclass(frozen=True, kw_only=True)
class Slip(Page):
    """A slip in the weights: log w = `log_w`(draws, T), where T is the temperature that the audit was told.

    `hits` are the modes in which the line is wrong.  A slip with `needs_target` has the margins of a scheme that one
    may well want, and is one only where the `target` is claimed.
    """

    log_w: Callable[[Draws, float], Floats | float]
    temperature: float = 1.0
    hits: tuple[Literal["mask", "exclude", "keep"], ...] = ("mask", "exclude", "keep")
    needs_target: bool = False
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.broadcast_to(self.log_w(draws, self.temperature), draws.log_q.shape)
        return np.where(np.isneginf(draws.log_q_unconditional), -np.inf, found)

    @property
    def page(self) -> Page:
        """What to say of it."""
        return self


SLIPS = (
    Slip(
        name="log q taken off without m, weights 1/q",
        log_w=lambda d, T: -d.log_q_unconditional,
        line="f_neg -= np.log(q[neg])",
        does="It takes log q off the negatives' logits; log(m q) is right.",
        wrong="The margins are p = m: it optimises softmax in which each negative counts m times.",
        gains=WhoGains(
            "neither",
            ", by the implicit loss.  The sampled loss favours rare labels while m is small, more than the right "
            "weights do",
            "neither",
        ),
    ),
    Slip(
        name="log m taken off without q, weights 1/m",
        log_w=lambda d, T: -np.log(d.m),
        line="f_neg -= np.log(m)",
        does="It takes log m off the negatives' logits; log(m q) is right.",
        wrong="The margins are p = q_y': it optimises softmax in which a negative counts by how often it is drawn.",
        gains=WhoGains("rare", ", as in equalised losses if q = π", "neither"),
        needs_target=True,
    ),
    Slip(
        name="log(m q) added in place of taken off, weights m q",
        log_w=lambda d, T: np.log(d.m) + d.log_q_unconditional,
        line="f_neg += np.log(m * q[neg])",
        does="It adds log(m q) to the negatives' logits; the sign is wrong.",
        wrong="The margins are p = (m q_y')²: it optimises softmax in which a negative counts by the square of how "
        "often it is drawn, and rare negatives hardly count.",
        gains=WhoGains("rare", ", more than in balanced softmax if q = π and m is large", "neither"),
    ),
    Slip(
        name="log q added in place of log(m q) taken off, weights q",
        log_w=lambda d, T: d.log_q_unconditional,
        line="f_neg += np.log(q[neg])",
        does="It adds log q to the negatives' logits; the sign is wrong, and m is lost.",
        wrong="The margins are p = m q_y'²: it optimises softmax in which a negative counts by the square of how "
        "often it is drawn, and rare negatives hardly count.",
        gains=WhoGains("rare", "", "neither", grows=True),
    ),
    Slip(
        name="log q added to both sides in place of taken off, weights q_y'/q_y",
        log_w=lambda d, T: d.log_q_unconditional - d.log_q_unconditional[d.positive],
        line="f_neg += np.log(q[neg]); f_pos += np.log(q[pos])",
        does="It adds log q to the logits of the negatives and of the positive; the sign is wrong.",
        wrong="The margins are p = m q_y'²/q_y: it optimises softmax in which frequent negatives count beside rare "
        "positives, and rare ones hardly anywhere.",
        gains=WhoGains("rare", ", far more than in balanced softmax if q = π", "neither"),
    ),
    Slip(
        name="log(m q) taken off the positive only, weights m q_y",
        log_w=lambda d, T: np.log(d.m) + d.log_q_unconditional[d.positive],
        line="f_pos -= np.log(m * q[pos])",
        does="It takes log(m q) off the positive's logit, and nothing off those of the negatives.",
        wrong="The margins are p = m² q_y q_y': it optimises softmax in which a negative counts by how often both "
        "labels are drawn.",
        gains=WhoGains("rare", ", and hardly any with few draws", "neither", grows=True),
    ),
    Slip(
        name="1/m forgotten beside 1/(m q) and log π put in, weights π/q",
        log_w=lambda d, T: d.prior.log - d.log_q_unconditional,
        line="f_neg += np.log(prior[neg] / q[neg])",
        does="It adds log π to the negatives' logits and takes log q off; log(m q) is right.",
        wrong="The margins are p = m π_y': it optimises an equalised loss in which each negative counts m times.",
        gains=WhoGains("rare", "", "rare", grows=True),
        fix="f_neg += np.log(prior[neg] / (m * q[neg]))",
        target=Equalised(),
    ),
    Slip(
        name="logit adjustment with the sign turned, margins π_y/π_y'",
        log_w=lambda d, T: d.prior.log[d.positive] - d.prior.log - np.log(d.m) - d.log_q_unconditional,
        line="f_neg -= np.log(prior[neg] * m * q[neg]); f_pos -= np.log(prior[pos])",
        does="It takes log π off the logits; logit adjustment adds it.",
        wrong="The margins are p = π_y/π_y': it optimises softmax in which rare negatives count most, beside frequent "
        "positives above all.",
        gains=WhoGains("frequent", "", "frequent"),
        fix="f_neg += np.log(prior[neg] / (m * q[neg])); f_pos += np.log(prior[pos])",
        target=LogitAdjusted(),
    ),
    Slip(
        name="expected counts of unique draws taken off, weights 1/(1 - (1 - q)^m)",
        log_w=lambda d, T: -np.log(-np.expm1(d.m * np.log1p(-np.exp(d.log_q_unconditional)))),
        line="f_neg -= np.log(1 - (1 - q[neg]) ** m)",
        does="It takes off the expected count of draws without repetition; draws may repeat, and log(m q) is right.",
        wrong="The margins are p = m q_y'/(1-(1-q_y')^m): it optimises softmax in which labels that one evaluation "
        "draws several times count several times.",
        gains=WhoGains("rare", "", "neither", grows=True),
    ),
    Slip(
        name="unconditional q where the positive is excluded, weights 1/(m q)",
        log_w=lambda d, T: -np.log(d.m) - d.log_q_unconditional,
        line="f_neg -= np.log(m * q[neg])",
        does="It takes log(m q) off, but labels are drawn from q/(1 - q_y): the positive is drawn again.",
        wrong="The margins are p = 1/(1-q_y): it optimises softmax in which negatives count more beside frequent "
        "positives.",
        gains=WhoGains("frequent", ", a little", "neither"),
        fix="f_neg -= np.log(m * q[neg] / (1 - q[pos]))",
        hits=("exclude",),
    ),
    Slip(
        name="correction divided by the temperature, weights (m q)^(-1/T)",
        log_w=lambda d, T: -(np.log(d.m) + d.log_q_unconditional) / T,
        line="f_neg = (f_neg - np.log(m * q[neg])) / T; f_pos = f_pos / T",
        does="It takes log(m q) off before the temperature divides the logits; after it is right.",
        wrong="The margins are p = (m q_y')^(1-1/T): for T < 1 it optimises softmax in which rare negatives count "
        "most.",
        gains=WhoGains("frequent", ", for T < 1", "neither"),
        fix="f_neg = f_neg / T - np.log(m * q[neg]); f_pos = f_pos / T",
    ),
)


@dataclass(frozen=True, kw_only=True)
class WrongLaw(Page):
    """A law q that was built wrongly from the prior: `law_of`(prior), (L,), in proportion.

    Its `line` makes q; the slip is seen where labels are drawn by it and corrected by π, or the other way round.
    """

    law_of: Callable[[LabelPrior], Floats]
    needs_scores = False
    needs_positive = False
    leaves_out_what_pays_nothing = False
    multiply_adds = Sampler.multiply_adds

    def log_law(self, problem: Problem) -> Floats:
        """log q, (L,)."""
        law = np.asarray(self.law_of(problem.prior), dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.log(law / law.sum())

    def procedure(self, problem: Problem) -> Draw:
        """Draw by the wrong law."""
        return by_shares(np.asarray(self.law_of(problem.prior), dtype=np.float64))

    def law(self, yp: sp.Expr) -> sp.Expr:
        """q in symbols."""
        return s.q[yp]

    @property
    def page(self) -> Page:
        """What to say of it."""
        return self


def _ranks(prior: LabelPrior) -> Floats:
    """The rank of each label by frequency, from 1."""
    ranks = np.empty(prior.n_labels)
    ranks[prior.by_frequency] = np.arange(1, prior.n_labels + 1)
    return ranks


def _counts(prior: LabelPrior) -> Floats:
    """The count of each label, or its frequency over the least one."""
    if prior.counts is not None:
        return np.asarray(prior.counts, dtype=np.float64)
    return np.asarray(prior.probabilities / prior.probabilities[prior.probabilities > 0].min())


def _log_uniform(ranks: Floats) -> Floats:
    return np.log1p(1 / np.maximum(ranks, 1e-12))


OTHER_ORDER = "it optimises softmax in which each label counts as another one should."
WRONG_LAWS = (
    WrongLaw(
        name="log-uniform by label id",
        law_of=lambda prior: _log_uniform(np.arange(1.0, prior.n_labels + 1)),
        line="q = np.log1p(1 / np.arange(1, L + 1)) / np.log(L + 1)",
        does="It draws labels by id as if id 0 were the most frequent label; ids are not sorted by frequency.",
        wrong="Drawn by it and corrected by π, or the other way round, " + OTHER_ORDER,
        gains=WhoGains(None, "Labels with large ids, whatever their frequency"),
        fix="q = np.log1p(1 / rank) / np.log(L + 1)  # rank 1: the most frequent label",
    ),
    WrongLaw(
        name="frequencies sorted, and so in another order than the ids",
        law_of=lambda prior: np.sort(prior.probabilities)[::-1],
        line="q = np.sort(prior)[::-1]",
        does="It gives the frequency of the most frequent label to id 0, the next to id 1, and so on, as "
        "most_common() lists them.",
        wrong="Drawn by it and corrected by π, or the other way round, " + OTHER_ORDER,
        gains=WhoGains(None, "Labels with large ids, whatever their frequency"),
        fix="q = prior",
    ),
    WrongLaw(
        name="frequencies in the reverse order of the ids",
        law_of=lambda prior: prior.probabilities[::-1],
        line="q = prior[::-1]",
        does="It gives each label the frequency of the label as far from the other end.",
        wrong="Drawn by it and corrected by π, or the other way round, " + OTHER_ORDER,
        gains=WhoGains(None, "Labels whose mirror image is rare"),
        fix="q = prior",
    ),
    WrongLaw(
        name="frequencies one id too late",
        law_of=lambda prior: np.roll(prior.probabilities, 1),
        line="q = np.roll(prior, 1)",
        does="It gives each label the frequency of the label before it, as where one side counts a padding label.",
        wrong="Drawn by it and corrected by π, or the other way round, " + OTHER_ORDER,
        gains=WhoGains(None, "Labels after a rare one"),
        fix="q = prior",
    ),
    WrongLaw(
        name="frequencies one id too early",
        law_of=lambda prior: np.roll(prior.probabilities, -1),
        line="q = np.roll(prior, -1)",
        does="It gives each label the frequency of the label after it, as where one side counts a padding label.",
        wrong="Drawn by it and corrected by π, or the other way round, " + OTHER_ORDER,
        gains=WhoGains(None, "Labels before a rare one"),
        fix="q = prior",
    ),
    WrongLaw(
        name="ranks used as counts",
        law_of=_ranks,
        line="q = rank / rank.sum()",
        does="It takes ranks for counts: the rarest label has the largest rank, and is drawn most.",
        wrong="Drawn by it and corrected by π, or the other way round, it optimises softmax in which rare or frequent "
        "negatives count far too much.",
        gains=WhoGains(None, "Frequent labels where it draws, rare ones where it corrects"),
        fix="q = prior",
    ),
    WrongLaw(
        name="log-uniform with counts used as ranks",
        law_of=lambda prior: _log_uniform(_counts(prior)),
        line="q = np.log1p(1 / counts); q /= q.sum()",
        does="It takes counts for ranks: the most frequent label has the largest count, and is drawn least.",
        wrong="Drawn by it and corrected by π, or the other way round, it optimises softmax in which rare or frequent "
        "negatives count far too much.",
        gains=WhoGains(None, "Frequent labels where it draws, rare ones where it corrects"),
        fix="q = np.log1p(1 / rank) / np.log(L + 1)  # rank 1: the most frequent label",
    ),
)

MISMATCH = Page(
    name="correction by another law than that of the draws",
    line="f_neg -= np.log(m * prior[neg])  # but neg is drawn by q",
    does="It takes log(m π) off the negatives' logits, or log(m q') of yet another q', but they are drawn by q.",
    wrong="The margins are p = q_y'/π_y': it optimises softmax in which a negative counts by how much more often it is "
    "drawn than the correction says.",
    gains=WhoGains("frequent", ", where q is flatter than the law that is taken off, as word2vec's is"),
)


@dataclass(frozen=True)
class Corrected:
    """Weights 1/(m r) by a law r that need not be that of the draws."""

    law: Sampler
    name: str
    is_eta_over_m = True

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        log_r = self.law.log_law(Problem(np.zeros(draws.prior.n_labels), draws.prior, draws.positive))
        never = np.isneginf(draws.log_q_unconditional) | np.isneginf(log_r)
        return np.where(never, -np.inf, -np.log(draws.m) - np.where(never, 0.0, log_r))

    @property
    def page(self) -> Page:
        """What to say of it."""
        return self.law if isinstance(self.law, WrongLaw) else MISMATCH


KEPT_DUPLICATES = Page(
    name="one accidental hit removed, its duplicates kept",
    line="f_neg[np.arange(len(neg)), (neg == pos).argmax(1)] = np.where((neg == pos).any(1), -np.inf, f_neg[:, 0])",
    does="It removes one draw of the positive from an evaluation; where the positive is drawn again, that stays.",
    wrong="Negatives count as they should, but hits of a frequent positive stay: one of weight w keeps the "
    "loss above log(1 + w).",
    gains=WhoGains("rare", ": beside frequent positives, whose hits stay, the gradient is smaller"),
    fix="f_neg[neg == pos] = -np.inf",
)


@dataclass(frozen=True)
class KeptDuplicates:
    """The weights of `inner`, and for hits those of all but one draw of the positive: (m q_y - 1 + (1 - q_y)^m) w_yy.

    As weights of a draw they are smaller by m q_y.
    """

    inner: Weighting
    is_eta_over_m = False

    @property
    def name(self) -> str:
        """How reports call the weights."""
        return f"{complete_weighting(self.inner).name}, {KEPT_DUPLICATES.name}"

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        log_w, y = np.array(self.inner.log_weight(draws), dtype=np.float64), draws.positive
        q = float(np.exp(draws.log_q_unconditional[y]))
        kept = 1.0 + np.expm1(draws.m * np.log1p(-q)) / (draws.m * q) if 0 < q < 1 else 1.0 - 1.0 / draws.m
        with np.errstate(divide="ignore"):
            log_w[y] += np.log(max(kept, 0.0))
        return log_w

    @property
    def page(self) -> Page:
        """What to say of it."""
        return KEPT_DUPLICATES


SURVIVORS = Page(
    name="divided by the draws that are left, weights 1/((m - hits) q)",
    line="f_neg -= np.log((neg != pos).sum(axis=1, keepdims=True) * q[neg])",
    does="It masks hits and divides by the number of draws that are left; the m that was drawn is right.",
    wrong="The margins are p = (1-q_y^m)/(1-q_y): negatives count more beside frequent positives.  With weights "
    "1/(m - hits) they are that times q_y'.",
    gains=WhoGains("frequent", ", a little", "neither"),
)


@dataclass(frozen=True)
class Survivors:
    """The weights of `inner`, which have a factor 1/m, with 1/(m - hits) in its place; hits are masked.

    Beside at least one draw that is left, the mean share of a label among these is q/(1 - q_y).
    """

    inner: Weighting
    is_eta_over_m = False
    hits = ("mask",)

    @property
    def name(self) -> str:
        """How reports call the weights."""
        return f"{complete_weighting(self.inner).name}, {SURVIVORS.name.partition(',')[0]}"

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        q = min(float(np.exp(draws.log_q_unconditional[draws.positive])), 1 - 1e-12)
        return np.asarray(self.inner.log_weight(draws) + np.log1p(-(q**draws.m)) - np.log1p(-q))

    @property
    def page(self) -> Page:
        """What to say of it."""
        return SURVIVORS


OTHER_NUMBER = Page(
    name="log(k q) taken off with another number k than that of the draws, weights 1/(k q)",
    line="f_neg -= np.log(k * q[neg])  # k: the batch, all devices, or all samples, so that k q are counts",
    does="It takes log(k q) off the negatives' logits with a k that is not the number m of the draws.",
    wrong="The margins are p = m/k: it optimises softmax in which each negative counts m/k times.",
    gains=WhoGains("neither", ", by the implicit loss", "neither"),
)


@dataclass(frozen=True)
class OtherNumber:
    """Weights 1/(k q) with another number than m."""

    k: float
    is_eta_over_m = False

    @property
    def name(self) -> str:
        """How reports call the weights."""
        return f"log(k q) taken off with k = {self.k:.3g} in place of m, weights 1/(k q)"

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        never = np.isneginf(draws.log_q_unconditional)
        return np.where(never, -np.inf, -np.log(self.k) - np.where(never, 0.0, draws.log_q_unconditional))

    @property
    def page(self) -> Page:
        """What to say of it."""
        return OTHER_NUMBER


ADDED = Page(
    name="a number added to q before its logarithm is taken off, weights 1/(m (q + ε))",
    line="e = 0.01; f_neg -= np.log(m * (q[neg] + e))  # or np.log1p(m * q[neg]), where e is 1/m",
    does="It takes log(m (q + ε)) off the negatives' logits, with an ε that is not small beside each q.",
    wrong="The margins are p = q_y'/(q_y'+ε): it optimises softmax in which labels of a q below ε hardly count as "
    "negatives.",
    gains=WhoGains("rare", ", as negatives they count less", "neither"),
)


@dataclass(frozen=True)
class Added:
    """Weights 1/(m (q + ε)), with the number `epsilon` added to q."""

    epsilon: float
    is_eta_over_m = False

    @property
    def name(self) -> str:
        """How reports call the weights."""
        return f"log(m (q + ε)) taken off with ε = {self.epsilon:.2g}, weights 1/(m (q + ε))"

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        never = np.isneginf(draws.log_q_unconditional)
        return np.where(never, -np.inf, -np.log(draws.m) - np.log(np.exp(draws.log_q_unconditional) + self.epsilon))

    @property
    def page(self) -> Page:
        """What to say of it."""
        return ADDED


NO_REPEATS = Page(
    name="log(m q) taken off draws none of which comes twice, weights 1/(m q)",
    line=RIGHT,
    does="It takes log(m q) off, as of independent draws, but in each evaluation a label is drawn once at most.",
    wrong="The margins are p = P/(m q), P how likely a label is drawn at all: below 1 for frequent labels; above it "
    "for rare ones if m labels are drawn.",
    gains=WhoGains("frequent", ": as negatives they count less", "neither"),
    fix="f_neg -= np.log(P[neg])  # P = il.inclusion_probabilities(scheme, problem)",
)


@dataclass(frozen=True)
class CountedAsIndependent:
    """Weights 1/(m q), of draws that are not independent."""

    is_eta_over_m = False

    @property
    def name(self) -> str:
        """How reports call the weights."""
        return NO_REPEATS.name

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        return Importance(count="naive").log_weight(draws)

    @property
    def page(self) -> Page:
        """What to say of it."""
        return NO_REPEATS


OF_TRIES = Page(
    name="the count at the observed number of tries taken off, weights 1/(1 - (1 - q)^T)",
    line="f_neg -= np.log(-np.expm1(tries * np.log1p(-q[neg])))",
    does="It takes off the count of T independent tries, at the T that each call needed until its labels were "
    "different; but T depends on which labels come.",
    wrong="The margins are p = E[1/(1-(1-q_y')^T); y' drawn]: near 1 for frequent labels, above it for others, by more "
    "if T varies more.",
    gains=WhoGains("frequent", ", the less the larger m is", "neither"),
    fix=NO_REPEATS.fix,
)

LOSS = "loss = np.log1p(np.exp(f_neg - f_pos).sum(axis=1))"
NO_CORRECTION = Page(
    name="no correction, weights of 1",
    line=LOSS,
    does="It adds up the negatives as they are drawn, with nothing taken off their logits; log(m q) is right.",
    wrong="The margins are p = m q_y': it optimises softmax in which a negative counts by how often it is drawn.",
    gains=WhoGains("rare", ", as in balanced softmax if q = π", "neither"),
    fix=f"{RIGHT}; {LOSS}",
)
# What follows is said of independent draws.
BEST_SCORES = " The best scores"
BOTH_SIDES = Page(
    name="log(m q) taken off both sides, weights q_y/q_y'",
    line=f"{RIGHT}; f_pos -= np.log(m * q[pos])",
    does="It takes log(m q) off the positive's logit too, as the ranking loss of noise-contrastive estimation does.",
    wrong="The margins are p = m q_y: negatives count more beside frequent positives."
    f"{BEST_SCORES} are softmax's, exactly if hits are kept; if meant, claim 'relative'.",
    gains=WhoGains(
        "frequent", ", by the implicit loss, the less the larger m is.  The sampled loss favours neither", "neither"
    ),
    fix=f"{RIGHT}  # for margins of 1: the best scores are right already",
)
HITS_KEPT = Page(
    name="accidental hits kept",
    line=LOSS,
    does="It counts draws of the example's own label among the negatives, and the label is pushed down by itself.",
    wrong="A hit of weight w keeps the loss above log(1 + w), and frequent labels, which are drawn often, learn least "
    "from their own examples.",
    gains=WhoGains(
        "neither", ", where labels are many: the best scores hardly change, frequent labels are learned slowly", None
    ),
    fix=f"f_neg[neg == pos] = -np.inf; {LOSS}",
)

PADDING = Page(
    name="label id 0 taken for padding",
    line="f_neg[(neg == pos) | (neg == 0)] = -np.inf; loss = (pos[:, 0] != 0) * " + LOSS.removeprefix("loss = "),
    does="It takes label 0 for padding, as ignore_index=0 or a mask of ids > 0 does, but here it is a label.",
    wrong="The margins of the negative 0 are 0, or its examples have no loss: it is never pushed down, or not learned.",
    gains=WhoGains(None, "Label 0 where its draws are ignored, all others where its examples are"),
    fix=f"f_neg[neg == pos] = -np.inf; {LOSS}",
)


@dataclass(frozen=True)
class Padded:
    """The weights of `inner`, and none for label 0."""

    inner: Weighting
    is_eta_over_m = False

    @property
    def name(self) -> str:
        """How reports call the weights."""
        return f"{complete_weighting(self.inner).name}, {PADDING.name}"

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        log_w = np.array(self.inner.log_weight(draws), dtype=np.float64)
        if draws.positive != 0:
            log_w[0] = -np.inf
        return log_w

    @property
    def page(self) -> Page:
        """What to say of it."""
        return PADDING


PAGES: tuple[Page, ...] = (
    *SLIPS, *WRONG_LAWS, MISMATCH, KEPT_DUPLICATES, SURVIVORS, OTHER_NUMBER, ADDED, NO_REPEATS, OF_TRIES, PADDING,
    NO_CORRECTION, BOTH_SIDES, HITS_KEPT,
)  # fmt: skip


def slips_of(scheme: Scheme, claims_softmax: bool, claims_no_hits: bool) -> tuple[Page, ...]:
    """The slips of a scheme that may be wanted, and is not what is claimed: softmax over all labels, or no hits.

    Parameters
    ----------
    scheme : Scheme
        The scheme whose margins were measured.
    claims_softmax : bool
        Whether margins of 1 are claimed.
    claims_no_hits : bool
        Whether it is claimed that there are no hits.
    """
    found = []
    if claims_softmax and isinstance(scheme.weighting, Unit):
        found.append(NO_CORRECTION if scheme.draws == "iid" else _of_once(NO_CORRECTION))
    if claims_softmax and isinstance(scheme.weighting, Relative):
        found.append(BOTH_SIDES if scheme.draws == "iid" else _of_once(BOTH_SIDES))
    # Where both sides are corrected, hits that are kept make the best scores exact.
    if claims_no_hits and scheme.hits == "keep" and not isinstance(scheme.weighting, Relative):
        found.append(HITS_KEPT)
    return tuple(found)


def _of_once(page: Page) -> Page:
    """The page where no label is drawn twice: P, how likely a label is drawn, is in place of m q."""

    def said(text: str) -> str:
        return text.replace("m * q[", "P[").replace("log(m q)", "log P").replace("m q", "P")

    fix = f"{said(page.fix.partition('  #')[0])}{NO_REPEATS.fix[NO_REPEATS.fix.index('  #') :]}"
    # What the sampled loss favours is said of independent draws.
    gains = replace(page.gains, how=page.gains.how.partition(".")[0])
    wrong = said(page.wrong.partition(BEST_SCORES)[0])
    return replace(page, line=said(page.line), does=said(page.does), wrong=wrong, gains=gains, fix=fix)


# How packages write what the lines have from NumPy.
PACKAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "torch": (
        (r"f_neg\[(neg == pos)\] = -np\.inf", r"f_neg = f_neg.masked_fill(\1, -torch.inf)"),
        (r"np\.log\(m\)", "math.log(m)"),
        (r"\.sum\(axis=1\)", ".sum(dim=1)"),
        (r"np\.(log|log1p|exp)\(", r"torch.\1("),
    ),
    "tensorflow": (
        (r"f_neg\[(neg == pos)\] = -np\.inf", r"f_neg = tf.where(\1, -math.inf, f_neg)"),
        (r"np\.log\(m\)", "math.log(m)"),
        (r"\b(q|prior|P)\[(neg|pos)\]", r"tf.gather(\1, \2)"),
        (r"np\.exp\(f_neg - f_pos\)\.sum\(axis=1\)", "tf.reduce_sum(tf.exp(f_neg - f_pos), axis=1)"),
        (r"np\.(log|log1p|exp)\(", r"tf.math.\1("),
    ),
    "jax": (
        (r"f_neg\[(neg == pos)\] = -np\.inf", r"f_neg = jnp.where(\1, -jnp.inf, f_neg)"),
        (r"np\.(log|log1p|exp)\(", r"jnp.\1("),
    ),
}


def written_in(line: str, package: str) -> str:
    """The line of NumPy as a package has it; as it is, where it makes the law q, which is NumPy's in any package."""
    if line.startswith("q = "):
        return line
    found = line
    for pattern, there in PACKAGES.get(package, ()):
        found = re.sub(pattern, there, found)
    return line if re.search(r"\bnp\.", found) else found


def wrong_laws(prior: LabelPrior) -> tuple[WrongLaw, ...]:
    """The wrong laws that differ from the right ones for these labels: ids may be sorted by frequency, after all."""
    if not prior.probabilities.min() > 0:
        return ()
    problem = Problem(np.zeros(prior.n_labels), prior, 0)
    right = [np.exp(sampler.log_law(problem)) for sampler in (WithinBatch(), LogUniform())]
    return tuple(
        law for law in WRONG_LAWS if all(np.abs(np.exp(law.log_law(problem)) - q).sum() > 2 * EQUAL_LAWS for q in right)
    )


def corrections(prior: LabelPrior, others: Iterable[Sampler]) -> Iterator[Corrected]:
    """Corrections by the law of each of the `others`, and by each wrong law."""
    for sampler in others:
        yield Corrected(sampler, f"log(m q) taken off with the q of {sampler}")
    for law in wrong_laws(prior):
        yield Corrected(law, f"log(m q) taken off with q of {law.name}")
