// Questions to the server; on a page that replays, to what was recorded.

const held = document.getElementById("frozen");
export const frozen = held ? JSON.parse(held.textContent) : null;

export class Refused extends Error {}

async function read(answer) {
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok || found.refused) throw new Refused(found.refused ?? found.error ?? `the lab answered ${answer.status}`);
  return found;
}

async function send(path, body, headers) {
  try {
    return await fetch(path, { method: "POST", body, headers });
  } catch {
    throw new Refused("the lab does not answer: is `descender lab` still running in its terminal?");
  }
}

export async function catalogue() {
  return frozen ? frozen.catalogue : read(await fetch("/catalogue"));
}

export async function ask(name, question) {
  if (frozen) return name === "step" ? recorded(question) : unpacked(frozen[name]);
  return unpacked(await read(await send(`/ask/${name}`, JSON.stringify(question), { "Content-Type": "application/json" })));
}

// An answer with its arrays as lists; a number that is not finite is null.
function unpacked(found) {
  if (!found || typeof found !== "object") return found;
  if (typeof found.float64 === "string") return numbers(found);
  for (const [name, value] of Object.entries(found)) if (value && typeof value === "object") found[name] = unpacked(value);
  return found;
}

function numbers({ shape: [rows, columns], float64 }) {
  const bytes = Uint8Array.from(atob(float64), (sign) => sign.charCodeAt(0));
  const flat = Array.from(new Float64Array(bytes.buffer), (value) => (Number.isFinite(value) ? value : null));
  return columns === undefined ? flat : Array.from({ length: rows }, (_, k) => flat.slice(k * columns, (k + 1) * columns));
}

// A file that the server made, with its name.
export async function download(name, question) {
  const answer = await send(`/ask/${name}`, JSON.stringify(question), { "Content-Type": "application/json" });
  if (!answer.headers.has("Content-Disposition")) await read(answer); // it says why there is no file
  const file = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? name;
  return { blob: await answer.blob(), file };
}

export async function upload(content, name) {
  const safe = name.replace(/[^\w.-]/g, "_");
  return read(await send("/data", content, { "Content-Type": "application/octet-stream", "X-File-Name": safe }));
}

// The last step written out at or before the one that was asked for.
function recorded({ racer, step }) {
  const known = Object.keys(frozen.steps[racer] ?? {}).map(Number).sort((a, b) => a - b);
  const at = known.filter((number) => number <= step).at(-1) ?? known[0];
  return at === undefined ? { step, lines: [], model: null } : frozen.steps[racer][at];
}

// Work that runs once at a time; what is asked meanwhile waits, and only the last of it runs.  Done when all is done.
export function latest(work) {
  let running = null;
  let waiting = null;
  const run = async () => {
    try {
      while (waiting) {
        const next = waiting;
        waiting = null;
        await work(...next);
      }
    } finally {
      running = null;
    }
  };
  return (...given) => {
    waiting = given;
    running ??= run();
    return running;
  };
}
