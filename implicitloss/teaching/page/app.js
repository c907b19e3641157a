"use strict";
// State, controls and the page.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const NUMBERS = ["labels", "tail", "share", "alpha", "tau", "m", "positive", "peak"], SPECTRAL_NUMBERS = ["spectrum", "odds", "delta"];
const CHOICES = ["sampler", "weighting", "hits", "eta", "counts"];
const KINDS = Object.fromEntries([...CHOICES, "offset"].map((name) => [name, [...$(name).options].map((option) => option.value)]));
const LIMITS = {labels: [3, 40], tail: [0, 2], share: [0, 1], alpha: [0, 2], tau: [0.1, 2], m: [1, 1024], positive: [0, 39], peak: [0, 39], spectrum: [0.1, 10], odds: [0.1, 10], delta: [-5, 5]};
const MS = [...new Set(range(41).map((v) => Math.round(2 ** (v / 4))))];
const nearest = (m, among = MS) => among.reduce((best, v, i) => Math.abs(Math.log(v / m)) < Math.abs(Math.log(among[best] / m)) ? i : best, 0);
const rms = (a, b) => Math.sqrt(sum(a.map((v, k) => (v - b[k]) ** 2)) / a.length);
let own = null; // the reader's settings, while the path has its own
const USUAL = {...BASE, counts: DATA.counts ? "yes" : "no"};
let state = {...USUAL}, computed = null, classes = null, running = null, waiting = null, whole = false;
let step = -1, right = 0, first = []; // of the path: where it is, the right answer, and each step's first one
let seeds = 0; // simulations so far

const walking = () => document.body.classList.contains("walking");

/** The labels that a setting names; null for Zipf's law. */
const namedLabels = (s) => ({yes: DATA.counts, shop: DATA.shop})[s.counts] ?? null;

/** The state in the address, or the step of the path, and back; what is no setting is passed over. */
const written = () => walking() && step < COURSE.length ? `step=${step + 1}` : Object.entries(state).map(([k, v]) => `${k}=${v}`).join("&") + besideWritten();
function read(text) {
  const found = {...USUAL};
  for (const part of text.replace(/^#/, "").split("&")) {
    const [name, value] = part.split("=");
    if (Object.hasOwn(KINDS, name) && KINDS[name].includes(value)) found[name] = value;
    if (Object.hasOwn(LIMITS, name) && value !== "" && Number.isFinite(Number(value))) found[name] = Math.min(LIMITS[name][1], Math.max(LIMITS[name][0], Number(value)));
  }
  for (const name of ["labels", "m", "positive", "peak"]) found[name] = Math.round(found[name]);
  if (!DATA.counts && found.counts === "yes") found.counts = "no";
  return found;
}

function compute(setting = state) {
  const s = {...setting}, prior = namedLabels(s)?.prior ?? zipf(s.labels, s.tail), n = prior.length;
  const positive = Math.min(s.positive, n - 1), peak = Math.min(s.peak, n - 1);
  const eta = s.eta === "prior" ? prior.slice() : prior.map((_, k) => s.eta === "equal" ? 1 / n : k === peak ? 0.5 : 0.5 / (n - 1));
  const f = centred(eta.map(Math.log)), c = {state: s, prior, eta, f, positive, names: namedLabels(s)?.labels ?? null, peak: s.eta === "peaked" ? peak : null};
  c.margins = margins(s, prior, f);
  const off = c.margins.flatMap((row, y) => row.filter((p, j) => j !== y && p > 0));
  [c.least, c.most] = [Math.min(...off), Math.max(...off)];
  c.flat = Math.log(c.most / c.least) < 1e-9; // but for rounding
  c.sloped = prior[0] > prior[n - 1];
  c.place = c.sloped ? place(c.margins, prior) : null;
  c.bound = bound(s, prior, f, positive);
  c.exact = exactLoss(s, prior, f, positive);
  c.ladder = range(11).map((k) => 2 ** k);
  c.ladderBound = c.ladder.map((m) => bound({...s, m}, prior, f, positive));
  c.ladderExact = c.ladder.map((m) => exactLoss({...s, m}, prior, f, positive));
  c.gradient = exactGradient(s, prior, f, positive);
  c.fullGradient = softmax(f).map((p, k) => k === positive ? p - 1 : p);
  c.softmax = centred(eta.map(Math.log));
  c.balanced = centred(eta.map((e, k) => Math.log(e / prior[k])));
  c.optima = optimaOf(s, prior, eta);
  if (c.optima) {
    // One likely label would be a slope of its own: it is left out of what is said of frequent and rare ones.
    const kept = range(n).filter((k) => k !== c.peak), of = kept.map((k) => prior[k]), third = (a, i) => a.slice(Math.round(i * a.length / 3), Math.round((i + 1) * a.length / 3));
    const beyond = (kind) => kept.map((k) => c.optima[kind][k] - c.softmax[k]), mean = (a) => sum(a) / a.length;
    c.tilts = of[0] > of.at(-1) ? {implicit: tilt(beyond("implicit"), of), sampled: tilt(beyond("sampled"), of)} : null;
    c.slices = ["head", "torso", "tail"].map((name, i) => ({name, implicit: mean(third(beyond("implicit"), i)), sampled: mean(third(beyond("sampled"), i))})).filter((slice) => !Number.isNaN(slice.sampled));
    c.likely = c.peak === null ? 0 : c.optima.sampled[peak] - c.softmax[peak] - mean(beyond("sampled"));
  }
  c.run = {n: 0};
  c.band = [];
  c.trained = null;
  return c;
}

/** Optima look neither at the positive nor at the two Gaussian classes: these can be moved without another search. */
let last = {key: null, found: null};
function optimaOf(s, prior, eta) {
  const key = JSON.stringify([{...s, positive: 0, spectrum: 0, odds: 0, offset: 0, delta: 0}, prior.length]);
  if (last.key !== key) last = {key, found: optima(s, prior, eta)};
  return last.found;
}

/** What the margins amount to, by where they lie; a factor that they have beside it is said. */
function named(c) {
  const {state: s, place: at} = c, times = (k) => Math.abs(k) < 0.02 ? "" : `, with every negative counted ${short(Math.exp(k))} times`;
  if (!at) return c.flat ? `softmax cross-entropy${times(Math.log(c.most))}` : "no loss with a name; its margins are in the picture";
  const near = (b, d) => Math.abs(at.b - b) < 0.02 && Math.abs(at.c - d) < 0.02 && at.misfit < 0.02, nearly = at.misfit < 1e-9 ? "" : "nearly ";
  if (near(0, 0)) return `${nearly}softmax cross-entropy${times(at.level)}${s.sampler === "model" ? ", at these scores" : ""}`;
  if (near(0, 1)) return `${nearly}the equalised loss (Tan et al. 2020), where frequent negatives count more${times(at.level)}`;
  if (near(1, 0)) return `${nearly}relative weights (Yi et al. 2019): negatives of frequent positives count more`;
  if (near(-1, 1)) return `${nearly}the logit-adjusted loss (Menon et al. 2021)${times(at.level)}`;
  if (near(-s.tau, s.tau)) return `${nearly}the logit-adjusted loss with τ = ${s.tau}${times(at.level)}`;
  return "no loss with a name; its margins are in the picture";
}

/** Who gains, and what the loss amounts to: a headline, and what it rests on. */
function verdict(c) {
  const s = c.state, bound = `By the bound this is ${named(c)}.`;
  const given = {equal: "all labels are equally likely", prior: "labels are as likely as they are frequent", peaked: "one label is likely"}[s.eta];
  if (!c.optima && s.sampler === "model") return ["Negatives that follow the scores.", `${bound} What is learned is not computed here: q moves with the scores.`];
  if (!c.optima) return ["Not known here.", `${bound} The best scores were not found: these labels are too uneven for this page.`];
  const f = c.optima.sampled, off = rms(f, c.softmax), between = c.sloped ? 0.02 * rms(c.softmax, c.balanced) : 0.01;
  if (off < Math.min(0.01, between)) return ["Nobody gains.", `${bound} The true sampled loss teaches log η, as full softmax does, where ${given}.`];
  if (rms(f, c.balanced) < Math.min(0.01, between)) return ["Rare labels gain, up to balance.", `${bound} The true sampled loss teaches log η - log π, the balanced rule, where ${given}.`];
  const likely = c.peak === null ? "" : ` The likely label's score is ${two(Math.abs(c.likely))} ${c.likely > 0 ? "higher" : "lower"} beside the others' than in full softmax.`;
  if (!c.tilts) return ["No label is rarer than another.", `${bound} The best scores of the true sampled loss are ${two(off)} off log η (root mean square), where ${given}.${likely}`];
  const slope = c.tilts.sampled, gain = c.slices.at(-1).sampled - c.slices[0].sampled;
  const who = gain > 0.05 ? "Rare labels gain." : gain < -0.05 ? "Frequent labels gain." : "Neither frequent nor rare labels gain by much.";
  return [who, `${bound} By the true sampled loss, with m = ${s.m}, a label ten times rarer gets a score ${two(Math.abs(slope) * Math.LN10)} ${slope > 0 ? "lower" : "higher"} than full softmax gives it, by the fitted slope ${fixed(slope, 3)} on log π${c.peak === null ? "" : " of the others"}, where ${given}.${likely}`];
}

function python(c) {
  const s = c.state, sampler = s.sampler === "model" ? "ModelBased()" : s.sampler === "log-uniform" ? "LogUniform()" : s.sampler === "power" ? `Power(${s.alpha})` : s.share === 1 ? "WithinBatch()" : s.share === 0 ? "Uniform()" : `Mixture(${s.share})`;
  const weighting = s.weighting === "tail" ? `ForMargin(il.margins.LogitAdjusted(${s.tau}))` : s.weighting[0].toUpperCase() + s.weighting.slice(1) + "()";
  let prior = `il.LabelPrior.zipf(${s.labels}, ${s.tail})`;
  if (s.counts === "shop") prior = `il.LabelPrior.from_counts({${DATA.shop.labels.map((name, k) => `${JSON.stringify(name)}: ${DATA.shop.sold[k]}`).join(", ")}})`;
  if (s.counts === "yes") prior = `il.LabelPrior.from_file(${JSON.stringify(DATA.counts.name)}).few(${c.prior.length})`;
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
  // In two, so that a long line may be broken there.
  formula.append(mathOf(left), mathOf(`${relation === "<=" ? "\\leq" : relation} ${right}`));
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
  [$("who").textContent, $("named").textContent] = verdict(c);
  $("setting").textContent = setting(c);
  $("loss-draw").textContent = "";
  $("python").textContent = python(c);
  const {margin, steps} = derived(c.state);
  $("derivation").replaceChildren(mathOf(margin));
  $("latex").textContent = margin;
  $("steps").replaceChildren(...steps.map((k) => lineOf(DATA.derivations.lines[k])));
  for (const name of [...NUMBERS, ...CHOICES]) {
    const control = $(name);
    if (!control) continue;
    if (name === "positive" || name === "peak") control.max = c.prior.length;
    const label = {positive: c.positive, peak: Math.min(state.peak, c.prior.length - 1)}[name];
    control.value = name === "m" ? nearest(state.m) : label !== undefined ? label + 1 : state[name];
    const out = $(`${name}-value`);
    if (out) out.textContent = label !== undefined ? numbered(c, label) : name === "labels" ? c.prior.length : state[name];
    if (out) control.setAttribute("aria-valuetext", out.textContent);
  }
  const idle = {share: state.sampler !== "mixture", alpha: state.sampler !== "power", tau: state.weighting !== "tail", peak: state.eta !== "peaked", labels: namedLabels(state) !== null, tail: namedLabels(state) !== null};
  for (const [name, no] of Object.entries(idle)) $(name).parentElement.hidden = no;
  showBeside();
  showClasses();
  if (projecting()) showSlide();
}

/** The third axis. */
function showClasses() {
  classes = classesOf(state);
  showPreset();
  for (const [name, view] of Object.entries(SPECTRAL)) {
    $(`${name}-picture`).replaceChildren(view.draw(classes));
    $(`${name}-says`).textContent = view.says(classes);
  }
  [$("spectral-head").textContent, $("spectral-says").textContent] = lesson(classes);
  $("spectral-setting").textContent = spectralSetting(classes);
  $("spectral-python").textContent = spectralPython(classes);
  for (const name of ["spectrum", "odds"]) {
    $(name).value = nearest(state[name], RATIOS);
    $(`${name}-value`).textContent = ratio(state[name]);
    $(name).setAttribute("aria-valuetext", `class 1 to class 2, ${ratio(state[name]).replace(":", "to")}`);
  }
  $("offset").value = state.offset;
  $("offset-value").textContent = two(classes.delta);
  $("delta").value = state.delta;
  $("delta").setAttribute("aria-valuetext", $("offset-value").textContent);
  $("delta").parentElement.hidden = state.offset !== "own";
}

function update(change, keepAddress = false) {
  stop();
  state = {...state, ...change};
  computed = compute();
  if (!keepAddress) history.replaceState(null, "", `#${written()}`);
  show();
}

/** Another setting of the third axis: nothing else is computed anew. */
function updateClasses() {
  history.replaceState(null, "", `#${written()}`);
  computed.state = {...state};
  showClasses();
  showBeside();
}

/** End what runs in frames. */
function stop() {
  if (running) cancelAnimationFrame(running);
  running = null;
}

/** Runs of the procedure, a few milliseconds at a time: two million draws at m, and as many along the ladder. */
function run() {
  const seed = ++seeds, {prior, f, positive} = computed;
  const along = computed.ladder.map((m) => ({m, most: Math.max(200, Math.min(4000, Math.floor(2e5 / m))), more: simulation({...computed.state, m}, prior, f, positive, 7919 * seed + m), now: null}));
  const more = simulation(computed.state, prior, f, positive, seed), most = Math.max(200, Math.min(20000, Math.floor(2e6 / state.m)));
  const frame = () => {
    computed.run = {...more(Math.max(20, Math.floor(most / 40))), seed};
    for (const one of along) if (!one.now || one.now.n < one.most) one.now = one.more(Math.ceil(one.most / 40));
    computed.band = along.map((one) => ({m: one.m, ...one.now}));
    $("loss-picture").replaceChildren(VIEWS.loss.draw(computed));
    $("loss-says").textContent = VIEWS.loss.says(computed);
    running = computed.run.n < most ? requestAnimationFrame(frame) : null;
  };
  stop();
  frame();
}

/** One evaluation, to look at. */
function drawOnce() {
  const {labels, loss} = evaluation(computed.state, computed.prior, computed.f, computed.positive, ++seeds), shown = labels.slice(0, 24).map((j) => j + 1);
  $("loss-draw").textContent = `Beside ${numbered(computed, computed.positive)} it drew ${shown.join(", ")}${labels.length > 24 ? ", …" : ""}: a loss of ${loss.toPrecision(4)}.`;
}

/** `view` with the setting in its name. */
const fileOf = (view, kind) => `${[view, ...view in VIEWS || view in BESIDE ? [state.sampler, state.weighting, `m${state.m}`, state.hits] : ["spectrum", short(state.spectrum), "counts", short(state.odds)]].join("-")}.${kind}`;
const viewOf = (name) => name in VIEWS ? [VIEWS[name], computed, setting(computed)] : name in BESIDE ? [BESIDE[name], {a: held, b: computed}, `A: ${setting(held)} B: ${setting(computed)}`] : [SPECTRAL[name], classes, spectralSetting(classes)];

function save(name, text, kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: kind}));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** A view as an SVG of its own: the look of the page goes with it. */
function asSvg(name) {
  const [view, values, words] = viewOf(name), svg = view.draw(values), style = el("style", {}, $("look").textContent);
  svg.setAttribute("xmlns", SVG);
  svg.prepend(style, el("desc", {}, words), el("rect", {width: WIDE, height: svg.viewBox.baseVal.height, fill: "#fff"}));
  return new XMLSerializer().serializeToString(svg);
}
const cell = (value) => /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;
const asCsv = (name) => { const [view, values] = viewOf(name); return view.table(values).map((row) => row.map(cell).join(",")).join("\n") + "\n"; };

/** The scheme in words, but for its m. */
function schemeWords(s) {
  const draws = s.sampler === "model" ? "model-based" : s.sampler === "log-uniform" ? "log-uniform" : s.sampler === "power" ? `power ${s.alpha}` : s.share === 1 ? "within-batch" : s.share === 0 ? "uniform" : `mixed (λ = ${s.share})`;
  return `${draws} draws, ${s.weighting === "tail" ? `tail weights (τ = ${s.tau})` : `${s.weighting} weights`}`;
}

const HITS = {exclude: "drawn again", mask: "given weight 0", keep: "counted"};

/** The labels in words. */
function labelsWords(c) {
  const s = c.state, given = namedLabels(s);
  if (s.counts === "shop") return `${c.prior.length} items of a shop, sold from ${given.sold[0].toLocaleString("en")} times to ${given.sold.at(-1)}`;
  return given ? `${c.prior.length} labels of ${given.name}` : `${s.labels} labels with frequencies ${s.tail === 0 ? "all alike" : `∝ 1/k${s.tail === 1 ? "" : `^${s.tail}`}`} in training`;
}

/** The true probabilities in words. */
function etaWords(c) {
  return {equal: "all equally likely for this example", prior: "as likely as frequent for this example", peaked: `label ${numbered(c, c.peak)} likely for this example`}[c.state.eta];
}

/** The setting in words. */
const setting = (c) => `Setting: ${schemeWords(c.state)}, m = ${c.state.m}, a positive that is drawn is ${HITS[c.state.hits]}; ${labelsWords(c)}, ${etaWords(c)}; positive ${numbered(c, c.positive)}.`;

/** The setting of the two classes in words. */
const spectralSetting = (t) => `Setting: variances ${ratio(t.state.spectrum)}, counts ${ratio(t.state.odds)}, the offset ${OFFSETS[t.state.offset]} (${delta(t.delta)}); scheme: ${schemeWords(t.state)}.`;

/** What the address says: a step of the path, or a setting. */
function follow() {
  const asked = /^#step=(\d+)$/.exec(location.hash), k = asked ? Number(asked[1]) - 1 : -1;
  if (k >= 0 && k < COURSE.length) { if (!walking() || k !== step) goTo(k); return; }
  if (walking()) { own = null; step = -1; leave(); }
  state = read(location.hash);
  holdWritten(location.hash);
  const isMissing = !DATA.counts && /counts(=|:|%3A)yes/i.test(location.hash);
  $("counts-missing").textContent = isMissing ? "The address is of labels that this page was not given: it shows Zipf's law." : "";
  // The address holds the whole setting, also where it said only a part.
  update({}, location.hash === "");
}

/** Inputs come faster than they can be answered: one answer a frame. */
function soon(change, isWhole = true) {
  state = {...state, ...change};
  whole ||= isWhole;
  waiting ??= requestAnimationFrame(() => {
    const answer = whole ? () => update({}) : updateClasses;
    waiting = null; whole = false;
    answer();
  });
}

function start() {
  for (const name of NUMBERS) $(name).addEventListener("input", (event) => {
    const value = Number(event.target.value);
    soon({[name]: name === "m" ? MS[value] : name === "positive" || name === "peak" ? value - 1 : value});
  });
  for (const name of SPECTRAL_NUMBERS) $(name).addEventListener("input", (event) => {
    const value = Number(event.target.value);
    soon({[name]: name === "delta" ? value : RATIOS[value]}, false);
  });
  // One's own offset starts where the other was.
  $("offset").addEventListener("input", (event) => soon({offset: event.target.value, ...event.target.value === "own" ? {delta: Math.round(20 * classes.delta) / 20} : {}}, false));
  // The third axis speaks while it is played with, and not when the sampler is.
  $("third").addEventListener("focusin", () => $("spectral-live").setAttribute("aria-live", "polite"));
  $("third").addEventListener("focusout", () => $("spectral-live").setAttribute("aria-live", "off"));
  for (const name of CHOICES) if ($(name)) $(name).addEventListener("input", (event) => soon({[name]: event.target.value}));
  for (const name of [...Object.keys(VIEWS), ...Object.keys(SPECTRAL), ...Object.keys(BESIDE)]) {
    $(`${name}-svg`).addEventListener("click", () => save(fileOf(name, "svg"), asSvg(name), "image/svg+xml"));
    // The first character tells spreadsheets that what follows is UTF-8.
    $(`${name}-csv`).addEventListener("click", () => save(fileOf(name, "csv"), `\ufeff${asCsv(name)}`, "text/csv"));
  }
  $("run").addEventListener("click", run);
  $("draw").addEventListener("click", drawOnce);
  $("train").addEventListener("click", train);
  startPresets();
  startBeside();
  startProjector();
  startLesson();
  $("walk").addEventListener("click", () => goTo(Math.max(step, 0)));
  $("next").addEventListener("click", () => goTo(step + 1));
  $("back").addEventListener("click", () => goTo(step - 1));
  $("leave").addEventListener("click", leave);
  let closed = [];
  window.addEventListener("beforeprint", () => { closed = [...document.querySelectorAll("details:not([open])")]; closed.forEach((d) => { d.open = true; }); });
  window.addEventListener("afterprint", () => closed.forEach((d) => { d.open = false; }));
  window.addEventListener("hashchange", follow);
  if (window.innerWidth < 900) $("more").open = false;
  if (window.innerWidth < 600) $("words").open = false;
  $("m").max = MS.length - 1;
  for (const name of ["spectrum", "odds"]) $(name).max = RATIOS.length - 1;
  if (!DATA.counts) {
    $("counts-name").remove();
    $("counts").querySelector("[value=yes]").remove();
  } else {
    const {name, of, prior} = DATA.counts;
    $("counts-name").textContent = of > prior.length ? `${name}, ${prior.length} of ${of} labels` : `${name}, ${of} labels`;
    if (of > prior.length) $("counts-name").title = "Evenly by rank; their probabilities are scaled to sum to 1.";
  }
  $("words-loss").replaceChildren(mathOf("\\log (1 + \\sum_{i=1}^{m} w_{y Y_i} e^{f_{Y_i} - f_y})"));
  // In parts, so that a long line may be broken between them.
  $("spectral-sum").replaceChildren(...["z_1 - z_2 =", "(\\frac{1}{\\sigma_1} + \\frac{1}{\\sigma_2}) (\\log \\frac{n_1}{n_2} + \\delta)", "+ h (\\frac{1}{\\sigma_1} - \\frac{1}{\\sigma_2}),", "z_1 = \\frac{m_1 + \\delta}{\\sigma_1},", "z_2 = -\\frac{m_2 + \\delta}{\\sigma_2},", "h = \\frac{m_1 - m_2}{2}"].map((tex) => mathOf(tex)));
  follow();
  const tested = selfTest();
  $("self-test").textContent = tested.failures.length ? `Self-test: ${tested.failures.length} numbers differ from the library's. ${tested.failures[0]}`
    : `Self-test passed: ${tested.n} random settings, the library's numbers to 1e-12: margins, bounds, exact losses, gradients, optima, errors and parts of two Gaussian classes.`;
  $("self-test").dataset.state = tested.failures.length ? "failed" : "passed";
}
start();
