// Step, play, scrub: which step is shown.

import { $, count } from "lab/text";
import { state } from "lab/state";

const SECONDS = 7; // that a whole walk plays, at most
const SLOWEST = 120; // milliseconds of a step, at most

let last = 0;
let shown = () => {};
let timer = null;

export const lastStep = () => last;

export function setLength(steps) {
  last = steps;
  $("scrub").max = steps;
  say();
}

function say() {
  const at = state.step ?? last;
  $("scrub").value = at;
  $("at").textContent = `${count(Math.min(at, last))} / ${count(last)}`;
  $("scrub").setAttribute("aria-valuetext", `step ${at} of ${last}`);
}

export function go(step) {
  const bounded = Math.min(Math.max(Math.round(step), 0), last);
  state.step = bounded === last ? null : bounded;
  say();
  shown();
}

function playing(on) {
  $("play").setAttribute("aria-pressed", on);
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
}

export function pause() {
  clearTimeout(timer);
  timer = null;
  playing(false);
}

function play() {
  if (timer !== null) return pause();
  if (!last) return undefined;
  const each = Math.min(SLOWEST, (SECONDS * 1000) / last);
  const began = performance.now();
  const from = state.step ?? 0;
  playing(true);
  const tick = () => {
    const at = from + (performance.now() - began) / each;
    go(at);
    if (at >= last) pause();
    else timer = setTimeout(tick, Math.max(each, 33));
  };
  go(from);
  timer = setTimeout(tick, each);
  return undefined;
}

export function player(changed) {
  shown = changed;
  const by = (move) => () => {
    pause();
    move();
  };
  $("first").addEventListener("click", by(() => go(0)));
  $("back").addEventListener("click", by(() => go((state.step ?? last) - 1)));
  $("next").addEventListener("click", by(() => go((state.step ?? last) + 1)));
  $("play").addEventListener("click", play);
  $("scrub").addEventListener("input", by(() => go(Number($("scrub").value))));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select, button, summary, pre, a") || event.ctrlKey || event.metaKey) return;
    const keys = { " ": play, ",": by(() => go((state.step ?? last) - 1)), ".": by(() => go((state.step ?? last) + 1)) };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}
