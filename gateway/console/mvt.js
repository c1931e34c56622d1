// Mapbox Vector Tiles 2.1: as much of them as lines need.

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const LINE = 2;
const MOVE_TO = 1;
const LINE_TO = 2;

/**
 * The lines of one layer: `{ extent, lines: [{ properties, parts }] }`, each part a flat array of x, y in the tile's
 * own units. Null where the tile has no such layer. Throws RangeError for bytes that are no tile.
 */
export function linesOf(buffer, wanted) {
  const tile = new Bytes(new Uint8Array(buffer));
  while (!tile.ended) {
    const [field, wire] = tile.tag();
    if (field !== 3 || wire !== BYTES) {
      tile.skip(wire);
      continue;
    }
    const found = layerOf(tile.part());
    if (found.name === wanted) return { extent: found.extent, lines: found.features.map((part) => line(part, found)).filter(Boolean) };
  }
  return null;
}

function layerOf(bytes) {
  const layer = { name: "", extent: 4096, features: [], keys: [], values: [] };
  while (!bytes.ended) {
    const [field, wire] = bytes.tag();
    if (field === 1) layer.name = bytes.text();
    else if (field === 2) layer.features.push(bytes.part());
    else if (field === 3) layer.keys.push(bytes.text());
    else if (field === 4) layer.values.push(valueOf(bytes.part()));
    else if (field === 5) layer.extent = bytes.varint();
    else bytes.skip(wire);
  }
  return layer;
}

function valueOf(bytes) {
  let value = null;
  while (!bytes.ended) {
    const [field, wire] = bytes.tag();
    if (field === 1) value = bytes.text();
    else if (field === 2) value = bytes.float();
    else if (field === 3) value = bytes.double();
    else if (field === 4 || field === 5) value = bytes.varint();
    else if (field === 6) value = unzigzag(bytes.varint());
    else if (field === 7) value = bytes.varint() !== 0;
    else bytes.skip(wire);
  }
  return value;
}

function line(bytes, { keys, values }) {
  const properties = {};
  let type = 0;
  let parts = [];
  while (!bytes.ended) {
    const [field, wire] = bytes.tag();
    if (field === 2) {
      const tags = bytes.part();
      while (!tags.ended) properties[keys[tags.varint()]] = values[tags.varint()];
    } else if (field === 3) type = bytes.varint();
    else if (field === 4) parts = partsOf(bytes.part());
    else bytes.skip(wire);
  }
  return type === LINE ? { properties, parts } : null;
}

function partsOf(bytes) {
  const parts = [];
  let x = 0;
  let y = 0;
  while (!bytes.ended) {
    const order = bytes.varint();
    const command = order & 7;
    for (let left = order >> 3; left > 0; left--) {
      if (command !== MOVE_TO && command !== LINE_TO) throw new RangeError(`command ${command} in a line`);
      x += unzigzag(bytes.varint());
      y += unzigzag(bytes.varint());
      if (command === MOVE_TO) parts.push([]);
      parts.at(-1).push(x, y);
    }
  }
  return parts;
}

const unzigzag = (value) => (value % 2 ? -(value + 1) / 2 : value / 2);

/** A reader of protobuf's wire format. */
class Bytes {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get ended() {
    return this.at >= this.bytes.length;
  }

  tag() {
    const tag = this.varint();
    return [Math.floor(tag / 8), tag & 7];
  }

  varint() {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (this.ended) throw new RangeError("a number has no end");
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  part() {
    return new Bytes(this.taken(this.varint()));
  }

  text() {
    return new TextDecoder().decode(this.taken(this.varint()));
  }

  float() {
    const { buffer, byteOffset } = this.taken(4);
    return new DataView(buffer, byteOffset).getFloat32(0, true);
  }

  double() {
    const { buffer, byteOffset } = this.taken(8);
    return new DataView(buffer, byteOffset).getFloat64(0, true);
  }

  taken(length) {
    if (this.at + length > this.bytes.length) throw new RangeError("the bytes end too early");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  skip(wire) {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.taken(8);
    else if (wire === BYTES) this.taken(this.varint());
    else if (wire === FIXED32) this.taken(4);
    else throw new RangeError(`wire type ${wire}`);
  }
}
