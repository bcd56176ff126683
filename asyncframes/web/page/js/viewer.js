/** One video on the page: connects its player with the stage, the slider, the fields and the facts. */

import { AddressBar } from "./link.js";
import { Facts } from "./facts.js";
import { Keyframes } from "./keyframes.js";
import { Playback } from "./playback.js";
import { Player } from "./player.js";
import { FrameRange, fileName } from "./range.js";
import { Scrubber } from "./scrubber.js";
import { Sprites } from "./sprites.js";
import { Stage } from "./stage.js";
import { FrameTable } from "./table.js";
import { timeText } from "./text.js";

const FETCHED_AFTER_MS = 1000;

export class Viewer {
  video = null;
  #closing = new AbortController();
  #hasTicks = false;
  #fetchedTimer = 0;

  constructor(document) {
    this.document = document;
    this.element = document.getElementById("player");
    this.stage = new Stage(document);
    this.scrubber = new Scrubber(document);
    this.facts = new Facts(document);
    this.range = new FrameRange(document);
    this.address = new AddressBar();
    this.range.addEventListener("change", () => this.scrubber.setRange(this.range.frames));
    new ResizeObserver(() => this.#resized()).observe(this.stage.figure);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.scrubber.draw());
  }

  open(video, index) {
    this.close();
    const { signal } = this.#closing;
    this.video = video;
    this.element.hidden = false;
    this.table = new FrameTable(video, signal);
    this.keyframes = new Keyframes(video, signal);
    this.stage.open(video.info);
    this.facts.open(video);
    this.scrubber.open(video, this.table, new Sprites(video, signal));
    this.range.open(video);
    this.#text("frame-count", `of ${video.count}`);
    this.#text("duration", `of ${timeText(video.info.duration_seconds)}`);
    this.#openPlayer(video, signal);
    this.player.go(index);
  }

  close() {
    if (!this.video) return;
    this.playback.stop();
    this.player.close();
    this.range.cancel();
    this.address.stop();
    clearTimeout(this.#fetchedTimer);
    this.#closing.abort();
    this.#closing = new AbortController();
    this.video = null;
    this.#hasTicks = false;
    this.#fetchedTimer = 0;
    this.element.hidden = true;
  }

  #openPlayer(video, signal) {
    this.player = new Player(video, this.stage.widthFor(video.info));
    this.playback = new Playback(this.player, this.table);
    this.playback.pace = this.document.getElementById("pace").value;
    this.player.addEventListener("target", () => this.#targeted(), { signal });
    this.player.addEventListener("shown", () => this.#shown(), { signal });
    this.player.addEventListener("failed", () => this.#failed(), { signal });
    this.playback.addEventListener("change", () => this.#playing());
  }

  #targeted() {
    this.scrubber.moveTo(this.player.target);
    this.stage.setLoading(this.player.isSettled ? null : this.player.target);
  }

  #shown() {
    const { index, picture } = this.player;
    this.stage.show(index, picture, this.video.info.title);
    this.#settled(index);
    this.#drawKeyframes();
  }

  #failed() {
    this.stage.fail(this.player.index, this.player.error);
    this.#settled(this.player.index);
  }

  #settled(index) {
    this.#targeted();
    this.facts.setFrame(index, this.video.count);
    this.address.follow(this.video.info.id, index);
    this.#fill("frame", index);
    this.#offerToSave(index);
    this.#showRow(index, this.table.row(index));
    this.#showFetched();
  }

  async #showRow(index, row) {
    this.facts.setRow(row);
    if (row) {
      this.#fill("time", timeText(row.pts));
      this.scrubber.moveTo(this.player.target);
      if (!this.playback.isPlaying) this.facts.announce(index, row);
      return;
    }
    const { player } = this;
    const loaded = await this.table.load(index).catch(() => undefined);
    if (loaded && player === this.player && player.index === index) this.#showRow(index, loaded);
  }

  /** Fetch the keyframes, once, and draw them as they arrive. */
  #drawKeyframes() {
    if (this.#hasTicks) return;
    this.#hasTicks = true;
    const { keyframes } = this;
    keyframes.load(() => {
      if (keyframes === this.keyframes) this.scrubber.setKeyframes(keyframes.indices);
    }).catch(() => {});
  }

  #offerToSave(index) {
    const link = this.document.getElementById("save");
    link.href = this.video.urlOfVersion(`frames/${index}.png`);
    link.download = `${this.video.stem}-${fileName(index, "png")}`;
  }

  /** Ask how much was fetched, but not for each of many frames. */
  #showFetched() {
    if (this.#fetchedTimer) return;
    const { video } = this;
    this.#fetchedTimer = setTimeout(async () => {
      const stats = await video.json("stats", {}, this.#closing.signal).catch(() => null);
      if (video !== this.video) return;
      this.#fetchedTimer = 0;
      if (stats) this.facts.setFetched(stats.bytes_fetched);
    }, FETCHED_AFTER_MS);
  }

  #playing() {
    const button = this.document.getElementById("play");
    button.toggleAttribute("data-playing", this.playback.isPlaying);
    button.setAttribute("aria-label", this.playback.isPlaying ? "Pause" : "Play");
    if (this.player.index !== null) this.#showRow(this.player.index, this.table.row(this.player.index));
  }

  #resized() {
    if (!this.video) return;
    this.scrubber.draw();
    this.player.scaleTo(this.stage.widthFor(this.video.info));
  }

  /** Fill a field, unless somebody types in it. */
  #fill(id, text) {
    const field = this.document.getElementById(id);
    if (field !== this.document.activeElement) field.value = text;
  }

  #text(id, text) {
    this.document.getElementById(id).textContent = text;
  }
}
