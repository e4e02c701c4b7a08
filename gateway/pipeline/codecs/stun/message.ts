/**
 * STUN (RFC 8489): what a host behind a NAT asks a server to learn under which address it is seen. Binding requests and
 * their answers, with the addresses in them; other attributes as bytes.
 *
 *     type │ length │ magic cookie │ transaction id, 12 bytes │ attributes: type │ length │ value, filled up to 4 bytes
 */
import { formatIp, isIpv4, parseIp } from "#core/address.ts";

/** The answer to a binding request (§5): method Binding, class success. */
export const STUN_SUCCESS = 0x0101;

export interface StunAddress {
  readonly address: string;
  readonly port: number;
}

export interface StunAttribute {
  readonly type: number;
  readonly value: Uint8Array;
}

export interface StunMessage {
  readonly type: number;
  /** 12 bytes, chosen at random by who asks. */
  readonly transactionID: Uint8Array;
  /** XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of old servers: whom the server sees. */
  readonly mapped?: StunAddress;
  readonly attributes?: readonly StunAttribute[];
}

const COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const TRANSACTION_AT = 8;
const MAPPED_ADDRESS = 0x0001;
const XOR_MAPPED_ADDRESS = 0x0020;
const IPV4 = 1;
const IPV6 = 2;

/** Text: why it is no STUN message. */
export function decodeStun(bytes: Uint8Array): StunMessage | string {
  if (bytes.length < HEADER_BYTES) return "shorter than a header";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = view.getUint16(0);
  const length = view.getUint16(2);
  if (type > 0x3fff || view.getUint32(4) !== COOKIE) return "another protocol";
  if (length % 4 !== 0 || HEADER_BYTES + length !== bytes.length) return "its length is not its length";
  const attributes: StunAttribute[] = [];
  let mapped: StunAddress | null = null;
  for (let at = HEADER_BYTES; at < bytes.length;) {
    const size = view.getUint16(at + 2);
    const end = at + 4 + size;
    if (end > bytes.length) return "an attribute is longer than the message";
    const attribute = { type: view.getUint16(at), value: new Uint8Array(bytes.subarray(at + 4, end)) };
    const xor = attribute.type === XOR_MAPPED_ADDRESS;
    if (xor || (attribute.type === MAPPED_ADDRESS && mapped === null)) {
      mapped = readAddress(attribute.value, xor ? bytes.subarray(4, HEADER_BYTES) : null);
      if (mapped === null) return "an address of no family";
    } else if (attribute.type !== MAPPED_ADDRESS) attributes.push(attribute);
    at = at + 4 + roundUp(size);
  }
  const transactionID = new Uint8Array(bytes.subarray(TRANSACTION_AT, HEADER_BYTES));
  return { type, transactionID, ...(mapped === null ? undefined : { mapped }), attributes };
}

/** Throws RangeError for a transaction id of another length, PENSTOCK_ADDRESS_IP for what is no address. */
export function encodeStun({ type, transactionID, mapped, attributes = [] }: StunMessage): Uint8Array {
  if (transactionID.length !== HEADER_BYTES - TRANSACTION_AT) throw new RangeError("a transaction id has 12 bytes");
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(COOKIE);
  mask.set(transactionID, 4);
  const all =
    mapped === undefined
      ? attributes
      : [{ type: XOR_MAPPED_ADDRESS, value: writeAddress(mapped, mask) }, ...attributes];
  const length = all.reduce((sum, { value }) => sum + 4 + roundUp(value.length), 0);
  const message = Buffer.alloc(HEADER_BYTES + length);
  message.writeUInt16BE(type, 0);
  message.writeUInt16BE(length, 2);
  message.set(mask, 4);
  let at = HEADER_BYTES;
  for (const attribute of all) {
    message.writeUInt16BE(attribute.type, at);
    message.writeUInt16BE(attribute.value.length, at + 2);
    message.set(attribute.value, at + 4);
    at += 4 + roundUp(attribute.value.length);
  }
  return message;
}

/** §14.1, §14.2. `mask`: cookie and transaction id, by which the address is hidden from NATs that rewrite what looks like one. */
function readAddress(value: Uint8Array, mask: Uint8Array | null): StunAddress | null {
  const bytes = value[1] === IPV4 ? 4 : value[1] === IPV6 ? 16 : 0;
  if (bytes === 0 || value.length !== 4 + bytes) return null;
  const plain = value.map((byte, i) =>
    mask === null || i < 2 ? byte : byte ^ (mask[i < 4 ? i - 2 : i - 4] as number),
  );
  const port = ((plain[2] as number) << 8) | (plain[3] as number);
  const address = plain.subarray(4);
  return { address: bytes === 4 ? address.join(".") : formatIp(address), port };
}

function writeAddress({ address, port }: StunAddress, mask: Uint8Array): Uint8Array {
  const ip = parseIp(address);
  const plain = isIpv4(ip)
    ? [0, IPV4, port >> 8, port & 0xff, ...ip.subarray(12)]
    : [0, IPV6, port >> 8, port & 0xff, ...ip];
  return Uint8Array.from(plain, (byte, i) => (i < 2 ? byte : byte ^ (mask[i < 4 ? i - 2 : i - 4] as number)));
}

function roundUp(bytes: number): number {
  return (bytes + 3) & ~3;
}
