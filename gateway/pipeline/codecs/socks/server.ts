/**
 * The server's side of a SOCKS handshake: version 5 (RFC 1928) with or without user names (RFC 1929), and versions 4 and 4a.
 * Pure: bytes in, what to send out. It ends with a request, which the caller then accepts or rejects; what the client has
 * sent behind it is the first of the stream.
 *
 *     5   greeting ─▶ method ─▶ (user, password ─▶ status) ─▶ request ─▶ reply
 *     4   request ─▶ reply
 */
import { nameAt, readDestination, type Destination } from "./address.ts";

export interface SocksRequest extends Destination {
  readonly version: 4 | 5;
  /** As the client says; null when it said none. */
  readonly user: string | null;
}

export interface SocksStep {
  /** To be sent to the client now. */
  readonly send: Uint8Array | null;
  /** The handshake's end, to be answered by `accept` or `reject`. */
  readonly request: SocksRequest | null;
  /** Why this is no SOCKS, or not one that is served: close behind what was sent. */
  readonly refused: string | null;
  /** What is sent ends with a reply that says so: the client knows. */
  readonly told: boolean;
}

/** Whether a user may go on; null: nobody is asked for a name. */
export type Authenticate = ((user: string, password: string) => boolean) | null;

const NO_METHOD = 0xff;
const OPEN = 0;
const BY_PASSWORD = 2;
const CONNECT = 1;
/** Of a name of version 4, which says no length: as long as those of version 5. So every step is bounded by itself. */
const TEXT_BYTES_MAX = 255;
const NOT_ENDED = -1;
const TOO_LONG = -2;
const NOTHING: SocksStep = { send: null, request: null, refused: null, told: false };

export class SocksServer {
  readonly #authenticate: Authenticate;
  #stage: "version" | "password" | "request" | "done" = "version";
  #held: Uint8Array = new Uint8Array(0);
  #user: string | null = null;
  #version: 4 | 5 = 5;
  /** Address and port of a request of version 4, which its reply repeats. */
  #echo: readonly number[] = [0, 0, 0, 0, 0, 0];

  constructor(authenticate: Authenticate = null) {
    this.#authenticate = authenticate;
  }

  /** What came behind the request. */
  get rest(): Uint8Array {
    return this.#held;
  }

  push(bytes: Uint8Array): SocksStep {
    this.#held = Buffer.concat([this.#held, bytes]);
    const sent: Uint8Array[] = [];
    for (;;) {
      const before = this.#stage;
      const step = this.#next();
      if (step.send !== null) sent.push(step.send);
      const over = step.request !== null || step.refused !== null || this.#stage === before;
      if (!over) continue;
      return { ...step, send: sent.length === 0 ? null : Buffer.concat(sent) };
    }
  }

  /** The reply that lets the client begin. */
  accept(): Uint8Array {
    return this.#reply(0, 0x5a);
  }

  /** The reply that does not: for version 5 one of the codes of RFC 1928 §6; 2 is "not allowed", 4 "unreachable". */
  reject(code = 2): Uint8Array {
    return this.#reply(code, 0x5b);
  }

  #reply(five: number, four: number): Uint8Array {
    return this.#version === 5 ? Buffer.from([5, five, 0, 1, 0, 0, 0, 0, 0, 0]) : Buffer.from([0, four, ...this.#echo]);
  }

  #next(): SocksStep {
    if (this.#stage === "version") return this.#readVersion();
    if (this.#stage === "password") return this.#readPassword();
    if (this.#stage === "request") return this.#readRequest();
    return NOTHING;
  }

  #readVersion(): SocksStep {
    const [version, count] = this.#held;
    if (version === 4) return this.#readRequest4();
    if (version !== undefined && version !== 5) return refuse(`version ${version}`);
    if (count === undefined || this.#held.length < 2 + count) return NOTHING;
    const methods = this.#take(2 + count).subarray(2);
    const method = this.#authenticate === null ? OPEN : BY_PASSWORD;
    if (!methods.includes(method)) {
      return refuse("no way to authenticate that both sides know", Buffer.from([5, NO_METHOD]));
    }
    this.#stage = method === OPEN ? "request" : "password";
    return { ...NOTHING, send: Buffer.from([5, method]) };
  }

  /** RFC 1929 §2. */
  #readPassword(): SocksStep {
    const [version, userBytes] = this.#held;
    if (version !== undefined && version !== 1) return refuse(`user names in version ${version}`);
    if (userBytes === undefined) return NOTHING;
    const passwordBytes = this.#held[2 + userBytes];
    const end = 3 + userBytes + (passwordBytes ?? 0);
    if (passwordBytes === undefined || this.#held.length < end) return NOTHING;
    const said = Buffer.from(this.#take(end));
    this.#user = said.toString("utf8", 2, 2 + userBytes);
    const password = said.toString("utf8", 3 + userBytes);
    if (this.#authenticate?.(this.#user, password) !== true)
      return refuse("wrong user or password", Buffer.from([1, 1]));
    this.#stage = "request";
    return { ...NOTHING, send: Buffer.from([1, 0]) };
  }

  #readRequest(): SocksStep {
    const [version, command] = this.#held;
    if (version !== undefined && version !== 5) return refuse(`a request of version ${version}`);
    if (command === undefined) return NOTHING;
    if (command !== CONNECT) return refuse(`command ${command}: only CONNECT is served`, this.reject(7));
    const destination = readDestination(this.#held, 3);
    if (destination === null) return NOTHING;
    if (typeof destination === "string") return refuse(destination, this.reject(8));
    this.#take(destination.end);
    this.#stage = "done";
    const { host, port } = destination;
    return { ...NOTHING, request: { version: 5, host, port, user: this.#user } };
  }

  /** Version, command, port, address, user name and zero; a name and zero where the address is 0.0.0.x (4a). */
  #readRequest4(): SocksStep {
    const held = Buffer.from(this.#held);
    const userEnd = textEnd(held, 8);
    if (userEnd === TOO_LONG) return refuse("a user name of over 255 bytes");
    if (userEnd === NOT_ENDED) return NOTHING;
    const named = held.readUInt32BE(4) > 0 && held.readUInt32BE(4) < 256;
    const nameEnd = named ? textEnd(held, userEnd + 1) : userEnd;
    if (nameEnd === TOO_LONG) return refuse("a name of over 255 bytes");
    if (nameEnd === NOT_ENDED) return NOTHING;
    this.#version = 4;
    this.#echo = [...held.subarray(2, 8)];
    if (held[1] !== CONNECT) return refuse(`command ${held[1]}: only CONNECT is served`, this.reject());
    if (this.#authenticate !== null) return refuse("version 4 has no passwords", this.reject());
    const host = named ? nameAt(held, userEnd + 1, nameEnd) : held.subarray(4, 8).join(".");
    if (host === null || host === "") return refuse("a name with characters that no name has", this.reject());
    const user = userEnd === 8 ? null : held.toString("utf8", 8, userEnd);
    this.#take(nameEnd + 1);
    this.#stage = "done";
    return { ...NOTHING, request: { version: 4, host, port: held.readUInt16BE(2), user } };
  }

  #take(bytes: number): Uint8Array {
    const taken = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return taken;
  }
}

/** Where the zero stands that ends a text, NOT_ENDED or TOO_LONG. */
function textEnd(held: Buffer, from: number): number {
  const end = held.subarray(from, from + TEXT_BYTES_MAX + 1).indexOf(0);
  if (end >= 0) return from + end;
  return held.length > from + TEXT_BYTES_MAX ? TOO_LONG : NOT_ENDED;
}

function refuse(refused: string, send: Uint8Array | null = null): SocksStep {
  return { send, request: null, refused, told: send !== null };
}
