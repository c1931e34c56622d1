// Elements made by hand. Whatever comes from outside becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes by name, `on…` handlers by function, children as nodes or text; null is left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  const known = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...known.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Writes only what has changed, so that the browser has nothing to do otherwise. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes these the children. What has its place stays there: an element that is put anew loses its focus. */
export function arrange(element, wanted) {
  const kept = new Set(wanted);
  for (const child of [...element.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, at) => element.children[at] !== child && element.insertBefore(child, element.children[at] ?? null));
}

/** The key of what is meant: the same as long as that stays, so that a repeat after a lost answer is the same command. */
export class Attempt {
  keyFor(meant) {
    if (this.meant !== meant) Object.assign(this, { meant, key: randomKey() });
    return this.key;
  }

  /** It has come to an end: the same again is another command. */
  over() {
    this.meant = undefined;
  }
}

/** For a command that is sent once, however often it is told. */
export const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
