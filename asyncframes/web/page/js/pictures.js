/** Decoded pictures around the frame shown, within a budget of bytes. */

export class Pictures {
  #pictures = new Map();
  #bytes = 0;
  #centre = 0;

  constructor(budgetBytes) {
    this.budgetBytes = budgetBytes;
  }

  has(index) {
    return this.#pictures.has(index);
  }

  get(index) {
    return this.#pictures.get(index);
  }

  /** Prefer pictures near this frame. */
  centreOn(index) {
    this.#centre = index;
  }

  put(index, picture) {
    this.#drop(index);
    this.#pictures.set(index, picture);
    this.#bytes += bytesOf(picture);
    while (this.#bytes > this.budgetBytes && this.#pictures.size > 1) this.#drop(this.#farthest());
  }

  clear() {
    for (const index of [...this.#pictures.keys()]) this.#drop(index);
  }

  #farthest() {
    const distance = (index) => Math.abs(index - this.#centre);
    return [...this.#pictures.keys()].reduce((far, index) => (distance(index) > distance(far) ? index : far));
  }

  #drop(index) {
    const picture = this.#pictures.get(index);
    if (!picture) return;
    this.#pictures.delete(index);
    this.#bytes -= bytesOf(picture);
    picture.close();
  }
}

function bytesOf(picture) {
  return picture.width * picture.height * 4;
}
