/** What both kinds of map need to know of a declaration. The snapshot's MapSpec has all of it. */
import type { MapSpec } from "#snapshot/snapshot.ts";

export type SharedMapSpec = Pick<MapSpec, "name" | "type" | "key" | "keyBytes" | "value" | "valueBytes" | "maxEntries">;
