// What is said beside the picture: the race, the findings, the step written out, the derivatives.

import { $, count, el, number } from "lab/text";
import { PLOTLY_DASHES, palette } from "lab/look";
import { state } from "lab/state";
import { heightAt } from "lab/ground";
import { indexAt } from "lab/trail";

// Remedies are told in the words of the command line; on the page they are fields.
const words = (text) => text.replace(/--([a-z]+(?:-[a-z]+)*)/g, (_, name) => name.replace(/-/g, " "));

function swatch(k) {
  const dash = { solid: "solid", dot: "dotted" }[PLOTLY_DASHES[k]] ?? "dashed";
  return el("span", { className: "swatch", style: `border-top: 3px ${dash} ${palette().racers[k]}`, "aria-hidden": "true" });
}

export function tellRace(race, chosen) {
  const rows = race.racers.map((racer, k) => {
    const [name, ...options] = racer.spec.split(" ");
    const label = el("button", { type: "button", className: "racer-name" }, swatch(k), `${k + 1} ${name}`,
      el("small", {}, options.map((word) => word.replace("learning_rate", "rate").replaceAll("_", " ").replace("=", " ")).join(", ")));
    label.setAttribute("aria-pressed", String(k === state.racer));
    label.addEventListener("click", () => chosen(k));
    const row = el("tr", { className: k === state.racer ? "chosen" : "" }, el("th", { scope: "row" }, label));
    if (racer.error) {
      row.append(el("td", { colSpan: 3, className: "error" }, racer.error));
      return row;
    }
    const cells = ["step", "cost", "gradient"].map((name) => el("td", { dataset: { cell: `${name}-${k}` } }));
    row.append(...cells);
    row.dataset.start = JSON.stringify(race.start);
    row.dataset.x = JSON.stringify(racer.x);
    row.dataset.cost = racer.fun;
    return row;
  });
  const ends = race.racers.map((racer, k) => (racer.error ? null : el("tr", { className: "end" }, el("td", { colSpan: 4 },
    `${k + 1}: ${racer.message}${racer.notes.length ? `; ${racer.notes.join("; ")}` : ""}`))));
  $("race").tBodies[0].replaceChildren(...rows, ...ends.filter(Boolean));
}

// The numbers of the step that is shown: cheap, for every frame of a play.
export function tellNumbers(race, step, ground) {
  race.racers.forEach((racer, k) => {
    if (racer.error) return;
    const at = indexAt(racer, step);
    const put = (name, text) => {
      const cell = document.querySelector(`[data-cell="${name}-${k}"]`);
      if (cell) cell.textContent = text;
    };
    put("step", count(racer.steps[at] ?? 0));
    put("cost", racer.measured ? ofAllRows(racer, at, ground) : number(racer.cost[at]));
    put("gradient", number(racer.gradient_norm[at], 3));
  });
  tellFindings(race, step);
}

// J of all rows, on a walk that reads some: where it was measured, or as high as the picture is there; else of its batch.
function ofAllRows(racer, at, ground) {
  const { steps, cost } = racer.measured;
  const known = cost[steps.indexOf(racer.steps[at])];
  if (known !== undefined) return number(known);
  const high = ground.kind === "none" || ground.names.length > 2 ? null : heightAt(ground, ...racer.path[at]);
  return high === null ? `${number(racer.cost[at])} (batch)` : `≈ ${number(high, 4)}`;
}

// What the doctor found up to a step, as far as a finding knows its step.
function tellFindings(race, step) {
  const found = race.racers.flatMap((racer, k) => (racer.findings ?? [])
    .filter(({ where }) => step === null || !(where?.step > step)).map((finding) => [finding, k]));
  const cards = found.map(([finding, k]) => el("article", { className: `finding ${finding.severity}` },
    el("h3", {}, el("span", { className: "code" }, finding.code), ` ${finding.title}`),
    el("p", {}, `${race.racers.length > 1 ? `${k + 1}: ` : ""}${words(finding.evidence)}`),
    el("p", { className: "remedy" }, words(finding.remedy))));
  const text = JSON.stringify(found);
  if ($("findings").dataset.said === text) return;
  $("findings").dataset.said = text;
  $("findings").replaceChildren(...(cards.length ? cards : [el("p", { className: "help" }, "Nothing to complain about.")]));
}

export function tellStep(answer) {
  $("written").textContent = answer.lines.join("\n");
}

export function tellCost(ground) {
  const lines = ground.formula ? [`J = ${ground.formula}`] : [];
  for (const [name, text] of ground.derivatives) lines.push(`dJ/d${name} = ${text}`);
  if (ground.names.length > ground.derivatives.length && lines.length) lines.push("...");
  $("about").hidden = !lines.length;
  $("formula").textContent = lines.join("\n");
  $("note").textContent = [...(ground.of ?? []), ...ground.notes].join("; ");
}

export function tellError(error) {
  $("error").hidden = !error;
  $("error").textContent = error ?? "";
}
