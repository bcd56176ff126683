/** The frame table: times and keyframe flags, fetched in parts as they are needed. */

import { clamped } from "./text.js";

const ROWS = 1000;
// Times are shown with three digits; a typed one means the frame that shows it.
const TOLERANCE_SECONDS = 0.0005;

export class FrameTable {
  #parts = new Map();
  #loading = new Map();

  constructor(video, signal) {
    this.video = video;
    this.signal = signal;
  }

  /** A frame's row, if it is here: `{ pts, duration, isKeyframe }`, times in seconds or null. */
  row(index) {
    const part = this.#parts.get(Math.floor(index / ROWS));
    if (!part) return undefined;
    const place = index % ROWS;
    return {
      pts: part.pts_seconds[place],
      duration: part.duration_seconds[place],
      isKeyframe: part.is_keyframe[place],
    };
  }

  /** A frame's row, fetched if it is not here. */
  async load(index) {
    await this.#part(Math.floor(index / ROWS));
    return this.row(index);
  }

  /** How long a frame is shown, in seconds; undefined if its row is not here. */
  durationOf(index) {
    const row = this.row(index);
    return row && (row.duration ?? 1 / this.video.rate);
  }

  /** When the first frame starts and the last one ends, in seconds; null if the times are unknown. */
  async span() {
    const [first, last] = [await this.load(0), await this.load(this.video.count - 1)];
    if (first.pts === null || last.pts === null) return null;
    return [first.pts, last.pts + this.durationOf(this.video.count - 1)];
  }

  /** The frame shown at a time: the last that starts at or before it. */
  async indexAt(seconds) {
    const until = seconds + TOLERANCE_SECONDS;
    let [low, high] = [0, Math.ceil(this.video.count / ROWS) - 1];
    let guess = Math.floor((seconds * this.video.rate) / ROWS);
    // At a steady rate the guess is right, and its neighbour proves it.
    for (let probes = 0; low < high; probes++) {
      guess = probes < 2 ? clamped(guess, low + 1, high) : Math.ceil((low + high) / 2);
      if (startOf(await this.#part(guess)) <= until) low = guess++;
      else high = --guess;
    }
    return low * ROWS + lastUntil((await this.#part(low)).pts_seconds, until);
  }

  async #part(number) {
    if (this.#parts.has(number)) return this.#parts.get(number);
    if (!this.#loading.has(number)) this.#loading.set(number, this.#fetch(number));
    return this.#loading.get(number);
  }

  async #fetch(number) {
    const range = { from: number * ROWS, to: Math.min((number + 1) * ROWS, this.video.count) - 1 };
    try {
      const part = await this.video.json("table", range, this.signal);
      this.#parts.set(number, part);
      return part;
    } finally {
      this.#loading.delete(number);
    }
  }
}

function startOf(part) {
  return part.pts_seconds.find((pts) => pts !== null) ?? -Infinity;
}

/** The last place whose time is not after `until`, or 0. Missing times are skipped. */
function lastUntil(times, until) {
  return Math.max(times.findLastIndex((pts) => pts !== null && pts <= until), 0);
}
