"""What margins does a black box apply?  Ask it, decode its answers, compare them with what it claims.

A softmax-form sampled loss is log(1 + Σ_{y'∈N} w_yy' e^{f_y' - f_y}), so that expm1(loss) averages to Σ p_yy' e^{f_y' -
f_y} without a Jensen gap; with its gradient one evaluation gives w times the count of every label, and what is missing
is the weight of accidental hits.
"""
