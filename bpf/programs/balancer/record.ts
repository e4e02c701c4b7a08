/**
 * What stands in the balancer's tables, in words, beside them in the kernel: which service, endpoint and device has which
 * place. The next process reads it and goes on with the same places, so that flows stay whose they are. Written after each
 * change; a process that dies in between leaves the record of before, and whoever takes over writes its own whole.
 *
 *     the map's one value   length:32 | deflated JSON
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { MAP_TYPE } from "#bpf/kernel/constants.ts";
import { BpfMap } from "#bpf/kernel/map.ts";
import { plainMap } from "#bpf/spec/plain-map.ts";
import { NO_SERVICES, type ServiceTables } from "./tables.ts";

/** 4096 endpoints are 800 KB of text that repeats itself, and some 60 KB deflated. */
const RECORD_BYTES = 256 * 1024;
const LENGTH_BYTES = 4;
/** Of the text: what another version wrote is not read. */
const VERSION = 1;

export function makeRecord(): BpfMap {
  return BpfMap.create(
    plainMap({
      name: "balancer_record",
      type: MAP_TYPE.ARRAY,
      keyBytes: 4,
      valueBytes: RECORD_BYTES,
      maxEntries: 1,
    }),
  );
}

export function writeRecord(map: BpfMap, tables: ServiceTables): void {
  map.update(Buffer.alloc(4), encodeRecord(tables));
}

/** Null: nothing is on record, or not in our words. */
export function readRecord(map: BpfMap): ServiceTables | null {
  const value = map.info.valueBytes === RECORD_BYTES ? map.lookup(Buffer.alloc(4)) : null;
  return value === null ? null : decodeRecord(value);
}

/** Too long to be kept: then nothing is, and the next process begins anew. */
export function encodeRecord(tables: ServiceTables): Buffer {
  const value = Buffer.alloc(RECORD_BYTES);
  // Holes among the devices are bits that are free again.
  const devices = Array.from(tables.devices, (device) => device ?? null);
  const text = deflateRawSync(JSON.stringify({ version: VERSION, ...tables, devices }));
  if (text.length > RECORD_BYTES - LENGTH_BYTES) return value;
  value.writeUInt32LE(text.length, 0);
  value.set(text, LENGTH_BYTES);
  return value;
}

export function decodeRecord(value: Buffer): ServiceTables | null {
  const length = value.readUInt32LE(0);
  if (length === 0 || length > value.length - LENGTH_BYTES) return null;
  try {
    const text = inflateRawSync(value.subarray(LENGTH_BYTES, LENGTH_BYTES + length)).toString();
    const record = JSON.parse(text) as Omit<ServiceTables, "devices"> & {
      readonly version: number;
      readonly devices: readonly (string | null)[];
    };
    if (record.version !== VERSION) return null;
    const devices = record.devices.map((device) => device ?? undefined);
    return { ...NO_SERVICES, services: record.services, devices, generation: record.generation };
  } catch {
    // Half a record, of a process that died while it wrote: as good as none.
    return null;
  }
}
