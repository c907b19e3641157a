"""Published schemes as data: what each draws and weighs, what it teaches in theory, and on the counts at hand.

One file: the schemes, one value each, and the numbers that follow from them.  To add a scheme, add a value here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from implicitloss.designing.place import Place
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior
from implicitloss.margins import Softmax
from implicitloss.numerics.logsum import log_rest
from implicitloss.optima.fixed_point import fixed_point
from implicitloss.optima.information import about_each_label
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.separable import separable_optimum
from implicitloss.optima.tilt import At, Gains, eta_at, gains_of, slope, tilt
from implicitloss.problem import Problem
from implicitloss.samplers import LogUniform, Mixture, Power, Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance, Relative, Unit

__all__ = ["KeptShares", "Published", "Tilts", "catalogue"]

Negatives = Literal["i.i.d. draws", "other draws", "all labels"]
Form = Literal["softmax", "logistic"]
# Beyond so many labels, tilts are computed to 1e-4.
MOST_LABELS_APART = 2_000
# LDAM's largest margin and scale (Cao et al. 2019, the authors' code), and seesaw's power (Wang et al. 2021).
LDAM_MARGIN, LDAM_SCALE, SEESAW_POWER = 0.5, 30.0, 0.8


@dataclass(frozen=True)
class Tilts:
    """The slopes of f* - log η on log π at three x, as `il.tilt` has them; None where a number is not known.

    Parameters
    ----------
    uniform : float or None
        All labels are equally likely.
    prior : float or None
        Labels are as likely as they are frequent.
    peaked : float or None
        up to 20 labels share 0.9, and the slope is over these.

    Examples
    --------
    >>> import implicitloss as il
    >>> [found.tilt.uniform for found in il.catalogue(il.LabelPrior.exp(100, 500, 100)) if found.name == "NCE"]
    [0.0]
    """

    uniform: float | None = None
    prior: float | None = None
    peaked: float | None = None


@dataclass(frozen=True)
class KeptShares:
    """The share of full softmax's information that an example keeps, the mean over the likely labels of each slice.

    Parameters
    ----------
    head, torso, tail : float or None
        `il.information` at the peaked x; None where no likely label is in the slice.

    Examples
    --------
    >>> import implicitloss as il
    >>> kept = il.catalogue(il.LabelPrior.exp(100, 500, 100), m=64)[0].information
    >>> print(f"head {kept.head:.2f}, torso {kept.torso:.2f}, tail {kept.tail:.2f}")
    head 0.96, torso 0.83, tail 0.47
    """

    head: float | None = None
    torso: float | None = None
    tail: float | None = None


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published scheme, or a loss over all labels: what it optimises, and what that means on the counts at hand.

    Parameters
    ----------
    name : str
        Its name in the literature.
    source : str
        Paper and year, and the equation, section or code where known.
    negatives : {"i.i.d. draws", "other draws", "all labels"}
        How negatives are chosen; "other draws" are no scheme of i.i.d. draws.
    form : {"softmax", "logistic"}
        The loss: log(1 + Σ w e^{f_y' - f_y}), or a logistic loss on the positive and one on each negative.
    margins : str
        p_yy', how often the negative y' counts beside the positive y, where hits are not kept.
    optimum : str
        f*, the scores that minimise the true expected loss, up to a constant for softmax.
    note : str
        What else one should know, or "".
    scheme : Scheme or None
        (q, w), m and the rule for hits; None where negatives are no i.i.d. draws, or follow a fitted model.
    tilt : Tilts
        The slopes of f* - log η on log π.
    information : KeptShares or None
        What sampling leaves, where softmax weights are consistent and hits kept; None elsewhere.
    gains : {"frequent", "rare", "neither"} or None
        Which labels gain, by the tilt that is farthest from 0: "neither" within ±0.02; None where no tilt is known.
    missing : str
        Why tilts or shares are None, or "".

    Examples
    --------
    >>> import implicitloss as il
    >>> found = il.catalogue(il.LabelPrior.exp(100, 500, 100))[0]
    >>> print(f"{found.name}: p = {found.margins}, f* = {found.optimum}; {found.gains} labels gain")
    in-batch softmax: p = m π_y', f* = log η - log π; rare labels gain
    """

    name: str
    source: str
    negatives: Negatives
    form: Form
    margins: str
    optimum: str
    note: str
    scheme: Scheme | None
    tilt: Tilts
    information: KeptShares | None
    gains: Gains | None
    missing: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        found |= {
            "scheme": None if self.scheme is None else str(self.scheme),
            "tilt": asdict(self.tilt),
            "information": None if self.information is None else asdict(self.information),
        }
        return found


# What is added to log η at the optimum, at an η (L,), with a prior.
Added = Callable[[Floats, LabelPrior], Floats]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What is known of a scheme without any counts; `added` is f* - log η, up to a constant, where it is known.

    Where it is not, the scheme's optimum is looked for; if there is no scheme either, `missing` says why.
    """

    name: str
    source: str
    margins: str
    optimum: str
    negatives: Negatives = "i.i.d. draws"
    form: Form = "softmax"
    note: str = ""
    scheme: Callable[[int], Scheme] | None = None
    added: Added | None = None
    missing: str = ""


def _nothing(eta: Floats, prior: LabelPrior) -> Floats:
    """The optimum of softmax: log η."""
    return np.zeros(eta.size)


def _balanced(eta: Floats, prior: LabelPrior) -> Floats:
    """The optimum of the balanced rule: log η - log π."""
    return np.asarray(-prior.log)


def _odds(eta: Floats, prior: LabelPrior) -> Floats:
    """The optimum of binary losses in which all negatives count alike: the log-odds of η."""
    return np.asarray(-log_rest(np.log(eta)))


def _law(scheme: Scheme, prior: LabelPrior) -> Floats:
    return scheme.log_law(Problem(np.zeros(prior.n_labels), prior, 0))


def _word2vec(m: int) -> Scheme:
    return Scheme(Power(0.75), Unit(), m=m, hits="mask")


def _coin(m: int) -> Scheme:
    return Scheme(Mixture(0.5), Unit(), m=m, hits="keep")


@dataclass(frozen=True, eq=False)
class _OfPositive:
    """The sums of margins p_yy' = a_y, p_yy = 1, over negatives and over positives."""

    a: Floats

    def over_negatives(self, g: Floats) -> Floats:
        """Σ_y' p_yy' g_y' of each y."""
        return np.asarray(g + self.a * (g.sum() - g))

    def over_positives(self, v: Floats) -> Floats:
        """Σ_y v_y p_yk of each k."""
        return np.asarray(v + (self.a @ v - self.a * v))


@dataclass(frozen=True, eq=False)
class _Seesaw:
    """The sums of margins p_yy' = min(1, (π_y'/π_y)^τ): running sums by frequency."""

    level: Floats
    order: Labels

    def over_negatives(self, g: Floats) -> Floats:
        """Σ_y' p_yy' g_y' of each y."""
        g, level = g[self.order], self.level[self.order]
        rarer = np.cumsum((level * g)[::-1])[::-1] - level * g
        return self._placed(np.cumsum(g) + rarer / level)

    def over_positives(self, v: Floats) -> Floats:
        """Σ_y v_y p_yk of each k."""
        v, level = v[self.order], self.level[self.order]
        return self._placed(np.cumsum(v[::-1])[::-1] + level * (np.cumsum(v / level) - v / level))

    def _placed(self, found: Floats) -> Floats:
        placed = np.empty_like(found)
        placed[self.order] = found
        return placed


def _over_all(eta: Floats, sums: _OfPositive | _Seesaw) -> Floats:
    """f* - log η of Σ_y η_y log(Σ_y' p_yy' e^{f_y' - f_y}): e^{f_k} Σ_y η_y p_yk/D_y = η_k, D_y the inner sum."""

    def step(f: Floats) -> Floats:
        return np.log(eta) - f - np.log(sums.over_positives(eta / sums.over_negatives(np.exp(f))))

    start = np.log(eta)
    return fixed_point(step, start - eta @ start, eta) - start


def _equalised(eta: Floats, prior: LabelPrior) -> Floats:
    return separable_optimum(eta, np.ones(eta.size), prior.probabilities) - np.log(eta)


def _adaptive(eta: Floats, prior: LabelPrior) -> Floats:
    share = prior.probabilities.min() / prior.probabilities
    return _over_all(eta, _OfPositive(np.exp(LDAM_SCALE * LDAM_MARGIN * share**0.25)))


def _seesaw(eta: Floats, prior: LabelPrior) -> Floats:
    return _over_all(eta, _Seesaw(prior.probabilities**SEESAW_POWER, prior.by_frequency))


NOT_IID = "negatives are no i.i.d. draws, and the optimum is not known in closed form"
FOLLOWS_SCORES = "the choice of negatives follows the scores, so there is no fixed loss to minimise"

ENTRIES = (
    # --- softmax, i.i.d. draws
    _Entry(
        name="in-batch softmax",
        source="Hidasi et al. 2016 (GRU4Rec); Karpukhin et al. 2020 (DPR), section 3.2",
        margins="m π_y'",
        optimum="log η - log π",
        note="m is the batch less one; another example's equal label counts as a negative.  Exact at every m.",
        scheme=lambda m: Scheme(WithinBatch(), Unit(), m=m, hits="keep"),
        added=_balanced,
    ),
    _Entry(
        name="log-q corrected two-tower, both sides",
        source="Yi et al. 2019, RecSys",
        margins="m π_y",
        optimum="log η",
        note="log q comes off every logit, the positive's too; hits stay.  Exact at every m, though the margins m π_y "
        "seem to favour frequent labels.",
        scheme=lambda m: Scheme(WithinBatch(), Relative(), m=m, hits="keep"),
        added=_nothing,
    ),
    _Entry(
        name="log-q corrected two-tower, negatives only",
        source="The common reading of Yi et al. 2019",
        margins="1",
        optimum="none in closed form; log η as m grows",
        note="log(m q) comes off the negatives' logits alone, and hits are masked.",
        scheme=lambda m: Scheme(WithinBatch(), Importance(), m=m, hits="mask"),
    ),
    _Entry(
        name="corrected log-q correction",
        source="Khrylchenko et al. 2025, RecSys (arXiv 2507.09331)",
        margins="1",
        optimum="none in closed form; log η as m grows",
        note="In-batch, and on the same draws, its gradient is that of importance weights with hits masked, so it "
        "teaches the same; its value is another.",
        scheme=lambda m: Scheme(WithinBatch(), Importance(), m=m, hits="mask"),
    ),
    _Entry(
        name="sampled softmax, unigram draws",
        source="Bengio and Senécal 2008; Blanc and Rendle 2018",
        margins="1",
        optimum="none in closed form; log η as m grows",
        note="log(m q) comes off the negatives' logits; the positive's stays as it is.  Here q = π, hits are masked.",
        scheme=lambda m: Scheme(WithinBatch(), Importance(), m=m, hits="mask"),
    ),
    _Entry(
        name="tf.nn.sampled_softmax_loss, draws with replacement, hits kept",
        source="TensorFlow, nn_impl.py: _compute_sampled_logits, with unique=False and remove_accidental_hits=False",
        margins="m q_y",
        optimum="log η",
        note="q is log-uniform.  The log of the expected count m q comes off the positive's logit too: weights are "
        "relative, not importance weights.  Exact at every m.",
        scheme=lambda m: Scheme(LogUniform(), Relative(), m=m, hits="keep"),
        added=_nothing,
    ),
    _Entry(
        name="mixed negative sampling, a coin for each negative",
        source="After Yang et al. 2020, WWW Companion",
        margins="m q_y', q_y' = (π_y' + 1/L)/2",
        optimum="log η - log q",
        note="Each negative comes from the batch or from all labels by the toss of a coin.  Exact at every m; with log "
        "q taken off every logit it teaches log η.",
        scheme=_coin,
        added=lambda eta, prior: -_law(_coin(1), prior),
    ),
    # --- logistic, i.i.d. draws
    _Entry(
        name="word2vec negative sampling",
        source="Mikolov et al. 2013, Eq. 4; hits are skipped in its code",
        margins="m q_y', q ∝ n^(3/4)",
        optimum="log η - log(m q) - log(1 - η)",
        note="With hits kept it would be log η - log(m q): pointwise mutual information less log m where q = π (Levy "
        "and Goldberg 2014).",
        form="logistic",
        scheme=_word2vec,
        added=lambda eta, prior: _odds(eta, prior) - _law(_word2vec(1), prior),
    ),
    _Entry(
        name="NCE",
        source="Gutmann and Hyvärinen 2010; Mnih and Teh 2012",
        margins="m q_y', on scores less log(m q)",
        optimum="log η",
        note="Here q = π.  The constant is fixed too: e^{f*} sums to 1.  Hits are kept, by default in tf.nn.nce_loss.",
        form="logistic",
        scheme=lambda m: Scheme(WithinBatch(), Unit(), m=m, hits="keep"),
        added=_nothing,
    ),
    _Entry(
        name="gBCE",
        source="Petrov and Macdonald 2023, RecSys (arXiv 2308.07192)",
        margins="α = m/(L - 1), against β = 1 - t(1 - α) on the positive",
        optimum="log η - log(1 - η) + log(β/α)",
        note="t is the calibration; t = 1 teaches the log-odds of η.  The scheme has no β, which adds a constant.",
        form="logistic",
        scheme=lambda m: Scheme(Uniform(), Unit(), m=m, hits="exclude"),
        added=_odds,
    ),
    _Entry(
        name="adversarial softmax",
        source="Bamler and Mandt 2020, ICLR (arXiv 2002.06298)",
        margins="q(y' | x)",
        optimum="log(η/q)",
        note="One draw from a fitted tree q(y' | x), hits kept.  Log q is added back when it predicts, and the tilt is "
        "that of f* + log q = log η; no scheme, as the tree is not known from counts.",
        form="logistic",
        added=_nothing,
    ),
    # --- other draws
    _Entry(
        name="tf.nn.sampled_softmax_loss by default",
        source="TensorFlow, nn_impl.py: sampled_softmax_loss, _compute_sampled_logits",
        margins="Q_y, its expected count",
        optimum="none known",
        negatives="other draws",
        note="m different labels by the log-uniform law, hits removed, log of the expected count taken off both sides: "
        "weights are Q_y/Q_y', not importance weights.",
        missing=NOT_IID,
    ),
    _Entry(
        name="unique draws",
        source="Rejection until m labels differ, as in TensorFlow's candidate samplers with unique=True",
        margins="w_yy' Q_y', Q the probability to be among them",
        optimum="none known",
        negatives="other draws",
        note="The expected count 1 - (1 - q)^T of T tries, which is often used for Q, is an approximation to it.",
        missing=NOT_IID,
    ),
    _Entry(
        name="in-batch set",
        source="In-batch losses that remove duplicates",
        margins="w_yy' (1 - (1 - π_y')^m)",
        optimum="none known",
        negatives="other draws",
        note="The different labels among the m others of a batch.",
        missing=NOT_IID,
    ),
    _Entry(
        name="mixed negative sampling, a fixed split",
        source="Yang et al. 2020, WWW Companion, without a correction",
        margins="m q_y', q_y' = (π_y' + 1/L)/2",
        optimum="none in closed form; near log η - log q",
        negatives="other draws",
        note="Half of the negatives from the batch, half from all labels, weights of 1.  The margins are those of the "
        "coin, but the optimum is not.",
        missing=NOT_IID,
    ),
    _Entry(
        name="quadratic kernel",
        source="Blanc and Rendle 2018, ICML",
        margins="1",
        optimum="none known; log η as m grows",
        negatives="other draws",
        note="q ∝ α⟨h, c⟩² + 1 with importance weights: i.i.d. draws at given scores, and they follow the scores.",
        missing=FOLLOWS_SCORES,
    ),
    _Entry(
        name="scalable cross-entropy (SCE)",
        source="Mezentsev et al. 2024, RecSys (arXiv 2409.18721)",
        margins="1 for the labels that the buckets of x select, else 0",
        optimum="none known",
        negatives="other draws",
        note="A bucket has the labels of largest inner product with its random centre: hard negatives, uncorrected.",
        missing=FOLLOWS_SCORES,
    ),
    _Entry(
        name="reduced cross-entropy (RECE)",
        source="Gusak et al. 2024, CIKM (arXiv 2408.02354)",
        margins="1 for the labels in the buckets of x, else 0",
        optimum="none known",
        negatives="other draws",
        note="Buckets by a kind of locality-sensitive hashing, which follow the scores.",
        missing=FOLLOWS_SCORES,
    ),
    # --- all labels
    _Entry(
        name="logit adjustment",
        source="Menon et al. 2021, Eq. 10",
        margins="(π_y'/π_y)^τ",
        optimum="log η - τ log π",
        negatives="all labels",
        note="The tilt is that of τ = 1.",
        added=_balanced,
    ),
    _Entry(
        name="balanced softmax",
        source="Ren et al. 2020",
        margins="n_y'/n_y",
        optimum="log η - log π",
        negatives="all labels",
        added=_balanced,
    ),
    _Entry(
        name="class-weighted softmax",
        source="The weighted balanced loss in Menon et al. 2021",
        margins="1, the whole loss times 1/π_y",
        optimum="log η - log π",
        negatives="all labels",
        added=_balanced,
    ),
    _Entry(
        name="LDAM, adaptive margins",
        source="Cao et al. 2019; scale 30 and largest margin 0.5 as in the authors' code",
        margins="e^{15 (n_min/n_y)^(1/4)}",
        optimum="none in closed form; e^f solves λ(1-a) g² + λ a g = η a, Σ g = 1",
        negatives="all labels",
        note="This is the loss where scores are free.  Margins that are large for all labels then hardly change their "
        "order: what LDAM does for rare labels comes from limited models and few examples.",
        added=_adaptive,
    ),
    _Entry(
        name="equalised loss",
        source="Tan et al. 2020, as Rawat et al. 2021, section 2.1, state it with F(π) = π",
        margins="π_y'",
        optimum="none in closed form; e^f solves λ π(1-π) g² + λ π g = η, Σ π g = 1",
        negatives="all labels",
        note="The original leaves rare negatives out at random, by a threshold of frequency.",
        added=_equalised,
    ),
    _Entry(
        name="seesaw loss with given counts",
        source="Wang et al. 2021, CVPR (arXiv 2008.10032)",
        margins="min(1, (n_y'/n_y)^0.8)",
        optimum="none known in closed form",
        negatives="all labels",
        note="Its mitigation factor alone, with final counts; the original counts while it trains, and has a second "
        "factor that follows the scores.",
        added=_seesaw,
    ),
)  # fmt: skip


def catalogue(prior: LabelPrior, m: int = 255) -> tuple[Published, ...]:
    """List published schemes: margins, exact optima, and what they mean on these counts.

    Tilts are slopes of f* - log η on log π, f* the optimum of the true expected loss of all labels.  They follow from
    f* where that is known in closed form; else f* is computed, and beyond 2,000 labels the tilt is right to 1e-4.

    Parameters
    ----------
    prior : LabelPrior
        The label prior.  Where a label does not occur, or all are equally frequent, tilts are None.
    m : int
        The number of negatives, from 1 to 10¹².

    Returns
    -------
    tuple of Published
        The schemes: softmax and logistic losses with i.i.d. draws, other draws, and losses over all labels.

    Raises
    ------
    ValueError
        For anything that is no LabelPrior, and for m out of range.

    References
    ----------
    The source of each scheme; optima derived here unless they are known from there.

    Examples
    --------
    >>> import implicitloss as il
    >>> for found in il.catalogue(il.LabelPrior.exp(100, 500, 100), m=64)[:3]:
    ...     print(f"{found.tilt.uniform:+.2f} {found.tilt.peaked:+.2f}, {found.gains}: {found.name}")
    -1.00 -1.00, rare: in-batch softmax
    +0.00 +0.00, neither: log-q corrected two-tower, both sides
    -0.07 -0.43, rare: log-q corrected two-tower, negatives only
    """
    counts = _Counts(checked_prior(prior), m)
    return tuple(counts.published(entry) for entry in ENTRIES)


class _Counts:
    """The prior and the number of negatives, with the numbers that several entries share."""

    def __init__(self, prior: LabelPrior, m: int) -> None:
        self.prior, self.m = prior, m
        self.tilts: dict[Scheme, tuple[Tilts, str]] = {}

    def published(self, entry: _Entry) -> Published:
        """The entry with the numbers of these counts."""
        scheme = None if entry.scheme is None else entry.scheme(self.m)
        tilts, missing = self.tilts_of(entry, scheme)
        shares = None
        if scheme is not None and entry.form == "softmax" and scheme.hits == "keep":
            shares, why = self.shares(scheme)
            missing = missing or why
        known = [value for value in (tilts.uniform, tilts.prior, tilts.peaked) if value is not None]
        return Published(
            name=entry.name, source=entry.source, negatives=entry.negatives, form=entry.form, margins=entry.margins,
            optimum=entry.optimum, note=" ".join(entry.note.split()), scheme=scheme, tilt=tilts, information=shares,
            gains=gains_of(max(known, key=abs)) if known else None, missing=missing,
        )  # fmt: skip

    def tilts_of(self, entry: _Entry, scheme: Scheme | None) -> tuple[Tilts, str]:
        """The tilts at the three x, and why some are missing."""
        added = entry.added
        if added is not None:
            return self._at_each(lambda at: self._slope(added, at))
        if scheme is None:
            return Tilts(), entry.missing
        if scheme not in self.tilts:
            self.tilts[scheme] = self._at_each(lambda at: self._found(scheme, at))
        return self.tilts[scheme]

    def _found(self, scheme: Scheme, at: At) -> float:
        """The tilt of a scheme whose optimum is not known; of many labels, those that are alike are taken together."""
        if self.prior.n_labels <= MOST_LABELS_APART or not isinstance(scheme.weighting, Importance):
            return tilt(scheme, self.prior, of="sampled", eta=at)
        found = Place(at, self.prior, scheme.sampler, Softmax()).off_by_own(scheme.m, scheme.hits)
        if np.isnan(found):
            raise NoOptimum("the optimum was not reached")
        return found

    def _slope(self, added: Added, at: At) -> float:
        eta, labels = eta_at(at, self.prior)
        return slope(added(eta, self.prior), self.prior, labels)

    def _at_each(self, tilt_at: Callable[[At], float]) -> tuple[Tilts, str]:
        found, missing = {}, ""
        for at in ("uniform", "prior", "peaked"):
            try:
                slope(np.zeros(self.prior.n_labels), self.prior, eta_at(at, self.prior)[1])  # refuses such counts
                found[at] = tilt_at(at)
            except ValueError as error:  # a label that does not occur, equal frequencies, or no optimum
                missing = missing or str(error)
        return Tilts(**found), missing

    def shares(self, scheme: Scheme) -> tuple[KeptShares | None, str]:
        """The shares of information at the peaked x, and why there are none."""
        eta, likely = eta_at("peaked", self.prior)
        try:
            each = about_each_label(scheme, eta, self.prior)
        except ValueError as error:
            return None, str(error)
        slices = {name: np.intersect1d(labels, likely) for name, labels in self.prior.slices().items()}
        return KeptShares(**{name: float(each[labels].mean()) for name, labels in slices.items() if labels.size}), ""
