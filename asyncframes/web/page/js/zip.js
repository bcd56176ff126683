/** Zip archives whose entries are stored, not compressed. */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
// Without the extensions of Zip64.
const MOST_BYTES = 0xffffffff;
const MOST_ENTRIES = 0xffff;
// 1 January 1980, the format's first day.
const DATE = 0x21;
const CHECKSUMS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** Read the entries of an archive as `[{ name, bytes }]`, by its central directory. */
export function unzip(buffer) {
  const view = new DataView(buffer);
  const end = endOf(view);
  const entries = [];
  let place = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(place, true) !== CENTRAL) throw new Error("The archive is damaged.");
    entries.push(entryAt(view, place));
    place += 46 + [28, 30, 32].reduce((total, field) => total + view.getUint16(place + field, true), 0);
  }
  return entries;
}

function endOf(view) {
  for (let place = view.byteLength - 22; place >= 0; place--) {
    if (view.getUint32(place, true) === END) return place;
  }
  throw new Error("The archive is incomplete.");
}

function entryAt(view, place) {
  if (view.getUint16(place + 10, true) !== 0) throw new Error("An entry of the archive is compressed.");
  const size = view.getUint32(place + 24, true);
  const name = new Uint8Array(view.buffer, place + 46, view.getUint16(place + 28, true));
  const local = view.getUint32(place + 42, true);
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  return { name: new TextDecoder().decode(name), bytes: new Uint8Array(view.buffer, start, size) };
}

/** Builds an archive entry by entry. */
export class ZipWriter {
  #parts = [];
  #directory = [];
  #length = 0;

  add(name, bytes) {
    const encoded = new TextEncoder().encode(name);
    const crc = checksum(bytes);
    const local = localRecord(encoded.length, crc, bytes.length);
    this.#directory.push(centralRecord(encoded.length, crc, bytes.length, this.#length), encoded);
    this.#parts.push(local, encoded, bytes);
    this.#length += local.length + encoded.length + bytes.length;
    if (this.#length > MOST_BYTES || this.#entries > MOST_ENTRIES) {
      throw new Error("The range is too large for one archive. Choose fewer frames, or copy the command.");
    }
  }

  get #entries() {
    return this.#directory.length / 2;
  }

  blob() {
    const directoryLength = this.#directory.reduce((total, part) => total + part.length, 0);
    const end = bytesOf([END], [0, 0, this.#entries, this.#entries], [directoryLength, this.#length], [0]);
    return new Blob([...this.#parts, ...this.#directory, end], { type: "application/zip" });
  }
}

function localRecord(nameLength, crc, size) {
  return bytesOf([LOCAL], [20, 0, 0, 0, DATE], [crc, size, size], [nameLength, 0]);
}

function centralRecord(nameLength, crc, size, offset) {
  const sizes = [crc, size, size];
  return bytesOf([CENTRAL], [20, 20, 0, 0, 0, DATE], sizes, [nameLength, 0, 0, 0, 0], [0, offset]);
}

/** Little-endian fields: lists of 32-bit and of 16-bit ones in turn. */
function bytesOf(...lists) {
  const bytes = lists.flatMap((list, place) => list.flatMap((value) => littleEndian(value, place % 2 ? 2 : 4)));
  return new Uint8Array(bytes);
}

function littleEndian(value, length) {
  return Array.from({ length }, (_, place) => Math.floor(value / 256 ** place) % 256);
}

/** CRC-32, as the format demands. */
function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CHECKSUMS[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
