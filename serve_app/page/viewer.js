// The dialog that shows one picture with everything that is known about it.

import { addressOf, analyse, details, originalOf, hide, remove, show, storedKey } from "./api.js";
import { announce, byId, bytes, count, describe, element, plain } from "./dom.js";
import { drop, focusImage, order } from "./gallery.js";

const dialog = byId("viewer");
const part = (name) => byId(`viewer-${name}`);
const FACTS = new Set(["width", "height", "format", "size_bytes"]);
const MORE = { blur: "Sharpness", quality: "Quality", aesthetic: "Aesthetics", emotion: "Faces", classification: "Map or aerial photo", objects: "Objects", caption: "Caption", tags: "Tags" };

let shown = null;
let events = { like() {} };

export const listen = (listeners) => { events = { ...events, ...listeners }; };

export async function open(id) {
  shown = id;
  clear();
  if (!dialog.open) dialog.showModal();
  placeArrows();
  try {
    const found = await details(id);
    if (shown === id) fill(found);
  } catch (error) {
    if (shown !== id) return;
    part("title").textContent = error.status === 404 ? "This picture is gone" : "This picture cannot be shown";
    tell(error.message);
  }
}

function clear() {
  part("title").textContent = "…";
  part("caption").textContent = "";
  part("confirm").hidden = true;
  part("exif").hidden = true;
  part("exif").open = false;
  part("analyse-state").textContent = "";
  for (const list of ["tags", "facts", "exif-list", "analyses"]) part(list).replaceChildren();
  hide(part("image"));
  part("image").hidden = true;
  tell("");
}

function tell(problem) {
  part("problem").textContent = problem;
  part("problem").hidden = !problem;
}

function fill({ status, data, reason }) {
  const { metadata } = data;
  part("title").textContent = data.filename;
  part("caption").textContent = data.caption ?? "";
  part("image").alt = data.caption ?? data.filename;
  part("image").hidden = false;
  part("image").dataset.fallback = addressOf.thumbnail(shown, "medium");
  show(part("image"), addressOf.picture(shown));
  part("original").href = addressOf.original(shown);
  part("tags").replaceChildren(...data.tags.map(({ label, probability }) =>
    element("li", { textContent: `${label} ${Math.round(100 * probability)} %` })));
  describe(part("facts"), [
    ["Status", status],
    ["Size", `${metadata.width} × ${metadata.height} pixels`],
    ["File", `${metadata.format}, ${bytes(metadata.size_bytes)}`],
    ["Uploaded", moment(data.uploaded_at)],
    ["Processed", data.processed_at ? moment(data.processed_at) : ""],
    ["Took", data.processing_time_s !== null ? `${data.processing_time_s.toFixed(2)} s` : ""],
    ["Number", data.id],
  ]);
  describe(part("exif-list"), Object.entries(metadata).filter(([name]) => !FACTS.has(name)));
  part("exif").hidden = !part("exif-list").childElementCount;
  if (status === "failed") tell(`Processing failed: ${reason}`);
  if (status === "processing") tell("Still being processed: its caption and tags come later.");
  announce(`${data.filename}: ${data.caption ?? status}`);
}

const moment = (text) => new Date(text).toLocaleString();

function placeArrows() {
  const ids = order();
  const at = ids.indexOf(shown);
  off(part("previous"), at <= 0);
  off(part("next"), at < 0 || at >= ids.length - 1);
}

// Uses aria-disabled, not `disabled`: a disabled button loses the focus, and then the dialog gets no more key events.
function off(button, isOff) {
  button.ariaDisabled = String(isOff);
}

const isOff = (button) => button.ariaDisabled === "true";

function step(by) {
  const ids = order();
  const at = ids.indexOf(shown);
  const to = ids[at + by];
  if (at >= 0 && to !== undefined) open(to);
}

async function deleteShown() {
  const id = shown;
  if (isOff(part("yes"))) return;
  off(part("yes"), true);
  try {
    await remove(id);
  } catch (error) {
    if (error.status !== 404) {
      tell(error.message);
      return;
    }
  } finally {
    off(part("yes"), false);
  }
  dialog.close();
  drop(id, true);
  announce("The picture is deleted.");
}

function askBeforeDeleting(ask) {
  part("confirm").hidden = !ask;
  part(ask ? "no" : "delete").focus();
}

async function askModels() {
  const id = shown;
  const state = part("analyse-state");
  if (isOff(part("analyse"))) return;
  off(part("analyse"), true);
  state.textContent = "Looking …";
  try {
    const { result } = await analyse(await base64(await originalOf(id)));
    if (shown !== id) return;
    part("analyses").replaceChildren();
    for (const [name, title] of Object.entries(MORE)) if (result[name]) addAnalysis(title, name, result[name]);
    const number = part("analyses").childElementCount;
    state.textContent = [number ? "" : "No model had a result.", result.error ?? ""].join(" ").trim();
    if (number) announce(`${count(number, "analysis", "analyses")} shown.`);
  } catch (error) {
    if (shown === id) state.textContent = error.message;
  } finally {
    off(part("analyse"), false);
  }
}

function addAnalysis(title, name, value) {
  const list = element("dl");
  if (name === "objects" && Array.isArray(value.objects)) {
    describe(list, [["Found", value.objects.map((each) => each.label ?? plain(each)).join(", ") || "nothing"]]);
  } else {
    describe(list, Object.entries(typeof value === "object" ? value : { [name]: value }).map(([key, each]) => [key.replaceAll("_", " "), each]));
  }
  part("analyses").append(element("section", {}, element("h3", { textContent: title }), list));
}

const base64 = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});

async function openOriginal(event) {
  if (!storedKey()) return;
  // A link cannot send the key, so the file is fetched by script and offered as a download.
  event.preventDefault();
  try {
    const url = URL.createObjectURL(await originalOf(shown));
    element("a", { href: url, download: part("title").textContent || "picture" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) { tell(error.message); }
}

async function moreLikeThis() {
  const id = shown;
  try {
    const blob = await originalOf(id);
    dialog.close();
    events.like(new File([blob], part("title").textContent, { type: blob.type }));
  } catch (error) { tell(error.message); }
}

part("image").addEventListener("error", () => {
  const { fallback } = part("image").dataset;
  delete part("image").dataset.fallback;
  if (fallback) show(part("image"), fallback);
  else part("image").hidden = true;
});
part("close").addEventListener("click", () => dialog.close());
part("previous").addEventListener("click", () => step(-1));
part("next").addEventListener("click", () => step(1));
part("delete").addEventListener("click", () => askBeforeDeleting(true));
part("no").addEventListener("click", () => askBeforeDeleting(false));
part("yes").addEventListener("click", deleteShown);
part("analyse").addEventListener("click", askModels);
part("original").addEventListener("click", openOriginal);
part("like").addEventListener("click", moreLikeThis);
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => {
  const was = shown;
  shown = null;
  hide(part("image"));
  focusImage(was);
});
dialog.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  if (event.key in steps) {
    event.preventDefault();
    step(steps[event.key]);
  } else if (event.key === "Delete") {
    askBeforeDeleting(true);
  } else if (event.key === "Escape" && !part("confirm").hidden) {
    event.preventDefault();
    askBeforeDeleting(false);
  }
});
