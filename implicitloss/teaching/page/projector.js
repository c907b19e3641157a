"use strict";
// One picture at a time in large type, for a class: arrow keys turn the pages, Escape leaves.

let slide = 0;
const slides = () => [...document.querySelectorAll("figure.view [id$=-picture]")].map((picture) => picture.id.replace("-picture", "")).filter((name) => held !== null || !(name in BESIDE));
const projecting = () => document.body.classList.contains("projector");

function showSlide() {
  const names = slides();
  slide = (slide + names.length) % names.length;
  for (const figure of document.querySelectorAll("figure.view")) figure.classList.toggle("slide", projecting() && figure.querySelector(`#${names[slide]}-picture`) !== null);
  document.body.classList.toggle("of-classes", projecting() && names[slide] in SPECTRAL);
  document.body.classList.toggle("of-pair", projecting() && names[slide] in BESIDE);
  $("slide-says").textContent = `${slide + 1} of ${names.length}: ${viewOf(names[slide])[0].title}`;
}

function project(on) {
  if (on && walking()) leave();
  document.body.classList.toggle("projector", on);
  document.body.classList.toggle("bare", on);
  showSlide();
  $(on ? "slide-next" : "project").focus();
}

function startProjector() {
  $("project").addEventListener("click", () => { slide = 0; project(true); });
  $("slide-next").addEventListener("click", () => { slide += 1; showSlide(); });
  $("slide-back").addEventListener("click", () => { slide -= 1; showSlide(); });
  $("slide-settings").addEventListener("click", () => {
    const bare = document.body.classList.toggle("bare");
    $("slide-settings").setAttribute("aria-expanded", String(!bare));
  });
  $("slide-leave").addEventListener("click", () => project(false));
  document.addEventListener("keydown", (event) => {
    if (!projecting() || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") { project(false); return; }
    // In a control the arrows are the control's.
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "ArrowRight" || event.key === "PageDown") slide += 1;
    else if (event.key === "ArrowLeft" || event.key === "PageUp") slide -= 1;
    else return;
    event.preventDefault();
    showSlide();
  });
}
