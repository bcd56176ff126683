/** The keyboard: which key does what, and where keys belong to a field instead. */

const WORDS = {
  ArrowLeft: "←", ArrowRight: "→", PageUp: "Page Up", PageDown: "Page Down", " ": "Space",
};

/** `[key, with Shift, name of the action, what it does]` */
const KEYS = [
  ["ArrowLeft", false, "previous", "Previous frame"],
  ["ArrowRight", false, "next", "Next frame"],
  ["ArrowLeft", true, "back10", "10 frames back"],
  ["ArrowRight", true, "forward10", "10 frames forward"],
  ["PageUp", false, "previousKeyframe", "Previous keyframe"],
  ["PageDown", false, "nextKeyframe", "Next keyframe"],
  ["Home", false, "first", "First frame"],
  ["End", false, "last", "Last frame"],
  [" ", false, "play", "Play or pause"],
  ["f", false, "typeFrame", "Type a frame number"],
  ["t", false, "typeTime", "Type a time"],
  ["c", false, "copyLink", "Copy a link to this frame"],
  ["s", false, "save", "Save this frame"],
  ["[", null, "rangeFirst", "Start the range at this frame"],
  ["]", null, "rangeLast", "End the range at this frame"],
  ["?", null, "help", "Show these keys"],
];

/** Run an action for each key of the list above. */
export function listenToKeys(document, actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const found = KEYS.find(([key, shift]) => key === event.key && (shift ?? event.shiftKey) === event.shiftKey);
    if (!found || belongsTo(event.target, event.key)) return;
    event.preventDefault();
    actions[found[2]]();
  });
}

export function describeKeys(document, body) {
  for (const [key, shift, , text] of KEYS) {
    const row = body.insertRow();
    const name = document.createElement("kbd");
    const word = WORDS[key] ?? (key.length === 1 ? key.toUpperCase() : key);
    name.textContent = `${shift ? "Shift + " : ""}${word}`;
    row.insertCell().append(name);
    row.insertCell().textContent = text;
  }
}

/** Whether a key has a meaning of its own where the focus is. */
function belongsTo(element, key) {
  if (element.matches("input:not([type=range]), textarea, select")) return true;
  return key === " " && element.matches("button, a, summary");
}
