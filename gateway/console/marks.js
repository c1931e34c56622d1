// The marks on the map: told apart by shape as much as by colour.

import { svg } from "./dom.js";

const SHAPES = {
  planned: () => svg("circle", { r: 5.5 }),
  on_time: () => svg("circle", { r: 6.5 }),
  at_risk: () => svg("path", { d: "M0-7.5 7.5 6h-15z" }),
  late: () => svg("path", { d: "M0-8 8 0 0 8-8 0z" }),
  outlet: () => svg("path", { d: "M-7-7H7V7H-7z" }),
  draft: () => svg("path", { d: "M0 0C-3-7-8-9-8-15a8 8 0 0 1 16 0c0 6-5 8-8 15z" }),
};
const SIGNS = {
  on_time: "m-3 0 2 2.5 4-5",
  at_risk: "M0-2.5v4M0 3.6v.3",
  late: "M0-4v4.5M0 3.300v.3",
  outlet: "M-4-1.500h8M-3-1.500V4h6v-5.5M-4-1.500l1-2.500h6l1 2.5",
  draft: "M-3-15h6M0-18v6",
};

/** A mark around 0, 0. `hollow` ones are pickups. */
export function markOf(name, hollow = false) {
  const mark = svg("g", { class: `mark ${name}${hollow ? " hollow" : ""}` });
  if (name === "rider") {
    mark.append(svg("path", { class: "nose", d: "M0-14 5.8-4.5H-5.8z" }), svg("circle", { r: 7 }), svg("circle", { class: "heart", r: 2.6 }));
    return mark;
  }
  mark.append(SHAPES[name]());
  if (SIGNS[name]) mark.append(svg("path", { class: "sign", d: SIGNS[name] }));
  return mark;
}

/** A mark on its own, named for those who do not see it. */
export const markSvg = (name, label) =>
  svg("svg", { viewBox: "-9 -9 18 18", role: "img", "aria-label": label, class: "marksvg" }, markOf(name));
