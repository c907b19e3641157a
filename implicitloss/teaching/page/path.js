"use strict";
// The guided path, walked: a step asks, is answered, and shows what is computed.

/** The pictures, this one first if it is asked about, and the verdict beside it. */
function order(asked) {
  const main = document.querySelector("main"), figures = Object.keys(VIEWS).map((name) => $(`${name}-picture`).closest("figure"));
  const isAsked = (figure) => figure.querySelector(`#${asked}-picture`) !== null;
  for (const figure of figures) figure.classList.toggle("asked", isAsked(figure));
  if (asked) main.append(...figures.filter(isAsked), $("verdict"), ...figures.filter((figure) => !isAsked(figure)));
  else { main.before($("verdict")); main.append(...figures); }
}

function leave() {
  document.body.classList.remove("walking", "revealed");
  order(null);
  $("settings").inert = false;
  $("walk").textContent = step > 0 && step < COURSE.length ? `Go on at step ${step + 1}` : "Walk me through it";
  if (step === COURSE.length) step = -1;
  if (own !== null) update(own);
  own = null;
  $("walk").focus();
}

function goTo(k) {
  if (projecting()) project(false);
  if (own === null) own = {...state};
  step = k;
  document.body.classList.add("walking");
  document.body.classList.toggle("revealed", k === COURSE.length);
  $("back").disabled = k === 0;
  $("next").hidden = k === COURSE.length;
  $("next").textContent = k === COURSE.length - 1 ? "Finish" : "Next";
  $("step-says").textContent = "";
  $("step-tex").replaceChildren();
  if (k === COURSE.length) finish();
  else ask(COURSE[k]);
  $("step-title").focus();
}

function ask(one) {
  order(one.view);
  update({...BASE, counts: "no", ...one.set});
  right = one.answer(computed);
  $("step-title").textContent = `${step + 1} of ${COURSE.length}: ${one.title}`;
  $("step-ask").textContent = one.ask;
  $("step-setting").textContent = setting(computed);
  // The question is about this setting; when it is answered the controls are free.
  $("settings").inert = true;
  $("step-options").replaceChildren(...one.options.map((text, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => answer(i));
    return button;
  }));
}

function answer(i) {
  const one = COURSE[step];
  first[step] ??= i === right;
  $("step-says").textContent = `${i === right ? "✓ Right" : "✗ Not quite"}: ${one.options[right]}. ${one.says}`;
  $("step-tex").replaceChildren(mathOf(one.tex));
  [...$("step-options").children].forEach((button, k) => {
    button.classList.toggle("right", k === right);
    button.classList.toggle("wrong", k === i && i !== right);
  });
  $("settings").inert = false;
  document.body.classList.add("revealed");
}

function finish() {
  order(null);
  $("step-title").textContent = "What you have seen";
  $("step-ask").textContent = `${first.filter(Boolean).length} of ${COURSE.length} predictions were right at once. ${TAKEAWAYS}`;
  $("step-setting").textContent = "";
  $("step-options").replaceChildren();
  $("settings").inert = false;
}
