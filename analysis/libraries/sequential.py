"""Packages of sequential recommenders, whose losses draw negatives from the catalogue: RecTools, RePlay, and others."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import gammaln

import implicitloss as il
from analysis.libraries.boxes import rows_of, without_hits
from analysis.libraries.case import Audited, LibraryCase, Size
from implicitloss.labels import Floats

# Calibration of RecTools' gBCE that is not its default, so that a mistaken constant shows.
GBCE_T = 0.5


def _each(one: Callable[[Any, Any], Any]) -> Audited:
    """`one(scores (L,), label)` -> the loss of an example, which has draws of its own."""
    lib = importlib.import_module("torch")

    def loss(scores: Any, positive: Any) -> Any:
        return lib.stack([one(row, y) for row, y in zip(scores, positive, strict=True)])

    return il.adapters.torch(loss)


def rectools(size: Size) -> list[LibraryCase]:
    """The losses that SASRec and BERT4Rec train with, on negatives of their default sampler.

    They return the mean over the positive and its m negatives of binary losses; what is audited is their sum.
    """
    lib = importlib.import_module("torch")
    lightning = importlib.import_module("rectools.models.nn.transformers.lightning")
    sampler = importlib.import_module("rectools.models.nn.transformers.negative_sampler").CatalogUniformSampler
    model = importlib.import_module("rectools.models").SASRecModel
    draws = sampler(size.m)
    module = lightning.TransformerLightningModule.__new__(lightning.TransformerLightningModule)
    lib.nn.Module.__init__(module)
    module.__dict__.update(
        gbce_t=GBCE_T, item_extra_tokens=(), data_preparator=SimpleNamespace(n_negatives=size.m),
        torch_model=SimpleNamespace(item_model=SimpleNamespace(n_items=size.n_labels)),
    )  # fmt: skip
    one, batch = lib.ones(1, 1), {"x": lib.zeros(1, 1)}

    def audited(loss: Callable[..., Any], factor: float) -> Audited:
        def of(scores: Any, y: Any) -> Any:
            negatives = draws.get_negatives(batch, 0, size.n_labels)
            logits = scores[lib.cat([y.reshape(1, 1, 1), negatives], dim=-1)]
            # Label 0 is padding there: y only says that the position counts.
            return factor * loss(logits, lib.ones(1, 1, dtype=lib.long), one)

        return _each(of)

    scheme, prior = size.scheme(sampler=il.samplers.Uniform()), size.prior
    quote, uniform = 'loss : {"softmax", "BCE", "gBCE", "sampled_softmax"}', "uniform draws, hits kept"
    return [
        LibraryCase(
            "SASRecModel(loss='sampled_softmax')", "Class to sample negatives uniformly from all catalog items",
            sampler, scheme, f"weights of 1, {uniform}", audited(module._calc_sampled_softmax_loss, 1.0), prior,
        ),
        LibraryCase(
            "SASRecModel(loss='BCE'), the sum in place of the mean over m + 1", quote, model, scheme,
            f"logistic, weights of 1, {uniform}", audited(module._calc_bce_loss, size.m + 1.0), prior,
            {"form": "logistic"},
        ),
        LibraryCase(
            f"SASRecModel(loss='gBCE', gbce_t={GBCE_T}), the sum in place of the mean over m + 1",
            "Calibration parameter for gBCE loss", model, scheme, f"logistic, weights of 1, {uniform}, without β",
            audited(module._calc_gbce_loss, size.m + 1.0), prior, {"form": "logistic"},
        ),
    ]  # fmt: skip


def replay(size: Size) -> list[LibraryCase]:
    """`CESampled` and its kin, on the distinct negatives of `UniformNegativeSamplingTransform`; hits are masked."""
    lib = importlib.import_module("torch")
    losses = importlib.import_module("replay.nn.loss")
    transform = importlib.import_module("replay.nn.transform.negative_sampling").UniformNegativeSamplingTransform
    draws, prior, n = transform(size.n_labels, size.m), size.prior, size.n_labels
    mask = importlib.import_module("replay.nn.loss.base").mask_negative_logits

    def audited(loss: Any) -> Audited:
        def of(scores: Any, y: Any) -> Any:
            def logits(embeddings: Any, ids: Any) -> Any:
                return embeddings[:, ids] if ids.dim() == 1 else lib.gather(embeddings, 1, ids)

            loss.logits_callback = logits
            negatives = draws({})["negative_labels"]
            here = lib.ones(1, 1, 1, dtype=lib.bool)
            return loss(scores[None, None], {}, y.reshape(1, 1, 1), negatives, here[0], here)

        return _each(of)

    drawn = without_hits(np.full((n, n), size.m / n))
    words = "m distinct uniform draws, hits masked"
    epsilon = "correction to avoid zero in the logarithm during loss calculation"
    masked = "Assign very small values in negative logits for positions where positive labels equal to negative ones"
    return [
        LibraryCase("nn.loss.CESampled()", masked, mask, drawn, f"weights of 1, {words}",
             audited(losses.CESampled()), prior),
        LibraryCase(
            "nn.loss.LogInCESampled(log_epsilon=0)", r"L_{\text{InfoNCE}} = -\log", losses.LogInCE, drawn,
            f"weights of 1, {words}", audited(losses.LogInCESampled(log_epsilon=0.0)), prior,
        ),
        LibraryCase(
            "nn.loss.LogInCESampled() (log_epsilon=1e-6)", epsilon, losses.LogInCESampled.__init__, drawn,
            f"weights of 1, {words}, without ε", audited(losses.LogInCESampled()), prior,
        ),
        LibraryCase(
            "nn.loss.BCESampled(log_epsilon=0)",
            "Calculates loss between one positive item and K negatively sampled items",
            losses.BCESampled, drawn, f"logistic, weights of 1, {words}", audited(losses.BCESampled(log_epsilon=0.0)),
            prior, {"form": "logistic"},
        ),
        LibraryCase(
            "nn.loss.BCESampled() (log_epsilon=1e-6)", epsilon, losses.BCESampled.__init__, drawn,
            f"logistic, weights of 1, {words}, without ε", audited(losses.BCESampled()), prior, {"form": "logistic"},
        ),
    ]  # fmt: skip


def transformers4rec(size: Size) -> list[LibraryCase]:
    """`NextItemPredictionTask(sampled_softmax=True)`, the output layer the identity: logits are scores."""
    lib = importlib.import_module("torch")
    module = importlib.import_module("transformers4rec.torch.model.prediction_task")
    sampler, prior, n = module.LogUniformSampler, size.prior, size.n_labels

    def audited(m: int, temperature: float = 1.0) -> Audited:
        task = module._NextItemPredictionTask(
            [n], n, softmax_temperature=temperature, sampled_softmax=True, max_n_samples=m
        )
        task.output_layer = lib.nn.Parameter(lib.eye(n, dtype=lib.float64), requires_grad=False)

        def of(scores: Any, y: Any) -> Any:
            logits, targets = task(scores[None], y.reshape(1), training=True)
            return lib.nn.functional.cross_entropy(logits, targets)

        return _each(of)

    q = np.exp(il.samplers.LogUniform().log_law(il.Problem(np.zeros(n), prior, 0)))
    once = "Returns the probability that each item is sampled at least once given the specified number of trials"

    def corrected(tries: int) -> Any:
        """Distinct draws out of `tries`, less their log-probability on both sides: p_yy' = P_y = 1 - (1 - q_y)^n."""
        return without_hits(rows_of(-np.expm1(tries * np.log1p(-q))))

    def as_found(m: int) -> Any:
        """Of the 2m tries the m smallest ids, less log(1 - (1 + q)^-n) on both sides."""
        taken = -np.expm1(-2 * m * np.log1p(q))
        return without_hits(kept(q, 2 * m, m) * taken[:, None] / taken[None, :])

    words = "distinct draws, P taken off both sides: p = P_y, hits 0"
    name = "NextItemPredictionTask(sampled_softmax=True"
    return [
        LibraryCase(
            f"{name}, max_n_samples=m)", once, sampler.get_unique_sampling_distr, corrected(2 * size.m), words,
            audited(size.m), prior,
        ),
        LibraryCase(
            f"{name}, max_n_samples=m)", "", sampler, as_found(size.m),
            "of the 2m tries the m smallest ids, less log(1 - (1 + q)^-2m): p = P(kept) P_y/P_y', hits 0",
            audited(size.m), prior,
        ),
    ]  # fmt: skip


def kept(q: Floats, tries: int, m: int) -> Floats:
    """P that each label is among `tries` draws from q, and that fewer than m of the labels before it are, (L,).

    Exact: label by label, with the law of how many draws the labels so far have had, and how many of them were drawn.
    """
    counts = np.arange(tries + 1)
    had, more = counts[:, None], counts[None, :] - counts[:, None]
    rest = np.where(more >= 0, tries - counts[None, :], 0)
    ways = np.where(more > 0, gammaln(tries - had + 1) - gammaln(np.abs(more) + 1) - gammaln(rest + 1), -np.inf)
    law, found, left = np.zeros((tries + 1, m + 1)), np.empty(q.size), 1.0
    law[0, 0] = 1.0
    for label, p in enumerate(q):
        share = min(p / left, 1 - 1e-12)
        none = (1 - share) ** (tries - counts)
        found[label] = law[:, :m].sum(axis=1) @ (1 - none)
        drawn = np.exp(ways + more * np.log(share) + rest * np.log1p(-share)).T @ law
        law *= none[:, None]
        law[:, 1:] += drawn[:, :-1]
        law[:, m] += drawn[:, m]
        left -= p
    return found
