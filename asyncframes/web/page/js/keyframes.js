/** Which frames are keyframes. */

export class Keyframes {
  indices = [];

  static async load(video, signal) {
    const keyframes = new Keyframes();
    keyframes.indices = (await video.json("keyframes", {}, signal)).index;
    return keyframes;
  }

  /** The keyframe after a frame, or undefined. */
  after(index) {
    return this.indices[this.#countUpTo(index)];
  }

  /** The keyframe before a frame, or undefined. */
  before(index) {
    return this.indices[this.#countUpTo(index - 1) - 1];
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
