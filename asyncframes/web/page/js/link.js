/** Links to a frame: `#video=ID&frame=1234`, or `#frame=1234` where one video is served. */

import { indexOf } from "./text.js";

/** Read the address as `{ id, index }`; what it does not name is null. */
export function readLink({ hash }) {
  const fields = new Map(hash.slice(1).split("&").map((field) => field.split(/=(.*)/s, 2)));
  const [id, index] = [fields.get("video"), indexOf(fields.get("frame") ?? "")];
  return { id: id ? decoded(id) : null, index: Number.isNaN(index) ? null : index };
}

/** Write the part of a link after the page's own address. */
export function hashFor(id, index) {
  return `#video=${encodeURIComponent(id).replaceAll("%2F", "/")}&frame=${index}`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that somebody typed.
    return text;
  }
}

/** Keeps the address at the frame shown, without an entry in the history for each. */
export class AddressBar {
  #timer = 0;

  // Browsers refuse more than some hundred changes in half a minute.
  follow(id, index) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => history.replaceState(null, "", hashFor(id, index)), 300);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
