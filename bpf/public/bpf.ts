/**
 * The kernel, for scripts: object files, programs, maps by their types, attaching. What runs in the gateway goes through the
 * manager instead, which makes changes whole and undoes them; a script owns what it makes and closes it.
 */
import fs from "node:fs";
import { bpfError } from "#core/errors/bpf.ts";
import { cgroupId } from "#sys/cgroup.ts";
import { networkInterface } from "#bpf/netlink/interfaces.ts";
import { readSpec } from "#bpf/spec/read.ts";
import type { CollectionSpec } from "#bpf/spec/spec.ts";
import {
  attachRawTracepoint,
  attachToCgroupLegacy,
  attachToNetfilter,
  attachToNetns,
  attachToSockets,
  attachToTracepoint,
  attachTracing,
  KernelIterator,
  type NetfilterPlace,
} from "#bpf/kernel/attach.ts";
import { Collection, type CollectionOptions } from "#bpf/kernel/collection.ts";
import { Link } from "#bpf/kernel/link.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { PinFolder } from "#bpf/kernel/pins.ts";
import type { Program } from "#bpf/kernel/program.ts";
import { RingBuffer } from "#bpf/kernel/ring-buffer.ts";
import { attachTc } from "#bpf/kernel/tcx.ts";
import { TypedMap } from "#bpf/kernel/typed-map.ts";
import { attachXdp, type XdpMode } from "#bpf/kernel/xdp.ts";
import { probeKernel } from "#bpf/manager/probe.ts";
import { L4Services } from "./services.ts";

interface XdpPlace {
  readonly device: string;
  readonly hook?: "xdp";
  readonly mode?: XdpMode | "auto";
}

interface TcPlace {
  readonly device: string;
  readonly hook: "ingress" | "egress";
  readonly way?: "auto" | "tcx" | "clsact";
}

export type Place =
  | XdpPlace
  | TcPlace
  | { readonly cgroup: string; readonly legacy?: boolean }
  | { readonly netns: string }
  | { readonly netfilter: NetfilterPlace }
  | { readonly tracepoint: string }
  | { readonly rawTracepoint: string }
  | { readonly sockets: BpfMap }
  | { readonly tracing: true };

/** Something attached. Closed, it is off; a process that ends closes everything but what the kernel keeps (see `legacy`). */
export interface Attachment {
  readonly place: string;
  close(): void;
}

/** An object in the kernel: maps made, programs verified, nothing attached. */
export class LoadedObject {
  readonly collection: Collection;

  constructor(collection: Collection) {
    this.collection = collection;
  }

  program(name: string): Program {
    return this.collection.program(name);
  }

  /** By the types that the object declares: plain objects in and out. Throws PENSTOCK_BPF_TYPES for a map without types. */
  map(name: string): TypedMap {
    const definition = this.collection.spec.maps.get(name);
    const { btf } = this.collection.spec;
    if (definition === undefined || btf === null || definition.valueType === 0) {
      throw bpfError("PENSTOCK_BPF_TYPES", {
        detail: `no map ${JSON.stringify(name)} whose types are known: see rawMap`,
      });
    }
    return new TypedMap(this.collection.map(name), btf, definition);
  }

  /** Keys and values as bytes. */
  rawMap(name: string): BpfMap {
    return this.collection.map(name);
  }

  /** A variable of `.data` or `.bss`, read and written while programs run. */
  global(name: string): ReturnType<Collection["global"]> {
    return this.collection.global(name);
  }

  /** A BPF_F_MMAPABLE array as memory. */
  array(name: string): ReturnType<Collection["mappedArray"]> {
    return this.collection.mappedArray(name);
  }

  /** A ring buffer, read without system calls. Close it before the object. */
  ring(name: string): RingBuffer {
    return new RingBuffer(this.collection.map(name));
  }

  close(): void {
    this.collection.close();
  }
}

/** An object file, read: needs no privileges, and is whole or an error. */
export class ObjectFile {
  readonly spec: CollectionSpec;

  constructor(spec: CollectionSpec) {
    this.spec = spec;
  }

  get programs(): string[] {
    return [...this.spec.programs.keys()];
  }

  get maps(): string[] {
    return [...this.spec.maps.keys()];
  }

  get globals(): string[] {
    return [...this.spec.globals.keys()];
  }

  /** Throws VerifierError, whose message leads with the lines that matter and whose `log` is the whole. */
  load(options: CollectionOptions = {}): LoadedObject {
    return new LoadedObject(Collection.load(this.spec, options));
  }
}

function object(source: string | Uint8Array): ObjectFile {
  return new ObjectFile(readSpec(typeof source === "string" ? fs.readFileSync(source) : Buffer.from(source)));
}

/** Throws PENSTOCK_BPF_ATTACH with what is missing or who is in the way. */
function attach(program: Program, place: Place): Attachment {
  if ("device" in place) return attachToDevice(program, place);
  if ("cgroup" in place)
    return place.legacy === true ? attachToCgroupLegacy(program, place.cgroup) : Link.toCgroup(program, place.cgroup);
  if ("netns" in place) return attachToNetns(program, place.netns);
  if ("netfilter" in place) return attachToNetfilter(program, place.netfilter);
  if ("tracepoint" in place) return attachToTracepoint(program, place.tracepoint);
  if ("rawTracepoint" in place) return attachRawTracepoint(program, place.rawTracepoint);
  if ("sockets" in place) return attachToSockets(program, place.sockets);
  return attachTracing(program);
}

function isXdp(place: XdpPlace | TcPlace): place is XdpPlace {
  return place.hook === undefined || place.hook === "xdp";
}

function attachToDevice(program: Program, place: XdpPlace | TcPlace): Attachment {
  const { device } = place;
  if (isXdp(place)) return attachXdp(program, device, place.mode ?? "auto").link;
  const attachment = attachTc(program, device, networkInterface(device).index, place.hook, place.way);
  return { place: `${device} ${attachment.kind} ${place.hook}`, close: () => attachment.close() };
}

/** The id by which programs know a cgroup: its directory's inode. Throws PENSTOCK_BPF_CGROUP. */
function cgroup(directory: string): bigint {
  const id = cgroupId(directory);
  if (id === null) throw bpfError("PENSTOCK_BPF_CGROUP", { detail: `${directory} is no directory of cgroup2` });
  return id;
}

/** `root`: a directory of a bpffs. See kernel/pins.ts. */
function pins(root: string, version = 1): PinFolder {
  return new PinFolder(root, version);
}

/** Runs `program` over the kernel's sockets, tasks, maps …; `read()` answers what it wrote. */
function iterator(program: Program, map?: BpfMap): KernelIterator {
  return new KernelIterator(program, map);
}

/** L4 services in XDP. See public/services.ts. */
function services(): L4Services {
  return new L4Services();
}

export const bpf = { object, attach, cgroup, pins, iterator, services, probe: probeKernel } as const;
