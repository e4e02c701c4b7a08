/**
 * The client's side of a SOCKS 5 handshake (RFC 1928, RFC 1929). Pure. What the caller wants to send waits until it is
 * done: a server may refuse.
 */
import { readDestination, writeDestination, type Destination } from "./address.ts";

export interface SocksCredentials {
  readonly user: string;
  readonly password: string;
}

export interface ConnectStep {
  readonly send: Uint8Array | null;
  /** The stream is open; `rest` is the first of it. */
  readonly done: boolean;
  readonly failed: string | null;
}

const OPEN = 0;
const BY_PASSWORD = 2;
/** More is to come. */
export const WAITING: ConnectStep = { send: null, done: false, failed: null };

/** RFC 1928 §6. */
const REPLIES = [
  "",
  "general failure",
  "not allowed",
  "network unreachable",
  "host unreachable",
  "connection refused",
  "time to live expired",
  "command not supported",
  "address type not supported",
];

export class SocksClient {
  readonly #request: Uint8Array | null;
  readonly #credentials: SocksCredentials | null;
  #stage: "method" | "status" | "reply" | "done" = "method";
  #held: Uint8Array = new Uint8Array(0);

  constructor(destination: Destination, credentials: SocksCredentials | null = null) {
    const where = writeDestination(destination);
    this.#request = where === null ? null : Buffer.from([5, 1, 0, ...where]);
    this.#credentials = credentials;
  }

  get rest(): Uint8Array {
    return this.#held;
  }

  /** The first step. */
  start(): ConnectStep {
    if (this.#request === null) return connectFailed("a destination that SOCKS can't name");
    const { user, password } = this.#credentials ?? { user: "", password: "" };
    if (Buffer.byteLength(user) > 255 || Buffer.byteLength(password) > 255)
      return connectFailed("a user or password of over 255 bytes");
    const methods = this.#credentials === null ? [OPEN] : [OPEN, BY_PASSWORD];
    return { ...WAITING, send: Buffer.from([5, methods.length, ...methods]) };
  }

  push(bytes: Uint8Array): ConnectStep {
    this.#held = Buffer.concat([this.#held, bytes]);
    const sent: Uint8Array[] = [];
    for (;;) {
      const before = this.#stage;
      const step = this.#next();
      if (step.send !== null) sent.push(step.send);
      if (!step.done && step.failed === null && this.#stage !== before) continue;
      return { ...step, send: sent.length === 0 ? null : Buffer.concat(sent) };
    }
  }

  #next(): ConnectStep {
    if (this.#stage === "method") return this.#readMethod();
    if (this.#stage === "status") return this.#readStatus();
    if (this.#stage === "reply") return this.#readReply();
    return WAITING;
  }

  #readMethod(): ConnectStep {
    if (this.#held.length < 2) return WAITING;
    const [version, method] = this.#take(2);
    if (version !== 5) return connectFailed("the server does not speak SOCKS 5");
    if (method === OPEN) return this.#ask();
    if (method !== BY_PASSWORD || this.#credentials === null)
      return connectFailed("the server wants another way to authenticate");
    const user = Buffer.from(this.#credentials.user);
    const password = Buffer.from(this.#credentials.password);
    this.#stage = "status";
    return { ...WAITING, send: Buffer.from([1, user.length, ...user, password.length, ...password]) };
  }

  #readStatus(): ConnectStep {
    if (this.#held.length < 2) return WAITING;
    const [, status] = this.#take(2);
    return status === 0 ? this.#ask() : connectFailed("wrong user or password");
  }

  #ask(): ConnectStep {
    this.#stage = "reply";
    return { ...WAITING, send: this.#request };
  }

  #readReply(): ConnectStep {
    const [version, code] = this.#held;
    if (code === undefined) return WAITING;
    if (version !== 5) return connectFailed("the server does not speak SOCKS 5");
    if (code !== 0) return connectFailed(REPLIES[code] ?? `reply ${code}`);
    const bound = readDestination(this.#held, 3);
    if (bound === null) return WAITING;
    if (typeof bound === "string") return connectFailed(bound);
    this.#take(bound.end);
    this.#stage = "done";
    return { ...WAITING, done: true };
  }

  #take(bytes: number): Uint8Array {
    const taken = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return taken;
  }
}

export function connectFailed(failed: string): ConnectStep {
  return { send: null, done: false, failed };
}
