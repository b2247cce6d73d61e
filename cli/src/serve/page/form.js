// The form: what to enlarge, and how.
import * as crop from "./crop.js";

export const at = id => document.getElementById(id);

/** A request whose failure is an error with the server's message. */
export const request = async (address, options) => {
  const response = await fetch(address, options).catch(() => {
    throw new Error("The server does not answer.");
  });
  if (!response.ok) throw new Error(await message(response.text()));
  return response;
};

const message = async text => {
  try {
    return JSON.parse(await text).error;
  } catch {
    return "The server refused the request.";
  }
};

const AUTOMATIC = "Films: builtin, the fastest model. Pictures: builtin-quality, which is slower and sharper.";

/** Binary units would differ from those of file managers. */
export const size = bytes => {
  const [unit, name] = bytes >= 1e9 ? [1e9, "GB"] : bytes >= 1e6 ? [1e6, "MB"] : [1e3, "kB"];
  return `${(bytes / unit).toFixed(bytes >= 1e9 ? 1 : 0)} ${name}`;
};

let about = { models: [], max_upload: 0 };
let files = [];
let sending = null;

const option = (select, value, text) => {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  select.append(made);
};

export const setUp = found => {
  about = found;
  option(at("model"), "auto", "automatic");
  about.models.forEach(model => option(at("model"), model.name, `${model.name} (${model.factor}×)`));
  about.formats.forEach(name => option(at("format"), name, name));
  about.cleaners.forEach(model => option(at("clean"), model.name, `${model.about} (${model.name})`));
  at("clean-field").hidden = about.cleaners.length === 0;
  at("by-path").hidden = about.folders.length === 0;
  at("folders").textContent = about.folders.join(", ");
  showModel();
};

const showModel = () => {
  const model = about.models.find(it => it.name === at("model").value);
  const sentence = text => text.charAt(0).toUpperCase() + text.slice(1);
  at("model-about").textContent = model ? `${sentence(model.about)}. Licence: ${model.licence}.` : AUTOMATIC;
};

const showFiles = () => {
  const names = files.map(file => `${file.name} (${size(file.size)})`);
  at("drop-text").innerText = names.join("\n") || "Drop files here, or choose them";
};

const showValues = () => {
  for (const id of ["blend", "grain", "brightness", "saturation"]) {
    at(`${id}-value`).textContent = `${at(id).value} %`;
  }
};

const fail = text => { at("error").textContent = text; };

/** The edits as they are in the form. The picture of a watermark is sent first. */
const edits = async () => {
  const values = { crop: crop.value() };
  for (const id of ["rotate", "flip"]) values[id] = at(id).value;
  if (at("brightness").value !== "0") values.brightness = at("brightness").value / 100;
  if (at("saturation").value !== "100") values.saturation = at("saturation").value / 100;
  const [text, picture] = [at("watermark_text").value.trim(), at("watermark").files[0]];
  if (picture) {
    const sent = await request("/api/watermarks", { method: "POST", body: picture });
    values.watermark = (await sent.json()).watermark;
  } else {
    values.watermark_text = text;
  }
  if (picture || text) values.watermark_place = at("watermark_place").value;
  return values;
};

/** The settings as they are in the form, for an address. */
const settings = async () => {
  const values = new URLSearchParams({ model: at("model").value });
  const set = (name, value) => { if (value !== "" && value !== null) values.set(name, value); };
  const chosen = at("size").value;
  if (chosen === "width" || chosen === "height") set(chosen, at("pixels").value);
  else set("scale", chosen);
  if (at("blend").value !== "100") set("blend", at("blend").value / 100);
  if (at("grain").value !== "0") set("grain", at("grain").value / 100);
  for (const id of ["format", "clean", "start", "end"]) set(id, at(id).value.trim());
  for (const [name, value] of Object.entries(await edits())) set(name, value ?? "");
  return values;
};

/** Sends a file. `fetch` has no progress of uploads. */
const send = (file, values) => new Promise((done, failed) => {
  values.set("name", file.name);
  const upload = new XMLHttpRequest();
  sending = upload;
  upload.open("POST", `/api/jobs?${values}`);
  upload.upload.onprogress = event => {
    at("sent").value = event.total ? event.loaded / event.total : 0;
  };
  upload.onload = async () => {
    if (upload.status === 200) done();
    else failed(new Error(await message(upload.responseText)));
  };
  upload.onerror = () => failed(new Error(`${file.name} could not be sent. The server does not answer.`));
  upload.onabort = () => failed(new Error(`${file.name} was not sent.`));
  upload.send(file);
});

const submit = async () => {
  fail("");
  const path = at("path").value.trim();
  if (files.length === 0 && path === "") {
    fail("Choose a film or a picture first.");
    at("file").focus();
    return;
  }
  const large = files.find(file => file.size > about.max_upload);
  if (large) {
    fail(`${large.name} is too large; at most ${size(about.max_upload)} are accepted.`);
    return;
  }
  at("submit").disabled = true;
  try {
    if (path !== "") {
      const values = await settings();
      values.set("path", path);
      await request(`/api/jobs?${values}`, { method: "POST" });
      at("path").value = "";
    }
    while (files.length > 0) {
      at("sending").hidden = at("abort").hidden = false;
      at("sending-text").textContent = `Sending ${files[0].name}`;
      at("sent").value = 0;
      await send(files[0], await settings());
      files = files.slice(1);
      crop.show(files[0]);
      showFiles();
    }
    at("file").value = "";
  } catch (error) {
    fail(error.message);
  } finally {
    sending = null;
    at("sending").hidden = at("abort").hidden = true;
    at("submit").disabled = false;
  }
};

const take = list => {
  files = [...list];
  crop.show(files[0]);
  fail("");
  showFiles();
};

at("file").onchange = () => take(at("file").files);
at("model").onchange = showModel;
at("size").onchange = () => {
  at("pixels-field").hidden = !["width", "height"].includes(at("size").value);
};
for (const id of ["blend", "grain", "brightness", "saturation"]) at(id).oninput = showValues;
at("abort").onclick = () => sending?.abort();
at("form").onsubmit = event => {
  event.preventDefault();
  submit();
};
at("path").onfocus = async () => {
  try {
    const paths = await (await request("/api/files")).json();
    at("paths").replaceChildren();
    paths.forEach(path => option(at("paths"), path, ""));
  } catch {
    // They are suggestions only.
  }
};

// A page that is left stops sending.
addEventListener("beforeunload", event => {
  if (sending) event.preventDefault();
});

// The whole page takes files, so that one that is dropped beside the field does not replace the page.
addEventListener("dragover", event => {
  event.preventDefault();
  at("drop").classList.add("over");
});
addEventListener("dragleave", () => at("drop").classList.remove("over"));
addEventListener("drop", event => {
  event.preventDefault();
  at("drop").classList.remove("over");
  if (event.dataTransfer.files.length > 0) take(event.dataTransfer.files);
});
showValues();
