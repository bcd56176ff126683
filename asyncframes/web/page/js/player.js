/** Which frame is asked for, and which is shown. The two differ while a frame loads. */

import { Pictures } from "./pictures.js";
import { Prefetcher } from "./prefetch.js";
import { clamped } from "./text.js";

const BUDGET_BYTES = 320 * 1024 * 1024;
const CONNECTIONS = 3;
// Requests for frames on the way go on, so that holding a key shows something on a slow server.
const ON_THE_WAY = 48;

/**
 * Events: `target` when another frame is asked for, `shown` when `index` and `picture` changed,
 * and `failed` when frame `index` cannot be shown, because of `error`.
 */
export class Player extends EventTarget {
  target = 0;
  index = null;
  picture = null;
  error = null;
  #direction = 1;
  #asked = 0;
  #settled = 0;
  #loads = new Map();
  #prefetcher;

  constructor(video, width) {
    super();
    this.video = video;
    this.pictures = new Pictures(BUDGET_BYTES);
    this.#scaleTo(width);
  }

  get isSettled() {
    return this.#asked > 0 && this.#settled === this.#asked;
  }

  get last() {
    return this.video.count - 1;
  }

  /** Ask for a frame; what is outside the video means its first or last frame. */
  go(index) {
    const target = clamped(index, 0, this.last);
    if (target === this.target && this.#asked) return;
    this.#direction = Math.sign(target - this.target) || this.#direction;
    this.target = target;
    this.#ask();
  }

  step(frames) {
    this.go(this.target + frames);
  }

  /** Fetch pictures of another width from now on; undefined stands for the video's own. */
  scaleTo(width) {
    if (width === this.width) return;
    this.#abortLoads(() => true);
    this.#prefetcher.stop();
    this.pictures.clear();
    this.#scaleTo(width);
    if (this.#asked) this.#ask();
  }

  /** Ask for the same frame again, after an error. */
  retry() {
    if (this.error) this.#ask();
  }

  close() {
    this.#abortLoads(() => true);
    this.#prefetcher.stop();
    this.pictures.clear();
  }

  #scaleTo(width) {
    this.width = width;
    this.#prefetcher = new Prefetcher(this.video, this.pictures, width);
  }

  #ask() {
    this.#asked += 1;
    this.pictures.centreOn(this.target);
    this.#abortLoads((index) => Math.abs(index - this.target) > ON_THE_WAY);
    this.dispatchEvent(new Event("target"));
    const picture = this.pictures.get(this.target);
    if (picture) this.#show(this.target, picture, this.#asked);
    else this.#load();
  }

  async #load() {
    if (this.#loads.size >= CONNECTIONS || this.#loads.has(this.#asked)) return;
    const [ticket, index, abort] = [this.#asked, this.target, new AbortController()];
    this.#loads.set(ticket, { index, abort });
    try {
      const file = await this.video.frame(index, "jpg", this.width, abort.signal);
      const picture = await createImageBitmap(file);
      if (!abort.signal.aborted) this.#arrived(index, picture, ticket);
    } catch (error) {
      if (!abort.signal.aborted) this.#fail(index, error, ticket);
    } finally {
      this.#loads.delete(ticket);
    }
    if (!this.isSettled) this.#load();
  }

  #arrived(index, picture, ticket) {
    this.pictures.put(index, picture);
    this.#show(index, picture, ticket);
  }

  /** Show a picture, unless one that was asked for later is shown already. */
  #show(index, picture, ticket) {
    if (ticket <= this.#settled) return;
    Object.assign(this, { index, picture, error: null });
    this.#settle(ticket, "shown");
  }

  #fail(index, error, ticket) {
    if (ticket <= this.#settled) return;
    Object.assign(this, { index, picture: null, error });
    this.#settle(ticket, "failed");
  }

  #settle(ticket, event) {
    this.#settled = ticket;
    this.dispatchEvent(new Event(event));
    this.#prefetcher.around(this.target, this.#direction);
  }

  #abortLoads(which) {
    for (const [ticket, { index, abort }] of this.#loads) {
      if (!which(index)) continue;
      this.#loads.delete(ticket);
      abort.abort();
    }
  }
}
