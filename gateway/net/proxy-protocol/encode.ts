/**
 * PROXY headers, written in front of a connection to an upstream. Addresses are bytes of a struct sockaddr; where one is
 * no internet address (a Unix socket), the header says that the client is not known, which every receiver must take.
 */
import { familyOf, formatIp, ipOf, isIpv4, portOf } from "#core/address.ts";
import { FAMILY_TCP4, FAMILY_TCP6, FAMILY_UNSPEC, FIXED_BYTES, SIGNATURE } from "./header.ts";

/** sa_family. Source: include/linux/socket.h. */
const AF_INET = 2;
const AF_INET6 = 10;

export type ProxyVersion = "v1" | "v2";

const VERSION_2_PROXY = 0x21;

/** The bytes of a header: fresh, the caller's. */
export function encodeProxyHeader(version: ProxyVersion, source: Uint8Array, destination: Uint8Array): Uint8Array {
  const known = isInternet(source) && isInternet(destination);
  if (version === "v1") return new TextEncoder().encode(known ? lineOf(source, destination) : "PROXY UNKNOWN\r\n");
  return known ? binaryOf(source, destination) : fixedPart(FAMILY_UNSPEC, 0);
}

function isInternet(address: Uint8Array): boolean {
  const family = familyOf(address);
  return family === AF_INET || family === AF_INET6;
}

function lineOf(source: Uint8Array, destination: Uint8Array): string {
  const from = ipOf(source);
  const to = ipOf(destination);
  const ipv4 = isIpv4(from) && isIpv4(to);
  // Two families in one line there are not: an IPv4 address beside an IPv6 one is written as a mapped one.
  const text = (ip: Uint8Array): string => (ipv4 || !isIpv4(ip) ? formatIp(ip) : `::ffff:${formatIp(ip)}`);
  return `PROXY ${ipv4 ? "TCP4" : "TCP6"} ${text(from)} ${text(to)} ${portOf(source)} ${portOf(destination)}\r\n`;
}

function binaryOf(source: Uint8Array, destination: Uint8Array): Uint8Array {
  const from = ipOf(source);
  const to = ipOf(destination);
  const ipv4 = isIpv4(from) && isIpv4(to);
  const width = ipv4 ? 4 : 16;
  const header = fixedPart(ipv4 ? FAMILY_TCP4 : FAMILY_TCP6, 2 * width + 4);
  header.set(from.subarray(16 - width), FIXED_BYTES);
  header.set(to.subarray(16 - width), FIXED_BYTES + width);
  const view = new DataView(header.buffer);
  view.setUint16(FIXED_BYTES + 2 * width, portOf(source));
  view.setUint16(FIXED_BYTES + 2 * width + 2, portOf(destination));
  return header;
}

/** The fixed part, with room for `length` bytes behind it. */
function fixedPart(family: number, length: number): Uint8Array {
  const header = new Uint8Array(FIXED_BYTES + length);
  header.set(SIGNATURE);
  header[12] = VERSION_2_PROXY;
  header[13] = family;
  new DataView(header.buffer).setUint16(14, length);
  return header;
}
