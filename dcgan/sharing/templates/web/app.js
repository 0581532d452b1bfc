// What a person sees and touches. All that is drawn follows from `state`; each control changes it and asks for a drawing.
import { check } from "./check.js";
import { draw, load, show } from "./generator.js";
import { normals, slerp, steered } from "./latents.js";

const FARTHEST = 3; // of a direction, where latents have a spread of 1
const FEW = 20; // classes that have a button each
const WALK_MS = 4000;
const QUIET_MS = 100;
const at = (id) => document.getElementById(id);
const state = { seed: 0, other: 1, label: 0, amounts: [], walk: 0, file: "generator.onnx", text: "" };
let model;

// --- what is drawn

const latentsOf = (seed, n = 1) => normals(seed, n * model.latent_dim);
const labels = (n) => (model.classes.length ? Array(n).fill(state.label) : null);
const onTheWay = () => slerp(latentsOf(state.seed), latentsOf(state.other), state.walk);

async function paintPicture() {
  const latents = steered(onTheWay(), model.directions, state.amounts);
  await load(state.file);
  const began = performance.now();
  const pixels = await draw(state.file, [latents], labels(1));
  const took = performance.now() - began;
  show(at("picture"), pixels, model);
  at("picture").setAttribute("aria-label", described());
  at("said").textContent = `${described()}, in ${took.toFixed(1)} ms`;
}

// At both ends of each slider and of the walk, what it comes to.
async function paintEnds() {
  const ends = [-FARTHEST, FARTHEST].flatMap((end) =>
    state.amounts.map((_, i) => steered(onTheWay(), model.directions, state.amounts.with(i, end))));
  const all = [...ends, latentsOf(state.seed), latentsOf(state.other)];
  const canvases = [...document.querySelectorAll(".low"), ...document.querySelectorAll(".high"), at("from"), at("to")];
  const pixels = await draw(state.file, all, labels(all.length));
  const size = pixels.length / all.length;
  canvases.forEach((canvas, i) => show(canvas, pixels.subarray(i * size, (i + 1) * size), model));
}

async function paintText() {
  const classes = [...state.text].map((letter) => model.classes.indexOf(letter));
  const unknown = [...state.text].find((_, i) => classes[i] < 0);
  at("text-error").textContent = unknown ? `No class is called “${unknown}”; there are ${someClasses()}.` : "";
  at("written").hidden = at("keep").disabled = Boolean(unknown) || !state.text;
  if (at("written").hidden) return;
  const rows = latentsOf(state.seed, classes.length);
  const latents = classes.map((_, i) => rows.subarray(i * model.latent_dim, (i + 1) * model.latent_dim));
  show(at("written"), await draw(state.file, latents, classes), model, classes.length);
  at("written").style.setProperty("--letters", classes.length);
  at("written").setAttribute("aria-label", `${state.text}, written by the generator`);
}

const someClasses = () => model.classes.slice(0, FEW).join(", ") + (model.classes.length > FEW ? ", …" : "");

function described() {
  const what = model.classes.length ? `${model.classes[state.label]}, seed ${state.seed}` : `Seed ${state.seed}`;
  const walked = state.walk ? `, ${Math.round(100 * state.walk)}% of the way to seed ${state.other}` : "";
  return what + walked + (state.amounts.some(Boolean) ? ", steered" : "");
}

// One drawing at a time: what changes meanwhile is drawn next, and what changed in between never.
let wanted = false;
let busy = false;
async function paint() {
  wanted = true;
  if (busy) return;
  busy = true;
  document.body.dataset.drawing = "true";
  try {
    while (wanted) {
      wanted = false;
      await paintPicture();
      if (await isQuiet()) await paintEnds();
      if (!wanted && !at("writing").hidden) await paintText();
    }
  } catch (error) {
    fail(error);
  } finally {
    busy = false;
    delete document.body.dataset.drawing;
  }
}

// Whether nothing changes for a while: the small pictures must not hold up the large one.
async function isQuiet() {
  const until = performance.now() + QUIET_MS;
  do await new Promise(requestAnimationFrame);
  while (!wanted && performance.now() < until);
  return !wanted;
}

const fail = (error) => say(error.message, true);

function say(words, wrong = false) {
  at("status").textContent = words;
  at("status").classList.toggle("wrong", wrong);
}

// --- what changes it

function setSeed(seed) {
  state.seed = Math.min(2 ** 32 - 1, Math.max(0, Math.floor(Number(seed) || 0)));
  at("seed").value = state.seed;
  setPlaying(false);
  setWalk(0);
  toTheMiddle();
  say(`Drew ${described()}.`);
}

const drawAnother = () => setSeed(Math.floor(Math.random() * 1e6));

function setLabel(label) {
  state.label = label;
  for (const one of at("classes").querySelectorAll("input")) one.checked = Number(one.value) === label;
  if (at("class")) at("class").value = label;
  say(`Drew ${described()}.`);
  paint();
}

function setAmount(i, amount) {
  state.amounts[i] = amount;
  at(`direction-${i}`).value = amount;
  at(`amount-${i}`).textContent = amount.toFixed(1);
  paint();
}

const toTheMiddle = () => state.amounts.forEach((_, i) => setAmount(i, 0));

function setWalk(share) {
  state.walk = Math.min(1, Math.max(0, share));
  at("walk").value = state.walk;
  at("walk").setAttribute("aria-valuetext", `${Math.round(100 * state.walk)}%`);
  paint();
}

function setStep(i) {
  const { step, file } = model.steps[i];
  at("step").value = i;
  at("step").setAttribute("aria-valuetext", `step ${step.toLocaleString("en")}`);
  at("step-value").textContent = step.toLocaleString("en");
  return load(file).then(() => {
    if (Number(at("step").value) !== i) return null; // another was chosen meanwhile
    state.file = file;
    return paint();
  });
}

// A server may make them only when they are asked for, which takes seconds each.
async function loadSteps() {
  for (const { file } of model.steps) await load(file).catch(() => {});
}

let playing = false;
function setPlaying(value) {
  playing = value;
  at("play").setAttribute("aria-pressed", playing);
  at("play").textContent = playing ? "Stop" : "Play";
}

function play() {
  setPlaying(!playing);
  const began = performance.now() - WALK_MS * (state.walk < 1 ? state.walk : 0);
  const go = (now) => {
    if (!playing) return;
    setWalk((now - began) / WALK_MS);
    if (state.walk < 1) requestAnimationFrame(go);
    else setPlaying(false);
  };
  requestAnimationFrame(go);
}

// A picture as a PNG file, each pixel as large as a person can see.
function download(canvas, name) {
  const large = document.createElement("canvas");
  const times = Math.max(1, Math.ceil(280 / canvas.height));
  [large.width, large.height] = [times * canvas.width, times * canvas.height];
  const context = large.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, large.width, large.height);
  large.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

function onKey(event) {
  const typing = event.target.closest("input[type=text], input[type=number], select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const moved = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
  if (event.key === " " && !event.target.closest("button")) drawAnother();
  else if (moved && !event.target.closest("input")) setWalk(state.walk + moved);
  else if (/^\d$/.test(event.key)) askFor(event.key);
  else return;
  event.preventDefault();
}

// A class by its name, or where names are words by its number.
function askFor(digit) {
  const areWords = !model.classes.some((name) => /^\d+$/.test(name));
  const label = areWords ? Number(digit) : model.classes.indexOf(digit);
  if (model.classes[label] !== undefined) setLabel(label);
  else say(model.classes.length ? `No class is called ${digit}.`
    : `This model takes no labels, so it cannot be asked for a ${digit}; one trained with model.conditional=true can.`);
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

// --- how the page is put together

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function buildClasses() {
  const many = model.classes.length > FEW;
  at("classes").hidden = !model.classes.length;
  at("unlabelled").hidden = Boolean(model.classes.length);
  if (many) {
    const options = model.classes.map((name, i) => make("option", { value: i }, name));
    at("classes").append(make("select", { id: "class", ariaLabel: "Class" }, ...options));
    at("class").addEventListener("change", () => setLabel(Number(at("class").value)));
  } else {
    at("classes").append(...model.classes.map((name, i) => make("label", { className: "class" },
      make("input", { type: "radio", name: "class", value: i, checked: i === 0, onchange: () => setLabel(i) }),
      make("span", {}, name))));
  }
  at("writing").hidden = !model.classes.some((name) => [...name].length === 1);
}

function buildSliders() {
  state.amounts = model.directions.map(() => 0);
  at("sliders").append(...model.directions.map((_, i) => {
    const slider = make("input", { type: "range", id: `direction-${i}`, min: -FARTHEST, max: FARTHEST, step: 0.1, value: 0,
      ariaLabel: `Direction ${i + 1}`, oninput: () => setAmount(i, Number(slider.value)) });
    const end = (name) => make("canvas", { className: `small ${name}`, ariaHidden: "true" });
    return make("div", { className: "slider" }, end("low"), slider, end("high"),
      make("output", { id: `amount-${i}`, htmlFor: `direction-${i}` }, "0.0"));
  }));
}

function listen() {
  at("draw").addEventListener("click", drawAnother);
  at("download").addEventListener("click", () => download(at("picture"), `seed_${state.seed}.png`));
  at("keep").addEventListener("click", () => download(at("written"), `${state.text}.png`));
  at("seed").addEventListener("change", () => setSeed(at("seed").value));
  at("other").addEventListener("change", () => { state.other = Number(at("other").value) >>> 0; paint(); });
  at("walk").addEventListener("input", () => { setPlaying(false); setWalk(Number(at("walk").value)); });
  at("step").addEventListener("input", () => setStep(Number(at("step").value)).catch(fail));
  at("text").addEventListener("input", () => { state.text = at("text").value.trim(); paint(); });
  at("middle").addEventListener("click", toTheMiddle);
  at("play").addEventListener("click", play);
  at("theme").addEventListener("click", switchTheme);
  document.addEventListener("keydown", onKey);
}

function build() {
  const { name, data, resolution, latent_dim, step, steps } = model;
  document.title = at("title").textContent = `${name}: draws like ${data}`;
  at("facts").textContent = `A ${model.model} generator, ${resolution} × ${resolution} pixels from ${latent_dim} random `
    + `numbers${steps.length < 2 ? `, after ${step.toLocaleString("en")} steps of training` : ""}. It runs in this browser.`;
  buildClasses();
  buildSliders();
  at("training").hidden = steps.length < 2;
  at("step").max = steps.length - 1;
  state.text = at("text").value;
  listen();
}

async function start() {
  model = await (await fetch("model.json")).json();
  build();
  document.querySelector("main").hidden = false;
  await setStep(model.steps.findIndex(({ file }) => file === state.file));
  say("Ready.");
  const { well, words } = await check(state.file, model, at("sixteen"));
  at("check").textContent = words;
  at("check").classList.toggle("wrong", !well);
  if (!well) say("This page does not draw what Python draws; see Check.", true);
  document.body.dataset.ready = well;
  await loadSteps();
}

start().catch((error) => say(`The generator could not be started: ${error.message}`, true));
