// The walks, on a light layer over the cost, and the start, which can be dragged, clicked or moved by keys.

import { $, number } from "lab/text";
import { DASHES, palette } from "lab/look";
import { heightAt, mapping } from "lab/ground";
import { state } from "lab/state";

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
let view = null; // { ground, race, map, axes }

export function setView(ground, race) {
  const { width, height } = $("stage").getBoundingClientRect();
  const canvas = $("trail");
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const axes = ground.shown.map((name) => ground.names.indexOf(name));
  view = { ground, race, map: mapping(ground, width, height), axes, ratio };
}

export function clearTrail() {
  view = null;
  const canvas = $("trail");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

// The index of the last point that is drawn at or before a step.
export function indexAt(racer, step) {
  const { steps } = racer;
  if (step === null) return steps.length - 1;
  let [low, high] = [0, steps.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle - 1;
  }
  return low;
}

// The places of a walk's points on the stage.
function places(racer) {
  const { ground, map, axes } = view;
  const curve = ground.kind === "curve";
  const exact = curve && !racer.measured;
  return racer.path.map((point, k) => {
    const x = point[axes[0]];
    const y = curve ? (exact && racer.cost[k] !== null ? racer.cost[k] : heightAt(ground, x)) : point[axes[1]];
    if (x === null || y === null || y === undefined) return null;
    const [left, top] = map.place(x, y);
    return Math.abs(left) < 1e5 && Math.abs(top) < 1e5 ? [left, top] : null;
  });
}

export function drawTrail(step, slope = null) {
  if (!view) return;
  const { map, race, ratio } = view;
  const { racers: colours, halo } = palette();
  const draw = $("trail").getContext("2d");
  draw.setTransform(ratio, 0, 0, ratio, 0, 0);
  draw.clearRect(0, 0, $("trail").width, $("trail").height);
  draw.save();
  draw.beginPath();
  draw.rect(map.box.left, map.box.top, map.box.width, map.box.height);
  draw.clip();
  draw.lineJoin = draw.lineCap = "round";
  race?.racers.forEach((racer, k) => {
    if (racer.error || !racer.path.length) return;
    const points = places(racer);
    const now = indexAt(racer, step);
    line(draw, points, 0, points.length - 1, { color: colours[k], width: 1.25, alpha: 0.4, dash: DASHES[k] });
    line(draw, points, 0, now, { color: halo, width: 5, alpha: 0.8, dash: [] });
    line(draw, points, 0, now, { color: colours[k], width: 2.25, alpha: 1, dash: DASHES[k] });
    if (racer.nit <= 80) points.slice(0, now + 1).forEach((at) => at && dot(draw, at, 3, colours[k], halo));
    if (points[now]) dot(draw, points[now], 6.5, colours[k], halo, String(k + 1));
  });
  if (slope && view.ground.kind === "curve") tangent(draw, slope);
  draw.restore();
  placeHandle();
}

function line(draw, points, from, to, { color, width, alpha, dash }) {
  draw.beginPath();
  let on = false;
  for (let k = from; k <= to; k += 1) {
    const at = points[k];
    if (!at) on = false;
    else if (on) draw.lineTo(at[0], at[1]);
    else {
      draw.moveTo(at[0], at[1]);
      on = true;
    }
  }
  draw.setLineDash(dash);
  draw.strokeStyle = color;
  draw.lineWidth = width;
  draw.globalAlpha = alpha;
  draw.stroke();
  draw.globalAlpha = 1;
  draw.setLineDash([]);
}

function dot(draw, [x, y], radius, color, rim, text = "") {
  draw.beginPath();
  draw.arc(x, y, radius, 0, 7);
  draw.fillStyle = color;
  draw.strokeStyle = rim;
  draw.lineWidth = 1.5;
  draw.fill();
  draw.stroke();
  if (!text) return;
  draw.fillStyle = palette().paper;
  draw.font = "bold 9px system-ui, sans-serif";
  draw.textAlign = "center";
  draw.textBaseline = "middle";
  draw.fillText(text, x, y + 0.5);
}

// The tangent where a walk is, as long on the page however steep.
function tangent(draw, { at, value, slope, racer }) {
  const { map, ground } = view;
  const y = value ?? heightAt(ground, at);
  if (y === null) return;
  const [left, top] = map.place(at, y);
  const rise = (slope / map.span[1]) * map.box.height;
  const run = map.box.width / map.span[0];
  const reach = 90 / Math.hypot(rise, run);
  draw.beginPath();
  draw.moveTo(left - reach * run, top + reach * rise);
  draw.lineTo(left + reach * run, top - reach * rise);
  draw.strokeStyle = palette().racers[racer];
  draw.lineWidth = 2;
  draw.setLineDash([]);
  draw.stroke();
}

function placeHandle() {
  const { ground, map, axes } = view;
  const handle = $("handle");
  const at = axes.map((axis) => state.start[axis]);
  const y = ground.kind === "curve" ? heightAt(ground, at[0]) : at[1];
  const inside = ground.limits.every(([low, high], k) => at[k] >= low && at[k] <= high);
  handle.hidden = !inside;
  const [left, top] = map.place(at[0], y ?? ground.limits[0][0]);
  handle.style.transform = `translate(${left}px, ${Math.min(Math.max(top, 0), map.box.top + map.box.height)}px)`;
  const said = ground.shown.map((name, k) => `${name} = ${number(at[k])}`).join(", ");
  handle.setAttribute("aria-label", `Start: ${said}. Arrow keys move it.`);
}

// Start moves: `moved(start, when)` while it goes, `settled()` when it rests.
export function draggable(moved, settled) {
  const stage = $("stage");
  let held = null;

  const go = (event) => {
    const box = stage.getBoundingClientRect();
    const { ground, map, axes } = view;
    const point = map.point(event.clientX - box.left, event.clientY - box.top);
    const start = [...state.start];
    axes.forEach((axis, k) => {
      const [low, high] = ground.limits[k];
      start[axis] = Math.min(Math.max(point[k], low), high);
    });
    moved(start, event.timeStamp);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (!view || event.button !== 0) return;
    held = event.pointerId;
    stage.setPointerCapture(held);
    $("handle").focus({ preventScroll: true });
    event.preventDefault();
    go(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (event.pointerId === held) go(event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => {
      if (event.pointerId !== held) return;
      held = null;
      settled();
    });
  }
  $("handle").addEventListener("keydown", (event) => {
    const way = KEYS[event.key];
    if (!way || !view) return;
    event.preventDefault();
    const part = event.shiftKey ? 0.1 : event.altKey ? 0.001 : 0.01;
    const start = [...state.start];
    view.axes.forEach((axis, k) => {
      const [low, high] = view.ground.limits[k];
      start[axis] = Math.min(Math.max(start[axis] + way[k] * part * view.map.span[k], low), high);
    });
    moved(start, event.timeStamp);
    settled();
  });
}
