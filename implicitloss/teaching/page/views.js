"use strict";
// Pictures: each view takes what was computed and returns an SVG, and the table behind it.

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 460, HIGH = 310, BOX = {left: 78, right: 14, top: 12, bottom: 44}, ROW = 17;

function el(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  return node;
}

/** Decimals, and no -0.00. */
const fixed = (x, digits) => Math.abs(x) < 0.5 * 10 ** -digits ? (0).toFixed(digits) : x.toFixed(digits);
const two = (x) => fixed(x, 2);
const short = (x) => x === 0 ? "0" : Math.abs(x) >= 1e4 || Math.abs(x) < 1e-3 ? x.toExponential(0).replace("+", "") : String(+x.toPrecision(2));

function linear(low, high, from, to) {
  const span = high - low || 1;
  return (x) => from + (x - low) / span * (to - from);
}

function ticks(low, high, many = 5) {
  const raw = (high - low) / many || 1, size = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((k) => k * size).find((k) => k >= raw);
  const found = [];
  for (let x = Math.ceil(low / step) * step; x <= high + 1e-9 * step && found.length < 50; x += step) found.push(Math.abs(x) < 1e-12 ? 0 : x);
  return found;
}

/** A picture without anything in it. */
const blank = (title, tall = HIGH) => el("svg", {viewBox: `0 0 ${WIDE} ${tall}`, role: "img", class: "chart"}, el("title", {}, title));

/** An empty chart with its key and axes; `x` and `y` place values. */
function frame(title, xName, yName, xs, ys, options = {}) {
  const tall = (options.tall ?? HIGH) + (options.slanted ? 34 : 0), bottom = tall - BOX.bottom - (options.slanted ? 34 : 0), svg = blank(title, tall), columns = window.innerWidth < 900 ? 1 : 2, entries = options.key ?? [];
  const top = BOX.top + ROW * (Math.ceil(entries.length / columns) + (options.rows ?? 0));
  entries.forEach(([kind, text], i) => {
    const at = BOX.left + 10 + (i % columns) * 196, row = BOX.top + ROW * Math.floor(i / columns);
    svg.append(el("line", {x1: at - 8, x2: at + 8, y1: row, y2: row, class: `line ${kind}`}), mark(kind, at, row, 3), el("text", {x: at + 14, y: row + 4, class: "small"}, text));
  });
  let [low, high] = [Math.min(...ys), Math.max(...ys)];
  // What differs by rounding only is flat.
  const flat = high - low < 1e-9 * Math.max(1, Math.abs(high)), pad = flat ? 0.05 * Math.max(1, Math.abs(high)) : 0.06 * (high - low);
  [low, high] = [low - pad, high + pad];
  const x = linear(options.xLow ?? Math.min(...xs), options.xHigh ?? Math.max(...xs), BOX.left, WIDE - BOX.right);
  const y = linear(low, high, bottom, top);
  const marks = ticks(low, high), digits = Math.max(0, -Math.floor(Math.log10((marks[1] ?? 1) - (marks[0] ?? 0)) + 1e-9));
  for (const v of marks) {
    svg.append(el("line", {x1: BOX.left, x2: WIDE - BOX.right, y1: y(v), y2: y(v), class: v === 0 ? "zero" : "grid"}),
      el("text", {x: BOX.left - 6, y: y(v) + 4, "text-anchor": "end"}, v.toFixed(Math.min(digits, 8))));
  }
  for (const [v, text] of options.xTicks ?? ticks(Math.min(...xs), Math.max(...xs)).map((v) => [v, short(v)])) {
    svg.append(el("line", {x1: x(v), x2: x(v), y1: bottom, y2: bottom + 4, class: "axis"}),
      options.slanted ? el("text", {x: x(v), y: bottom + 14, "text-anchor": "end", transform: `rotate(-35 ${x(v)} ${bottom + 14})`}, text)
        : el("text", {x: Math.min(x(v), WIDE - BOX.right), y: bottom + 16, "text-anchor": x(v) > WIDE - 30 ? "end" : "middle"}, text));
  }
  svg.append(el("line", {x1: BOX.left, x2: WIDE - BOX.right, y1: bottom, y2: bottom, class: "axis"}),
    el("text", {x: (BOX.left + WIDE - BOX.right) / 2, y: tall - 8, "text-anchor": "middle"}, xName),
    el("text", {x: 15, y: (top + bottom) / 2, "text-anchor": "middle",
      transform: `rotate(-90 15 ${(top + bottom) / 2})`}, yName));
  return {svg, x, y, top};
}

const line = (xs, ys, x, y, kind) => el("polyline", {points: xs.map((v, i) => `${x(v)},${y(ys[i])}`).join(" "), class: `line ${kind}`});

/** A mark that is told apart without colour. */
function mark(kind, cx, cy, r = 4) {
  if (kind === "sampled") return el("circle", {cx, cy, r, class: "mark sampled"});
  if (kind === "implicit") return el("path", {d: `M${cx - r},${cy - r}L${cx + r},${cy + r}M${cx - r},${cy + r}L${cx + r},${cy - r}`, class: "mark implicit"});
  if (kind === "trained") return el("path", {d: `M${cx},${cy - r}L${cx + r},${cy}L${cx},${cy + r}L${cx - r},${cy}Z`, class: "mark trained"});
  if (kind === "balanced") return el("path", {d: `M${cx},${cy - r}L${cx + r},${cy + r}L${cx - r},${cy + r}Z`, class: "mark balanced"});
  return el("rect", {x: cx - r, y: cy - r, width: 2 * r, height: 2 * r, class: "mark softmax"});
}

/** A label's number, by frequency, and its name if it has one. */
const numbered = (c, k) => c.names ? `${k + 1} (${c.names[k]})` : String(k + 1);
const cut = (text) => text.length > 14 ? `${text.slice(0, 13)}…` : text;
const byLabel = (c) => c.names ? `label, frequent (${cut(c.names[0])}) to rare (${cut(c.names.at(-1))})` : "label, frequent to rare";
/** Ticks at labels, the first among them. */
const atLabels = (n) => [...new Set([1, ...ticks(1, n).filter((v) => Number.isInteger(v) && v > 1)])].map((v) => [v, String(v)]);
/** What to write below labels: names where there are few, else ranks. */
const labelTicks = (c) => c.names && c.prior.length <= 14 ? {slanted: true, xTicks: c.names.map((name, k) => [k + 1, cut(String(name))])} : {xTicks: atLabels(c.prior.length)};
/** The columns that say which label: its rank, and its name if it has one. */
const labelHead = (c) => c.names ? ["label", "name"] : ["label"];
const labelCells = (c, k) => c.names ? [k + 1, c.names[k]] : [k + 1];

const NOT_FOUND = (c) => c.state.sampler === "model" ? "Not computed here: q moves with the scores." : "Not found: these labels are too uneven.";

const VIEWS = {
  margins: {
    title: "Margins p_yy'",
    says: (c) => `How often a negative (column) counts beside a positive (row), on average. ${c.state.hits === "keep" ? "Kept hits divide it by 1 + c_y. " : ""}Outlined: the positive chosen. ${c.flat ? `All are ${short(c.most)}` : `From ${short(c.least)} to ${short(c.most)}${short(c.least) === short(c.most) ? `, ${(100 * (c.most / c.least - 1)).toPrecision(2)} % apart` : ""}`}.`,
    draw(c) {
      const n = c.prior.length, side = 236, cell = side / n, left = 70, top = 24;
      const svg = blank(this.title);
      const low = Math.log(c.least), high = Math.log(c.most), shades = c.flat ? [5] : range(10), level = (p) => c.flat ? 5 : Math.round(9 * (Math.log(p) - low) / (high - low));
      c.margins.forEach((row, y) => row.forEach((p, j) => {
        if (y === j || p === 0) return;
        svg.append(el("rect", {x: left + j * cell, y: top + y * cell, width: cell + 0.3, height: cell + 0.3, class: `heat h${level(p)}`},
          el("title", {}, `p = ${short(p)} beside the positive ${numbered(c, y)} for the negative ${numbered(c, j)}`)));
      }));
      const high1 = side / 10;
      shades.forEach((k) => svg.append(el("rect", {x: left + side + 24, y: top + side - (k + 1) * high1, width: 16, height: high1 + 0.3, class: `heat h${k}`})));
      svg.append(...c.flat ? [el("text", {x: left + side + 46, y: top + side / 2 - high1 / 2 + 4}, short(c.most))] : [el("text", {x: left + side + 46, y: top + 10}, short(c.most)), el("text", {x: left + side + 46, y: top + side}, short(c.least))]);
      svg.append(
        el("text", {x: left + side / 2, y: top - 8, "text-anchor": "middle"}, "negative y', frequent to rare"),
        el("text", {x: left - 10, y: top + side / 2, "text-anchor": "middle", transform: `rotate(-90 ${left - 10} ${top + side / 2})`}, "positive y, rare to frequent"),
        el("rect", {x: left, y: top + c.positive * cell, width: side, height: cell, class: "chosen"}));
      return svg;
    },
    table: (c) => [["positive", "negative", "p"], ...c.margins.flatMap((row, y) => row.map((p, j) => [numbered(c, y), numbered(c, j), p]).filter((_, j) => j !== y))],
  },
  map: {
    title: "Map of implicit losses",
    says: (c) => !c.place ? "No label is rarer than another, so there are no powers of π to compare." : `log p = const + b log π_y + c log π_y': b = ${two(c.place.b)}, c = ${two(c.place.c)}` +
      (c.place.misfit > 0.01 ? `; these margins lie on no point of the map, and this is the nearest, off by at most a factor of ${short(Math.exp(c.place.misfit))}.` : ".") +
      (Math.abs(c.place.b) > 1.6 || c.place.c > 1.5 || c.place.c < -0.4 ? " It lies beyond the edge." : ""),
    draw(c) {
      const {svg, x, y} = frame(this.title, "b: power of π of the positive", "c: power of π of the negative", [-1.6, 1.6], [-0.4, 1.5], {xTicks: [-1, 0, 1].map((v) => [v, String(v)])});
      svg.append(el("text", {x: x(-1.5), y: y(0.45), class: "dim"}, "↖ by the bound, rare labels gain"), el("text", {x: x(1.55), y: y(-0.3), "text-anchor": "end", class: "dim"}, "by the bound, frequent labels gain ↘"));
      for (const [name, b, d] of [["softmax", 0, 0], ["equalised", 0, 1], ["relative", 1, 0], ["logit-adjusted", -1, 1], ["adaptive, as printed", -0.25, 0]]) {
        svg.append(mark("softmax", x(b), y(d), 3), el("text", {x: x(b) + (b < 0 && d === 0 ? -4 : 8), y: y(d) + (b < 0 && d === 0 ? 18 : -11), class: "small", "text-anchor": b < 0 && d === 0 ? "end" : "start"}, name));
      }
      if (c.place) svg.append(el("circle", {cx: x(Math.max(-1.6, Math.min(1.6, c.place.b))), cy: y(Math.max(-0.4, Math.min(1.5, c.place.c))), r: 9, class: "here"}));
      return svg;
    },
    table: (c) => [["b", "c", "misfit"], c.place ? [c.place.b, c.place.c, c.place.misfit] : ["", "", ""]],
  },
  loss: {
    title: "Bound, exact loss and simulation against m",
    says: (c) => `Positive ${numbered(c, c.positive)}: bound ${c.bound.toPrecision(6)}, exact ${c.exact.toPrecision(6)}` +
      (c.run.n ? `; simulated ${c.run.mean.toPrecision(6)} ± ${(2 * c.run.error).toPrecision(2)} (two standard errors, ${c.run.n} runs, seed ${c.run.seed}).` : "."),
    draw(c) {
      const xs = c.ladder.map((m) => Math.log2(m)), here = Math.log2(c.state.m);
      const all = [...c.ladderBound, ...c.ladderExact, ...c.band.flatMap((r) => [r.mean - 2 * r.error, r.mean + 2 * r.error])];
      const key = [["implicit", "bound (implicit loss)"], ["sampled", "exact expected loss"], ...(c.run.n ? [["balanced", "simulation, ± 2 standard errors"]] : [])];
      const {svg, x, y, top} = frame(this.title, "negatives m", "loss", xs, all, {key, xTicks: c.ladder.filter((_, i) => i % 2 === 0).map((m) => [Math.log2(m), String(m)])});
      const edge = (side) => c.band.map((r) => `${x(Math.log2(r.m))},${y(r.mean + side * 2 * r.error)}`);
      if (c.band.length) svg.append(el("polygon", {points: [...edge(1), ...edge(-1).reverse()].join(" "), class: "band"}));
      svg.append(el("line", {x1: x(here), x2: x(here), y1: top, y2: HIGH - BOX.bottom, class: "now"}),
        line(xs, c.ladderBound, x, y, "implicit"), line(xs, c.ladderExact, x, y, "sampled"));
      xs.forEach((v, i) => svg.append(mark("implicit", x(v), y(c.ladderBound[i]), 3), mark("sampled", x(v), y(c.ladderExact[i]), 3)));
      if (c.run.n > 1) {
        const [a, b] = [c.run.mean - 2 * c.run.error, c.run.mean + 2 * c.run.error];
        svg.append(el("line", {x1: x(here), x2: x(here), y1: y(a), y2: y(b), class: "bar"}), mark("balanced", x(here), y(c.run.mean), 5));
      }
      return svg;
    },
    table: (c) => [["m", "bound", "exact", "simulated", "standard error", "runs"],
      ...c.ladder.map((m, i) => [m, c.ladderBound[i], c.ladderExact[i], c.band[i]?.mean ?? "", c.band[i]?.error ?? "", c.band[i]?.n ?? ""]),
      [c.state.m, c.bound, c.exact, ...(c.run.n ? [c.run.mean, c.run.error, c.run.n] : ["", "", ""])]],
  },
  optima: {
    title: "What is learned: population optima",
    says: (c) => c.optima && !c.tilts ? "No label is rarer than another: there is no slope on log π." : c.optima ? `Tilt, the slope of f* - log η on log π over ${c.peak === null ? "all" : "the other"} ${c.prior.length - (c.peak === null ? 0 : 1)} labels: ${fixed(c.tilts.sampled, 3)} by the true sampled loss, ${fixed(c.tilts.implicit, 3)} by its bound (0: full softmax; -1: the balanced rule; below 0 rare labels gain)${c.peak === null ? "" : "; the likely label is left out"}.`
      : NOT_FOUND(c),
    draw(c) {
      const xs = range(c.prior.length).map((k) => k + 1), curves = {softmax: c.softmax, balanced: c.balanced, ...(c.optima ?? {})};
      const key = [["softmax", "log η (full softmax)"], ["balanced", "log η - log π (balanced rule)"], ...(c.optima ? [["implicit", "best scores by the bound"], ["sampled", "best scores, true loss"]] : []), ...(c.trained ? [["trained", "scores in training"]] : [])];
      if (c.trained) curves.trained = c.trained.scores;
      const {svg, x, y} = frame(this.title, byLabel(c), "score f*, centred", xs, Object.values(curves).flat(), {key, ...labelTicks(c)});
      for (const kind of ["softmax", "balanced", "implicit", "sampled", "trained"]) {
        if (!curves[kind]) continue;
        svg.append(line(xs, curves[kind], x, y, kind));
        xs.forEach((v, i) => svg.append(mark(kind, x(v), y(curves[kind][i]), 3)));
      }
      return svg;
    },
    table: (c) => [[...labelHead(c), "log η", "log η - log π", "implicit", "sampled", ...c.trained ? ["trained"] : []],
      ...c.prior.map((_, k) => [...labelCells(c, k), c.softmax[k], c.balanced[k], c.optima ? c.optima.implicit[k] : "", c.optima ? c.optima.sampled[k] : "", ...c.trained ? [c.trained.scores[k]] : []])],
  },
  slices: {
    title: "Who gains: head, torso, tail",
    says: (c) => c.optima ? `Mean of the best scores minus those of full softmax, for each third of the labels${c.peak === null ? "" : " but for the likely one"}. Above 0 these labels gain.` : NOT_FOUND(c),
    draw(c) {
      if (!c.optima) {
        const svg = blank(this.title);
        svg.append(el("text", {x: WIDE / 2, y: HIGH / 2, "text-anchor": "middle"}, NOT_FOUND(c)));
        return svg;
      }
      const all = c.slices.flatMap((s) => [s.implicit, s.sampled, 0]), key = [["implicit", "by the bound (outlined)"], ["sampled", "by the true loss"]], room = 0.12 * Math.max(0.2, ...all.map(Math.abs));
      const {svg, x, y} = frame(this.title, "", "mean of f* - log η", [0, 3], [...all, Math.max(...all) + room, Math.min(...all) - room], {key, xTicks: c.slices.map((s, i) => [i + 0.5, s.name])});
      c.slices.forEach((s, i) => ["implicit", "sampled"].forEach((of, k) => {
        const at = x(i + 0.5) + (k ? 4 : -44), top = Math.min(y(0), y(s[of]));
        svg.append(el("rect", {x: at, y: top, width: 40, height: Math.abs(y(s[of]) - y(0)) + 0.5, class: `block ${of}`}),
          el("text", {x: at + 20, y: s[of] >= 0 ? top - 4 : y(s[of]) + 12, "text-anchor": "middle", class: "small"}, two(s[of])));
      }));
      return svg;
    },
    table: (c) => [["slice", "implicit", "sampled"], ...(c.slices ?? []).map((s) => [s.name, s.implicit, s.sampled])],
  },
  gradient: {
    title: "The gradient pushed on each label",
    says: (c) => `Expected gradient for positive ${numbered(c, c.positive)}, exact: ${short(c.gradient[c.positive])} on itself, where full softmax has ${short(c.fullGradient[c.positive])}. Above 0 a label's score is pushed down.`,
    draw(c) {
      const others = range(c.prior.length).filter((k) => k !== c.positive), xs = others.map((k) => k + 1);
      const a = others.map((k) => c.gradient[k]), b = others.map((k) => c.fullGradient[k]);
      const key = [["softmax", "full softmax"], ["sampled", "this scheme"]], ticksBelow = labelTicks(c);
      const {svg, x, y} = frame(this.title, `${byLabel(c)}; the positive left out`, "∂ loss / ∂ f", xs, [...a, ...b, 0], {key, ...ticksBelow, xTicks: ticksBelow.xTicks.filter(([v]) => v >= xs[0] && v <= xs.at(-1))});
      svg.append(line(xs, b, x, y, "softmax"), line(xs, a, x, y, "sampled"));
      xs.forEach((v, i) => svg.append(mark("softmax", x(v), y(b[i]), 3), mark("sampled", x(v), y(a[i]), 3)));
      return svg;
    },
    table: (c) => [[...labelHead(c), "expected gradient", "full softmax"], ...c.gradient.map((g, k) => [...labelCells(c, k), g, c.fullGradient[k]])],
  },
};
