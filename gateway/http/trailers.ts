/**
 * Trailer sections (RFC 9110 section 6.5): the fields behind chunked content. The same class as heads have, so that compiled
 * code meets one shape; what may stand in a head only is refused, and all lines together fit into one buffer.
 */
import { TRAILER_SECTION } from "./fields.ts";
import { Head, type Scratch } from "./head.ts";
import { TRAILER_BYTES_MAX } from "./limits.ts";

/** Received ones, and as much again for edits of them. */
const SECTION_BYTES_MAX = 2 * TRAILER_BYTES_MAX;

/** An empty one. It takes a region of `scratch` when the first line comes, and gives it back when it is reset. */
export function newTrailers(scratch: Scratch): Head {
  const bounded: Scratch = {
    memory: scratch.memory,
    regionBytes: Math.min(scratch.regionBytes, SECTION_BYTES_MAX),
    allocate: () => scratch.allocate(),
    free: (offset) => scratch.free(offset),
  };
  return new Head(bounded, TRAILER_SECTION);
}
