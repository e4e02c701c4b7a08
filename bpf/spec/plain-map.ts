/** A map that no object file declares: sizes and a kind, and nothing else said. */
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
