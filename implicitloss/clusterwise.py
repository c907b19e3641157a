"""Draws of whole clusters: the same sampled loss as of a scheme with one label for each cluster.

With x_j = w_j e^{f_j - f_y} for each label j, a draw of cluster c adds X_c = Σ_{j∈c} x_j to the sum, with probability
Q_c.  That is a label c of score f_y and weight X_c.  Its gradient is shared by its labels as X_c is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from implicitloss.estimate import Estimate, Quantity
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.sampler import Draw, by_shares
from implicitloss.samplers.whole import Whole
from implicitloss.scheme import Scheme, check_finite, checked_logs, only_iid, without_hard
from implicitloss.weightings import Consistent, Draws, Relative

EPS = float(np.finfo(np.float64).eps)
__all__ = ["ByCluster", "by_cluster", "log_cluster_counts", "log_cluster_weights"]


@dataclass(frozen=True)
class _OneLabelEach:
    """The clusters of `whole` as labels 0 to K - 1, and the positive, which is never drawn, as label K."""

    whole: Whole
    needs_scores = False

    def log_law(self, problem: Problem) -> Floats:
        return np.append(self.whole.log_cluster_law(), -np.inf)

    def procedure(self, problem: Problem) -> Draw:
        return by_shares(np.append(self.whole.cluster_shares(), 0.0))

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        """Those of the law, and of every label of a draw but one, which is counted apart."""
        sizes = self.whole.index.sizes
        expected = float(np.exp(self.whole.log_cluster_law()) @ sizes)
        return float(sizes.size * dimension + m * (expected - 1) * dimension)


@dataclass(frozen=True, eq=False)
class _Weighed:
    """The weights log X_c, and none for the positive."""

    log_sums: Floats
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        return np.append(self.log_sums, -np.inf)


@dataclass(frozen=True, eq=False)
class ByCluster:
    """The scheme and the problem of K clusters and the positive, and what brings a gradient back to all labels.

    `cluster` (L,) is the cluster of each label, and `shares` (L,) are x_j/X_c, its part in it.
    """

    scheme: Scheme
    problem: Problem
    cluster: Labels
    shares: Floats
    positive: int

    def to_labels(self, found: Estimate) -> Estimate:
        """An estimate of the loss of clusters as one of the loss of labels, which differs for gradients."""
        value, error = np.asarray(found.value), np.asarray(found.error)
        # Each X_c is a sum, whose relative rounding moves a loss by as much; a simulation's error is another thing.
        slip = 0.0 if found.method == "simulate" else EPS * (16 + float(np.bincount(self.cluster).max()))
        if found.quantity in ("variance", "mse"):
            return replace(found, error=float(error + 4 * slip * np.sqrt(value) + slip**2))
        if found.quantity != "gradient":
            return replace(found, error=float(error + 2 * slip))
        error = error + 3 * slip * np.abs(value)
        g, off = self.shares * value[self.cluster], self.shares * error[self.cluster]
        # A kept hit of the positive has no slope: what its cluster's slope gives to it, it takes back.
        g[self.positive] += value[-1]
        off[self.positive] += error[-1]
        return replace(found, value=g, error=off, variance=None, low=None, high=None)


def by_cluster(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity = "mean") -> ByCluster:
    """The scheme of clusters that has the sampled loss of `scheme`, whose sampler is `Whole`.

    *Raises* ValueError for losses other than softmax, hits that are excluded, hard negatives, other draws, and the
    variance of the gradient.
    """
    if not checked_loss(loss).has_log:
        raise ValueError(f"draws of whole clusters are for softmax losses, got {loss}; Clustered takes any loss")
    if quantity == "gradient_variance":
        raise ValueError("the variance of the gradient is not known for draws of whole clusters; Clustered has it")
    whole = scheme.sampler
    assert isinstance(whole, Whole)
    log_x = log_cluster_weights(scheme, problem) + loss.log_payment(problem.scores, problem.positive)
    index = whole.index
    most = np.full(index.sizes.size, -np.inf)
    np.maximum.at(most, index.cluster, log_x)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.exp(log_x - np.where(np.isneginf(most), 0.0, most)[index.cluster])
        sums = np.bincount(index.cluster, moved, minlength=most.size)
        log_sums = most + np.log(np.where(sums > 0, sums, 1.0))
    shares = moved / np.where(sums > 0, sums, 1.0)[index.cluster]
    few = most.size + 1
    of_clusters = Scheme(_OneLabelEach(whole), _Weighed(log_sums), m=scheme.m, hits="mask")  # type: ignore[arg-type]
    alike = Problem(np.zeros(few), LabelPrior.from_counts(np.ones(few)), most.size)
    return ByCluster(of_clusters, alike, index.cluster, shares, problem.positive)


def log_cluster_weights(scheme: Scheme, problem: Problem) -> Floats:
    """log w of each label where its cluster is drawn, (L,), the positives' by the hits mode.

    *Raises* ValueError for hits that are excluded, hard negatives, other draws, and an index of another size.
    """
    y = checked_problem(problem).positive
    only_iid(without_hard(scheme, "draws of whole clusters"), "draws of whole clusters")
    if isinstance(scheme.weighting, Consistent) and not isinstance(scheme.weighting, Relative):
        raise ValueError(
            f"{scheme.weighting} is right at every m where draws are labels, and not where they are whole clusters; "
            "use Importance(), or Clustered(index, query)"
        )
    if scheme.hits == "exclude":
        raise ValueError(
            "hits='exclude' draws again, and would never draw the positive's cluster; use hits='mask', by which the "
            "positive in a cluster does not count"
        )
    log_q = log_cluster_counts(scheme, problem) - np.log(scheme.m)
    free = np.zeros(log_q.size, dtype=bool)
    if scheme.hits == "mask":
        free[problem.positives] = True
    weighting = scheme.weighting
    logs = weighting.log_weight(Draws(log_q, log_q, scheme.m, problem.prior, y, free=free))
    found = np.array(checked_logs(logs, log_q.size, "the weights", weighting))
    found[free | np.isneginf(log_q)] = -np.inf
    check_finite(found, "the weights", weighting)
    return found


def log_cluster_counts(scheme: Scheme, problem: Problem) -> Floats:
    """log m Q_c of the cluster of each label, (L,): how often it counts in the mean."""
    whole = scheme.sampler
    assert isinstance(whole, Whole)
    whole.check_covers(problem.prior.n_labels)
    return np.asarray(np.log(scheme.m) + whole.log_cluster_law()[whole.index.cluster])
