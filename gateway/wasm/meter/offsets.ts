/**
 * The custom section `penstock.offsets`: where each byte of the metered code stood in the file that was uploaded, so
 * that a fault can be told in the offsets the plugin's author knows. It travels inside the module; nobody reads it until
 * a fault happens.
 *
 * Contents: pairs of LEB128, the target's delta unsigned and the source's signed, one pair for each stretch of unchanged
 * code, ascending in the target. Of a module, sources ascend too; a component may hold its modules in another order.
 */
import { ByteReader } from "#wasm/validate/reader.ts";
import type { Stretch } from "./emit.ts";
import { ByteWriter } from "./writer.ts";

export const OFFSETS_SECTION = "penstock.offsets";

/** The source of code that was not uploaded. */
export const NOWHERE = -1;

/** Adds a stretch; one that only goes on with the last is none of its own. */
export function addStretch(stretches: Stretch[], source: number, target: number): void {
  const last = stretches.at(-1);
  const goesOn =
    last !== undefined &&
    (last.source === NOWHERE || source === NOWHERE
      ? last.source === source
      : last.source - last.target === source - target);
  if (!goesOn) stretches.push({ source, target });
}

/**
 * `metered` leads from a metered module to the one that was metered; `origins` from there to what that one was made of. Answers
 * the way from the first to the last. All ascend in `target`.
 */
export function throughOrigins(metered: readonly Stretch[], origins: readonly Stretch[]): Stretch[] {
  const stretches: Stretch[] = [];
  let next = 0;
  for (const [index, { source: start, target }] of metered.entries()) {
    const end = metered[index + 1]?.source ?? Infinity;
    while (next < origins.length && (origins[next] as Stretch).target <= start) next++;
    const before = origins[next - 1];
    const isKnown = before !== undefined && before.source !== NOWHERE;
    addStretch(stretches, isKnown ? before.source + (start - before.target) : NOWHERE, target);
    for (; next < origins.length && (origins[next] as Stretch).target < end; next++) {
      const origin = origins[next] as Stretch;
      addStretch(stretches, origin.source, target + (origin.target - start));
    }
  }
  return stretches;
}

export function encodeOffsets(stretches: readonly Stretch[]): ByteWriter {
  const out = new ByteWriter(stretches.length * 3 + 32);
  out.name(OFFSETS_SECTION);
  let target = 0;
  let source = 0;
  for (const stretch of stretches) {
    out.u32(stretch.target - target);
    out.s32(stretch.source - source);
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
  let found = NOWHERE;
  while (!reader.done) {
    target += reader.u32();
    source += reader.s33();
    if (target > offset) break;
    found = source === NOWHERE ? NOWHERE : source + (offset - target);
  }
  return found;
}
