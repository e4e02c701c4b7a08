/**
 * `head.headers`: the fields of a head as an object. Reading looks them up in the received bytes, writing edits the
 * head; nothing is built that is not asked for. Names in any case, values as text (Latin-1), repeated fields joined as
 * RFC 9110 section 5.3 says; `head.getAll` and `head.append` know them singly.
 */
interface FieldAccess {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  remove(name: string): void;
  names(): string[];
}

export type Headers = Record<string, string | undefined>;

export function headerView(head: FieldAccess): Headers {
  return new Proxy<Headers>({}, new HeaderTraps(head));
}

class HeaderTraps implements ProxyHandler<Headers> {
  readonly #head: FieldAccess;

  constructor(head: FieldAccess) {
    this.#head = head;
  }

  get(_: Headers, name: string | symbol): string | undefined {
    return typeof name === "string" ? this.#head.get(name) : undefined;
  }

  set(_: Headers, name: string | symbol, value: unknown): boolean {
    if (typeof name !== "string") return false;
    if (value === undefined) this.#head.remove(name);
    else this.#head.set(name, String(value));
    return true;
  }

  deleteProperty(_: Headers, name: string | symbol): boolean {
    if (typeof name === "string") this.#head.remove(name);
    return true;
  }

  has(_: Headers, name: string | symbol): boolean {
    return typeof name === "string" && this.#head.get(name) !== undefined;
  }

  ownKeys(): string[] {
    return this.#head.names();
  }

  getOwnPropertyDescriptor(_: Headers, name: string | symbol): PropertyDescriptor | undefined {
    if (typeof name !== "string") return undefined;
    const value = this.#head.get(name);
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true };
  }
}
