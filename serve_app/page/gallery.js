// The grid of pictures: the catalogue page by page, newest first, or the results of a search.

import { addressOf, details, hide, list, searchPicture, searchWords, show, stats } from "./api.js";
import { announce, byId, count, element, notice } from "./dom.js";
import { inTurn, watch } from "./watch.js";

const PAGE = 24;

const cards = new Map();
let cursor = null;
let searching = false;
let loading = 0;
// Counts lists and searches, so that a late answer to an older one can be dropped.
let turn = 0;
let events = { open() {}, failed() {} };

export const listen = (listeners) => { events = { ...events, ...listeners }; };
export const order = () => [...byId("grid").children].map((item) => item.image.id);
export const isSearching = () => searching;

export async function showAll() {
  const mine = begin(false, "Pictures");
  await loadMore(mine);
  refreshStats();
}

export async function loadMore(mine = turn) {
  const first = !cursor;
  const had = order().length;
  if (byId("more").ariaDisabled === "true" && mine === loading) return;
  loading = mine;
  byId("more").ariaDisabled = "true";
  try {
    const page = await list({ limit: PAGE, cursor, order: "newest" });
    if (mine !== turn) return;
    cursor = page.next;
    await place(page.images, mine);
    if (!first) {
      announce(`${count(order().length - had, "more picture", "more pictures")}.`);
      focusCard(had);
    }
  } catch (error) {
    if (mine === turn) events.failed(error);
  } finally {
    if (mine === turn) {
      byId("more").ariaDisabled = "false";
      byId("more").hidden = !cursor;
      showEmptiness();
    }
  }
}

export const search = (words, options) =>
  found(`Pictures for “${words}”`, () => searchWords(words, options));
export const searchLike = (file, options) =>
  found(`Pictures like ${file.name ? `“${file.name}”` : "this one"}`, () => searchPicture(file, options));

async function found(title, ask) {
  const mine = begin(true, title);
  byId("gallery").ariaBusy = "true";
  try {
    const hits = await ask();
    if (mine !== turn) return;
    await place(hits, mine);
    announce(hits.length ? `${count(hits.length, "picture")} found.` : "No picture found.");
  } catch (error) {
    if (mine === turn) events.failed(error);
  } finally {
    byId("gallery").ariaBusy = "false";
    if (mine === turn) showEmptiness();
  }
}

function begin(isSearch, title) {
  turn += 1;
  cursor = null;
  searching = isSearch;
  notice("");
  [...cards.values()].forEach((card) => hide(card.image));
  cards.clear();
  byId("grid").replaceChildren();
  byId("gallery-title").textContent = title;
  byId("show-all").hidden = !isSearch;
  byId("stats").hidden = isSearch;
  byId("more").hidden = true;
  byId("empty").hidden = true;
  return turn;
}

function showEmptiness() {
  const none = !order().length && !cursor && byId("notice").hidden && byId("key").hidden;
  byId("empty").hidden = !none;
  byId("empty-title").textContent = searching ? "Nothing found" : "No pictures yet";
  byId("empty-hint").textContent = searching
    ? "Try other words, or a lower score. Pictures are found once they are processed."
    : "Drop some above: they are described, tagged and can then be found by words.";
}

async function place(images, mine) {
  const fresh = images.filter((image) => !cards.has(image.id));
  fresh.forEach((image) => byId("grid").append(makeCard(image)));
  if (fresh.length) byId("empty").hidden = true;
  await inTurn(fresh, (image) => {
    if (mine !== turn) return null;
    // The results of a search already have everything that a card shows.
    return "caption" in image ? update(image.id, { status: "processed", data: image }) : fill(image.id);
  });
}

// Puts a picture that was just accepted first, unless the results of a search are shown.
export function prepend(image) {
  if (searching || cards.has(image.id)) return;
  byId("grid").prepend(makeCard(image));
  byId("empty").hidden = true;
  refreshStats();
}

async function fill(id) {
  const card = cards.get(id);
  if (!card) return;
  try {
    update(id, await details(id));
  } catch (error) {
    if (error.status === 404) drop(id);
    else card.state.textContent = error.message;
  }
}

function makeCard(image) {
  const card = {};
  card.image = element("img", { alt: "", loading: "lazy", decoding: "async" });
  card.state = element("span", { className: "state" });
  card.caption = element("span", { className: "caption", dir: "auto" });
  card.name = element("span", { className: "filename", dir: "auto", textContent: image.filename });
  card.tags = element("span", { className: "tags" });
  const score = Number.isFinite(image.score) ? element("span", { className: "score", textContent: image.score.toFixed(2) }) : null;
  if (score) score.setAttribute("aria-label", `Score ${image.score.toFixed(2)}`);
  card.button = element(
    "button", { type: "button", className: "card" },
    element("span", { className: "thumb" }, card.state, card.image, score),
    element("span", { className: "text" }, card.caption, card.tags, card.name),
  );
  card.image.hidden = true;
  card.image.addEventListener("load", () => { card.image.hidden = false; });
  card.image.addEventListener("error", () => { card.image.hidden = true; card.state.textContent = "No preview"; });
  card.button.addEventListener("click", () => events.open(image.id));
  card.item = element("li", {}, card.button);
  card.item.image = image;
  cards.set(image.id, card);
  setState(card, image.status ?? "processed");
  return card.item;
}

function setState(card, status) {
  const words = { processing: "Processing", failed: "Failed" };
  card.item.dataset.status = status;
  const dot = element("span", { className: `dot ${status}` });
  card.state.replaceChildren(...(words[status] ? [dot, words[status]] : []));
}

export function update(id, found) {
  const card = cards.get(id);
  if (!card) return;
  if (found === null) {
    drop(id);
    return;
  }
  const { data, status } = found;
  setState(card, status);
  card.name.textContent = data.filename;
  card.caption.textContent = status === "failed" ? found.reason : data.caption ?? "";
  card.tags.replaceChildren(...data.tags.slice(0, 3).map((tag) => element("span", { textContent: tag.label })));
  if (status === "processed") {
    card.image.hidden = false;
    show(card.image, addressOf.thumbnail(id, "medium"));
  } else if (status === "processing") {
    watch(id, (later) => update(id, later));
  }
}

export function drop(id, focusNext = false) {
  const card = cards.get(id);
  if (!card) return;
  const at = order().indexOf(id);
  hide(card.image);
  card.item.remove();
  cards.delete(id);
  if (!order().length && cursor) loadMore();
  showEmptiness();
  refreshStats();
  if (focusNext && !focusCard(Math.min(at, order().length - 1))) byId("choose-files").focus();
}

function focusCard(index) {
  const card = byId("grid").children[index]?.firstElementChild;
  card?.focus();
  return Boolean(card);
}

export const focusImage = (id) => cards.get(id)?.button.focus();

let counting = 0;

export function refreshStats() {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    try {
      const { images } = await stats();
      const parts = [count(images.total_images, "picture")];
      if (images.processing_images) parts.push(`${images.processing_images} processing`);
      if (images.failed_images) parts.push(`${images.failed_images} failed`);
      byId("stats").textContent = images.total_images ? parts.join(" · ") : "";
    } catch { byId("stats").textContent = ""; }
  }, 200);
}

// Arrow keys move the focus by card and by row, whatever the number of columns.
byId("grid").addEventListener("keydown", (event) => {
  const all = [...byId("grid").querySelectorAll(".card")];
  const at = all.indexOf(document.activeElement);
  if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  const top = all[0].parentElement.offsetTop;
  const columns = Math.max(1, all.filter((card) => card.parentElement.offsetTop === top).length);
  const steps = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: all.length - 1 };
  const to = steps[event.key];
  if (to === undefined) return;
  event.preventDefault();
  all[Math.max(0, Math.min(all.length - 1, to))].focus();
});
