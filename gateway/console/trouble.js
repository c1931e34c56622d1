// What went wrong, in the API's own words.

import { h } from "./dom.js";
import { Problem } from "./api.js";

/** An element that tells a failure: title, detail, and each place in the request with what is wrong there. */
export function told(failed) {
  if (!(failed instanceof Problem)) return wrong("The gateway does not answer", String(failed?.message ?? failed));
  return h("div", { class: "problem", "data-code": failed.code },
    h("strong", {}, failed.title),
    failed.detail ? h("p", {}, failed.detail) : null,
    failed.errors.length ? h("ul", {}, failed.errors.map((error) => h("li", {}, h("code", {}, error.pointer), " ", error.detail))) : null,
    failed.requestId ? h("p", { class: "aside" }, `request ${failed.requestId}`) : null);
}

export const wrong = (title, detail) => h("div", { class: "problem" }, h("strong", {}, title), h("p", {}, detail));
