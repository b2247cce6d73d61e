// The list of jobs. Cards are changed in place, so that the focus stays where it is.
import { at, request, size } from "./form.js";
import { compare } from "./compare.js";

const STATES = {
  waiting: "waiting", running: "running", paused: "paused", stopping: "stopping", done: "finished",
  failed: "failed", cancelled: "cancelled",
};
const PICTURES = ["png", "jpg", "tif", "bmp"];
const cards = new Map();

const duration = seconds => {
  seconds = Math.round(seconds);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes >= 10) return `${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
};

const edits = ({ crop, rotate, flip, brightness, saturation, watermark, watermark_text }) => [
  crop && `part ${crop}`,
  rotate && `rotated by ${rotate}°`,
  flip && `mirrored, ${flip === "horizontal" ? "left and right" : "top and bottom"}`,
  brightness && `brightness ${Math.round(brightness * 100)} %`,
  saturation && `saturation ${Math.round(saturation * 100)} %`,
  (watermark || watermark_text) && "watermark",
].filter(Boolean);

const about = job => {
  const { model, clean, scale, width, height, blend, grain, start, end } = job.settings;
  const parts = [
    width ? `${width} pixels wide` : height ? `${height} pixels high` : `${scale ?? "model's size"}×`,
    clean ? `${clean}, ${model}` : model,
    job.format,
  ];
  if (blend != null) parts.push(`share of the model ${Math.round(blend * 100)} %`);
  if (grain != null) parts.push(`grain ${Math.round(grain * 100)} %`);
  if (start || end) parts.push(`${start ?? "0:00"} to ${end ?? "the end"}`);
  parts.push(...edits(job.settings.edits ?? {}));
  return parts.join(" · ");
};

const status = job => {
  if (job.state === "done") return job.bytes == null ? "" : size(job.bytes);
  const progress = job.progress;
  if (!progress) return "";
  const parts = [progress.step];
  if (progress.share != null) parts.push(`${Math.floor(progress.share * 100)} %`);
  if (progress.frames > 0) parts.push(`${progress.frames} frames`);
  if (job.state === "running") {
    if (progress.rate) parts.push(`${progress.rate.toFixed(progress.rate < 10 ? 1 : 0)} frames/s`);
    if (progress.remaining) parts.push(`about ${duration(progress.remaining)} left`);
  }
  return parts.filter(Boolean).join(" · ");
};

const act = async (card, address, method = "POST") => {
  try {
    await request(`/api/jobs/${card.number}${address}`, { method });
  } catch (error) {
    card.part("message").textContent = error.message;
  }
};

const showLog = async card => {
  const [button, text] = [card.part("log"), card.part("log-text")];
  const open = text.hidden;
  button.setAttribute("aria-expanded", open);
  text.hidden = !open;
  if (open) await updateLog(card);
};

const updateLog = async card => {
  const text = card.part("log-text");
  try {
    const log = await (await request(`/api/jobs/${card.number}/log`)).text();
    if (text.textContent === log) return;
    text.textContent = log || "Nothing yet.";
    text.scrollTop = text.scrollHeight;
  } catch (error) {
    text.textContent = error.message;
  }
};

const create = job => {
  const element = at("job").content.firstElementChild.cloneNode(true);
  element.dataset.number = job.number;
  const card = { number: job.number, element, state: null, part: name => element.querySelector(`.${name}`) };
  card.part("download").href = `/api/jobs/${job.number}/result`;
  card.part("compare").onclick = () => compare(card.job, !PICTURES.includes(card.job.format));
  card.part("pause").onclick = () => act(card, card.job.state === "paused" ? "/resume" : "/pause");
  for (const action of ["cancel", "retry", "up", "down"]) {
    card.part(action).onclick = () => act(card, `/${action}`);
  }
  card.part("remove").onclick = () => act(card, "", "DELETE");
  card.part("log").onclick = () => showLog(card);
  return card;
};

const update = (card, job, isOnly) => {
  card.job = job;
  const set = (name, text) => {
    if (card.part(name).textContent !== text) card.part(name).textContent = text;
  };
  set("name", job.name);
  set("about", about(job));
  set("status", status(job));
  if (card.state !== job.state) set("message", job.message);
  const isOpen = ["waiting", "running", "paused"].includes(job.state);
  const shown = {
    download: job.state === "done",
    compare: job.state === "done",
    pause: isOpen,
    cancel: isOpen,
    retry: ["failed", "cancelled"].includes(job.state),
    up: isOpen && !isOnly,
    down: isOpen && !isOnly,
    remove: ["done", "failed", "cancelled"].includes(job.state),
  };
  const focused = document.activeElement;
  for (const [name, isShown] of Object.entries(shown)) card.part(name).hidden = !isShown;
  if (card.element.contains(focused) && focused.hidden) card.element.focus();
  set("pause", job.state === "paused" ? "Resume" : "Pause");
  const bar = card.part("progress");
  bar.hidden = !["running", "paused", "stopping"].includes(job.state);
  if (job.progress?.share == null) bar.removeAttribute("value");
  else bar.value = job.progress.share;
  bar.setAttribute("aria-label", `Progress of ${job.name}`);
  if (card.state !== job.state) {
    set("state", STATES[job.state]);
    card.part("state").className = `state ${job.state}`;
    card.element.className = `job ${job.state}`;
    if (job.state !== "paused") card.part("latest").hidden = true;
    if (card.state !== null) at("news").textContent = `${job.name}: ${STATES[job.state]}`;
  }
  card.state = job.state;
  if (!card.part("log-text").hidden && job.state !== "waiting") updateLog(card);
};

/** Shows the jobs in this order. */
export const show = jobs => {
  const focused = document.activeElement;
  const open = jobs.filter(job => ["waiting", "running", "paused"].includes(job.state)).length;
  const known = new Set(jobs.map(job => job.number));
  for (const [number, card] of cards) {
    if (known.has(number)) continue;
    const hadFocus = card.element.contains(focused);
    card.element.remove();
    cards.delete(number);
    if (hadFocus) at("file").focus();
  }
  jobs.forEach((job, index) => {
    if (!cards.has(job.number)) cards.set(job.number, create(job));
    const card = cards.get(job.number);
    update(card, job, open < 2);
    if (at("jobs").children[index] !== card.element) {
      at("jobs").insertBefore(card.element, at("jobs").children[index] ?? null);
    }
  });
  // A card that moves loses the focus.
  if (focused !== document.activeElement && focused.isConnected && !focused.hidden) focused.focus();
  at("none").hidden = jobs.length > 0;
};
