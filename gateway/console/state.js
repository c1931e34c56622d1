// What the page knows, and how it learns of it. Whoever shows it is told by `changed(what)`.

import { ENDED, isAhead, located, riskOf, worst } from "./words.js";

const MAP_EVERY_MS = 1000;
const ETAS_EVERY_MS = 3000;
const COUNTS_EVERY_MS = 5000;
const DESK_EVERY_MS = 10000; // forecasts tell of what will be late without any event
const DESK_GATHER_MS = 1000;
const ALL_EVERY_MS = 60000;
const GATHER_MS = 300;
const RECENT_MS = 3600_000;
const MOST_FRESH = 25; // tasks that are read one by one; more of them are read all at once
const MOST_ENDED = 300;

export class State {
  constructor(api, changed, failed) {
    this.api = api;
    this.changed = changed;
    this.failed = failed;
    this.tasks = new Map(); // those under way, in full
    this.ended = new Map(); // rows of the board
    this.riders = new Map();
    this.places = new Map();
    this.etas = new Map();
    this.outlets = [];
    this.fences = [];
    this.counts = [];
    this.exceptions = [];
    this.deskWhole = true;
    this.whole = true;
    this.fresh = new Set(); // tasks that have changed since they were read
    this.watchers = new Set();
    this.live = false;
    this.timers = [];
  }

  /** Loads everything once, then follows. Rejects with the first problem. */
  async start() {
    await Promise.all([this.#directory(), this.#roster(), this.#tasks(), this.#places(), this.#forecasts(), this.#counted(), this.#desk()]);
    this.closing = this.api.follow(
      (event) => this.#heard(event),
      (open) => this.#line(open),
      () => this.#soon("tasks", () => this.#tasks(), GATHER_MS),
    );
    this.#every("map", MAP_EVERY_MS, () => this.#places());
    this.#every("etas", ETAS_EVERY_MS, () => this.#forecasts());
    this.#every("counts", COUNTS_EVERY_MS, () => this.#counted());
    this.#every("desk", DESK_EVERY_MS, () => this.#desk());
    this.#every("all", ALL_EVERY_MS, () => Promise.all([this.#tasks(), this.#directory(), this.#roster()]));
  }

  stop() {
    this.closing?.();
    this.timers.forEach(clearTimeout);
    this.stopped = true;
  }

  // What follows from it

  riskOfStop(task, stop, now) {
    return riskOf(stop, this.etas.get(`${task.task_id}/${stop.stop_id}`), now);
  }

  riskOfTask(task, now) {
    const promised = task.sla_breached ? "late" : task.sla_at_risk ? "at_risk" : "planned";
    return worst([promised, ...task.stops.filter(isAhead).map((stop) => this.riskOfStop(task, stop, now))]);
  }

  nameOf(riderId) {
    const name = this.riders.get(riderId)?.name;
    return typeof name === "string" && name !== "hidden" && name !== "erased" ? name : `rider ${String(riderId).slice(0, 8)}`;
  }

  /** Stops of tasks under way that have a place. */
  *stopsAhead() {
    for (const task of this.tasks.values()) {
      for (const stop of task.stops) if (isAhead(stop) && located(stop.location)) yield { task, stop };
    }
  }

  // Learning

  task(id, seen = true) {
    return this.api.get(`tasks/${encodeURIComponent(id)}`, {}, { seen });
  }

  async #directory() {
    const [outlets, fences] = await Promise.all([this.api.all("outlets"), this.api.all("geofences")]);
    this.outlets = outlets.items;
    this.fences = fences.items.filter((fence) => !fence.valid_until || Date.parse(fence.valid_until) > Date.now());
    this.changed("directory");
  }

  async #roster() {
    const { items } = await this.api.all("rider-roster");
    this.riders = new Map(items.map((rider) => [rider.rider_id, rider]));
    this.changed("riders");
  }

  async #tasks() {
    const since = new Date(Date.now() - RECENT_MS).toISOString();
    const [open, board] = await Promise.all([this.api.all("tasks"), this.api.all("task-board", { updated_since: since })]);
    this.whole = open.whole;
    this.tasks = new Map(open.items.map((task) => [task.task_id, task]));
    for (const row of board.items) if (ENDED.has(row.state)) this.#over(row);
    this.changed("tasks");
  }

  async #places() {
    const { items } = await this.api.all("live-map", { bbox: this.box?.() });
    this.places = new Map(items.map((place) => [place.rider_id, place]));
    this.changed("places");
  }

  async #forecasts() {
    const { items } = await this.api.all("etas", { open: true });
    this.etas = new Map(items.map((row) => [`${row.task_id}/${row.stop_id}`, row]));
    this.changed("etas");
  }

  async #counted() {
    this.counts = (await this.api.get("task-counts")).items;
    this.changed("counts");
  }

  async #desk() {
    const { items, whole } = await this.api.all("exception-desk");
    this.exceptions = items;
    this.deskWhole = whole;
    this.changed("desk");
  }

  #heard(event) {
    const topic = event.topic;
    if (topic === "logistics.task") this.#stale(event.subject);
    else if (topic === "logistics.directory") this.#soon("directory", () => this.#directory(), GATHER_MS);
    else if (topic === "logistics.fleet") this.#soon("roster", () => this.#roster(), 5000);
    this.#soon("desk", () => this.#desk(), DESK_GATHER_MS);
    for (const watcher of this.watchers) watcher(event);
  }

  #stale(taskId) {
    this.fresh.add(taskId);
    this.#soon("counts", () => this.#counted(), 2 * GATHER_MS);
    this.#soon("tasks", () => this.#freshened(), GATHER_MS);
  }

  async #freshened() {
    const fresh = [...this.fresh];
    this.fresh.clear();
    if (fresh.length > MOST_FRESH) return this.#tasks();
    for (const task of await Promise.all(fresh.map((id) => this.task(id)))) {
      if (ENDED.has(task.state)) this.#over(task);
      else this.tasks.set(task.task_id, task);
    }
    this.changed("tasks");
  }

  /** The ended ones are kept up to a bound, the latest of them. */
  #over(task) {
    this.tasks.delete(task.task_id);
    this.ended.delete(task.task_id);
    this.ended.set(task.task_id, task);
    for (const oldest of this.ended.keys()) {
      if (this.ended.size <= MOST_ENDED) break;
      this.ended.delete(oldest);
    }
  }

  #line(open) {
    this.live = open;
    this.changed("line");
  }

  /** Many events in a row are one reason to look. */
  #soon(name, act, ms) {
    const waiting = (this.waiting ??= new Map());
    if (waiting.has(name) || this.stopped) return;
    waiting.set(name, setTimeout(() => {
      waiting.delete(name);
      act().then(() => this.failed(null, name), (failed) => this.failed(failed, name));
    }, ms));
  }

  /** One after the other, never two at once; a page that nobody looks at does not ask. */
  #every(name, ms, act) {
    const place = this.timers.length;
    const turn = async () => {
      if (this.stopped) return;
      if (!document.hidden) await act().then(() => this.failed(null, name), (failed) => this.failed(failed, name));
      this.timers[place] = setTimeout(turn, ms);
    };
    this.timers.push(setTimeout(turn, ms));
  }
}
