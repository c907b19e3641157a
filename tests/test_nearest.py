"""What fits: slopes where nothing does, fitted exponents and shares, and right losses that pass by exact means.

Slips have tests of their own, in test_slips.py.  An audit refutes a true claim with probability at most 1e-6; fitted
numbers lie within five standard errors with probability above 1 - 1e-6.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing.comparison import HITS, Comparison
from implicitloss.auditing.nearest import FITS_WITHIN
from implicitloss.labels import Floats, Labels

S, W = il.samplers, il.weightings
L, M = 100, 20
PRIOR = il.LabelPrior.zipf(L, 1.0)
UNSORTED = il.LabelPrior.from_counts(np.random.default_rng(5).permutation(np.round(1e5 / np.arange(1, L + 1) ** 1.3)))
# Audits by values take seconds each.
each_route = pytest.mark.parametrize(
    "gradient", [pytest.param(True, id="by-gradients"), pytest.param(False, id="by-values", marks=pytest.mark.slow)]
)


def at(scores: Floats, labels: Labels) -> Floats:
    return np.take_along_axis(scores, labels, axis=1)


def sampled(law: Floats, log_w: Any = 0.0, *, m: int = M, gradient: bool = False, hits: str = "mask") -> Any:
    """Sampled softmax: m draws by a law, with log weights (L, L) or one number."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(positive))
        neg = rng.choice(law.size, size=(len(positive), m), p=law)
        added = np.broadcast_to(log_w, (law.size, law.size))[positive[:, None], neg]
        x = np.exp(at(scores, neg) - at(scores, positive[:, None]) + added)
        hit = neg == positive[:, None]
        x = np.where(hit, 0.0, x) if hits == "mask" else x
        values = np.log1p(x.sum(axis=1))
        if not gradient:
            return values
        slopes = np.zeros(scores.shape)
        np.add.at(slopes, (rows[:, None], neg), np.where(hit, 0.0, x) / np.exp(values)[:, None])
        slopes[rows, positive] = -slopes.sum(axis=1)
        return values, slopes

    return loss


def full(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    return np.asarray(np.logaddexp.reduce(scores, axis=1) - at(scores, positive[:, None])[:, 0])


def in_single(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    return full(scores.astype(np.float32), positive, rng).astype(np.float64)


def adjusted(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    return full(scores + PRIOR.log, positive, rng)


# Losses that draw nothing.


@pytest.mark.parametrize("n_labels", [300, 1_000])
def test_softmax_over_all_labels_by_values_holds_and_is_measured_once(n_labels: int, seed: int) -> None:
    report = il.audit(full, claim="full", prior=il.LabelPrior.zipf(n_labels, 1.0), rng=seed)
    assert report.verdict == "holds"
    assert report.calls < 60
    assert report.known_to < 1e-3
    assert str(report.nearest) == "softmax over all labels, none drawn"
    assert "draws nothing" in {note.kind for note in report.notes}


def test_a_loss_in_single_precision_that_draws_nothing_holds(seed: int) -> None:
    report = il.audit(in_single, claim="full", prior=PRIOR, rng=seed)
    assert report.verdict == "holds"
    assert report.calls < 60


def test_a_loss_that_draws_nothing_is_refuted_by_one_per_cent(seed: int) -> None:
    """A true claim is known to rounding, and so one that is off by little is refuted."""
    off = np.where(np.arange(L) < L // 2, np.log(1.01), 0.0)
    nearly = il.audit(
        lambda f, y, rng: full(f + off - off[y][:, None] * np.eye(L)[y], y, rng), claim="full", prior=PRIOR
    )
    assert nearly.verdict == "refuted"
    assert il.audit(adjusted, claim=il.margins.LogitAdjusted(), prior=PRIOR, rng=seed).verdict == "holds"
    report = il.audit(adjusted, claim="full", prior=PRIOR, rng=seed)
    assert report.verdict == "refuted"
    assert str(report.nearest) == "logit-adjusted softmax over all labels, none drawn"


def test_logit_adjustment_with_the_sign_turned_over_all_labels(seed: int) -> None:
    report = il.audit(
        lambda f, y, rng: full(f - PRIOR.log, y, rng), claim=il.margins.LogitAdjusted(), prior=PRIOR, rng=seed
    )
    assert report.verdict == "refuted"
    assert report.nearest is not None
    assert report.nearest.slip is not None
    assert report.nearest.slip.name.startswith("logit adjustment with the sign turned")


def shared(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    """A seed of its own, and the same few labels in each row: row for row the answer repeats."""
    drawn = np.random.default_rng(0).choice(L, size=(1, M), p=PRIOR.probabilities)
    return np.asarray(sampled_at(scores, positive, np.broadcast_to(drawn, (len(positive), M))))


def by_row(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    """A seed of its own, and so many draws that each row has all labels, in numbers of its own."""
    drawn = np.random.default_rng(0).choice(L, size=(len(positive), 20 * L))
    return np.asarray(sampled_at(scores, positive, drawn))


def sampled_at(scores: Floats, positive: Labels, drawn: Labels) -> Floats:
    x = np.exp(at(scores, drawn) - at(scores, positive[:, None]))
    return np.asarray(np.log1p(np.where(drawn == positive[:, None], 0.0, x).sum(axis=1) / M))


@pytest.mark.parametrize("loss", [shared, by_row])
def test_a_loss_with_a_seed_of_its_own_is_no_loss_that_draws_nothing(loss: Any, seed: int) -> None:
    report = il.audit(loss, claim=None, prior=PRIOR, rng=seed, runs=64)
    kinds = {note.kind for note in report.notes}
    assert "ignores rng" in kinds
    assert "draws nothing" not in kinds


# Hits, judged by what they change.


@each_route
def test_one_uniform_negative_holds(gradient: bool, seed: int) -> None:
    claim = il.Scheme(S.Uniform(), W.Unit(), m=1, hits="keep")
    uniform = np.full(L, 1 / L)
    loss = sampled(uniform, m=1, gradient=gradient, hits="keep")
    assert il.audit(loss, claim=claim, prior=PRIOR, rng=seed).verdict == "holds"
    # Hits that are removed all the same are seen: they are asked for until they are known, or runs are used up.
    masked = sampled(uniform, m=1, gradient=gradient)
    assert il.audit(masked, claim=claim, prior=PRIOR, rng=seed).verdict == "refuted"


def test_hits_that_may_change_much_stay_open() -> None:
    """What is undecided of the hits may be one hundredth of e^loss at equal scores, and no more."""
    hits = Comparison(0, HITS, np.array([0]), "value", 1.0, 0.1, True, 9.0, measured=0.1, low=0.0, high=0.14)
    assert hits.result(0.0) == "inconclusive"
    assert replace(hits, whole=20.0).result(0.0) == "holds"
    assert replace(hits, whole=20.0).is_open(0.0)
    assert replace(hits, whole=5.0).result(0.0) == "inconclusive"
    assert replace(hits, whole=20.0, exceeds_bound=True).result(0.0) == "inconclusive"
    assert replace(hits, whole=20.0, high=0.09).result(0.0) == "refuted"


@pytest.mark.parametrize("hits", ["mask", "keep"])
def test_importance_weights_on_seven_labels_hold(hits: Any, seed: int) -> None:
    prior = il.LabelPrior.from_counts([64, 32, 16, 8, 4, 2, 1])
    q = np.asarray(prior.probabilities)
    loss = sampled(q, -np.log(4 * q), m=4, hits=hits)
    claim = il.Scheme(S.WithinBatch(), W.Importance(), m=4, hits=hits)
    report = il.audit(loss, claim=claim, prior=prior, rng=seed)
    assert report.verdict == "holds", str(report)


@pytest.mark.parametrize("label", [0, L // 2])
def test_a_label_whose_loss_is_0_is_named(label: int, seed: int) -> None:
    def padded(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        return full(scores, positive, rng) * (positive != label)

    report = il.audit(padded, claim="full", prior=PRIOR, rng=seed)
    assert report.verdict == "refuted"
    assert str(report.flaws[0]) == f"the loss of label {label} is 0: is it the ignore_index / padding?"
    assert report.nearest is None


def test_hits_alone_are_no_label_that_is_ignored(seed: int) -> None:
    """All draws of a label that is 90 % of them are often masked hits."""
    prior = il.LabelPrior.from_counts([90, 5, 5])
    loss = sampled(np.asarray(prior.probabilities), m=1)
    claim = il.Scheme(S.WithinBatch(), W.Unit(), m=1, hits="mask")
    report = il.audit(loss, claim=claim, prior=prior, rng=seed, runs=400)
    assert report.flaws == ()


def test_right_losses_are_never_refuted_at_small_size(seed: int) -> None:
    """Three seeds, losses that draw and one that does not; a false refutation has a probability of 1e-6 an audit."""
    small = il.LabelPrior.zipf(8, 1.0)
    q = np.asarray(small.probabilities)
    schemes: list[tuple[Any, Any]] = [
        (sampled(q, -np.log(5 * q), m=5), il.Scheme(S.WithinBatch(), W.Importance(), m=5, hits="mask")),
        (sampled(q, m=5, hits="keep"), il.Scheme(S.WithinBatch(), W.Unit(), m=5, hits="keep")),
        (sampled(q, m=5, gradient=True), il.Scheme(S.WithinBatch(), W.Unit(), m=5, hits="mask")),
        (full, "full"),
    ]
    for shift in range(3):
        for loss, claim in schemes:
            report = il.audit(loss, claim=claim, prior=small, rng=seed + shift, runs=400)
            assert report.verdict != "refuted", str(report)
            assert report.nearest is None or report.nearest.slip is None, str(report)


# Names.


RIGHT: dict[str, tuple[Floats, Any, il.Scheme]] = {}
for _name, _law, _sampler in (
    ("within-batch", PRIOR.probabilities, S.WithinBatch()),
    ("power", PRIOR.probabilities**0.75 / np.sum(PRIOR.probabilities**0.75), S.Power(0.75)),
    ("log-uniform", np.log1p(1 / np.arange(1, L + 1)) / np.log(L + 1), S.LogUniform()),
):
    _q = np.asarray(_law)
    RIGHT[f"importance, {_name}"] = (_q, -np.log(M * _q), il.Scheme(_sampler, W.Importance(), m=M, hits="mask"))
    RIGHT[f"unit, {_name}"] = (_q, 0.0, il.Scheme(_sampler, W.Unit(), m=M, hits="mask"))
    RIGHT[f"constant, {_name}"] = (_q, -np.log(M), il.Scheme(_sampler, W.Constant(), m=M, hits="mask"))
    _relative = np.log(_q)[:, None] - np.log(_q)[None, :]
    RIGHT[f"relative, {_name}"] = (_q, _relative, il.Scheme(_sampler, W.Relative(), m=M, hits="mask"))


# By values a law takes seconds, and one will do.
@pytest.mark.parametrize(
    ("name", "gradient"),
    [(name, True) for name in RIGHT] + [("importance, within-batch", False)],
)
def test_right_schemes_are_never_called_a_slip(name: str, gradient: bool, seed: int) -> None:
    """Claimed or not; a claim of another scheme is refuted, and the right one is named."""
    law, log_w, scheme = RIGHT[name]
    loss = sampled(law, log_w, gradient=gradient)
    claimed = il.audit(loss, claim=scheme, prior=PRIOR, rng=seed)
    assert claimed.verdict == "holds", str(claimed)
    assert claimed.nearest is not None
    assert claimed.nearest.scheme is scheme
    measured = il.audit(loss, prior=PRIOR, rng=seed)
    assert measured.nearest is not None, str(measured)
    assert measured.nearest.slip is None, str(measured)


@each_route
@pytest.mark.parametrize("law", ["by id", "by frequency"])
def test_log_uniform_draws_are_named_though_not_claimed(law: str, gradient: bool, seed: int) -> None:
    by_id = np.log1p(1 / np.arange(1, L + 1)) / np.log(L + 1)
    q = by_id.copy()
    if law == "by frequency":
        q[UNSORTED.by_frequency] = by_id
    report = il.audit(sampled(q, gradient=gradient), claim="full", prior=UNSORTED, rng=seed)
    assert report.verdict == "refuted"
    expected = {
        "by id": "weights of 1, log-uniform by label id, m = ",
        "by frequency": "weights of 1, LogUniform(), m = ",
    }
    assert str(report.nearest).startswith(expected[law]), str(report)


@each_route
@pytest.mark.parametrize("alpha", [0.5, 1.25])
def test_an_exponent_is_fitted(alpha: float, gradient: bool, seed: int) -> None:
    q = np.asarray(PRIOR.probabilities**alpha)
    claim = il.Scheme(S.Power(0.75), W.Unit(), m=M, hits="mask")
    report = il.audit(sampled(q / q.sum(), gradient=gradient), claim=claim, prior=PRIOR, rng=seed)
    assert report.verdict == "refuted"
    assert report.nearest is not None, str(report)
    fitted = report.nearest.fitted
    assert fitted is not None, str(report)
    assert fitted.parameter == "α"
    assert abs(fitted.value - alpha) < 5 * fitted.error
    assert fitted.error < 0.05
    assert f"Power with fitted {fitted}" in str(report)
    assert float(str(fitted).split()[2]) == pytest.approx(fitted.value, abs=fitted.error)
    assert report.to_dict()["fitted"] == {"parameter": "α", "value": fitted.value, "error": fitted.error}


@each_route
def test_a_share_of_a_mixture_is_fitted(gradient: bool, seed: int) -> None:
    q = 0.8 * np.asarray(PRIOR.probabilities) + 0.2 / L
    claim = il.Scheme(S.WithinBatch(), W.Unit(), m=M, hits="mask")
    report = il.audit(sampled(q, gradient=gradient), claim=claim, prior=PRIOR, rng=seed)
    assert report.nearest is not None, str(report)
    fitted = report.nearest.fitted
    assert fitted is not None, str(report)
    assert fitted.parameter == "λ"
    assert abs(fitted.value - 0.8) < 5 * fitted.error
    assert fitted.error < 0.1


def test_errors_of_fitted_numbers_are_not_too_small(seed: int) -> None:
    """Over 20 seeds, the fitted exponent is within three errors nearly always, and they are of its spread's size."""
    q = np.asarray(PRIOR.probabilities**1.25)
    off = []
    for shift in range(20):
        report = il.audit(sampled(q / q.sum(), gradient=True), claim="full", prior=PRIOR, rng=seed + shift, runs=2_000)
        assert report.nearest is not None
        assert report.nearest.fitted is not None
        off.append((report.nearest.fitted.value - 1.25) / report.nearest.fitted.error)
    assert np.sum(np.abs(off) > 3) <= 2
    assert 0.3 < np.std(off) < 2.0


@each_route
@pytest.mark.parametrize(("b", "c"), [(1.4, 0.6), (-0.5, -1.0)])
def test_where_nothing_fits_slopes_are_given(b: float, c: float, gradient: bool, seed: int) -> None:
    q = np.asarray(PRIOR.probabilities)
    log_p = b * PRIOR.log[None, :] + c * PRIOR.log[:, None] - b * PRIOR.log.mean() - c * PRIOR.log.mean()
    loss = sampled(q, log_p - np.log(M * q), gradient=gradient)
    report = il.audit(loss, claim="full", prior=PRIOR, rng=seed)
    assert report.verdict == "refuted"
    assert report.nearest is None, str(report)
    found = report.slopes
    assert found is not None
    assert found.c is not None
    for slope, truth in ((found.b, b), (found.c, c)):
        assert abs(slope.value - truth) < 6 * slope.error + 1e-3
        assert slope.error < 0.05
    assert report.to_dict()["slopes"]["b"] == {"value": found.b.value, "error": found.b.error}
    said = " ".join(report.explain().split())
    assert "log p = a + b log π_y' + c log π_y" in said
    assert ("Frequent negatives count more than rare ones." in said) == (b > 0)
    assert ("Rare negatives count more than frequent ones." in said) == (b < 0)
    assert ("beside frequent positives" in said) == (c > 0)
    assert "no scheme known here" in str(report)
    assert report.to_dict()["nearest"] is None


def test_no_name_is_said_for_what_does_not_fit(seed: int) -> None:
    """Corrections by a random permutation of the prior are no known order."""
    q = np.asarray(PRIOR.probabilities)
    permuted = np.random.default_rng(7).permutation(q)
    for gradient in (True, False):
        report = il.audit(sampled(q, -np.log(M * permuted), gradient=gradient), claim="full", prior=PRIOR, rng=seed)
        assert report.verdict == "refuted"
        assert report.nearest is None, str(report)
        assert "those of:" not in report.explain()


def test_what_is_named_though_it_does_not_agree_is_near(seed: int) -> None:
    """Margins 12 % off for half of the labels: importance weights are near, and a factor is said."""
    q = np.asarray(PRIOR.probabilities)
    log_w = -np.log(M * q) + np.where(np.arange(L) % 2, 0.24, 0.0)
    report = il.audit(sampled(q, log_w, gradient=True), claim="full", prior=PRIOR, rng=seed, runs=20_000)
    assert report.nearest is None or report.nearest.distance <= np.log(FITS_WITHIN)


# Failures.


def test_adapters_are_named_only_where_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(loss: Any) -> str:
        with pytest.raises(Exception) as caught:
            il.audit(loss, claim="full", prior=PRIOR)
        return " ".join(getattr(caught.value, "__notes__", []))

    def for_tensors(scores: Any, positive: Any, rng: Any) -> Any:
        raise TypeError("cross_entropy_loss(): argument 'input' must be Tensor, not numpy.ndarray")

    assert "implicitloss.adapters.torch" in notes(lambda f, y, rng: f.gather(1, y))
    assert "implicitloss.adapters.torch" in notes(for_tensors)
    assert notes(lambda f, y, rng: {}["rate"]) == ""
    assert notes(lambda f, y, rng: f.typing_error) == ""
    assert notes(lambda f, y, rng: 1 / 0) == ""
    assert notes(lambda f, y, rng: f + "a") == ""

    def about_arrays(scores: Any, positive: Any, rng: Any) -> Any:
        raise TypeError("expected something else, got ndarray")

    assert notes(about_arrays) == ""
    framework = type(np)("torch.nn")
    monkeypatch.setitem(about_arrays.__globals__, "nn", framework)
    assert "implicitloss.adapters.torch" in notes(about_arrays)


def test_a_traceback_has_the_frames_of_the_loss_and_none_of_the_package() -> None:
    import traceback

    def helper() -> None:
        raise KeyError("rate")

    def loss(scores: Any, positive: Any, rng: Any) -> Any:
        helper()

    with pytest.raises(KeyError) as caught:
        il.audit(loss, claim="full", prior=PRIOR)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.name for frame in frames][1:] == ["audit", "loss", "helper"] or [frame.name for frame in frames][
        -2:
    ] == ["loss", "helper"]
    assert sum("implicitloss/auditing" in frame.filename for frame in frames) <= 1
