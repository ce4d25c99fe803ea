// Calls of the server's routes. All addresses are relative to the page, so that they work below a proxy's prefix too.

const KEY = "panoptes-key";
const MOST_PAGES = 100;

export class Problem extends Error {
  // `retryAfter` is in seconds; `body` is the server's answer if it was JSON, otherwise null.
  constructor(status, message, retryAfter = null, body = null) {
    super(message);
    Object.assign(this, { status, retryAfter, body });
  }

  // The routes do not exist or are switched off: unlike other 503s, this one has no Retry-After.
  get switchedOff() {
    return this.status === 404 || this.status === 405 || (this.status === 503 && this.retryAfter === null);
  }
}

let remembered = "";

export function storedKey() {
  try { return sessionStorage.getItem(KEY) ?? ""; } catch { return remembered; }
}

export function keepKey(key) {
  remembered = key;
  try { key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY); } catch { /* no storage: kept for this page only */ }
}

let onUnauthorized = () => {};
export const whenUnauthorized = (listener) => { onUnauthorized = listener; };

function headers(more) {
  const key = storedKey();
  return key ? { ...more, "X-Api-Key": key } : more;
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers({ Accept: "application/json", ...options.headers }) });
  } catch {
    throw new Problem(0, "The server cannot be reached.");
  }
  if (!response.ok) throw problem(response.status, await response.json().catch(() => null), response.headers.get("Retry-After"));
  return response;
}

function problem(status, body, retryAfter) {
  if (status === 401) onUnauthorized();
  const text = body?.message ?? body?.error ?? `The server answered ${status}.`;
  const seconds = Number.parseFloat(retryAfter);
  return new Problem(status, String(text), Number.isFinite(seconds) ? seconds : null, body);
}

const at = (id) => `api/images/${encodeURIComponent(String(id))}`;
export const addressOf = {
  // The upload, or a JPEG of it for a browser that does not show its format.
  picture: (id) => `${at(id)}/file`,
  original: (id) => `${at(id)}/file?as=original`,
  thumbnail: (id, size) => `${at(id)}/thumbnails/${size}/file`,
};

export async function list({ limit = 24, cursor = null, ...filters } = {}) {
  const query = new URLSearchParams({ limit, ...filters });
  if (cursor) query.set("cursor", cursor);
  const response = await ask(`api/images?${query}`);
  return { images: await response.json(), next: nextCursor(response.headers.get("Link")) };
}

// Takes only the cursor from the link: its host may be an internal one behind a proxy.
function nextCursor(link) {
  for (const part of (link ?? "").split(/,(?=\s*<)/)) {
    const [, target, rest] = /<([^>]*)>(.*)/.exec(part) ?? [];
    if (target && /rel="?next"?/.test(rest)) return new URL(target, document.baseURI).searchParams.get("cursor");
  }
  return null;
}

export async function processing() {
  const ids = new Set();
  for (let cursor = null, page = 0; page < MOST_PAGES; page += 1) {
    const { images, next } = await list({ limit: 1000, cursor, status: "processing" });
    images.forEach((image) => ids.add(image.id));
    if (!next) break;
    cursor = next;
  }
  return ids;
}

// A failed image has status 400 and the same body.
export async function details(id) {
  try {
    return await (await ask(at(id))).json();
  } catch (error) {
    if (error.status === 400 && error.body?.data) return error.body;
    throw error;
  }
}

export const remove = (id) => ask(at(id), { method: "DELETE" });
export const stats = async () => (await ask("api/stats")).json();

function searchQuery({ most, least }, more = {}) {
  const query = new URLSearchParams({ ...more, k: most });
  if (least !== null) query.set("min_score", least);
  return `api/images/search?${query}`;
}

const hits = async (response) => (await response.json()).results;

export const searchWords = async (q, options) => hits(await ask(searchQuery(options, { q })));

export async function searchPicture(file, options) {
  return hits(await ask(searchQuery(options), { method: "POST", body: form(file) }));
}

function form(file) {
  const body = new FormData();
  body.append("file", file, file.name || "picture");
  return body;
}

export const classify = async (file) => (await ask("classify", { method: "POST", body: form(file) })).json();

export async function analyse(base64) {
  const flags = { run_embedding: false, run_objects: true, run_classification: true };
  const body = JSON.stringify({ image: { data: base64 }, ...flags });
  return (await ask("v1/analyze", { method: "POST", body, headers: { "Content-Type": "application/json" } })).json();
}

// As an <img> asks: the formats beside JPEG and PNG that every browser of today shows.
const SHOWN = "image/avif,image/webp,image/*;q=0.8";

const blobAt = async (address) => (await ask(address, { headers: { Accept: SHOWN } })).blob();
export const originalOf = (id) => blobAt(addressOf.original(id));

// Shows a picture. If there is a key, the picture is fetched by script, because <img> cannot send the key.
export async function show(image, address) {
  hide(image);
  if (!storedKey()) {
    image.src = address;
    return;
  }
  image.dataset.wanted = address;
  try {
    const url = URL.createObjectURL(await blobAt(address));
    if (image.dataset.wanted !== address) return URL.revokeObjectURL(url);
    image.src = url;
  } catch {
    if (image.dataset.wanted === address) image.dispatchEvent(new Event("error"));
  }
}

export function hide(image) {
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  delete image.dataset.wanted;
}

// Like `ask`, but by XMLHttpRequest, because fetch does not report the progress of an upload.
export function upload(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "api/images");
    request.responseType = "json";
    for (const [name, value] of Object.entries(headers({ Accept: "application/json" }))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); };
    request.onerror = () => reject(new Problem(0, "The server cannot be reached."));
    request.onload = () => {
      if (request.status === 202) resolve(request.response);
      else reject(problem(request.status, request.response, request.getResponseHeader("Retry-After")));
    };
    request.send(form(file));
  });
}
