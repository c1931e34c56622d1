// The streets under the map: vector tiles fetched as they come into view, drawn on a canvas.

import { linesOf } from "./mvt.js";

const NEAREST = 14; // its lines are fine enough for everything nearer
const FURTHEST = 12; // the server draws none further out
const MOST_KEPT = 200;
const MOST_DRAWN = 60;
const MOST_ASKED = 6;
const AGAIN_MS = 5000;
const NAMED_FROM = 15.2; // further out, names would hide the streets
const NAME_FONT = "11px system-ui, sans-serif";
const NAME_REACH = 1.7; // of the piece of street that it stands on: the street goes on beyond it
const AROUND = 1.6; // times the view: so much of its surroundings a picture has
const SAME_NAME_PX = 260;
const MOST_NAMES = 80;
const KINDS = [
  { name: "lane", from: -Infinity, width: 1, casing: 0 },
  { name: "street", from: 16, width: 2.2, casing: 1 },
  { name: "main", from: 31, width: 3.4, casing: 1.2 },
];

export class Streets {
  /** `fetched(z, x, y)` gives a tile's bytes; `changed()` is called when there is more to draw. */
  constructor(fetched, changed) {
    this.fetched = fetched;
    this.changed = changed;
    this.kept = new Map();
    this.asked = 0;
    this.drawn = [];
    this.revision = 0; // grows with what has come
  }

  /** Draws what there is of the view, and asks for what is not. How many tiles with streets were drawn. */
  draw(context, view, colours) {
    const wanted = tilesOf(view);
    for (const place of wanted) this.want(place);
    const there = wanted.map((place) => this.kept.get(place.key)).filter((tile) => tile?.paths);
    if (there.length < wanted.filter((place) => !this.kept.get(place.key)?.blank).length) there.unshift(...this.before(wanted));
    else this.drawn = there;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const kind of KINDS) if (kind.casing) strokeAll(context, view, there, kind, colours.casing, kind.casing);
    for (const kind of KINDS) strokeAll(context, view, there, kind, colours[kind.name], 0);
    if (view.zoom >= NAMED_FROM) this.nameAll(context, view, there, colours);
    return there.length;
  }

  /** While new tiles are on their way, the old ones stay. */
  before(wanted) {
    const keys = new Set(wanted.map((place) => place.key));
    return this.drawn.filter((tile) => !keys.has(tile.key));
  }

  /** The same while the view is dragged about: from a picture that reaches beyond it, drawn anew only when it must. */
  drawDragged(context, view, colours) {
    if (!this.picture?.serves(view, colours, this.revision)) this.picture = new Picture(this, view, colours);
    return this.picture.draw(context, view);
  }

  nameAll(context, view, tiles, colours) {
    const placed = [];
    context.font = NAME_FONT;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 3;
    context.strokeStyle = colours.street;
    context.fillStyle = colours.name;
    for (const tile of tiles) {
      const count = 2 ** tile.z;
      const unit = view.scale / count / tile.extent;
      const [left, top] = [view.left(tile.x / count), view.top(tile.y / count)];
      for (const name of tile.names) {
        if (placed.length >= MOST_NAMES) return;
        const x = left + name.x * unit;
        const y = top + name.y * unit;
        if (x < 0 || y < 0 || x > view.width || y > view.height) continue;
        name.width ??= context.measureText(name.text).width;
        if (name.width > name.length * unit * NAME_REACH || crowded(placed, name, x, y)) continue;
        placed.push({ text: name.text, x, y, half: name.width / 2 });
        context.save();
        context.translate(x, y);
        context.rotate(name.turn);
        context.strokeText(name.text, 0, 0);
        context.fillText(name.text, 0, 0);
        context.restore();
      }
    }
  }

  want({ key, z, x, y }) {
    const known = this.kept.get(key);
    if (known) {
      this.kept.delete(key);
      this.kept.set(key, known); // the one that was wanted last goes last
      return;
    }
    if (this.asked >= MOST_ASKED) return;
    this.asked++;
    this.kept.set(key, { key });
    this.load(key, z, x, y);
  }

  async load(key, z, x, y) {
    try {
      const lines = linesOf(await this.fetched(z, x, y), "speeds");
      this.kept.set(key, lines ? { key, z, x, y, extent: lines.extent, paths: pathsOf(lines.lines), names: namesOf(lines.lines) } : { key, blank: true });
    } catch {
      setTimeout(() => {
        this.kept.delete(key);
        this.changed();
      }, AGAIN_MS);
    } finally {
      this.asked--;
    }
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= MOST_KEPT) break;
      this.kept.delete(oldest);
    }
    this.revision++;
    this.changed();
  }
}

/** The streets of a view and of what lies around it. */
class Picture {
  constructor(streets, view, colours) {
    this.colours = colours;
    this.revision = streets.revision;
    this.around = view.grown(AROUND);
    const { width, height, density } = this.around;
    this.canvas = new OffscreenCanvas(Math.round(width * density), Math.round(height * density));
    const context = this.canvas.getContext("2d", { alpha: false });
    context.scale(density, density);
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, width, height);
    this.tiles = streets.draw(context, this.around, colours);
  }

  serves(view, colours, revision) {
    const { around } = this;
    const same = colours === this.colours && revision === this.revision && view.zoom === around.zoom && view.density === around.density;
    return same && view.west >= around.west && view.east <= around.east && view.north >= around.north && view.south <= around.south;
  }

  draw(context, view) {
    const whole = (pixels) => Math.round(pixels * view.density) / view.density;
    const { around } = this;
    context.drawImage(this.canvas, whole(view.left(around.west)), whole(view.top(around.north)), around.width, around.height);
    return this.tiles;
  }
}

function strokeAll(context, view, tiles, kind, colour, casing) {
  const wider = Math.max(0.6, 2 ** ((view.zoom - 14) * 0.62));
  context.strokeStyle = colour;
  for (const tile of tiles) {
    const count = 2 ** tile.z;
    const unit = view.scale / count / tile.extent;
    context.save();
    context.translate(view.left(tile.x / count), view.top(tile.y / count));
    context.scale(unit, unit);
    context.lineWidth = (kind.width * wider + casing * 2) / unit;
    context.stroke(tile.paths.get(kind.name));
    context.restore();
  }
}

function tilesOf(view) {
  const z = Math.min(NEAREST, Math.max(FURTHEST, Math.round(view.zoom)));
  const count = 2 ** z;
  const [west, east] = [Math.floor(view.west * count), Math.floor(view.east * count)];
  const [north, south] = [Math.floor(view.north * count), Math.floor(view.south * count)];
  const tiles = [];
  for (let y = Math.max(0, north); y <= Math.min(count - 1, south); y++) {
    for (let x = Math.max(0, west); x <= Math.min(count - 1, east); x++) tiles.push({ key: `${z}/${x}/${y}`, z, x, y });
  }
  const far = (tile) => Math.hypot(tile.x + 0.5 - view.x * count, tile.y + 0.5 - view.y * count);
  return tiles.sort((a, b) => far(a) - far(b)).slice(0, MOST_DRAWN);
}

/** One path for each kind of street. A street for both ways stands twice in a tile; once is enough to be seen. */
function pathsOf(lines) {
  const paths = new Map(KINDS.map(({ name }) => [name, new Path2D()]));
  const seen = new Set();
  for (const { properties, parts } of lines) {
    const path = paths.get(kindOf(properties).name);
    for (const part of parts) {
      const ends = [`${part[0]},${part[1]}`, `${part.at(-2)},${part.at(-1)}`].sort();
      const key = `${ends}/${part.length}`;
      if (seen.has(key)) continue;
      seen.add(key);
      path.moveTo(part[0], part[1]);
      for (let at = 2; at < part.length; at += 2) path.lineTo(part[at], part[at + 1]);
    }
  }
  return paths;
}

/** Where a street's name may stand, the longest straight pieces first: [{ text, x, y, length, turn }]. */
function namesOf(lines) {
  const names = [];
  for (const { properties, parts } of lines) {
    if (!properties.name) continue;
    for (const part of parts) {
      const [x0, y0, x1, y1] = [part[0], part[1], part.at(-2), part.at(-1)];
      const length = Math.hypot(x1 - x0, y1 - y0);
      const turn = Math.atan((y1 - y0) / (x1 - x0 || 1e-9));
      names.push({ text: properties.name, x: (x0 + x1) / 2, y: (y0 + y1) / 2, length, turn });
    }
  }
  return names.sort((a, b) => b.length - a.length);
}

const crowded = (placed, name, x, y) =>
  placed.some((other) => {
    const apart = Math.hypot(other.x - x, other.y - y);
    return apart < (other.text === name.text ? SAME_NAME_PX : Math.max(24, (other.half + name.width / 2) * 0.8));
  });

const kindOf = ({ speed = 0 }) => KINDS.findLast((kind) => speed >= kind.from);

