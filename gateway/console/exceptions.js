// The exception desk: what needs a person now, what waits for the longest first, and the commands that would mend it.

import { Attempt, arrange, h, say } from "./dom.js";
import { told, wrong } from "./trouble.js";
import { EXCEPTIONS, clock, lasted, plain } from "./words.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;
const MOST_ITEMS = 3;
const NOTHING = new Set([null, "", 0]);
const UNSAID = new Set(["id", "at"]);
const OUR_WORDS = /^(incident|round-\d+)$/; // ids that say nothing
const BODIES = {
  "assign-incident": () => ({ assignee: "" }),
  "assign-task": () => ({ rider_id: "" }),
  "review-field-report": (item) => ({ conflict_id: item.id, decision_code: "" }),
  "review-carrier-status": (item) => ({ conflict_id: item.id, decision_code: "" }),
  "review-occurrence": (item) => ({ occurrence_at: item.id, decision_code: "" }),
  "settle-proof-dispute": () => ({ decision_code: "" }),
  "settle-carrier-booking": () => ({ outcome: "delivered", reason_code: "" }),
  "waive-dependency": (item) => ({ on: item.id, reason_code: "" }),
  "take-incident-action": (item) => ({ action: item.action, link: item.link }),
  "resolve-incident": () => ({ resolution_code: "" }),
  "complete-vehicle-maintenance": (item) => ({ maintenance_id: item.id }),
  "cancel-vehicle-maintenance": (item) => ({ maintenance_id: item.id, reason_code: "" }),
  "force-complete-task": () => ({ disposition: "delivered", reason_code: "" }),
  "report-collected": (item) => ({ stop_id: item.id, observed_at: new Date().toISOString(), proofs: [] }),
  "capture-proof": (item) => ({ stop_id: item.id, observed_at: new Date().toISOString(), proofs: [] }),
  "offer-hand-over": () => ({ to_rider: "", place: { lat: 0, lon: 0 }, reason_code: "" }),
  "report-parcels-lost": () => ({ parcel_ids: [], reason_code: "", observed_at: new Date().toISOString() }),
  "accept-counter": (item) => ({ offer_id: item.id }),
  "decline-counter": (item) => ({ offer_id: item.id, reason_code: "" }),
  "locate-stop": (item) => ({ stop_id: item.id, location: { lat: 0, lon: 0 }, reason_code: "" }),
  "report-returned": (item) => ({ stop_id: item.id, observed_at: new Date().toISOString() }),
  "report-vehicle-inspection": () => ({ inspection_id: "", observed_at: new Date().toISOString(), defects: [] }),
  "submit-document": (item) => ({ document_id: "", kind: item.kind }),
  "verify-document": (item) => ({ document_id: item.id, valid_from: "", expires_at: "" }),
  "submit-vehicle-document": (item) => ({ document_id: "", kind: item.kind }),
  "verify-vehicle-document": (item) => ({ document_id: item.id, valid_from: "", expires_at: "" }),
  "set-rider-zones": () => ({ zones: [""] }),
  "record-carrier-status": () => ({ status: "", carrier_event_id: "", observed_at: new Date().toISOString() }),
  "change-recurrence": () => ({ rule: "" }),
  "remove-sla-policy": () => ({}),
  "start-break": () => ({}),
  "end-shift": () => ({}),
};

export class Exceptions {
  /** `chosen(taskId)` opens a task. */
  constructor(state, chosen) {
    this.state = state;
    this.chosen = chosen;
    this.kind = null;
    this.cards = new Map();
    this.kinds = h("div", { class: "kinds", role: "group", "aria-label": "What is the matter" });
    this.list = h("ul", { class: "exceptions", id: "exceptions" });
    this.note = h("p", { class: "note" });
    this.element = h("div", {}, this.kinds, this.list, this.note);
  }

  show(word) {
    this.word = word;
    const { exceptions } = this.state;
    const counted = Map.groupBy(exceptions, (row) => row.kind);
    if (!counted.has(this.kind)) this.kind = null;
    this.#showKinds(counted);
    const meant = exceptions.filter((row) => (!this.kind || row.kind === this.kind) && this.#matches(row, word));
    const cards = meant.map((row) => this.#card(row));
    arrange(this.list, cards);
    const known = new Set(exceptions.map((row) => row.id));
    for (const id of this.cards.keys()) if (!known.has(id)) this.cards.delete(id);
    say(this.note, noteOf(exceptions.length, meant.length, this.state.deskWhole));
  }

  #showKinds(counted) {
    const wanted = JSON.stringify([this.kind, [...counted].map(([kind, rows]) => [kind, rows.length])]);
    if (this.shown === wanted) return;
    this.shown = wanted;
    const choices = counted.size < 2 ? [] : [...counted].sort((a, b) => b[1].length - a[1].length).map(([kind, rows]) =>
      h("button", { type: "button", "aria-pressed": String(kind === this.kind), onclick: () => { this.kind = this.kind === kind ? null : kind; this.show(this.word); } },
        wordsOf(kind).title, h("span", { class: "count" }, rows.length)));
    this.kinds.replaceChildren(...choices);
  }

  #matches(row, word) {
    const words = [row.kind, wordsOf(row.kind).title, this.#subject(row), row.aggregate_id, JSON.stringify([row.items, row.about])];
    return !word || words.some((one) => one.toLowerCase().includes(word));
  }

  /** What somebody is about to send stays as it is while the row does. */
  #card(row) {
    let card = this.cards.get(row.id);
    const version = JSON.stringify([row.items, row.mends, row.about?.links]);
    if (card?.version !== version && !card?.querySelector("form")) {
      card = Object.assign(this.#made(row), { version });
      this.cards.set(row.id, card);
    }
    say(card.subject, this.#subject(row));
    say(card.age, lasted(row.since, Date.now()));
    return card;
  }

  #made(row) {
    const { title, of, grave } = wordsOf(row.kind);
    const age = h("time", { class: "age", datetime: row.since, title: `since ${clock(row.since)}` });
    const subject = of === "task"
      ? h("button", { type: "button", class: "subject", onclick: () => this.chosen(row.aggregate_id) })
      : h("span", { class: "subject", title: row.aggregate_id });
    const mending = h("div", { class: "mending" });
    const items = row.items.slice(0, MOST_ITEMS).map((item) => h("li", {}, this.#facts(item)));
    if (row.items.length > MOST_ITEMS) items.push(h("li", { class: "aside" }, `and ${row.items.length - MOST_ITEMS} more`));
    const card = h("li", { class: "exception", "data-kind": row.kind, "data-id": row.id, "data-grave": grave ? "yes" : "no" },
      h("div", { class: "head" }, h("strong", {}, title), age),
      h("div", { class: "who" }, h("span", { class: "aside" }, `${plain(of)} `), subject),
      row.about?.links?.length ? h("div", { class: "concerns" }, h("span", { class: "aside" }, "concerns "), row.about.links.flatMap((link, at) => [at ? ", " : "", this.#linked(link)])) : null,
      h("ul", { class: "facts" }, items),
      row.mends.length ? h("div", { class: "mends" }, row.mends.map((path) => this.#command(row, path, mending))) : h("p", { class: "aside" }, "Another role mends this."),
      mending);
    return Object.assign(card, { age, subject });
  }

  #subject(row) {
    const { of } = wordsOf(row.kind);
    if (of === "rider") return this.state.nameOf(row.aggregate_id);
    if (of === "task") return row.about?.tracking_code ?? this.#codeOf(row.aggregate_id);
    return row.about?.external_reference ?? row.about?.name ?? (row.about?.kind ? plain(row.about.kind) : row.aggregate_id.slice(0, 8));
  }

  #codeOf(taskId) {
    const task = this.state.tasks.get(taskId) ?? this.state.ended.get(taskId);
    return task?.tracking_code ?? taskId.slice(0, 8);
  }

  #opening(taskId) {
    return h("button", { type: "button", class: "subject", "data-task-id": taskId, onclick: () => this.chosen(taskId) }, this.#codeOf(taskId));
  }

  /** What an incident is about. */
  #linked({ kind, id }) {
    if (kind === "task") return this.#opening(id);
    return kind === "rider" ? this.state.nameOf(id) : `${plain(kind)} ${id.slice(0, 8)}`;
  }

  #facts(item) {
    const told = Object.entries(item).filter(([name, value]) => !UNSAID.has(name) && !NOTHING.has(value));
    if (!UUID.test(item.id) && !OUR_WORDS.test(item.id)) told.unshift(["", item.id]);
    return told.map(([name, value]) => h("span", { class: "fact" }, h("span", { class: "aside" }, `${plain(name.replace(/_(id|code)$/, ""))} `), this.#value(name, value)));
  }

  #value(name, value) {
    if (name === "rider_id" || name === "to_rider") return this.state.nameOf(value);
    if (name === "task_id") return this.#opening(value);
    if (name === "task_ids") return value.flatMap((id, at) => [at ? ", " : "", this.#opening(id)]);
    if (name === "link") return this.#linked(value);
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value === "object") return Object.values(value).filter((one) => !NOTHING.has(one)).map((one) => this.#value("", one)).join(", ");
    if (/_at$/.test(name)) return clock(value);
    return UUID.test(value) ? value.slice(0, 8) : plain(value);
  }

  #command(row, path, mending) {
    const word = path.split("/").at(-1);
    const button = h("button", { type: "button", class: "quiet", "data-command": path, title: `POST /v1/${this.state.api.tenant}/${path}`, "aria-expanded": "false" }, word.replaceAll("-", " "));
    button.addEventListener("click", () => {
      const opens = button.getAttribute("aria-expanded") === "false";
      for (const other of button.parentElement.children) other.setAttribute("aria-expanded", String(opens && other === button));
      mending.replaceChildren(...(opens ? [this.#sending(row, path, word, mending)] : []));
      mending.querySelector("textarea")?.focus();
    });
    return button;
  }

  /** The command's body, to be completed; after a lost answer the same is sent again, and not another. */
  #sending(row, path, word, mending) {
    const about = row.items.find((item) => item.link && path.includes(item.link.id)) ?? row.items[0] ?? {};
    const body = BODIES[word]?.(about) ?? { reason_code: "" };
    const field = h("textarea", { name: "body", rows: 2 + Object.keys(body).length, spellcheck: "false", "aria-label": `Body of ${word}` }, JSON.stringify(body, null, 1));
    const trouble = h("div", { role: "alert" });
    const send = h("button", { type: "submit" }, "Send");
    const form = h("form", {}, field, trouble, send);
    const attempt = new Attempt();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const meant = parsed(field.value);
      if (meant instanceof SyntaxError) return trouble.replaceChildren(wrong("This is no JSON", meant.message));
      send.disabled = true;
      try {
        await this.state.api.post(path, meant, attempt.keyFor(field.value));
        mending.replaceChildren(h("p", { class: "note" }, "Sent. It goes from here once it is mended."));
      } catch (failed) {
        trouble.replaceChildren(told(failed));
        send.disabled = false;
      }
    });
    return form;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (broken) {
    return broken;
  }
}

const wordsOf = (kind) => EXCEPTIONS[kind] ?? { title: plain(kind), of: "task" };

function noteOf(found, shown, whole) {
  if (!found) return "Nothing needs a person now.";
  if (!shown) return "Nothing matches.";
  return whole ? "" : `There is more than the ${found} shown.`;
}
