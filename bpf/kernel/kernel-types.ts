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

function scan(types: Reader, wanted: ReadonlyMap<string, KernelType>): void {
  const header = types.u32(4);
  const start = header + types.u32(8);
  const end = start + types.u32(12);
  const strings = header + types.u32(16);
  const byKind = new Map<number, Sought[]>();
  for (const [key, { kind, name }] of wanted) {
    const list = byKind.get(KIND[kind]) ?? [];
    byKind.set(KIND[kind], [...list, { key, bytes: Buffer.from(`${name}\0`, "latin1") }]);
  }
  for (let at = start, id = 1, left = wanted.size; at < end && left > 0; id++) {
    const info = types.u32(at + 4);
    const kind = (info >>> 24) & 31;
    const text = strings + types.u32(at);
    const found = byKind.get(kind)?.find(({ key, bytes }) => known.get(key) === null && isAt(types.bytes, text, bytes));
    if (found !== undefined) {
      known.set(found.key, id);
      left--;
    }
    at += 12 + tail(kind, info & 0xffff);
  }
}

function isAt(bytes: Buffer, at: number, wanted: Buffer): boolean {
  return bytes[at] === wanted[0] && bytes.compare(wanted, 0, wanted.length, at, at + wanted.length) === 0;
}

/** Bytes after a type's common header, as in `btf/parse.ts`; 8 more kinds would be a new kernel's. */
function tail(kind: number, count: number): number {
  if (kind === 1 || kind === 14 || kind === 17) return 4;
  if (kind === 3) return 12;
  if (kind === 4 || kind === 5 || kind === 15 || kind === 19) return 12 * count;
  return kind === 6 || kind === 13 ? 8 * count : 0;
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
