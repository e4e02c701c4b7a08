/** A map of sizes and a kind, nothing else said: one that no object file declares, or of which a file has not said more yet. */
import type { MapDefinition } from "./spec.ts";

type PlainMap = Pick<MapDefinition, "name" | "type" | "keyBytes" | "valueBytes" | "maxEntries"> &
  Partial<Pick<MapDefinition, "flags">>;

export function plainMap(map: PlainMap): MapDefinition {
  return {
    flags: 0,
    extra: 0n,
    pinning: 0,
    keyType: 0,
    valueType: 0,
    inner: null,
    slots: [],
    contents: null,
    frozen: false,
    ...map,
  };
}
