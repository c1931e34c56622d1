// One task: how far it is, who was asked, who won and why, and all that has happened, down to the records on Kafka.

import { h, say } from "./dom.js";
import { markSvg } from "./marks.js";
import { Places } from "./places.js";
import { Trial } from "./trial.js";
import { told } from "./trouble.js";
import { latestOf, whyOf } from "./why.js";
import { ENDED, RISKS, away, clock, exact, far, isAhead, partyOf, personal, plain, spaced, stopOf } from "./words.js";

const GATHER_MS = 250;
const AGAIN_MS = 1500;
const MOST_EVENTS = 500;
const HEADERS_LAST = new Set(["data"]);

export class Detail {
  constructor(state, left) {
    this.state = state;
    this.left = left;
    this.id = null;
    this.places = new Places(state.api, (failed) => this.trouble.replaceChildren(told(failed)));
    state.watchers.add((event) => this.#concerned(event) && this.#soon(GATHER_MS));
    this.title = h("h2", { tabindex: "-1" });
    this.chips = h("p", { class: "chips", "aria-live": "polite" });
    this.stops = h("ol", { class: "stops" });
    this.parcels = h("section", { class: "parcels", "data-section": "parcels" });
    this.offers = h("section", { class: "offers", "data-section": "offers" });
    this.why = h("section", { class: "why", "data-section": "why" });
    this.trial = new Trial(state);
    this.timeline = h("ol", { class: "timeline", "data-section": "timeline" });
    this.trouble = h("div", { role: "alert" });
    this.element = h("article", { class: "detail", "aria-live": "off" },
      h("header", {}, h("button", { type: "button", class: "quiet back", onclick: () => this.left() }, "← All tasks"), this.title, this.chips),
      this.trouble,
      h("section", {}, h("h3", {}, "Stops"), this.stops),
      this.parcels, this.offers, this.why, this.trial.element,
      h("section", {}, h("h3", {}, "Timeline"), this.timeline));
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.left());
  }

  /** With `consistency`, of the answer that created it, it is waited for. */
  open(id, consistency = true) {
    this.seen = consistency;
    if (this.id !== id) {
      Object.assign(this, { id, task: null, tenders: [], reasons: null, events: new Map() });
      this.title.textContent = "…";
      for (const part of [this.chips, this.stops, this.parcels, this.offers, this.why, this.timeline, this.trouble]) part.replaceChildren();
    }
    this.element.dataset.taskId = id;
    this.#load();
  }

  close() {
    this.id = null;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Of the round that was decided last, the places of those who could take it, by rider; nobody's where no task is open. */
  get ranks() {
    if (this.id === null || !this.reasons) return new Map();
    return new Map(latestOf(this.reasons.decisions)?.candidates.map((one) => [one.rider_id, one.rank]));
  }

  /** What changes with the clock and the forecasts. */
  tick() {
    if (this.task) this.#showHead();
  }

  #concerned(event) {
    return this.id !== null && (event.subject === this.id || event.data?.task_id === this.id || this.tenders.some((tender) => tender.tender_id === event.subject));
  }

  #soon(ms) {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.#load();
    }, ms);
  }

  async #load() {
    const { id, state: { api } } = this;
    const seen = { seen: this.seen };
    try {
      const [task, tenders, reasons] = await Promise.all([
        this.state.task(id, this.seen),
        api.get("tender-board", { task_id: id }, seen),
        api.get(`tasks/${encodeURIComponent(id)}/why`, {}, seen),
      ]);
      const histories = await Promise.all([`tasks/${id}`, ...tenders.items.map((tender) => `tenders/${tender.tender_id}`)]
        .map((of) => api.get(`${of}/history`, { limit: MOST_EVENTS }, seen)));
      if (this.id !== id) return;
      const own = seenFrom(id);
      Object.assign(this, { task, tenders: tenders.items.map(own), reasons: { ...reasons, decisions: reasons.decisions?.map(own) }, seen: true });
      this.trouble.replaceChildren();
      this.#show(histories.flatMap((history) => history.items));
    } catch (failed) {
      if (this.id !== id) return;
      // Read models may be behind for a moment: that is no trouble yet.
      if (this.task === null || failed.status !== 503) this.trouble.replaceChildren(told(failed));
      if (failed.status === 503 || failed.status === 404) this.#soon(AGAIN_MS);
    }
  }

  #show(events) {
    this.#showHead();
    this.#showOffers();
    this.#showWhy();
    this.trial.show(this.task);
    this.#showTimeline(events);
  }

  #showHead() {
    const now = Date.now();
    const { task } = this;
    this.element.dataset.state = task.state;
    say(this.title, task.tracking_code);
    this.#showChips(now);
    anew(this.stops, task.stops.map((stop) => this.#stop(stop, now)));
    const parcels = Object.entries(task.parcels ?? {});
    anew(this.parcels, parcels.length ? [h("h3", {}, "Parcels"), h("ul", {}, parcels.map(([id, parcel]) => this.#parcel(id, parcel)))] : []);
  }

  #parcel(id, parcel) {
    const bound = this.task.stops.find((stop) => stop.stop_id === parcel.bound_for);
    const state = [plain(parcel.status), ...["short", "refused", "damaged"].filter((word) => parcel[word] && word !== parcel.status)].join(", ");
    return h("li", { "data-parcel-id": id },
      h("span", {}, id), h("span", { class: "chip" }, state),
      h("span", { class: "aside" }, ` with ${partyOf(parcel.party, (rider) => this.state.nameOf(rider))}${bound ? `, bound for ${stopOf(bound).toLowerCase()}` : ""}`));
  }

  #showChips(now) {
    const { task } = this;
    const risk = ENDED.has(task.state) ? null : this.state.riskOfTask(task, now);
    anew(this.chips, [
      h("span", { class: "chip", "data-state": task.state }, plain(task.leg ?? task.state)),
      risk && h("span", { class: "risk" }, markSvg(risk, ""), RISKS[risk]),
      task.outcome && h("span", { class: "aside" }, plain(task.outcome)),
      task.rider_id && h("span", { class: "aside" }, this.state.nameOf(task.rider_id)),
      task.external_reference && h("span", { class: "aside" }, task.external_reference),
    ].filter(Boolean));
  }

  #stop(stop, now) {
    const risk = isAhead(stop) ? this.state.riskOfStop(this.task, stop, now) : null;
    const eta = risk && this.state.etas.get(`${this.task.task_id}/${stop.stop_id}`);
    const who = [personal(stop.contact?.name), personal(stop.contact?.phone)].filter(Boolean).join(", ");
    return h("li", { "data-status": stop.status ?? "pending" },
      h("div", {}, h("strong", {}, stopOf(stop)), h("span", { class: "aside" }, ` ${plain(stop.status ?? "pending")}`)),
      who ? h("div", {}, who) : null,
      personal(stop.address) ? h("div", {}, personal(stop.address)) : null,
      this.places.of(this.id, stop),
      stop.window ? h("div", { class: "aside" }, `window ${clock(stop.window.start)}–${clock(stop.window.end)}`) : null,
      stop.ended_at ? h("div", { class: "aside" }, `ended ${clock(stop.ended_at)}`) : null,
      eta ? h("div", { class: "eta" }, markSvg(risk, RISKS[risk]), `${clock(eta.p50)} (${away(eta.p50, now)})`, h("span", { class: "aside" }, ` ${clock(eta.p10)}–${clock(eta.p90)}, ${far(eta.remaining_m)} to go`)) : null);
  }

  #showOffers() {
    const rounds = [...this.tenders].sort((a, b) => b.round - a.round);
    this.offers.replaceChildren(h("h3", {}, "Offers"), ...(rounds.length ? rounds.map((tender) => this.#tender(tender)) : [h("p", { class: "note" }, ENDED.has(this.task.state) ? "Nobody was asked." : "Nobody has been asked yet.")]));
  }

  #tender(tender) {
    const winner = tender.winner && h("p", { class: "winner", "data-winner": tender.winner }, h("span", { "aria-hidden": "true" }, "★ "), "Won by ", h("strong", {}, this.state.nameOf(tender.winner)));
    const offers = Object.entries(tender.offers).map(([id, offer]) =>
      h("li", { "data-offer-id": id, "data-state": offer.state },
        h("span", {}, this.state.nameOf(offer.rider_id ?? offer.carrier_id)),
        h("span", { class: "aside" }, offer.reason_code ? plain(offer.reason_code) : offer.bid ? `bids ${(offer.bid.amount_minor / 100).toFixed(2)} ${offer.bid.currency}` : offer.state === "sent" || offer.state === "viewed" ? `until ${exact(offer.expires_at)}` : ""),
        h("span", { class: "chip", "data-state": offer.state }, plain(offer.state))));
    return h("div", { class: "tender", "data-state": tender.state }, h("p", { class: "aside" }, `Round ${tender.round}, ${tender.mode}: ${tender.state}`), together(tender), winner, offers.length ? h("ul", {}, offers) : h("p", { class: "note" }, "No rider could be asked."),
      tender.bids_until && tender.state === "open" ? h("p", { class: "aside" }, `Bids until ${exact(tender.bids_until)}`) : null,
      tender.waiting.length ? h("p", { class: "aside", "data-waiting": tender.waiting.length }, `Asked next: ${tender.waiting.map((one) => this.state.nameOf(one.rider_id)).join(", ")}`) : null);
  }

  #showWhy() {
    this.why.replaceChildren(...whyOf(this.reasons, (rider) => this.state.nameOf(rider)));
  }

  /** Facts never change: what stands there already stays, opened or not. */
  #showTimeline(events) {
    for (const event of events) if (!this.events.has(event.id)) this.events.set(event.id, { event, item: this.#fact(event) });
    const order = [...this.events.values()].sort((a, b) => (a.event.recordedat < b.event.recordedat ? 1 : a.event.recordedat > b.event.recordedat ? -1 : b.event.aggregateversion - a.event.aggregateversion));
    order.forEach(({ item }, at) => {
      if (this.timeline.children[at] !== item) this.timeline.insertBefore(item, this.timeline.children[at] ?? null);
    });
  }

  #fact(event) {
    const { data } = event;
    const about = [data.rider_id && this.state.nameOf(data.rider_id), data.reason_code && plain(data.reason_code)].filter(Boolean).join(", ");
    const record = h("div", { class: "record" });
    const details = h("details", { "data-event-id": event.id, "data-type": event.type.split(".").at(-1) },
      h("summary", {}, h("time", { datetime: event.time, title: event.time }, exact(event.time)), h("span", { class: "what" }, spaced(event.type)), h("span", { class: "aside" }, about)),
      record);
    details.addEventListener("toggle", () => details.open && !record.hasChildNodes() && record.append(...recordOf(event)));
    return h("li", {}, details);
  }
}

/** Only what looks different is replaced: a selection in it stays, and nobody is told the same twice. */
function anew(element, children) {
  const { childNodes: old } = element;
  if (old.length !== children.length || children.some((child, at) => !child.isEqualNode(old[at]))) element.replaceChildren(...children);
}

/** The record as it stands on Kafka: where, by whom, its headers and its body. */
function recordOf(event) {
  const headers = Object.fromEntries(Object.entries(event).filter(([name]) => !HEADERS_LAST.has(name)));
  const facts = [["Topic", event.topic], ["Partition", event.source.split("/").at(-1)], ["Position", event.position], ["Key", event.subject], ["Version", event.aggregateversion], ["By", event.actor], ["Recorded", event.recordedat]];
  return [
    h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", { "data-record": name.toLowerCase() }, value)])),
    h("h4", {}, "Headers"), h("pre", { tabindex: "0" }, JSON.stringify(headers, null, 2)),
    h("h4", {}, "Body"), h("pre", { tabindex: "0" }, JSON.stringify(event.data, null, 2)),
  ];
}

/** Decisions and tenders as this task has them: its own round, and the others that it is offered with. */
const seenFrom = (id) => (row) => {
  const all = [{ task_id: row.task_id, round: row.round }, ...(row.bundle ?? [])];
  const own = all.find((one) => one.task_id === id) ?? all[0];
  return { ...row, round: own.round, beside: all.filter((one) => one !== own).map((one) => one.task_id) };
};

const together = ({ beside }) => beside.length ? h("p", { class: "aside", "data-together": beside.length }, `Together with ${beside.join(", ")}`) : null;
