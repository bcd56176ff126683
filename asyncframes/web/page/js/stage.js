/** The stage: draws the frame shown, and says what is loading or wrong. */

const WIDTHS = [320, 480, 640, 960, 1280, 1600, 1920];
const LOADING_AFTER_MS = 150;

export class Stage {
  #timer = 0;

  constructor(document) {
    this.figure = document.getElementById("stage");
    this.canvas = document.getElementById("picture");
    this.message = document.getElementById("stage-message");
    this.loading = document.getElementById("loading");
  }

  /** Give an empty stage the shape of a video's pictures. */
  open({ width, height }) {
    Object.assign(this.canvas, { width, height });
    this.canvas.style.setProperty("--width", width);
    this.canvas.style.setProperty("--aspect", width / height);
    this.#say("");
  }

  /** The width to ask the server for; undefined if the video's own is small enough. */
  widthFor(info) {
    const shown = this.canvas.clientWidth * window.devicePixelRatio;
    const width = WIDTHS.find((one) => one >= shown) ?? WIDTHS.at(-1);
    return width < info.width ? width : undefined;
  }

  show(index, picture, title) {
    if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
      Object.assign(this.canvas, { width: picture.width, height: picture.height });
    }
    this.canvas.getContext("2d").drawImage(picture, 0, 0);
    this.canvas.setAttribute("aria-label", `Frame ${index} of ${title}`);
    this.#say("");
  }

  fail(index, error) {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.canvas.setAttribute("aria-label", `No picture of frame ${index}`);
    this.#say(`Frame ${index} cannot be shown. ${error.message}`);
  }

  /** Say which frame loads, unless it arrives at once. */
  setLoading(index) {
    clearTimeout(this.#timer);
    this.figure.setAttribute("aria-busy", String(index !== null));
    if (index === null) this.loading.hidden = true;
    else this.#timer = setTimeout(() => this.#sayLoading(index), LOADING_AFTER_MS);
  }

  #sayLoading(index) {
    this.loading.textContent = `Loading frame ${index} …`;
    this.loading.hidden = false;
  }

  #say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
    this.canvas.classList.toggle("failed", Boolean(text));
  }
}
