/** Header fields in order, names in lower case. Refuses what the gateway refuses: framing, and values with line breaks. */

/** Belong to one connection or to the framing (RFC 9110 section 7.6.1, RFC 9112 section 6). */
export const FIXED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// eslint-disable-next-line no-control-regex -- the control characters are the point
const VALUE = /^[^\x00-\x08\x0a-\x1f\x7f]*$/;

export function isHeaderName(name: string): boolean {
  return TOKEN.test(name);
}

export function isEditable(name: string | undefined): name is string {
  return name !== undefined && !FIXED.has(name);
}

export function isHeaderValue(value: string): boolean {
  return VALUE.test(value);
}

export class FakeHeaders {
  readonly fields: [string, string][] = [];

  constructor(headers: Readonly<Record<string, string | readonly string[]>>) {
    for (const [name, values] of Object.entries(headers)) {
      for (const value of typeof values === "string" ? [values] : values) this.fields.push([name.toLowerCase(), value]);
    }
  }

  get(name: string | undefined): string | undefined {
    return this.fields.find((field) => field[0] === name)?.[1];
  }

  /** In the place of the first of that name, or at the end. */
  set(name: string | undefined, value: string): boolean {
    if (!isEditable(name) || !isHeaderValue(value)) return false;
    const first = this.fields.findIndex((field) => field[0] === name);
    if (first < 0) return this.add(name, value);
    this.fields[first] = [name, value];
    for (let at = this.fields.length - 1; at > first; at--)
      if (this.fields[at]?.[0] === name) this.fields.splice(at, 1);
    return true;
  }

  add(name: string | undefined, value: string): boolean {
    if (!isEditable(name) || !isHeaderValue(value)) return false;
    this.fields.push([name, value]);
    return true;
  }

  remove(name: string | undefined): boolean {
    if (!isEditable(name) || name === "host") return false;
    const before = this.fields.length;
    for (let at = before - 1; at >= 0; at--) if (this.fields[at]?.[0] === name) this.fields.splice(at, 1);
    return this.fields.length < before;
  }
}
