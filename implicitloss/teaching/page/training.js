"use strict";
// Training that moves: stochastic steps on the scores of one example, drawn beside the best scores.

const DRAWS = 3e7; // at most, over all steps

/** Steps for a few milliseconds a frame; all at once where motion is not wanted. */
function train() {
  const c = computed, more = training(c.state, c.prior, c.eta, ++seeds), most = Math.max(100, Math.min(STEPS, Math.floor(DRAWS / BATCH / c.state.m)));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const frame = () => {
    const until = performance.now() + 14;
    do c.trained = {...more(Math.min(5, most - (c.trained?.steps ?? 0))), seed: seeds, most}; while (c.trained.steps < most && performance.now() < until);
    const done = c.trained.steps >= most;
    if (done || !still) $("optima-picture").replaceChildren(VIEWS.optima.draw(c));
    if (done || !still) $("train-says").textContent = trainingSays(c);
    running = done ? null : requestAnimationFrame(frame);
  };
  stop();
  c.trained = null;
  frame();
}

/** How far it is, and which label it has hardly met. */
function trainingSays(c) {
  const {steps, scores, asPositive, asNegative, most} = c.trained, last = c.prior.length - 1;
  const far = c.optima ? ` The scores are ${two(rms(scores, c.optima.sampled))} from the best ones of the true sampled loss and ${two(rms(scores, c.optima.implicit))} from those of its bound (root mean square).` : "";
  return `${steps === most ? "Done" : "Training"}: ${(steps * BATCH).toLocaleString("en")} examples with m = ${c.state.m}.${far} Label ${numbered(c, last)} was ${asPositive[last].toLocaleString("en")} times the positive and ${asNegative[last].toLocaleString("en")} times drawn.`;
}
