// Why this rider, and why nobody: each round in words, who could do it with what their scores are made of, who could not.

import { h } from "./dom.js";
import { exact, excluded, far, lasting, plain } from "./words.js";

const PARTS = [
  { name: "travel", of: "travel_s", title: "Travel", told: lasting },
  { name: "detour", of: "detour_s", title: "Detour", told: lasting },
  { name: "lateness", of: "lateness_s", title: "Late", told: lasting },
  { name: "balance", of: "tasks", title: "Tasks", told: String },
  { name: "cost", of: "cost", title: "Cost", told: (minor) => (minor / 100).toFixed(2) },
  { name: "rating", of: "rating_below_5", title: "Rating", told: (below) => (5 - below).toFixed(1) },
];
const MOST_OTHERS = 10;
const RIDER = /\brider ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/gi;

export function whyOf({ task_id: task, told, decisions }, nameOf) {
  if (!told.length) return [];
  const latest = latestOf(decisions);
  const before = decisions.filter((one) => one !== latest).sort((a, b) => b.round - a.round);
  return [
    h("h3", {}, "Why"),
    h("ul", { class: "told" }, told.map((sentence) => h("li", {}, sentence.replaceAll(`Task ${task}`, "This task").replaceAll(RIDER, (_, rider) => nameOf(rider))))),
    ...(latest ? roundOf(latest, nameOf) : []),
    ...before.map((one) => h("details", { "data-round": one.round }, h("summary", {}, `Round ${one.round}`), ...roundOf(one, nameOf))),
  ];
}

export const latestOf = (decisions) => decisions.reduce((latest, one) => (latest && latest.round > one.round ? latest : one), undefined);

function roundOf(decision, nameOf) {
  const { candidates, others, excluded: out, weights, in_window: window } = decision;
  const best = [...candidates].sort((a, b) => a.rank - b.rank);
  return [
    h("p", { class: "aside" }, `Round ${decision.round} · ${plain(decision.mode)} · ${plain(decision.solver)}${window ? ` · with ${window.tasks} tasks in a window` : ""} · rules v${decision.policy_version} · ${exact(decision.decided_at)}`),
    best.length ? tableOf(best, weights, nameOf) : h("p", { class: "note" }, "Nobody could take it."),
    others?.rider_ids.length ? othersOf(others, window ? "Behind them" : "Further off, as the crow flies", nameOf) : null,
    ...(out.length ? outOf(out, nameOf) : []),
  ].filter(Boolean);
}

/** A part of a score as it counts; what it is made of stands behind it. */
function tableOf(best, weights, nameOf) {
  const parts = weights ? PARTS : [];
  return h("div", { class: "scores", tabindex: "0", role: "region", "aria-label": "Candidates and their scores" },
    h("table", { class: "candidates" },
      h("thead", {}, h("tr", {},
        ["#", "Rider", "Score"].map((title) => h("th", { scope: "col" }, title)),
        parts.map((part) => h("th", { scope: "col" }, part.title, h("br"), `×${weights[part.name]}`)))),
      h("tbody", {}, best.map((one) => h("tr", { "data-rider-id": one.rider_id },
        h("td", {}, one.rank),
        h("th", { scope: "row", title: `${far(one.distance_m)}, ${one.source === "great_circle" ? "as the crow flies" : "by road"}` }, nameOf(one.rider_id)),
        h("td", { class: "figure" }, one.score.toFixed(1)),
        parts.map((part) => partOf(one, part, weights[part.name])))))));
}

function partOf(one, part, weight) {
  const much = one.parts?.[part.of];
  if (much === undefined) return h("td", {}, "–");
  return h("td", { "data-part": part.name, title: `${part.told(much)} × ${weight}` }, (much * weight).toFixed(1));
}

function othersOf({ rider_ids: riders, scores }, which, nameOf) {
  const shown = riders.slice(0, MOST_OTHERS).map((rider, at) => `${nameOf(rider)} ${scores[at].toFixed(0)}`);
  const more = riders.length - shown.length;
  return h("p", { class: "aside", "data-others": riders.length }, `${which}: ${shown.join(", ")}${more ? ` and ${more} more` : ""}`);
}

function outOf(out, nameOf) {
  const groups = [...Map.groupBy(out, (one) => one.code)].sort(([, a], [, b]) => b.length - a.length);
  return [
    h("h4", {}, `Not asked: ${out.length}`),
    h("ul", { class: "excluded" }, groups.map(([code, riders]) => h("li", { "data-code": code },
      h("span", {}, riders.slice(0, MOST_OTHERS).map((one) => nameOf(one.rider_id)).join(", "), riders.length > MOST_OTHERS ? ` and ${riders.length - MOST_OTHERS} more` : ""),
      h("span", { class: "aside" }, `${excluded(code)} · ${riders.length}`)))),
  ];
}
