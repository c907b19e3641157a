"""Each common slip is what its page says: its lines of code are run and audited, its margins and tilts computed.

Slips are found in `implicitloss.auditing.slips`; a new one needs no line here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing.slips import SLIPS, Slip
from implicitloss.labels import Floats, Labels

L, M = 200, 20
PRIOR = il.LabelPrior.zipf(L, 1.0)
# Not uniform, and not π, by which two slips would be schemes with other names.
SAMPLER = il.samplers.Power(0.75)
Q = PRIOR.probabilities**0.75 / np.sum(PRIOR.probabilities**0.75)
each_slip = pytest.mark.parametrize("slip", SLIPS, ids=[slip.name for slip in SLIPS])


def written(line: str, gradient: bool = True) -> Callable[..., Any]:
    """Sampled softmax, hits masked, with this line as the correction."""

    def loss(scores: Floats, pos: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(pos))[:, None]
        neg = rng.choice(L, size=(len(pos), M), p=Q)
        given = {
            "np": np, "q": Q, "prior": PRIOR.probabilities, "m": M, "neg": neg, "pos": pos[:, None],
            "f_neg": scores[rows, neg], "f_pos": scores[rows, pos[:, None]],
        }  # fmt: skip
        exec(line, given)
        x = np.where(neg == pos[:, None], 0.0, np.exp(given["f_neg"] - given["f_pos"]))
        values = np.log1p(x.sum(axis=1))
        if not gradient:
            return values
        slopes = np.zeros(scores.shape)
        np.add.at(slopes, (rows, neg), x / np.exp(values)[:, None])
        slopes[rows[:, 0], pos] -= slopes.sum(axis=1)
        return values, slopes

    return loss


@each_slip
def test_an_audit_names_what_the_line_does_and_says_what_to_write(slip: Slip, seed: int) -> None:
    report = il.audit(written(slip.line), claim=slip.target, prior=PRIOR, rng=seed)
    assert report.verdict == "refuted"
    assert report.nearest is not None
    assert report.nearest.slip is slip, str(report)
    for text in (str(report), report.to_markdown(), report.explain()):
        assert slip.fix in " ".join(text.replace("\\", "").split())
    assert report.to_dict()["slip"] == slip.to_dict()


@each_slip
def test_the_fix_has_the_margins_of_its_target(slip: Slip, seed: int) -> None:
    report = il.audit(written(slip.fix), claim=slip.target, prior=PRIOR, rng=seed)
    assert report.verdict == "holds", str(report)
    assert report.nearest is not None
    assert report.nearest.slip is None
    assert report.to_dict()["slip"] is None
    assert "in place of" not in str(report)


def test_what_is_near_a_slip_and_not_it_has_no_fix(seed: int) -> None:
    """Margins between those of a slip and the right ones: the slip is nearest, and does not fit."""
    between = written("f_neg -= np.log(m**0.3 * q[neg] ** 1.15)", gradient=False)
    report = il.audit(between, claim="full", prior=PRIOR, rng=seed)
    assert report.nearest is not None
    assert not report.nearest.agrees
    assert report.nearest.slip is None


def margins_of(slip: Slip, m: int, sampler: Any = SAMPLER) -> Floats:
    scheme = il.Scheme(sampler, slip, m=m, hits="mask")  # type: ignore[arg-type]
    return np.asarray(il.implicit_margins(scheme, PRIOR))


@each_slip
def test_the_margins_that_are_said_are_those_of_the_weights(slip: Slip) -> None:
    (formula,) = re.findall(r"^The margins are p = (.+?): it optimises ", slip.wrong)
    for said, name in (("q_y'", "Qn"), ("q_y", "Qp"), ("π_y'", "Pn"), ("π_y", "Pp"), ("²", "**2"), (" ", "*")):
        formula = formula.replace(said, name)
    at = {"Qn": Q, "Qp": Q[:, None], "Pn": PRIOR.probabilities, "Pp": PRIOR.probabilities[:, None]}
    for m in (1, M):
        expected = np.broadcast_to(eval(formula, {"m": m, **at}), (L, L))
        off = ~np.eye(L, dtype=bool)
        assert margins_of(slip, m)[off] == pytest.approx(expected[off], rel=1e-12)


FREQUENT_ONES = [
    sampler
    for sampler in il.samplers.examples()
    if not sampler.needs_scores and not isinstance(sampler, (il.samplers.Uniform, il.samplers.Explicit))
]


def tilts(weighting: Any, sampler: Any, of: Any = "implicit") -> list[float]:
    prior = PRIOR.few(20)
    return [il.tilt(il.Scheme(sampler, weighting, m=m, hits="mask"), prior, of) for m in (1, 20, 1000)]


def who(slopes: list[float], within: float = 1e-3) -> str:
    """The labels that gain, as the pages say it; a slope that grows from 0 says where it goes."""
    last = slopes[-1]
    return "Neither" if abs(last) < within else "Rare labels" if last < 0 else "Frequent labels"


@each_slip
@pytest.mark.parametrize("sampler", FREQUENT_ONES, ids=str)
def test_who_gains(slip: Slip, sampler: Any) -> None:
    """Its first words are the sign of the tilt of the implicit loss, which never turns with m."""
    slopes = tilts(slip, sampler)
    assert slip.gains.startswith((f"{who(slopes)},", f"{who(slopes)}."))
    assert min(slopes) > -1e-3 or max(slopes) < 0.02
    # What is said of m and of uniform draws.
    assert ("the more the larger m is" in slip.gains) <= (slopes[0] > slopes[1] > slopes[2])
    uniform = tilts(slip, il.samplers.Uniform())
    assert ("with uniform draws neither." in slip.gains) == (
        who(uniform) == "Neither" and max(map(abs, uniform)) < 1e-3
    )


def test_what_more_is_said_of_who_gains() -> None:
    lost_m, sign, positive_only, _ = SLIPS
    assert "more than the right weights do" in lost_m.gains
    for sampler in FREQUENT_ONES:
        # With one draw nothing is lost, and both are the same.
        slip, right = (tilts(weights, sampler, "sampled")[1] for weights in (lost_m, il.weightings.Importance()))
        assert slip < 1.05 * right < 0, sampler
    assert "more than in balanced softmax if q = π and m is large" in sign.gains
    assert tilts(sign, il.samplers.WithinBatch())[-1] < -1.5
    assert "hardly any with few draws" in positive_only.gains
    assert all(abs(tilts(positive_only, sampler)[0]) < 0.12 for sampler in FREQUENT_ONES)


@each_slip
def test_the_fields_are_short_and_whole(slip: Slip) -> None:
    for name in ("does", "wrong", "gains"):
        text = getattr(slip, name)
        assert len(text) <= 160, name
        assert text.endswith("."), name
    assert "\n" not in slip.line + slip.fix
    assert dataclasses.replace(slip) == slip
