// Frames of fixes: read as they stand on the topic `logistics.fixes`, and made for `POST /v1/{tenant}/fixes/frames`.
//
// No dependencies. A fix is {device_id, rider_id, at_ms, lat, lon, speed_mps, bearing_deg, accuracy_m, battery_pct, mock};
// what is not known is null, as the rider of a device that nobody held.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const MOST_FIXES = 500;
const SPAN_MS = 65_000;

// In the order of the Avro record: bytes of an entry, and how it is read and written, little-endian.
const COLUMNS = {
  device: [4, "UInt32LE"],
  offset_ms: [2, "UInt16LE"],
  lat: [4, "Int32LE"],
  lon: [4, "Int32LE"],
  speed: [2, "UInt16LE"],
  bearing: [1, "UInt8"],
  accuracy: [1, "UInt8"],
  battery: [1, "UInt8"],
  flags: [1, "UInt8"],
};

// As much of Avro's binary encoding as a frame needs.
class Avro {
  constructor(data) {
    this.data = data;
    this.at = 0;
  }

  bigLong() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (this.at >= this.data.length) throw new RangeError("the value is cut off");
      const byte = this.data[this.at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
  }

  long() {
    return Number(this.bigLong());
  }

  bytes() {
    const length = this.long();
    if (length < 0 || length > this.data.length - this.at) throw new RangeError("the value is cut off");
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }

  strings() {
    const found = [];
    for (let count = this.long(); count !== 0; count = this.long()) {
      if (count < 0) this.long(); // a block that tells its size, too
      for (let left = Math.abs(count); left > 0; left--) found.push(this.bytes().toString("utf8"));
    }
    return found;
  }
}

// Of a record's value (a Buffer): a zero, the schema's id (4 bytes), and the record.
export function decodeFrame(value) {
  if (value.length < 5 || value[0] !== 0) throw new RangeError("the value is not in Confluent framing");
  const avro = new Avro(value.subarray(5));
  const [layout, count] = [avro.long(), avro.long()];
  const baseMs = Number(avro.bigLong() / 1000n);
  avro.bigLong(); // when it was received
  if (layout !== 1) throw new RangeError(`layout ${layout} is not known`);
  const [devices, riders] = [avro.strings(), avro.strings()];
  if (devices.length !== riders.length) throw new RangeError(`${devices.length} devices and ${riders.length} riders`);
  const columns = {};
  for (const name of Object.keys(COLUMNS)) columns[name] = column(name, avro.bytes(), count);
  if (columns.device.some((device) => device >= devices.length)) {
    throw new RangeError("a fix is of a device that the frame does not name");
  }
  return columns.device.map((device, place) => ({
    device_id: devices[device],
    rider_id: riders[device] || null,
    at_ms: baseMs + columns.offset_ms[place],
    lat: columns.lat[place] / 1e6,
    lon: columns.lon[place] / 1e6,
    speed_mps: columns.speed[place] === 0xffff ? null : columns.speed[place] / 100,
    bearing_deg: columns.bearing[place] === 0xff ? null : columns.bearing[place] * 2,
    accuracy_m: columns.accuracy[place] === 0xff ? null : columns.accuracy[place],
    battery_pct: columns.battery[place] === 0xff ? null : columns.battery[place],
    mock: (columns.flags[place] & 1) === 1,
  }));
}

function column(name, packed, count) {
  if (name === "flags" && packed.length === 0) return new Array(count).fill(0);
  const [size, kind] = COLUMNS[name];
  if (packed.length !== count * size) throw new RangeError(`column ${name} has ${packed.length} bytes for ${count} fixes`);
  return Array.from({ length: count }, (_, place) => packed[`read${kind}`](place * size));
}

// The body of `POST /v1/{tenant}/fixes/frames`; what a fix leaves out is not known.
export function encodeFrame(fixes) {
  const times = fixes.map((fix) => fix.at_ms);
  const base = Math.min(...times);
  if (fixes.length === 0 || fixes.length > MOST_FIXES || Math.max(...times) - base > SPAN_MS) {
    throw new RangeError(`a frame has 1 to ${MOST_FIXES} fixes of ${SPAN_MS} ms`);
  }
  const devices = [...new Set(fixes.map((fix) => fix.device_id))].sort();
  const frame = { count: fixes.length, base_time: new Date(base).toISOString(), devices };
  const told = {
    device: (fix) => devices.indexOf(fix.device_id),
    offset_ms: (fix) => fix.at_ms - base,
    lat: (fix) => Math.round(fix.lat * 1e6),
    lon: (fix) => Math.round(fix.lon * 1e6),
    speed: (fix) => scaled(fix.speed_mps, 100, 0xfffe, 0xffff),
    bearing: (fix) => scaled(fix.bearing_deg == null ? null : fix.bearing_deg % 360, 0.5, 180, 0xff),
    accuracy: (fix) => scaled(fix.accuracy_m, 1, 254, 0xff),
    battery: (fix) => scaled(fix.battery_pct, 1, 100, 0xff),
    flags: (fix) => (fix.mock ? 1 : 0),
  };
  for (const [name, [size, kind]] of Object.entries(COLUMNS)) {
    const packed = Buffer.alloc(fixes.length * size);
    fixes.forEach((fix, place) => packed[`write${kind}`](told[name](fix), place * size));
    frame[name] = packed.toString("base64");
  }
  return frame;
}

function scaled(value, factor, most, notKnown) {
  return value == null ? notKnown : Math.min(most, Math.round(value * factor));
}

// Of {"decode": Base64} or {"encode": [fix, …]}.
function answer(asked) {
  try {
    if ("decode" in asked) return { fixes: decodeFrame(Buffer.from(asked.decode, "base64")) };
    return { frame: encodeFrame(asked.encode) };
  } catch (wrong) {
    if (wrong instanceof RangeError) return { error: wrong.message };
    throw wrong;
  }
}

// A line that asks for nothing is named in the error, and ends nothing; the exit code is 1 then.
function answerLine(number, line) {
  try {
    const asked = JSON.parse(line);
    if (typeof asked.decode !== "string" && !Array.isArray(asked.encode)) {
      throw new TypeError('{"decode": "…"} or {"encode": […]} is needed');
    }
    if (asked.encode?.some((fix) => typeof fix?.device_id !== "string")) throw new TypeError("a fix has a device_id");
    return answer(asked);
  } catch (wrong) {
    process.exitCode = 1;
    return { error: `line ${number}: ${wrong.message}` };
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  let number = 0;
  for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(answerLine(++number, line)));
}
