"""Common slips in the correction of a sampled softmax: what each does, why it is wrong, who gains, what to write.

The lines of code are NumPy: `f_neg` (n, m) and `f_pos` (n, 1) are the logits of the negatives and of the positive,
`neg` and `pos` their labels, `q` (L,) the law of the draws, `prior` (L,) the label frequencies π, and `m` the number of
draws.  The correct form is `f_neg -= np.log(m * q[neg])`, which gives the margins p = 1 of softmax over all labels.

A test of each slip runs both lines: an audit must name the slip after the first, and find its `target` after the other.
To add a slip, add a value here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from implicitloss.labels import Floats
from implicitloss.margins import Equalised, Margin, Softmax
from implicitloss.weightings import Draws


@dataclass(frozen=True)
class Slip:
    """A common slip: its weights log w = `log_w`(draws), and what a reader of a report needs to know.

    `line` is the line that is written by mistake; `does` says what it does, and `wrong` which margins p_yy' result and
    which loss is optimised instead.  These are the margins where hits are masked; where they are excluded, each is
    larger by 1/(1 - q_y).  `gains` says who gains by the implicit loss: it begins with "Rare labels", "Frequent labels"
    or "Neither", for samplers that draw frequent labels more often.  `fix` is the line to write instead; it gives the
    margins of the `target`.
    """

    name: str
    log_w: Callable[[Draws], Floats | float]
    line: str
    does: str
    wrong: str
    gains: str
    fix: str = "f_neg -= np.log(m * q[neg])"
    target: Margin = field(default=Softmax())
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.broadcast_to(self.log_w(draws), draws.log_q.shape)
        return np.where(np.isneginf(draws.log_q_unconditional), -np.inf, found)

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in ("name", "line", "does", "wrong", "gains", "fix")}


SLIPS = (
    Slip(
        "log q taken off without m, weights 1/q",
        lambda d: -d.log_q_unconditional,
        line="f_neg -= np.log(q[neg])",
        does="It takes log q off the negatives' logits; log(m q) is right.",
        wrong="The margins are p = m: it optimises softmax in which each negative counts m times.",
        gains="Neither, by the implicit loss.  The sampled loss favours rare labels while m is small, more than the "
        "right weights do; with uniform draws neither.",
    ),
    Slip(
        "log(m q) added in place of taken off, weights m q",
        lambda d: np.log(d.m) + d.log_q_unconditional,
        line="f_neg += np.log(m * q[neg])",
        does="It adds log(m q) to the negatives' logits; the sign is wrong.",
        wrong="The margins are p = (m q_y')²: it optimises softmax in which a negative counts by the square of how "
        "often it is drawn, and rare negatives hardly count.",
        gains="Rare labels, more than in balanced softmax if q = π and m is large; with uniform draws neither.",
    ),
    Slip(
        "log(m q) taken off the positive only, weights m q_y",
        lambda d: np.log(d.m) + d.log_q_unconditional[d.positive],
        line="f_pos -= np.log(m * q[pos])",
        does="It takes log(m q) off the positive's logit, and nothing off those of the negatives.",
        wrong="The margins are p = m² q_y q_y': it optimises softmax in which a negative counts by how often both "
        "labels are drawn.",
        gains="Rare labels, the more the larger m is, and hardly any with few draws; with uniform draws neither.",
    ),
    Slip(
        "1/m forgotten beside 1/(m q) and log π put in, weights π/q",
        lambda d: d.prior.log - d.log_q_unconditional,
        line="f_neg += np.log(prior[neg] / q[neg])",
        does="It adds log π to the negatives' logits and takes log q off; log(m q) is right.",
        wrong="The margins are p = m π_y': it optimises an equalised loss in which each negative counts m times.",
        gains="Rare labels, whichever sampler is used, the more the larger m is.",
        fix="f_neg += np.log(prior[neg] / (m * q[neg]))",
        target=Equalised(),
    ),
)
