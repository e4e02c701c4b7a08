/**
 * Values of shared maps between JSON and the bytes that kernel and guests see; keys are text everywhere and read by
 * #core/map-codec.ts. The layouts are those of `MapSpec`:
 *
 *     expiry      u64 LE, ns of CLOCK_BOOTTIME, 0: never   { "ttlSeconds": 60 }, { "ttlSeconds": null }
 *     counter     u64 LE                               { "value": 12 }
 *     bytes       as declared                          { "hex": "00ff" }
 */
import { uptime } from "node:os";
import { controlError } from "#core/errors/control.ts";
import { isRecord } from "#control/config/fields.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";

const NS_PER_SECOND = 1_000_000_000n;
const TTL_SECONDS_MAX = 10 * 365 * 86_400;

type Shape = Pick<MapSpec, "key" | "keyBytes" | "value" | "valueBytes">;

/** `body` is what the client sent. */
export function encodeValue(map: Shape, body: unknown): Uint8Array {
  if (!isRecord(body)) throw bad("expected an object");
  const field = map.value === "expiry" ? "ttlSeconds" : map.value === "counter" ? "value" : "hex";
  const extra = Object.keys(body).find((key) => key !== field);
  if (extra !== undefined) throw bad(`no such field: "${extra}"; a value of this map has "${field}"`);
  if (map.value === "bytes") return hexBytes(body["hex"], map.valueBytes, "a value of this map");
  if (map.value === "counter") return u64(BigInt(whole(body["value"], "value", Number.MAX_SAFE_INTEGER)));
  const ttl = body["ttlSeconds"];
  if (ttl === undefined || ttl === null) return u64(0n);
  return u64(bootTimeNs() + BigInt(whole(ttl, "ttlSeconds", TTL_SECONDS_MAX)) * NS_PER_SECOND);
}

export function decodeValue(map: Shape, value: Uint8Array): Record<string, string | number | null> {
  if (map.value === "bytes") return { hex: Buffer.from(value).toString("hex") };
  const number = new DataView(value.buffer, value.byteOffset, value.byteLength).getBigUint64(0, true);
  if (map.value === "counter") return { value: Number(number) };
  if (number === 0n) return { ttlSeconds: null };
  const left = number - bootTimeNs();
  // An entry that has run out stays in the map until it is swept; it denies nothing any more.
  return { ttlSeconds: left <= 0n ? 0 : Number(left / 1_000_000n) / 1000 };
}

/**
 * CLOCK_BOOTTIME. Node has CLOCK_MONOTONIC, which is the same without the time that the machine was suspended, and the
 * uptime, which is boot time but possibly in whole seconds: their difference is the suspended time, or noise below 1.5 s.
 */
export function bootTimeNs(): bigint {
  const monotonic = process.hrtime.bigint();
  const suspendedSeconds = uptime() - Number(monotonic) / 1e9;
  return suspendedSeconds < 1.5 ? monotonic : monotonic + BigInt(Math.round(suspendedSeconds * 1000)) * 1_000_000n;
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function whole(value: unknown, field: string, max: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw bad(`${field} is a whole number from 0 to ${max}`);
  }
  return value;
}

function hexBytes(text: unknown, bytes: number, what: string): Uint8Array {
  if (typeof text !== "string" || !/^(?:[0-9a-fA-F]{2})*$/.test(text) || text.length !== bytes * 2) {
    throw bad(`${what} is ${bytes} bytes in hex, ${bytes * 2} digits`);
  }
  return Buffer.from(text, "hex");
}

function bad(detail: string): Error {
  return controlError("PENSTOCK_CONTROL_MAP", { detail });
}
