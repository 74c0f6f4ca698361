// Words and elements: text from a file or a formula only ever becomes text.

export const $ = (id) => document.getElementById(id);

// An element with properties and children; children that are text stay text.
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "dataset") Object.assign(made.dataset, value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// A number in a few digits, as people write it.
export function number(value, digits = 5) {
  if (value === null || value === undefined) return "not finite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const short = size >= 1e6 || size < 1e-4 ? value.toExponential(digits - 2) : value.toPrecision(digits);
  const [mantissa, power] = short.split("e");
  const trimmed = mantissa.includes(".") ? mantissa.replace(/0+$/, "").replace(/\.$/, "") : mantissa;
  return (power === undefined ? trimmed : `${trimmed}e${Number(power)}`).replace(/^-/, "−");
}

// A whole number with its thousands apart.
export const count = (value) => value.toLocaleString("en-US");

// Text as Plotly shows it unchanged: Plotly reads some HTML in texts.
export const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// A name in at most so many signs.
export const cut = (text, most = 24) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// Calls at most once within a while, with the last arguments.
export function later(work, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}
