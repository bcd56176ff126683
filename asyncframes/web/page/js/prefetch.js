/** Fetches frames around the one shown before anybody asks for them. */

import { Refused } from "./server.js";

const MOST_FRAMES = 16;
// The chunk in view, its neighbours and one more ahead have to fit in the budget of pictures.
const CHUNKS = 5;
// Browsers open six connections to a server; the frame that is asked for needs some of them.
const CONNECTIONS = 2;

export class Prefetcher {
  #running = new Map();
  #failed = new Set();
  #around = [0, 1];

  constructor(video, pictures, width) {
    this.video = video;
    this.pictures = pictures;
    this.width = width;
    this.size = chunkSize(video.info, width, pictures.budgetBytes);
  }

  /** Fetch what is missing around a frame, most of it in the direction of travel. */
  around(index, direction) {
    this.#around = [index, direction];
    const wanted = this.#wanted(Math.floor(index / this.size), direction);
    for (const [number, abort] of this.#running) {
      if (!wanted.includes(number)) abort.abort();
    }
    for (const number of wanted) {
      if (this.#running.size >= CONNECTIONS) return;
      if (!this.#running.has(number) && this.#missing(number).length) this.#start(number);
    }
  }

  stop() {
    for (const abort of this.#running.values()) abort.abort();
  }

  #wanted(number, direction) {
    const last = Math.ceil(this.video.count / this.size) - 1;
    return [0, 1, -1, 2].map((step) => number + step * direction).filter((one) => one >= 0 && one <= last);
  }

  #missing(number) {
    const stop = Math.min((number + 1) * this.size, this.video.count);
    const missing = [];
    for (let index = number * this.size; index < stop; index++) {
      if (!this.pictures.has(index) && !this.#failed.has(index)) missing.push(index);
    }
    return missing;
  }

  async #start(number) {
    const abort = new AbortController();
    this.#running.set(number, abort);
    try {
      await this.#fetch(number, abort.signal);
    } catch {
      // The frame itself says what is wrong when somebody asks for it.
      if (!abort.signal.aborted) this.#missing(number).forEach((index) => this.#failed.add(index));
    } finally {
      this.#running.delete(number);
    }
    if (!abort.signal.aborted) this.around(...this.#around);
  }

  async #fetch(number, signal) {
    try {
      const images = await this.video.chunk(number, this.size, "jpg", this.width, signal);
      for (const { index, bytes } of images) await this.#keep(index, new Blob([bytes]), signal);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // One damaged frame spoils a chunk, but not the other frames.
      await this.#fetchSingly(number, signal);
    }
  }

  async #fetchSingly(number, signal) {
    for (const index of this.#missing(number)) {
      try {
        await this.#keep(index, await this.video.frame(index, "jpg", this.width, signal), signal);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.#failed.add(index);
      }
    }
  }

  async #keep(index, file, signal) {
    const picture = await createImageBitmap(file);
    if (this.pictures.has(index) || signal.aborted) picture.close();
    else this.pictures.put(index, picture);
    signal.throwIfAborted();
  }
}

function chunkSize({ width, height }, shownWidth, budgetBytes) {
  const scale = (shownWidth ?? width) / width;
  const pictures = budgetBytes / (width * height * scale * scale * 4);
  return Math.max(1, Math.min(MOST_FRAMES, Math.floor(pictures / CHUNKS)));
}
