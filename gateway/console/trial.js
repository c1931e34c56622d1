// Whom dispatch would put first for a task by other rules, which changes nothing.

import { h } from "./dom.js";
import { told, wrong } from "./trouble.js";
import { excluded } from "./words.js";

const WAITS = new Set(["dispatchable", "offering"]);
const BEGINNING = '{"weights": {"rating": 600}}';

export class Trial {
  constructor(state) {
    this.state = state;
    this.rules = h("textarea", { name: "rules", rows: 4, spellcheck: "false", "aria-label": "Dispatch rules" }, BEGINNING);
    this.found = h("div", { class: "found", "aria-live": "polite" });
    this.send = h("button", { type: "submit" }, "Try");
    const form = h("form", { onsubmit: (event) => this.#submitted(event) }, this.rules, this.send);
    this.element = h("details", { class: "trial", hidden: true }, h("summary", {}, "Try other rules"), form, this.found);
  }

  /** Of another task nothing is left of what was found before. */
  show({ task_id: id, state }) {
    if (this.id !== id) this.found.replaceChildren();
    this.id = id;
    this.element.hidden = !WAITS.has(state);
  }

  async #submitted(event) {
    event.preventDefault();
    const { id } = this;
    this.send.disabled = true;
    try {
      const answer = await this.state.api.post("dispatch-dry-runs", { rules: JSON.parse(this.rules.value), tasks: [id] });
      if (this.id === id) this.#tell(answer.tasks[0]);
    } catch (failed) {
      this.found.replaceChildren(failed instanceof SyntaxError ? wrong("This is no JSON", failed.message) : told(failed));
    } finally {
      this.send.disabled = false;
    }
  }

  #tell({ in_force: now, given, same_first: same }) {
    this.found.replaceChildren(h("dl", {}, [["By the rules in force", now], ["By these", given]].map(([title, one]) => [h("dt", {}, title), h("dd", {}, this.#inWords(one))])),
      h("p", { class: "note" }, same ? "The same would be asked first." : "Another would be asked first."));
  }

  #inWords({ first, able, excluded: out, first_carrier: carrier, able_carriers: carriers }) {
    const riders = first ? `${this.state.nameOf(first.rider_id)} (${first.score.toFixed(1)}), the first of ${able}` : "no rider";
    const shut = Object.entries(out).map(([code, count]) => `${count} ${excluded(code)}`).join(", ");
    const by = carrier ? `; ${this.state.nameOf(carrier.carrier_id)}, the first of ${carriers} carriers` : "";
    return `${riders}${by}${shut ? `; not: ${shut}` : ""}`;
  }
}
