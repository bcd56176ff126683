/** Small pictures for the preview: tiles of one image, which a WebVTT file tells apart. */

const TILES = 100;
const TILE_WIDTH = 160;
const COLUMNS = 10;

export class Sprites {
  #cues = [];
  #image = null;
  #loading = null;

  constructor(video, signal) {
    this.video = video;
    this.signal = signal;
  }

  /** Fetch the tiles, once; nothing of them is fetched before somebody asks. */
  load() {
    this.#loading ??= this.#fetch().catch(() => {});
    return this.#loading;
  }

  /** The tile for a time as arguments of `drawImage`, or undefined. */
  tileAt(seconds) {
    const cue = this.#cues.findLast(({ start }) => start <= seconds) ?? this.#cues[0];
    return cue && { image: this.#image, ...cue.tile };
  }

  async #fetch() {
    const { info } = this.video;
    const seconds = info.duration_seconds ?? info.frame_count / this.video.rate;
    const every = Math.max(seconds / TILES, 1 / this.video.rate).toFixed(3);
    const query = { every, columns: COLUMNS, width: Math.min(TILE_WIDTH, info.width) };
    const text = await this.video.text("sprites.vtt", query, this.signal);
    const cues = parseCues(text);
    if (!cues.length) return;
    const image = new Image();
    image.src = new URL(cues[0].file, this.video.url("sprites.vtt")).href;
    await image.decode();
    [this.#cues, this.#image] = [cues, image];
  }
}

function parseCues(text) {
  const pattern = /([\d:.]+) --> [\d:.]+[^\n]*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;
  return [...text.replaceAll("\r", "").matchAll(pattern)].map(([, start, file, x, y, width, height]) => ({
    start: start.split(":").reduce((total, part) => total * 60 + Number(part), 0),
    file,
    tile: { x: Number(x), y: Number(y), width: Number(width), height: Number(height) },
  }));
}
