// The latest frame of the job that runs, as long as somebody looks at the page.
import { at } from "./form.js";

/** Milliseconds between two pictures. */
const PERIOD = 2000;

const refresh = async card => {
  const response = await fetch(`/api/jobs/${card.dataset.number}/latest`).catch(() => null);
  if (response?.status !== 200) return;
  const image = card.querySelector(".latest");
  const old = image.src;
  image.src = URL.createObjectURL(await response.blob());
  image.hidden = !card.matches(".running");
  if (old) URL.revokeObjectURL(old);
};

setInterval(() => {
  if (document.visibilityState !== "visible") return;
  at("jobs").querySelectorAll(".job.running").forEach(refresh);
}, PERIOD);
