/** Which frames are keyframes, fetched in parts: the server lists only so many in an answer. */

export class Keyframes {
  /** Those that are here, ascending, none left out between them. */
  indices = [];
  /** The first one that is not here; null if all are. */
  #next = 0;
  #loading = null;

  constructor(video, signal) {
    this.video = video;
    this.signal = signal;
  }

  /** Fetch all, and call `grown` after each part. */
  async load(grown) {
    while (this.#next !== null) {
      await this.#more();
      grown();
    }
  }

  /** The keyframe after a frame, or undefined. */
  async after(index) {
    while (this.#next !== null && this.#next <= index) await this.#more();
    return this.indices[this.#countUpTo(index)] ?? this.#next ?? undefined;
  }

  /** The keyframe before a frame, or undefined. */
  async before(index) {
    while (this.#next !== null && this.#next < index) await this.#more();
    return this.indices[this.#countUpTo(index - 1) - 1];
  }

  #more() {
    this.#loading ??= this.#fetch().finally(() => { this.#loading = null; });
    return this.#loading;
  }

  async #fetch() {
    const part = await this.video.json("keyframes", { from: this.#next || undefined }, this.signal);
    this.indices = this.indices.concat(part.index);
    this.#next = part.next;
  }

  #countUpTo(index) {
    let [low, high] = [0, this.indices.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.indices[middle] <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
