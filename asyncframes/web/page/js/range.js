/** A range of frames: chosen, downloaded as a zip archive, or as the command that does the same. */

import { Refused } from "./server.js";
import { indexOf, shellQuoted } from "./text.js";
import { ZipWriter } from "./zip.js";

const CHUNK = 16;

/** Event: `change` when the range is another; `frames` is `[first, last]`, or null without one. */
export class FrameRange extends EventTarget {
  frames = null;
  #abort = null;

  constructor(document) {
    super();
    this.document = document;
    this.firstField = document.getElementById("range-first");
    this.lastField = document.getElementById("range-last");
    for (const field of [this.firstField, this.lastField]) {
      field.addEventListener("change", () => this.#read());
    }
  }

  open(video) {
    this.cancel();
    this.video = video;
    this.#set("", "");
  }

  /** Start the range at a frame; its end follows if it was before. */
  startAt(index) {
    const last = indexOf(this.lastField.value);
    this.#set(index, Number.isNaN(last) ? this.video.count - 1 : Math.max(last, index));
  }

  endAt(index) {
    const first = indexOf(this.firstField.value);
    this.#set(Number.isNaN(first) ? 0 : Math.min(first, index), index);
  }

  clear() {
    this.#set("", "");
  }

  /** The command that writes the same files. */
  command(ext) {
    const { info } = this.video;
    const source = info.allows_original ? this.video.url("original") : info.title;
    const [first, last] = this.frames;
    const words = ["asyncframes", "extract", source, "frames", "--start", first, "--end", last, "--ext", ext];
    return words.map((word) => shellQuoted(String(word))).join(" ");
  }

  /** Fetch the range at full size; `onProgress` gets the share that is there. */
  async download(ext, onProgress) {
    this.#abort = new AbortController();
    const [first, last] = this.frames;
    const archive = new ZipWriter();
    for (let number = Math.floor(first / CHUNK); number * CHUNK <= last; number++) {
      const [start, stop] = [Math.max(number * CHUNK, first), Math.min((number + 1) * CHUNK, last + 1)];
      for (const { index, bytes } of await this.#images(number, start, stop, ext)) {
        archive.add(fileName(index, ext), bytes);
      }
      onProgress((stop - first) / (last + 1 - first));
    }
    return archive.blob();
  }

  /** Fetch frames of one chunk, `start` <= index < `stop`. */
  async #images(number, start, stop, ext) {
    const { signal } = this.#abort;
    try {
      const images = await this.video.chunk(number, CHUNK, ext, undefined, signal);
      // Copies, so that the rest of the chunk does not stay in memory.
      const chosen = images.filter(({ index }) => index >= start && index < stop);
      return chosen.map(({ index, bytes }) => ({ index, bytes: bytes.slice() }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return this.#single(start, stop, ext);
    }
  }

  /** The same without a chunk, which the server may refuse for its size or for a frame out of the range. */
  async #single(start, stop, ext) {
    const images = [];
    for (let index = start; index < stop; index++) {
      const file = await this.video.frame(index, ext, undefined, this.#abort.signal);
      images.push({ index, bytes: new Uint8Array(await file.arrayBuffer()) });
    }
    return images;
  }

  cancel() {
    this.#abort?.abort();
  }

  #set(first, last) {
    this.firstField.value = first;
    this.lastField.value = last;
    this.#read();
  }

  #read() {
    const [first, last] = [indexOf(this.firstField.value), indexOf(this.lastField.value)];
    this.frames = first <= last && last < this.video.count ? [first, last] : null;
    this.dispatchEvent(new Event("change"));
  }
}

export function fileName(index, ext) {
  return `${String(index).padStart(6, "0")}.${ext}`;
}
