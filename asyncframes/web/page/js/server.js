/** The server: requests to it, how they fail, and whether it answers at all. */

const RECONNECT_SECONDS = [0.5, 1, 2, 4];
const PROBE_MS = 5000;
const MOST_TRIES = 6;

/** The server answered with an error: an RFC 9457 problem, or less. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered with status ${status}.`);
    this.status = status;
  }
}

/**
 * Requests wait while the server does not answer, and go on when it does.
 *
 * Events: `lost` when it stops answering, `back` when it answers again.
 */
export class Server extends EventTarget {
  #back = null;
  #retryNow = () => {};

  constructor(base) {
    super();
    this.base = base;
  }

  /** The absolute URL of a path below the page's own. */
  url(path, query = {}) {
    const url = new URL(path, this.base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    return url.href;
  }

  /** Fetch a URL, with options of `fetch`, and read the response; raises `Refused` for an error's status. */
  async read(url, options, read) {
    const { signal } = options;
    for (let attempt = 1; ; attempt++) {
      await unlessAborted(this.#back, signal);
      const response = await this.#answer(url, options, read);
      if (response.ok) return response.value;
      if (!response.isTemporary || attempt === MOST_TRIES) throw response.error;
      await unlessAborted(pause(response.waitSeconds), signal);
    }
  }

  /** Ask now whether the server is back. */
  reconnect() {
    this.#retryNow();
  }

  async #answer(url, options, read) {
    try {
      const response = await fetch(url, options);
      if (response.status === 502) throw new TypeError("a proxy does not reach the server");
      return response.ok ? { ok: true, value: await read(response) } : await refusal(response);
    } catch (error) {
      options.signal?.throwIfAborted();
      // Browsers report every failure of the network as a TypeError.
      if (!(error instanceof TypeError)) throw error;
      this.#lose();
      return { ok: false, isTemporary: true, waitSeconds: 0, error: new Error("The connection breaks each time.") };
    }
  }

  #lose() {
    if (this.#back) return;
    this.#back = this.#untilBack();
    this.dispatchEvent(new Event("lost"));
  }

  async #untilBack() {
    for (let attempt = 0; ; attempt++) {
      const seconds = RECONNECT_SECONDS[Math.min(attempt, RECONNECT_SECONDS.length - 1)];
      await Promise.race([pause(seconds), new Promise((resolve) => { this.#retryNow = resolve; })]);
      const options = { cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) };
      const response = await fetch(this.url("videos"), options).catch(() => null);
      if (response && response.status < 500) break;
    }
    this.#back = null;
    this.dispatchEvent(new Event("back"));
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  return {
    ok: false,
    isTemporary: response.status === 429 || response.status === 503,
    waitSeconds: Number(response.headers.get("Retry-After")) || 1,
    error: new Refused(response.status, problem),
  };
}

function pause(seconds) {
  return new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
}

/** Wait for a promise, but no longer than until the signal aborts. */
async function unlessAborted(promise, signal) {
  signal?.throwIfAborted();
  if (!promise) return;
  if (!signal) return promise;
  const stopped = new AbortController();
  const aborted = new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { signal: stopped.signal });
  });
  await Promise.race([promise, aborted]).finally(() => stopped.abort());
}
