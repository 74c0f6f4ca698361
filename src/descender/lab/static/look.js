// Colours, dashes and the frame of all pictures, light and dark.

const PALETTES = {
  light: {
    racers: ["#D55E00", "#009E73", "#E69F00", "#A0447F", "#000000", "#7A4B00"], halo: "rgba(255,255,255,.85)",
    ink: "#1d2733", faint: "#5b6775", paper: "#ffffff", grid: "#dfe5ec", curve: "#0072B2",
    ground: [[0, "#2a6aa8"], [0.3, "#6aa6d6"], [0.65, "#b5d3ea"], [1, "#f3f8fc"]], lines: "rgba(20,50,80,.30)",
    slope: [[0, "#1f5a96"], [0.35, "#5b9bd0"], [0.7, "#a5c9e6"], [1, "#d3e3f0"]],
    classes: ["#0072B2", "#C25400"], sides: [[0, "#a6cbe3"], [0.5, "#f7f7f7"], [1, "#f3c6a0"]],
  },
  dark: {
    racers: ["#FF8A3D", "#2FD6A3", "#FFC247", "#F29ACB", "#FFFFFF", "#D9B27C"], halo: "rgba(5,12,20,.8)",
    ink: "#e6edf4", faint: "#9fb0c0", paper: "#141c25", grid: "#2a3644", curve: "#56B4E9",
    ground: [[0, "#081522"], [0.3, "#123456"], [0.65, "#215a8c"], [1, "#4f86b5"]], lines: "rgba(210,230,250,.22)",
    slope: [[0, "#0e2a45"], [0.35, "#215a8c"], [0.7, "#4f86b5"], [1, "#86afd2"]],
    classes: ["#56B4E9", "#FF8A3D"], sides: [[0, "#123a58"], [0.5, "#1c2530"], [1, "#5c3413"]],
  },
};
export const DASHES = [[], [9, 4], [9, 3, 2, 3], [2.5, 3], [14, 4], [5, 5]];
export const PLOTLY_DASHES = ["solid", "dash", "dashdot", "dot", "longdash", "longdashdot"];
export const MARGIN = { l: 64, r: 16, t: 12, b: 46 };

const system = matchMedia("(prefers-color-scheme: dark)");
let listeners = [];

export const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
export const palette = () => PALETTES[isDark() ? "dark" : "light"];

function remembered() {
  try {
    return localStorage.getItem("descender-theme");
  } catch {
    return null; // a page from a file may have no storage
  }
}

export function themed(button, changed) {
  listeners.push(changed);
  const chosen = remembered();
  if (chosen) document.documentElement.dataset.theme = chosen;
  const say = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("descender-theme", document.documentElement.dataset.theme);
    } catch { /* it lasts as long as the page */ }
    say();
    listeners.forEach((tell) => tell());
  });
  system.addEventListener("change", () => {
    say();
    listeners.forEach((tell) => tell());
  });
  say();
}

// An axis with its name; names come as they are and are escaped by the caller.
export function axis(title, more = {}) {
  const { ink, grid, faint } = palette();
  return {
    title: { text: title, font: { size: 13, color: ink }, standoff: 8 }, color: faint, gridcolor: grid,
    zeroline: false, linecolor: faint, ticks: "outside", tickcolor: faint, ...more,
  };
}

export function layout(more = {}) {
  const { ink, paper } = palette();
  return {
    margin: { ...MARGIN }, paper_bgcolor: paper, plot_bgcolor: paper, showlegend: false, hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: 12, color: ink }, ...more,
  };
}
