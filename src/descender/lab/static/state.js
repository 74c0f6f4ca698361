// The state of the page, and its place: the address, so that a link or a reload brings it back.

const DEFAULT = {
  cost: "", data: "", target: "", model: "", features: [], scale: true,
  methods: ["gd"], start: null, steps: 200, seed: 0,
  shown: [], limits: null, step: null, racer: 0, tab: "ground",
};

export const state = structuredClone(DEFAULT);

export function reset(given) {
  Object.assign(state, structuredClone(DEFAULT), structuredClone(given));
}

// What is asked of the server: the state without what is only seen.
export function asked(more = {}) {
  const { tab, step, ...rest } = { ...state, ...more };
  return { ...rest, step: step ?? rest.steps, limits: rest.limits, start: rest.start };
}

const numbers = (text) => text.split(",").map(Number);

export function fromAddress(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  if (![...words.keys()].length) return null;
  const found = structuredClone(DEFAULT);
  found.cost = words.get("J") ?? "";
  for (const name of ["data", "target", "model", "tab"]) found[name] = words.get(name) ?? DEFAULT[name];
  for (const name of ["steps", "seed", "racer"]) if (words.has(name)) found[name] = Number(words.get(name));
  if (words.has("step")) found.step = Number(words.get("step"));
  if (words.has("start")) found.start = numbers(words.get("start"));
  if (words.has("m")) found.methods = words.getAll("m");
  found.features = words.getAll("column");
  found.shown = words.getAll("axis");
  found.scale = words.get("scale") !== "no";
  if (words.has("view")) {
    const ends = numbers(words.get("view"));
    found.limits = ends.length === 2 ? [ends] : [ends.slice(0, 2), ends.slice(2)];
  }
  const odd = [found.start ?? [], found.limits ?? [], found.step ?? 0, found.steps, found.seed, found.racer];
  if (odd.flat(2).some((value) => !Number.isFinite(value))) found.start = found.limits = found.step = null;
  return found;
}

const short = (value) => String(Number(value.toPrecision(9)));

export function toAddress() {
  const words = new URLSearchParams();
  if (state.cost && !state.model) words.set("J", state.cost);
  for (const name of ["data", "target", "model"]) if (state[name]) words.set(name, state[name]);
  if (state.model && !state.scale) words.set("scale", "no");
  if (state.model) for (const name of state.features) words.append("column", name);
  if (state.start) words.set("start", state.start.map(short).join(","));
  for (const spec of state.methods) words.append("m", spec);
  words.set("steps", state.steps);
  if (state.seed) words.set("seed", state.seed);
  for (const name of state.shown) words.append("axis", name);
  if (state.limits) words.set("view", state.limits.flat().map(short).join(","));
  if (state.step !== null) words.set("step", state.step);
  if (state.racer) words.set("racer", state.racer);
  if (state.tab !== "ground") words.set("tab", state.tab);
  return `#${words}`;
}
