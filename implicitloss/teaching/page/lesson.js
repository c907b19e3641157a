"use strict";
// A class of 45 minutes: what to show when, and a worksheet, whose answers are what the page computes.

const IN_BATCH = {sampler: "mixture", share: 1, weighting: "unit", hits: "keep", m: 31};
const LESSON = [
  {minutes: 5, title: "The shop", set: {...BASE, ...IN_BATCH, counts: "shop", eta: "equal"}, view: "optima",
    does: "Hand out the worksheet. Tell the story: a shop sold a million loaves and three accordions. A model scores all its items for a shopper, and is trained with a few negatives for each sale. Ask: for a shopper who is as likely to buy any item as any other, which scores come out? Take a vote, then press “Show”.",
    says: "Equal scores would be right, and are not what comes out. In-batch softmax puts the accordion far above bread: it teaches log η - log π."},
  {minutes: 7, title: "The words", set: {...BASE, counts: "shop", weighting: "constant"}, view: "loss",
    does: "Read “The words, in a minute” together. Press “Draw once” a few times: which items are drawn? Then do questions 1 to 3 of the worksheet by hand; question 3 can wait.",
    says: "p = m w q is how often a negative counts. Sampler and weights matter through this product alone, as far as the bound goes."},
  {minutes: 13, title: "Predict, then look", step: 1, view: "",
    does: "Walk the guided path as a class, steps 1 to 7, and 9: everyone predicts by a show of hands, one presses the answer, one says why. Short of time, leave out steps 2 and 4.",
    says: "The bound says which loss is meant. The true sampled loss is another one while m is small: step 7."},
  {minutes: 8, title: "Two settings side by side", set: {...BASE, ...IN_BATCH, counts: "shop", weighting: "relative"}, beside: {...BASE, ...IN_BATCH, counts: "shop"}, view: "learned",
    does: "A is in-batch softmax, B the same with log q taken off every logit. Find the lines marked ≠. Then let a student change one control of B until the slopes of the true loss are equal: it is “Weights”, to unit, and no line is marked any more. Do questions 6 and 7.",
    says: "One line of code decides who gains. B's scores say how likely each item is. A's do not: they answer another question, which item is likely beyond its frequency, and are fair to rare ones."},
  {minutes: 6, title: "Training that moves", set: {...BASE, ...IN_BATCH, counts: "shop", m: 8}, view: "optima",
    does: "Press “Train”. Which items come to their best score first? Which is still on its way, and from which side?",
    says: "The best scores are where training ends if it never stops. The accordion's best score lies far above the others': the nearer it comes, the weaker each push, and after 256,000 examples it is still below. What is optimised and what has been reached are two things."},
  {minutes: 4, title: "The third axis", set: {...BASE, counts: "no"}, view: "scores",
    does: "Counts are equal now, and errors are not. Move “Spectrum” to 1 : 1, then back, and choose the offset that makes errors equal. Do question 8.",
    says: "Where counts are equal, margins made from counts are equal too, and mend nothing. An offset from the spectra does."},
  {minutes: 2, title: "What to take home", set: {...BASE}, view: "map",
    does: "Each says one sentence. Questions 4 and 5 are for home.", says: TAKEAWAYS},
];

const THREE = {...BASE, counts: "no", labels: 3, tail: 1, hits: "mask"};
const WORKSHEET = [
  {set: {...THREE, share: 0, weighting: "unit", m: 2}, ask: "Bread, milk and eggs were sold 6, 3 and 2 times. Two negatives are drawn uniformly; each counts once, and a positive that is drawn counts 0. How often does each negative count in the mean, p = m w q?",
    answer: (c) => `${c.margins[0][1].toPrecision(3)}, each`, why: "2 · 1 · 1/3"},
  {set: {...THREE, weighting: "unit", m: 2}, ask: "Now the two negatives are drawn as often as they are sold. How often do bread, milk and eggs count as negatives?",
    answer: (c) => `${c.margins[1][0].toPrecision(3)}, ${c.margins[0][1].toPrecision(3)} and ${c.margins[0][2].toPrecision(3)}`, why: "2 · 6/11, 2 · 3/11, 2 · 2/11"},
  {set: {...THREE, m: 2}, ask: "Which weight must each have, so that it counts once?",
    answer: (c) => { const p = law(c.state, c.prior, c.f).map((q) => 1 / (c.state.m * q)); return `${p.map((w) => w.toPrecision(3)).join(", ")}`; }, why: "importance weights 1/(m q)"},
  {set: {...THREE, m: 1, positive: 0}, ask: "One negative, drawn as often as it is sold, with importance weights. Bread is the positive and all scores are 0. Which three values can the loss log(1 + w) have, how likely is each, and what is their mean? Compare it with the bound.",
    answer: (c) => `log(1 + 11/3) with 3/11, log(1 + 11/2) with 2/11, log 1 with 6/11; the mean is ${c.exact.toPrecision(3)}, the bound ${c.bound.toPrecision(4)}`, why: "the bound is log(1 + 1 + 1)"},
  {set: {...THREE, weighting: "tail", m: 4}, ask: "Weights (π_y'/π_y)/(m q), the tail weights. How often does bread count beside the positive eggs, and eggs beside bread?",
    answer: (c) => `${c.margins[2][0].toPrecision(3)} times and ${c.margins[0][2].toPrecision(3)} times`, why: "6/2 and 2/6: whichever sampler"},
  {set: {...THREE, weighting: "unit", hits: "keep", m: 2}, ask: "In-batch softmax: weights of 1, hits counted. A shopper is as likely to buy any item as any other. By how much does the best score of eggs lie above that of bread?",
    answer: (c) => (c.optima.sampled[2] - c.optima.sampled[0]).toPrecision(4), why: "f* = log η - log π: log(6/2)"},
  {set: {...THREE, weighting: "relative", hits: "keep", m: 2}, ask: "And with log q taken off every logit, the positive's too?",
    answer: (c) => fixed(c.optima.sampled[2] - c.optima.sampled[0], 4), why: "f* = log η"},
  {set: {...THREE, spectrum: 4, odds: 1, offset: "scheme"}, ask: "Two classes with as many examples each have scores with means 2 and -2 and standard deviations 2.53 and 1.26; the boundary lies at 0. Which class is missed more often, and how often is each? (Φ(-0.79) = 0.215, Φ(-1.58) = 0.057)",
    answer: (c) => { const t = classesOf(c.state); return `class 1: ${percent(t.gap.error[0])}, class 2: ${percent(t.gap.error[1])}`; }, why: "Φ(-2/2.53) and Φ(-2/1.26): the wider class crosses the boundary more often"},
];

const made = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  if (name) node.className = name;
  return node;
};

/** Show what a part of the lesson is about. */
function showPart({set, beside, view, step: at}) {
  if (at) { goTo(at - 1); return; }
  if (walking()) leave();
  held = beside ? compute({...USUAL, ...beside}) : null;
  update({...USUAL, ...set});
  const figure = $(`${view}-picture`).closest("figure");
  figure.scrollIntoView({block: "center"});
  figure.tabIndex = -1;
  figure.focus();
}

function startLesson() {
  let minute = 0;
  $("notes-rows").replaceChildren(...LESSON.map((part) => {
    const row = document.createElement("tr"), when = made("td", `${minute} to ${minute += part.minutes}`), what = made("th"), does = made("td"), show = made("button", "Show");
    what.scope = "row";
    what.append(made("span", part.title));
    show.type = "button";
    show.setAttribute("aria-label", `Show ${part.title}`);
    show.addEventListener("click", () => showPart(part));
    does.append(made("p", part.does), made("p", part.says, "says"), show);
    row.append(when, what, does);
    return row;
  }));
  $("sheet-rows").replaceChildren(...WORKSHEET.map(({ask}) => made("li", ask)));
  // Each answer is computed when it is asked for, and not before.
  const solve = () => {
    if ($("answer-rows").children.length) return;
    $("answer-rows").replaceChildren(...WORKSHEET.map(({set, answer, why}) => made("li", `${answer(compute({...USUAL, ...set}))}  (${why})`)));
  };
  $("answers").addEventListener("toggle", solve);
  const print = (part) => {
    if (part === "answers") solve();
    document.body.dataset.print = part;
    window.print();
  };
  for (const part of ["notes", "sheet", "answers"]) $(`print-${part}`).addEventListener("click", () => print(part));
  window.addEventListener("afterprint", () => delete document.body.dataset.print);
}
