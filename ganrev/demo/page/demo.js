"use strict";

const by = (id) => document.getElementById(id);
const STEPS = { x: 0.01, y: 0.01, side: 0.02, angle: 1 };
let photo = null; // what the server told of it
let frame = null; // in pixels of the photo, as the server's: x, y, side, angle
let job = null;
let events = null;

// ---- talking to the server

function fail(sentence) {
  by("error").textContent = sentence;
  by("error").hidden = !sentence;
  if (sentence) by("error").scrollIntoView({ block: "nearest" });
}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("the server does not answer: is it still running?");
  }
  const answer = await response.json().catch(() => ({ error: `the server failed (${response.status})` }));
  if (answer.error) throw new Error(answer.error);
  return answer;
}

async function attempt(work) {
  fail("");
  try {
    await work();
  } catch (error) {
    fail(error.message);
  }
}

// ---- 1. a file

async function take(file) {
  await attempt(async () => {
    by("busy").textContent = "looking for a face …";
    try {
      const found = await ask("/drop", { method: "POST", body: file });
      for (const part of ["adjust", "choose", "result", "opened"]) by(part).hidden = true;
      if (found.kind === "gr") open(found);
      else show(found);
    } finally {
      by("busy").textContent = "";
      by("file").value = "";
    }
  });
}

function open(found) {
  by("opened-picture").src = by("opened-png").href = found.picture;
  by("opened-size").textContent = `${found.num_bytes} bytes`;
  by("opened").hidden = false;
  by("opened-title").focus();
}

by("file").addEventListener("change", () => by("file").files[0] && take(by("file").files[0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  by("drop").classList.add("over");
});
document.addEventListener("dragleave", () => by("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  by("drop").classList.remove("over");
  if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files][0];
  if (file) take(file);
});

// ---- 2. the frame around the face

function show(found) {
  photo = found;
  by("shown").src = `/photos/${photo.name}/shown.jpg`;
  by("overlay").setAttribute("viewBox", `0 0 ${photo.width} ${photo.height}`);
  by("remarks").replaceChildren(...photo.remarks.map((remark) => {
    const item = document.createElement("li");
    item.textContent = `${remark[0].toUpperCase()}${remark.slice(1)}.`;
    return item;
  }));
  by("faces").hidden = photo.num_faces < 2;
  by("face").replaceChildren(...Array.from({ length: photo.num_faces }, (_, i) => new Option(i + 1, i + 1)));
  by("face").value = photo.chosen;
  by("x").max = photo.width;
  by("y").max = photo.height;
  by("side").min = 16;
  by("side").max = Math.ceil(1.5 * Math.max(photo.width, photo.height));
  by("adjust").hidden = by("choose").hidden = false;
  place(photo.frame);
}

function place(next) {
  frame = next;
  const turn = (frame.angle * Math.PI) / 180;
  const [c, s] = [(Math.cos(turn) * frame.side) / 2, (Math.sin(turn) * frame.side) / 2];
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([u, v]) => [frame.x + u * c - v * s, frame.y + u * s + v * c]);
  by("frame").setAttribute("points", corners.map((corner) => corner.join(",")).join(" "));
  by("shade").setAttribute("d", `M0 0H${photo.width}V${photo.height}H0Z M${corners.map((corner) => corner.join(" ")).join("L")}Z`);
  for (const key of Object.keys(STEPS)) by(key).value = frame[key];
  clearTimeout(place.timer);
  place.timer = setTimeout(cut, 120);
}

const numbers = () => new URLSearchParams(frame).toString();

async function cut() {
  await attempt(async () => {
    const response = await fetch(`/photos/${photo.name}/cut.png?${numbers()}`);
    if (!response.ok) throw new Error((await response.json()).error);
    URL.revokeObjectURL(by("cut").src);
    by("cut").src = URL.createObjectURL(await response.blob());
    by("cut").dataset.frame = numbers();
  });
}

for (const key of Object.keys(STEPS)) by(key).addEventListener("input", () => place({ ...frame, [key]: Number(by(key).value) }));
by("reset").addEventListener("click", () => place(photo.frame));
by("face").addEventListener("change", () => attempt(async () => {
  try {
    show(await ask(`/photos/${photo.name}/faces/${by("face").value}`, { method: "POST" }));
  } finally {
    by("face").value = photo.chosen;
  }
}));

by("photo").addEventListener("keydown", (event) => {
  const far = event.shiftKey ? 5 : 1;
  const step = STEPS.x * frame.side * far;
  const moves = {
    ArrowLeft: () => ({ x: frame.x - step }),
    ArrowRight: () => ({ x: frame.x + step }),
    ArrowUp: () => ({ y: frame.y - step }),
    ArrowDown: () => ({ y: frame.y + step }),
    "+": () => ({ side: frame.side * (1 + STEPS.side) }),
    "-": () => ({ side: frame.side / (1 + STEPS.side) }),
    ",": () => ({ angle: frame.angle - STEPS.angle }),
    ".": () => ({ angle: frame.angle + STEPS.angle }),
  };
  if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  place({ ...frame, ...moves[event.key]() });
});

by("photo").addEventListener("pointerdown", (event) => {
  const scale = photo.width / by("photo").clientWidth;
  const start = { ...frame, left: event.clientX, top: event.clientY };
  const move = (to) => place({ ...frame, x: start.x + (to.clientX - start.left) * scale, y: start.y + (to.clientY - start.top) * scale });
  by("photo").setPointerCapture(event.pointerId);
  by("photo").addEventListener("pointermove", move);
  by("photo").addEventListener("lostpointercapture", () => by("photo").removeEventListener("pointermove", move), { once: true });
});

// ---- 3. compressing

by("measure").addEventListener("change", () => {
  by("quality").value = by("measure").value === "ssim" ? 0.75 : 25;
});
for (const input of ["bytes", "measure", "quality"]) {
  by(input).addEventListener("focus", () => {
    document.querySelector(`input[name=by][value=${input === "bytes" ? "bytes" : "quality"}]`).checked = true;
  });
}

by("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const chosen = new FormData(by("form")).get("by");
    const wish = chosen === "bytes" ? { bytes: by("bytes").value } : { quality: `${by("measure").value}:${by("quality").value}` };
    const body = JSON.stringify({ ...wish, frame });
    job = (await ask(`/photos/${photo.name}/jobs`, { method: "POST", body })).name;
    by("result").hidden = by("preview").hidden = true;
    by("compress").disabled = true;
    by("progress").hidden = by("stop").hidden = false;
    follow();
  });
});

by("stop").addEventListener("click", () => attempt(() => ask(`/jobs/${job}/stop`, { method: "POST" })));

function follow() {
  events?.close();
  events = new EventSource(`/jobs/${job}/events`);
  events.addEventListener("message", (event) => progress(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) finish("the server does not answer: is it still running?");
  });
}

function progress(told) {
  const states = {
    waiting: `waiting: ${told.ahead} before this one`,
    working: told.drawn ? `reversing; pictures drawn so far: ${told.drawn}` : "loading the generator …",
    done: "done",
    failed: "it failed",
    stopped: "stopped",
  };
  by("state").textContent = states[told.state];
  if (told.preview) {
    by("preview").src = told.preview;
    by("preview").hidden = false;
  }
  if (told.state === "done") {
    finish("");
    present(told.outcome);
  } else if (told.state === "failed") finish(told.error);
  else if (told.state === "stopped") finish("");
}

function finish(sentence) {
  events.close();
  by("compress").disabled = false;
  by("stop").hidden = true;
  fail(sentence);
}

// ---- 4. the result

function present(outcome) {
  by("progress").hidden = true;
  by("summary").textContent = `${outcome.num_bytes} bytes, in ${outcome.seconds.toFixed(1)} seconds; beside it what everyday formats make of as many.`;
  by("ways").replaceChildren(...outcome.ways.map(figure));
  by("gr").href = outcome.gr;
  by("qr").hidden = by("code").hidden = !outcome.qr;
  if (outcome.qr) by("qr").href = by("code").src = outcome.qr;
  by("result").hidden = false;
  by("result-title").focus();
}

function figure(way) {
  const figure = document.createElement("figure");
  const shown = document.createElement(way.picture ? "img" : "div");
  if (way.picture) Object.assign(shown, { src: way.picture, alt: way.label, className: "pixels" });
  else Object.assign(shown, { textContent: way.remark, className: "none" });
  const caption = document.createElement("figcaption");
  const label = document.createElement("b");
  label.textContent = way.label;
  caption.append(label);
  if (way.num_bytes) caption.append(`${way.num_bytes} bytes, PSNR ${way.psnr.toFixed(2)} dB, SSIM ${way.ssim.toFixed(3)}`);
  if (way.picture && way.remark) {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "how";
    details.append(summary, way.remark);
    caption.append(details);
  }
  figure.append(shown, caption);
  return figure;
}
