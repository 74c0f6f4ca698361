// The page: state -> questions -> pictures and words.

import { $, el, later } from "lab/text";
import { Refused, ask, catalogue, frozen, latest } from "lab/api";
import { asked, fromAddress, reset, state, toAddress } from "lab/state";
import { themed } from "lab/look";
import { clear } from "lab/plot";
import { drawGround } from "lab/ground";
import { clearTrail, draggable, drawTrail, indexAt, setView } from "lab/trail";
import { drawChart } from "lab/charts";
import { player, pause, lastStep, setLength } from "lab/player";
import { tellCost, tellError, tellNumbers, tellRace, tellStep } from "lab/told";
import { controls, render, renderStart, tellStart } from "lab/controls";
import { dataControls, renderData } from "lab/data";
import { sharing } from "lab/share";

const FIRST = ({ lessons: known }) => known.find((lesson) => lesson.asked.methods.length > 3 && !lesson.asked.data).asked;

const PLAIN = 256; // steps that wait for no compiler: of a new cost they are shown first

let ground = null;
let race = null;
let answer = null; // the chosen racer's step, written out
let walkedOn = ""; // the cost of the race

const seen = () => ({ ground, race, step: state.step, answer, racer: state.racer });
const keepAddress = later(() => !frozen && history.replaceState(null, "", toAddress()), 200);

// Drawing

function tabs() {
  const offered = { ground: ground?.kind !== "none", solid: ground?.kind === "contour", curve: true, data: Boolean(ground?.drawn) };
  const tab = offered[state.tab] ? state.tab : "ground";
  document.querySelectorAll("[role=tab]").forEach((button) => {
    button.hidden = !offered[button.dataset.tab];
    button.setAttribute("aria-selected", String(button.dataset.tab === tab));
    button.tabIndex = button.dataset.tab === tab ? 0 : -1;
  });
  $("stage").setAttribute("aria-labelledby", `tab-${tab}`);
  return tab;
}

const redraw = latest(async () => {
  if (!ground) return;
  const tab = tabs();
  const flat = tab === "ground";
  $("trail").hidden = $("handle").hidden = $("zoom").hidden = !flat || ground.kind === "none";
  $("stage").dataset.tab = tab;
  if (ground.kind === "none") {
    clear();
    clearTrail();
    return;
  }
  if (flat) {
    await drawGround(ground);
    setView(ground, race);
    drawTrail(state.step, slope());
  } else if (race) await drawChart(tab, seen());
  $("plot").setAttribute("aria-label", pictured(tab));
});

function pictured(tab) {
  const over = ground.shown.join(" and ");
  return { ground: `J over ${over}, with the walks on it`, solid: `J over ${over} as a surface, with the walks on it`,
    curve: "J against the step, a line for each method", data: "The data, and what the model says of them" }[tab];
}

// The tangent at the chosen racer's point, over one weight.
function slope() {
  if (ground.kind !== "curve" || !race || !answer?.gradient || race.racers[state.racer]?.error) return null;
  const racer = race.racers[state.racer];
  return { at: answer.w[0], slope: answer.gradient[0], value: racer.measured ? null : racer.cost[indexAt(racer, state.step)], racer: state.racer };
}

// Questions

async function guarded(work) {
  $("wait").textContent = "";
  const slow = setTimeout(() => { $("wait").textContent = "computing …"; }, 400);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.message;
  } finally {
    clearTimeout(slow);
    $("wait").textContent = "";
  }
  return null;
}

const costKey = () => JSON.stringify([state.cost, state.data, state.target, state.model, state.features, state.scale]);

const openCost = latest(async () => {
  const began = performance.now();
  const error = await guarded(async () => {
    ground = await ask("ground", asked());
  });
  costError(error);
  if (error) return;
  state.start = ground.start;
  if (ground.kind !== "none") state.shown = ground.names.length > 2 ? ground.shown : [];
  tellCost(ground);
  tellError(ground.error);
  renderAxes();
  if (!frozen) renderStart(ground.names, moveStart);
  const anew = walkedOn !== costKey();
  if (anew) forget(); // walks on another cost
  await redraw();
  performance.measure("surface", { start: began, end: performance.now() });
  if (anew && !frozen && state.steps > PLAIN) await runRace(null, PLAIN);
  await runRace();
});

// What is told of another cost is pale until this one was walked on.
function forget() {
  race = answer = null;
  $("know").setAttribute("aria-busy", "true");
}

const runRace = latest(async (when = null, steps = state.steps) => {
  const error = await guarded(async () => {
    race = await ask("race", asked({ steps }));
  });
  if (error) return tellError(error);
  $("know").removeAttribute("aria-busy");
  walkedOn = costKey();
  if (!ground?.error) tellError(null);
  state.racer = Math.min(state.racer, race.racers.length - 1);
  if (state.tab === "ground" && ground.kind !== "none") {
    setView(ground, race);
    drawTrail(state.step);
  } else redraw();
  if (when !== null) painted(when);
  setLength(race.racers.reduce((most, racer) => Math.max(most, racer.nit ?? 0), 0));
  tellRace(race, choose);
  tellNumbers(race, state.step, ground);
  if (when === null) writeOut();
  else writeOutSoon();
  keepAddress();
  return undefined;
});

// How long a drag took from the mouse to the screen, for who measures: performance.getEntriesByName("drag").
function painted(when) {
  requestAnimationFrame(() => {
    const line = new MessageChannel();
    line.port1.onmessage = () => performance.measure("drag", { start: when, end: performance.now() });
    line.port2.postMessage(null);
  });
}

const writeOut = latest(async () => {
  const racer = race?.racers[state.racer];
  if (!racer || racer.error) {
    answer = null;
    tellStep({ lines: [racer?.error ?? ""] });
    return;
  }
  const step = Math.min(state.step ?? lastStep(), racer.nit);
  const error = await guarded(async () => {
    answer = await ask("step", asked({ step }));
  });
  if (error) return tellError(error);
  tellStep(answer);
  if (state.tab === "data") await redraw();
  else if (state.tab === "ground" && ground.kind === "curve") drawTrail(state.step, slope());
});

const writeOutSoon = later(() => writeOut(), 120); // while the start is dragged, the path comes first

// What people do

function shownStep() {
  if (!race) return;
  if (state.tab === "ground" && ground.kind !== "none") drawTrail(state.step, slope());
  else if (state.tab !== "data") redraw();
  tellNumbers(race, state.step, ground);
  writeOut();
  keepAddress();
}

function moveStart(start, when = null) {
  if (frozen) return;
  pause();
  state.start = start;
  state.step = null;
  tellStart();
  if (ground.kind === "none") openCost();
  else {
    setView(ground, race);
    runRace(when);
  }
}

function choose(k) {
  state.racer = k;
  tellRace(race, choose);
  tellNumbers(race, state.step, ground);
  document.querySelectorAll(".racer-name")[k].focus();
  writeOut();
  keepAddress();
}

function costError(error) {
  const model = Boolean(state.model);
  $("cost-error").hidden = !error || model;
  $("cost-error").textContent = error ?? "";
  $("cost").setAttribute("aria-invalid", String(Boolean(error) && !model));
  if (model || frozen) tellError(error);
}

function zoom(factor) {
  state.limits = factor === 0 ? null : ground.limits.map(([low, high]) => {
    const [middle, half] = [(low + high) / 2, ((high - low) / 2) * factor];
    return [middle - half, middle + half];
  });
  openCost();
}

function renderAxes() {
  const many = ground.names.length > 2 && ground.kind === "contour";
  $("axes").hidden = !many;
  if (!many) return;
  ["across", "up"].forEach((id, k) => {
    $(id).replaceChildren(...ground.names.map((name) => el("option", { value: name }, name)));
    $(id).value = ground.shown[k];
  });
}

function openTab(tab) {
  state.tab = tab;
  redraw();
  if (tab === "data" || tab === "ground") writeOut();
  keepAddress();
}

async function openState(found) {
  delete document.documentElement.dataset.ready;
  pause();
  reset(found);
  forget();
  if (!frozen) {
    render();
    $("wait").textContent = "opening …";
    await renderData();
  }
  await openCost();
  document.documentElement.dataset.ready = "yes";
}

function wire(tables) {
  player(shownStep);
  themed($("theme"), () => {
    redraw();
    if (!frozen) render();
    if (race) {
      tellRace(race, choose);
      tellNumbers(race, state.step, ground);
    }
  });
  sharing(seen);
  $("tabs").addEventListener("click", (event) => event.target.dataset.tab && openTab(event.target.dataset.tab));
  $("tabs").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const offered = [...document.querySelectorAll("[role=tab]:not([hidden])")];
    const next = offered[(offered.indexOf(event.target) + by + offered.length) % offered.length];
    next.focus();
    openTab(next.dataset.tab);
  });
  new ResizeObserver(later(() => redraw(), 60)).observe($("stage"));
  if (frozen) {
    document.documentElement.classList.add("replay");
    return;
  }
  controls(tables, later(() => runRace(), 30));
  dataControls(tables, () => {
    renderData();
    openCost();
  });
  draggable(moveStart, () => writeOut());
  $("zoom").addEventListener("click", (event) => event.target.dataset.zoom && zoom(Number(event.target.dataset.zoom)));
  $("stage").addEventListener("wheel", (event) => {
    if (!event.ctrlKey || state.tab !== "ground") return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8);
  }, { passive: false });
  for (const id of ["across", "up"]) {
    $(id).addEventListener("change", () => {
      const [x, y] = [$("across").value, $("up").value];
      if (x === y) return renderAxes();
      Object.assign(state, { shown: [x, y], limits: null });
      return openCost();
    });
  }
  lessons(tables.lessons);
  addEventListener("hashchange", ({ newURL }) => {
    const { hash } = new URL(newURL);
    if (hash !== toAddress()) openState(fromAddress(hash) ?? FIRST(tables));
  });
}

function lessons(known) {
  const groups = new Map();
  known.forEach((lesson, k) => {
    if (!groups.has(lesson.tutorial)) groups.set(lesson.tutorial, el("optgroup", { label: `Tutorial ${lesson.tutorial}` }));
    groups.get(lesson.tutorial).append(el("option", { value: String(k) }, lesson.title));
  });
  $("lesson").append(...groups.values());
  $("lesson").addEventListener("change", async () => {
    const lesson = known[Number($("lesson").value)];
    $("look").textContent = lesson.look;
    await openState(lesson.asked);
  });
}

const tables = await catalogue();
wire(tables);
await openState(frozen ? { ...frozen.asked, step: null, start: frozen.ground.start } : fromAddress(location.hash) ?? FIRST(tables));
