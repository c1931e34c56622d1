// The console: who looks, what is known, and the parts that show it, put together.

import { Api, Problem } from "./api.js";
import { Board } from "./board.js";
import { Detail } from "./detail.js";
import { byId, say } from "./dom.js";
import { NewDelivery } from "./form.js";
import { CityMap } from "./map.js";
import { markOf } from "./marks.js";
import * as sessions from "./session.js";
import { State } from "./state.js";
import { told } from "./trouble.js";
import { DELIVERING, ENDED, RISKS, away, located } from "./words.js";

const CREATORS = new Set(["dispatcher", "operator", "integrator"]);
const STALE_MS = 120_000;
const TICK_MS = 5000;
const UNKNOWN = "–";

class Console {
  constructor(session) {
    this.api = new Api(session);
    this.state = new State(this.api, (what) => this.changed(what), (failed, of) => this.failed(failed, of));
    this.failures = new Map();
    this.map = new CityMap({
      fetched: (z, x, y) => this.api.tile(z, x, y),
      picked: (place) => this.draft(place),
      chosen: (id) => this.choose(id),
      met: (id) => this.meet(id),
    });
    this.creates = CREATORS.has(session.role);
    this.board = new Board(this.state, (id) => this.choose(id), (routes) => this.map.showRoutes(routes), this.creates);
    this.detail = new Detail(this.state, () => this.back());
    this.form = new NewDelivery(this.state, (id, consistency) => this.choose(id, consistency), () => this.back());
    this.chosen = null;
    byId("hint").hidden = !this.creates;
    say(byId("tenant"), session.tenant);
    byId("whole").addEventListener("click", () => this.whole());
    byId("needs").addEventListener("click", () => this.needs());
  }

  async start() {
    await this.state.start();
    document.body.dataset.state = "open";
    this.whole();
    this.back();
    this.state.box = () => this.map.box;
    this.changed("line");
    setInterval(() => this.tick(), TICK_MS);
  }

  // What is shown

  changed(what) {
    const shows = {
      places: () => this.riders(),
      riders: () => this.riders(),
      directory: () => this.directory(),
      tasks: () => this.tasks(),
      etas: () => this.tasks(),
      counts: () => this.counters(),
      desk: () => this.desk(),
      line: () => this.line(),
    };
    shows[what]();
  }

  tick() {
    this.riders();
    this.tasks();
  }

  riders() {
    const now = Date.now();
    const busy = this.state.tasks.get(this.chosen)?.rider_id;
    const { ranks } = this.detail;
    const riders = [...this.state.places.values()].map((place) => ({
      id: place.rider_id,
      lat: place.lat,
      lon: place.lon,
      bearing: place.bearing_deg,
      stale: now - Date.parse(place.observed_at) > STALE_MS,
      chosen: place.rider_id === busy,
      rank: ranks.get(place.rider_id),
      title: `${this.state.nameOf(place.rider_id)}, seen ${away(place.observed_at, now)}`,
    }));
    this.map.showRiders(riders);
  }

  directory() {
    this.map.showOutlets(this.state.outlets.map((one) => ({ id: one.outlet_id, ...one.location, title: one.name })));
    this.map.showFences(this.state.fences);
  }

  tasks() {
    const now = Date.now();
    const stops = [...this.state.stopsAhead()].filter(({ stop, task }) => stop.kind !== "pickup" || task.task_id === this.chosen).map(({ task, stop }) => {
      const risk = this.state.riskOfStop(task, stop, now);
      const chosen = task.task_id === this.chosen;
      return { id: `${task.task_id}/${stop.stop_id}`, taskId: task.task_id, ...stop.location, kind: stop.kind, risk, chosen, title: `${task.tracking_code}: ${stop.kind}, ${RISKS[risk]}` };
    });
    this.map.showStops(stops);
    this.board.show();
    this.detail.tick();
    this.counters();
  }

  counters() {
    const now = Date.now();
    const sum = (wanted) => this.state.counts.filter(wanted).reduce((total, row) => total + row.tasks, 0);
    const late = [...this.state.tasks.values()].filter((task) => this.state.riskOfTask(task, now) === "late").length;
    const shown = {
      open: sum((row) => !ENDED.has(row.state)),
      delivering: sum((row) => DELIVERING.has(row.state)),
      delivered: sum((row) => row.outcome === "delivered" || row.outcome === "partially_delivered"),
      late: this.#knows("counts", "etas", "tasks", "all") ? sum((row) => row.late && ENDED.has(row.state)) + late : UNKNOWN,
    };
    for (const [name, value] of Object.entries(shown)) {
      const figure = document.querySelector(`[data-counter=${name}]`);
      figure.dataset.some = value > 0 ? "yes" : "no";
      say(figure, String(value));
    }
  }

  desk() {
    const { exceptions, deskWhole } = this.state;
    const found = this.#knows("desk") ? `${exceptions.length}${deskWhole ? "" : "+"}` : UNKNOWN;
    say(byId("needs"), found);
    byId("needs").dataset.some = exceptions.length ? "yes" : "no";
    this.board.show();
  }

  /** A figure that rests on what does not come is none. */
  #knows(...parts) {
    return !parts.some((part) => this.failures.has(part));
  }

  line() {
    byId("link").dataset.live = this.state.live ? "yes" : "no";
    say(byId("link-text"), this.state.live ? "live" : "reconnecting");
  }

  /** What does not come; it is told until it comes again. */
  failed(failed, of) {
    if (failed instanceof Problem && failed.status === 401) return signOut(failed);
    if (failed) this.failures.set(of, failed);
    else if (!this.failures.delete(of)) return;
    this.counters();
    this.desk();
    const [first] = this.failures.values();
    byId("trouble").replaceChildren(...(first ? [told(first)] : []));
  }

  // What is done

  whole() {
    const places = [...this.state.outlets.map((one) => one.location), ...this.state.places.values(), ...[...this.state.stopsAhead()].map(({ stop }) => stop.location)];
    this.map.fit(places.filter(located));
  }

  /** Who may not create is spared a form that would be refused. */
  draft(place) {
    if (!this.creates) return;
    const fresh = !this.form.element?.isConnected;
    if (fresh) this.#show(null);
    this.form.open(place);
    this.map.showDraft(place);
    if (!fresh) return;
    byId("view").replaceChildren(this.form.element);
    this.form.focus();
  }

  choose(id, consistency) {
    this.#show(id);
    this.detail.open(id, consistency);
    byId("view").replaceChildren(this.detail.element);
    this.detail.title.focus({ preventScroll: true });
    byId("panel").scrollTop = 0;
    scrollTo({ top: 0 });
  }

  /** What a rider is busy with. */
  meet(riderId) {
    const task = [...this.state.tasks.values()].find((one) => one.rider_id === riderId);
    if (task) this.choose(task.task_id);
  }

  needs() {
    this.back();
    this.board.want("desk");
    scrollTo({ top: 0 });
  }

  back() {
    const before = this.chosen;
    this.#show(null);
    byId("view").replaceChildren(this.board.element);
    this.board.show();
    if (before) document.querySelector(`.task[data-task-id="${CSS.escape(before)}"]`)?.focus();
  }

  #show(id) {
    this.chosen = id;
    this.form.element?.remove();
    this.form.element = null;
    this.detail.close();
    this.map.showDraft(null);
    this.tasks();
    this.riders();
    const [first] = [...this.state.stopsAhead()].filter(({ task, stop }) => task.task_id === id && stop.kind === "dropoff");
    if (first) this.map.reveal(first.stop.location);
  }
}

async function open(session) {
  document.body.dataset.state = "opening";
  gate(false);
  try {
    await new Console(session).start();
    sessions.keep(session);
  } catch (failed) {
    ask(failed);
  }
}

function signOut(failed) {
  sessions.forget();
  if (failed) sessionStorage.setItem("logistics.why", `${failed.title}: ${failed.detail}`);
  location.reload();
}

function ask(failed) {
  document.body.dataset.state = "asking";
  const why = sessionStorage.getItem("logistics.why");
  sessionStorage.removeItem("logistics.why");
  gate(true);
  byId("refusal").replaceChildren(...(failed ? [told(failed)] : why ? [told(new Problem(401, { title: why }))] : []));
  byId("sign-in").elements.namedItem("token").focus();
}

/** While it stands there, nothing behind it can be reached. */
function gate(shut) {
  byId("gate").hidden = !shut;
  for (const part of document.querySelectorAll("header.bar, main")) part.inert = shut;
}

function signIn(event) {
  event.preventDefault();
  const given = new FormData(event.target);
  const session = sessions.session(given.get("token"), given.get("tenant"));
  if (session) open(session);
  else ask(new Problem(401, { title: "That opens nothing", detail: "It is no token, or it is for every tenant: name one." }));
}

for (const place of document.querySelectorAll("[data-mark]")) place.append(markOf(place.dataset.mark));
byId("sign-in").addEventListener("submit", signIn);
byId("leave").addEventListener("click", () => signOut(null));
addEventListener("hashchange", () => {
  const given = sessions.fromFragment();
  if (!given) return;
  sessions.keep(given);
  location.reload();
});

const session = sessions.fromFragment() ?? sessions.kept();
if (session) open(session);
else ask(null);
