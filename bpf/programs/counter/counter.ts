/** The packet counter on interfaces: what came from which network, or for which port, read while it counts. */
import { formatPrefix, isIpv4 } from "#core/address.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Program } from "#bpf/kernel/program.ts";
import { attachXdp, type XdpAttachment, type XdpMode } from "#bpf/kernel/xdp.ts";

export interface CounterOptions {
  /** Default: `source`. */
  readonly by?: "source" | "port";
  /** Default: `xdp`. */
  readonly hook?: "xdp" | "tcx";
  /** Bits of a source that count: 32 and 128 for each host. Sources that share them are one. */
  readonly ipv4Bits?: number;
  readonly ipv6Bits?: number;
  /** Networks kept; beyond these, who has not been heard of for longest makes room, and its count is gone. */
  readonly sourcesMax?: number;
  /** Counts on in this map, which another counter made; it stays the caller's. */
  readonly sources?: BpfMap;
  /** The device's (kernel/xdp-chain.ts); left out: nothing comes behind it. */
  readonly chain?: BpfMap;
}

export interface Traffic {
  readonly packets: number;
  /** From the Ethernet header on. */
  readonly bytes: number;
}

export interface SourceTraffic extends Traffic {
  /** `203.0.113.0/24`; of a counter by port `443/tcp`. */
  readonly source: string;
}

export interface OtherTraffic {
  /** Other protocols, frames that are too short, more than two VLAN tags. */
  readonly notIp: Traffic;
  /** Of sources for which there was no room at that moment. */
  readonly noRoom: Traffic;
  /** By port: IP, but neither TCP nor UDP, or a fragment without its header. */
  readonly noPort: Traffic;
}

const SOURCES_DEFAULT = 16_384;
const MAPPED_BITS = 96;
const IP_BYTES = 16;

/** Programs of the object, by where they run. */
const PROGRAMS = { xdp: "counter", tcx: "counter_tcx" } as const;
/** COUNT_BY_SOURCE and COUNT_BY_PORT. */
const BY = { source: 0, port: 1 } as const;

export class PacketCounter {
  readonly collection: Collection;
  /** Network → traffic on each CPU; for pinning. */
  readonly map: BpfMap;
  readonly hook: "xdp" | "tcx";
  readonly by: "source" | "port";
  readonly #ownsMap: boolean;
  readonly #ipv4Bits: number;
  readonly #ipv6Bits: number;

  /** Loads and verifies; attaches nothing. Throws PENSTOCK_BPF_TYPES for bits that a family does not have. */
  constructor(options: CounterOptions = {}) {
    const { by = "source", hook = "xdp", ipv4Bits = 32, ipv6Bits = 128, sourcesMax = SOURCES_DEFAULT } = options;
    const { sources, chain } = options;
    const spec = committedSpec("counter");
    const definition = spec.maps.get("counter_sources");
    if (definition === undefined) throw bpfError("PENSTOCK_BPF_OBJECT", { detail: "counter: no counter_sources" });
    this.hook = hook;
    this.by = by;
    this.#ipv4Bits = ipv4Bits;
    this.#ipv6Bits = ipv6Bits;
    const config = Buffer.concat([uint32(BY[by]), mask(ipv4Bits, 4), mask(ipv6Bits, IP_BYTES)]);
    this.map = sources ?? BpfMap.create({ ...definition, maxEntries: sourcesMax });
    this.#ownsMap = sources === undefined;
    try {
      this.collection = Collection.load(spec, {
        maps: { counter_sources: this.map, ...(chain === undefined ? {} : { xdp_chain: chain }) },
        globals: { counter_config: config },
        programs: [PROGRAMS[hook]],
      });
    } catch (error) {
      if (this.#ownsMap) this.map.close();
      throw error;
    }
  }

  get program(): Program {
    return this.collection.program(PROGRAMS[this.hook]);
  }

  /** May be on several interfaces: they count together. Throws as `attachXdp`. */
  attach(device: string, mode: XdpMode | "auto"): XdpAttachment {
    return attachXdp(this.program, device, mode);
  }

  /** All networks, in no order. */
  sources(): SourceTraffic[] {
    const found: SourceTraffic[] = [];
    this.#each((key, traffic) => found.push({ source: this.#format(key), ...traffic }));
    return found;
  }

  /** The `count` networks that sent most, most first. Memory for these only, however many there are. */
  top(count: number, by: keyof Traffic = "packets"): SourceTraffic[] {
    const best: { readonly key: Buffer; readonly traffic: Traffic }[] = [];
    this.#each((key, traffic) => {
      const least = best.at(-1);
      if (best.length >= count && (least === undefined || least.traffic[by] >= traffic[by])) return;
      const at = best.findIndex((each) => each.traffic[by] < traffic[by]);
      best.splice(at < 0 ? best.length : at, 0, { key: Buffer.from(key), traffic });
      if (best.length > count) best.pop();
    });
    return best.map(({ key, traffic }) => ({ source: this.#format(key), ...traffic }));
  }

  other(): OtherTraffic {
    const [notIp = NONE, noRoom = NONE, noPort = NONE] = this.collection
      .map("counter_other")
      .entries()
      .map(([, value]) => sum(value));
    return { notIp, noRoom, noPort };
  }

  /** Programs that are attached by links live on. */
  close(): void {
    this.collection.close();
    if (this.#ownsMap) this.map.close();
  }

  #each(visit: (key: Buffer, traffic: Traffic) => void): void {
    this.map.each((key, value) => visit(key, sum(value)));
  }

  #format(ip: Buffer): string {
    if (this.by === "port") return `${ip.readUInt32LE(12)}/${PROTOCOLS[ip.readUInt32LE(8)] ?? "?"}`;
    return formatPrefix({ ip, bits: isIpv4(ip) ? MAPPED_BITS + this.#ipv4Bits : this.#ipv6Bits });
  }
}

/** IPPROTO_TCP and IPPROTO_UDP. */
const PROTOCOLS: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp" };

const NONE: Traffic = { packets: 0, bytes: 0 };
/** struct traffic: two 64-bit numbers for each CPU. */
const TRAFFIC_BYTES = 16;

/** Sums the CPUs' shares. Exact to nine petabytes, without a BigInt for each. */
function sum(value: Buffer): Traffic {
  let [packets, bytes] = [0, 0];
  for (let at = 0; at < value.length; at += TRAFFIC_BYTES) {
    packets += value.readUInt32LE(at) + value.readUInt32LE(at + 4) * 2 ** 32;
    bytes += value.readUInt32LE(at + 8) + value.readUInt32LE(at + 12) * 2 ** 32;
  }
  return { packets, bytes };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** In network order. */
function mask(bits: number, length: number): Buffer {
  if (!Number.isInteger(bits) || bits < 0 || bits > 8 * length) {
    throw bpfError("PENSTOCK_BPF_TYPES", { detail: `${bits} of ${8 * length} bits` });
  }
  return Buffer.from(
    Array.from({ length }, (_, i) => 0xff00 >> Math.min(Math.max(bits - 8 * i, 0), 8)).map((b) => b & 0xff),
  );
}
