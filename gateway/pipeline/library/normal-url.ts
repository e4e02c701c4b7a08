/** The one form in which hosts and paths are compared (RFC 3986 §6.2.2). Text in, text out; most come out as they are. */

/** What a path without anything to do has none of: escapes, dots behind a slash, a query. */
const PLAIN = /^\/(?!.*(?:%|\/\.|[?#]))(?!\.)/;
const ESCAPE = /%([0-9A-Fa-f]{2})/g;
const UNRESERVED = /[A-Za-z0-9\-._~]/;

/**
 * Without query, escapes of unreserved characters decoded and the others in upper case, dot segments removed. Empty
 * segments stay. Null for one that leads above the root, or does not begin with a slash.
 */
export function normalPath(path: string): string | null {
  if (PLAIN.test(path)) return path;
  if (!path.startsWith("/")) return path === "" ? "/" : null;
  const decoded = withoutQuery(path).replace(ESCAPE, (escape: string, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
  const segments = decoded.slice(1).split("/");
  const kept: string[] = [];
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    if (segment === "..") {
      if (kept.pop() === undefined) return null;
      if (last) kept.push("");
    } else if (segment === ".") {
      if (last) kept.push("");
    } else {
      kept.push(segment);
    }
  }
  return `/${kept.join("/")}`;
}

function withoutQuery(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

/** In lower case, without port and closing dot. */
export function normalHost(host: string): string {
  const lower = host.toLowerCase();
  const colon = lower.lastIndexOf(":");
  // In brackets a colon belongs to the address.
  const name = colon > lower.lastIndexOf("]") ? lower.slice(0, colon) : lower;
  return name.endsWith(".") ? name.slice(0, -1) : name;
}
