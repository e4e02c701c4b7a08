/** What a worker's connections to endpoints are made of. */
import type { Scratch } from "#http/head.ts";
import type { Connection } from "#net/connection.ts";
import type { WriteGather } from "#net/gather.ts";

export type Loop = Connection["loop"];

export interface UpstreamContext {
  readonly loop: Loop;
  readonly gather: WriteGather;
  readonly scratch: Scratch;
}
