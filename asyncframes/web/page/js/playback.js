/** Moves a player on at a pace: each frame as long as its time says, or every frame in turn. */

// After a pause of the whole page, such as a hidden tab, playback goes on instead of jumping.
const MOST_LATE_SECONDS = 0.5;

/** Event: `change` when playback starts or stops. */
export class Playback extends EventTarget {
  isPlaying = false;
  #pace = { kind: "time", value: 1 };
  #at = null;
  #due = 0;
  #nextTick = 0;

  constructor(player, table) {
    super();
    this.player = player;
    this.table = table;
  }

  /** `time:2` plays twice as fast as real time, `frames:10` shows every frame, 10 a second. */
  set pace(text) {
    const [kind, value] = text.split(":");
    this.#pace = { kind, value: Number(value) };
    this.#at = null;
  }

  toggle() {
    if (this.isPlaying) this.stop();
    else this.start();
  }

  start() {
    if (this.isPlaying) return;
    if (this.player.target === this.player.last) this.player.go(0);
    this.#at = null;
    this.#tickLater();
    this.#change(true);
  }

  stop() {
    cancelAnimationFrame(this.#nextTick);
    if (this.isPlaying) this.#change(false);
  }

  #tickLater() {
    this.#nextTick = requestAnimationFrame((now) => this.#tick(now / 1000));
  }

  #change(isPlaying) {
    this.isPlaying = isPlaying;
    this.dispatchEvent(new Event("change"));
  }

  #tick(now) {
    const { player } = this;
    this.#tickLater();
    if (!player.isSettled) this.#at = null;
    else if (player.error || player.index === player.last) this.stop();
    else this.#advance(now);
  }

  #advance(now) {
    const { index } = this.player;
    if (!this.#hasTimes(index)) return;
    // Frames that had to load, or were asked for by somebody, start the clock again.
    if (this.#at !== index || now - this.#due > MOST_LATE_SECONDS) this.#due = now + this.#seconds(index);
    this.#at = index;
    while (now >= this.#due && this.#at < this.player.last && this.#hasTimes(this.#at + 1)) {
      this.#at += 1;
      this.#due += this.#seconds(this.#at);
      if (this.#pace.kind === "frames" || !this.player.pictures.has(this.#at)) break;
    }
    this.player.go(this.#at);
  }

  #seconds(index) {
    if (this.#pace.kind === "frames") return 1 / this.#pace.value;
    return this.table.durationOf(index) / this.#pace.value;
  }

  #hasTimes(index) {
    if (this.#pace.kind === "frames" || this.table.row(index)) return true;
    // The next tick tries again.
    this.table.load(index).catch(() => this.stop());
    return false;
  }
}
