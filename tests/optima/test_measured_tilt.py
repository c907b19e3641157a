"""The measured tilt: its root, its standard error, and schemes that bias it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats, Labels

PRIOR = il.LabelPrior.zipf(50, 1.0)
Q = np.full(50, 1 / 50)
TRUE = 0.3
SCORES = np.log(PRIOR.probabilities) + TRUE * PRIOR.log
N, M, REPEATS = 500, 8, 60


def slots(rng: np.random.Generator, n: int = N) -> Labels:
    return np.column_stack([rng.choice(50, n, p=PRIOR.probabilities), rng.choice(50, (n, M), p=Q)])


def z_of(rng: np.random.Generator, masked: bool = False) -> float:
    """How many standard errors the estimate is off, of scores whose tilt is known."""
    labels = slots(rng)
    logits = (SCORES - np.log(Q))[labels]
    if masked:
        logits[:, 1:][labels[:, 1:] == labels[:, :1]] = -1e9
    found = il.measured_tilt(logits, PRIOR.log[labels])
    return (float(found) - TRUE) / float(found.error)


def test_its_z_is_standard_normal(rng: np.random.Generator) -> None:
    """60 batches: the mean within 5 of its standard errors, and the variance within 5; a chance of about 1e-5 (the
    variance of so few squares has a longer tail than normal).
    """
    z = np.array([z_of(rng) for _ in range(REPEATS)])
    assert abs(z.mean()) < 5 / REPEATS**0.5
    assert abs(z.var() - 1) < 5 * (2 / REPEATS) ** 0.5


def test_masked_hits_would_be_seen(rng: np.random.Generator) -> None:
    """In one long batch, on the same labels, the estimate moves by many of its standard errors."""
    labels = slots(rng, 20_000)
    logits = (SCORES - np.log(Q))[labels]
    right = il.measured_tilt(logits, PRIOR.log[labels])
    logits[:, 1:][labels[:, 1:] == labels[:, :1]] = -1e9
    masked = il.measured_tilt(logits, PRIOR.log[labels])
    assert abs(float(right) - TRUE) < 5 * float(right.error)
    assert float(masked) < float(right) - float(right.error)


def test_it_is_a_root_wherever_it_starts_from(rng: np.random.Generator) -> None:
    labels = slots(rng)
    x, logits = PRIOR.log[labels], (SCORES - np.log(Q))[labels]
    for by in (0.0, 1.0, -7.0, 40.0):
        found = il.measured_tilt(logits + by * x, x + 5.0)
        share = np.exp(logits + (by - float(found)) * x)
        share /= share.sum(axis=1, keepdims=True)
        mean = np.sum(share * x, axis=1)
        assert abs(np.sum(mean - x[:, 0])) < 1e-6
        information = np.sum(share * (x - mean[:, None]) ** 2)
        assert float(found.error) == pytest.approx(information**-0.5, rel=1e-6)
        assert found.n == N


@pytest.mark.parametrize(
    ("logits", "log_prior", "root"),
    [
        ([[5.0, 13.0, 0.0]], [[-3.0, 0.0, -6.0]], 2.1667),
        ([[23.0, 11.0], [9.0, 23.0]], [[-4.0, 0.0], [-1.0, -6.0]], -2.929),
        ([[0.0, 0.0, 0.0]] * 2, [[0.0, 1e-160, -2e-160]] * 2, None),
    ],
)
def test_few_slots_far_apart(logits: Any, log_prior: Any, root: float | None) -> None:
    found = il.measured_tilt(logits, log_prior)
    assert np.isfinite(float(found))
    assert root is None or float(found) == pytest.approx(root, abs=1e-3)


def test_random_small_batches_have_a_root_or_a_sentence(rng: np.random.Generator) -> None:
    for _ in range(300):
        shape = int(rng.integers(1, 4)), int(rng.integers(2, 5))
        logits = rng.choice([5.0, 20.0, 40.0]) * rng.standard_normal(shape)
        try:
            found = il.measured_tilt(logits, rng.integers(-6, 1, shape).astype(float))
        except ValueError as error:
            assert str(error).startswith(("no finite tilt fits", "no tilt fits", "a tilt needs"))  # noqa: PT017
            continue
        assert float(found.error) > 0


ONE: Floats = np.log([[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ("logits", "log_prior", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), r"the same slots \(B, 1 \+ m\), got \(2, 3\) and \(2, 4\)"),
        (np.zeros((2, 1)), np.zeros((2, 1)), r"the same slots \(B, 1 \+ m\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "slots with frequent and rare labels"),
        (np.zeros((2, 3)), np.ones((2, 3)), "slots with frequent and rare labels"),
        (np.zeros(3), np.zeros(3), "logits must be a matrix"),
        ([[np.nan, 0.0]], [[0.0, 1.0]], "logits must"),
        ([[0.0, 0.0]], [[0.0, -np.inf]], "log_prior must"),
        ([[0.0, 0.0], [-1e6, 1e6]], [[0.0, 1.0], [1.0, 0.0]], "logits lie so far apart"),
        (np.zeros((1, 3)), ONE, "every positive is the rarest of its slots"),
        (np.zeros((1, 3)), ONE[:, ::-1], "every positive is the most frequent of its slots"),
    ],
)
def test_bad_input(logits: Any, log_prior: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        il.measured_tilt(logits, log_prior)
    assert len(str(caught.value)) <= 300
