/**
 * Ids in the kernel's own types (/sys/kernel/btf/vmlinux), for programs that name a kernel function, variable or
 * tracepoint. The file has some 150 000 types, so it is scanned for the wanted name instead of parsed.
 */
import fs from "node:fs";
import { bpfError } from "#core/errors/bpf.ts";
import { Reader } from "#bpf/elf/reader.ts";
import type { ProgramSpec } from "#bpf/spec/spec.ts";

const KERNEL_TYPES = "/sys/kernel/btf/vmlinux";

const KIND = { function: 12, variable: 14, typedef: 8 } as const;

export interface KernelType {
  readonly kind: keyof typeof KIND;
  readonly name: string;
}

/** The kernel's types don't change while it runs. Null: it has none of that kind and name. */
const known = new Map<string, number | null>();

/** Id of the type of this kind and name; null when this kernel has none, or no types at all. */
export function kernelTypeId(kind: keyof typeof KIND, name: string): number | null {
  lookUp([{ kind, name }]);
  return known.get(`${kind} ${name}`) ?? null;
}

/** Whether `tp_btf/NAME` can be attached to here. */
export function hasTracepoint(name: string): boolean {
  return kernelTypeId("typedef", `btf_trace_${name}`) !== null;
}

/** All of them in one walk, which is what costs: 10 ms for the 6 MiB of a usual kernel. */
export function lookUp(types: readonly KernelType[]): void {
  const wanted = new Map<string, KernelType>();
  for (const each of types) {
    const key = `${each.kind} ${each.name}`;
    if (!known.has(key)) wanted.set(key, each);
  }
  if (wanted.size === 0) return;
  for (const key of wanted.keys()) known.set(key, null);
  if (!fs.existsSync(KERNEL_TYPES)) return;
  scan(new Reader(fs.readFileSync(KERNEL_TYPES), KERNEL_TYPES), wanted);
}

interface Sought {
  readonly key: string;
  readonly bytes: Buffer;
}

/** Types are walked as 32-bit words, each read at once: they are so many that checking each would be most of a start. */
function scan(file: Reader, wanted: ReadonlyMap<string, KernelType>): void {
  const header = file.u32(4);
  const strings = header + file.u32(16);
  const words = wordsOf(file.slice(header + file.u32(8), file.u32(12), "types"));
  const byKind: Sought[][] = Array.from({ length: KINDS }, () => []);
  for (const [key, { kind, name }] of wanted) {
    byKind[KIND[kind]]?.push({ key, bytes: Buffer.from(`${name}\0`, "latin1") });
  }
  for (let at = 0, id = 1, left = wanted.size; at < words.length && left > 0; id++) {
    const info = words[at + 1] ?? 0;
    const kind = (info >>> 24) & 31;
    const sought = byKind[kind];
    if (sought !== undefined && sought.length > 0) {
      const text = strings + (words[at] ?? 0);
      const found = sought.findIndex(({ bytes }) => isAt(file.bytes, text, bytes));
      for (const { key } of found < 0 ? [] : sought.splice(found, 1)) {
        known.set(key, id);
        left--;
      }
    }
    at += 3 + tailWords(kind, info & 0xffff);
  }
}

function wordsOf(bytes: Buffer): Uint32Array {
  const { buffer, byteOffset, length } = bytes;
  return byteOffset % 4 === 0
    ? new Uint32Array(buffer, byteOffset, length >> 2)
    : new Uint32Array(buffer.slice(byteOffset, byteOffset + length - (length % 4)));
}

function isAt(bytes: Buffer, at: number, wanted: Buffer): boolean {
  return bytes[at] === wanted[0] && bytes.compare(wanted, 0, wanted.length, at, at + wanted.length) === 0;
}

/** Of the field that holds a kind. */
const KINDS = 32;

/** Words after a type's common header, as in `btf/parse.ts`; 8 more kinds would be a new kernel's. */
function tailWords(kind: number, count: number): number {
  if (kind === 1 || kind === 14 || kind === 17) return 1;
  if (kind === 3) return 3;
  if (kind === 4 || kind === 5 || kind === 15 || kind === 19) return 3 * count;
  return kind === 6 || kind === 13 ? 2 * count : 0;
}

const BPF_PROG_TYPE_TRACING = 26;
const BPF_PROG_TYPE_LSM = 29;
/** How the kernel names the type behind each attach type. */
const PREFIX: Readonly<Record<number, { readonly kind: keyof typeof KIND; readonly prefix: string }>> = {
  23: { kind: "typedef", prefix: "btf_trace_" },
  24: { kind: "function", prefix: "" },
  25: { kind: "function", prefix: "" },
  26: { kind: "function", prefix: "" },
  27: { kind: "function", prefix: "bpf_lsm_" },
  28: { kind: "function", prefix: "bpf_iter_" },
  43: { kind: "function", prefix: "bpf_lsm_" },
};

/** What a program attaches to, for the kinds that the kernel wants to know it of when loading; else null. */
export function targetType(spec: ProgramSpec): KernelType | null {
  if (spec.type !== BPF_PROG_TYPE_TRACING && spec.type !== BPF_PROG_TYPE_LSM) return null;
  const rule = PREFIX[spec.attachType];
  return rule === undefined || spec.target === null ? null : { kind: rule.kind, name: `${rule.prefix}${spec.target}` };
}

/** The id of that. */
export function targetId(spec: ProgramSpec): number | null {
  if (spec.type !== BPF_PROG_TYPE_TRACING && spec.type !== BPF_PROG_TYPE_LSM) return null;
  const type = targetType(spec);
  const id = type === null ? null : kernelTypeId(type.kind, type.name);
  if (id === null) {
    throw bpfError("PENSTOCK_BPF_UNAVAILABLE", {
      detail: `this kernel has no ${spec.target ?? "target"} for ${spec.section}`,
    });
  }
  return id;
}
