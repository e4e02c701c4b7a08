/** Fields behind a body. A message whose length is known has none, unless its head announces them: as the gateway has it. */
import { FakeHeaders } from "./fake-headers.ts";

/** What a recipient must know before the body (RFC 9110 section 6.5.1). */
export const NO_TRAILERS: ReadonlySet<string> = new Set([
  "authorization",
  "cache-control",
  "content-encoding",
  "content-range",
  "content-type",
  "cookie",
  "host",
  "max-forwards",
  "proxy-authorization",
  "range",
  "set-cookie",
  "trailer",
]);

export class FakeTrailers extends FakeHeaders {
  readonly #head: FakeHeaders;
  #received = false;

  /** `head`: of the same message. */
  constructor(head: FakeHeaders) {
    super({});
    this.#head = head;
  }

  /** What came behind the body. */
  receive(fields: Readonly<Record<string, string>>): this {
    for (const [name, value] of Object.entries(fields)) this.fields.push([name.toLowerCase(), value]);
    this.#received = this.fields.length > 0;
    return this;
  }

  get #sendable(): boolean {
    const chunked = this.#head.get("transfer-encoding") !== undefined;
    return this.#received || chunked || this.#head.get("trailer") !== undefined;
  }

  override set(name: string | undefined, value: string): boolean {
    return this.#sendable && !NO_TRAILERS.has(name ?? "") && super.set(name, value);
  }

  override add(name: string | undefined, value: string): boolean {
    return this.#sendable && !NO_TRAILERS.has(name ?? "") && super.add(name, value);
  }
}
