// The gateway, as this page talks to it: queries page by page, commands, and the stream of what happens.

const PAGE = 500;
const MOST_PAGES = 4;
const AGAIN_MS = [1000, 2000, 5000, 10000];
const PATIENCE_MS = 15000;
const SILENT_MS = 45000;

/** An answer that is a problem (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `status ${status}`);
    this.status = status;
    this.code = body.code ?? "";
    this.title = body.title ?? "The request failed";
    this.detail = body.detail ?? "";
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.requestId = body.request_id ?? "";
  }
}

export class Api {
  constructor({ token, tenant }) {
    this.tenant = tenant;
    this.root = `/v1/${encodeURIComponent(tenant)}`;
    this.bearer = { authorization: `Bearer ${token}` };
    this.cursor = null; // where the stream is
  }

  /** With `seen` the read models must have come as far as a command's answer, or (true) as what was told here. */
  async get(path, parameters = {}, { seen = false } = {}) {
    const known = Object.entries(parameters).filter(([, value]) => value !== undefined);
    const query = known.length ? `?${new URLSearchParams(known)}` : "";
    const wanted = seen === true ? this.cursor : seen;
    const headers = wanted ? { "logistics-consistency": wanted } : {};
    return (await this.#sent(`${this.root}/${path}${query}`, { headers })).json();
  }

  /** All items of a listing, up to a bound: `whole` tells whether there were more. */
  async all(path, parameters = {}) {
    const items = [];
    let after;
    for (let page = 0; page < MOST_PAGES; page++) {
      const told = await this.get(path, { ...parameters, limit: PAGE, after });
      items.push(...told.items);
      if (told.next === undefined) return { items, whole: true };
      after = told.next;
    }
    return { items, whole: false };
  }

  async post(path, body, key) {
    const headers = { "content-type": "application/json" };
    if (key) headers["idempotency-key"] = key;
    return (await this.#sent(`${this.root}/${path}`, { method: "POST", headers, body: JSON.stringify(body) })).json();
  }

  async tile(z, x, y) {
    return (await this.#sent(`/console/tiles/${z}/${x}/${y}.mvt`, { cache: "default" })).arrayBuffer();
  }

  /**
   * What happens in the tenant, as it happens: `told(event)` for each, `open(true | false)` as the line goes up and
   * down, `lost()` where something may have been missed. Read by fetch, since an EventSource sends no token and hears
   * only events whose names it was told. Returns what closes it.
   */
  follow(told, open, lost) {
    const closing = new AbortController();
    this.#following(told, open, lost, closing.signal).catch(() => open(false));
    return () => closing.abort();
  }

  async #following(told, open, lost, closing) {
    for (let failures = 0; !closing.aborted; failures++) {
      try {
        const headers = this.cursor === null ? {} : { "last-event-id": this.cursor };
        const lifeline = new AbortController();
        const signal = AbortSignal.any([closing, lifeline.signal]);
        const answer = await this.#sent(`${this.root}/events/stream`, { headers, signal });
        open(true);
        if (this.cursor === null) lost();
        failures = 0;
        for await (const event of spoken(answer.body, lifeline)) {
          this.cursor = event.id;
          told(JSON.parse(event.data));
        }
      } catch (failed) {
        if (failed instanceof Problem && failed.status === 401) return open(false);
        if (failed instanceof Problem && failed.status === 410) this.cursor = null;
      }
      open(false);
      await pause(AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)]);
    }
  }

  async #sent(url, { headers = {}, ...rest }) {
    const answer = await fetch(url, {
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...rest,
      headers: { ...this.bearer, ...headers },
    });
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
    return answer;
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** The events of a server's stream (HTML, section 9.2.6). One that is silent for longer than its heartbeats is dead. */
async function* spoken(body, lifeline) {
  let timer = 0;
  let rest = "";
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => lifeline.abort(), SILENT_MS);
  };
  try {
    alive();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      yield* blocks.map(fields).filter((event) => event.data !== undefined);
    }
  } finally {
    clearTimeout(timer);
  }
}

function fields(block) {
  const lines = block.split("\n").filter((line) => line && !line.startsWith(":"));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
}
