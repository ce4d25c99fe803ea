// Helpers for the DOM. Elements are made from text only, so that a file's name or its EXIF is never parsed as markup.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let announcing = 0;

// Announces a text to screen readers. Of several texts at once, only the last is read.
export function announce(text) {
  clearTimeout(announcing);
  // Screen readers skip the page behind an open dialog, so the dialog has a live region of its own.
  const line = byId("viewer").open ? "viewer-live" : "live";
  announcing = setTimeout(() => { byId(line).textContent = text; }, 150);
}

export function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export function bytes(size) {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, size)) / 3));
  return `${(size / 1000 ** power).toFixed(power ? 1 : 0)} ${["bytes", "kB", "MB", "GB"][power]}`;
}

// Fills a <dl>: objects and lists become text, empty values are left out.
export function describe(list, entries) {
  list.replaceChildren();
  for (const [name, value] of entries) {
    if (value === null || value === undefined || value === "") continue;
    list.append(element("dt", { textContent: name }), element("dd", { textContent: plain(value), dir: "auto" }));
  }
}

export function plain(value) {
  if (typeof value === "number") return String(Number.isInteger(value) ? value : Number(value.toPrecision(4)));
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(plain).join(", ");
  if (value && typeof value === "object") {
    return Object.entries(value).filter(([, each]) => each !== null)
      .map(([name, each]) => `${name.replaceAll("_", " ")} ${plain(each)}`).join(", ");
  }
  return String(value ?? "");
}
