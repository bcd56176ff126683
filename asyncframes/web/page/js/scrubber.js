/** The slider over all frames, ticks at keyframes, the chosen range, and a preview under the pointer. */

import { clamped, timeText } from "./text.js";

// As in scrubber.css: the thumb stays inside the slider, so half of it is missing at either end.
const THUMB = 18;

export class Scrubber {
  #keyframes = [];
  #range = null;

  constructor(document) {
    this.box = document.getElementById("scrubber");
    this.slider = document.getElementById("position");
    this.ticks = document.getElementById("ticks");
    this.preview = document.getElementById("preview");
    this.previewCanvas = document.getElementById("preview-picture");
    this.previewLabel = document.getElementById("preview-label");
    this.slider.addEventListener("pointermove", (event) => this.#hover(event));
    this.slider.addEventListener("pointerleave", () => { this.preview.hidden = true; });
  }

  open(video, table, sprites) {
    Object.assign(this, { video, table, sprites });
    this.slider.max = video.count - 1;
    this.#keyframes = [];
    this.#range = null;
    this.draw();
  }

  setKeyframes(indices) {
    this.#keyframes = indices;
    this.draw();
  }

  setRange(range) {
    this.#range = range;
    this.draw();
  }

  moveTo(index) {
    this.slider.value = index;
    const row = this.table.row(index);
    this.slider.setAttribute("aria-valuetext", `Frame ${index}${row ? `, ${timeText(row.pts)}` : ""}`);
  }

  /** Draw range and ticks for the width that the page has now. */
  draw() {
    const width = this.ticks.clientWidth;
    if (!width || !this.video) return;
    this.ticks.width = width;
    const context = this.ticks.getContext("2d");
    const colours = getComputedStyle(this.ticks);
    if (this.#range) {
      context.fillStyle = colours.getPropertyValue("--range");
      const [first, last] = this.#range.map((index) => this.#x(index, width));
      context.fillRect(first, 0, Math.max(last - first, 2), this.ticks.height);
    }
    context.fillStyle = colours.getPropertyValue("--edge");
    for (const x of new Set(this.#keyframes.map((index) => Math.round(this.#x(index, width))))) {
      context.fillRect(x, 3, 1, this.ticks.height - 3);
    }
  }

  #x(index, width) {
    return THUMB / 2 + (index / Math.max(this.video.count - 1, 1)) * (width - THUMB);
  }

  async #hover(event) {
    if (event.pointerType === "touch" && !event.buttons) return;
    const { left, width } = this.slider.getBoundingClientRect();
    const share = clamped((event.clientX - left - THUMB / 2) / (width - THUMB), 0, 1);
    const index = Math.round(share * (this.video.count - 1));
    this.#showPreview(index, share, width);
    await this.sprites.load();
    if (!this.preview.hidden && this.#hovered === index) this.#showPreview(index, share, width);
  }

  #hovered = 0;

  #showPreview(index, share, width) {
    this.#hovered = index;
    const pts = this.table.row(index)?.pts;
    const seconds = pts ?? share * (this.video.info.duration_seconds ?? 0);
    this.previewLabel.textContent = `${index} · ${pts === undefined ? "about " : ""}${timeText(seconds)}`;
    this.preview.hidden = false;
    this.#drawTile(this.sprites.tileAt(seconds));
    const room = width - this.preview.offsetWidth;
    this.preview.style.left = `${clamped(this.#x(index, width) - this.preview.offsetWidth / 2, 0, Math.max(room, 0))}px`;
  }

  #drawTile(tile) {
    this.previewCanvas.hidden = !tile;
    if (!tile) return;
    const { image, x, y, width, height } = tile;
    Object.assign(this.previewCanvas, { width, height });
    this.previewCanvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
  }
}
