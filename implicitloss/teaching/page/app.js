"use strict";
// State, controls and the page.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const NUMBERS = ["labels", "tail", "share", "alpha", "tau", "m", "positive", "peak"];
const KINDS = {sampler: ["mixture", "power", "model"], weighting: ["constant", "unit", "importance", "relative", "tail"], hits: ["exclude", "mask", "keep"], eta: ["equal", "prior", "peaked"], counts: ["yes", "no"]};
const LIMITS = {labels: [3, 40], tail: [0, 2], share: [0, 1], alpha: [0, 2], tau: [0.1, 2], m: [1, 1024], positive: [0, 39], peak: [0, 39]};
const MS = [...new Set(range(41).map((v) => Math.round(2 ** (v / 4))))];
const nearest = (m) => MS.reduce((best, v, i) => Math.abs(Math.log(v / m)) < Math.abs(Math.log(MS[best] / m)) ? i : best, 0);
const rms = (a, b) => Math.sqrt(sum(a.map((v, k) => (v - b[k]) ** 2)) / a.length);
let own = null; // the reader's settings, while the path has its own
let state = {...BASE, counts: DATA.counts ? "yes" : "no"}, computed = null, running = null, step = -1;

/** The state in the address, and back; what is no setting is passed over. */
const written = () => Object.entries(state).map(([k, v]) => `${k}=${v}`).join("&");
function read(text) {
  const found = {...state};
  for (const part of text.replace(/^#/, "").split("&")) {
    const [name, value] = part.split("=");
    if (KINDS[name] && KINDS[name].includes(value)) found[name] = value;
    if (LIMITS[name] && value !== "" && Number.isFinite(Number(value))) found[name] = Math.min(LIMITS[name][1], Math.max(LIMITS[name][0], Number(value)));
  }
  for (const name of ["labels", "m", "positive", "peak"]) found[name] = Math.round(found[name]);
  if (!DATA.counts) found.counts = "no";
  return found;
}

function compute() {
  const s = {...state}, prior = s.counts === "yes" ? DATA.counts.prior : zipf(s.labels, s.tail), n = prior.length;
  const positive = Math.min(s.positive, n - 1), peak = Math.min(s.peak, n - 1);
  const eta = s.eta === "prior" ? prior.slice() : prior.map((_, k) => s.eta === "equal" ? 1 / n : k === peak ? 0.5 : 0.5 / (n - 1));
  const f = centred(eta.map(Math.log)), c = {state: s, prior, eta, f, positive, names: s.counts === "yes" ? DATA.counts.labels : null};
  c.margins = margins(s, prior, f);
  const off = c.margins.flatMap((row, y) => row.filter((p, j) => j !== y && p > 0));
  [c.least, c.most] = [Math.min(...off), Math.max(...off)];
  c.flat = Math.log(c.most / c.least) < 1e-9; // but for rounding
  c.sloped = prior[0] > prior[n - 1];
  c.place = c.sloped ? place(c.margins, prior) : {b: 0, c: 0, misfit: Math.log(c.most / c.least)};
  c.bound = bound(s, prior, f, positive);
  c.exact = exactLoss(s, prior, f, positive);
  c.ladder = range(11).map((k) => 2 ** k);
  c.ladderBound = c.ladder.map((m) => bound({...s, m}, prior, f, positive));
  c.ladderExact = c.ladder.map((m) => exactLoss({...s, m}, prior, f, positive));
  c.gradient = exactGradient(s, prior, f, positive);
  c.fullGradient = softmax(f).map((p, k) => k === positive ? p - 1 : p);
  c.softmax = centred(eta.map(Math.log));
  c.balanced = centred(eta.map((e, k) => Math.log(e / prior[k])));
  c.optima = optima(s, prior, eta);
  if (c.optima) {
    const beyond = (kind) => c.optima[kind].map((v, k) => v - c.softmax[k]);
    c.tilts = c.sloped ? {implicit: tilt(beyond("implicit"), prior), sampled: tilt(beyond("sampled"), prior)} : {implicit: 0, sampled: 0};
    const third = (a, i) => a.slice(Math.round(i * n / 3), Math.round((i + 1) * n / 3)), mean = (a) => sum(a) / a.length;
    c.slices = ["head", "torso", "tail"].map((name, i) => ({name, implicit: mean(third(beyond("implicit"), i)), sampled: mean(third(beyond("sampled"), i))}));
  }
  c.run = {n: 0};
  c.band = [];
  return c;
}

/** What the loss amounts to, by where it lies; and the lines that say so with the library. */
function named(c) {
  const near = (b, d) => Math.abs(c.place.b - b) < 0.02 && Math.abs(c.place.c - d) < 0.02 && c.place.misfit < 0.02;
  const constant = near(0, 0) ? Math.abs(Math.log(c.most)) < 1e-9 && Math.abs(Math.log(c.least)) < 1e-9 ? "softmax cross-entropy" : `softmax with every negative counted ${short(c.most)} times`
    : near(0, 1) ? "the equalised loss (Tan et al. 2020): frequent negatives count more" : near(1, 0) ? "relative weights (Yi et al. 2019): negatives of frequent positives count more"
    : near(-1, 1) ? "the logit-adjusted loss (Menon et al. 2021)" : near(-c.state.tau, c.state.tau) ? `the logit-adjusted loss with τ = ${c.state.tau}` : "no loss with a name: p as in the margins' picture";
  if (!c.optima) return `The implicit loss is ${constant}.`;
  const t = c.tilts.sampled, f = c.optima.sampled, gain = c.slices[2].sampled - c.slices[0].sampled;
  const who = gain > 0.05 ? "rare labels gain" : gain < -0.05 ? "frequent labels gain" : "neither frequent nor rare labels gain by much";
  const truly = rms(f, c.softmax) < 0.01 ? "log η, as full softmax does" : rms(f, c.balanced) < 0.01 ? "log η - log π, the balanced rule"
    : c.sloped ? `something else than log η: slope ${two(t)} on log π beyond it, ${two(rms(f, c.softmax))} off in the root mean square; ${who}`
    : `something else than log η, ${two(rms(f, c.softmax))} off in the root mean square`;
  return `The implicit loss is ${constant}. The true sampled loss teaches ${truly}.`;
}

function python(c) {
  const s = c.state, sampler = s.sampler === "model" ? "ModelBased()" : s.sampler === "power" ? `Power(${s.alpha})` : s.share === 1 ? "WithinBatch()" : s.share === 0 ? "Uniform()" : `Mixture(${s.share})`;
  const weighting = s.weighting === "tail" ? `ForMargin(il.margins.LogitAdjusted(${s.tau}))` : s.weighting[0].toUpperCase() + s.weighting.slice(1) + "()";
  let prior = `il.LabelPrior.zipf(${s.labels}, ${s.tail})`;
  if (s.counts === "yes") prior = `il.LabelPrior.from_csv(${JSON.stringify(DATA.counts.name)}).few(${c.prior.length})`;
  const scores = s.sampler === "model" ? `, scores=[${c.f.join(", ")}]` : "";
  return `import implicitloss as il\n\nprior = ${prior}\nscheme = il.Scheme(\n    il.samplers.${sampler}, il.weightings.${weighting}, m=${s.m}, hits="${s.hits}"\n)\nderivation = il.derive(scheme, il.losses.SoftmaxCrossEntropy())\nprint(derivation)\nprint(derivation.latex())\nprint(il.implicit_margins(scheme, prior${scores}))`;
}

/** What SymPy derived for the setting, λ, α and τ as symbols: margins and lines. */
function derived(s) {
  const sampler = s.sampler !== "mixture" ? s.sampler : s.share === 1 ? "within-batch" : s.share === 0 ? "uniform" : "mixture";
  return DATA.derivations.of[`${sampler} ${s.weighting} ${s.hits}`];
}

/** A line: its formula, and why. */
function lineOf([left, relation, right, reason]) {
  const item = document.createElement("li"), formula = document.createElement("div"), why = document.createElement("span");
  formula.append(mathOf(`${left} ${relation === "<=" ? "\\leq" : relation} ${right}`));
  why.textContent = reason;
  item.append(formula, why);
  return item;
}

function show() {
  const c = computed;
  for (const [name, view] of Object.entries(VIEWS)) {
    $(`${name}-picture`).replaceChildren(view.draw(c));
    $(`${name}-says`).textContent = view.says(c);
  }
  $("named").textContent = named(c);
  $("python").textContent = python(c);
  const {margin, steps} = derived(c.state), tex = `p_{yy'} = ${margin}`;
  $("derivation").replaceChildren(mathOf(tex));
  $("latex").textContent = tex;
  $("steps").replaceChildren(...steps.map((k) => lineOf(DATA.derivations.lines[k])));
  for (const name of [...NUMBERS, ...Object.keys(KINDS)]) {
    const control = $(name);
    if (!control) continue;
    if (name === "positive" || name === "peak") control.max = c.prior.length;
    control.value = name === "m" ? nearest(state.m) : name === "positive" || name === "peak" ? state[name] + 1 : state[name];
    const out = $(`${name}-value`);
    if (out) out.textContent = name === "positive" || name === "peak" ? numbered(c, state[name]) : name === "labels" ? c.prior.length : state[name];
  }
  const idle = {share: state.sampler !== "mixture", alpha: state.sampler !== "power", tau: state.weighting !== "tail", peak: state.eta !== "peaked", labels: state.counts === "yes", tail: state.counts === "yes"};
  for (const [name, no] of Object.entries(idle)) $(name).parentElement.hidden = no;
}

function update(change, keepAddress = false) {
  if (running) cancelAnimationFrame(running);
  running = null;
  state = {...state, ...change};
  computed = compute();
  state.positive = computed.positive;
  state.peak = Math.min(state.peak, computed.prior.length - 1);
  if (!keepAddress) history.replaceState(null, "", `#${written()}`);
  show();
}

/** Runs of the procedure, a few milliseconds at a time: two million draws at m, and as many along the ladder. */
function run() {
  const along = computed.ladder.map((m) => ({m, most: Math.max(200, Math.min(4000, Math.floor(2e5 / m))), more: simulation({...computed.state, m}, computed.prior, computed.f, computed.positive, 1 + m), now: null}));
  const more = simulation(computed.state, computed.prior, computed.f, computed.positive, 1), most = Math.max(200, Math.min(20000, Math.floor(2e6 / state.m)));
  const frame = () => {
    computed.run = more(Math.max(20, Math.floor(most / 40)));
    for (const one of along) if (!one.now || one.now.n < one.most) one.now = one.more(Math.ceil(one.most / 40));
    computed.band = along.map((one) => ({m: one.m, ...one.now}));
    $("loss-picture").replaceChildren(VIEWS.loss.draw(computed));
    $("loss-says").textContent = VIEWS.loss.says(computed);
    running = computed.run.n < most ? requestAnimationFrame(frame) : null;
  };
  if (running) cancelAnimationFrame(running);
  frame();
}

function save(name, text, kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: kind}));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** A view as an SVG of its own: the look of the page goes with it. */
function asSvg(name) {
  const svg = VIEWS[name].draw(computed), style = el("style", {}, $("look").textContent);
  svg.setAttribute("xmlns", SVG);
  svg.prepend(style);
  return new XMLSerializer().serializeToString(svg);
}
const cell = (value) => /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;
const asCsv = (name) => VIEWS[name].table(computed).map((row) => row.map(cell).join(",")).join("\n") + "\n";

// --- the guided path ---

/** The setting in words. */
function setting(s) {
  const draws = s.sampler === "model" ? "model-based" : s.sampler === "power" ? `power ${s.alpha}` : s.share === 1 ? "within-batch" : s.share === 0 ? "uniform" : "mixed";
  const hits = {exclude: "hits drawn again", mask: "hits masked", keep: "hits kept"}[s.hits];
  return `${draws} draws, ${s.weighting} weights, m = ${s.m}, ${hits}; ${s.labels} labels by Zipf's law, all equally likely for the example.`;
}

/** The pictures, this one first if it is asked about. */
function order(first) {
  const figures = Object.keys(VIEWS).map((name) => $(`${name}-picture`).closest("figure"));
  for (const figure of figures) figure.classList.toggle("asked", figure.querySelector(`#${first}-picture`) !== null);
  document.querySelector("main").append(...figures.filter((f) => f.matches(".asked")), ...figures.filter((f) => !f.matches(".asked")));
}

function leave() {
  document.body.classList.remove("walking");
  order(null);
  $("settings").inert = false;
  if (own !== null) update(own);
  own = null;
  $("walk").focus();
}

function goTo(k) {
  if (own === null) own = {...state};
  step = k;
  const one = COURSE[k];
  update({...BASE, counts: "no", ...one.set});
  order(one.view);
  $("step-title").textContent = `${k + 1} of ${COURSE.length}: ${one.title}`;
  $("step-ask").textContent = one.ask;
  $("step-setting").textContent = setting(computed.state);
  $("step-tex").replaceChildren();
  // The questions are about these settings.
  $("settings").inert = true;
  $("step-says").textContent = "";
  $("step-options").replaceChildren(...one.options.map((text, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => answer(i));
    return button;
  }));
  $("back").disabled = k === 0;
  $("next").disabled = k === COURSE.length - 1;
  document.body.classList.remove("revealed");
  document.body.classList.add("walking");
}

function answer(i) {
  const one = COURSE[step], right = one.answer(computed);
  $("step-says").textContent = `${i === right ? "✓ Yes" : "✗ No"}: the page computes “${one.options[right]}”. ${one.says}`;
  $("step-tex").replaceChildren(mathOf(one.tex));
  [...$("step-options").children].forEach((button, k) => button.classList.toggle("right", k === right));
  document.body.classList.add("revealed");
}

// --- the self-test ---

function selfTest() {
  const failures = [], worst = {};
  const compare = (what, i, found, expected, within) => {
    [found].flat(Infinity).forEach((v, k) => {
      const e = [expected].flat(Infinity)[k], off = Math.abs(v - e) / Math.max(1, Math.abs(e));
      worst[what] = Math.max(worst[what] ?? 0, off);
      if (!(off <= within)) failures.push(`${what} of vector ${i}, entry ${k}: ${v} for ${e}`);
    });
  };
  DATA.vectors.forEach((v, i) => {
    compare("margins", i, margins(v.settings, v.prior, v.f), v.margins, 1e-12);
    compare("bound", i, bound(v.settings, v.prior, v.f, v.y), v.bound, 1e-12);
    compare("exact loss", i, exactLoss(v.settings, v.prior, v.f, v.y), v.mean, 1e-12);
    compare("gradient", i, exactGradient(v.settings, v.prior, v.f, v.y), v.gradient, 1e-12);
    const found = optima(v.settings, v.prior, v.eta);
    if (found) for (const kind of ["implicit", "sampled"]) compare(`${kind} optimum`, i, found[kind], v[kind], 1e-12);
  });
  return {n: DATA.vectors.length, failures, worst};
}

function start() {
  for (const name of NUMBERS) $(name).addEventListener("input", (event) => {
    const value = Number(event.target.value);
    update({[name]: name === "m" ? MS[value] : name === "positive" || name === "peak" ? value - 1 : value});
  });
  for (const name of Object.keys(KINDS)) if ($(name)) $(name).addEventListener("input", (event) => update({[name]: event.target.value}));
  for (const name of Object.keys(VIEWS)) {
    $(`${name}-svg`).addEventListener("click", () => save(`${name}.svg`, asSvg(name), "image/svg+xml"));
    $(`${name}-csv`).addEventListener("click", () => save(`${name}.csv`, asCsv(name), "text/csv"));
  }
  $("run").addEventListener("click", run);
  $("walk").addEventListener("click", () => { goTo(Math.max(step, 0)); $("step-title").focus(); });
  $("next").addEventListener("click", () => goTo(step + 1));
  $("back").addEventListener("click", () => goTo(step - 1));
  $("leave").addEventListener("click", leave);
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  window.addEventListener("hashchange", () => { state = read(location.hash); update({}, true); });
  $("m").max = MS.length - 1;
  if (!DATA.counts) $("counts-line").remove();
  else $("counts-name").textContent = `${DATA.counts.name}, ${DATA.counts.of} labels` + (DATA.counts.of > DATA.counts.prior.length ? `: ${DATA.counts.prior.length} of them, evenly by rank, with probabilities that are scaled to sum to 1` : "");
  state = read(location.hash);
  update({}, true);
  const tested = selfTest();
  $("self-test").textContent = tested.failures.length ? `Self-test: ${tested.failures.length} numbers differ from the library's. ${tested.failures[0]}`
    : `Self-test passed: ${tested.n} random settings, the library's numbers to 1e-12: margins, bounds, exact losses, gradients, optima.`;
  $("self-test").dataset.state = tested.failures.length ? "failed" : "passed";
}
start();
