// The list of tasks, those that are late first, and what needs a person.

import { arrange, h, say } from "./dom.js";
import { Exceptions } from "./exceptions.js";
import { Plans } from "./plans.js";
import { markSvg } from "./marks.js";
import { ENDED, RISKS, away, clock, plain } from "./words.js";

const MOST_SHOWN = 300;
const RANK = { late: 0, at_risk: 1, on_time: 2, planned: 3 };

export class Board {
  /** `routed(routes)` shows a plan's roads on the map. */
  constructor(state, chosen, routed, creates) {
    this.state = state;
    this.chosen = chosen;
    this.wanted = "open";
    this.word = "";
    this.rows = new Map();
    this.search = h("input", {
      type: "search", placeholder: "Search", "aria-label": "Search tasks by code, reference, outlet or rider",
      oninput: (event) => { this.word = event.target.value.trim().toLowerCase(); this.show(); },
    });
    this.choices = Object.entries({ open: "Under way", ended: "Ended", plans: "Plans", desk: "Needs you" }).map(([name, title]) =>
      h("button", { type: "button", "data-wanted": name, onclick: () => this.want(name) }, title),
    );
    this.exceptions = new Exceptions(state, chosen);
    this.plans = new Plans(state, chosen, routed, creates);
    this.list = h("ul", { class: "tasks", id: "tasks" });
    this.note = h("p", { class: "note" });
    this.element = h("section", { class: "board", "aria-label": "Tasks" }, h("div", { class: "tools" }, h("div", { class: "choice", role: "group", "aria-label": "What is listed" }, this.choices), this.search), this.list, this.note, this.plans.element, this.exceptions.element);
  }

  want(name) {
    this.wanted = name;
    this.show();
  }

  show() {
    for (const choice of this.choices) choice.setAttribute("aria-pressed", String(choice.dataset.wanted === this.wanted));
    const [desk, plans] = [this.wanted === "desk", this.wanted === "plans"];
    for (const part of [this.list, this.note]) part.hidden = desk || plans;
    this.exceptions.element.hidden = !desk;
    this.plans.element.hidden = !plans;
    this.search.hidden = plans;
    if (plans) return this.plans.show();
    this.plans.hide();
    if (desk) return this.exceptions.show(this.word);
    const now = Date.now();
    const found = this.wanted === "open" ? this.#open(now) : [...this.state.ended.values()].reverse();
    const tasks = found.filter((task) => this.#meant(task)).slice(0, MOST_SHOWN);
    const rows = tasks.map((task) => this.#row(task, now));
    arrange(this.list, rows);
    for (const id of this.rows.keys()) if (!this.state.tasks.has(id) && !this.state.ended.has(id)) this.rows.delete(id);
    say(this.note, noteOf(found.length, tasks.length, this.state.whole, this.wanted));
  }

  #open(now) {
    const ranked = [...this.state.tasks.values()].map((task) => ({ task, rank: RANK[this.state.riskOfTask(task, now)], due: dueOf(task) ?? "~" }));
    ranked.sort((a, b) => a.rank - b.rank || (a.due < b.due ? -1 : a.due > b.due ? 1 : 0) || (a.task.created_at < b.task.created_at ? 1 : -1));
    return ranked.map(({ task }) => task);
  }

  #meant(task) {
    if (!this.word) return true;
    const words = [task.tracking_code, task.external_reference, task.outlet, task.rider_id && this.state.nameOf(task.rider_id), task.task_id];
    return words.some((word) => word?.toLowerCase().includes(this.word));
  }

  #row(task, now) {
    let row = this.rows.get(task.task_id);
    if (!row) {
      const parts = { mark: h("span", { class: "symbol" }), code: h("span", { class: "code" }), state: h("span", { class: "chip" }), about: h("span", { class: "about" }), due: h("span", { class: "due" }) };
      const button = h("button", { type: "button", class: "task", "data-task-id": task.task_id, onclick: () => this.chosen(task.task_id) }, parts.mark, parts.code, parts.state, parts.about, parts.due);
      row = h("li", {}, button);
      Object.assign(row, { parts, button });
      this.rows.set(task.task_id, row);
    }
    const risk = ENDED.has(task.state) ? (task.late || task.sla_breached ? "late" : "done") : this.state.riskOfTask(task, now);
    if (row.button.dataset.risk !== risk) {
      row.button.dataset.risk = risk;
      row.parts.mark.replaceChildren(markSvg(risk === "done" ? "planned" : risk, risk === "done" ? task.state : RISKS[risk]));
    }
    row.button.dataset.state = task.state;
    row.parts.state.dataset.state = task.state;
    say(row.parts.code, task.tracking_code);
    say(row.parts.state, plain(task.leg ?? task.state));
    say(row.parts.about, [task.outlet, task.rider_id && this.state.nameOf(task.rider_id)].filter(Boolean).join(" → "));
    say(row.parts.due, this.#due(task, now));
    return row;
  }

  #due(task, now) {
    if (ENDED.has(task.state)) return `${task.outcome ? plain(task.outcome) : task.state} ${clock(task.updated_at)}`;
    const due = dueOf(task);
    return due ? `due ${away(due, now)}` : `since ${clock(task.created_at)}`;
  }
}

const dueOf = (task) => task.stops?.filter((stop) => stop.kind === "dropoff" && stop.window).map((stop) => stop.window.end).sort().at(-1);

function noteOf(found, shown, whole, wanted) {
  if (!found) return wanted === "open" ? "No task is under way. Click the map to create one." : "None ended in the last hour.";
  if (!shown) return "No task matches.";
  if (!whole) return `There are more tasks than the ${found} shown.`;
  return shown < found ? `${shown} of ${found}` : "";
}
