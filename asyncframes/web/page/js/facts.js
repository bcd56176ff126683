/** What is known about the frame shown and its video. */

import { bytesText, timeText } from "./text.js";

const ANNOUNCE_AFTER_MS = 600;

export class Facts {
  #timer = 0;

  constructor(document) {
    this.document = document;
  }

  open({ info }) {
    this.#set("size", `${info.width} × ${info.height} pixels, ${info.pixel_format}`);
    this.#set("colour", colourText(info.colour));
    this.#set("codec", `${info.codec} in ${info.container}`);
    this.#set("rate", rateText(info.average_rate));
    this.#set("source", bytesText(info.size_bytes));
    for (const name of ["frame", "fetched"]) this.#set(name, "");
    this.setRow(undefined);
  }

  setFrame(index, count) {
    this.#set("frame", `${index} of ${count}${count ? ` (0 to ${count - 1})` : ""}`);
  }

  /** Show a frame's times, or nothing while they load. */
  setRow(row) {
    this.#set("time", row ? timeText(row.pts) : "");
    this.#set("pts", row ? secondsText(row.pts) : "");
    this.#set("duration", row ? secondsText(row.duration) : "");
    this.#set("keyframe", row ? (row.isKeyframe ? "yes" : "no") : "");
  }

  setFetched(bytes) {
    this.#set("fetched", bytesText(bytes));
  }

  /** Tell screen readers about a frame, once it stays for a moment. */
  announce(index, row) {
    clearTimeout(this.#timer);
    const text = `Frame ${index}, ${timeText(row.pts)}${row.isKeyframe ? ", keyframe" : ""}`;
    const speak = () => { this.document.getElementById("announcement").textContent = text; };
    this.#timer = setTimeout(speak, ANNOUNCE_AFTER_MS);
  }

  #set(name, text) {
    this.document.getElementById(`fact-${name}`).textContent = text;
  }
}

function secondsText(seconds) {
  return seconds === null ? "unknown" : `${seconds.toFixed(6)} s`;
}

function rateText(rate) {
  if (!rate) return "unknown";
  return `${Number(rate.toFixed(3))} frames per second`;
}

function colourText(colour) {
  const known = Object.entries(colour ?? {}).filter(([, value]) => value !== null && value !== false);
  return known.map(([name, value]) => `${name} ${value === true ? "yes" : value}`).join(", ") || "unknown";
}
