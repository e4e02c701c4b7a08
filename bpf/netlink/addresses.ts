/** Addresses of links, IPv4 and IPv6. Pure. Source: linux/if_addr.h. */
import { AF_INET6 } from "#sys/socket.ts";
import { familyName, familyNumber, ipBytes, ipText, type IpFamily } from "./ip.ts";
import { attribute, attributesAfter, int32, readText, uint32Of, type Message } from "./message.ts";

/** struct ifaddrmsg: family, prefix length, flags, scope, index. */
const IFADDR_BYTES = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_CACHEINFO = 6;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const IFA_F_TENTATIVE = 0x40;
/** What the kernel writes for a lifetime without end. */
const FOREVER = 0xffff_ffff;

export interface AddressKey {
  /** Of the link. */
  readonly index: number;
  /** `192.0.2.1`, `2001:db8::1` */
  readonly address: string;
  /** Of the family's 32 or 128. */
  readonly prefixBits: number;
}

export interface LinkAddress extends AddressKey {
  readonly family: IpFamily;
  /** The other end's, on point-to-point links; else null. */
  readonly peer: string | null;
  /** enum rt_scope_t: 0 everywhere, 253 this link, 254 this host. */
  readonly scope: number;
  readonly label: string | null;
  /** IPv6: not usable before it is known to be nobody else's. */
  readonly tentative: boolean;
  /** Null: without end. */
  readonly validSeconds: number | null;
  readonly preferredSeconds: number | null;
}

export interface NewAddress extends AddressKey {
  /** Use an IPv6 address at once, without asking whether another has it. */
  readonly withoutDetection?: boolean;
  readonly validSeconds?: number;
}

/** Of an RTM_NEWADDR or RTM_DELADDR; null for families other than IP. */
export function decodeAddress({ body }: Message): LinkAddress | null {
  const found = attributesAfter(body, IFADDR_BYTES);
  const family = familyName(body[0] ?? 0);
  if (family === null) return null;
  // IFA_ADDRESS is the peer's where there is one: then IFA_LOCAL is ours. IPv6 has no IFA_LOCAL otherwise.
  const [local, other] = [ipText(found.get(IFA_LOCAL)), ipText(found.get(IFA_ADDRESS))];
  const label = found.get(IFA_LABEL);
  const cache = found.get(IFA_CACHEINFO);
  return {
    index: body.readUInt32LE(4),
    address: local ?? other ?? "",
    prefixBits: body[1] ?? 0,
    family,
    peer: local !== null && other !== local ? other : null,
    scope: body[3] ?? 0,
    label: label === undefined ? null : readText(label),
    tentative: ((uint32Of(found, IFA_FLAGS) ?? body[2] ?? 0) & IFA_F_TENTATIVE) !== 0,
    validSeconds: lifetime(cache, 4),
    preferredSeconds: lifetime(cache, 0),
  };
}

function lifetime(cache: Buffer | undefined, at: number): number | null {
  const seconds = cache === undefined || cache.length < at + 4 ? FOREVER : cache.readUInt32LE(at);
  return seconds === FOREVER ? null : seconds;
}

/** For a list: of one link, or all (0). */
export function addressHeader(index: number, family = 0, prefixBits = 0): Buffer {
  const header = Buffer.alloc(IFADDR_BYTES);
  header[0] = family;
  header[1] = prefixBits;
  header.writeUInt32LE(index, 4);
  return header;
}

/** Throws PENSTOCK_ADDRESS_IP. */
export function encodeAddress(address: NewAddress): Buffer[] {
  const { family, bytes } = ipBytes(address.address);
  const parts = [
    addressHeader(address.index, familyNumber(family), address.prefixBits),
    attribute(IFA_LOCAL, bytes),
    attribute(IFA_ADDRESS, bytes),
  ];
  if (address.withoutDetection === true && familyNumber(family) === AF_INET6) {
    parts.push(attribute(IFA_FLAGS, int32(IFA_F_NODAD)));
  }
  if (address.validSeconds !== undefined) {
    const cache = Buffer.alloc(16);
    cache.writeUInt32LE(address.validSeconds, 0);
    cache.writeUInt32LE(address.validSeconds, 4);
    parts.push(attribute(IFA_CACHEINFO, cache));
  }
  return parts;
}
