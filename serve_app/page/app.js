// Connects the parts of the page.

import { classify, keepKey, storedKey, whenUnauthorized } from "./api.js";
import { announce, byId, notice } from "./dom.js";
import * as gallery from "./gallery.js";
import * as uploads from "./uploads.js";
import * as viewer from "./viewer.js";
import * as watching from "./watch.js";

const on = (id, event, listener) => byId(id).addEventListener(event, listener);

function failed(error) {
  if (error.status === 401) return;
  if (error.switchedOff && !gallery.isSearching()) switchedOff(error);
  else {
    notice(error.message);
    if (error.retryAfter !== null && !gallery.isSearching()) setTimeout(() => gallery.showAll(), 1000 * Math.max(1, error.retryAfter));
  }
}

function switchedOff(error) {
  byId("catalogue").hidden = true;
  byId("about").open = true;
  const said = error.status === 503 ? ` The server says: ${error.message}` : "";
  notice(`The catalogue is switched off on this server; see below for what else it serves.${said}`);
}

// The key

const WANTS_KEY = "This server requires an API key. It is kept in this tab only, until you close it.";
const WRONG_KEY = "The server does not know this key. Try another.";

whenUnauthorized(() => {
  if (byId("key").hidden) {
    byId("key-hint").textContent = storedKey() ? WRONG_KEY : WANTS_KEY;
    byId("key").hidden = false;
    byId("key-field").value = "";
    byId("key-field").focus();
    announce(byId("key-hint").textContent);
  }
});

on("key", "submit", async (event) => {
  event.preventDefault();
  keepKey(byId("key-field").value.trim());
  byId("key-field").value = "";
  byId("key").hidden = true;
  byId("forget").hidden = false;
  await gallery.showAll();
  if (!byId("key").hidden) return;
  uploads.resume();
  watching.resume();
  byId("choose-files").focus();
});

on("forget", "click", () => {
  keepKey("");
  byId("forget").hidden = true;
  gallery.showAll();
});

// Adding

on("choose-files", "click", () => byId("files").click());
on("choose-folder", "click", () => byId("folder").click());
on("files", "change", (event) => { uploads.add([...event.target.files]); event.target.value = ""; });
on("folder", "change", (event) => { uploads.addFolder([...event.target.files]); event.target.value = ""; });
on("uploads-clear", "click", () => { uploads.clearFinished(); byId("choose-files").focus(); });
byId("choose-folder").hidden = !("webkitdirectory" in byId("folder"));

const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
let over = 0;
const dragging = (depth) => {
  over = Math.max(0, depth);
  document.body.classList.toggle("dragging", over > 0);
};
document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) dragging(over + 1); });
document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) dragging(over - 1); });
document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  dragging(0);
  if (!carriesFiles(event) || event.target.matches?.("input[type=file]")) return;
  // Otherwise the browser would leave the page and open the file.
  event.preventDefault();
  if (!byId("catalogue").hidden) uploads.dropped(event.dataTransfer).catch((error) => notice(error.message));
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/") || uploads.isPicture(file));
  if (files.length && !byId("catalogue").hidden) uploads.add(files);
});

uploads.listen({
  accepted: (image) => gallery.prepend(image),
  settled: (id, details) => { gallery.update(id, details); gallery.refreshStats(); },
  switchedOff,
});

// Searching

const options = () => {
  const least = Number.parseFloat(byId("least").value);
  return { most: byId("most").valueAsNumber || 24, least: Number.isFinite(least) ? least : null };
};

on("search", "submit", (event) => {
  event.preventDefault();
  const words = byId("words").value.trim();
  if (words) gallery.search(words, options());
  else gallery.showAll();
});
on("words", "keydown", (event) => {
  if (event.key !== "Escape") return;
  byId("words").value = "";
  if (gallery.isSearching()) gallery.showAll();
});
on("by-picture", "click", () => byId("like").click());
on("like", "change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) gallery.searchLike(file, options());
});
on("show-all", "click", async () => {
  byId("words").value = "";
  await gallery.showAll();
  byId("words").focus();
});
on("more", "click", () => gallery.loadMore());

gallery.listen({ open: (id) => viewer.open(id), failed });
viewer.listen({
  like: (file) => {
    gallery.searchLike(file, options());
    byId("gallery").focus();
  },
});

// The rest

on("classify", "submit", async (event) => {
  event.preventDefault();
  const output = byId("classify-result");
  output.textContent = "Looking …";
  try {
    const { classification, confidence } = await classify(byId("classify-file").files[0]);
    output.textContent = `${String(classification).replaceAll("_", " ")}, ${Math.round(100 * confidence)} % sure`;
  } catch (error) {
    output.textContent = error.message;
  }
});
document.querySelector('a[href="#about"]').addEventListener("click", () => { byId("about").open = true; });

byId("forget").hidden = !storedKey();
gallery.showAll();
