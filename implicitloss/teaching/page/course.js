"use strict";
// The guided path: predict, then reveal.  An answer is what the page computes, not what is written here.

const BASE = {sampler: "mixture", share: 1, alpha: 0.75, weighting: "importance", tau: 1, m: 8, hits: "mask", eta: "equal", labels: 20, tail: 1, positive: 4, peak: 0, spectrum: 4, odds: 1, offset: "scheme", delta: 0};
const leaning = (c) => { const t = c.tilts.sampled; return t < -0.05 ? 0 : t > 0.05 ? 2 : 1; };
const LEAN = ["rare labels", "neither", "frequent labels"];

const COURSE = [
  {
    view: "margins", title: "Importance weights", set: {}, ask: "A negative that is drawn counts 1/(m q). How often does each negative count in the mean?",
    tex: "p_{yy'} = m\\, w_{yy'}\\, q_{y'} = 1", options: ["less than once", "once", "m times"],
    answer: (c) => { const p = c.margins[0][1]; return p < 0.99 ? 0 : p < 1.01 ? 1 : 2; },
    says: "The sampler cancels: whatever it draws, the bound is that of full softmax.",
  },
  {
    view: "margins", title: "Forget the factor 1/m", set: {weighting: "unit", share: 0},
    ask: "Of 20 labels, uniform draws with weights 1/m count each negative 1/20 = 0.05 times. Leave out the 1/m, with m = 8: how often now?",
    tex: "p_{yy'} = m\\, q_{y'} = m/L", options: ["0.4 times", "once", "8 times"],
    answer: (c) => { const p = c.margins[0][1]; return p < 0.7 ? 0 : p < 1.5 ? 1 : 2; },
    says: "m times as often, frequent and rare labels alike. Now m itself changes the loss; only weights L/m make each count once.",
  },
  {
    view: "slices", title: "Within-batch, constant weights", set: {weighting: "constant"}, ask: "Who gains when negatives are other examples' labels, weighted alike?",
    tex: "p_{yy'} = \\pi_{y'}", options: [...LEAN].reverse(), answer: (c) => 2 - leaning(c),
    says: "Rare labels are hardly ever negatives, so little pushes them down: the equalised loss.",
  },
  {
    view: "gradient", title: "Why does within-batch help the tail?", set: {weighting: "constant", positive: 0}, ask: "Beside the most frequent positive, is the rarest label pushed down more or less than by full softmax?",
    tex: "\\mathrm{E}\\,\\partial\\ell/\\partial f_{y'} \\propto \\pi_{y'}", options: ["more", "the same", "less"],
    answer: (c) => { const k = c.prior.length - 1, r = c.gradient[k] / c.fullGradient[k]; return r < 0.95 ? 2 : r > 1.05 ? 0 : 1; },
    says: "With constant weights and equal scores the push on a label goes with how often it is drawn.",
  },
  {
    view: "optima", title: "Correct the positive's logit too", set: {weighting: "relative", m: 1},
    ask: "An implementation subtracts log q from the positive's score as from the negatives': its weights are q_y/q_y'. By the bound p = m π_y, which favours frequent labels. Who gains by the true sampled loss?",
    tex: "\\frac{q_y}{q_{y'}} e^{f_{y'} - f_y} = e^{(f_{y'} - \\log q_{y'}) - (f_y - \\log q_y)}", options: LEAN, answer: leaning,
    says: "The bound misleads: where labels are equally likely, the true sampled loss teaches log η almost exactly. Move m and see when the bound comes near it.",
  },
  {
    view: "optima", title: "Keep the hits", set: {weighting: "unit", hits: "keep"}, ask: "In-batch softmax: weights of 1, and the positive may be drawn as its own negative. What is the slope of f* on log π?",
    tex: "f^*_y = \\log\\eta_y - \\log\\pi_y", options: ["0, softmax", "between -1 and 0", "-1, the balanced rule"],
    answer: (c) => { const t = c.tilts.sampled; return t < -0.999 ? 2 : t < -0.001 ? 1 : 0; },
    says: "The loss learns to tell the positive, drawn from η, among m candidates drawn from π. The odds of a candidate are η/π, for every m.",
  },
  {
    view: "optima", title: "A single draw", set: {weighting: "importance", m: 1}, ask: "Importance weights, within-batch negatives, a single draw: the bound teaches full softmax. Who gains by the true sampled loss?",
    tex: "\\mathrm{E}\\log(1+S) \\leq \\log(1+\\mathrm{E}\\,S),\\quad S = \\sum_i w_{yY_i} e^{f_{Y_i} - f_y}", options: LEAN, answer: leaning,
    says: "A rare negative is drawn seldom, with a huge weight. The logarithm flattens large values, so rare labels are pushed down too little. A bound without bias is not a loss without bias.",
  },
  {
    view: "optima", title: "The same weights, uniform draws", set: {weighting: "importance", share: 0, m: 2, eta: "prior"}, ask: "Now draw uniformly, two at a time, where labels are as likely as they are frequent. Who gains by the true sampled loss?",
    tex: "q^*_{y'} \\propto p_{yy'} e^{f_{y'} - f_y}", options: ["neither", "rare labels", "frequent labels"], answer: (c) => [1, 0, 2][leaning(c)],
    says: "Here frequent labels have large scores but are drawn seldom, and the logarithm flattens what they add. Least is lost by drawing each negative in proportion to what it adds (Rawat et al., Proposition 5).",
  },
  {
    view: "optima", title: "Aim at balanced error", set: {weighting: "tail", m: 200}, ask: "Weights (π_y'/π_y)/(m q) aim at a known loss. With 200 draws, where is the slope of f* on log π?",
    tex: "p_{yy'} = \\pi_{y'}/\\pi_y", options: ["near -1", "near 0", "near +1"],
    answer: (c) => { const t = c.tilts.sampled; return t < -0.5 ? 0 : t < 0.5 ? 1 : 2; },
    says: "Weights can give any margin with any sampler (Rawat et al., Proposition 4): sampling bias and labeling bias are two things.",
  },
];
const TAKEAWAYS = "The weights and the sampler together, p = m w q, say which loss the bound optimises. With few draws the true sampled loss is another one, and labels that are drawn seldom, with large weights, are pushed down too little. Whether the positive may be drawn changes the answer. Weights can give any margin with any sampler.";
