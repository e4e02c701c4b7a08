/**
 * Links (network interfaces) as objects, and the requests that make and change them. Pure.
 *
 * Source: linux/if_link.h, linux/if.h, linux/veth.h.
 */
import type { Fd } from "#core/brands.ts";
import { hardwareBytes, hardwareText } from "./ip.ts";
import {
  attribute,
  attributes,
  attributesAfter,
  int32,
  nested,
  readText,
  text,
  type Message,
  uint32Of,
} from "./message.ts";

/** struct ifinfomsg: family, type, index, flags, change. */
const IFINFO_BYTES = 16;
/** ARPHRD_ETHER, ARPHRD_LOOPBACK: linux/if_arp.h */
const FRAMED: readonly number[] = [1, 772];
const IFF_UP = 1 << 0;
const IFF_LOOPBACK = 1 << 3;
const IFF_LOWER_UP = 1 << 16;

// enum IFLA_*
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_XDP = 43;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_XDP_FD = 1;
const IFLA_XDP_ATTACHED = 2;
const IFLA_XDP_FLAGS = 3;
const IFLA_XDP_PROG_ID = 4;
const IFLA_XDP_DRV_PROG_ID = 5;
const IFLA_XDP_SKB_PROG_ID = 6;
const IFLA_XDP_EXPECTED_FD = 8;
const XDP_FLAGS_REPLACE = 1 << 4;

/** By XDP_ATTACHED_*. */
const MODES = ["none", "native", "generic", "offloaded", "several"] as const;

export interface XdpState {
  readonly mode: (typeof MODES)[number];
  /** Ids of the programs attached, native and generic. */
  readonly programIds: readonly number[];
}

export interface NetworkLink {
  readonly index: number;
  readonly name: string;
  /** The driver's name for links made by software (`veth`, `bridge`, …); null for others. */
  readonly kind: string | null;
  readonly up: boolean;
  /** Whether the other side is there: cable, peer. */
  readonly lowerUp: boolean;
  readonly loopback: boolean;
  /** Whether its frames begin with an Ethernet header; those of tunnels begin with the packet itself. */
  readonly framed: boolean;
  readonly mtu: number;
  readonly hardwareAddress: string | null;
  /** Index of the bridge or bond it belongs to. */
  readonly master: number | null;
  /** Index of a veth's peer or a VLAN's carrier; it may be one of another namespace. */
  readonly parent: number | null;
  readonly xdp: XdpState;
}

/** Of an RTM_NEWLINK or RTM_DELLINK. */
export function decodeLink({ body }: Message): NetworkLink {
  const found = attributesAfter(body, IFINFO_BYTES);
  const flags = body.readUInt32LE(8);
  const kind = attributes(found.get(IFLA_LINKINFO) ?? Buffer.alloc(0)).get(IFLA_INFO_KIND);
  return {
    index: body.readInt32LE(4),
    name: readText(found.get(IFLA_IFNAME) ?? Buffer.alloc(0)),
    kind: kind === undefined ? null : readText(kind),
    up: (flags & IFF_UP) !== 0,
    lowerUp: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    framed: FRAMED.includes(body.readUInt16LE(2)),
    mtu: uint32Of(found, IFLA_MTU) ?? 0,
    hardwareAddress: hardwareText(found.get(IFLA_ADDRESS)),
    master: uint32Of(found, IFLA_MASTER) ?? null,
    parent: uint32Of(found, IFLA_LINK) ?? null,
    xdp: decodeXdp(found.get(IFLA_XDP)),
  };
}

function decodeXdp(bytes: Buffer | undefined): XdpState {
  const xdp = attributes(bytes ?? Buffer.alloc(0));
  const programIds = [IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID]
    .map((type) => uint32Of(xdp, type))
    .filter((id) => id !== undefined);
  return { mode: MODES[xdp.get(IFLA_XDP_ATTACHED)?.[0] ?? 0] ?? "none", programIds: [...new Set(programIds)] };
}

/** What a request says of a link; absent: as it is. */
export interface LinkChange {
  readonly name?: string;
  readonly up?: boolean;
  readonly mtu?: number;
  readonly hardwareAddress?: string;
  /** Index of a bridge; 0 takes it out. */
  readonly master?: number;
  /** Open /proc/PID/ns/net or /run/netns/NAME: where it moves, or is made. */
  readonly namespace?: Fd;
}

export type NewLink = LinkChange & { readonly name: string } & (
    | { readonly kind: "veth"; readonly peer: LinkChange & { readonly name: string } }
    | { readonly kind: "bridge" }
  );

/** `index` 0: named by the attributes. */
export function linkHeader(index: number, up?: boolean): Buffer {
  const header = Buffer.alloc(IFINFO_BYTES);
  header.writeInt32LE(index, 4);
  if (up !== undefined) {
    header.writeUInt32LE(up ? IFF_UP : 0, 8);
    header.writeUInt32LE(IFF_UP, 12);
  }
  return header;
}

export function linkName(name: string): Buffer {
  return attribute(IFLA_IFNAME, text(name));
}

export function encodeLink(index: number, change: LinkChange): Buffer[] {
  const parts = [linkHeader(index, change.up)];
  if (change.name !== undefined) parts.push(linkName(change.name));
  if (change.mtu !== undefined) parts.push(attribute(IFLA_MTU, int32(change.mtu)));
  if (change.hardwareAddress !== undefined) parts.push(attribute(IFLA_ADDRESS, hardwareBytes(change.hardwareAddress)));
  if (change.master !== undefined) parts.push(attribute(IFLA_MASTER, int32(change.master)));
  if (change.namespace !== undefined) parts.push(attribute(IFLA_NET_NS_FD, int32(change.namespace)));
  return parts;
}

export function encodeNewLink(link: NewLink): Buffer[] {
  const parts = encodeLink(0, link);
  const info = [attribute(IFLA_INFO_KIND, text(link.kind))];
  if (link.kind === "veth") {
    info.push(nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, ...encodeLink(0, link.peer))));
  }
  parts.push(nested(IFLA_LINKINFO, ...info));
  return parts;
}

export interface XdpSetting {
  /** Program to attach; null detaches. */
  readonly program: Fd | null;
  /** XDP_FLAGS_* */
  readonly flags: number;
  /** Replace only if this one is in place. */
  readonly expected?: Fd;
}

export function encodeXdp(index: number, { program, flags, expected }: XdpSetting): Buffer[] {
  const wanted = [
    attribute(IFLA_XDP_FD, int32(program ?? -1)),
    attribute(IFLA_XDP_FLAGS, int32(expected === undefined ? flags : flags | XDP_FLAGS_REPLACE)),
  ];
  if (expected !== undefined) wanted.push(attribute(IFLA_XDP_EXPECTED_FD, int32(expected)));
  return [linkHeader(index), nested(IFLA_XDP, ...wanted)];
}
