/** Destinations as SOCKS writes them (RFC 1928 §5): an IPv4 address, an IPv6 address, or a name with its length before it. */
import { formatIp, isIpv4, readIp } from "#core/address.ts";

const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
const NAME_BYTES_MAX = 255;

export interface Destination {
  /** A name, or an address as text. */
  readonly host: string;
  readonly port: number;
}

export interface Located extends Destination {
  /** The offset behind it. */
  readonly end: number;
}

/** Type, address and port at `at`. Null: not all there yet. Text: malformed. */
export function readDestination(bytes: Uint8Array, at: number): Located | string | null {
  const type = bytes[at];
  if (type === undefined) return null;
  const start = type === NAME ? at + 2 : at + 1;
  const length = type === IPV4 ? 4 : type === IPV6 ? 16 : type === NAME ? bytes[at + 1] : -1;
  if (length === undefined) return null;
  if (length < 0) return `an address of type ${type}`;
  if (length === 0) return "an empty name";
  const end = start + length;
  if (bytes.length < end + 2) return null;
  const host = type === NAME ? nameAt(bytes, start, end) : formatIp(mapped(bytes.subarray(start, end)));
  if (host === null) return "a name with characters that no name has";
  return { host, port: ((bytes[end] as number) << 8) | (bytes[end + 1] as number), end: end + 2 };
}

/** Null when it is no name that SOCKS can carry. */
export function writeDestination({ host, port }: Destination): Uint8Array | null {
  const ip = readIp(host);
  if (typeof ip !== "string") {
    return isIpv4(ip)
      ? Buffer.from([IPV4, ...ip.subarray(12), ...portBytes(port)])
      : Buffer.from([IPV6, ...ip, ...portBytes(port)]);
  }
  const name = Buffer.from(host, "latin1");
  if (name.length === 0 || name.length > NAME_BYTES_MAX || nameAt(name, 0, name.length) !== host) return null;
  return Buffer.from([NAME, name.length, ...name, ...portBytes(port)]);
}

export function portBytes(port: number): readonly [number, number] {
  return [port >> 8, port & 0xff];
}

/** Printable ASCII: what a resolver, a log and a script can be given. */
export function nameAt(bytes: Uint8Array, start: number, end: number): string | null {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte <= 0x20 || byte >= 0x7f) return null;
  }
  return Buffer.from(bytes.subarray(start, end)).toString("latin1");
}

function mapped(address: Uint8Array): Uint8Array {
  if (address.length === 16) return address;
  const ip = new Uint8Array(16);
  ip[10] = 0xff;
  ip[11] = 0xff;
  ip.set(address, 12);
  return ip;
}
