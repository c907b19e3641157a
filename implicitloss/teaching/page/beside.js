"use strict";
// Published settings by name, and two settings side by side: A, which is held, and B, which the controls show.

/** The preset that a setting is, if it is one. */
const presetOf = (s) => DATA.presets.find(({settings}) => Object.entries(settings).every(([name, value]) => s[name] === value)) ?? null;

function showPreset() {
  const found = presetOf(state);
  $("preset").value = found ? found.name : "";
  $("preset-note").textContent = found ? found.note : "";
}

function startPresets() {
  $("preset").append(...DATA.presets.map(({name}) => {
    const option = document.createElement("option");
    option.textContent = option.value = name;
    return option;
  }));
  $("preset").addEventListener("input", (event) => {
    const found = DATA.presets.find(({name}) => name === event.target.value);
    if (found) update(found.settings);
  });
}

let held = null; // what was computed of A

/** The lines of the table: what they are called, and what they say of one setting. */
const COMPARED = [
  ["Draws and weights", (c) => schemeWords(c.state)],
  ["Negatives m", (c) => String(c.state.m)],
  ["A positive that is drawn is", (c) => HITS[c.state.hits]],
  ["Labels", labelsWords],
  ["True probabilities", etaWords],
  ["Positive", (c) => numbered(c, c.positive)],
  ["Two classes: variances, counts, offset", (c) => { const t = classesOf(c.state); return `${ratio(c.state.spectrum)}, ${ratio(c.state.odds)}, ${two(t.delta)}`; }],
  ["Margins beside the positive", (c) => { const row = c.margins[c.positive].filter((_, j) => j !== c.positive), ends = [Math.min(...row), Math.max(...row)].map(short); return ends[0] === ends[1] ? ends[0] : ends.join(" to "); }],
  ["By the bound", (c) => `${named(c)}${c.place ? ` (powers of π: ${two(c.place.b)}, ${two(c.place.c)})` : ""}`],
  ["By the true sampled loss", (c) => verdict(c)[0].replace(/\.$/, "")],
  ["Slope of f* on log π, true loss", (c) => c.tilts ? fixed(c.tilts.sampled, 3) : "none"],
  ["Slope of f* on log π, bound", (c) => c.tilts ? fixed(c.tilts.implicit, 3) : "none"],
  ["Head, torso, tail: f* - log η", (c) => c.slices && c.optima ? c.slices.map((s) => two(s.sampled)).join(", ") : "none"],
  ["True loss of the positive", (c) => c.exact.toPrecision(5)],
  ["Its bound", (c) => c.bound.toPrecision(5)],
];

/** A curve of A and one of B over the same labels. */
function pair(title, yName, {a, b}, of) {
  const key = [["implicit", "A, held"], ["sampled", "B, as set now"]], curves = [["implicit", of(a)], ["sampled", of(b)]];
  const xs = range(b.prior.length).map((k) => k + 1), all = curves.flatMap(([, ys]) => ys).filter(Number.isFinite);
  const {svg, x, y} = frame(title, byLabel(b), yName, xs, [...all, 0], {key, ...labelTicks(b)});
  for (const [kind, ys] of curves) {
    const shown = xs.filter((_, i) => Number.isFinite(ys[i]));
    svg.append(line(shown, shown.map((v) => ys[v - 1]), x, y, kind), ...shown.map((v) => mark(kind, x(v), y(ys[v - 1]), 3)));
  }
  return svg;
}
const learned = (c) => c.prior.map((_, k) => c.optima ? c.optima.sampled[k] - c.softmax[k] : NaN);
const counted = (c) => c.margins[c.positive].map((p, j) => j === c.positive || p === 0 ? NaN : Math.log10(p));
const alike = ({a, b}) => a.prior.length === b.prior.length && String(a.names) === String(b.names);
const OTHER_LABELS = "A and B have other labels, so their curves are not laid over each other.";
const besideTable = (what, of) => (t) => [["label", `A: ${what}`, `B: ${what}`], ...range(Math.max(t.a.prior.length, t.b.prior.length)).map((k) => [alike(t) ? numbered(t.b, k) : k + 1, of(t.a)[k] ?? "", of(t.b)[k] ?? ""].map((v) => Number.isNaN(v) ? "" : v))];

const BESIDE = {
  learned: {
    title: "What is learned beyond full softmax, A beside B",
    says: (t) => !alike(t) ? OTHER_LABELS : !t.a.optima || !t.b.optima ? "Where q moves with the scores, what is learned is not computed." : `Best scores of the true sampled loss minus those of full softmax. Above 0 a label gains. They differ by up to ${two(Math.max(...learned(t.a).map((v, k) => Math.abs(v - learned(t.b)[k]))))}.`,
    draw(t) { return alike(t) ? pair(this.title, "f* - log η, centred", t, learned) : blank(this.title, 40); },
    table: besideTable("f* - log η", learned),
  },
  counted: {
    title: "How often each negative counts, A beside B",
    says: (t) => alike(t) ? `Margins beside the positive ${numbered(t.b, t.b.positive)}${t.a.positive === t.b.positive ? "" : ` (A: ${numbered(t.a, t.a.positive)})`}, as powers of ten: 0 is once, as in full softmax.` : OTHER_LABELS,
    draw(t) { return alike(t) ? pair(this.title, "log10 of the margin p", t, counted) : blank(this.title, 40); },
    table: besideTable("log10 p", counted),
  },
};

function showBeside() {
  $("beside").hidden = held === null;
  $("hold").textContent = held === null ? "Set another setting beside this one" : "Hold this one as A";
  if (held === null) return;
  const cell = (tag, text) => { const made = document.createElement(tag); made.textContent = text; return made; };
  let differ = 0;
  $("beside-rows").replaceChildren(...COMPARED.map(([name, of]) => {
    const [a, b] = [of(held), of(computed)], row = document.createElement("tr"), head = cell("th", name);
    head.scope = "row";
    if (a !== b) { row.className = "differs"; differ += 1; }
    row.append(head, cell("td", a), cell("td", a === b ? "" : "≠"), cell("td", b));
    return row;
  }));
  $("beside-says").textContent = differ === 0 ? "A is held. Choose another setting: it is B, and A stays." : `${differ} of ${COMPARED.length} lines differ: they are marked ≠.`;
  for (const [name, view] of Object.entries(BESIDE)) {
    $(`${name}-picture`).replaceChildren(view.draw({a: held, b: computed}));
    $(`${name}-says`).textContent = view.says({a: held, b: computed});
  }
}

/** Some programs write : and , of an address as %3A and %2C. */
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** A in the address, and back. */
const besideWritten = () => held === null ? "" : `&beside=${Object.entries(held.state).map(([k, v]) => `${k}:${v}`).join(",")}`;
function holdWritten(text) {
  const found = /(?:^#?|&)beside=([^&]*)/.exec(text);
  held = found ? compute(read(decoded(found[1]).replaceAll(":", "=").replaceAll(",", "&"))) : null;
}

function startBeside() {
  $("hold").addEventListener("click", () => { held = computed; update({}); $("beside-title").focus(); });
  $("swap").addEventListener("click", () => { const a = held.state; held = computed; update(a); });
  $("let-go").addEventListener("click", () => { held = null; update({}); $("hold").focus(); });
}
