// A new delivery: from an outlet to a place on the map.

import { Attempt, h } from "./dom.js";
import { Problem } from "./api.js";
import { told } from "./trouble.js";

const WINDOWS = [[30, "within 30 min"], [45, "within 45 min"], [60, "within 1 hour"], [120, "within 2 hours"], [0, "at any time"]];
const FIELDS = { "/outlet": "outlet", "/stops/1/contact/name": "name", "/stops/1/contact/phone": "phone", "/stops/1/address": "address" };

export class NewDelivery {
  /** `created(taskId, consistency)` and `left()` say how it ended. */
  constructor(state, created, left) {
    this.state = state;
    this.created = created;
    this.left = left;
    this.attempt = new Attempt();
  }

  open(place) {
    this.place = place;
    if (this.element?.isConnected) {
      this.where.textContent = words(place);
      return;
    }
    const { outlets } = this.state;
    this.where = h("output", { name: "place" }, words(place));
    this.trouble = h("div", { role: "alert" });
    this.send = h("button", { type: "submit" }, "Create delivery");
    const nearest = [...outlets].sort((a, b) => apart(a.location, place) - apart(b.location, place))[0];
    const options = outlets.map((one) => h("option", { value: one.outlet, selected: one === nearest }, one.name));
    this.element = h("form", { class: "new", "aria-label": "New delivery", novalidate: true, onsubmit: (event) => this.#submitted(event) },
      h("header", {}, h("h2", {}, "New delivery"), h("button", { type: "button", class: "quiet", onclick: () => this.left() }, "Cancel")),
      h("p", { class: "where" }, "To ", this.where, h("span", { class: "aside" }, " · click the map to move it")),
      outlets.length ? null : h("p", { class: "note" }, "The tenant has no outlet yet: create one first."),
      label("From", h("select", { name: "outlet", required: true }, options)),
      label("Recipient", h("input", { name: "name", required: true, maxlength: 200, autocomplete: "off" })),
      label("Phone", h("input", { name: "phone", type: "tel", maxlength: 40, autocomplete: "off", placeholder: "optional" })),
      label("Address or door", h("input", { name: "address", maxlength: 500, autocomplete: "off", placeholder: "optional" })),
      label("Deliver", h("select", { name: "window" }, WINDOWS.map(([minutes, word]) => h("option", { value: minutes, selected: minutes === 60 }, word)))),
      this.trouble, this.send);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.left());
  }

  focus() {
    this.element.elements.namedItem("name").focus();
  }

  async #submitted(event) {
    event.preventDefault();
    const given = new FormData(this.element);
    this.send.disabled = true;
    this.#marked([]);
    try {
      const body = bodyOf(given, this.place);
      const { id, consistency } = await this.state.api.post("tasks", body, this.#keyFor(given));
      this.created(id, consistency);
    } catch (failed) {
      this.trouble.replaceChildren(told(failed));
      if (failed instanceof Problem) this.#marked(failed.errors.map((error) => FIELDS[error.pointer]).filter(Boolean));
    } finally {
      this.send.disabled = false;
    }
  }

  /** The same for each attempt at the same delivery, so that a repeat after a lost answer creates no second one. */
  #keyFor(given) {
    return this.attempt.keyFor(JSON.stringify([...given, this.place]));
  }

  #marked(names) {
    if (!names.length) this.trouble.replaceChildren();
    for (const field of this.element.elements) if (field.name) field.setAttribute("aria-invalid", String(names.includes(field.name)));
    if (names.length) this.element.elements.namedItem(names[0]).focus();
  }
}

function bodyOf(given, location) {
  const word = (name) => given.get(name).trim();
  const minutes = Number(given.get("window"));
  const contact = { name: word("name"), ...(word("phone") && { phone: word("phone") }) };
  const now = new Date();
  const dropoff = {
    kind: "dropoff",
    location,
    contact,
    ...(word("address") && { address: word("address") }),
    ...(minutes && { window: { start: now.toISOString(), end: new Date(now.getTime() + minutes * 60000).toISOString() } }),
  };
  return { kind: "delivery", outlet: given.get("outlet") ?? "", stops: [{ kind: "pickup" }, dropoff], parcels: [{}] };
}

const label = (text, field) => h("label", {}, h("span", {}, text), field);
const words = ({ lat, lon }) => `${lat.toFixed(5)}, ${lon.toFixed(5)}`;
const apart = (a, b) => Math.hypot(a.lat - b.lat, (a.lon - b.lon) * Math.cos((b.lat * Math.PI) / 180));
