# %% [markdown]
# # Check my loss in CI
#
# A sampled loss, as one writes it: does it optimise what its author thinks?  An audit measures how often each negative
# counts, the loss's margins.  [Words and symbols](../glossary.md) explains the terms.  Run it top to bottom:
# `python check_my_loss_in_ci.py`.

# %%
import numpy as np

import implicitloss as il

prior = il.LabelPrior.zipf(300, 1.0)
q, m = prior.probabilities, 40


def sampled_softmax(scores, positive, rng, correction):
    """Softmax against m negatives drawn by frequency, with `correction` taken off their scores; hits are masked."""
    negatives = rng.choice(q.size, size=(len(positive), m), p=q)
    f = np.take_along_axis(scores, negatives, axis=1) - correction[negatives]
    f = np.where(negatives == positive[:, None], -np.inf, f)
    f_y = np.take_along_axis(scores, positive[:, None], axis=1)
    return np.log1p(np.exp(f - f_y).sum(axis=1))


def right(scores, positive, rng):
    return sampled_softmax(scores, positive, rng, np.log(m * q))


def without_m(scores, positive, rng):
    return sampled_softmax(scores, positive, rng, np.log(q))


def wrong_sign(scores, positive, rng):
    return sampled_softmax(scores, positive, rng, -np.log(m * q))


# %% [markdown]
# ## The claim: in the mean, softmax over all labels

# %%
report = il.audit(right, claim="full", prior=prior, rng=0)
print(report)
assert report.verdict == "holds"

# %% [markdown]
# ## Two slips, each with the scheme whose margins are nearest to what was measured

# %%
for loss in (without_m, wrong_sign):
    report = il.audit(loss, claim="full", prior=prior, rng=0)
    print(loss.__name__, "->", report.verdict, "| nearest:", report.nearest)
    assert report.verdict == "refuted"

# %% [markdown]
# ## In a test suite
#
# The fixture `assert_implicit_loss` comes with the package:
#
# ```python
# def test_my_loss(assert_implicit_loss):
#     assert_implicit_loss(right, claim="full", prior=prior)
# ```
#
# and on the command line `implicitloss audit module:function --claim full --counts counts.csv`.

# %%
il.assert_implicit_loss(right, claim="full", prior=prior, rng=1)
try:
    il.assert_implicit_loss(without_m, claim="full", prior=prior, rng=1)
except AssertionError as error:
    print(str(error).splitlines()[0])
