/** One video on the server: its facts, and where its parts are. */

import { Refused } from "./server.js";
import { unzip } from "./zip.js";

const GONE = 410;

/** Event: `changed` when the server has other bytes under the video's name than when it was opened. */
export class Video extends EventTarget {
  constructor(server, info) {
    super();
    this.server = server;
    this.info = info;
  }

  static async open(server, id, signal) {
    // What the browser remembers may be of a file that was replaced since.
    const read = (response) => response.json();
    return new Video(server, await server.read(server.url(pathOf(id, "info")), { signal, cache: "no-cache" }, read));
  }

  get count() {
    return this.info.frame_count;
  }

  /** The title without the ending of its file name, for the names of saved files. */
  get stem() {
    return this.info.title.replace(/(?<=.)\.\w+$/, "");
  }

  /** Frames per second by the container, a fallback for frames without times. */
  get rate() {
    return this.info.average_rate || 25;
  }

  /** The URL of a part of the video, whatever its bytes are then. */
  url(rest) {
    return this.server.url(pathOf(this.info.id, rest));
  }

  /** The URL of a part of the video with these bytes, and no others. */
  urlOfVersion(rest, query = {}) {
    return this.server.url(pathOf(this.info.id, rest), { ...query, v: this.info.validator ?? undefined });
  }

  json(rest, query, signal) {
    return this.#read(rest, query, signal, (response) => response.json());
  }

  text(rest, query, signal) {
    return this.#read(rest, query, signal, (response) => response.text());
  }

  /** Fetch one frame as an image file, and make sure that it is this frame. */
  async frame(index, ext, width, signal) {
    const read = async (response) => [response.headers.get("X-Frame-Index"), await response.blob()];
    const [served, file] = await this.#read(`frames/${index}.${ext}`, { width }, signal, read);
    if (Number(served) !== index) throw new Error(`The server sent frame ${served} instead of frame ${index}.`);
    return file;
  }

  /** Fetch frames `number` × `size` and following as `[{ index, bytes }]`. */
  async chunk(number, size, ext, width, signal) {
    const read = (response) => response.arrayBuffer();
    const archive = await this.#read(`chunks/${number}`, { size, ext, width }, signal, read);
    return unzip(archive).map(({ name, bytes }) => ({ index: parseInt(name, 10), bytes }));
  }

  async #read(rest, query, signal, read) {
    try {
      return await this.server.read(this.urlOfVersion(rest, query), { signal }, read);
    } catch (error) {
      if (error instanceof Refused && error.status === GONE) this.dispatchEvent(new Event("changed"));
      throw error;
    }
  }
}

function pathOf(id, rest) {
  return `v/${encodeURIComponent(id)}/${rest}`;
}
