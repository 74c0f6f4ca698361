// The form: methods with their rates and numbers, steps, the start.  Methods come from the library's own tables.

import { $, el, number } from "lab/text";
import { palette } from "lab/look";
import { state } from "lab/state";

let tables = null;
let changed = () => {};
const OWN = ["learning_rate", "batch_size", "clip_norm", "clip_value"];

// A specification in the library's words, "momentum learning_rate=0.01 beta=0.9", to fields and back.
function parse(spec) {
  const [name, ...words] = spec.split(/\s+/);
  return { name, options: Object.fromEntries(words.map((word) => word.split("="))) };
}

function compose({ name, options }) {
  const method = tables.methods.find((known) => known.name === name);
  const words = Object.entries(options)
    .map(([key, value]) => [key, String(value).trim().replace(/[\s,]+/g, ",")])
    .filter(([key, value]) => value !== "" && !(key === "learning_rate" && value === "auto"))
    .filter(([key]) => method.rated && (OWN.includes(key) || key in method.numbers));
  return [name, ...words.map(([key, value]) => `${key}=${value}`)].join(" ");
}

function field(k, racer, key, label, props = {}) {
  const id = `${key}-${k}`;
  const input = el("input", { id, value: racer.options[key]?.replaceAll(",", " ") ?? "", spellcheck: false, ...props });
  input.addEventListener("change", () => {
    racer.options[key] = input.value;
    state.methods[k] = compose(racer);
    changed();
  });
  return el("div", { className: "field" }, el("label", { htmlFor: id }, label), input);
}

function card(spec, k) {
  const racer = parse(spec);
  const method = tables.methods.find((known) => known.name === racer.name) ?? tables.methods[0];
  const choose = el("select", { id: `method-${k}` }, ...tables.methods.map(({ name }) =>
    el("option", { value: name, selected: name === method.name }, name)));
  choose.addEventListener("change", () => {
    state.methods[k] = compose({ name: choose.value, options: { learning_rate: racer.options.learning_rate ?? "" } });
    render();
    changed();
  });
  const remove = el("button", { type: "button", className: "quiet", disabled: state.methods.length === 1 }, "✕");
  remove.setAttribute("aria-label", `Remove method ${k + 1}, ${racer.name}`);
  remove.addEventListener("click", () => {
    state.methods.splice(k, 1);
    state.racer = Math.min(state.racer, state.methods.length - 1);
    render();
    changed();
  });
  const badge = el("span", { className: "badge", style: `background:${palette().racers[k]};color:${palette().paper}` }, String(k + 1));
  const head = el("div", { className: "row" }, badge,
    el("label", { className: "hidden", htmlFor: choose.id }, `Method ${k + 1}`), choose, remove);
  const body = [head, el("p", { className: "help" }, method.text)];
  if (method.rated) {
    const more = el("details", { className: "more" }, el("summary", {}, "More"),
      ...Object.entries(method.numbers).map(([name, usual]) => field(k, racer, name, name, { placeholder: usual, inputMode: "decimal" })),
      ...(method.batches ? [field(k, racer, "batch_size", "batch size", { placeholder: "full, 1, 20 …" })] : []),
      field(k, racer, "clip_norm", "clip norm", { placeholder: "none", inputMode: "decimal" }),
      field(k, racer, "clip_value", "clip value", { placeholder: "none", inputMode: "decimal" }));
    more.open = Object.keys(racer.options).some((name) => name !== "learning_rate");
    const rate = field(k, racer, "learning_rate", "learning rate", { placeholder: "auto" });
    rate.querySelector("input").setAttribute("list", "rates");
    body.push(rate, more);
  }
  return el("div", { className: "racer" }, ...body);
}

export function render() {
  $("racers").replaceChildren(...state.methods.map(card));
  $("add").disabled = state.methods.length >= tables.bounds.racers;
  $("steps").value = state.steps;
  $("seed").value = state.seed;
}

// The start as numbers, for who would rather type them.
export function renderStart(names, moved) {
  const shown = names.slice(0, 12);
  const known = [...$("start").querySelectorAll("input")];
  if (known.map((input) => input.name).join("\n") !== shown.join("\n")) {
    $("start").replaceChildren(...shown.map((name, k) => {
      const input = el("input", { id: `start-${k}`, name, inputMode: "decimal", spellcheck: false });
      input.addEventListener("change", () => {
        const value = Number(input.value.replace("−", "-"));
        input.setAttribute("aria-invalid", String(!Number.isFinite(value) || input.value.trim() === ""));
        if (!Number.isFinite(value) || input.value.trim() === "") return;
        const start = [...state.start];
        start[k] = value;
        moved(start);
      });
      return el("div", { className: "field" }, el("label", { htmlFor: input.id }, `start ${name}`), input);
    }), ...(names.length > 12 ? [el("p", { className: "help" }, `and ${names.length - 12} more weights`)] : []));
  }
  tellStart();
}

export function tellStart() {
  $("start").querySelectorAll("input").forEach((input, k) => {
    if (input !== document.activeElement) input.value = number(state.start[k], 6).replace("−", "-");
  });
}

export function controls(catalogue, told) {
  tables = catalogue;
  changed = told;
  $("rates").append(...["auto", "0.001", "0.01", "0.1", "1"].map((value) => el("option", { value })),
    ...tables.rates.map(({ name, numbers }) => el("option", { value: name, label: `${name} ${numbers.join(" ")}` })));
  $("steps").max = tables.bounds.steps;
  for (const name of ["steps", "seed"]) {
    $(name).addEventListener("change", () => {
      if (!$(name).reportValidity()) return;
      state[name] = Number($(name).value);
      state.step = null;
      changed();
    });
  }
  $("add").addEventListener("click", () => {
    const unused = ["gd", "momentum", "adam", "auto", "nesterov", "rmsprop"];
    const known = state.methods.map((spec) => parse(spec).name);
    const rate = parse(state.methods.at(-1)).options.learning_rate;
    const name = unused.find((candidate) => !known.includes(candidate)) ?? "gd";
    state.methods.push(compose({ name, options: rate ? { learning_rate: rate } : {} }));
    render();
    $(`method-${state.methods.length - 1}`).focus();
    changed();
  });
  $("form").addEventListener("submit", (event) => event.preventDefault());
}
