// The comparison of an input and its result.
import { at } from "./form.js";

let number = 0;
let awaited = 0;

const divide = () => {
  const share = at("share").value;
  at("before").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  at("divider").style.left = `calc(${share}% - 1px)`;
};

/** Lets the result fill the frame, in the direction that limits it. */
const fit = () => {
  const [picture, frame] = [at("after"), at("frame")];
  const height = 0.6 * innerHeight;
  const isWide = picture.naturalWidth / picture.naturalHeight > frame.clientWidth / height;
  at("pictures").classList.toggle("wide", isWide);
};

/** Why a picture is missing; an image only says that it is. */
const explain = async address => {
  try {
    const response = await fetch(address);
    return response.ok ? "The picture cannot be shown." : (await response.json()).error;
  } catch {
    return "The server does not answer.";
  }
};

const load = async () => {
  const turn = ++awaited;
  at("pictures").hidden = true;
  at("loading").hidden = false;
  at("loading").textContent = "Decoding…";
  const address = side => `/api/jobs/${number}/still/${side}/${at("place").value}`;
  const pictures = ["before", "after"].map(side => {
    at(side).src = address(side);
    return at(side).decode();
  });
  try {
    await Promise.all(pictures);
  } catch {
    if (turn === awaited) at("loading").textContent = await explain(address("before"));
    return;
  }
  if (turn !== awaited) return;
  at("loading").hidden = true;
  at("pictures").hidden = false;
  fit();
  divide();
};

/** Opens the comparison. */
export const compare = (job, isFilm) => {
  number = job.number;
  at("compare-title").textContent = job.name;
  at("place-field").hidden = !isFilm;
  at("compare").showModal();
  at("share").focus();
  load();
};

const drag = event => {
  if (!(event.buttons & 1)) return;
  const box = at("pictures").getBoundingClientRect();
  at("share").value = (event.clientX - box.left) / box.width * 100;
  divide();
};

at("share").oninput = divide;
at("place").onchange = load;
at("close").onclick = () => at("compare").close();
at("compare").onclose = () => ["before", "after"].forEach(side => at(side).removeAttribute("src"));
at("actual").onclick = () => {
  const on = at("pictures").classList.toggle("actual");
  at("actual").setAttribute("aria-pressed", on);
};
at("pictures").onpointerdown = event => {
  event.preventDefault();
  at("pictures").setPointerCapture(event.pointerId);
  drag(event);
};
at("pictures").onpointermove = drag;
addEventListener("resize", fit);
