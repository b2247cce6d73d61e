// The rectangle that is kept of the input: four numbers, or drawn over the first file if the browser
// shows it.

const at = id => document.getElementById(id);
const SIDES = ["left", "top", "width", "height"];
const field = side => at(`crop-${side}`);

let address = null;
/** The element that shows the input, and the size of the input in pixels. */
let shown = null;

/** WIDTHxHEIGHT+LEFT+TOP, or null for the whole picture. */
export const value = () => {
  const [left, top, width, height] = SIDES.map(side => field(side).value);
  if (width === "" && height === "" && left === "" && top === "") return null;
  return `${width || 0}x${height || 0}+${left || 0}+${top || 0}`;
};

/** Shows the file that the rectangle belongs to. */
export const show = file => {
  if (address) URL.revokeObjectURL(address);
  address = shown = null;
  for (const id of ["crop-image", "crop-video"]) {
    at(id).hidden = true;
    at(id).removeAttribute("src");
  }
  // Otherwise it goes on loading the file that it had.
  at("crop-video").load();
  at("crop-stage").hidden = true;
  if (!file) return;
  address = URL.createObjectURL(file);
  const isFilm = !file.type.startsWith("image/");
  at(isFilm ? "crop-video" : "crop-image").src = address;
};

const ready = (element, width, height) => {
  if (!address) return;
  shown = { element, width, height };
  element.hidden = at("crop-stage").hidden = false;
  draw();
};

/** Draws the rectangle of the numbers. */
const draw = () => {
  const numbers = SIDES.map(side => Number(field(side).value));
  const [left, top, width, height] = numbers;
  at("selection").hidden = !shown || value() === null;
  if (!shown) return;
  const share = (pixels, all) => `${pixels / all * 100}%`;
  Object.assign(at("selection").style, {
    left: share(left, shown.width), top: share(top, shown.height),
    width: share(width, shown.width), height: share(height, shown.height),
  });
};

/** Where the pointer is in the input. Even, because chroma of films is stored for two pixels together. */
const place = event => {
  const box = shown.element.getBoundingClientRect();
  const pixels = (from, start, length, all) =>
    Math.round(Math.min(Math.max((from - start) / length, 0), 1) * all / 2) * 2;
  return [
    Math.min(pixels(event.clientX, box.left, box.width, shown.width), shown.width),
    Math.min(pixels(event.clientY, box.top, box.height, shown.height), shown.height),
  ];
};

let start = null;

const select = event => {
  const end = place(event);
  const from = [0, 1].map(axis => Math.min(start[axis], end[axis]));
  const size = [0, 1].map(axis => Math.abs(start[axis] - end[axis]));
  if (size.includes(0)) return;
  [...from, ...size].forEach((pixels, index) => { field(SIDES[index]).value = pixels; });
  draw();
};

at("crop-stage").onpointerdown = event => {
  if (!shown || event.button !== 0) return;
  event.preventDefault();
  at("crop-stage").setPointerCapture(event.pointerId);
  start = place(event);
};
at("crop-stage").onpointermove = event => { if (start) select(event); };
at("crop-stage").onpointerup = at("crop-stage").onpointercancel = () => { start = null; };
at("crop-image").onload = () => {
  const image = at("crop-image");
  ready(image, image.naturalWidth, image.naturalHeight);
};
// A frame that is not black, as a rule.
at("crop-video").onloadedmetadata = () => {
  const video = at("crop-video");
  if (video.videoWidth > 0 && Number.isFinite(video.duration)) video.currentTime = video.duration / 3;
};
at("crop-video").onseeked = () => {
  const video = at("crop-video");
  ready(video, video.videoWidth, video.videoHeight);
};
for (const side of SIDES) field(side).oninput = draw;
at("crop-none").onclick = () => {
  for (const side of SIDES) field(side).value = "";
  draw();
};
