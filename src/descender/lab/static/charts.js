// The other pictures: the surface in 3-D, J against the step, the data with the model.

import { $, number, plain } from "lab/text";
import { draw } from "lab/plot";
import { PLOTLY_DASHES, axis, layout, palette } from "lab/look";
import { groundFigure, heightAt, shades } from "lab/ground";
import { indexAt } from "lab/trail";

const name = (racer, k) => `${k + 1} ${plain(racer.spec)}`;
const walked = (race) => race.racers.map((racer, k) => [racer, k]).filter(([racer]) => !racer.error && racer.steps.length);

// The figure of a picture: plain data for Plotly, with the walks up to a step.
export function figure(tab, { ground, race, step, answer, racer }) {
  if (tab === "solid" && ground.kind === "contour") return solid(ground, race, step);
  if (tab === "curve") return descent(race, step);
  if (tab === "data" && ground.drawn) return data(ground.drawn, answer, racer);
  return flat(ground, race, step);
}

// The cost with the walks as traces: what is saved as a picture.
function flat(ground, race, step) {
  const found = groundFigure(ground);
  const { racers: colours, halo, paper } = palette();
  const [i, j] = ground.shown.map((shown) => ground.names.indexOf(shown));
  for (const [racer, k] of walked(race)) {
    const points = racer.path.slice(0, indexAt(racer, step) + 1);
    const x = points.map((point) => point[i]);
    const y = ground.kind === "curve" ? x.map((value) => heightAt(ground, value)) : points.map((point) => point[j]);
    const line = { color: colours[k], width: 2.2, dash: PLOTLY_DASHES[k] };
    const few = points.length <= 80;
    found.data.push({ type: "scatter", mode: "lines", x, y, line: { color: halo, width: 5 }, showlegend: false });
    found.data.push({
      type: "scatter", mode: few ? "lines+markers" : "lines", x, y, name: name(racer, k), line, showlegend: true,
      marker: { size: 6, color: colours[k], line: { color: paper, width: 1 } },
    });
  }
  Object.assign(found.layout, { showlegend: true, legend: legend(), margin: { l: 64, r: 16, t: 44, b: 46 } });
  return found;
}

const legend = () => ({ orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { color: palette().ink, size: 12 } });

function solid(ground, race, step) {
  const { slope, racers, ink, faint, grid } = palette();
  const shade = shades(ground);
  const lift = 0.015 * (shade.to - shade.from); // above the triangles of the surface
  const shaded = { ...ground, z: shade.z };
  const [i, j] = ground.shown.map((shown) => ground.names.indexOf(shown));
  const traces = [{
    type: "surface", x: ground.x, y: ground.y, z: shade.z, surfacecolor: shade.z, customdata: ground.z,
    cmin: shade.from, cmax: shade.to, colorscale: slope, showscale: false, hovertemplate: "J = %{customdata:.5g}<extra></extra>",
    lighting: { ambient: 0.85, diffuse: 0.3, specular: 0, fresnel: 0 },
  }];
  for (const [racer, k] of walked(race)) {
    const points = racer.path.slice(0, indexAt(racer, step) + 1);
    const z = points.map((point) => heightAt(shaded, point[i], point[j])).map((z) => (z === null ? null : z + lift));
    traces.push({
      type: "scatter3d", mode: points.length <= 80 ? "lines+markers" : "lines", name: name(racer, k),
      x: points.map((point, at) => (z[at] === null ? null : point[i])), y: points.map((point) => point[j]), z,
      line: { color: racers[k], width: 6 }, marker: { size: 3, color: racers[k] }, hoverinfo: "name+x+y",
    });
  }
  const side = (title) => ({ title: { text: title }, color: ink, gridcolor: grid, linecolor: faint, showbackground: false });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => shade.from + part * (shade.to - shade.from));
  const height = ground.log ? { tickvals: ticks, ticktext: ticks.map((at) => number(shade.back(at), 3)) } : {};
  return {
    data: traces,
    layout: layout({
      margin: { l: 0, r: 0, t: 36, b: 0 }, showlegend: true, legend: legend(), uirevision: "turned",
      scene: {
        xaxis: side(plain(ground.shown[0])), yaxis: side(plain(ground.shown[1])), zaxis: { ...side("J"), ...height },
        camera: { eye: { x: -0.85, y: -1.05, z: 1.6 }, center: { x: 0, y: 0, z: -0.12 } }, aspectratio: { x: 1.1, y: 1.1, z: 0.7 },
      },
    }),
  };
}

// J against the step: on a logarithmic axis where it falls through orders of magnitude.
function descent(race, step) {
  const { racers: colours, faint } = palette();
  const traces = [];
  const known = [];
  let last = 0;
  for (const [racer, k] of walked(race)) {
    const line = { color: colours[k], width: 2.2, dash: PLOTLY_DASHES[k] };
    const whole = racer.measured;
    if (whole) {
      const thin = { color: colours[k], width: 1 };
      traces.push({ type: "scatter", mode: "lines", x: racer.steps, y: racer.cost, line: thin, opacity: 0.4, showlegend: false });
    }
    const { steps, cost } = whole ?? racer;
    traces.push({ type: "scatter", mode: steps.length <= 60 ? "lines+markers" : "lines", x: steps, y: cost, line, name: name(racer, k) });
    known.push(...racer.cost.filter((value) => value !== null));
    last = Math.max(last, racer.nit);
  }
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const log = low > 0 && high / low > 30;
  const now = { type: "line", x0: step ?? last, x1: step ?? last, yref: "paper", y0: 0, y1: 1, line: { color: faint, width: 1, dash: "dot" } };
  return {
    data: traces,
    layout: layout({
      xaxis: axis("step", { range: [0, Math.max(last, 1)] }), shapes: [now], showlegend: true, legend: legend(),
      yaxis: axis("J", log ? { type: "log", exponentformat: "power" } : {}), margin: { l: 72, r: 16, t: 44, b: 46 },
    }),
  };
}

function data(drawn, answer, racer) {
  return drawn.kind === "line" ? fitted(drawn, answer, racer) : boundary(drawn, answer);
}

function fitted(drawn, answer, racer) {
  const { racers: colours, ink, paper } = palette();
  const dots = { color: ink, size: drawn.x.length > 300 ? 4 : 7, opacity: 0.75, line: { color: paper, width: 1 } };
  const traces = [{ type: "scatter", mode: "markers", x: drawn.x, y: drawn.y, marker: dots, name: "data", hoverinfo: "x+y" }];
  if (answer?.model) {
    const line = { color: colours[racer], width: 3 };
    traces.push({ type: "scatter", mode: "lines", x: drawn.across, y: answer.model, line, name: `step ${answer.step}`, hoverinfo: "x+y" });
  }
  const [low, high] = [Math.min(...drawn.y), Math.max(...drawn.y)];
  const room = 0.35 * (high - low) || 1;
  return {
    data: traces,
    layout: layout({
      xaxis: axis(plain(drawn.names[0]), { range: [drawn.across[0], drawn.across.at(-1)] }),
      yaxis: axis(plain(drawn.names[1]), { range: [low - room, high + room] }),
      showlegend: true, legend: legend(), margin: { l: 72, r: 16, t: 44, b: 46 },
    }),
  };
}

function boundary(drawn, answer) {
  const { classes, sides, paper, ink } = palette();
  const traces = [];
  if (answer?.model) {
    const shared = { x: drawn.across, y: drawn.up, z: answer.model, showscale: false, hoverinfo: "skip" };
    traces.push({ type: "heatmap", zsmooth: "best", zmin: 0, zmax: 1, colorscale: sides, ...shared });
    traces.push({
      type: "contour", autocontour: false, contours: { start: 0.5, end: 0.5, size: 1, coloring: "none" },
      line: { color: ink, width: 2.5 }, showlegend: false, ...shared,
    });
  }
  drawn.classes.forEach((label, k) => {
    const own = drawn.label.map((value, at) => (value === k ? at : -1)).filter((at) => at >= 0);
    traces.push({
      type: "scatter", mode: "markers", x: own.map((at) => drawn.x[at]), y: own.map((at) => drawn.y[at]),
      name: plain(label), hoverinfo: "x+y+name",
      marker: { color: classes[k], size: own.length > 300 ? 5 : 7, symbol: ["circle", "diamond"][k], line: { color: paper, width: 0.7 } },
    });
  });
  return {
    data: traces,
    layout: layout({
      xaxis: axis(plain(drawn.names[0]), { range: [drawn.across[0], drawn.across.at(-1)], showgrid: false }),
      yaxis: axis(plain(drawn.names[1]), { range: [drawn.up[0], drawn.up.at(-1)], showgrid: false }),
      showlegend: true, legend: legend(), margin: { l: 72, r: 16, t: 44, b: 46 },
    }),
  };
}

export async function drawChart(tab, given) {
  const stage = $("stage").getBoundingClientRect();
  const found = figure(tab, given);
  Object.assign(found.layout, { width: Math.floor(stage.width), height: Math.floor(stage.height) });
  await draw(found, { displayModeBar: false, responsive: false });
}
