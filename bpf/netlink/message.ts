/**
 * rtnetlink messages: a header, a fixed part by family, then attributes, each aligned to 4 bytes and possibly nested.
 * Pure: builds and takes apart bytes.
 *
 *     nlmsghdr   [ length:32 | type:16 flags:16 | sequence:32 | port:32 ]
 *     rtattr     [ length:16 type:16 | payload … | padding ]
 *
 * Source: linux/netlink.h, linux/rtnetlink.h.
 */
import { bpfError } from "#core/errors/bpf.ts";

export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
/** The list changed while it was given. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
// enum nlmsgerr_attrs
const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;
const NLMSGERR_ATTR_MISS_TYPE = 5;
const NLA_F_NESTED = 1 << 15;
const NLA_TYPE_MASK = 0x3fff;
const HEADER_BYTES = 16;
const ATTRIBUTE_BYTES = 4;

export interface Message {
  readonly type: number;
  readonly flags: number;
  /** Of the request that this answers; 0 for what a group tells. */
  readonly sequence: number;
  readonly body: Buffer;
}

export function message(type: number, flags: number, sequence: number, ...parts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const body = Buffer.concat(parts);
  header.writeUInt32LE(HEADER_BYTES + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, body]);
}

export function attribute(type: number, ...payload: readonly Buffer[]): Buffer {
  const body = Buffer.concat(payload);
  const bytes = Buffer.alloc(align(ATTRIBUTE_BYTES + body.length));
  bytes.writeUInt16LE(ATTRIBUTE_BYTES + body.length, 0);
  bytes.writeUInt16LE(type, 2);
  body.copy(bytes, ATTRIBUTE_BYTES);
  return bytes;
}

export function nested(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, ...attributes);
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value, 0);
  return bytes;
}

export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, "latin1");
}

/** The messages in one datagram. */
export function messages(datagram: Buffer): Message[] {
  const found: Message[] = [];
  for (let at = 0; at + HEADER_BYTES <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > datagram.length) throw malformed(`message of ${length} bytes at ${at}`);
    found.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + HEADER_BYTES, at + length),
    });
    at += align(length);
  }
  return found;
}

/** Attributes by type; of equal ones the last. */
export function attributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + ATTRIBUTE_BYTES <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_BYTES || at + length > bytes.length)
      throw malformed(`attribute of ${length} bytes at ${at}`);
    found.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + ATTRIBUTE_BYTES, at + length));
    at += align(length);
  }
  return found;
}

/** The attributes behind a fixed part of `headerBytes`. Throws PENSTOCK_BPF_NETLINK for a body shorter than that. */
export function attributesAfter(body: Buffer, headerBytes: number): Map<number, Buffer> {
  if (body.length < headerBytes) throw malformed(`body of ${body.length} bytes`);
  return attributes(body.subarray(headerBytes));
}

/** A 32-bit attribute; undefined when it is not there. Throws PENSTOCK_BPF_NETLINK for a shorter one. */
export function uint32Of(found: ReadonlyMap<number, Buffer>, type: number): number | undefined {
  const bytes = found.get(type);
  if (bytes !== undefined && bytes.length < 4) throw malformed(`attribute ${type} of ${bytes.length} bytes`);
  return bytes?.readUInt32LE(0);
}

/**
 * errno of an NLMSG_ERROR (0: acknowledged) and what the kernel says of it where it says anything (extended
 * acknowledgement): its own words, which part of the request it means, and what it misses.
 */
export function outcome({ body, flags }: Message): { readonly errno: number; readonly detail: string } {
  if (body.length < 4 + HEADER_BYTES) throw malformed(`acknowledgement of ${body.length} bytes`);
  const errno = -body.readInt32LE(0);
  const NLM_F_CAPPED = 0x100;
  const NLM_F_ACK_TLVS = 0x200;
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, detail: "" };
  // The request's header is echoed, its body too unless capped; the attributes come after it.
  const echoed = (flags & NLM_F_CAPPED) === 0 ? body.readUInt32LE(4) : HEADER_BYTES;
  const found = attributes(body.subarray(4 + align(Math.min(echoed, body.length))));
  const words = found.get(NLMSGERR_ATTR_MSG);
  const parts = words === undefined ? [] : [readText(words)];
  const offset = uint32Of(found, NLMSGERR_ATTR_OFFS);
  if (offset !== undefined) parts.push(`at byte ${offset} of the request`);
  const missing = uint32Of(found, NLMSGERR_ATTR_MISS_TYPE);
  if (missing !== undefined) parts.push(`attribute ${missing} is missing`);
  return { errno, detail: parts.join(", ") };
}

/** Up to the first NUL. */
export function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function malformed(detail: string): Error {
  return bpfError("PENSTOCK_BPF_NETLINK", { detail: `malformed reply: ${detail}` });
}
