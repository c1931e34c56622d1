// Plans: what was asked for, each rider's road ahead by the clock, why tasks are left out, and what came of it.

import { Attempt, arrange, h, say, svg } from "./dom.js";
import { told } from "./trouble.js";
import { clock, excluded, far, lasting, located, plain } from "./words.js";

const WAITS = new Set(["requested", "committing"]);
const LATEST = 20;
const LATELY_MS = 12 * 3600_000;
const AGAIN_MS = 1000;
const ROW_PX = 26;
const NAMES_PX = 84;
const LEAST_PX = 300;
const HOUR_PX = 150;
const LEAST_BAR_PX = 3;
const TICKS_MIN = [5, 10, 15, 30, 60, 120, 240];
const TICK_PX = 56;
const MOST_LEFT = 8;
const LEFT_OUT = {
  skill_missing: "nobody has the skill",
  no_capacity: "no room",
  window_unreachable: "nobody can be there in time",
  shift_too_short: "shifts end too soon",
  ride_too_long: "goods would ride for too long",
  several_rules: "several rules at once",
  not_found: "it would fit, and was not found",
  route_full: "its route has enough tasks",
  several_stops: "has more stops than a pickup and a drop",
  place_unknown: "a place is not known",
  no_rider: "nobody may take it",
  not_waiting: "waits for no rider",
  too_many: "more tasks than a plan has",
};

export class Plans {
  /** `chosen(taskId)` opens a task; `routed(routes)` puts lines on the map: [{ id, points, title }]. */
  constructor(state, chosen, routed, creates) {
    this.state = state;
    this.attempt = new Attempt();
    this.chosen = chosen;
    this.routed = routed;
    this.plans = [];
    this.open = null;
    this.seconds = h("select", { name: "seconds", "aria-label": "How long solvers look" }, [5, 10, 30, 60].map((value) => h("option", { value, selected: value === 10 }, `${value} s`)));
    this.anew = h("input", { type: "checkbox", name: "replan" });
    this.ask = h("button", { type: "submit" }, "Plan what waits");
    this.form = h("form", { class: "asking", "aria-label": "New plan", onsubmit: (event) => this.#asked(event) }, this.ask, this.seconds, h("label", { title: "What riders have not begun may go to others" }, this.anew, " move what is not begun"));
    this.form.hidden = !creates;
    this.creates = creates;
    this.trouble = h("div", { role: "alert" });
    this.list = h("ul", { class: "plans", id: "plans" });
    this.note = h("p", { class: "note" });
    this.detail = h("div", { class: "plan" });
    this.element = h("div", {}, this.form, this.trouble, this.detail, this.list, this.note);
    state.watchers.add((event) => this.shown && this.#concerned(event) && this.#soon(300));
  }

  show() {
    if (!this.shown) this.#soon(0);
    this.shown = true;
  }

  hide() {
    if (!this.shown) return;
    this.shown = false;
    this.routed([]);
  }

  #concerned(event) {
    return /\.(Plan|Route)[A-Z]/.test(event.type ?? "") || event.subject === this.open?.plan_id || this.plans.some((plan) => plan.plan_id === event.subject);
  }

  #soon(ms) {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.#load().then(() => this.trouble.replaceChildren(), (failed) => this.trouble.replaceChildren(told(failed)));
    }, ms);
  }

  /** Those that have changed lately; while the solvers look, only the one that is open is read. */
  async #load() {
    if (!this.open || !WAITS.has(this.open.status) || this.wanted !== this.open.plan_id) {
      const since = new Date(Date.now() - LATELY_MS).toISOString();
      const { items } = await this.state.api.all("plans", { updated_since: since });
      this.plans = items.reverse().slice(0, LATEST);
    }
    const wanted = this.wanted ?? this.plans[0]?.plan_id;
    this.open = wanted === undefined ? null : await this.state.api.get(`plans/${encodeURIComponent(wanted)}`);
    this.#draw();
    if (this.shown && this.open && WAITS.has(this.open.status)) this.#soon(AGAIN_MS);
  }

  choose(id) {
    this.wanted = id;
    this.#soon(0);
  }

  #draw() {
    this.detail.replaceChildren(...(this.open ? this.#planOf(this.open) : []));
    if (this.shown) this.routed(this.open?.proposal ? linesOf(this.open.proposal, this.state) : []);
    arrange(this.list, this.plans.filter((plan) => plan.plan_id !== this.open?.plan_id).map((plan) =>
      h("li", {}, h("button", { type: "button", class: "task plan-row", "data-plan-id": plan.plan_id, onclick: () => this.choose(plan.plan_id) },
        h("span", { class: "code" }, plan.external_reference ?? clock(plan.created_at)), h("span", { class: "chip", "data-state": chipOf(plan.status) }, plain(plan.status)), h("span", { class: "about" }, sumOf(plan)), h("span", { class: "due" }, clock(plan.created_at))))));
    say(this.note, this.plans.length ? "" : "Nothing has been planned lately.");
  }

  #planOf(plan) {
    const { proposal } = plan;
    const head = h("p", { class: "chips" }, h("span", { class: "chip", "data-state": chipOf(plan.status) }, plain(plan.status)), h("span", { class: "aside" }, `asked for at ${clock(plan.created_at)} · ${plan.request.seconds} s · smallest ${plan.request.objective}${plan.request.replan ? " · anew" : ""}`));
    if (!proposal) return [head, h("p", { class: "note" }, plan.status === "requested" ? "The solvers look…" : `${plain(plan.reason_code)}${plan.told ? `: ${plan.told}` : ""}`)];
    const given = proposal.routes.reduce((sum, route) => sum + route.tasks.length, 0);
    const best = proposal.attempts.filter((one) => one.amount !== null);
    return [
      head,
      plan.reason_code ? h("p", { class: "note" }, plain(plan.reason_code)) : null,
      h("p", { class: "told" }, `${given} tasks for ${proposal.routes.filter((route) => route.tasks.length).length} riders, ${far(proposal.metres)}, ${lasting(proposal.driving_seconds)} of driving; by ${proposal.solver}.`),
      ganttOf(plan, this.state, this.chosen),
      best.length ? h("p", { class: "aside" }, best.map((one) => `${one.solver} ${unitOf(plan.request.objective, one)}${one.left_out ? `, ${one.left_out} left out` : ""}`).join(" · ")) : null,
      ...leftOut(proposal, this.state, this.chosen),
      proposal.not_asked.length ? h("p", { class: "aside" }, `Not asked: ${proposal.not_asked.slice(0, MOST_LEFT).map((one) => `${this.state.nameOf(one.rider_id)} (${excluded(one.code)})`).join(", ")}${proposal.not_asked.length > MOST_LEFT ? ` and ${proposal.not_asked.length - MOST_LEFT} more` : ""}`) : null,
      this.creates && plan.status === "proposed" ? h("div", { class: "mends" }, this.#does(plan, "commit-plan", "Commit", {}), this.#does(plan, "reject-plan", "Reject", { reason_code: "not_wanted" }, "quiet")) : null,
    ].filter(Boolean);
  }

  #does(plan, command, title, body, look) {
    return h("button", { type: "button", class: look, "data-command": command, onclick: (event) => this.#sent(event.currentTarget, `plans/${plan.plan_id}/${command}`, body) }, title);
  }

  async #asked(event) {
    event.preventDefault();
    const made = await this.#sent(this.ask, "plans", { seconds: Number(this.seconds.value), replan: this.anew.checked });
    if (made) this.choose(made.id);
  }

  /** A repeat after a lost answer is the same command. */
  async #sent(button, path, body) {
    const key = this.attempt.keyFor(JSON.stringify([path, body, this.open?.status]));
    button.disabled = true;
    try {
      const answer = await this.state.api.post(path, body, key);
      this.attempt.over();
      this.trouble.replaceChildren();
      this.#soon(300);
      return answer;
    } catch (failed) {
      this.trouble.replaceChildren(told(failed));
    } finally {
      button.disabled = false;
    }
  }
}

const chipOf = (status) => ({ committed: "completed", partly_committed: "claimed", committing: "in_progress", rejected: "rejected" })[status] ?? status;
const sumOf = (plan) => {
  const rows = Object.values(plan.tasks);
  return rows.length ? `${rows.filter((row) => row.given).length} of ${rows.length} given` : plain(plan.reason_code ?? plan.request.objective);
};
const unitOf = (objective, one) => (objective === "duration" ? lasting(one.amount) : objective === "vehicles" ? `${one.vehicles} riders, ${far(one.amount)}` : far(one.amount));

/** Each rider's road by the clock: driving as a line, service as a bar; what is new to them stands out. */
function ganttOf(plan, state, chosen) {
  const routes = plan.proposal.routes.filter((route) => route.visits.length);
  if (!routes.length) return h("p", { class: "note" }, "Nobody drives.");
  const from = Math.min(...routes.map((route) => Date.parse(route.starts_at)));
  const until = Math.max(...routes.map((route) => Date.parse(route.ends_at)));
  const hours = Math.max(0.1, (until - from) / 3600_000);
  const width = Math.max(LEAST_PX - NAMES_PX, Math.min(4000, hours * HOUR_PX));
  const x = (time) => NAMES_PX + ((time - from) / (until - from || 1)) * (width - 12);
  const high = ROW_PX * (routes.length + 1);
  const rows = routes.map((route, at) => rowOf(route, at, { plan, state, chosen, x }));
  return h("div", { class: "gantt", tabindex: "0", role: "region", "aria-label": "Each rider's road ahead by the clock" },
    svg("svg", { width: NAMES_PX + width, height: high, viewBox: `0 0 ${NAMES_PX + width} ${high}` }, axisOf(from, until, x, high), rows));
}

function rowOf(route, at, { plan, state, chosen, x }) {
  const top = ROW_PX * (at + 1);
  const middle = top + ROW_PX / 2;
  const fresh = new Set(route.tasks.map((task) => task.task_id));
  const outcome = plan.riders[route.rider_id];
  const parts = [];
  let left = Date.parse(route.starts_at);
  route.visits.forEach((visit, index) => {
    const [arrives, begins, leaves] = [visit.arrives_at, visit.begins_at, visit.leaves_at].map((time) => Date.parse(time));
    parts.push(svg("line", { class: "drive", x1: x(left), x2: x(arrives), y1: middle, y2: middle }));
    if (begins > arrives) parts.push(svg("line", { class: "wait", x1: x(arrives), x2: x(begins), y1: middle, y2: middle }));
    parts.push(barOf(visit, { x, top, begins, leaves, state, chosen, look: lookOf(visit, index, route, fresh, plan) }));
    left = leaves;
  });
  return svg("g", { class: "road", "data-rider-id": route.rider_id, "data-outcome": outcome ? (outcome.committed ? "committed" : "refused") : null },
    svg("text", { class: "who", x: 0, y: middle + 4 }, shortened(state.nameOf(route.rider_id)), svg("title", {}, `${state.nameOf(route.rider_id)}: ${route.tasks.length} new, ${far(route.metres)}${outcome && !outcome.committed ? `, refused: ${plain(outcome.reason_code)}` : ""}`)), parts);
}

function lookOf(visit, index, route, fresh, plan) {
  const settled = plan.tasks[visit.task_id];
  if (settled && !settled.given) return "refused";
  if (fresh.has(visit.task_id)) return "new";
  return index < route.frozen ? "frozen" : "had";
}

function barOf(visit, { x, top, begins, leaves, state, chosen, look }) {
  const task = state.tasks.get(visit.task_id);
  const stop = task?.stops.find((one) => one.stop_id === visit.stop_id);
  const name = `${task?.tracking_code ?? visit.task_id.slice(0, 8)}: ${stop?.kind ?? visit.stop_id}, there ${clock(visit.arrives_at)}, ${clock(visit.begins_at)}–${clock(visit.leaves_at)}${look === "new" ? "" : `, ${look === "had" ? "theirs already" : look}`}`;
  const act = () => chosen(visit.task_id);
  const pickup = stop?.kind === "pickup";
  return svg("rect", {
    class: `visit ${look}`, "data-task-id": visit.task_id, "data-stop-id": visit.stop_id, tabindex: "0", role: "button", "aria-label": name,
    x: x(begins), y: top + (pickup ? 11 : 4), width: Math.max(LEAST_BAR_PX, x(leaves) - x(begins)), height: pickup ? 8 : 18, rx: 1.5,
    onclick: act, onkeydown: (event) => event.key === "Enter" && act(),
  }, svg("title", {}, name));
}

function axisOf(from, until, x, high) {
  const minutes = TICKS_MIN.find((each) => x(from + each * 60_000) - x(from) >= TICK_PX) ?? TICKS_MIN.at(-1);
  const step = minutes * 60_000;
  const ticks = [];
  for (let time = Math.ceil(from / step) * step; time <= until; time += step) {
    ticks.push(svg("line", { class: "tick", x1: x(time), x2: x(time), y1: 18, y2: high }), svg("text", { class: "hour", x: x(time), y: 13 }, clock(time)));
  }
  return ticks;
}

function leftOut(proposal, state, chosen) {
  const groups = [...Map.groupBy(proposal.left_out, (one) => one.code)].sort(([, a], [, b]) => b.length - a.length);
  if (!groups.length) return [];
  const more = Object.values(proposal.more_left_out).reduce((sum, count) => sum + count, 0);
  return [
    h("h4", {}, `Left out: ${proposal.left_out.length + more}`),
    h("ul", { class: "excluded" }, groups.map(([code, tasks]) => h("li", { "data-code": code },
      h("span", {}, tasks.slice(0, MOST_LEFT).map((one, at) => [at ? ", " : "", h("button", { type: "button", class: "subject", title: one.told || null, onclick: () => chosen(one.task_id) }, state.tasks.get(one.task_id)?.tracking_code ?? one.task_id.slice(0, 8))]), tasks.length > MOST_LEFT ? ` and ${tasks.length - MOST_LEFT} more` : ""),
      h("span", { class: "aside" }, `${LEFT_OUT[code] ?? plain(code)} · ${tasks.length}`)))),
  ];
}

/** As the crow flies from stop to stop, from where the rider is. */
function linesOf(proposal, state) {
  return proposal.routes.map((route, at) => {
    const here = state.places.get(route.rider_id);
    const stops = route.visits.map((visit) => state.tasks.get(visit.task_id)?.stops.find((stop) => stop.stop_id === visit.stop_id)?.location);
    return { id: route.rider_id, colour: at % 6, title: state.nameOf(route.rider_id), points: [here, ...stops].filter((place) => place && located(place)) };
  }).filter((line) => line.points.length > 1);
}

const shortened = (name) => (name.length > 12 ? `${name.slice(0, 11)}…` : name);
