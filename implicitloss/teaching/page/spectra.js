"use strict";
// The third axis: two Gaussian classes, what is computed of them, the sentence on it, and its pictures.

// Of counts and of variances, from 1 : 10 to 10 : 1.
const RATIOS = [1.25, 1.5, 2, 3, 4, 6, 8, 10].reduce((all, r) => [1 / r, ...all, r], [1]);
const percent = (p) => { const text = (100 * p).toFixed(1); return text === "0.0" ? "under 0.1 %" : text === "100.0" ? "over 99.9 %" : `${text} %`; };
const signed = (x) => `${Number(two(x)) > 0 ? "+" : ""}${two(x)}`;
const delta = (x) => `δ = ${two(x)}`;
const ratio = (r) => r >= 1 ? `${+r.toPrecision(3)} : 1` : `1 : ${+(1 / r).toPrecision(3)}`;
const PARTS = ["counts", "margins", "spectrum"];
const OFFSETS = {scheme: "of the chosen scheme", equal: "that makes errors equal", least: "of the least mean error", adjusted: "of logit adjustment", own: "chosen"};

function classesOf(s) {
  const scores = scoresOf(s), scheme = schemeOffset(s);
  const offsets = {scheme: scheme ?? 0, equal: equalErrorOffset(scores), least: leastErrorOffset(scores), adjusted: 0 - Math.log(s.odds), own: s.delta};
  const at = (x) => gapOf(scores, x), now = at(offsets[s.offset]);
  // Errors are equal but for rounding.
  return {state: s, scores, scheme, offsets, delta: offsets[s.offset], gap: now, even: Math.abs(now.total) < 1e-9, at, mean: (x) => sum(at(x).error) / 2};
}

const list = (words) => words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

/** What is to be seen: a headline, the errors and why, and what the schemes can do about them. */
function lesson(t) {
  const {gap, offsets, even} = t, [first, second] = gap.error.map(percent), alike = percent(t.at(offsets.equal).error[0]), least = percent(t.mean(offsets.least));
  const parts = PARTS.filter((name) => Math.abs(gap[name]) > 1e-9), against = parts.filter((name) => gap[name] * gap.total > 0);
  const largest = against.reduce((a, b) => Math.abs(gap[b]) > Math.abs(gap[a]) ? b : a, against[0]);
  const head = `${t.state.odds === 1 ? "Equal" : "Unequal"} counts, ${even ? "equal" : first === second ? "nearly equal" : "unequal"} errors.`;
  const isLeast = Math.abs(t.delta - offsets.least) < 1e-9, sameMark = Math.abs(offsets.equal - offsets.least) < 1e-9;
  const why = even ? (parts.length ? `: the parts of ${list(parts)} cancel` : ": counts and spectra are alike")
    : parts.length === 1 ? `, because of the ${largest} alone` : first === second ? `: the parts of ${list(parts)} nearly cancel` : `, most of all because of the ${largest}`;
  const best = `the least mean error, ${least}, is ${sameMark ? "there too" : `at ${delta(offsets.least)}`}`;
  const mend = even ? best : isLeast ? `this mean error, ${least}, is the least; ${delta(offsets.equal)} would make both errors ${alike}` : `${delta(offsets.equal)} would make both ${alike}`;
  const errors = even ? `Both classes are missed in ${first} of cases` : `Class 1 is missed in ${first} of cases and class 2 in ${second}`;
  return [head, `${errors}${why}; ${mend}. ${ofScheme(t)}`];
}

/** What the chosen scheme does to the boundary. */
function ofScheme(t) {
  if (t.scheme === null) return `The chosen scheme has no one offset: its draws follow the scores${t.state.offset === "scheme" ? ", and none is drawn here" : ""}.`;
  if (t.state.odds === 1) return "The chosen scheme acts as δ = 0: where counts are equal, its margins favour neither class, whatever the spectrum.";
  return `The chosen scheme acts as ${delta(t.scheme)}, by its bound: its margins know the counts at most, and not the spectrum.`;
}

const SPECTRAL = {
  scores: {
    title: "Scores of two classes, the boundary and the errors",
    says: (t) => `To the right of the line class 1 is predicted. It lies at ${two(boundary(t))}, by counts and δ. Shaded: class 1 on its left, ${percent(t.gap.error[0])}, and class 2 on its right, ${percent(t.gap.error[1])}.`,
    draw(t) {
      const ends = [-9, 9], xs = range(181).map((k) => -9 + k / 10), cut = boundary(t), centres = [APART ** 2 / 2, -(APART ** 2) / 2];
      const density = (k, u) => Math.exp(-((u - centres[k]) ** 2) / (2 * t.scores.variance[k])) / Math.sqrt(2 * Math.PI * t.scores.variance[k]);
      const kinds = ["sampled", "implicit"], key = kinds.map((kind, k) => [kind, `class ${k + 1}, missed: ${percent(t.gap.error[k])}`]);
      const {svg, x, y, top} = frame(this.title, "score w·x", "density", ends, [0, 0.5], {key, rows: 1, xTicks: [-8, -4, 0, 4, 8].map((v) => [v, String(v)])});
      kinds.forEach((kind, k) => {
        const side = [...xs.filter((u) => k ? u > cut : u < cut), ...cut > -9 && cut < 9 ? [cut] : []].sort((a, b) => a - b);
        svg.append(el("polygon", {points: [[side[0], 0], ...side.map((u) => [u, density(k, u)]), [side.at(-1), 0]].map(([u, v]) => `${x(u)},${y(v)}`).join(" "), class: `area ${kind}`}));
      });
      kinds.forEach((kind, k) => svg.append(line(xs, xs.map((u) => density(k, u)), x, y, kind), mark(kind, x(centres[k]), y(density(k, centres[k])))));
      svg.append(el("line", {x1: x(cut), x2: x(cut), y1: top - 4, y2: HIGH - BOX.bottom, class: "cut"}));
      if (cut > -4.5) svg.append(el("text", {x: x(cut) - 6, y: top, class: "small", "text-anchor": "end"}, "← class 2"));
      if (cut < 4.5) svg.append(el("text", {x: x(cut) + 6, y: top, class: "small"}, "class 1 →"));
      return svg;
    },
    table: (t) => [["class", "mean", "variance", "error"], ...[0, 1].map((k) => [k + 1, t.scores.mean[k] + t.delta, t.scores.variance[k], t.gap.error[k]])],
  },
  errors: {
    title: "Both errors against the offset",
    says: (t) => `Where the curves cross errors are equal (δ_E); where the thin line is lowest their mean is least (δ_B). The thick line: the offset in use, ${delta(t.delta)}.`,
    draw(t) {
      const {scheme, equal, least, adjusted} = t.offsets, marked = [equal, least, adjusted, t.delta, ...t.scheme === null ? [] : [scheme]];
      const reach = Math.ceil(Math.max(1.5, 1.1 * Math.max(...marked.map(Math.abs)))), xs = range(81).map((k) => reach * (k / 40 - 1)), errors = xs.map((v) => t.at(v).error);
      const highest = Math.min(1, 1.15 * Math.max(0.3, ...marked.flatMap((v) => t.at(v).error)));
      const curves = {sampled: ([a]) => a, implicit: ([, b]) => b, softmax: ([a, b]) => (a + b) / 2}, now = t.gap.error;
      const flags = [["equal errors, δ_E", equal], ["least mean error, δ_B", least], ["logit adjustment", adjusted], ...t.scheme === null ? [] : [["the chosen scheme", scheme]]];
      const key = [["sampled", "error of class 1"], ["implicit", "error of class 2"], ["softmax", "their mean"]];
      const tall = HIGH + 60, bottom = tall - BOX.bottom, {svg, x, y, top} = frame(this.title, "offset δ", "error, %", xs, [0, 100 * highest], {tall, key, rows: flags.length, xTicks: ticks(-reach, reach).map((v) => [v, String(v)])});
      // All names on one side, where they fit, and in an order in which no line runs through a name.
      const wide = ([text]) => (window.innerWidth < 900 ? 7.8 : 6.4) * text.length + 8, fitsRight = (flag) => x(flag[1]) + wide(flag) < WIDE, fitsLeft = (flag) => x(flag[1]) - wide(flag) > BOX.left - 20;
      const isLeft = flags.every(fitsRight) ? () => false : flags.every(fitsLeft) ? () => true : (flag) => !fitsRight(flag);
      flags.sort((p, q) => isLeft(p) && isLeft(q) ? q[1] - p[1] : isLeft(p) !== isLeft(q) ? isLeft(q) - isLeft(p) : p[1] - q[1]);
      const rows = flags.map((_, i) => top - ROW * (flags.length - i) + 4);
      flags.forEach(([, v], i) => svg.append(el("line", {x1: x(v), x2: x(v), y1: rows[i] - 8, y2: bottom, class: "zero"})));
      for (const [kind, of] of Object.entries(curves)) {
        const seen = range(xs.length).filter((i) => of(errors[i]) <= highest);
        svg.append(line(seen.map((i) => xs[i]), seen.map((i) => 100 * of(errors[i])), x, y, kind), mark(kind, x(t.delta), y(100 * of(now))));
      }
      svg.append(el("line", {x1: x(t.delta), x2: x(t.delta), y1: top, y2: bottom, class: "cut"}), mark("balanced", x(equal), y(100 * t.at(equal).error[0]), 6));
      flags.forEach((flag, i) => svg.append(el("text", {x: x(flag[1]) + (isLeft(flag) ? -5 : 5), y: rows[i], class: "small halo", "text-anchor": isLeft(flag) ? "end" : "start"}, flag[0])));
      return svg;
    },
    table: (t) => [["offset", "delta", "error 1", "error 2", "mean"], ...Object.entries(t.offsets).filter(([name]) => name !== "scheme" || t.scheme !== null).map(([name, v]) => [name, v, ...t.at(v).error, t.mean(v)])],
  },
  parts: {
    title: "The gap between the classes, in its parts",
    says: ({gap}) => `z_1 - z_2 = ${signed(gap.total)}: counts ${signed(gap.counts)}, margins ${signed(gap.margins)}, spectrum ${signed(gap.spectrum)}. Above 0 a part is in favour of class 1, below 0 of class 2.`,
    draw({gap}) {
      const starts = PARTS.map((_, i) => sum(PARTS.slice(0, i).map((name) => gap[name]))), ends = PARTS.map((name, i) => starts[i] + gap[name]);
      const bars = [...PARTS.map((name, i) => [name, starts[i], ends[i]]), ["gap", 0, gap.total]], most = Math.max(1, ...ends.map(Math.abs));
      const kinds = ["softmax", "balanced", "implicit", "sampled"], all = [0, ...ends], room = 0.16 * Math.max(1, Math.max(...all) - Math.min(...all));
      const {svg, x, y} = frame(this.title, "", "part of z_1 - z_2", [0, 4], [Math.min(-0.3 * most, ...ends) - room, Math.max(0.3 * most, ...ends) + room], {xTicks: bars.map(([name], i) => [i + 0.5, name === "margins" ? "margins δ" : name])});
      bars.forEach(([name, from, to], i) => {
        const [high, low] = [Math.min(y(from), y(to)), Math.max(y(from), y(to))];
        svg.append(el("rect", {x: x(i + 0.5) - 24, y: high, width: 48, height: Math.max(low - high, 0.5), class: `block ${kinds[i]}`}),
          el("text", {x: x(i + 0.5), y: to >= from ? high - 5 : low + 14, "text-anchor": "middle", class: "small"}, signed(to - from)));
        if (i < 3) svg.append(el("line", {x1: x(i + 0.5) + 24, x2: x(i + 1.5) - 24, y1: y(to), y2: y(to), class: "now"}));
      });
      return svg;
    },
    table: ({gap}) => [["part", "value"], ...[...PARTS, "total"].map((name) => [name, gap[name]])],
  },
};

/** Where the boundary lies on the score, before counts and δ are added to it. */
const boundary = (t) => 0 - Math.log(t.state.odds) - t.delta;

/** The same with the library. */
function spectralPython(t) {
  const {odds} = t.state, variances = t.scores.variance.map((v) => `[${v / APART ** 2}]`).join(", ");
  return `import math\n\nimport implicitloss as il\n\ncounts = [${Math.max(odds, 1)}, ${Math.max(1 / odds, 1)}]\nclasses = il.spectral.GaussianMixture([[${APART / 2}], [${-APART / 2}]], [${variances}], counts)\nscore = il.spectral.Affine([${APART}], math.log(counts[0] / counts[1]))\np = il.spectral.predict(classes, score)\ngap = il.spectral.gap(p.mean, p.variance, p.training_mean, offset=${t.delta})\nprint(gap, gap.error)\nprint(il.spectral.equal_error_offset(p.mean, p.variance))\nprint(il.spectral.least_error_offset(p.mean, p.variance))`;
}
