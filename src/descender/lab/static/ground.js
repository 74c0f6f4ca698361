// The cost, drawn once for a view: heights over two weights, or a curve over one.  Walks are drawn on it by trail.js.

import { $, plain } from "lab/text";
import { draw } from "lab/plot";
import { MARGIN, axis, layout, palette } from "lab/look";

// Heights as shades: on a logarithmic scale above the lowest where the server found that to tell more.
export function shades(ground) {
  const rows = ground.z;
  const flat = rows.flat().filter((value) => value !== null);
  const base = flat.reduce((low, value) => Math.min(low, value), Infinity);
  const ends = [ground.levels[0], ground.levels.at(-1)];
  if (!ground.log) return { z: rows, from: ends[0], to: ends[1], at: (value) => value, back: (value) => value };
  const low = Math.max(ends[0] - base, 1e-300);
  const high = Math.max(ends[1] - base, low * 1.0001);
  const at = (value) => (value === null ? null : Math.log10(Math.min(Math.max(value - base, low), high)));
  const back = (shade) => base + 10 ** shade;
  return { z: rows.map((row) => row.map(at)), from: Math.log10(low), to: Math.log10(high), at, back };
}

export function groundFigure(ground) {
  return ground.kind === "curve" ? curveFigure(ground) : contourFigure(ground);
}

function contourFigure(ground) {
  const { ground: colours, lines } = palette();
  const shade = shades(ground);
  const trace = {
    type: "contour", x: ground.x, y: ground.y, z: shade.z, colorscale: colours, showscale: false,
    zmin: shade.from, zmax: shade.to, autocontour: false, hoverinfo: "skip", connectgaps: false,
    contours: { coloring: "heatmap", start: shade.from, end: shade.to, size: (shade.to - shade.from) / 14 },
    line: { color: lines, width: 1, smoothing: 0 },
  };
  const [x, y] = ground.limits;
  return {
    data: [trace],
    layout: layout({
      xaxis: axis(plain(ground.shown[0]), { range: x, showgrid: false }),
      yaxis: axis(plain(ground.shown[1]), { range: y, showgrid: false }),
    }),
  };
}

function curveFigure(ground) {
  const { curve } = palette();
  const [low, high] = heights(ground);
  return {
    data: [{ type: "scatter", mode: "lines", x: ground.x, y: ground.z, line: { color: curve, width: 2.5 }, hoverinfo: "skip" }],
    layout: layout({
      xaxis: axis(plain(ground.shown[0]), { range: ground.limits[0] }),
      yaxis: axis("J", { range: [low, high] }),
    }),
  };
}

// The range of heights of a curve, with some room.
function heights(ground) {
  const known = ground.z.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = 0.07 * (high - low) || 1;
  return [low - room, high + room];
}

// From weights to places on the stage, and back.
export function mapping(ground, width, height) {
  const [x0, x1] = ground.limits[0];
  const [y0, y1] = ground.kind === "curve" ? heights(ground) : ground.limits[1];
  const w = width - MARGIN.l - MARGIN.r;
  const h = height - MARGIN.t - MARGIN.b;
  return {
    box: { left: MARGIN.l, top: MARGIN.t, width: w, height: h },
    place: (x, y) => [MARGIN.l + ((x - x0) / (x1 - x0)) * w, MARGIN.t + h - ((y - y0) / (y1 - y0)) * h],
    point: (left, top) => [x0 + ((left - MARGIN.l) / w) * (x1 - x0), y0 + ((MARGIN.t + h - top) / h) * (y1 - y0)],
    span: [x1 - x0, y1 - y0],
  };
}

// J on a curve, or over the plane, between the grid's places; null outside.
export function heightAt(ground, x, y) {
  const [i, s] = between(ground.x, x);
  if (i < 0) return null;
  if (ground.kind === "curve") return mix(ground.z[i], ground.z[i + 1], s);
  const [j, t] = between(ground.y, y);
  if (j < 0) return null;
  return mix(mix(ground.z[j][i], ground.z[j][i + 1], s), mix(ground.z[j + 1][i], ground.z[j + 1][i + 1], s), t);
}

const mix = (a, b, s) => (a === null || b === null ? null : a + s * (b - a));

function between(places, value) {
  const n = places.length - 1;
  const at = ((value - places[0]) / (places[n] - places[0])) * n;
  if (!(at >= 0 && at <= n)) return [-1, 0];
  const i = Math.min(Math.floor(at), n - 1);
  return [i, at - i];
}

export async function drawGround(ground) {
  const stage = $("stage").getBoundingClientRect();
  const figure = groundFigure(ground);
  Object.assign(figure.layout, { width: Math.floor(stage.width), height: Math.floor(stage.height) });
  await draw(figure, { staticPlot: true, responsive: false });
}
