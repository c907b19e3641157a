"""Section 2: the losses (3), (4), (6), and the samplers of Table 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp

from implicitloss import margins
from implicitloss import symbols as s
from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Average, Averages, Exact, Frequencies, Identity
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.conventions import stated_law, tempered
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, Labels
from implicitloss.problem import Problem
from implicitloss.samplers import LogUniform, Mixture, ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.theory.implicit import margin_loss
from implicitloss.weightings import Constant, Importance, Relative
from paper_checks import cases

Row = tuple[str, sp.Expr, sp.Expr]


# --- (3) = (4) ------------------------------------------------------------------------------------------------------


def _exponentials(sum_of_negatives: sp.Expr) -> Callable[[], list[Row]]:
    # Two logarithms are equal when what they are taken of is: e^{ℓ} by (3) against e^{ℓ} by (4).
    three = s.over_labels(sp.exp(s.f[s.k] - s.f[s.y]))
    return lambda: [("e^ℓ by (3) and by (4)", three, 1 + sum_of_negatives)]


def _softmax_in_numbers(problem: Problem) -> Estimate:
    """-f_y + log Σ e^f, as (3) has it."""
    f = problem.scores
    largest = f.max()
    value = float(largest - f[problem.positive] + np.log(np.exp(f - largest).sum()))
    return Estimate(value, 1e-14 * (1 + abs(value) + np.ptp(f)), "loss", "closed form")


def _all_scorers(setting: Setting) -> list[Problem]:
    names = ("bounded", "gaussian", "aligned", "against", "heavy-tailed", "class-conditional")
    return [cases.problem(setting.prior, name, rank) for name in names for rank in (0.02, 0.5, 0.98)]


def _with_positive(problem: Problem) -> float:
    """(4) with the sum over all y', y itself included."""
    return float(np.log1p(np.exp(problem.scores - problem.scores[problem.positive]).sum()))


# --- (6) and its special cases --------------------------------------------------------------------------------------

_e = sp.exp(s.f[s.k])
_n, _pi, _tau, _c = s.n, s.pi, s.tau, s.scale


def _published_forms(
    tau_sign: int = 1, adaptive: margins.Margin | None = None, equalised_index: sp.Symbol = s.k
) -> Callable[[], list[Row]]:
    """Each loss: e^{ℓ} as its own paper writes it, against 1 + Σ_{y' != y} p_yy' e^{f_y' - f_y}."""
    adjusted = (_pi[s.k] / _pi[s.y]) ** (tau_sign * _tau)
    ldam = sp.exp(_pi[s.y] ** sp.Rational(-1, 4)) if adaptive is None else adaptive.margin(s.k)

    def pairwise(margin: sp.Expr) -> sp.Expr:
        return 1 + s.over_negatives(margin * sp.exp(s.f[s.k] - s.f[s.y]), s.k)

    def pairs() -> list[Row]:
        y_part = sp.exp(s.f[s.y])
        logit_adjusted = s.over_labels(_pi[s.k] ** _tau * _e) / (_pi[s.y] ** _tau * y_part)
        balanced = s.over_labels(_n[s.k] * _e) / (_n[s.y] * y_part)
        equalised = (y_part + s.over_negatives(_pi[s.k] * _e, s.k)) / y_part
        # LDAM takes Δ_y = π_y^{-1/4} off the positive's score.
        shifted = sp.exp(s.f[s.y] - _pi[s.y] ** sp.Rational(-1, 4))
        adaptive_loss = (shifted + s.over_negatives(_e, s.k)) / shifted
        return [
            ("logit-adjusted (Menon et al. 2021, Eq. 10)", logit_adjusted, pairwise(adjusted)),
            ("balanced softmax (Ren et al. 2020)", balanced, pairwise(margins.BalancedSoftmax().margin(s.k))),
            ("equalised (Tan et al. 2020)", equalised, pairwise(_pi[equalised_index])),
            ("adaptive, LDAM (Cao et al. 2019)", adaptive_loss, pairwise(ldam)),
        ]

    return pairs


# --- Table 1 --------------------------------------------------------------------------------------------------------


def _masses(alter: Callable[[sp.Expr], sp.Expr] = lambda law: law) -> Callable[[], list[Row]]:
    """Σ_k q_k against 1, where Σ_k π_k = 1; the log-uniform sum telescopes, shown by its difference in L."""

    def pairs() -> list[Row]:
        rows: list[Row] = []
        one = s.over_labels(s.pi[s.k])
        for sampler in (Uniform(), WithinBatch(), ModelBased(), Power(), Mixture()):
            total = s.constants_out(s.over_labels(alter(sampler.law(s.k))))
            rows.append((f"Σ q, {sampler}", total.xreplace({one: sp.Integer(1)}), sp.Integer(1)))
        last = alter(LogUniform().law(s.L)) * sp.log(s.L + 1)
        # log(L + 1) is Σ_{k <= L} log((k + 1)/k): it grows by the L-th term, and at L = 1 it is that term.
        rows.append(("Σ q, LogUniform(): L-th term", sp.exp(last), sp.exp(sp.log(s.L + 1) - sp.log(s.L))))
        return rows

    return pairs


def _weights(
    importance: sp.Expr | None = None, constant: sp.Expr | None = None, relative: sp.Expr | None = None
) -> Callable[[], list[Row]]:
    """The weights of the library against those of the table, or others, for any law q."""

    def law(label: sp.Expr) -> sp.Expr:
        return s.q[label]

    rows = (
        (Importance(), 1 / (s.m * s.q[s.yp]) if importance is None else importance),
        (Constant(), 1 / s.m if constant is None else constant),
        (Relative(), s.q[s.y] / s.q[s.yp] if relative is None else relative),
    )
    return lambda: [(str(weighting), weighting.weight(law, law, s.yp), printed) for weighting, printed in rows]


def _samplers(setting: Setting) -> list[tuple[Sampler, Problem]]:
    at = cases.problem(setting.prior, "aligned")
    return [(sampler, at) for sampler in cases.samplers(setting.prior.n_labels, cases.SOFTMAX)]


BATCH = 64


def _slices(setting: Setting) -> list[tuple[Average, float]]:
    """The share of each slice of labels in a batch of different examples, drawn from a data set with these counts."""
    prior = setting.prior
    counts = prior.counts if prior.counts is not None else np.ceil(prior.probabilities * 100_000)
    ends = np.cumsum(counts)
    weight = counts / ends[-1]
    size = min(BATCH, int(ends[-1]))

    def shares(labels: Labels) -> Average:
        inside = np.isin(np.arange(counts.size), labels)

        def draw(rng: np.random.Generator, n: int) -> Floats:
            batches = [rng.choice(int(ends[-1]), size=size, replace=False, shuffle=False) for _ in range(n)]
            return inside[np.searchsorted(ends, np.array(batches), side="right")].mean(axis=1)

        return Average(f"share of {labels.size} labels in a batch of {size}", draw)

    return [(shares(labels), float(weight[labels].sum())) for labels in prior.slices().values()]


def _by_labels(setting: Setting) -> list[float]:
    return [labels.size / setting.prior.n_labels for labels in setting.prior.slices().values()]


def _off(setting: Setting) -> list[float]:
    return [claimed + 0.02 for _, claimed in _slices(setting)]


INDEX_MISSES = {
    "the sum runs over all y', y itself included": _exponentials(s.over_labels(sp.exp(s.f[s.k] - s.f[s.y]))),
}

CLAIMS = (
    Claim(
        "rawat2021.section2.eq3-eq4",
        "Softmax cross-entropy: -f_y + log Σ_j e^{f_j} = log(1 + Σ_{y'≠y} e^{f_y' - f_y}).",
        "Rawat et al. 2021, Eqs. (3) and (4)",
        (
            Identity(_exponentials(s.over_negatives(sp.exp(s.f[s.k] - s.f[s.y]), s.k)), INDEX_MISSES),
            Exact(
                "closed forms on scores of six kinds",
                _all_scorers,
                _softmax_in_numbers,
                lambda problem: margin_loss(margins.Softmax(), cases.SOFTMAX, problem),
                {"the sum runs over all y', y itself included": _with_positive},
                floor=1e-11,
            ),
        ),
    ),
    Claim(
        "rawat2021.section2.eq6",
        "The pairwise-margin loss (6) contains the logit-adjusted, balanced-softmax, equalised and adaptive losses.",
        "Rawat et al. 2021, Eq. (6), with the losses as their own papers define them",
        (
            Identity(
                _published_forms(),
                {
                    "logit adjustment has p = (π_y/π_y')^τ": _published_forms(tau_sign=-1),
                    "equalised has p = π_y": _published_forms(equalised_index=s.y),
                    "adaptive has p itself = π_y^{-1/4}, as printed": _published_forms(
                        adaptive=margins.Adaptive(form="printed")
                    ),
                },
            ),
        ),
        ("equalised with F(π) = π; adaptive with scale 1: *log* p = π_y^{-1/4} (Rawat et al. print p)",),
    ),
    Claim(
        "rawat2021.section2.table1-laws",
        "The samplers' laws are distributions, and their procedures draw labels by them.",
        "Rawat et al. 2021, Table 1",
        (
            Identity(
                _masses(),
                {
                    "squared probabilities still sum to 1": _masses(lambda law: law**2),
                    "probabilities that are 2 % larger still sum to 1": _masses(lambda law: law * sp.Rational(51, 50)),
                },
                whole=False,
            ),
            Frequencies(_samplers, stated_law, {"each law is q^0.95, normalised": tempered}),
        ),
        ("Σ π = 1; labels of the log-uniform sampler ranked by frequency",),
    ),
    Claim(
        "rawat2021.section2.table1-weights",
        "The weights are w_yy' = 1/(m q_y') (importance), 1/m (constant) and q_y/q_y' (relative).",
        "Rawat et al. 2021, Table 1",
        (
            Identity(
                _weights(),
                {
                    "importance weights are 1/q_y'": _weights(importance=1 / s.q[s.yp]),
                    "constant weights are 1": _weights(constant=sp.Integer(1)),
                    "relative weights are q_y'/q_y": _weights(relative=s.q[s.yp] / s.q[s.y]),
                },
                detail="for every L, m and law q",
            ),
        ),
        ("q > 0",),
    ),
    Claim(
        "rawat2021.section2.batch",
        "The labels of a real batch, examples drawn without replacement, follow π in expectation.",
        "Rawat et al. 2021, section 2.2",
        (
            Averages(
                _slices,
                {"every label is equally frequent in a batch": _by_labels, "shares are 2 points larger": _off},
                largest_variance=0.25 / BATCH,
            ),
        ),
        ("draws within one batch are dependent; their mean is not affected",),
    ),
)
