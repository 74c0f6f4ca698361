// Plotly in two parts: what draws flat pictures is here at once; what draws in space, once one is asked for.

import { $, el } from "lab/text";
import { Refused } from "lab/api";

const flat = window.Plotly;
let space = null;
let last = flat;

async function fetchSpace() {
  const held = $("in-space"); // on a page that replays
  const script = el("script", held ? {} : { src: "/plotly-in-space.js" });
  if (held) script.textContent = held.textContent;
  const there = held ? null : new Promise((done, failed) => {
    script.onload = done;
    script.onerror = () => failed(new Refused("the lab does not answer: is `descender lab` still running in its terminal?"));
  });
  document.head.append(script);
  await there;
  const found = window.Plotly;
  window.Plotly = flat;
  return found;
}

async function fitting({ layout }) {
  if (!layout.scene) return flat;
  space ??= fetchSpace();
  try {
    return await space;
  } catch (error) {
    space = null;
    throw error;
  }
}

export async function draw(figure, options) {
  const by = await fitting(figure);
  if (by !== last) last.purge($("plot"));
  last = by;
  await by.react($("plot"), figure.data, figure.layout, options);
}

export const clear = () => last.purge($("plot"));

export const toImage = async (figure, options) => (await fitting(figure)).toImage(figure, options);
