/**
 * The trace programs: one set for all listeners, which are marked on their sockets. Loaded and verified here; attached when
 * asked. The programs don't depend on what is declared, so a change of that replaces nothing.
 */
import { boottimeNs } from "#sys/clock.ts";
import type { Fd } from "#core/brands.ts";
import { attachTracing } from "#bpf/kernel/attach.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import type { Link } from "#bpf/kernel/link.ts";
import type { MappedValue } from "#bpf/kernel/mapped.ts";
import { hasTracepoint } from "#bpf/kernel/kernel-types.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { RingBuffer } from "#bpf/kernel/ring-buffer.ts";
import {
  EVENT_BYTES,
  KINDS,
  readCounts,
  readEvent,
  readHistogram,
  type Counts,
  type Histogram,
  type Kind,
  type TraceEvent,
} from "./readings.ts";

/** As many listeners as the maps have room for. */
export const LISTENERS_MAX = 64;
const SOCKET_BYTES = 24;
/** Linux 6.3 has them; Debian 12 does without. */
const RESPONSE_EVENTS = ["sock_recv_length", "sock_send_length"] as const;
const RESPONSE_PROGRAMS: readonly string[] = ["trace_received", "trace_sent"];

export class Tracer {
  readonly #collection: Collection;
  readonly #ring: RingBuffer;
  readonly #followUntil: MappedValue;
  readonly #links: Link[] = [];

  /** Whether there are the tracepoints for it; the rest needs older ones only. */
  readonly measuresResponses: boolean;

  /** Throws VerifierError, PENSTOCK_BPF_UNAVAILABLE where the kernel has no BTF tracepoints (5.5). */
  constructor(measuresResponses = RESPONSE_EVENTS.every(hasTracepoint)) {
    const spec = committedSpec("trace");
    const programs = [...spec.programs.keys()].filter((name) => measuresResponses || !RESPONSE_PROGRAMS.includes(name));
    this.measuresResponses = measuresResponses;
    this.#collection = Collection.load(spec, { programs });
    try {
      this.#followUntil = this.#collection.global("trace_follow_until_ns");
      this.#ring = new RingBuffer(this.#collection.map("trace_events"));
    } catch (error) {
      this.#collection.close();
      throw error;
    }
  }

  /** All or none. Throws PENSTOCK_BPF_ATTACH. */
  attach(): void {
    try {
      for (const program of this.#collection.programs.values()) this.#links.push(attachTracing(program));
    } catch (error) {
      this.detach();
      throw error;
    }
  }

  detach(): void {
    for (const link of this.#links.splice(0)) link.close();
  }

  get programs(): { readonly name: string; readonly id: number; readonly linkId: number }[] {
    return Array.from(this.#collection.programs.values(), (program, i) => ({
      name: program.name,
      id: program.info().id,
      linkId: this.#links[i]?.info().id ?? 0,
    }));
  }

  /** Connections that a listening socket accepts from now on are that listener's. `slowMs`: 0, or when a response is slow. */
  mark(socket: Fd, listener: number, slowMs: number): void {
    const value = Buffer.alloc(SOCKET_BYTES);
    value.writeUInt32LE(listener, 16);
    value.writeUInt32LE(slowMs * 1000, 20);
    this.#collection.map("trace_sockets").update(uint32(socket), value);
  }

  /** Those that it accepts from now on are nobody's; those that are open stay who they are. */
  unmark(socket: Fd): void {
    this.#collection.map("trace_sockets").delete(uint32(socket));
  }

  counts(listener: number): Counts {
    return readCounts(this.#collection.map("trace_counts").lookup(uint32(listener)) ?? Buffer.alloc(0));
  }

  histogram(listener: number, kind: Kind): Histogram {
    const index = uint32(listener * KINDS.length + KINDS.indexOf(kind));
    return readHistogram(this.#collection.map("trace_histograms").lookup(index) ?? Buffer.alloc(0));
  }

  /** A place that is used again begins at 0. */
  reset(listener: number): void {
    const [counts, histograms] = [this.#collection.map("trace_counts"), this.#collection.map("trace_histograms")];
    counts.update(uint32(listener), Buffer.alloc(counts.valueSlotBytes));
    for (const i of KINDS.keys()) {
      histograms.update(uint32(listener * KINDS.length + i), Buffer.alloc(histograms.valueSlotBytes));
    }
  }

  /** Events are made for so long. */
  follow(ms: number): void {
    this.#followUntil.set(boottimeNs() + BigInt(ms) * 1_000_000n);
  }

  /** Those that were made and not read yet. */
  events(): TraceEvent[] {
    const events: TraceEvent[] = [];
    this.#ring.consume((memory, at, length) => {
      const event = length < EVENT_BYTES ? null : readEvent(memory.subarray(at, at + length));
      if (event !== null) events.push(event);
    });
    return events;
  }

  close(): void {
    this.detach();
    this.#ring.close();
    this.#collection.close();
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
