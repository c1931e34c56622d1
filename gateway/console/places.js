// Where a stop may be: what was found of its address, for a person to choose from.

import { Attempt, h } from "./dom.js";
import { UNLOCATED, located, personal, plain, stopOf } from "./words.js";

const CHOSEN = "chosen_at_console";

export class Places {
  /** `failed(problem)` is told what went wrong. */
  constructor(api, failed) {
    this.api = api;
    this.failed = failed;
    this.attempt = new Attempt();
  }

  /** Nothing of a stop that needs nobody. */
  of(taskId, stop) {
    const needs = stop.needs_location;
    if (!needs) return null;
    const known = needs.candidates.filter((one) => located(one.location));
    return h("div", { class: "places", role: "group", "aria-label": `Where ${stopOf(stop)} may be` },
      h("p", { class: "note" }, UNLOCATED[needs.reason_code] ?? plain(needs.reason_code)),
      known.map((one) => h("button", { type: "button", class: "quiet", title: `${one.location.lat}, ${one.location.lon}`, onclick: (event) => this.#choose(taskId, stop, one, event.currentTarget) },
        personal(one.label), h("span", { class: "aside" }, ` ${Math.round(100 * one.confidence)} %`))));
  }

  /** The same is sent again after a lost answer, and not another. */
  async #choose(taskId, stop, { location }, button) {
    const body = { stop_id: stop.stop_id, location: { lat: location.lat, lon: location.lon }, reason_code: CHOSEN };
    const key = this.attempt.keyFor(JSON.stringify([taskId, body]));
    button.disabled = true;
    try {
      await this.api.post(`tasks/${taskId}/locate-stop`, body, key);
    } catch (problem) {
      button.disabled = false;
      this.failed(problem);
    }
  }
}
