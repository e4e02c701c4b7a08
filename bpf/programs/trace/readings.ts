/**
 * What the trace program leaves in its maps, as numbers and words: sums over the CPUs, and events. Pure; layouts are those of
 * src/trace_structs.h.
 */
import { formatIp } from "#core/address.ts";
import { sumWords } from "#bpf/kernel/counters.ts";

export const KINDS = ["handshake", "response", "roundTrip", "lifetime"] as const;
export type Kind = (typeof KINDS)[number];
export const BUCKETS = 28;

/** enum tcp_state; index 0 is none. `closed` never stands in a count: those connections are gone. */
export const STATES = [
  "",
  "established",
  "syn-sent",
  "syn-received",
  "fin-wait-1",
  "fin-wait-2",
  "time-wait",
  "closed",
  "close-wait",
  "last-ack",
  "listen",
  "closing",
  "new-syn-received",
] as const;

export interface Histogram {
  /** Of as many measurements; bucket n has those of less than 2^n microseconds, the last one the rest. */
  readonly buckets: readonly number[];
  readonly count: number;
  readonly sumUs: number;
}

export interface Counts {
  readonly opened: number;
  readonly closed: number;
  readonly retransmits: number;
  readonly resetsReceived: number;
  /** Events that found no room. */
  readonly lost: number;
  /** Connections by state, without those that have none. */
  readonly states: Readonly<Record<string, number>>;
}

/** struct trace_histogram of each CPU. */
export function readHistogram(value: Buffer): Histogram {
  const words = sumWords(value, BUCKETS + 2);
  return { buckets: words.slice(0, BUCKETS), sumUs: words[BUCKETS] ?? 0, count: words[BUCKETS + 1] ?? 0 };
}

const COUNT_WORDS = 5;
export const COUNTS_BYTES = (COUNT_WORDS + STATES.length) * 8;

/** struct trace_counts of each CPU. */
export function readCounts(value: Buffer): Counts {
  const words = sumWords(value, COUNT_WORDS + STATES.length);
  const [opened = 0, closed = 0, retransmits = 0, resetsReceived = 0, lost = 0] = words;
  const states = STATES.flatMap((name, i) => {
    const count = words[COUNT_WORDS + i] ?? 0;
    return name === "" || count <= 0 ? [] : [[name, count] as const];
  });
  return { opened, closed, retransmits, resetsReceived, lost, states: Object.fromEntries(states) };
}

const EVENTS = ["", "state", "retransmit", "slow-response", "reset"] as const;

export interface TraceEvent {
  /** CLOCK_BOOTTIME. */
  readonly bootNs: bigint;
  /** Index of the listener. */
  readonly listener: number;
  readonly kind: Exclude<(typeof EVENTS)[number], "">;
  readonly local: string;
  readonly remote: string;
  /** Of `state`. */
  readonly from?: string;
  readonly to?: string;
  /** Microseconds: how long a slow response took, else the round trip; absent where it is not known. */
  readonly us?: number;
}

export const EVENT_BYTES = 56;

/** struct trace_event; null for a kind that this version does not know. */
export function readEvent(record: Buffer): TraceEvent | null {
  const kind = EVENTS[record.readUInt8(46)] ?? "";
  if (kind === "") return null;
  const us = record.readUInt32LE(52);
  const states = { from: STATES[record.readUInt8(47)] ?? "", to: STATES[record.readUInt8(48)] ?? "" };
  return {
    bootNs: record.readBigUInt64LE(0),
    listener: record.readUInt16LE(44),
    kind,
    local: place(record.subarray(8, 24), record.readUInt16LE(40)),
    remote: place(record.subarray(24, 40), record.readUInt16LE(42)),
    ...(kind === "state" ? states : {}),
    ...(us === 0 ? {} : { us }),
  };
}

function place(ip: Uint8Array, port: number): string {
  const text = formatIp(ip);
  return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
}
