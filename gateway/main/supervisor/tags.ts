/** Numbers under which descriptors travel to workers (see gateway/worker/protocol.ts): never given twice. */
import type { Fd } from "#core/brands.ts";

export interface Tagged {
  readonly tag: number;
  readonly fd: Fd;
}

let last = 0;

export function tagged(fd: Fd): Tagged {
  last++;
  return { tag: last, fd };
}
