// The comparison of an input and its result.
import { divider } from "./divider.js";
import { at } from "./form.js";

let number = 0;
let awaited = 0;

const divide = divider({
  stage: at("pictures"), top: at("before"), side: "left", handle: at("divider"), slider: at("share"),
});

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

at("place").onchange = load;
at("close").onclick = () => at("compare").close();
at("compare").onclose = () => ["before", "after"].forEach(side => at(side).removeAttribute("src"));
at("actual").onclick = () => {
  const on = at("pictures").classList.toggle("actual");
  at("actual").setAttribute("aria-pressed", on);
};
addEventListener("resize", fit);
