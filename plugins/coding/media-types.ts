/** Media types of a list: `text/html`, `text/*`, `*+json`. */
export class MediaTypes {
  readonly #exact = new Set<string>();
  readonly #starts: string[] = [];
  readonly #ends: string[] = [];

  constructor(types: readonly string[]) {
    for (const type of types) {
      if (type.endsWith("/*")) this.#starts.push(type.slice(0, -1));
      else if (type.startsWith("*+")) this.#ends.push(type.slice(1));
      else this.#exact.add(type);
    }
  }

  /** `value`: of Content-Type, parameters included. */
  has(value: string | undefined): boolean {
    if (value === undefined) return false;
    const semicolon = value.indexOf(";");
    const type = (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase();
    if (this.#exact.has(type)) return true;
    return this.#starts.some((start) => type.startsWith(start)) || this.#ends.some((end) => type.endsWith(end));
  }
}
