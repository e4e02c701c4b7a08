/**
 * The custom section `penstock.offsets`: where each byte of the metered code stood in the module that was uploaded, so
 * that a fault can be told in the offsets the plugin's author knows. It travels inside the module; nobody reads it until
 * a fault happens.
 *
 * Contents: pairs of unsigned LEB128, target delta and source delta + bias, one pair for each stretch of unchanged
 * code, ascending in both.
 */
import { ByteReader } from "#wasm/validate/reader.ts";
import type { Stretch } from "./emit.ts";
import { ByteWriter } from "./writer.ts";

export const OFFSETS_SECTION = "penstock.offsets";

export function encodeOffsets(stretches: readonly Stretch[]): ByteWriter {
  const out = new ByteWriter(stretches.length * 3 + 32);
  out.name(OFFSETS_SECTION);
  let target = 0;
  let source = 0;
  for (const stretch of stretches) {
    out.u32(stretch.target - target);
    out.u32(stretch.source - source);
    target = stretch.target;
    source = stretch.source;
  }
  return out;
}

/** `offset` in the metered module; the answer in the source, or −1 where there is none. */
export function sourceOffset(section: Uint8Array, offset: number): number {
  const reader = new ByteReader(section);
  let target = 0;
  let source = 0;
  let found = -1;
  while (!reader.done) {
    target += reader.u32();
    source += reader.u32();
    if (target > offset) break;
    found = source + (offset - target);
  }
  return found;
}
