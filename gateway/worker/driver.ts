/** Which driver this worker runs on: io_uring where the kernel lets it, else epoll. `PENSTOCK_IO` names one. */
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Driver } from "#io/driver.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import { createUringDriver } from "#io/uring/driver.ts";

/**
 * The bound on what a worker holds for its traffic: 8192 buffers of 32 KiB. Address space; a page costs memory once it
 * was written, and buffers are reused last in first out.
 */
const ARENA_BYTES = 8192 * BUFFER_BYTES;

/** Throws when the driver that `wanted` names can't run here; `auto` falls back. */
export function openDriver(wanted: string): Driver {
  const arena = createArena(ARENA_BYTES);
  if (wanted === "epoll") return createEpollDriver({ arena });
  if (wanted === "io_uring") return createUringDriver({ arena });
  try {
    return createUringDriver({ arena });
  } catch {
    // EPERM (seccomp, sysctl kernel.io_uring_disabled), ENOSYS, EINVAL (a kernel before 6.1): `penstock doctor` says which.
    return createEpollDriver({ arena });
  }
}
