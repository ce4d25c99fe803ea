// The uploads: files are sent a few at a time, watched until they are processed, and listed with their outcome.

import { storedKey, upload } from "./api.js";
import { announce, byId, count, element, wait } from "./dom.js";
import { watch } from "./watch.js";

const AT_ONCE = 3;
const MOST_TRIES = 8;
const LONGEST_WAIT_S = 60;
// Failures that may pass, so that a retry makes sense. Other statuses refuse the file itself.
const AGAIN = (status) => status === 0 || status === 401 || status === 408 || status === 429 || status >= 500;

const rows = [];
const queue = [];
let underWay = 0;
let pausedUntil = 0;
let events = { accepted() {}, settled() {}, switchedOff() {} };

export const listen = (listeners) => { events = { ...events, ...listeners }; };

export function add(files) {
  if (!files.length) return;
  byId("uploads").hidden = false;
  for (const file of files) enqueue(makeRow(file));
  announce(`${count(files.length, "picture")} added.`);
  summarise();
}

// Browsers tell no type of the newer formats, such as HEIC, so the name counts.
export function isPicture({ name, type }) {
  const accepted = byId("files").accept.split(",");
  return accepted.includes(type) || accepted.some((each) => each.startsWith(".") && name.toLowerCase().endsWith(each));
}

// Adds only the pictures of a folder, and says how many other files were left out.
export function addFolder(files) {
  const pictures = files.filter((file) => isPicture(file) && !file.name.startsWith("."));
  add(pictures);
  const others = files.length - pictures.length;
  if (others) {
    byId("uploads").hidden = false;
    const text = `${count(others, "file")} in the folder ${others === 1 ? "has" : "have"} another format and stayed out.`;
    byId("uploads-list").append(element("li", { className: "hint", textContent: text }));
    announce(text);
  }
}

function makeRow(file) {
  const row = { file, state: "waiting", tries: 0 };
  row.dot = element("span", { className: "dot", ariaHidden: "true" });
  row.word = element("span");
  row.again = element("button", { type: "button", textContent: "Try again", hidden: true });
  row.again.setAttribute("aria-label", `Try again: ${file.name}`);
  row.progress = element("progress", { max: 1, value: 0, hidden: true });
  row.progress.setAttribute("aria-label", `Sent of ${file.name}`);
  row.reason = element("p", { className: "reason", hidden: true });
  row.item = element(
    "li", {},
    element("span", { className: "name", textContent: file.name, title: file.name, dir: "auto" }),
    element("span", { className: "state" }, row.dot, row.word, row.again),
    row.progress, row.reason,
  );
  row.again.addEventListener("click", () => { row.tries = 0; enqueue(row); row.item.focus(); summarise(); });
  row.item.tabIndex = -1;
  rows.push(row);
  byId("uploads-list").append(row.item);
  return row;
}

const WORDS = { waiting: "Waiting", uploading: "Uploading", processing: "Processing", processed: "Done", failed: "Failed", gone: "Deleted" };

function set(row, state, reason = "") {
  row.state = state;
  row.dot.className = `dot ${state}`;
  row.word.textContent = WORDS[state];
  row.progress.hidden = state !== "uploading";
  row.again.hidden = !(state === "failed" && row.worthAgain);
  row.reason.textContent = reason;
  row.reason.hidden = !reason;
  summarise();
}

function enqueue(row) {
  set(row, "waiting");
  queue.push(row);
  pump();
}

export function resume() {
  rows.filter((row) => row.locked).forEach((row) => { row.locked = false; enqueue(row); });
}

function pump() {
  while (underWay < AT_ONCE && queue.length) {
    underWay += 1;
    send(queue.shift()).finally(() => { underWay -= 1; pump(); });
  }
}

async function send(row) {
  // If the server asked one upload to wait, all uploads wait.
  while (Date.now() < pausedUntil) await wait(pausedUntil - Date.now() + 50 * Math.random());
  set(row, "uploading");
  try {
    const accepted = await upload(row.file, (share) => { row.progress.value = share; });
    row.worthAgain = false;
    row.id = accepted.image_id;
  } catch (error) {
    refused(row, error);
    return;
  }
  set(row, "processing");
  events.accepted({ id: row.id, filename: row.file.name, status: "processing" });
  watch(row.id, (details) => {
    if (details === null) set(row, "gone");
    else if (details.status === "failed") set(row, "failed", details.reason);
    else set(row, "processed");
    events.settled(row.id, details);
  });
}

function refused(row, error) {
  row.worthAgain = AGAIN(error.status);
  const worth = error.retryAfter !== null && [429, 503].includes(error.status) && row.tries < MOST_TRIES;
  if (worth) {
    row.tries += 1;
    pausedUntil = Math.max(pausedUntil, Date.now() + 1000 * Math.min(error.retryAfter, LONGEST_WAIT_S));
    set(row, "waiting");
    queue.unshift(row);
    return;
  }
  row.locked = error.status === 401;
  set(row, "failed", row.locked && !storedKey() ? "The server requires an API key." : error.message);
  if (error.status !== 401 && error.switchedOff) events.switchedOff(error);
}

let announced = "";
let summarising = 0;

// Updates the summary once for many changes: a folder may hold thousands of pictures.
function summarise() {
  summarising ||= setTimeout(() => { summarising = 0; tellSummary(); }, 50);
}

function tellSummary() {
  const of = (...states) => rows.filter((row) => states.includes(row.state)).length;
  const all = of(...Object.keys(WORDS));
  const finished = of("processed", "failed", "gone");
  const failed = of("failed");
  const parts = [`${finished} of ${count(all, "picture")} finished`];
  if (of("uploading", "waiting")) parts.push(`${of("uploading", "waiting")} to send`);
  if (of("processing")) parts.push(`${of("processing")} processing`);
  if (failed) parts.push(`${failed} failed`);
  if (Date.now() < pausedUntil && of("waiting")) parts.push("the server asked to go slower");
  const text = parts.join(" · ");
  byId("uploads-summary").textContent = text;
  byId("uploads-progress").value = all ? (finished + 0.5 * of("processing")) / all : 0;
  byId("uploads-clear").hidden = !finished && all > 0;
  const told = `${finished}/${all}/${failed}`;
  if (told !== announced && finished) announce(text);
  announced = told;
}

export function clearFinished() {
  const keep = rows.filter((row) => ["waiting", "uploading", "processing"].includes(row.state));
  rows.splice(0, rows.length, ...keep);
  byId("uploads-list").replaceChildren(...keep.map((row) => row.item));
  byId("uploads").hidden = !keep.length;
  summarise();
}

// Adds the files of a drop, and those of its folders.
export async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const single = [];
  const inFolders = [];
  for (const entry of entries.filter(Boolean)) {
    if (entry instanceof File) single.push(entry);
    else if (entry.isFile) single.push(await fileOf(entry));
    else await walk(entry, inFolders);
  }
  add(single);
  if (inFolders.length) addFolder(inFolders);
}

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function walk(folder, files) {
  const reader = folder.createReader();
  for (;;) {
    // Browsers return at most a hundred entries at a time; an empty list ends the folder.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const entry of entries) {
      if (entry.isFile) files.push(await fileOf(entry));
      else await walk(entry, files);
    }
  }
}
