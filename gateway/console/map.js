// The map: a view of the world that is panned and zoomed, streets on a canvas, and what lives on them in SVG.

import { byId, svg } from "./dom.js";
import * as mercator from "./mercator.js";
import { markOf } from "./marks.js";
import { Streets } from "./streets.js";

const FAR_DEG = 0.6;
/** Degrees from the middle place beyond which a place does not widen the view: one far away would empty it. */

function aroundTheirMiddle(places) {
  const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const lat = middle(places.map((place) => place.lat));
  const lon = middle(places.map((place) => place.lon));
  return places.filter((place) => Math.abs(place.lat - lat) <= FAR_DEG && Math.abs(place.lon - lon) <= 2 * FAR_DEG);
}

const ZOOM = { least: 10.5, most: 18, fitted: 15.5 };
const CLICK_PX = 6;
const GLIDE_MS = 1000;
const FAR_PX = 400; // a rider who is further off than this was elsewhere meanwhile: no gliding through houses
const FENCE_UNIT = 2 ** 22; // fences are drawn in these parts of the world, around their anchor
const CIRCLE_SIDES = 72;

export class CityMap {
  /** `picked({lat, lon})` is called for a click on the ground, `chosen(taskId)` on a stop, `met(riderId)` on a rider. */
  constructor({ fetched, picked, chosen, met }) {
    this.ground = byId("ground");
    this.canvas = byId("streets");
    this.overlay = byId("overlay");
    this.layers = Object.fromEntries(
      ["fences", "routes", "outlets", "stops", "riders", "draft"].map((name) => [name, svg("g", { class: name })]),
    );
    this.overlay.append(...Object.values(this.layers));
    this.picked = picked;
    this.chosen = chosen;
    this.met = met;
    this.view = new View();
    this.marks = new Map();
    this.riders = new Map();
    this.fences = [];
    this.routes = [];
    this.streets = new Streets(fetched, () => this.redraw());
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.#listen();
    this.#recolour();
    this.#resize();
  }

  // What is on it

  /** `stops`: [{ id, lat, lon, risk, kind, title, taskId, chosen }] */
  showStops(stops) {
    this.#marked("stops", stops, (stop) => {
      const mark = svg("g", { class: "stop", "data-task-id": stop.taskId, "data-stop-id": stop.id }, svg("title"));
      mark.addEventListener("click", () => this.chosen(stop.taskId));
      return mark;
    }, (mark, stop) => {
      drawn(mark, `${stop.risk}/${stop.kind}`, () => markOf(stop.risk, stop.kind === "pickup"));
      mark.setAttribute("data-risk", stop.risk);
      mark.classList.toggle("chosen", stop.chosen);
      titled(mark, stop.title);
    });
  }

  /** `outlets`: [{ id, lat, lon, title }] */
  showOutlets(outlets) {
    this.#marked("outlets", outlets, () => svg("g", { class: "outlet" }, svg("title"), markOf("outlet")), (mark, outlet) => {
      titled(mark, outlet.title);
    });
  }

  /** `riders`: [{ id, lat, lon, bearing, title, stale, chosen, rank }], with a rank where they could take the open task; they glide from where they were. */
  showRiders(riders) {
    const now = performance.now();
    this.#marked("riders", riders, (rider) => svg("g", { class: "rider", "data-rider-id": rider.id }, svg("title"), markOf("rider")), (mark, rider) => {
      mark.setAttribute("data-lat", rider.lat);
      mark.setAttribute("data-lon", rider.lon);
      mark.classList.toggle("stale", rider.stale);
      mark.classList.toggle("chosen", rider.chosen);
      titled(mark, rider.title);
      ranked(mark, rider.rank);
      this.#headed(mark, rider.bearing);
      this.#glides(rider, now);
    });
    for (const id of this.riders.keys()) if (!this.marks.has(`riders/${id}`)) this.riders.delete(id);
    this.#animate();
  }

  /** `fences`: rows of the read model, as they stand. */
  showFences(fences) {
    this.fences = fences;
    const [first] = fences;
    this.anchor = first ? anchorOf(first.shape) : { x: 0, y: 0 };
    this.layers.fences.replaceChildren(
      ...fences.map((fence) =>
        svg("path", { class: `fence ${fence.kind} ${fence.shape.type}`, d: outline(fence.shape, this.anchor), "data-geofence-id": fence.geofence_id }, svg("title", {}, fence.name)),
      ),
    );
    this.redraw();
  }

  /** `routes`: [{ id, points, colour, title }], lines from place to place. */
  showRoutes(routes) {
    this.routes = routes.map((route) => ({
      path: svg("path", { class: `route hue${route.colour}`, "data-rider-id": route.id }, svg("title", {}, route.title)),
      points: route.points.map((place) => [mercator.x(place.lon), mercator.y(place.lat)]),
    }));
    this.layers.routes.replaceChildren(...this.routes.map((route) => route.path));
    this.redraw();
  }

  /** Where a new delivery goes to; null for nowhere. */
  showDraft(place) {
    this.#marked("draft", place ? [{ id: "draft", ...place }] : [], () => svg("g", { class: "draft" }, markOf("draft")), () => {});
  }

  // What is seen

  /** Puts the places in view, in the middle of it. */
  fit(places) {
    if (!places.length) return;
    const near = aroundTheirMiddle(places);
    const xs = near.map((place) => mercator.x(place.lon));
    const ys = near.map((place) => mercator.y(place.lat));
    const [west, east, north, south] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const room = Math.min(this.view.width / (east - west || 1e-12), this.view.height / (south - north || 1e-12)) * 0.82;
    this.view.x = (west + east) / 2;
    this.view.y = (north + south) / 2;
    this.#zoomTo(Math.min(ZOOM.fitted, Math.log2(room / mercator.TILE_PX)));
  }

  /** Moves only if the place is out of sight. */
  reveal(place) {
    const [x, y] = [mercator.x(place.lon), mercator.y(place.lat)];
    const margin = 40 / this.view.scale;
    if (x > this.view.west + margin && x < this.view.east - margin && y > this.view.north + margin && y < this.view.south - margin) return;
    this.view.x = x;
    this.view.y = y;
    this.redraw();
  }

  /** west,south,east,north in degrees, with room around it. */
  get box() {
    const { west, east, north, south } = this.view;
    const [wide, high] = [(east - west) / 2, (south - north) / 2];
    const x = (value) => Math.min(180, Math.max(-180, mercator.lon(value))).toFixed(5);
    const y = (value) => Math.min(90, Math.max(-90, mercator.lat(value))).toFixed(5);
    return [x(west - wide), y(south + high), x(east + wide), y(north - high)].join(",");
  }

  zoomBy(step, at = { x: this.view.width / 2, y: this.view.height / 2 }) {
    const before = this.view.at(at);
    this.#zoomTo(this.view.zoom + step);
    const after = this.view.at(at);
    this.view.x += before.x - after.x;
    this.view.y += before.y - after.y;
    this.redraw();
  }

  /** All of it, in the next frame. */
  redraw() {
    this.stale = true;
    this.#animate();
  }

  // How

  #zoomTo(zoom) {
    this.view.zoom = Math.min(ZOOM.most, Math.max(ZOOM.least, zoom));
    this.redraw();
  }

  #marked(layer, things, made, changed) {
    const seen = new Set();
    for (const thing of things) {
      const key = `${layer}/${thing.id}`;
      seen.add(key);
      let known = this.marks.get(key);
      if (!known) {
        known = { mark: made(thing) };
        this.marks.set(key, known);
        this.layers[layer].append(known.mark);
      }
      known.x = mercator.x(thing.lon);
      known.y = mercator.y(thing.lat);
      this.#put(known.mark, known);
      changed(known.mark, thing);
    }
    for (const [key, { mark }] of this.marks) {
      if (!key.startsWith(`${layer}/`) || seen.has(key)) continue;
      mark.remove();
      this.marks.delete(key);
    }
  }

  #headed(mark, bearing) {
    const nose = mark.querySelector(".nose");
    nose.setAttribute("visibility", bearing === null ? "hidden" : "visible");
    if (bearing !== null) nose.setAttribute("transform", `rotate(${Math.round(bearing)})`);
  }

  #glides(rider, now) {
    const to = { x: mercator.x(rider.lon), y: mercator.y(rider.lat) };
    const known = this.riders.get(rider.id);
    if (known && known.to.x === to.x && known.to.y === to.y) {
      known.rests = false;
      return;
    }
    const from = known ? placeAt(known, now) : to;
    const far = Math.hypot(from.x - to.x, from.y - to.y) * this.view.scale > FAR_PX;
    this.riders.set(rider.id, { from: far || this.still.matches ? to : from, to, since: now, rests: false });
  }

  #animate() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      if (this.stale) this.#draw();
      this.stale = false;
      if (this.#glide(performance.now())) this.#animate();
    });
  }

  #draw() {
    const { view } = this;
    const context = this.canvas.getContext("2d", { alpha: false });
    context.setTransform(view.density, 0, 0, view.density, 0, 0);
    context.fillStyle = this.colours.ground;
    context.fillRect(0, 0, view.width, view.height);
    const tiles = this.dragging ? this.streets.drawDragged(context, view, this.colours) : this.streets.draw(context, view, this.colours);
    this.ground.dataset.tiles = tiles;
    for (const known of this.marks.values()) this.#put(known.mark, known);
    for (const gliding of this.riders.values()) gliding.rests = false;
    if (this.fences.length) this.#placeFences();
    this.#placeRoutes();
  }

  #placeRoutes() {
    for (const { path, points } of this.routes) {
      path.setAttribute("d", `M${points.map(([x, y]) => `${this.view.left(x).toFixed(1)} ${this.view.top(y).toFixed(1)}`).join("L")}`);
    }
  }

  #put(mark, { x, y }) {
    mark.setAttribute("transform", `translate(${this.view.left(x).toFixed(1)} ${this.view.top(y).toFixed(1)})`);
  }

  /** Puts the riders where they are by now; whether one of them still moves. */
  #glide(now) {
    let moving = false;
    for (const [id, gliding] of this.riders) {
      if (gliding.rests) continue;
      this.#put(this.marks.get(`riders/${id}`).mark, placeAt(gliding, now));
      gliding.rests = gliding.from === gliding.to || now - gliding.since >= GLIDE_MS;
      moving ||= !gliding.rests;
    }
    return moving;
  }

  #placeFences() {
    const unit = this.view.scale / FENCE_UNIT;
    const [x, y] = [this.view.left(this.anchor.x), this.view.top(this.anchor.y)];
    this.layers.fences.setAttribute("transform", `translate(${x} ${y}) scale(${unit})`);
  }

  #recolour() {
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(
      ["ground", "casing", "lane", "street", "main", "name"].map((name) => [name, style.getPropertyValue(`--map-${name}`).trim()]),
    );
    this.redraw();
  }

  #resize() {
    const { width, height } = this.ground.getBoundingClientRect();
    Object.assign(this.view, { width, height, density: Math.min(2, devicePixelRatio || 1) });
    this.canvas.width = Math.round(width * this.view.density);
    this.canvas.height = Math.round(height * this.view.density);
    this.redraw();
  }

  #listen() {
    new ResizeObserver(() => this.#resize()).observe(this.ground);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#recolour());
    byId("nearer").addEventListener("click", () => this.zoomBy(1));
    byId("further").addEventListener("click", () => this.zoomBy(-1));
    this.ground.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    this.ground.addEventListener("keydown", (event) => this.#keyed(event));
    new Pointers(this.ground, {
      dragged: (x, y) => {
        this.dragging = true;
        this.#panned(x, y);
      },
      released: () => {
        this.dragging = false;
        this.redraw();
      },
      pinched: (factor, at) => this.zoomBy(Math.log2(factor), at),
      clicked: (at, target) => this.#clicked(at, target),
    });
  }

  #panned(x, y) {
    this.view.x -= x / this.view.scale;
    this.view.y = Math.min(1, Math.max(0, this.view.y - y / this.view.scale));
    this.redraw();
  }

  #wheeled(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 18 : 1;
    const step = Math.min(0.6, Math.max(-0.6, -event.deltaY * lines * 0.003));
    this.zoomBy(step, within(this.ground, event));
  }

  #keyed(event) {
    const step = 80;
    const keys = {
      ArrowLeft: () => this.#panned(step, 0),
      ArrowRight: () => this.#panned(-step, 0),
      ArrowUp: () => this.#panned(0, step),
      ArrowDown: () => this.#panned(0, -step),
      "+": () => this.zoomBy(1),
      "=": () => this.zoomBy(1),
      "-": () => this.zoomBy(-1),
      Enter: () => this.picked(this.view.place({ x: this.view.width / 2, y: this.view.height / 2 })),
    };
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #clicked(at, target) {
    if (target.closest("[data-stop-id]")) return;
    const rider = target.closest("[data-rider-id]");
    if (rider) this.met(rider.dataset.riderId);
    else this.picked(this.view.place(at));
  }
}

/** What part of the world is seen: its centre as parts of the world, its size in pixels. */
class View {
  x = mercator.x(0);
  y = mercator.y(30);
  zoom = ZOOM.least;
  width = 1;
  height = 1;
  density = 1;

  /** Pixels of the whole world. */
  get scale() {
    return mercator.TILE_PX * 2 ** this.zoom;
  }

  get west() {
    return this.x - this.width / 2 / this.scale;
  }

  get east() {
    return this.x + this.width / 2 / this.scale;
  }

  get north() {
    return this.y - this.height / 2 / this.scale;
  }

  get south() {
    return this.y + this.height / 2 / this.scale;
  }

  /** The same place with more around it. */
  grown(times) {
    return Object.assign(new View(), this, { width: this.width * times, height: this.height * times });
  }

  left(x) {
    return (x - this.x) * this.scale + this.width / 2;
  }

  top(y) {
    return (y - this.y) * this.scale + this.height / 2;
  }

  at({ x, y }) {
    return { x: this.west + x / this.scale, y: this.north + y / this.scale };
  }

  place(pixel) {
    const { x, y } = this.at(pixel);
    return { lat: Number(mercator.lat(y).toFixed(6)), lon: Number(mercator.lon(x).toFixed(6)) };
  }
}

/** One finger or the mouse drags, two fingers zoom, and what does not move is a click. */
class Pointers {
  constructor(element, { dragged, released, pinched, clicked }) {
    const down = new Map();
    let travelled = 0;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      if (!down.size) travelled = 0;
      down.set(event.pointerId, within(element, event));
    });
    element.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      const now = within(element, event);
      travelled += Math.hypot(now.x - before.x, now.y - before.y);
      if (travelled < CLICK_PX) return;
      if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
      if (down.size === 1) dragged(now.x - before.x, now.y - before.y);
      else pinch(event.pointerId, before, now);
      down.set(event.pointerId, now);
    });
    const pinch = (id, before, now) => {
      const [, other] = [...down].find(([pointer]) => pointer !== id);
      const apart = (point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
      pinched(apart(now) / apart(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    };
    element.addEventListener("pointerup", (event) => {
      if (!down.delete(event.pointerId) || down.size) return;
      if (travelled < CLICK_PX) clicked(within(element, event), event.target);
      else released();
    });
    element.addEventListener("pointercancel", (event) => {
      down.delete(event.pointerId);
      if (!down.size) released();
    });
  }
}

function within(element, event) {
  const { left, top } = element.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

function placeAt({ from, to, since }, now) {
  const part = Math.min(1, (now - since) / GLIDE_MS);
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

function titled(mark, text) {
  const title = mark.querySelector("title");
  if (title.textContent !== text) title.textContent = text;
}

/** A mark is drawn anew only when it looks different. */
function drawn(mark, look, made) {
  if (mark.dataset.look === look) return;
  mark.dataset.look = look;
  mark.querySelector(".mark")?.remove();
  mark.append(made());
}

function anchorOf(shape) {
  const [lon, lat] = firstOf(shape);
  return { x: mercator.x(lon), y: mercator.y(lat) };
}

function firstOf(shape) {
  switch (shape.type) {
    case "circle":
      return [shape.center.lon, shape.center.lat];
    case "corridor":
      return shape.line[0];
    default:
      return ringsOf(shape)[0][0];
  }
}

function ringsOf(shape) {
  return shape.type === "multipolygon" ? shape.polygons.flat() : shape.rings;
}

function outline(shape, anchor) {
  const word = ([x, y]) => `${((x - anchor.x) * FENCE_UNIT).toFixed(2)} ${((y - anchor.y) * FENCE_UNIT).toFixed(2)}`;
  return drawnRings(shape).map((ring) => `M${ring.map(word).join("L")}Z`).join("");
}

function drawnRings(shape) {
  switch (shape.type) {
    case "circle":
      return [ringOf(shape)];
    case "corridor":
      return corridorRings(shape);
    default:
      return ringsOf(shape).map((ring) => unrolled(ring).map(([lon, lat]) => [mercator.x(lon), mercator.y(lat)]));
  }
}

/** Without leaps over the antimeridian: the map goes on there. */
function unrolled(line) {
  let turned = 0;
  return line.map(([lon, lat], number) => {
    const step = number > 0 ? lon - line[number - 1][0] : 0;
    if (Math.abs(step) > 180) turned -= 360 * Math.sign(step);
    return [lon + turned, lat];
  });
}

/** A box along each way, and a circle around each vertex, all going the same way around. */
function corridorRings({ line, width_m: width }) {
  const points = unrolled(line);
  const boxes = points.slice(1).map(([lon, lat], number) => {
    const [x, y, toX, toY] = [mercator.x(points[number][0]), mercator.y(points[number][1]), mercator.x(lon), mercator.y(lat)];
    const reach = (width * mercator.ofMetre(lat)) / (Math.hypot(toX - x, toY - y) || 1);
    const [aside, ahead] = [(toY - y) * reach, (toX - x) * reach];
    return [[x - aside, y + ahead], [toX - aside, toY + ahead], [toX + aside, toY - ahead], [x + aside, y - ahead]];
  });
  return [...boxes, ...points.map(([lon, lat]) => ringOf({ center: { lon, lat }, radius_m: width }))];
}

function ringOf({ center, radius_m: radius }) {
  const [x, y] = [mercator.x(center.lon), mercator.y(center.lat)];
  const reach = radius * mercator.ofMetre(center.lat);
  return Array.from({ length: CIRCLE_SIDES }, (_, side) => {
    const turn = (side / CIRCLE_SIDES) * 2 * Math.PI;
    return [x + reach * Math.sin(turn), y + reach * Math.cos(turn)];
  });
}

function ranked(mark, rank) {
  const known = mark.querySelector(".rank");
  if (rank === undefined) return known?.remove();
  if (known) known.textContent = rank;
  else mark.append(svg("text", { class: "rank", x: 9, y: -6 }, String(rank)));
}
