/** Host calls of the fake host over bytes at hand, exchanges and events. */
import { BODY_WINDOW_BYTES_MAX, MEASURES, PROPERTIES, TICK_MS_MIN } from "#sdk/types/abi.ts";
import type { FakeState, GuestMemory, PartOfCalls } from "./fake-state.ts";

export function byteCalls(host: FakeState, memory: GuestMemory) {
  const { read, text, write, exchange } = memory;
  const upstreams = Object.keys(host.upstreams);
  const byNumber = (names: Readonly<Record<string, number>>, number: number): string => {
    const found = Object.entries(names).find((entry) => entry[1] === number);
    if (found === undefined) throw new Error(`unknown number ${number}`);
    return found[0];
  };
  return {
    body_size: () => host.window.length,
    body_get: (offset: number, at: number, room: number) => {
      const piece = host.window.subarray(offset, offset + room);
      write(piece, at, room);
      return piece.length;
    },
    body_splice: (offset: number, removed: number, at: number, length: number) => {
      if (offset + removed > host.window.length) throw new Error("body_splice beyond the bytes at hand");
      const before = host.window.subarray(0, offset);
      const after = host.window.subarray(offset + removed);
      const made = Buffer.concat([before, read(at, length), after]);
      if (made.length > BODY_WINDOW_BYTES_MAX) return 0;
      host.window = made;
      return 1;
    },
    body_skip: () => {
      host.skipsBody = true;
      return undefined;
    },
    exchange_put: (at: number, length: number) => {
      exchange().kept = read(at, length);
      return undefined;
    },
    exchange_get: (at: number, room: number) => write(exchange().kept, at, room),
    property: (number: number, at: number, room: number) => {
      const name = byNumber(PROPERTIES, number);
      const known = { plugin: host.plugin, protocol: host.exchange?.scheme, ...host.exchange?.properties };
      return write(known[name as keyof typeof known] ?? "", at, room);
    },
    measure: (number: number) => {
      const name = byNumber(MEASURES, number);
      return host.exchange?.measures[name] ?? (name === "status" ? (host.exchange?.status ?? 0) : Number.NaN);
    },
    route_to: (handle: number, at: number, length: number) => {
      const upstream = upstreams[handle];
      if (upstream === undefined) throw new Error(`unknown upstream handle ${handle}`);
      const endpoint = text(at, length);
      exchange().route = endpoint === "" ? upstream : `${upstream} ${endpoint}`;
      return 1;
    },
    tick_every: (periodMs: number) => {
      host.tickMs = periodMs <= 0 ? 0 : Math.max(TICK_MS_MIN, periodMs);
      return undefined;
    },
    message_get: (at: number, room: number) => write(host.message, at, room),
    message_reply: (at: number, length: number) => {
      host.answer = read(at, length);
      return undefined;
    },
  } satisfies PartOfCalls;
}
