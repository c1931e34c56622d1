// Who looks: a token and a tenant, from the address's fragment or the form, kept for this tab only.

const KEPT = "logistics.session";

/** What the fragment gives; it leaves the address at once, so that it is in no bookmark and no screenshot. */
export function fromFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("token")) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return session(given.get("token"), given.get("tenant"));
}

export function kept() {
  try {
    const { token, tenant } = JSON.parse(sessionStorage.getItem(KEPT));
    return session(token, tenant);
  } catch {
    return null;
  }
}

export const keep = (one) => sessionStorage.setItem(KEPT, JSON.stringify({ token: one.token, tenant: one.tenant }));
export const forget = () => sessionStorage.removeItem(KEPT);

/** Without a tenant it is the token's own. Null where neither names one. The server judges the token, not we. */
export function session(token, tenant) {
  const claims = claimsOf(token ?? "");
  const own = claims?.tenant === "*" ? "" : claims?.tenant;
  const slug = (tenant || own || "").trim();
  if (!claims || !slug) return null;
  return { token: token.trim(), tenant: slug, role: claims.role ?? "", subject: claims.sub ?? "" };
}

function claimsOf(token) {
  try {
    const part = token.trim().split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0))));
  } catch {
    return null;
  }
}
