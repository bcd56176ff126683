/** What buttons, keys and forms do. */

import { copy } from "./clipboard.js";
import { listenToKeys, describeKeys } from "./keys.js";
import { hashFor } from "./link.js";
import { indexOf, secondsOf, timeText } from "./text.js";

export class Actions {
  constructor(document, viewer) {
    this.document = document;
    this.viewer = viewer;
    this.#listenToButtons();
    this.#listenToForms();
    describeKeys(document, this.#element("help-rows"));
    listenToKeys(document, this.#keyActions());
  }

  #keyActions() {
    const actions = {
      ...this.#moves(),
      back10: () => this.#step(-10),
      forward10: () => this.#step(10),
      typeFrame: () => this.#element("frame").select(),
      typeTime: () => this.#element("time").select(),
      copyLink: () => this.#copyLink(),
      save: () => this.#element("save").click(),
      rangeFirst: () => this.#startRange(),
      rangeLast: () => this.#endRange(),
    };
    const whileOpen = Object.entries(actions).map(([name, run]) => [name, () => this.viewer.video && run()]);
    return { ...Object.fromEntries(whileOpen), help: () => this.#element("help").showModal() };
  }

  #moves() {
    return {
      first: () => this.#go(0),
      previousKeyframe: () => this.#goToKeyframe("before"),
      previous: () => this.#step(-1),
      play: () => this.viewer.playback.toggle(),
      next: () => this.#step(1),
      nextKeyframe: () => this.#goToKeyframe("after"),
      last: () => this.#go(this.viewer.player.last),
    };
  }

  #listenToButtons() {
    const buttons = {
      ...Object.fromEntries(Object.entries(this.#moves()).map(([name, run]) => [dashed(name), run])),
      "copy-link": () => this.#copyLink(),
      "range-first-here": () => this.#startRange(),
      "range-last-here": () => this.#endRange(),
      "clear-range": () => this.viewer.range.clear(),
      "copy-command": () => this.#copyCommand(),
      "cancel-download": () => this.viewer.range.cancel(),
      "open-help": () => this.#element("help").showModal(),
    };
    for (const [id, run] of Object.entries(buttons)) this.#element(id).addEventListener("click", run);
    this.#element("position").addEventListener("input", (event) => this.#go(Number(event.target.value)));
    this.#element("pace").addEventListener("change", (event) => { this.viewer.playback.pace = event.target.value; });
  }

  #listenToForms() {
    this.#onSubmit("go-to-frame", () => this.#goToTypedFrame());
    this.#onSubmit("go-to-time", () => this.#goToTypedTime());
    this.#onSubmit("range-form", () => this.#download());
    for (const id of ["frame", "time"]) {
      this.#element(id).addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.#element("stage").focus();
      });
    }
  }

  #onSubmit(id, run) {
    this.#element(id).addEventListener("submit", (event) => {
      event.preventDefault();
      run();
    });
  }

  #go(index) {
    this.viewer.playback.stop();
    this.#say("");
    this.viewer.player.go(index);
  }

  #step(frames) {
    this.#go(this.viewer.player.target + frames);
  }

  async #goToKeyframe(side) {
    try {
      const keyframe = await this.viewer.keyframes[side](this.viewer.player.target);
      if (keyframe === undefined) this.#say(`There is no keyframe ${side} this frame.`);
      else this.#go(keyframe);
    } catch (error) {
      this.#complain(error.message);
    }
  }

  #goToTypedFrame() {
    const { value } = this.#element("frame");
    const { last } = this.viewer.player;
    if (indexOf(value) <= last) this.#arriveAt(indexOf(value));
    else this.#complain(`Frame “${value}” does not exist: type a number from 0 to ${last}.`);
  }

  async #goToTypedTime() {
    const { value } = this.#element("time");
    try {
      const problem = this.#problemOf(value, await this.viewer.table.span());
      if (problem) this.#complain(problem);
      else this.#arriveAt(await this.viewer.table.indexAt(secondsOf(value)));
    } catch (error) {
      this.#complain(error.message);
    }
  }

  /** What is wrong with a typed time, or an empty text. */
  #problemOf(value, span) {
    if (!span) return "The times of these frames are unknown: type a frame number instead.";
    const [start, end] = span;
    const seconds = secondsOf(value);
    if (seconds >= start && seconds <= end) return "";
    return `Time “${value}” is invalid: type one from ${timeText(start)} to ${timeText(end)}.`;
  }

  /** Go to a frame that was typed, and leave the field, so that keys step again. */
  #arriveAt(index) {
    this.#element("stage").focus({ preventScroll: true });
    this.#go(index);
  }

  #copyLink() {
    const { video, player } = this.viewer;
    const link = new URL(hashFor(video.info.id, player.index ?? player.target), this.document.baseURI).href;
    copy(link, this.#element("notice"), `Copied the link to frame ${player.index ?? player.target}.`);
  }

  #startRange() {
    this.viewer.range.startAt(this.viewer.player.target);
    this.#say(`The range starts at frame ${this.viewer.player.target}.`);
  }

  #endRange() {
    this.viewer.range.endAt(this.viewer.player.target);
    this.#say(`The range ends at frame ${this.viewer.player.target}.`);
  }

  #copyCommand() {
    const { range, video } = this.viewer;
    if (!this.#hasRange()) return;
    const command = range.command(this.#element("range-format").value);
    this.#element("command").textContent = command;
    this.#element("command").hidden = false;
    const hint = video.info.allows_original ? "" : " Put the path or URL of the video in place of its title.";
    copy(command, this.#element("notice"), `Copied the command.${hint}`);
  }

  async #download() {
    if (!this.#hasRange()) return;
    const { range, video } = this.viewer;
    const [first, last] = range.frames;
    this.#say("");
    this.#setDownloading(true);
    try {
      const archive = await range.download(this.#element("range-format").value, (share) => {
        this.#element("progress").value = share;
      });
      saveAs(this.document, archive, `${video.stem}-${first}-${last}.zip`);
      this.#say(`Downloaded frames ${first} to ${last}.`);
    } catch (error) {
      if (error.name === "AbortError") this.#say("Cancelled the download.");
      else this.#complain(`The download failed. ${error.message}`);
    } finally {
      this.#setDownloading(false);
    }
  }

  #setDownloading(isDownloading) {
    this.#element("progress").value = 0;
    this.#element("download-progress").hidden = !isDownloading;
    this.#element("download").disabled = isDownloading;
  }

  #hasRange() {
    const { frames } = this.viewer.range;
    if (!frames) this.#complain(`Choose a range first: two frames from 0 to ${this.viewer.player.last}.`);
    return Boolean(frames);
  }

  #say(text) {
    this.#element("notice").textContent = text;
    this.#complain("");
  }

  #complain(text) {
    this.#element("input-message").textContent = text;
    this.#element("input-message").hidden = !text;
  }

  #element(id) {
    return this.document.getElementById(id);
  }
}

/** `nextKeyframe` as the id of an element. */
function dashed(name) {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function saveAs(document, blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
