# %% [markdown]
# # Table 2 in ten minutes
#
# What does training with a few sampled negatives optimise?  Rawat et al. (ICML 2021), Table 2, derived, computed and
# simulated.  [Words and symbols](../glossary.md) explains the terms.  Run it top to bottom,
# `python table_2_in_ten_minutes.py`, or cell by cell in an editor that knows `# %%`.

# %%
import implicitloss as il

prior = il.LabelPrior.exp(100, largest=500, ratio=100)  # CIFAR-100-LT: 500 images of the first label, 5 of the last
softmax = il.losses.SoftmaxCrossEntropy()

# %% [markdown]
# ## Derived: the margin p_yy' = m w q, how often the negative y' counts beside the positive y in the mean

# %%
samplers = {"uniform": il.samplers.Uniform(), "within-batch": il.samplers.WithinBatch()}
weightings = {
    "constant": il.weightings.Constant(),
    "importance": il.weightings.Importance(),
    "relative": il.weightings.Relative(),
    "tail": il.weightings.Tail(),
}
print("Derived: how often a negative y' counts beside the positive y, in the mean")
for q, sampler in samplers.items():
    for w, weighting in weightings.items():
        scheme = il.Scheme(sampler, weighting, m=32, hits="mask")
        print(f"{q:<13} {w:<11} {il.derive(scheme, softmax)}")

# %% [markdown]
# ## In numbers: how often a frequent and a rare negative count, beside the median positive

# %%
y = 50
print("\nOn CIFAR-100-LT's counts, beside label 50")
for q, sampler in samplers.items():
    for w, weighting in weightings.items():
        p = il.implicit_margins(il.Scheme(sampler, weighting, m=32, hits="mask"), prior)[y]
        print(f"{q:<13} {w:<11} most frequent {p[0]:8.4f}   rarest {p[-1]:8.4f}")

# %% [markdown]
# ## The bound, the exact loss, a simulation
#
# Lemma 2's bound is what the margins describe.  The true expected loss lies below it, and has no closed form; here it
# is an integral, exact to rounding.  The simulation runs the procedure and knows nothing of either.

# %%
scores = il.scorers.Gaussian().scores(prior, rng=0)
problem = il.Problem(scores, prior, positive=y)
print("\nWithin-batch, importance weights: the loss")
for m in (1, 8, 64):
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=m, hits="mask")
    bound, exact = il.implicit_loss(scheme, softmax, problem), il.integrate(scheme, softmax, problem)
    simulated = il.simulate(scheme, softmax, problem, runs=20_000, rng=0)
    found, error = float(simulated), float(simulated.error)
    print(f"m = {m:<3} bound {float(bound):.4f}   exact {float(exact):.4f}   simulated {found:.4f} ± {error:.4f}")
    assert abs(found - float(exact)) < 6 * error
    assert float(exact) < float(bound)

# %% [markdown]
# ## What is learned: rare labels or frequent ones
#
# Let π be the frequency of a label in training.  Where all labels are equally likely for an example, softmax over all
# labels gives them equal scores, and any slope of the best scores on log π is the scheme's doing.  At -1 it is the
# balanced rule, which is fair to rare labels.  The bound and the true loss can disagree: look at relative weights.

# %%
print("\nThe tilt, the slope of what is learned on log π")
for w, weighting in weightings.items():
    scheme = il.Scheme(il.samplers.WithinBatch(), weighting, m=8, hits="mask")
    tilt = {of: il.tilt(scheme, prior, of) for of in ("implicit", "sampled")}
    print(f"within-batch {w:<11} bound {tilt['implicit']:+.3f}   true sampled loss {tilt['sampled']:+.3f}")
    if w == "relative":
        assert abs(tilt["sampled"]) < 0.1 * tilt["implicit"]
