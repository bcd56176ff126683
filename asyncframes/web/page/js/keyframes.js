/** Which frames are keyframes. */

// The server lists no more than the first ones; the table has all.
const MOST_LISTED = 100_000;

export class Keyframes {
  constructor(indices, table) {
    this.indices = indices;
    this.table = table;
  }

  static async load(video, table, signal) {
    return new Keyframes((await video.json("keyframes", {}, signal)).index, table);
  }

  /** The keyframe after a frame, or undefined. */
  async after(index) {
    const listed = this.indices[this.#countUpTo(index)];
    return listed ?? (this.#isComplete ? undefined : this.#search(index, 1));
  }

  /** The keyframe before a frame, or undefined. */
  async before(index) {
    if (!this.#isComplete && index > this.indices.at(-1)) return this.#search(index, -1);
    return this.indices[this.#countUpTo(index - 1) - 1];
  }

  get #isComplete() {
    return this.indices.length < MOST_LISTED;
  }

  async #search(index, step) {
    for (let next = index + step; next >= 0 && next < this.table.video.count; next += step) {
      if ((await this.table.load(next)).isKeyframe) return next;
    }
    return undefined;
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
