/** `detectProtocol`, `handleTLSClientHello`: what a client speaks, and whom it wants to speak to, before anything is read. */
import { ClientHello, HELLO_BYTES_MAX, HELLO_MORE } from "#net/tls/client-hello.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { PeekingFilter } from "./peeking-filter.ts";
import { FAILED, type Handler } from "./script-filter.ts";

/** `""`: none of them. */
export type Protocol = "HTTP" | "HTTP2" | "TLS" | "SOCKS" | "";

const PREFACE = "PRI * HTTP/2.0\r\n";
const METHODS = ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH "];
const BYTES_MAX = 16;

/** Undefined: not enough to tell. */
export function protocolOf(bytes: Uint8Array): Protocol | undefined {
  const [first, second] = bytes;
  if (first === 0x16) return second === undefined ? undefined : second === 3 ? "TLS" : "";
  if (first === 5 || first === 4) return "SOCKS";
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, BYTES_MAX)).toString("latin1");
  if (PREFACE.startsWith(text) || text.startsWith(PREFACE)) return text.length < PREFACE.length ? undefined : "HTTP2";
  if (METHODS.some((method) => text.startsWith(method))) return "HTTP";
  return METHODS.some((method) => method.startsWith(text)) ? undefined : "";
}

export class DetectProtocol<C extends object> extends PeekingFilter<C> {
  readonly #handler: Handler<Protocol, C, unknown>;

  constructor(scope: Scope<C>, handler: Handler<Protocol, C, unknown>) {
    super(scope, BYTES_MAX);
    this.#handler = handler;
  }

  protected override look(bytes: Uint8Array, last: boolean): boolean {
    const found = protocolOf(bytes) ?? (last ? "" : undefined);
    if (found === undefined) return false;
    this.answer(this.#handler, found, () => {});
    return true;
  }
}

export interface TlsHello {
  /** Lower case; empty when the client names none, or does not speak TLS. */
  readonly serverName: string;
  /** What it offers to speak inside: `h2`, `http/1.1`. */
  readonly alpn: readonly string[];
}

const hello = new ClientHello();

export class HandleTlsClientHello<C extends object> extends PeekingFilter<C> {
  readonly #handler: Handler<TlsHello, C, unknown>;

  constructor(scope: Scope<C>, handler: Handler<TlsHello, C, unknown>) {
    super(scope, HELLO_BYTES_MAX);
    this.#handler = handler;
  }

  protected override look(bytes: Uint8Array, last: boolean): boolean {
    const verdict = hello.read(bytes, 0, bytes.length);
    if (verdict === HELLO_MORE && !last) return false;
    const found: TlsHello =
      verdict > 0 ? { serverName: hello.serverName, alpn: [...hello.alpn] } : { serverName: "", alpn: [] };
    const answer = this.call(this.#handler, found);
    if (answer !== FAILED && answer instanceof Promise) this.waitFor(answer, () => {});
    return true;
  }
}
