/**
 * clsact and BPF filters behind it: where programs stood before TCX, and still do on kernels before 6.6. Pure, both ways.
 *
 *     tcmsg   [ family:8 pad:24 | index:32 | handle:32 | parent:32 | info:32 ]        info: priority:16, protocol:16 (network order)
 *
 * Source: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h.
 */
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import {
  attribute,
  attributes,
  attributesAfter,
  int32,
  nested,
  readText,
  text,
  uint32Of,
  type Message,
} from "./message.ts";

const TCM_BYTES = 20;
const TC_H_CLSACT = 0xffff_fff1;
const CLSACT_HANDLE = 0xffff_0000;
const PARENT = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_FD = 6;
const TCA_BPF_NAME = 7;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_ID = 11;
/** The program's answer is the verdict, and no class. */
const TCA_BPF_FLAG_ACT_DIRECT = 1;
/** htons(ETH_P_ALL), in the low half of `info`. */
const ALL_PROTOCOLS = 0x0300;

export type Direction = keyof typeof PARENT;

/** What tells filters of one device apart. */
export interface FilterKey {
  /** Of the interface. */
  readonly index: number;
  readonly direction: Direction;
  /** 1–65535; the lowest runs first. */
  readonly priority: number;
  readonly handle: number;
}

export interface NewFilter extends FilterKey {
  readonly program: Fd;
  /** For people: `tc filter show` gives it. */
  readonly name: string;
}

export interface BpfFilter extends FilterKey {
  readonly name: string;
  readonly programId: number;
}

function header(index: number, handle: number, parent: number, info: number): Buffer {
  const bytes = Buffer.alloc(TCM_BYTES);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(parent, 12);
  bytes.writeUInt32LE(info, 16);
  return bytes;
}

export function encodeClsact(index: number): Buffer[] {
  return [header(index, CLSACT_HANDLE, TC_H_CLSACT, 0), attribute(TCA_KIND, text("clsact"))];
}

export function encodeFilterKey({ index, direction, priority, handle }: FilterKey): Buffer[] {
  if (!Number.isInteger(priority) || priority < 1 || priority > 0xffff) {
    throw bpfError("PENSTOCK_BPF_NETLINK", { detail: `filter of priority ${priority}: 1 to 65535` });
  }
  const info = priority * 0x1_0000 + ALL_PROTOCOLS;
  return [header(index, handle, PARENT[direction], info), attribute(TCA_KIND, text("bpf"))];
}

export function encodeFilter(filter: NewFilter): Buffer[] {
  const options = [
    attribute(TCA_BPF_FD, int32(filter.program)),
    attribute(TCA_BPF_NAME, text(filter.name)),
    attribute(TCA_BPF_FLAGS, int32(TCA_BPF_FLAG_ACT_DIRECT)),
  ];
  return [...encodeFilterKey(filter), nested(TCA_OPTIONS, ...options)];
}

/** For a list: of one device, in one direction. */
export function filterHeader(index: number, direction: Direction): Buffer {
  return header(index, 0, PARENT[direction], 0);
}

/** Of one device. */
export function qdiscHeader(index: number): Buffer {
  return header(index, 0, 0, 0);
}

/** Whether a queueing discipline of a list is the clsact of that device: lists are of all devices. */
export function isClsact({ body }: Message, index: number): boolean {
  const kind = attributesAfter(body, TCM_BYTES).get(TCA_KIND);
  return kind !== undefined && readText(kind) === "clsact" && body.readInt32LE(4) === index;
}

/** Null for a filter of another kind, and for the line by which the kernel begins each priority. */
export function decodeFilter({ body }: Message, direction: Direction): BpfFilter | null {
  const found = attributesAfter(body, TCM_BYTES);
  const [kind, options] = [found.get(TCA_KIND), found.get(TCA_OPTIONS)];
  if (kind === undefined || options === undefined || readText(kind) !== "bpf") return null;
  const inner = attributes(options);
  const name = inner.get(TCA_BPF_NAME);
  return {
    index: body.readInt32LE(4),
    direction,
    priority: body.readUInt32LE(16) >>> 16,
    handle: body.readUInt32LE(8),
    name: name === undefined ? "" : readText(name),
    programId: uint32Of(inner, TCA_BPF_ID) ?? 0,
  };
}
