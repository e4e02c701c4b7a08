/**
 * The client's side of SOCKS 4, and 4a where the destination is a name: one request, one reply. Pure. There is no RFC; see
 * "SOCKS: A protocol for TCP proxy across firewalls" and its extension 4A.
 *
 *     request   4 | 1 | port:16 | address:32 | user … 0 | (4a, when the address is 0.0.0.1) name … 0
 *     reply     0 | 90 granted, 91–93 refused | port:16 | address:32
 */
import { isIpv4, readIp } from "#core/address.ts";
import { nameAt, portBytes, type Destination } from "./address.ts";
import { connectFailed, WAITING, type ConnectStep } from "./client.ts";

const REPLY_BYTES = 8;
const GRANTED = 90;
const TEXT_BYTES_MAX = 255;

const REFUSALS: Readonly<Record<number, string>> = {
  91: "refused, or failed",
  92: "the server can't reach identd on this host",
  93: "identd says another user",
};

export class Socks4Client {
  readonly #request: Uint8Array | null;
  #held: Uint8Array = new Uint8Array(0);
  #done = false;

  constructor(destination: Destination, user = "") {
    this.#request = encode(destination, user);
  }

  get rest(): Uint8Array {
    return this.#held;
  }

  /** The first step. */
  start(): ConnectStep {
    return this.#request === null
      ? connectFailed("a destination or user that SOCKS 4 can't name")
      : { ...WAITING, send: this.#request };
  }

  push(bytes: Uint8Array): ConnectStep {
    this.#held = Buffer.concat([this.#held, bytes]);
    if (this.#done) return WAITING;
    const [version, code = 0] = this.#held;
    if (version !== undefined && version !== 0) return connectFailed("the server does not speak SOCKS 4");
    if (this.#held.length < REPLY_BYTES) return WAITING;
    if (code !== GRANTED) return connectFailed(REFUSALS[code] ?? `reply ${code}`);
    this.#held = this.#held.subarray(REPLY_BYTES);
    this.#done = true;
    return { ...WAITING, done: true };
  }
}

/** Null: it can't be said. IPv6 has no place in it. */
function encode({ host, port }: Destination, user: string): Uint8Array | null {
  const ip = readIp(host);
  const names = [user, ...(typeof ip === "string" ? [host] : [])].map((text) => Buffer.from(text, "latin1"));
  if (typeof ip === "string" ? host === "" : !isIpv4(ip)) return null;
  for (const name of names) if (name.length > TEXT_BYTES_MAX || nameAt(name, 0, name.length) === null) return null;
  const address = typeof ip === "string" ? [0, 0, 0, 1] : ip.subarray(12);
  return Buffer.from([4, 1, ...portBytes(port), ...address, ...names.flatMap((name) => [...name, 0])]);
}
