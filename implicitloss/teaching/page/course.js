"use strict";
// The guided path: predict, then reveal.  An answer is what the page computes, not what is written here.

const BASE = {sampler: "mixture", share: 1, alpha: 0.75, weighting: "importance", tau: 1, m: 8, hits: "mask", eta: "equal", labels: 20, tail: 1, positive: 4, peak: 0};
const leaning = (c) => { const t = c.tilts.sampled; return t < -0.05 ? 0 : t > 0.05 ? 2 : 1; };
const LEAN = ["rare labels", "neither", "frequent labels"];

const COURSE = [
  {
    view: "margins", title: "Importance weights", set: {}, ask: "With weights 1/(m q), how often does each negative count in the mean?",
    tex: "p_{yy'} = m\\, w_{yy'}\\, q_{y'} = 1", options: ["less than once", "once", "m times"],
    answer: (c) => { const p = c.margins[0][1]; return p < 0.99 ? 0 : p < 1.01 ? 1 : 2; },
    says: "The sampler cancels: in the bound, the full softmax is optimised, whatever is drawn.",
  },
  {
    view: "margins", title: "Forget the factor m", set: {weighting: "unit", sampler: "mixture", share: 0}, ask: "Uniform draws with weights of 1 and m = 8: how often does each of 20 negatives count?",
    tex: "p_{yy'} = m\\, q_{y'} = m/L", options: ["0.05 times", "0.4 times", "8 times"],
    answer: (c) => { const p = c.margins[0][1]; return p < 0.1 ? 0 : p < 1 ? 1 : 2; },
    says: "A lost factor rescales all negatives alike: the loss is softmax with another constant.",
  },
  {
    view: "slices", title: "Within-batch, constant weights", set: {weighting: "constant"}, ask: "Who gains when negatives are other examples' labels, weighted alike?",
    tex: "p_{yy'} = \\pi_{y'}", options: LEAN, answer: leaning,
    says: "Rare labels are hardly ever negatives, so nothing pushes them down: the equalised loss.",
  },
  {
    view: "gradient", title: "Why does within-batch help the tail?", set: {weighting: "constant", positive: 0}, ask: "Beside the most frequent positive, is the rarest label pushed down more or less than by full softmax?",
    tex: "\\mathrm{E}\\,\\partial\\ell/\\partial f_{y'} \\propto \\pi_{y'}", options: ["less", "the same", "more"],
    answer: (c) => { const k = c.prior.length - 1, r = c.gradient[k] / c.fullGradient[k]; return r < 0.95 ? 0 : r > 1.05 ? 2 : 1; },
    says: "With constant weights and equal scores the push on a label goes with how often it is drawn.",
  },
  {
    view: "optima", title: "Correct the positive's logit too", set: {weighting: "relative"}, ask: "With log q taken off all logits, the bound says p = m π_y, which favours frequent labels. By the true sampled loss, who gains?",
    tex: "w_{yy'} = q_y/q_{y'},\\quad p_{yy'} = m\\,\\pi_y", options: LEAN, answer: leaning,
    says: "The bound misleads: where labels are equally likely, the true sampled loss teaches log η almost exactly.",
  },
  {
    view: "optima", title: "Keep the hits", set: {weighting: "unit", hits: "keep"}, ask: "In-batch softmax: weights of 1, and the positive may be drawn as its own negative. What is the tilt of f* on log π?",
    tex: "f^* = \\log\\eta - \\log\\pi", options: ["-1, the balanced rule", "between -1 and 0", "0, softmax"],
    answer: (c) => { const t = c.tilts.sampled; return t < -0.999 ? 0 : t < -0.001 ? 1 : 2; },
    says: "At every m the true sampled loss teaches the balanced rule exactly.",
  },
  {
    view: "optima", title: "When does the bound mislead?", set: {weighting: "importance", m: 1}, ask: "Importance weights with a single draw: the bound teaches softmax. Who gains truly?",
    tex: "\\mathrm{E}\\log(1+S) \\le \\log(1+\\mathrm{E}S)", options: LEAN, answer: leaning,
    says: "Unbiased in the bound is not unbiased in the loss: with few draws rare labels gain.",
  },
  {
    view: "optima", title: "Aim at balanced error", set: {weighting: "tail", m: 200}, ask: "Weights (π_y'/π_y)/(m q) aim at a known loss. With 200 draws, where is the tilt of f* on log π?",
    tex: "p_{yy'} = \\pi_{y'}/\\pi_y", options: ["near -1", "near 0", "near +1"],
    answer: (c) => { const t = c.tilts.sampled; return t < -0.5 ? 0 : t < 0.5 ? 1 : 2; },
    says: "Any margin can be had with any sampler (Proposition 4): sampling bias and labeling bias are two things.",
  },
];
