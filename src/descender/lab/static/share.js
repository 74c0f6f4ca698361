// What leaves the page: a script, a picture, a page that replays, a link.

import { $, el } from "lab/text";
import { Refused, download } from "lab/api";
import { asked, state, toAddress } from "lab/state";
import { figure } from "lab/charts";
import { toImage } from "lab/plot";
import { tellError } from "lab/told";

function save(address, file) {
  const link = el("a", { href: address, download: file });
  document.body.append(link);
  link.click();
  link.remove();
}

async function saveMade(name) {
  const { blob, file } = await download(name, asked());
  const address = URL.createObjectURL(blob);
  save(address, file);
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function savePicture(format, seen) {
  const image = await toImage(figure(state.tab, seen()), { format, width: 1000, height: 700, scale: format === "png" ? 2 : 1 });
  save(image, `descender-${state.tab}.${format}`);
}

export function sharing(seen) {
  const work = {
    script: () => saveMade("script"),
    page: () => saveMade("page"),
    png: () => savePicture("png", seen),
    svg: () => savePicture("svg", seen),
    link: () => navigator.clipboard.writeText(new URL(toAddress(), location.href).href),
  };
  $("share").addEventListener("click", async (event) => {
    const button = event.target.closest("[data-share]");
    if (!button) return;
    try {
      button.setAttribute("aria-busy", "true");
      await work[button.dataset.share]();
      tellError(null);
      $("share").open = false;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      tellError(error.message);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("#share")) $("share").open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") $("share").open = false;
  });
}
