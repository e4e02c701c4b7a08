/**
 * PROXY headers, read from wherever they were received to: pure, and right for every prefix of a header ("more"). Both
 * versions are told apart by their first byte. Nothing is kept of the bytes.
 */
import { readIp, socketAddress } from "#core/address.ts";
import { crc32c } from "./crc32c.ts";
import {
  FAMILY_TCP4,
  FAMILY_TCP6,
  FIXED_BYTES,
  HEADER_BYTES_MAX,
  LINE_BYTES_MAX,
  MORE,
  NONE,
  PREFIX,
  refused,
  SIGNATURE,
  TLV_CRC32C,
  type Decoded,
  type ProxyHeader,
} from "./header.ts";

const CR = 0x0d;
const LF = 0x0a;

/** Bytes `[start, end)`: all that a connection has received so far. */
export function decodeProxyHeader(bytes: Uint8Array, start: number, end: number): Decoded {
  if (start === end) return MORE;
  if (bytes[start] === SIGNATURE[0]) return decodeBinary(bytes, start, end);
  if (bytes[start] === PREFIX[0]) return decodeLine(bytes, start, end);
  return NONE;
}

/** Whether what has come is `expected` so far, or begins with it. */
function begins(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  const length = Math.min(expected.length, end - start);
  for (let i = 0; i < length; i++) if (bytes[start + i] !== expected[i]) return false;
  return true;
}

/** Section 2.1: `PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 CRLF`, single spaces, nothing left out. */
function decodeLine(bytes: Uint8Array, start: number, end: number): Decoded {
  if (!begins(bytes, start, end, PREFIX)) return NONE;
  if (end - start < PREFIX.length) return MORE;
  // The last byte of the longest line is LF, so CR stands before it at the latest.
  const limit = start + LINE_BYTES_MAX - 1;
  let at = start + PREFIX.length;
  while (at < end && at < limit && bytes[at] !== CR) at++;
  if (at === limit) return refused("line-too-long");
  if (at + 1 >= end) return MORE;
  if (bytes[at + 1] !== LF) return refused("line-malformed");
  const header = parseLine(asciiOf(bytes, start + PREFIX.length, at));
  return header === null ? refused("line-malformed") : { kind: "header", bytes: at + 2 - start, header };
}

function asciiOf(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

const UNKNOWN_LINE: ProxyHeader = { version: 1, source: null, destination: null };

/** What stands between `PROXY ` and CRLF; null: not what the specification allows. */
function parseLine(text: string): ProxyHeader | null {
  // "the receiver must ignore anything presented before the CRLF is found".
  if (text === "UNKNOWN" || text.startsWith("UNKNOWN ")) return UNKNOWN_LINE;
  const [family, from = "", to = "", fromPort = "", toPort = "", ...more] = text.split(" ");
  if ((family !== "TCP4" && family !== "TCP6") || more.length > 0) return null;
  const source = endpointOf(family, from, fromPort);
  const destination = endpointOf(family, to, toPort);
  return source === null || destination === null ? null : { version: 1, source, destination };
}

function endpointOf(family: "TCP4" | "TCP6", address: string, port: string): Uint8Array | null {
  if (address.includes(":") !== (family === "TCP6")) return null;
  const ip = readIp(address);
  if (typeof ip === "string" || !/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return null;
  return socketAddress(ip, Number(port));
}

const COMMAND_LOCAL = 0;
const COMMAND_PROXY = 1;

/** Section 2.2. */
function decodeBinary(bytes: Uint8Array, start: number, end: number): Decoded {
  if (!begins(bytes, start, end, SIGNATURE)) return NONE;
  if (end - start <= SIGNATURE.length) return MORE;
  const versionAndCommand = bytes[start + 12] as number;
  if (versionAndCommand >> 4 !== 2) return refused("version-unknown");
  const command = versionAndCommand & 0xf;
  if (command !== COMMAND_LOCAL && command !== COMMAND_PROXY) return refused("command-unknown");
  if (end - start < FIXED_BYTES) return MORE;
  const length = ((bytes[start + 14] as number) << 8) | (bytes[start + 15] as number);
  if (FIXED_BYTES + length > HEADER_BYTES_MAX) return refused("header-too-long");
  if (end - start < FIXED_BYTES + length) return MORE;
  return decodeBody(bytes, start, start + FIXED_BYTES + length, command);
}

/** Bytes that the addresses of a family take, by its upper half: none, IPv4, IPv6, Unix. */
const ADDRESS_BYTES = [0, 12, 36, 216];

/** `[start, end)` is a whole header. */
function decodeBody(bytes: Uint8Array, start: number, end: number, command: number): Decoded {
  const family = bytes[start + 13] as number;
  // LOCAL: "the receiver must accept this connection as valid and must use the real connection endpoints", whatever the
  // family says; a family from the future is skipped in the same way. Neither says where the extensions begin.
  const addressBytes = ADDRESS_BYTES[family >> 4];
  const whole = { kind: "header", bytes: end - start } as const;
  if (command === COMMAND_LOCAL || addressBytes === undefined) return { ...whole, header: UNKNOWN_HEADER };
  const addresses = start + FIXED_BYTES;
  if (addresses + addressBytes > end) return refused("addresses-cut");
  const fault = checkExtensions(bytes, start, addresses + addressBytes, end);
  if (fault !== null) return fault;
  if (family === FAMILY_TCP4) return { ...whole, header: addressesOf(bytes, addresses, 4) };
  if (family === FAMILY_TCP6) return { ...whole, header: addressesOf(bytes, addresses, 16) };
  return { ...whole, header: UNKNOWN_HEADER };
}

const UNKNOWN_HEADER: ProxyHeader = { version: 2, source: null, destination: null };

/** Section 2.2.3: type, length (2), value; all are stepped over, and a checksum is verified. Null: nothing is wrong. */
function checkExtensions(bytes: Uint8Array, start: number, from: number, end: number): Decoded | null {
  for (let at = from; at < end;) {
    if (at + 3 > end) return refused("tlv-cut");
    const length = ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    const value = at + 3;
    if (value + length > end) return refused("tlv-cut");
    if (bytes[at] === TLV_CRC32C) {
      if (length !== 4) return refused("checksum-wrong");
      const stated = new DataView(bytes.buffer, bytes.byteOffset + value, 4).getUint32(0);
      if (stated !== crc32c(bytes, start, end, value)) return refused("checksum-wrong");
    }
    at = value + length;
  }
  return null;
}

/** Source and destination of `width` bytes each, then their ports. */
function addressesOf(bytes: Uint8Array, at: number, width: 4 | 16): ProxyHeader {
  const ports = at + 2 * width;
  const port = (offset: number): number => ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
  return {
    version: 2,
    source: socketAddress(ipAt(bytes, at, width), port(ports)),
    destination: socketAddress(ipAt(bytes, at + width, width), port(ports + 2)),
  };
}

/** 16 bytes, IPv4 mapped. */
function ipAt(bytes: Uint8Array, at: number, width: 4 | 16): Uint8Array {
  const ip = new Uint8Array(16);
  if (width === 16) {
    ip.set(bytes.subarray(at, at + 16));
    return ip;
  }
  ip[10] = 0xff;
  ip[11] = 0xff;
  ip.set(bytes.subarray(at, at + 4), 12);
  return ip;
}
