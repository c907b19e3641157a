"use strict";
// The library's formulas, once more: laws, weights, margins, exact losses and optima.  Labels go from frequent to rare.

const STEP = 3 / 16, LEFT = 40, RIGHT = Math.log(50);

const sum = (a) => a.reduce((s, x) => s + x, 0);
const range = (n) => Array.from({length: n}, (_, i) => i);
const centred = (a) => { const mean = sum(a) / a.length; return a.map((x) => x - mean); };

function zipf(n, exponent) {
  const level = range(n).map((k) => Math.pow(k + 1, -exponent)), total = sum(level);
  return level.map((x) => x / total);
}

function softmax(f) {
  const top = Math.max(...f), e = f.map((x) => Math.exp(x - top)), total = sum(e);
  return e.map((x) => x / total);
}

/** The unconditional q (L): λπ + (1-λ)/L, π^α, log((k+1)/k) by rank, or e^f. */
function law(s, prior, f) {
  if (s.sampler === "model") return softmax(f);
  if (s.sampler === "log-uniform") return prior.map((_, k) => Math.log1p(1 / (k + 1)) / Math.log(prior.length + 1));
  if (s.sampler === "power") {
    const level = prior.map((p) => Math.pow(p, s.alpha)), total = sum(level);
    return level.map((x) => x / total);
  }
  return prior.map((p) => s.share * p + (1 - s.share) / prior.length);
}

/** What one draw does for the positive y: q and w (L), hits as their mode says. */
function plan(s, prior, f, y) {
  const plain = law(s, prior, f), rest = sum(plain.filter((_, j) => j !== y)); // 1 - q_y would be rounding
  const q = plain.map((x, j) => s.hits === "exclude" ? (j === y ? 0 : x / rest) : x);
  const w = q.map((x, j) => {
    if (x === 0 || (s.hits === "mask" && j === y)) return 0;
    if (s.weighting === "unit") return 1;
    if (s.weighting === "constant") return 1 / s.m;
    if (s.weighting === "relative") return plain[y] / plain[j];
    const p = s.weighting === "tail" ? Math.pow(prior[j] / prior[y], s.tau) : 1;
    return p / (s.m * x);
  });
  return {q, w};
}

/** m w q (L): margins off the positive, the weight c_y of kept hits at it. */
function expectedWeights(s, prior, f, y) {
  const {q, w} = plan(s, prior, f, y);
  return q.map((x, j) => s.m * x * w[j]);
}

/** p_yy' (L, L), positives in rows, diagonal 0; for kept hits the effective p/(1 + c_y) of softmax. */
function margins(s, prior, f) {
  return range(prior.length).map((y) => {
    const row = expectedWeights(s, prior, f, y), kept = 1 + row[y];
    return row.map((p, j) => j === y ? 0 : s.hits === "keep" ? p / kept : p);
  });
}

/** Lemma 2's bound log(1 + c_y + Σ p e^{f_y' - f_y}). */
function bound(s, prior, f, y) {
  return Math.log1p(sum(expectedWeights(s, prior, f, y).map((p, j) => p * Math.exp(f[j] - f[y]))));
}

/** What a draw adds, x = w e^{f_y' - f_y}, with its chances q; and the nodes t with log φ(t). */
function transform(s, prior, f, y) {
  const {q, w} = plan(s, prior, f, y);
  const x = w.map((v, j) => v * Math.exp(f[j] - f[y]));
  const largest = Math.max(...x);
  const low = -Math.max(0, Math.log(s.m) + Math.log(Math.max(largest, 1e-300))) - LEFT;
  const first = Math.floor(low / STEP), last = Math.ceil(RIGHT / STEP);
  const t = range(last - first + 1).map((k) => Math.exp(STEP * (first + k)));
  const logPhi = t.map((u) => {
    let below = 0;
    for (let j = 0; j < x.length; j++) if (x[j] > 0) below += q[j] * Math.expm1(-u * x[j]);
    return Math.log1p(Math.max(below, -1));
  });
  return {q, x, t, logPhi};
}

const power = (n, logPhi) => n === 0 ? 1 : Math.exp(n * logPhi);

/** E log(1 + S) = ∫ e^{-t} (1 - φ^m) dt/t. */
function exactLoss(s, prior, f, y) {
  const {t, logPhi} = transform(s, prior, f, y);
  return STEP * sum(t.map((u, i) => -Math.exp(-u) * Math.expm1(s.m * logPhi[i])));
}

/** E ∂ℓ/∂f (L): m q_k x_k ∫ e^{-t(1 + x_k)} φ^{m-1} dt, and minus their sum for the positive. */
function exactGradient(s, prior, f, y) {
  const {q, x, t, logPhi} = transform(s, prior, f, y);
  const g = q.map((p, k) => k === y || x[k] === 0 ? 0 : s.m * p * x[k] * STEP *
    sum(t.map((u, i) => u * Math.exp(-u * (1 + x[k])) * power(s.m - 1, logPhi[i]))));
  g[y] = -sum(g);
  return g;
}

/** Gradient and Hessian of Σ_y η_y log(1 + c_y + Σ p e^{f_y' - f_y}). */
function implicitObjective(s, prior, eta) {
  const n = eta.length, p = range(n).map((y) => expectedWeights(s, prior, eta.map(() => 0), y));
  return (f) => {
    let value = 0;
    const gradient = eta.map((e) => -e), hessian = range(n).map(() => new Array(n).fill(0));
    for (let y = 0; y < n; y++) {
      const terms = p[y].map((w, j) => (j === y ? 1 + w : w) * Math.exp(f[j] - f[y])), total = sum(terms);
      value += eta[y] * Math.log(total);
      const share = terms.map((x) => x / total);
      for (let k = 0; k < n; k++) {
        gradient[k] += eta[y] * share[k];
        hessian[k][k] += eta[y] * share[k];
        for (let l = 0; l < n; l++) hessian[k][l] -= eta[y] * share[k] * share[l];
      }
    }
    return {value, gradient, hessian};
  };
}

/** The same of the true expected sampled loss, by quadrature. */
function sampledObjective(s, prior, eta) {
  const n = eta.length, m = s.m;
  return (f) => {
    let value = 0;
    const gradient = new Array(n).fill(0), hessian = range(n).map(() => new Array(n).fill(0));
    for (let y = 0; y < n; y++) {
      const {q, x, t, logPhi} = transform(s, prior, f, y);
      const g = new Array(n).fill(0), own = new Array(n).fill(0), both = range(n).map(() => new Array(n).fill(0));
      const decay = new Array(n);
      for (let i = 0; i < t.length; i++) {
        const u = t[i], weight = STEP * Math.exp(-u), plain = weight * u * power(m - 1, logPhi[i]);
        value -= eta[y] * weight * Math.expm1(m * logPhi[i]);
        const twice = m > 1 ? (m - 1) * weight * u * u * power(m - 2, logPhi[i]) : 0;
        for (let k = 0; k < n; k++) decay[k] = k === y || x[k] === 0 ? 0 : m * q[k] * x[k] * Math.exp(-u * x[k]);
        for (let k = 0; k < n; k++) {
          if (decay[k] === 0) continue;
          g[k] += plain * decay[k];
          own[k] += plain * u * x[k] * decay[k];
          if (twice) for (let l = 0; l <= k; l++) both[k][l] += twice / m * decay[k] * decay[l];
        }
      }
      const rows = new Array(n).fill(0);
      for (let k = 0; k < n; k++) {
        if (k === y) continue;
        gradient[k] += eta[y] * g[k];
        gradient[y] -= eta[y] * g[k];
        for (let l = 0; l < n; l++) {
          if (l === y) continue;
          const h = (k === l ? g[k] - own[k] : 0) - (k >= l ? both[k][l] : both[l][k]);
          hessian[k][l] += eta[y] * h;
          rows[k] += h;
        }
      }
      for (let k = 0; k < n; k++) {
        if (k === y) continue;
        hessian[k][y] -= eta[y] * rows[k];
        hessian[y][k] -= eta[y] * rows[k];
        hessian[y][y] += eta[y] * rows[k];
      }
    }
    return {value, gradient, hessian};
  };
}

/** Solve a x = b by elimination with pivots. */
function solve(a, b) {
  const n = b.length, m = a.map((row, i) => [...row, b[i]]);
  for (let c = 0; c < n; c++) {
    let best = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(m[r][c]) > Math.abs(m[best][c])) best = r;
    [m[c], m[best]] = [m[best], m[c]];
    for (let r = c + 1; r < n; r++) {
      const k = m[r][c] / m[c][c];
      for (let j = c; j <= n; j++) m[r][j] -= k * m[c][j];
    }
  }
  const x = new Array(n).fill(0);
  for (let r = n - 1; r >= 0; r--) x[r] = (m[r][n] - sum(range(n - r - 1).map((j) => m[r][r + 1 + j] * x[r + 1 + j]))) / m[r][r];
  return x;
}

/** Newton's method, damped; the heaviest label stays, the others are solved for in units of their own.  Null where it
 * does not come to a gradient of 1e-9 η. */
function minimise(objective, start, eta) {
  let f = centred(start), now = objective(f), damping = 0, idle = 0, isLast = false;
  for (let round = 0; round < 100 && idle < 4 && !isLast; round++) {
    // One step more: where scores are loosely held, a small gradient is no small error, and a step doubles the digits.
    isLast = now.gradient.every((g, k) => Math.abs(g) <= 1e-12 * eta[k]);
    const diagonal = now.hessian.map((row, k) => row[k] + damping * eta[k]);
    const scale = diagonal.map((d) => Math.sqrt(Math.max(d, 1e-300)));
    const fixed = scale.indexOf(Math.max(...scale)), rest = range(eta.length).filter((k) => k !== fixed);
    const a = rest.map((k) => rest.map((l) => (k === l ? diagonal[k] : now.hessian[k][l]) / scale[k] / scale[l]));
    const solved = solve(a, rest.map((k) => -now.gradient[k] / scale[k]));
    let step = new Array(eta.length).fill(0);
    rest.forEach((k, i) => { step[k] = solved[i] / scale[k]; });
    step = centred(step);
    const slope = sum(step.map((d, k) => d * now.gradient[k]));
    let accepted = step.every((d) => Math.abs(d) < 20) && slope < 0;
    if (accepted) {
      const next = f.map((x, k) => x + step[k]), trial = objective(next);
      accepted = trial.value <= now.value + 1e-4 * slope + 1e-14 * Math.abs(now.value);
      if (accepted) {
        // What no longer falls is at the end of its digits.
        idle = now.value - trial.value > 1e-15 * Math.abs(now.value) ? 0 : idle + 1;
        f = next; now = trial; damping = damping > 1e-6 ? damping / 10 : 0;
      }
    }
    if (!accepted) { if (damping > 1e12) break; damping = Math.max(10 * damping, 1e-6); }
  }
  return now.gradient.every((g, k) => Math.abs(g) <= 1e-9 * eta[k]) ? centred(f) : null;
}

/** argmin of the implicit loss, and of the true sampled one; null where q moves with the scores, or none was found. */
function optima(s, prior, eta) {
  if (s.sampler === "model") return null;
  const implicit = minimise(implicitObjective(s, prior, eta), eta.map(Math.log), eta);
  const sampled = implicit && minimise(sampledObjective(s, prior, eta), implicit, eta);
  return sampled && {implicit, sampled};
}

/** The slope of f on log π. */
function tilt(f, prior) {
  const x = centred(prior.map(Math.log));
  return sum(x.map((v, k) => v * f[k])) / sum(x.map((v) => v * v));
}

/** (level, b, c) of log p = level + b log π_y + c log π_y' by least squares, and what is left at most. */
function place(p, prior) {
  const plain = prior.map(Math.log), log = centred(plain), mean = plain[0] - log[0], rows = [];
  p.forEach((row, y) => row.forEach((v, j) => { if (j !== y && v > 0) rows.push([1, log[y], log[j], Math.log(v)]); }));
  const a = range(3).map((i) => range(3).map((k) => sum(rows.map((r) => r[i] * r[k]))));
  const found = solve(a, range(3).map((i) => sum(rows.map((r) => r[i] * r[3]))));
  const misfit = Math.max(...rows.map((r) => Math.abs(found[0] + found[1] * r[1] + found[2] * r[2] - r[3])));
  return {level: found[0] - (found[1] + found[2]) * mean, b: found[1], c: found[2], misfit};
}

// --- two Gaussian classes ---

// The means of the two classes are this far apart along the classifier's direction; their variances there are 1 on average.
const APART = 2;
// Squares of the nodes of the midpoint rule, and e to minus them.
const NODES = range(14).map((k) => (k / 2 + 0.25) ** 2).map((t) => [t, Math.exp(-t)]);

/** Φ(z), by the midpoint rule on erfc x = (x/π) e^{-x²} ∫ e^{-t²}/(t² + x²) dt, x = |z|/√2, with what its pole at ix adds,
 * 2/(1 + e^{4πx}) for steps of ½ (Hunter and Regan 1972): no digits are lost by differences, in the tail neither. */
function normal(z) {
  const x = Math.abs(z) * Math.SQRT1_2, inside = sum(NODES.map(([t, e]) => e / (t + x * x)));
  const below = x / (2 * Math.PI) * Math.exp(-z * z / 2) * inside + (x < 6 ? 1 / (1 + Math.exp(4 * Math.PI * x)) : 0);
  return z > 0 ? 1 - below : below;
}

/** The linear discriminant's score on new x of each class: means m_k and variances q_k.  The log of the counts' ratio is
 * in the means, and all that is left of a class's spectrum is its variance along the classifier's direction. */
function scoresOf(s) {
  const counts = Math.log(s.odds), variances = [2 * s.spectrum / (1 + s.spectrum), 2 / (1 + s.spectrum)];
  return {mean: [APART ** 2 / 2 + counts, -(APART ** 2) / 2 + counts], variance: variances.map((v) => APART ** 2 * v)};
}

/** z_1 - z_2 with δ added to the score, in its parts; class k is missed with probability Φ(-z_k). */
function gapOf({mean: [a, b], variance}, delta) {
  const [first, second] = variance.map(Math.sqrt), kappa = 1 / first + 1 / second, z = [(a + delta) / first, -(b + delta) / second];
  return {counts: kappa * (a + b) / 2, margins: kappa * delta, spectrum: (a - b) / 2 * (1 / first - 1 / second), total: z[0] - z[1], error: z.map((v) => normal(-v))};
}

/** δ_E, at which both classes are missed equally often. */
function equalErrorOffset({mean: [a, b], variance}) {
  const [first, second] = variance.map(Math.sqrt);
  return -(a * second + b * first) / (first + second);
}

/** δ_B, at which the mean of both errors is least: where the densities cross, the root that is no maximum. */
function leastErrorOffset({mean: [a, b], variance}) {
  const h = (a - b) / 2, [first, second] = variance.map((v) => 1 / v), square = first - second, half = h * (first + second);
  const rest = h * h * square + Math.log(second / first);
  return -rest / (half + Math.sqrt(Math.max(half * half - square * rest, 0))) - (a + b) / 2;
}

/** ½ log(p_12/p_21), how far a scheme's margins move the score by its bound; null where they move with the scores. */
function schemeOffset(s) {
  const prior = [s.odds / (1 + s.odds), 1 / (1 + s.odds)];
  const at = (f) => { const p = margins(s, prior, f); return Math.log(p[0][1] / p[1][0]) / 2; };
  const found = at([0, 0]);
  return Math.abs(found - at([1, -1])) < 1e-9 ? found : null;
}

/** Small random numbers, the same for the same seed (mulberry32). */
function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6D2B79F5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A function that draws a label by q, with the random numbers of `next`. */
function drawing(q, next) {
  const edges = [];
  q.reduce((total, p, j) => edges[j] = total + p, 0);
  return () => {
    const u = next() * edges[edges.length - 1];
    let low = 0, high = edges.length - 1;
    while (low < high) { const middle = (low + high) >> 1; if (edges[middle] > u) high = middle; else low = middle + 1; }
    return low;
  };
}

/** One evaluation of the sampled loss: the m labels drawn, and log(1 + Σ x). */
function evaluation(s, prior, f, y, seed) {
  const {q, w} = plan(s, prior, f, y), draw = drawing(q, random(seed)), labels = range(s.m).map(draw);
  return {labels, loss: Math.log1p(sum(labels.map((j) => w[j] * Math.exp(f[j] - f[y]))))};
}

/** The procedure: runs of m draws; returns a function that adds runs to {n, mean, squares}. */
function simulation(s, prior, f, y, seed) {
  const {q, w} = plan(s, prior, f, y), draw = drawing(q, random(seed)), state = {n: 0, mean: 0, squares: 0};
  const x = w.map((v, j) => v * Math.exp(f[j] - f[y]));
  return (runs) => {
    for (let r = 0; r < runs; r++) {
      let total = 0;
      for (let i = 0; i < s.m; i++) total += x[draw()];
      const loss = Math.log1p(total), step = loss - state.mean;
      state.n += 1;
      state.mean += step / state.n;
      state.squares += step * (loss - state.mean);
    }
    return {...state, error: state.n > 1 ? Math.sqrt(state.squares / (state.n - 1) / state.n) : Infinity};
  };
}

const BATCH = 64, STEPS = 4000;

/** Training of the scores of one x from 0: a step takes BATCH positives by η with m negatives each, and goes down the mean
 * gradient, by a rate that falls.  Returns a function that takes steps and returns where the scores are: an average over
 * steps in which the late ones count more, so that the noise of single steps is not seen. */
function training(s, prior, eta, seed) {
  const n = prior.length, next = random(seed), positive = drawing(eta, next), plans = [];
  const state = {steps: 0, now: new Array(n).fill(0), scores: new Array(n).fill(0), asPositive: new Array(n).fill(0), asNegative: new Array(n).fill(0)};
  const planOf = (y) => {
    const {q, w} = plan(s, prior, state.now, y);
    return {draw: drawing(q, next), w};
  };
  const drawn = new Array(s.m), x = new Array(s.m);
  return (steps) => {
    for (let t = 0; t < steps; t++) {
      const g = new Array(n).fill(0), f = state.now;
      if (s.sampler === "model") plans.length = 0; // q follows the scores
      for (let b = 0; b < BATCH; b++) {
        const y = positive(), {draw, w} = plans[y] ??= planOf(y);
        let total = 1;
        for (let i = 0; i < s.m; i++) { const j = drawn[i] = draw(); total += x[i] = w[j] * Math.exp(f[j] - f[y]); state.asNegative[j] += 1; }
        for (let i = 0; i < s.m; i++) { g[drawn[i]] += x[i] / total; g[y] -= x[i] / total; }
        state.asPositive[y] += 1;
      }
      const rate = n / BATCH / (1 + state.steps / 100) ** 0.7;
      state.steps += 1;
      for (let k = 0; k < n; k++) { f[k] -= rate * g[k]; state.scores[k] += 4 / (state.steps + 3) * (f[k] - state.scores[k]); }
    }
    return {...state, scores: centred(state.scores)};
  };
}
