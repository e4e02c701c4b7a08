/** Tracing as a feature of the manager: which listeners' connections are measured, and who follows what happens to them. */
import { boottimeNs } from "#sys/clock.ts";
import { bpfError } from "#core/errors/bpf.ts";
import type { Declaration, ListenerDeclaration } from "#bpf/manager/declarations.ts";
import type { CounterFamily, FeaturePlan, FeatureStatus, KernelFeature, PlanContext } from "#bpf/manager/feature.ts";
import type { TraceDeclaration } from "./declaration.ts";
import { BUCKETS, KINDS, type Counts, type Kind } from "./readings.ts";
import { LISTENERS_MAX, Tracer } from "./tracer.ts";

interface Traced {
  readonly name: string;
  readonly slot: number;
  readonly slowMs: number;
}

/** As told to whoever follows. `seq` grows by one; a gap means that events were too many. */
export interface TracedEvent {
  readonly seq: number;
  readonly timeMs: number;
  readonly listener: string;
  readonly kind: string;
  readonly local: string;
  readonly remote: string;
  readonly from?: string;
  readonly to?: string;
  readonly us?: number;
}

const NO_RESPONSES =
  "traces: responses are not measured; the tracepoints for it (sock_recv_length, sock_send_length) came with Linux 6.3";
/** Who follows asks again within this time, or nothing is made any more. */
const FOLLOW_MS = 10_000;
/** Kept for several who follow at once, each at a place of its own. */
const EVENTS_KEPT = 8192;

export class TraceFeature implements KernelFeature {
  readonly name = "traces";
  #tracer: Tracer | null = null;
  #inForce: readonly Traced[] = [];
  #events: TracedEvent[] = [];
  #seq = 0;

  plan({ kernel, listeners }: Declaration, context: PlanContext): FeaturePlan {
    const declared = kernel.traces ?? [];
    const traced = this.#place(declared, context);
    const fresh = this.#tracer === null && declared.length > 0 ? new Tracer() : null;
    const tracer = fresh ?? this.#tracer;
    const before = this.#inForce;
    return {
      attach: (undo) => {
        if (tracer === null) return;
        if (fresh !== null) {
          fresh.attach();
          undo.push(() => fresh.detach());
        }
        undo.push(() => mark(tracer, before, listeners));
        for (const { slot, name } of traced) if (!before.some((one) => one.name === name)) tracer.reset(slot);
        mark(tracer, traced, listeners);
      },
      settle: () => {
        this.#tracer = tracer;
        this.#inForce = traced;
        if (traced.length > 0) return;
        tracer?.close();
        this.#tracer = null;
        this.#events = [];
      },
      discard: () => fresh?.close(),
    };
  }

  /** A listener that stays traced keeps its place, and with it what was measured. */
  #place(declared: readonly TraceDeclaration[], context: PlanContext): Traced[] {
    const names = declared.map(({ listener }) => context.listener(listener).name);
    const taken = new Set(this.#inForce.filter(({ name }) => names.includes(name)).map(({ slot }) => slot));
    return declared.map(({ slowMs = 0 }, i) => {
      const name = names[i] ?? "";
      const kept = this.#inForce.find((one) => one.name === name)?.slot;
      if (kept !== undefined) return { name, slot: kept, slowMs };
      let slot = 0;
      while (taken.has(slot)) slot++;
      if (slot >= LISTENERS_MAX) {
        throw bpfError("PENSTOCK_BPF_UNAVAILABLE", { detail: `no more than ${LISTENERS_MAX} listeners are traced` });
      }
      taken.add(slot);
      return { name, slot, slowMs };
    });
  }

  /**
   * Events behind `after`, at most `limit`, and what to ask with next; null when nothing is traced. While it is asked, events
   * are made; the first time there are none yet.
   */
  follow(after: number, limit: number): { readonly events: readonly TracedEvent[]; readonly next: number } | null {
    if (this.#tracer === null) return null;
    this.#tracer.follow(FOLLOW_MS);
    this.#collect(this.#tracer);
    const events = this.#events.filter(({ seq }) => seq > after).slice(0, limit);
    return { events, next: events.at(-1)?.seq ?? Math.min(after, this.#seq) };
  }

  /** Where following begins: what happened before is not told. */
  get lastEvent(): number {
    return this.#seq;
  }

  #collect(tracer: Tracer): void {
    const wall = Date.now();
    const now = boottimeNs();
    for (const { bootNs, listener: slot, ...event } of tracer.events()) {
      const listener = this.#inForce.find((one) => one.slot === slot)?.name ?? "";
      const timeMs = wall - Number((now - bootNs) / 1_000_000n);
      this.#events.push({ seq: ++this.#seq, timeMs, listener, ...event });
    }
    if (this.#events.length > EVENTS_KEPT) this.#events = this.#events.slice(-EVENTS_KEPT);
  }

  status(): FeatureStatus {
    const tracer = this.#tracer;
    if (tracer === null) return { programs: [], counters: [], facts: [], neighbours: [] };
    const counts = this.#inForce.map((one) => ({ ...one, counts: tracer.counts(one.slot) }));
    return {
      programs: tracer.programs.map((each) => ({
        ...each,
        attachedTo: `tracepoint ${each.name.replace("trace_", "")}`,
      })),
      counters: [...countFamilies(counts), ...KINDS.map((kind) => histogramFamily(kind, this.#inForce, tracer))],
      facts: [
        ...counts.map(({ name, counts: { opened, states } }) => {
          const open = Object.entries(states).map(([state, count]) => `${count} ${state}`);
          return `trace ${name}: ${opened} connections, ${open.join(", ") || "none open"}`;
        }),
        ...(tracer.measuresResponses ? [] : [NO_RESPONSES]),
      ],
      neighbours: [],
    };
  }

  close(): void {
    this.#tracer?.close();
    this.#tracer = null;
    this.#inForce = [];
    this.#events = [];
  }
}

function mark(tracer: Tracer, traced: readonly Traced[], listeners: readonly ListenerDeclaration[]): void {
  for (const { name, allSockets = [] } of listeners) {
    const one = traced.find((each) => each.name === name);
    for (const socket of allSockets) {
      if (one === undefined) tracer.unmark(socket);
      else tracer.mark(socket, one.slot, one.slowMs);
    }
  }
}

function countFamilies(all: readonly { readonly name: string; readonly counts: Counts }[]): CounterFamily[] {
  const family = (name: string, help: string, read: (counts: Counts) => number): CounterFamily => ({
    name: `kernel_trace_${name}`,
    type: "counter",
    help,
    samples: all.map(({ name: listener, counts }) => ({ labels: { listener }, value: read(counts) })),
  });
  return [
    family("connections_opened", "connections of traced listeners that were established", ({ opened }) => opened),
    family("connections_closed", "of those, that have ended", ({ closed }) => closed),
    family("retransmits", "segments that were sent again", ({ retransmits }) => retransmits),
    family("resets_received", "connections that the client reset", ({ resetsReceived }) => resetsReceived),
    family("events_lost", "events that were made faster than they were read", ({ lost }) => lost),
    {
      name: "kernel_trace_connections",
      type: "gauge",
      help: "connections of traced listeners by TCP state",
      samples: all.flatMap(({ name: listener, counts: { states } }) =>
        Object.entries(states).map(([state, value]) => ({ labels: { listener, state }, value })),
      ),
    },
  ];
}

const FAMILIES: Readonly<Record<Kind, readonly [name: string, help: string]>> = {
  handshake: ["handshake_seconds", "from SYN-ACK to ACK, of connections as they are established"],
  response: ["response_seconds", "from the last bytes that were read to the first that were sent after them"],
  roundTrip: ["round_trip_seconds", "smoothed round trip of connections as they end"],
  lifetime: ["lifetime_seconds", "from established to closed"],
};

function histogramFamily(kind: Kind, all: readonly Traced[], tracer: Tracer): CounterFamily {
  const [name, help] = FAMILIES[kind];
  const samples = all.flatMap(({ name: listener, slot }) => {
    const { buckets, count, sumUs } = tracer.histogram(slot, kind);
    let below = 0;
    const bounded = buckets.slice(0, BUCKETS - 1).map((each, i) => {
      below += each;
      return { suffix: "_bucket", labels: { listener, le: String(2 ** i / 1e6) }, value: below };
    });
    return [
      ...bounded,
      { suffix: "_bucket", labels: { listener, le: "+Inf" }, value: count },
      { suffix: "_count", labels: { listener }, value: count },
      { suffix: "_sum", labels: { listener }, value: sumUs / 1e6 },
    ];
  });
  return { name: `kernel_trace_${name}`, type: "histogram", help, samples };
}
