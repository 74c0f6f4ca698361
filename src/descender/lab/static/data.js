// What the cost is made of: a formula, an example or a file with a target and a model.

import { $, cut, el, later } from "lab/text";
import { Refused, ask, upload } from "lab/api";
import { state } from "lab/state";

let changed = () => {};
const tables = new Map(); // columns of each table, by its name

const kind = () => document.querySelector("input[name=kind]:checked").value;

function tellData(error) {
  $("data-error").hidden = !error;
  $("data-error").textContent = error ?? "";
}

async function table(name) {
  if (!name) return null;
  if (!tables.has(name)) tables.set(name, await ask("table", { data: name }));
  return tables.get(name);
}

// Show the state in the form; columns of a table are asked for where they are not known.
export async function renderData() {
  const model = Boolean(state.model);
  document.querySelector(`input[name=kind][value=${model ? "model" : "formula"}]`).checked = true;
  if ($("cost").value !== state.cost && document.activeElement !== $("cost")) $("cost").value = state.cost;
  const known = [...$("data").options].some((option) => option.value === state.data);
  if (!known) $("data").append(el("option", { value: state.data }, "the dropped file"));
  $("data").value = state.data;
  $("by-formula").hidden = model;
  $("by-model").hidden = !model;
  let found = null;
  try {
    found = await table(state.data);
    tellData(null);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tellData(error.message);
  }
  $("cost-help").textContent = found
    ? `Columns of ${found.rows.toLocaleString("en-US")} rows, to be used inside mean( ) or sum( ): ${found.columns.map(({ name }) => name).slice(0, 40).join(", ")}`
    : "Powers with ** or ^, products with *. Every name is a variable.";
  if (model && found) renderModel(found);
}

function renderModel(found) {
  $("target").replaceChildren(...found.columns.map(({ name, models }) =>
    el("option", { value: name, disabled: !models.length }, cut(name, 40))));
  $("target").value = state.target;
  const target = found.columns.find(({ name }) => name === state.target);
  const models = target?.models ?? [];
  $("model").replaceChildren(...models.map((name) => el("option", { value: name }, name)));
  $("model").value = state.model;
  $("scale").checked = state.scale;
  const inputs = found.columns.filter(({ name }) => name !== state.target);
  $("features").replaceChildren(...inputs.map(({ name }) => {
    const box = el("input", { type: "checkbox", value: name, checked: !state.features.length || state.features.includes(name) });
    return el("label", {}, box, ` ${cut(name, 40)}`);
  }));
}

function newCost(part) {
  Object.assign(state, { shown: [], limits: null, step: null }, part);
  changed();
}

// A target of a table with the loss that is usual for it.
async function useModel(name = state.data, target = null) {
  const found = await table(name);
  const chosen = found.columns.find((column) => column.name === (target ?? found.usual));
  newCost({ data: name, model: chosen.models[0] ?? "squared_error", target: chosen.name, features: [], start: null });
}

async function guarded(work) {
  tellData(null);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tellData(error.message);
  }
}

async function useFile(content, name) {
  const found = await upload(content, name);
  tables.set(found.data, found);
  $("data").append(el("option", { value: found.data }, cut(name, 40)));
  const meant = /\b(mean|sum)\s*\(/.test(state.cost) && found.columns.some(({ name }) => state.cost.includes(name));
  if (kind() === "formula" && meant) newCost({ data: found.data });
  else await useModel(found.data);
}

export function dataControls(catalogue, told) {
  changed = told;
  $("data").append(...catalogue.examples.map(({ name, text }) => el("option", { value: name, title: text }, name.replace("example:", ""))));
  $("cost").addEventListener("input", later(() => newCost({ cost: $("cost").value, model: "" }), 350));
  $("data").addEventListener("change", () => guarded(async () => {
    const name = $("data").value;
    if (kind() === "model" && name) await useModel(name);
    else newCost({ data: name, model: "" });
  }));
  document.querySelectorAll("input[name=kind]").forEach((input) => input.addEventListener("change", () => guarded(async () => {
    if (input.value === "model") await useModel(state.data || "example:blobs");
    else newCost({ model: "", target: "", features: [], cost: state.cost || "(x - 3)**2", start: null });
  })));
  $("target").addEventListener("change", () => guarded(() => useModel(state.data, $("target").value)));
  $("model").addEventListener("change", () => newCost({ model: $("model").value, start: null }));
  $("scale").addEventListener("change", () => newCost({ scale: $("scale").checked, start: null }));
  $("features").addEventListener("change", () => {
    const boxes = [...$("features").querySelectorAll("input")];
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    newCost({ features: chosen.length === boxes.length ? [] : chosen, start: null });
  });
  $("file").addEventListener("change", () => guarded(async () => {
    const [file] = $("file").files;
    if (file) await useFile(file, file.name);
    $("file").value = "";
  }));
  $("use-paste").addEventListener("click", () => guarded(() => useFile($("paste").value, "pasted.csv")));
  dropping();
}

function dropping() {
  const inside = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!inside(event)) return;
    event.preventDefault();
    $("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!inside(event)) return;
    event.preventDefault();
    $("drop").hidden = true;
    const [file] = event.dataTransfer.files;
    guarded(() => useFile(file, file.name));
  });
}
