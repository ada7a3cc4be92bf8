"use strict";
// Pictures are unpacked when they come near the window; their pixels lie at the end of the page.
const waiting = new Set();

function show(image) {
  const pixels = document.getElementById(`pixels-${image.dataset.pixels}`);
  if (pixels === null) return void waiting.add(image);
  image.src = `data:image/webp;base64,${pixels.textContent}`;
}

const nearImages = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    nearImages.unobserve(entry.target);
    show(entry.target);
  }
}, { rootMargin: "800px" });

const nearArticles = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    nearArticles.unobserve(entry.target);
    buildComparison(entry.target);
  }
}, { rootMargin: "800px" });

document.addEventListener("DOMContentLoaded", () => {
  waiting.forEach(show);
  waiting.clear();
  openTarget();
});

// ---- the slider and the difference of two codecs

const chosen = { left: "", right: "" };

function copyOf(figure) {
  const image = new Image();
  image.alt = figure.querySelector("img").alt;
  image.width = image.height = figure.closest("article").dataset.side;
  image.dataset.pixels = figure.querySelector("img").dataset.pixels;
  show(image);
  return image;
}

function figuresOf(article) {
  return [...article.querySelectorAll(".codecs figure")];
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

function inWords(figure) {
  return figure.dataset.label + (figure.dataset.bytes ? ` (${figure.dataset.bytes} bytes)` : "");
}

function selectOf(article, side) {
  const select = document.createElement("select");
  select.className = side;
  select.append(...figuresOf(article).map((figure) => new Option(figure.dataset.label, figure.dataset.codec)));
  select.value = chosen[side];
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  select.addEventListener("change", () => drawComparison(article));
  return select;
}

function buildComparison(article) {
  const place = article.querySelector(".compare");
  if (place.childElementCount) return;
  const left = element("label", "", "left", selectOf(article, "left"));
  const right = element("label", "", "right", selectOf(article, "right"));
  const selects = [left, right].map((label) => label.querySelector("select"));
  if (selects[0].value === selects[1].value && selects[1].length > 1) {
    selects[1].selectedIndex = selects[0].selectedIndex === 0 ? 1 : 0;
  }
  place.append(left, right, element("div", "panels"));
  drawComparison(article);
}

function drawComparison(article) {
  const figures = figuresOf(article);
  const [left, right] = ["left", "right"].map((side) => {
    const value = article.querySelector(`select.${side}`).value;
    return figures.find((figure) => figure.dataset.codec === value);
  });
  const slider = document.createElement("img-comparison-slider");
  [["first", left], ["second", right]].forEach(([slot, figure]) => {
    const image = copyOf(figure);
    image.slot = slot;
    slider.append(image);
  });
  const name = `${inWords(left)} on the left, ${inWords(right)} on the right`;
  slider.setAttribute("role", "slider");
  slider.setAttribute("aria-label", name);
  const tell = () => slider.setAttribute("aria-valuenow", Math.round(slider.value ?? 50));
  slider.addEventListener("slide", tell);
  tell();
  const difference = element("div", "difference", copyOf(left), copyOf(right));
  article.querySelector(".panels").replaceChildren(
    element("figure", "", slider, element("figcaption", "", name)),
    element("figure", "", difference, element("figcaption", "", "their difference, four times")),
  );
}

function choose(article, left, right) {
  buildComparison(article);
  for (const [side, value] of [["left", left], ["right", right]]) {
    const select = article.querySelector(`select.${side}`);
    if ([...select.options].some((option) => option.value === value)) select.value = value;
  }
  drawComparison(article);
}

for (const side of ["left", "right"]) {
  const select = document.getElementById(`all-${side}`);
  chosen[side] = select.value;
  select.addEventListener("change", () => {
    chosen[side] = select.value;
    for (const article of document.querySelectorAll("article:has(.panels)")) choose(article, chosen.left, chosen.right);
  });
}

// ---- pictures enlarged

const dialog = document.getElementById("enlarged");
const factor = document.getElementById("factor");
let enlarged = null;

function enlarge(figure) {
  enlarged = figure;
  const image = dialog.querySelector("img");
  const side = figure.closest("article").dataset.side;
  image.alt = figure.querySelector("img").alt;
  image.dataset.pixels = figure.querySelector("img").dataset.pixels;
  image.width = image.height = side * factor.value;
  show(image);
  const texts = [...figure.querySelector("figcaption").children].map((child) => child.textContent);
  dialog.querySelector("p").textContent = `${figure.closest("article").id}: ${texts.join(", ")}`;
  if (dialog.open) return;
  dialog.showModal();
  dialog.querySelector(".scroll").focus();
}

factor.addEventListener("change", () => enlarge(enlarged));
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step === undefined || event.target === factor) return;
  const figures = figuresOf(enlarged.closest("article"));
  const next = figures[figures.indexOf(enlarged) + step];
  if (next) enlarge(next);
  event.preventDefault();
});

document.getElementById("gallery").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button === null) return;
  if (button.classList.contains("picture")) enlarge(button.closest("figure"));
  else if (button.dataset.left) choose(button.closest("article"), button.dataset.left, button.dataset.right);
});

document.getElementById("zoom").addEventListener("change", (event) => {
  document.documentElement.style.setProperty("--zoom", event.target.value);
});

// ---- addresses and tables

// `#000213/gancodec-0123456789ab`, by the run's id, leads to the same place as `#000213/gan`.
function openTarget() {
  const address = decodeURIComponent(location.hash.slice(1));
  if (address === "") return;
  let target = document.getElementById(address);
  if (target === null) {
    const [picture, run] = address.split("/");
    const figures = document.querySelectorAll(`#${CSS.escape(picture)} figure`);
    target = [...figures].find((figure) => figure.dataset.run === run) ?? null;
  }
  if (target === null) return;
  if (target.tagName === "DETAILS") target.open = true;
  goTo(target);
}

// Articles take their real height once they come near the window: go there again until they have it, or a person acts.
let moves = 0;

function goTo(target) {
  moves = 30;
  const again = () => {
    if (moves-- <= 0) return;
    target.scrollIntoView();
    requestAnimationFrame(again);
  };
  again();
}

for (const act of ["wheel", "keydown", "pointerdown", "touchstart"]) {
  window.addEventListener(act, () => { moves = 0; }, { passive: true });
}

window.addEventListener("hashchange", openTarget);
document.querySelectorAll("table.sortable").forEach((table) => new Tablesort(table));
document.querySelectorAll("img[data-pixels]").forEach((image) => nearImages.observe(image));
document.querySelectorAll("article").forEach((article) => nearArticles.observe(article));
