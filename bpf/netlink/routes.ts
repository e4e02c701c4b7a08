/** Routes, IPv4 and IPv6. Pure. Source: linux/rtnetlink.h. */
import { bpfError } from "#core/errors/bpf.ts";
import { familyName, familyNumber, ipBytes, ipText, prefixBytes, type IpFamily } from "./ip.ts";
import { attribute, attributes, attributesAfter, int32, uint32Of, type Message } from "./message.ts";

/** struct rtmsg: family, destination and source bits, tos, table, protocol, scope, type, flags. */
const RT_BYTES = 12;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
/** struct rtnexthop: length, flags, weight − 1, index. */
const NEXTHOP_BYTES = 8;
/** The table that `ip route` shows. */
export const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;

/** RTN_*, from 0. */
const TYPES = [
  "unspecified",
  "unicast",
  "local",
  "broadcast",
  "anycast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
  "nat",
  "xresolve",
] as const;
export type RouteType = (typeof TYPES)[number];

export interface NextHop {
  /** Of the link; null where the route has none. */
  readonly index: number | null;
  readonly gateway: string | null;
  /** 1 … 256: its share among several. */
  readonly weight: number;
}

export interface Route {
  readonly family: IpFamily;
  /** `0.0.0.0/0`, `2001:db8::/32` */
  readonly destination: string;
  /** One, or several to share the load; none for `blackhole` and its like. */
  readonly nextHops: readonly NextHop[];
  readonly type: RouteType;
  readonly table: number;
  /** RTPROT_*: 2 kernel, 3 boot, 4 static. */
  readonly protocol: number;
  readonly scope: number;
  readonly metric: number;
  readonly preferredSource: string | null;
}

export interface NewRoute {
  readonly destination: string;
  readonly nextHops?: readonly { readonly index?: number; readonly gateway?: string; readonly weight?: number }[];
  /** Unicast unless told otherwise. */
  readonly type?: RouteType;
  /** The main table unless told otherwise. */
  readonly table?: number;
  readonly metric?: number;
  readonly preferredSource?: string;
}

/** Of an RTM_NEWROUTE or RTM_DELROUTE; null for families other than IP. */
export function decodeRoute({ body }: Message): Route | null {
  const found = attributesAfter(body, RT_BYTES);
  const family = familyName(body[0] ?? 0);
  if (family === null) return null;
  const network = ipText(found.get(RTA_DST)) ?? (family === "ipv4" ? "0.0.0.0" : "::");
  const several = found.get(RTA_MULTIPATH);
  const one = nextHop(found, uint32Of(found, RTA_OIF) ?? null, 1);
  return {
    family,
    destination: `${network}/${body[1] ?? 0}`,
    nextHops: several === undefined ? one : severalHops(several),
    type: TYPES[body[7] ?? 0] ?? "unspecified",
    table: uint32Of(found, RTA_TABLE) ?? body[4] ?? 0,
    protocol: body[5] ?? 0,
    scope: body[6] ?? 0,
    metric: uint32Of(found, RTA_PRIORITY) ?? 0,
    preferredSource: ipText(found.get(RTA_PREFSRC)),
  };
}

function nextHop(found: ReadonlyMap<number, Buffer>, index: number | null, weight: number): NextHop[] {
  const gateway = ipText(found.get(RTA_GATEWAY));
  return index === null && gateway === null ? [] : [{ index, gateway, weight }];
}

function severalHops(bytes: Buffer): NextHop[] {
  const hops: NextHop[] = [];
  for (let at = 0; at + NEXTHOP_BYTES <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < NEXTHOP_BYTES || at + length > bytes.length) {
      throw bpfError("PENSTOCK_BPF_NETLINK", { detail: `malformed reply: next hop of ${length} bytes` });
    }
    const found = attributes(bytes.subarray(at + NEXTHOP_BYTES, at + length));
    hops.push(...nextHop(found, bytes.readInt32LE(at + 4), (bytes[at + 3] ?? 0) + 1));
    at += (length + 3) & ~3;
  }
  return hops;
}

/** For a list of one table, or of all (0). */
export function routeHeader(family = 0): Buffer {
  const header = Buffer.alloc(RT_BYTES);
  header[0] = family;
  return header;
}

/** Throws PENSTOCK_ADDRESS_*. */
export function encodeRoute(route: NewRoute): Buffer[] {
  const { nextHops = [], type = "unicast" } = route;
  const direct = type === "unicast" && nextHops.every(({ gateway }) => gateway === undefined);
  return encode(route, TYPES.indexOf(type), RTPROT_STATIC, direct ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
}

/** What is left out may be anything: the first route that fits goes. Throws PENSTOCK_ADDRESS_*. */
export function encodeRouteKey(route: NewRoute): Buffer[] {
  return encode(route, route.type === undefined ? 0 : TYPES.indexOf(route.type), 0, RT_SCOPE_NOWHERE);
}

function encode(route: NewRoute, type: number, protocol: number, scope: number): Buffer[] {
  const { family, bytes, bits } = prefixBytes(route.destination);
  const { nextHops = [], table = RT_TABLE_MAIN } = route;
  const header = routeHeader(familyNumber(family));
  header[1] = bits;
  header[5] = protocol;
  header[6] = scope;
  header[7] = type;
  const parts = [header, attribute(RTA_TABLE, int32(table))];
  if (bits > 0) parts.push(attribute(RTA_DST, bytes));
  if (route.metric !== undefined) parts.push(attribute(RTA_PRIORITY, int32(route.metric)));
  if (route.preferredSource !== undefined) parts.push(attribute(RTA_PREFSRC, ipBytes(route.preferredSource).bytes));
  const [only] = nextHops;
  if (nextHops.length === 1 && only !== undefined) parts.push(...encodeHop(only));
  else if (nextHops.length > 1) parts.push(attribute(RTA_MULTIPATH, ...nextHops.map(encodeShare)));
  return parts;
}

type NewHop = NonNullable<NewRoute["nextHops"]>[number];

function encodeHop({ index, gateway }: NewHop): Buffer[] {
  const parts = index === undefined ? [] : [attribute(RTA_OIF, int32(index))];
  if (gateway !== undefined) parts.push(attribute(RTA_GATEWAY, ipBytes(gateway).bytes));
  return parts;
}

function encodeShare({ index = 0, gateway, weight = 1 }: NewHop): Buffer {
  const tail = gateway === undefined ? [] : encodeHop({ gateway });
  const header = Buffer.alloc(NEXTHOP_BYTES);
  const bytes = Buffer.concat([header, ...tail]);
  bytes.writeUInt16LE(bytes.length, 0);
  bytes[3] = weight - 1;
  bytes.writeInt32LE(index, 4);
  return bytes;
}
