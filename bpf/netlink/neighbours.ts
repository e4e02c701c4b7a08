/** Neighbours: which hardware address answers for an IP address on a link. Pure. Source: linux/neighbour.h. */
import { familyName, familyNumber, hardwareBytes, hardwareText, ipBytes, ipText, type IpFamily } from "./ip.ts";
import { attribute, attributesAfter, type Message } from "./message.ts";

/** struct ndmsg: family, padding, index, state, flags, type. */
const ND_BYTES = 12;
const NDA_DST = 1;
const NDA_LLADDR = 2;

/** NUD_*, one bit each. */
const STATES = {
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const;

export type NeighbourState = keyof typeof STATES;

export interface NeighbourKey {
  /** Of the link. */
  readonly index: number;
  readonly address: string;
}

export interface Neighbour extends NeighbourKey {
  readonly family: IpFamily;
  /** Null while it is not known. */
  readonly hardwareAddress: string | null;
  /** `none` for one that has just been made. */
  readonly state: NeighbourState | "none";
}

export interface NewNeighbour extends NeighbourKey {
  readonly hardwareAddress: string;
  /** Permanent unless told otherwise. */
  readonly state?: NeighbourState;
}

/** Of an RTM_NEWNEIGH or RTM_DELNEIGH; null for families other than IP. */
export function decodeNeighbour({ body }: Message): Neighbour | null {
  const found = attributesAfter(body, ND_BYTES);
  const family = familyName(body[0] ?? 0);
  const address = ipText(found.get(NDA_DST));
  if (family === null || address === null) return null;
  const state = body.readUInt16LE(8);
  const names = Object.keys(STATES) as NeighbourState[];
  return {
    index: body.readInt32LE(4),
    address,
    family,
    hardwareAddress: hardwareText(found.get(NDA_LLADDR)),
    state: names.find((name) => STATES[name] === state) ?? "none",
  };
}

export function neighbourHeader(index: number, family = 0, state = 0): Buffer {
  const header = Buffer.alloc(ND_BYTES);
  header[0] = family;
  header.writeInt32LE(index, 4);
  header.writeUInt16LE(state, 8);
  return header;
}

/** Throws PENSTOCK_ADDRESS_IP. */
export function encodeNeighbour({ index, address, hardwareAddress, state = "permanent" }: NewNeighbour): Buffer[] {
  return [
    ...encodeNeighbourKey({ index, address }, STATES[state]),
    attribute(NDA_LLADDR, hardwareBytes(hardwareAddress)),
  ];
}

export function encodeNeighbourKey({ index, address }: NeighbourKey, state = 0): Buffer[] {
  const { family, bytes } = ipBytes(address);
  return [neighbourHeader(index, familyNumber(family), state), attribute(NDA_DST, bytes)];
}
