"""Audits of losses that are black boxes: ask, decode the answers, and compare the margins with the claim.

A softmax-form sampled loss is log(1 + Σ_{y'∈N} w_yy' e^{f_y' - f_y}), and so the mean of expm1(loss) is Σ p_yy' e^{f_y'
- f_y}, without a Jensen gap.  With its gradient, one evaluation gives w times the number of draws of every label, and
what remains is the weight of accidental hits.
"""
