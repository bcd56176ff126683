/** Numbers, times and sizes as people read and type them. */

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** Write seconds as `1:02:03.456`, or "unknown" if there are none. */
export function timeText(seconds) {
  if (seconds === null || seconds === undefined) return "unknown";
  const thousandths = Math.round(Math.abs(seconds) * 1000);
  const [hours, minutes] = [Math.floor(thousandths / 3_600_000), Math.floor(thousandths / 60_000) % 60];
  const rest = ((thousandths % 60_000) / 1000).toFixed(3).padStart(6, "0");
  const start = hours ? `${hours}:${String(minutes).padStart(2, "0")}` : String(minutes);
  return `${seconds < 0 ? "-" : ""}${start}:${rest}`;
}

/** Read seconds from `83.4`, `1:23.4` or `0:01:23.4`; NaN if the text is no time. */
export function secondsOf(text) {
  const match = /^(-?)(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?|[.,]\d+)\s*s?$/.exec(text.trim());
  if (!match) return NaN;
  const [, sign, hours = 0, minutes = 0, seconds] = match;
  const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds.replace(",", "."));
  return sign ? -total : total;
}

/** Read a frame's index; NaN if the text is no whole number. */
export function indexOf(text) {
  return /^\d+$/.test(text.trim()) ? Number(text) : NaN;
}

/** Write a number of bytes in decimal units, with three digits. */
export function bytesText(bytes) {
  if (bytes === null || bytes === undefined) return "unknown";
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** power;
  return `${power && value < 100 ? value.toPrecision(3) : Math.round(value)} ${UNITS[power]}`;
}

/** Quote a word for a POSIX shell, if it needs that. */
export function shellQuoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Keep a number within bounds. */
export function clamped(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
