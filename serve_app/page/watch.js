// Waits for images to be processed, with one request for all of them per round.

import { details, processing } from "./api.js";
import { wait } from "./dom.js";

const EVERY_MS = 800;
const SLOWEST_MS = 5000;
const AT_ONCE = 6;

const watched = new Map();
let running = false;

// Calls `done` with the details once the image is processed or has failed, or with null if it was deleted.
export function watch(id, done) {
  if (!watched.has(id)) watched.set(id, []);
  watched.get(id).push(done);
  if (!running) run();
}

async function run() {
  running = true;
  let pause = EVERY_MS;
  while (watched.size) {
    await wait(pause);
    try {
      const asked = [...watched.keys()];
      const busy = await processing();
      const finished = asked.filter((id) => !busy.has(id));
      await inTurn(finished, finish);
      pause = finished.length ? EVERY_MS : Math.min(SLOWEST_MS, pause * 1.3);
    } catch (error) {
      if (error.status === 401) break;
      pause = Math.min(SLOWEST_MS, Math.max(pause * 2, 1000 * (error.retryAfter ?? 0)));
    }
  }
  running = false;
}

// Continues after a key was given.
export function resume() {
  if (watched.size && !running) run();
}

async function finish(id) {
  let found = null;
  try {
    found = await details(id);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  if (found?.status === "processing") return;
  const listeners = watched.get(id) ?? [];
  watched.delete(id);
  listeners.forEach((done) => done(found));
}

// Works on the items, at most six at a time. Throws the first error after all have ended.
export async function inTurn(items, work) {
  const waiting = [...items];
  const hands = Array.from({ length: AT_ONCE }, async () => {
    while (waiting.length) await work(waiting.shift());
  });
  const failed = (await Promise.allSettled(hands)).find((each) => each.status === "rejected");
  if (failed) throw failed.reason;
}
