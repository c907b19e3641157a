"""The catalogue of published schemes: optima in words and in numbers are those of the losses, written out by hand.

`python tests/designing/test_catalogue.py` writes docs/catalogue.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import implicitloss as il
from implicitloss.cli.main import main
from implicitloss.designing import catalogue as module
from implicitloss.formats import as_json, markdown
from implicitloss.optima.tilt import TILT_EQUAL, eta_at

DOCUMENT = Path(__file__).parents[2] / "docs" / "catalogue.md"
PRIOR, M = il.LabelPrior.from_counts([12, 3, 1]), 2
PI, L = PRIOR.probabilities, PRIOR.n_labels
ETA = np.array([0.2, 0.5, 0.3])
Array = Any
FOUND = {one.name: one for one in il.catalogue(PRIOR, M)}
IID = [name for name, one in FOUND.items() if one.negatives == "i.i.d. draws"]
ALL = [name for name, one in FOUND.items() if one.negatives == "all labels"]
OTHER = [name for name, one in FOUND.items() if one.negatives == "other draws"]
KNOWN = [name for name, one in FOUND.items() if one.tilt.uniform is not None]
CLOSED = [name for name in KNOWN if not FOUND[name].optimum.startswith("none")]


def law(name: str) -> Array:
    """q of a scheme, from what the entry says of it; the fitted tree of the adversarial softmax is any q(. | x)."""
    uniform = np.full(L, 1 / L)
    ranks = np.log1p(1 / np.arange(1, L + 1)) / np.log(L + 1)
    special = {"word2vec negative sampling": PI**0.75 / np.sum(PI**0.75), "gBCE": uniform,
               "adversarial softmax": np.array([0.3, 0.6, 0.1])}  # fmt: skip
    if name.startswith("tf.nn"):
        return ranks
    return (PI + uniform) / 2 if name.startswith("mixed") else special.get(name, PI)


# --- the losses, by hand ----------------------------------------------------------------------------------------------


def softmax_by_draws(f: Array, eta: Array, draws: list[Array], w: Array, masked: bool) -> float:
    """Σ_y η_y E log(1 + Σ w e^{f_y' - f_y}): every outcome of draws with these laws."""
    total = 0.0
    for y in range(L):
        for outcome in product(range(L), repeat=len(draws)):
            chance = np.prod([q[label] for q, label in zip(draws, outcome, strict=True)])
            terms = [w[y, k] * np.exp(f[k] - f[y]) for k in outcome if not (masked and k == y)]
            total += eta[y] * chance * np.log1p(sum(terms))
    return float(total)


def softmax_of_all(f: Array, eta: Array, p: Array, scale: Array = 1.0) -> float:
    """Σ_y η_y scale_y log(1 + Σ_{y' ≠ y} p_yy' e^{f_y' - f_y})."""
    terms = p * np.exp(f[None, :] - f[:, None])
    np.fill_diagonal(terms, 0.0)
    return float(np.sum(eta * scale * np.log1p(terms.sum(axis=1))))


def logistic(f: Array, eta: Array, p: Array, beta: float = 1.0) -> float:
    """Σ_y η_y (β log(1 + e^{-f_y}) + Σ_y' p_yy' log(1 + e^{f_y'})), hits on the diagonal."""
    return float(eta @ (beta * np.logaddexp(0, -f)) + eta @ (p @ np.logaddexp(0, f)))


def expected_loss(name: str) -> Callable[[Array, Array], float]:
    """The true expected loss of (f, η), from the words of the entry alone."""
    q = law(name)
    relative, importance = q[:, None] / q[None, :], np.ones((L, 1)) / (M * q[None, :])
    off = 1 - np.eye(L)
    level = PI[None, :] / PI[:, None]
    softmax: dict[str, tuple[Array, bool]] = {
        "in-batch softmax": (np.ones((L, L)), False),
        "log-q corrected two-tower, both sides": (relative, False),
        "log-q corrected two-tower, negatives only": (importance, True),
        "corrected log-q correction": (importance, True),
        "sampled softmax, unigram draws": (importance, True),
        "tf.nn.sampled_softmax_loss, draws with replacement, hits kept": (relative, False),
        "mixed negative sampling, a coin for each negative": (np.ones((L, L)), False),
    }
    margins: dict[str, tuple[Array, Array]] = {
        "logit adjustment": (level, 1.0),
        "balanced softmax": (level, 1.0),
        "class-weighted softmax": (np.ones((L, L)), 1 / PI),
        "LDAM, adaptive margins": (np.exp(30 * 0.5 * (PI.min() / PI) ** 0.25)[:, None] * np.ones(L), 1.0),
        "equalised loss": (np.ones((L, 1)) * PI, 1.0),
        "seesaw loss with given counts": (np.minimum(1, level**0.8), 1.0),
    }
    t, alpha = 0.75, M / (L - 1)
    binary: dict[str, Callable[[Array, Array], float]] = {
        "word2vec negative sampling": lambda f, eta: logistic(f, eta, M * q * off),
        "NCE": lambda f, eta: logistic(f - np.log(M * q), eta, M * q * np.ones((L, 1))),
        "gBCE": lambda f, eta: logistic(f, eta, alpha * off, 1 - t * (1 - alpha)),
        "adversarial softmax": lambda f, eta: logistic(f, eta, q * np.ones((L, 1))),
    }
    if name in binary:
        return binary[name]
    if name in margins:
        return lambda f, eta: softmax_of_all(f, eta, *margins[name])
    w, masked = softmax[name]
    return lambda f, eta: softmax_by_draws(f, eta, [q] * M, w, masked)


def best(loss: Callable[[Array], float], form: str) -> Array:
    """The minimiser, centred for softmax, by a general method with numerical derivatives."""
    f = minimize(loss, np.zeros(L), method="BFGS", jac="3-point", options={"gtol": 1e-9}).x
    return f - f.mean() if form == "softmax" else f


# What the words of `optimum` say.
OPTIMA: dict[str, Callable[[Array, Array], Array]] = {
    "log η": lambda eta, q: np.log(eta),
    "log η - log π": lambda eta, q: np.log(eta / PI),
    "log η - τ log π": lambda eta, q: np.log(eta / PI),
    "log η - log q": lambda eta, q: np.log(eta / q),
    "log(η/q)": lambda eta, q: np.log(eta / q),
    "log η - log(m q) - log(1 - η)": lambda eta, q: np.log(eta / (M * q * (1 - eta))),
    "log η - log(1 - η) + log(β/α)": lambda eta, q: np.log(
        eta / (1 - eta) * (1 - 0.75 * (1 - M / (L - 1))) / (M / (L - 1))
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_the_optimum_in_words_minimises_the_loss(name: str) -> None:
    one, loss = FOUND[name], expected_loss(name)
    said = OPTIMA[one.optimum](ETA, law(name))
    found = best(lambda f: loss(f, ETA), one.form)
    assert found == pytest.approx(said - said.mean() if one.form == "softmax" else said, abs=2e-6)


@pytest.mark.parametrize("name", [name for name in CLOSED if FOUND[name].scheme is not None])
def test_the_scheme_has_the_optimum_in_words(name: str) -> None:
    """By the library's own optima; NCE shifts the scores, and gBCE weighs the positive, which a scheme does not."""
    one, q = FOUND[name], law(name)
    assert one.scheme is not None
    loss = il.losses.SoftmaxCrossEntropy() if one.form == "softmax" else il.losses.Decoupled(il.losses.logistic)
    found = il.population_optimum(one.scheme, loss, ETA, PRIOR)
    found = found + {"NCE": np.log(M * q), "gBCE": np.log(1 - 0.75 * (1 - M / (L - 1)))}.get(name, 0.0)
    said = OPTIMA[one.optimum](ETA, q)
    assert found == pytest.approx(said - said.mean() if one.form == "softmax" else said, abs=1e-8)


@pytest.mark.parametrize("name", KNOWN)
def test_the_tilts_are_those_of_the_minimiser(name: str) -> None:
    one, loss = FOUND[name], expected_loss(name)
    x = np.log(PI) - np.log(PI).mean()
    for at in ("uniform", "prior", "peaked"):
        eta, labels = eta_at(at, PRIOR)
        assert labels.size == L
        f = best(lambda f, eta=eta: loss(f, eta), one.form)  # type: ignore[misc]
        if name == "adversarial softmax":
            f = f + np.log(law(name))  # as it predicts
        assert getattr(one.tilt, at) == pytest.approx(x @ (f - np.log(eta)) / (x @ x), abs=2e-5), at
    assert one.missing == ""


# What the words of `margins` say, of q, for the schemes.
MARGINS: dict[str, Callable[[Array], Array]] = {
    "m π_y'": lambda q: M * PI * np.ones((L, 1)),
    "m π_y": lambda q: M * PI[:, None] * np.ones(L),
    "m q_y": lambda q: M * q[:, None] * np.ones(L),
    "1": lambda q: np.ones((L, L)),
    "m q_y', q_y' = (π_y' + 1/L)/2": lambda q: M * (PI + 1 / L) / 2 * np.ones((L, 1)),
    "m q_y', q ∝ n^(3/4)": lambda q: M * PI**0.75 / np.sum(PI**0.75) * np.ones((L, 1)),
    "m q_y', on scores less log(m q)": lambda q: M * q * np.ones((L, 1)),
    "α = m/(L - 1), against β = 1 - t(1 - α) on the positive": lambda q: np.full((L, L), M / (L - 1)),
}


@pytest.mark.parametrize("name", [name for name in IID if FOUND[name].scheme is not None])
def test_the_margins_in_words_are_those_of_the_scheme(name: str) -> None:
    one = FOUND[name]
    assert one.scheme is not None
    assert one.scheme.m == M
    # Kept hits divide all margins of a softmax by one number of the positive.
    hits = "exclude" if one.scheme.hits == "exclude" else "mask"
    scheme = il.Scheme(one.scheme.sampler, one.scheme.weighting, m=M, hits=hits)  # type: ignore[arg-type]
    off = ~np.eye(L, dtype=bool)
    assert il.implicit_margins(scheme, PRIOR)[off] == pytest.approx(MARGINS[one.margins](law(name))[off])


def test_every_scheme_is_whole() -> None:
    assert len(FOUND) == len(module.ENTRIES) == len(IID) + len(OTHER) + len(ALL)
    assert {name for name in IID if FOUND[name].scheme is None} == {"adversarial softmax"}
    assert all(FOUND[name].scheme is None for name in OTHER + ALL)
    for one in FOUND.values():
        assert all((one.name, one.source, one.margins, one.optimum)), one
        assert (one.missing == "") == (one.gains is not None), one.name


# --- claims of the notes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [PRIOR, il.LabelPrior.zipf(60, 1.5), il.LabelPrior.from_counts([99, 1])])
def test_the_quadratics_hold(prior: il.LabelPrior) -> None:
    """Of LDAM and the equalised loss: one λ for all labels, and the sum of the shares is 1."""
    pi = prior.probabilities
    eta = np.random.default_rng(3).dirichlet(np.ones(pi.size))
    for added, a, b in (
        (module._adaptive, np.exp(15 * (pi.min() / pi) ** 0.25), np.ones(pi.size)),
        (module._equalised, np.ones(pi.size), pi),
    ):
        g = eta * np.exp(added(eta, prior))
        g /= b @ g
        rate = eta * a / (b * (1 - a * b) * g**2 + a * b * g)
        assert rate == pytest.approx(np.full(pi.size, rate.mean()), rel=1e-7)


def test_the_sums_of_seesaw_are_those_of_its_margins() -> None:
    pi = np.array([0.1, 0.4, 0.1, 0.3, 0.05, 0.05])  # ties, in no order
    p = np.minimum(1, (pi[None, :] / pi[:, None]) ** 0.8)
    sums = module._Seesaw(pi**0.8, il.LabelPrior.from_probabilities(pi).by_frequency)
    v = np.arange(1.0, 7.0)
    assert sums.over_negatives(v) == pytest.approx(p @ v, rel=1e-14)
    assert sums.over_positives(v) == pytest.approx(v @ p, rel=1e-14)


def test_the_corrected_correction_has_the_gradient_of_importance_weights(rng: np.random.Generator) -> None:
    """Hits masked, on the same draws; its positive is not in the sum, and is in p̂."""
    f, y, m = rng.standard_normal(L), 1, 5
    draws = np.array([0, 1, 2, 0, 0])

    def sums(f: Array) -> Array:
        return sum(np.exp(f[k]) / (m * PI[k]) for k in draws if k != y)

    p_hat = np.exp(f[y]) / (np.exp(f[y]) + sums(f))
    eye, step = np.eye(L), 1e-6

    def gradient(loss: Callable[[Array], float]) -> Array:
        return np.array([(loss(f + step * e) - loss(f - step * e)) / (2 * step) for e in eye])

    corrected = gradient(lambda g: float(-(1 - p_hat) * (g[y] - np.log(sums(g)))))  # p̂ does not move
    importance = gradient(lambda g: float(np.log1p(sums(g) / np.exp(g[y]))))
    assert corrected == pytest.approx(importance, abs=1e-8)
    with_positive = gradient(lambda g: float(-(1 - p_hat) * (g[y] - np.log(np.exp(g[y]) + sums(g)))))
    assert np.abs(with_positive - importance).max() > 1e-2


def test_a_fixed_split_has_another_optimum_than_the_coin() -> None:
    q, uniform, ones = law("mixed"), np.full(L, 1 / L), np.ones((L, L))
    coin, split = (
        best(lambda f, draws=draws: softmax_by_draws(f, ETA, draws, ones, False), "softmax")  # type: ignore[misc]
        for draws in ([q, q], [PI, uniform])
    )
    said = np.log(ETA / q) - np.log(ETA / q).mean()
    assert coin == pytest.approx(said, abs=1e-6)
    assert 1e-3 < np.abs(split - said).max() < 0.1


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_shares_are_means_over_likely_labels() -> None:
    prior = il.LabelPrior.exp(100, 500, 100)
    eta, likely = eta_at("peaked", prior)
    for one in il.catalogue(prior, 64):
        if one.information is None:
            assert one.scheme is None or one.scheme.hits != "keep" or one.form == "logistic", one.name
            continue
        assert one.scheme is not None
        assert (one.scheme.hits, one.form) == ("keep", "softmax")
        each = il.information(one.scheme, eta, prior).value
        for name, labels in prior.slices().items():
            expected = np.mean([each[k] for k in likely if k in set(labels.tolist())])
            assert getattr(one.information, name) == pytest.approx(float(expected), rel=1e-12)


def test_who_gains_is_said_by_the_farthest_tilt() -> None:
    for one in il.catalogue(il.LabelPrior.from_counts([900, 50, 25, 10])):
        tilts = [tilt for tilt in vars(one.tilt).values() if tilt is not None]
        if not tilts:
            assert one.gains is None
            continue
        worst = max(tilts, key=abs)
        assert one.gains == ("neither" if abs(worst) < TILT_EQUAL else "frequent" if worst > 0 else "rare")


def test_gains_at_large() -> None:
    """The three answers occur: importance weights in-batch lean to the tail, consistent ones do not."""
    found = {one.name: one for one in il.catalogue(il.LabelPrior.exp(100, 500, 100))}
    assert found["log-q corrected two-tower, negatives only"].gains == "rare"
    assert found["log-q corrected two-tower, both sides"].gains == "neither"
    assert {one.name: one for one in il.catalogue(il.LabelPrior.from_counts([900, 50, 25, 10]))}["gBCE"].gains == (
        "frequent"
    )


def test_equal_schemes_share_their_optima(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(module, "tilt", lambda scheme, prior, of, eta: calls.append((scheme, eta)) or 0.5)
    found = il.catalogue(PRIOR)
    assert len(calls) == len(set(calls)) == 3
    assert sum(one.tilt == il.Tilts(0.5, 0.5, 0.5) for one in found) == 3


def test_many_labels_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = il.LabelPrior.zipf(300, 1.0)
    whole = il.catalogue(prior, 64)
    monkeypatch.setattr(module, "MOST_LABELS_APART", 299)
    found = il.catalogue(prior, 64)
    assert [one.tilt for one in found] != [one.tilt for one in whole]
    for one, apart in zip(found, whole, strict=True):
        assert one.gains == apart.gains
        for at, tilt in vars(one.tilt).items():
            assert tilt == (None if tilt is None else pytest.approx(getattr(apart.tilt, at), abs=1e-4))
    monkeypatch.setattr(module.Place, "off_by_own", lambda place, m, hits: np.nan)
    (one,) = [one for one in il.catalogue(prior, 64) if one.name == "corrected log-q correction"]
    assert (one.tilt, one.gains, one.missing) == (il.Tilts(), None, "the optimum was not reached")


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ([5, 0, 3], "a tilt needs labels that occur, but label 1 has prior 0"),
        ([5, 5], "a tilt needs frequent and rare labels, but all labels are equally frequent"),
        ([7], "a tilt needs frequent and rare labels, but all labels are equally frequent"),
    ],
)
def test_what_cannot_be_had_is_missing_with_a_reason(counts: list[int], why: str) -> None:
    found = il.catalogue(il.LabelPrior.from_counts(counts))
    assert [one.name for one in found] == list(FOUND)
    for one in found:
        assert one.tilt == il.Tilts()
        assert one.gains is None
        assert one.missing.startswith(why) or one.name in OTHER


def test_labels_that_hardly_occur_have_tilts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "tilt", lambda scheme, prior, of, eta: 0.5)  # of draws that nearly never fall on them
    found = {one.name: one for one in il.catalogue(il.LabelPrior.from_probabilities([1.0, *[1e-300] * 5]))}
    assert found["equalised loss"].tilt.uniform == pytest.approx(-0.5, abs=1e-3)  # e^f ∝ (η/π)^½ where q_y is about 1
    assert found["seesaw loss with given counts"].missing == found["LDAM, adaptive margins"].missing == ""


def test_an_optimum_that_is_not_found_is_missing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(scheme: il.Scheme, prior: il.LabelPrior, of: str, eta: str) -> float:
        if eta == "peaked":
            raise il.NoOptimum("the balance did not converge")
        return -0.25

    monkeypatch.setattr(module, "tilt", not_found)
    found = {one.name: one for one in il.catalogue(PRIOR)}
    one = found["corrected log-q correction"]
    assert (one.tilt, one.gains) == (il.Tilts(-0.25, -0.25, None), "rare")
    assert one.missing == "the balance did not converge"
    assert found["NCE"].missing == ""


def test_shares_that_are_not_found_are_missing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(scheme: il.Scheme, eta: Any, prior: il.LabelPrior) -> Any:
        raise ValueError("information is not had")

    monkeypatch.setattr(module, "about_each_label", not_found)
    one = il.catalogue(PRIOR)[0]
    assert (one.information, one.missing, one.gains) == (None, "information is not had", "rare")


@pytest.mark.parametrize("m", [0, 2.5, "3", 10**13])
def test_m_is_checked(m: Any) -> None:
    with pytest.raises(ValueError, match=r"^m, the number of negatives, must be"):
        il.catalogue(PRIOR, m)


def test_records_are_frozen_and_become_json() -> None:
    one = FOUND["in-batch softmax"]
    assert replace(one) == one
    with pytest.raises(AttributeError):
        one.name = "another"  # type: ignore[misc]
    read = json.loads(as_json([one.to_dict() for one in FOUND.values()]))
    assert read[0]["scheme"] == "WithinBatch(), Unit(), m=2, hits=keep"
    assert read[0]["tilt"]["uniform"] == pytest.approx(-1)
    assert read[0]["information"]["head"] == one.information.head  # type: ignore[union-attr]
    assert {len(entry) for entry in read} == {12}


# --- command ----------------------------------------------------------------------------------------------------------


def test_the_command_prints_every_scheme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "counts.csv").write_text("label,count\na,12\nb,0\nc,3\nd,1\n")
    arguments = ["catalogue", "--counts", str(tmp_path / "counts.csv"), "--m", "2"]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("implicitloss catalogue: 1 label has count 0")
    head, rows = shown.out.splitlines()[0], shown.out.splitlines()[3 : 3 + len(FOUND)]
    assert head.startswith("3 labels (")
    for row, one in zip(rows, FOUND.values(), strict=True):
        assert row.startswith(one.name)
        assert row.endswith(one.gains or "-")
        assert f"\n{one.name}: {one.form}, " in shown.out
    assert main([*arguments, "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["labels"], read["m"]) == (3, 2)
    for entry, one in zip(read["schemes"], FOUND.values(), strict=True):
        assert entry == json.loads(as_json(one.to_dict()))


# --- document ---------------------------------------------------------------------------------------------------------


def document() -> str:
    """docs/catalogue.md, from the records."""
    found = il.catalogue(il.LabelPrior.zipf(1000, 1.0), 255)
    number = {None: "–"}

    def cells(values: Any, form: str) -> list[str]:
        return [number.get(value) or f"{round(value, 3) + 0.0:{form}}" for value in values]

    parts = [
        """# Published schemes

What published ways to draw and weigh negatives optimise, and which labels they favour.
[Words and symbols](glossary.md) explains the terms. The numbers are those of a Zipf law on 1,000 labels, π ∝ 1/rank,
with m = 255 negatives. For your labels, `implicitloss catalogue --counts FILE` prints them, and `il.catalogue(prior)`
returns them as data.

The *tilt* is the slope of f* - log η on log π at three x: where all labels are equally likely (*uniform*), where they
are as likely as frequent (*prior*), and where up to 20 labels share 0.9 (*peaked*; the slope is over these). At 0
scores are as those of softmax over all labels; below 0 rare labels gain; -1 is the balanced rule. *Who gains* goes by
the tilt that is farthest from 0, and says neither below 0.02. *Kept* is the share of full softmax's information that
an example keeps, the mean over the likely labels at the peaked x of head, torso and tail; it is defined where weights
are consistent and hits kept. A dash is a number that is not known; the sections below say why. Margins are those where
hits are masked or excluded; hits that are kept divide all margins of a positive by one number.

This file is written from `implicitloss/designing/catalogue.py` by `python tests/designing/test_catalogue.py`.

| scheme | tilt: uniform | prior | peaked | kept: head | torso | tail | who gains |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
"""
    ]
    for one in found:
        shares = (None,) * 3 if one.information is None else tuple(vars(one.information).values())
        row = [markdown(one.name), *cells(vars(one.tilt).values(), "+.3f"), *cells(shares, ".3f"), one.gains or "–"]
        parts.append(f"| {' | '.join(row)} |\n")
    for one in found:
        chosen = one.negatives if one.scheme is None else f"{one.negatives}, `{one.scheme}`"
        parts.append(
            f"\n## {markdown(one.name)}\n\n{markdown(one.source)}. {one.form.capitalize()} loss; {chosen}.\n\n"
            f"- margins p_yy': `{one.margins}`\n- best scores f*: `{one.optimum}`\n"
        )
        if one.note:
            parts.append(f"\n{markdown(one.note)}\n")
        if one.missing:
            parts.append(f"\nNo numbers: {markdown(one.missing)}.\n")
    return "".join(parts)


def test_the_document_has_the_records() -> None:
    """If it differs, `python tests/designing/test_catalogue.py` writes it anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
