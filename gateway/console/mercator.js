// Web Mercator (EPSG:3857) with the world as a square from 0 to 1, x to the east and y to the south.

export const TILE_PX = 256;
const EARTH_M = 40_075_016.686;

export const x = (lon) => (lon + 180) / 360;
export const y = (lat) => (1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2;
export const lon = (x) => x * 360 - 180;
export const lat = (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;

/** How much of the world a metre is, at a latitude. */
export const ofMetre = (degrees) => 1 / (EARTH_M * Math.cos((degrees * Math.PI) / 180));
