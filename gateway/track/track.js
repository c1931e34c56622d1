// Asks for the page again and puts in what has changed; nothing of it ever becomes markup or script here.

import * as mercator from "/console/mercator.js";
import { Streets } from "/console/streets.js";

const EVERY_MS = 15_000;
const ZOOM = 15.4;
const RIDER_PX = 8;
const MAP_PARTS = ["ground", "casing", "lane", "street", "main", "name"];

const main = document.querySelector("main");
const map = document.getElementById("map");
const canvas = document.getElementById("streets");

/** What the map shows: a place in the middle, at one zoom. See Streets for what it asks of a view. */
class Around {
  constructor({ lat, lon }, { clientWidth: width, clientHeight: height }) {
    Object.assign(this, { x: mercator.x(lon), y: mercator.y(lat), width, height, zoom: ZOOM });
    this.density = window.devicePixelRatio || 1;
    this.scale = mercator.TILE_PX * 2 ** ZOOM;
    this.west = this.x - width / 2 / this.scale;
    this.east = this.x + width / 2 / this.scale;
    this.north = this.y - height / 2 / this.scale;
    this.south = this.y + height / 2 / this.scale;
  }

  left(x) {
    return (x - this.x) * this.scale + this.width / 2;
  }

  top(y) {
    return (y - this.y) * this.scale + this.height / 2;
  }
}

const streets = new Streets(async (z, x, y) => {
  const answer = await fetch(`/track/${encodeURIComponent(map.dataset.token)}/tiles/${z}/${x}/${y}.mvt`);
  if (!answer.ok) throw new Error(`tile: ${answer.status}`);
  return answer.arrayBuffer();
}, draw);

function draw() {
  map.hidden = !map.dataset.lat;
  if (map.hidden) return;
  const view = new Around({ lat: Number(map.dataset.lat), lon: Number(map.dataset.lon) }, canvas);
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(MAP_PARTS.map((part) => [part, style.getPropertyValue(`--map-${part}`)]));
  canvas.width = Math.round(view.width * view.density);
  canvas.height = Math.round(view.height * view.density);
  const context = canvas.getContext("2d");
  context.scale(view.density, view.density);
  context.fillStyle = colours.ground;
  context.fillRect(0, 0, view.width, view.height);
  streets.draw(context, view, colours);
  context.beginPath();
  context.arc(view.width / 2, view.height / 2, RIDER_PX, 0, 2 * Math.PI);
  context.fillStyle = style.getPropertyValue("--accent");
  context.strokeStyle = style.getPropertyValue("--paper");
  context.lineWidth = 3;
  context.fill();
  context.stroke();
}

/** The same page as it is now; null while nobody can tell. A document that is fetched so runs no scripts. */
function fetched() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.pathname);
    request.responseType = "document";
    request.onload = () => resolve(request.status === 503 || request.status === 429 ? null : request.response);
    request.onerror = () => resolve(null);
    request.ontimeout = () => resolve(null);
    request.timeout = EVERY_MS;
    request.send();
  });
}

/** Whether there is more to come. What has not changed stays as it is, so that nobody is read the same twice. */
function shown(fresh) {
  const there = fresh.getElementById("map");
  if (!there) return location.reload();
  document.title = fresh.title;
  main.dataset.phase = fresh.querySelector("main").dataset.phase;
  for (const part of main.querySelectorAll("[data-part]")) {
    const now = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (now && now.textContent !== part.textContent) part.replaceChildren(...[...now.childNodes].map((node) => document.importNode(node, true)));
  }
  for (const name of ["lat", "lon"]) map.dataset[name] = there.dataset[name] ?? "";
  draw();
  return fresh.querySelector("script") !== null;
}

let next = 0;

async function follow() {
  const fresh = await fetched();
  if (fresh && !shown(fresh)) {
    document.removeEventListener("visibilitychange", wait);
    return;
  }
  wait();
}

/** Nobody asks for what nobody sees; who comes back sees it as it is now. */
function wait(event) {
  clearTimeout(next);
  if (document.visibilityState === "visible") next = setTimeout(follow, event ? 0 : EVERY_MS);
}

draw();
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.addEventListener("visibilitychange", wait);
wait();
